"Other versions of the libraries: the champion is asked before anything moves, and there are ways to go on."

import json

import pytest
from click.testing import CliRunner

from continual_nb.cli.main import cli
from continual_nb.core import models
from continual_nb.core.files import ContinualError
from continual_nb.core.params import read_yaml
from continual_nb.core.state import read_state, with_models_again, without_models
from continual_nb.loop import champion
from continual_nb.loop.champion import ModelCheck, check_champion
from loop import signed


@pytest.fixture
def spoken(monkeypatch):
    "Run a command in this process, as other libraries than then."

    def run(loop, *words: str, code: int = 0) -> str:
        monkeypatch.chdir(loop.root)
        for name, value in loop.environment().items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == code, result.output
        return result.output

    return run


def other_libraries(monkeypatch, of: tuple[str, ...], without: tuple[str, ...] = ()):
    "Another scikit-learn is installed, which cannot read some models."
    real = models._checked_load

    def load(content, trusted, kept):
        if models.sha256(content) in of:
            return ["sklearn._loss._loss.CyHalfBinomialLoss"], None
        return real(content, trusted, kept)

    monkeypatch.setattr(models, "_checked_load", load)
    now = champion.libraries()
    monkeypatch.setattr(champion, "libraries", lambda: {**now, "scikit-learn": "9.9"})


def test_the_champion_answers_as_when_it_was_accepted(twice, copy, spoken, monkeypatch):
    loop = copy(twice)
    version = read_yaml(loop.path("data/code.yaml"))["libraries"]["scikit-learn"]
    other_libraries(monkeypatch, of=())
    state = read_state(loop.path("data/state/out"))
    kept = state.answers[state.card.champion]
    assert len(kept["rows"]) == len(kept["answers"]) == champion.ASKED_ROWS
    said = spoken(loop, "open")
    assert f"(made with scikit-learn {version}; here: scikit-learn 9.9) answers 16 stored" in said


def test_a_champion_that_does_not_load_stops_open_with_the_ways_to_go_on(
    twice, copy, spoken, monkeypatch
):
    loop = copy(twice)
    state = read_state(loop.path("data/state/out"))
    first, second = *state.former(), state.card.champion
    version = read_yaml(loop.path("data/code.yaml"))["libraries"]["scikit-learn"]
    other_libraries(monkeypatch, of=(second,))
    before = loop.everything()
    said = " ".join(spoken(loop, "open", code=5).split())
    assert loop.everything() == before
    assert f"made with scikit-learn {version}; here: scikit-learn 9.9) cannot be used here" in said
    assert f"pip install scikit-learn=={version}" in said
    assert "open --without-champion" in said and "continual rollback" in said

    said = spoken(loop, "rollback", "--by", "Ada", "--reason", "It does not load.")
    assert f"003-urgent proposes to go back to {first[:12]}" in said
    assert read_yaml(loop.path("data/iteration.yaml"))["excluded"] == [second]
    signed(loop, by="Ada", reason="It does not load.")
    card = loop.json("data/state/out/state.json")
    outcome = loop.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["previous"], card["champion"]) == (
        "rolled back",
        second,
        first,
    )
    assert [c["hash"] for c in card["champions"]] == [c.hash for c in state.card.champions]
    assert card["champions"][-1]["replaced_in"] == 3
    assert loop.path(f"data/state/out/champions/{second}.skops").exists()


def test_an_iteration_without_the_champion_trains_anew(twice, copy, spoken, monkeypatch):
    loop = copy(twice)
    state = read_state(loop.path("data/state/out"))
    every = tuple(state.models)  # former ones and the yardstick too
    other_libraries(monkeypatch, of=every)
    spoken(loop, "open", "--without-champion")
    assert read_yaml(loop.path("data/iteration.yaml"))["excluded"] == sorted(every)
    loop.dvc("repro", "evaluate")
    assert loop.json("data/work/decide/proposal.json")["means"] == "first model"
    assert loop.json("data/work/train/training.json")["answer"] == "trained"
    seen = without_models(state, every)
    assert seen.card.champion is None and not seen.models and not seen.ghosts()
    after = with_models_again(seen, state, every)
    assert after.card.champion == state.card.champion
    assert {c.hash for c in after.card.champions} == {c.hash for c in state.card.champions}
    assert set(after.models) <= set(every)


def test_other_answers_need_a_word(twice, copy, spoken, monkeypatch):
    loop = copy(twice)
    real = champion._numbers
    monkeypatch.setattr(champion, "_numbers", lambda *asked: real(*asked) + 0.01)
    before = loop.everything()
    said = spoken(loop, "open", code=5)
    assert "16 stored rows otherwise than when it was accepted, by up to 0.01" in said
    assert loop.everything() == before
    assert "opened iteration 003" in spoken(loop, "open", "--as-it-answers")


def test_rollback_needs_an_earlier_champion_and_a_reason(sealed, twice, copy, spoken):
    asked = ("rollback", "--by", "Ada", "--reason", "It is unfair.")
    assert "there is no earlier champion" in spoken(sealed, *asked, code=1)
    assert "names 0 earlier champions" in spoken(twice, *asked, "zzz", code=1)
    second = read_state(twice.path("data/state/out")).card.champion
    assert "is in production" in spoken(twice, *asked, second[:10], code=1)


def test_the_sentence_says_what_is_known():
    named = json.loads('{"scikit-learn": "0.1", "python": "2.7"}')
    with pytest.raises(ContinualError) as refused:
        check_champion(ModelCheck("a" * 64, named, error="it does not load"))
    assert "in Python 2.7: `pip install scikit-learn==0.1`" in refused.value.remedy
    assert check_champion(None) is None and check_champion(ModelCheck("a" * 64, {})) is None


# -- a refit on the same rows ----------------------------------------------------------------------------
@pytest.fixture
def mute(twice, copy, spoken, monkeypatch):
    "A copy of the project whose champion does not load under the libraries of this process."
    loop = copy(twice)
    state = read_state(loop.path("data/state/out"))
    other_libraries(monkeypatch, of=(state.card.champion,))
    return loop, state


def test_a_refit_is_the_champion_byte_for_byte_where_its_libraries_are_those_of_then(mute, spoken):
    loop, state = mute
    loop.set(iterations="5")  # what params.yaml says since then does not count
    spoken(loop, "open", "--refit")
    assert read_yaml(loop.path("data/iteration.yaml"))["again"] == state.card.champion
    loop.dvc("repro", "evaluate")
    training = loop.json("data/work/train/training.json")
    assert "It is the same model, byte for byte" in training["reason"]
    assert training["challengers"] == [] and training["answer"] == "skipped"
    composed = loop.json("data/work/compose/composition.json")
    (own,) = composed["sets"]
    assert own["rows"] == state.champion().rows
    assert own["last"] < composed["evaluation"]["first"]


def test_a_refit_takes_the_place_of_the_champion_and_the_record_says_so(mute, spoken):
    loop, state = mute
    before = state.card.champion
    spoken(loop, "open", "--refit")
    plan = loop.json("data/arrival/again.json")
    plan["settings"]["iterations"] += 5  # other libraries would give other bytes
    loop.path("data/arrival/again.json").write_text(json.dumps(plan))
    loop.dvc("repro", "evaluate")
    training = loop.json("data/work/train/training.json")
    (card,) = training["challengers"]
    assert (
        training["again"]["model"] == before and training["again"]["asked"] == champion.ASKED_ROWS
    )
    assert (
        0 < training["again"]["apart"] < 0.5 and "was trained again as it was" in training["reason"]
    )
    assert (card["recipe"], card["rows"]) == (state.champion().recipe, state.champion().rows)
    signed(loop, reason="The model of before does not load.")
    now = read_state(loop.path("data/state/out"))
    outcome = loop.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["previous"]) == ("promoted", before)
    assert now.card.champion == card["hash"] != before
    assert [c.hash for c in now.card.champions][-2:] == [before, card["hash"]]
    told = next(e for e in reversed(now.ledger) if e["kind"] == "evaluation")["again"]
    assert told["model"] == before and told["rows"] == state.champion().rows
    page = loop.path("data/work/report/report.html").read_text()
    assert f"Model {before[:12]}" in page
    assert "The former model is back, trained again on its own rows." in page
    loop.continual("seal")
    assert "everything fits" in loop.continual("verify").out


@pytest.mark.parametrize("lost", ["cache", "changed", "forgotten", "usable"])
def test_a_refit_whose_rows_cannot_be_had_says_so_before_anything_moves(
    mute, spoken, monkeypatch, lost
):
    from continual_nb.loop.made import stage_files
    from continual_nb.loop.project import Project

    loop, state = mute
    made = stage_files(Project(loop.root), state.champion().window)
    own = state.champion().recipe.partition(",")[0]
    rows = made.files[f"sets/{own}.parquet"]
    rows.chmod(0o644)
    words = {
        "cache": "are not in this clone's cache",
        "changed": "in the cache is not what its name says",
        "forgotten": "1 of its",
        "usable": "it needs no refit",
    }
    if lost == "cache":
        rows.unlink()
    elif lost == "changed":
        rows.write_bytes(rows.read_bytes() + b" ")
    elif lost == "forgotten":
        row = made.table(f"sets/{own}.parquet")["event_id"].iloc[0]
        loop.continual("forget", row, "--by", "Ada", "--reason", "asked")
    else:
        monkeypatch.undo()
    before = loop.everything()
    said = " ".join(spoken(loop, "open", "--refit", code=1 if lost == "usable" else 5).split())
    assert words[lost] in said and loop.everything() == before
    assert lost == "usable" or "--without-champion" in said
