"A challenger in shadow: scored beside the champion on events that neither has seen, then decided."

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import Memory, fold, go_on, moments, run_iteration
from continual_nb.core.gains import WindowGain, added_up
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Evaluate, Params
from continual_nb.core.state import Rival, State, read_state, without_models, write_state
from continual_nb.decisions.recommend import automatic
from continual_nb.decisions.signoff import Decision
from continual_nb.evaluation.gates import shown_over_time
from continual_nb.policy.result import Steer


def world(breaks: bool = True) -> pd.DataFrame:
    "Ten windows of 300 rows; after the third, where it breaks, the relation is another one."
    draw, names = np.random.default_rng(3), [f"x{k}" for k in range(6)]
    x, weights = draw.normal(size=(3000, 6)), draw.normal(size=(2, 6))
    late = (np.arange(3000) >= 900) & breaks
    y = draw.random(3000) < 1 / (1 + np.exp(-(x * weights[late.astype(int)]).sum(axis=1)))
    times = pd.date_range("2024-01-01", periods=3000, freq="30min")
    return pd.DataFrame(x, columns=names).assign(y=y.astype(int), t=times)


def form(**evaluate) -> Params:
    data = {"source": "-", "time": "t", "label": "y", "label_delay": "1h"}
    data |= {"numeric": [f"x{k}" for k in range(6)]}
    costs = {"loss": 1.0, "update": 1, "review": 0, "rollout": 0}
    return Params.model_validate(
        {
            "data": data,
            "windows": {"every": "300rows"},
            "train": {"models": ["linear"]},
            "evaluate": {"min_rows": 40, **evaluate},
            "decide": {"costs": costs},
        }
    )


@pytest.fixture(scope="module")
def waited():
    params = form(shadow=2)
    return fold(params, delivered(world(), params.data))


def test_what_passed_is_scored_in_shadow_first_and_goes_in_byte_for_byte(waited):
    answers = [turn.outcome.answer for turn in waited]
    assert answers[0] == "promoted" and "in shadow" in answers, answers
    begun = answers.index("in shadow")
    waiting = waited[begun].state.card.shadow
    assert waiting.hash == waited[begun].evaluation.placed != waited[begun].state.card.champion
    between = waited[begun + 1]
    assert between.state.card.champion == waited[begun].state.card.champion
    assert between.evaluation.shadow.scored == between.state.card.shadow.scored == 1
    done = waited[begun + 2]
    assert done.outcome.answer == "promoted" and done.outcome.champion == waiting.hash
    assert done.state.models[waiting.hash] == waited[begun].state.models[waiting.hash]
    assert done.state.card.shadow is None and done.state.reference["iteration"] == begun + 1


def test_events_that_chose_a_challenger_never_count_for_it_and_each_event_counts_once(waited):
    begun = next(k for k, turn in enumerate(waited) if turn.outcome.answer == "in shadow")
    waiting, seen = waited[begun].state.card.shadow, waited[begun].evaluation
    assert pd.Timestamp(waiting.until) >= pd.Timestamp(seen.evaluated_until)
    spent = [pd.Timestamp(waiting.until)]
    for turn in waited[begun + 1 : begun + 3]:
        found = turn.evaluation.shadow
        spent.append(pd.Timestamp(found.until))
        assert found.now.rows * pd.Timedelta("30min") <= spent[-1] - spent[-2]
    assert spent == sorted(set(spent))
    assert found.gains.rows == sum(rows for _, rows, _, _ in found.gains.by_window)


def test_no_other_challenger_is_trained_while_one_waits(waited):
    for before, turn in pairwise(waited):
        waiting = before.state.card.shadow
        if waiting and not waiting.due:
            asked = "Is an update worth its cost?"
            (rule,) = [r for r in turn.proposal.rules if r.question == asked]
            assert turn.proposal.action != "improve" and "is in shadow since" in rule.because


def by_person(verdict: str, at: dict[int, tuple[str, int | None]]):
    "Sign `verdict` where an iteration is named, and as the mandate says elsewhere."
    count = iter(range(1, 99))

    def sign(advice, champion, evidence, as_of):
        found = at.get(next(count))
        if found is None:
            return automatic(advice, form().promote.mandate, champion, evidence, as_of)
        about = {"by": "Ann", "reason": "let us see", "evidence": evidence, "signed_at": as_of}
        return Decision(verdict=found[0], windows=found[1], **about)

    return sign


def test_a_signer_puts_a_challenger_in_shadow_and_prolongs_it(retiring):
    params, plain = form(), retiring[0]
    at = next(k for k, t in enumerate(plain, 1) if k > 1 and t.outcome.answer == "promoted")
    signs = {at: ("shadow", 1), at + 1: ("shadow", 2)}
    turns = fold(params, delivered(world(), params.data), "r0006", by_person("shadow", signs))
    first, second = turns[at - 1].state.card.shadow, turns[at].state.card.shadow
    assert [t.outcome.answer for t in turns[at - 1 : at + 1]] == ["in shadow", "in shadow"]
    assert first.hash == second.hash and first.by == "Ann"
    assert (first.windows, second.windows, second.scored) == (1, 3, 1) and second.log_e != 0
    assert turns[at - 1].state.card.champion == turns[at - 2].state.card.champion
    entry = [e for e in turns[at - 1].state.ledger if e["kind"] == "decision"][-1]
    assert entry["shadow"] == first.hash and entry["answer"] == "in shadow"


def test_nothing_can_be_put_in_shadow_before_the_first_model():
    params = form()
    signer = by_person("", {1: ("shadow", 2)})
    (turn,) = fold(params, delivered(world(), params.data), "r0001", signer)
    assert turn.outcome.answer == "refused" and turn.state.card.shadow is None
    assert "no challenger of this iteration can be put in shadow" in turn.outcome.verdict


def test_a_shadow_is_part_of_the_state_on_disk_and_of_models_that_are_left_out(waited, tmp_path):
    state = next(t.state for t in waited if t.outcome.answer == "in shadow")
    write_state(state, tmp_path)
    back = read_state(tmp_path)
    assert back.card.shadow == state.card.shadow and back.models == state.models
    assert back.shadow_reference["iteration"] == state.card.shadow.iteration
    gone = without_models(state, (state.card.shadow.hash,))
    assert gone.card.shadow is None and state.card.shadow.hash not in gone.models
    assert state.card.champion == gone.card.champion


def test_challengers_that_gain_nothing_seldom_leave_the_shadow_for_production():
    draw, through = np.random.default_rng(1), 0
    for _ in range(2000):
        parts = [
            WindowGain(
                window=f"{k}", recipe="r", against="m", rows=300, gain=g, se=0.01, constant=0.69
            )
            for k, g in enumerate(draw.normal(0, 0.01, 4))
        ]
        looks = (added_up(parts[: k + 1]) for k in range(4))  # prolonged window by window
        through += any(shown_over_time(g, None, Evaluate()).verdict == "pass" for g in looks)
    assert through / 2000 <= 0.05


# -- retirement ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def retiring():
    "Turns of a loop in which one former champion is scored, and what they stored."
    params, memory = form(former=1), Memory()
    delivery = delivered(world(), params.data)
    turns = list(go_on(params, moments(params, delivery), delivery, State(), memory))
    return turns, memory, delivery, params


def test_former_champions_beyond_the_newest_are_scored_no_more_and_come_back_by_name(retiring):
    turns, memory, delivery, params = retiring
    last = next(t for t in turns if t.evaluation.retired)
    before = turns[turns.index(last) - 1].state
    assert len(last.evaluation.ghosts) == 1 and set(last.evaluation.retired) <= set(before.models)
    assert not set(last.evaluation.retired) & {s.model for s in last.evaluation.scores}
    told = [e for e in last.state.ledger if e["kind"] == "evaluation"][-1]
    assert told["retired"] == list(last.evaluation.retired)
    assert "retired: no longer scored" in last.evaluation.section().lead
    target = last.evaluation.retired[0]
    mandate = params.promote.mandate.model_copy(update={"rollback": True})
    allowed = params.model_copy(
        update={"promote": params.promote.model_copy(update={"mandate": mandate})}
    )
    steer = Steer(action="rollback", target=target, by="Ann", reason="it was better in winter")
    turn = run_iteration(allowed, last.moment, before, delivery, memory, steer=steer)
    assert turn.outcome.answer == "rolled back" and turn.state.card.champion == target
    assert turn.state.ghosts(1) == (before.card.champion,)


def test_without_a_limit_and_below_it_all_former_champions_are_scored(waited):
    state = waited[-1].state
    assert state.ghosts(None) == state.ghosts() == state.ghosts(99)


def test_a_rival_that_is_proven_better_is_never_retired(waited):
    state = waited[-1].state
    oldest = state.ghosts()[0]
    rival = {"hash": oldest, "window": "w", "rows": 9, "gain": 0.1, "low": 0.05, "high": 0.2}
    kept = replace(state, card=state.card.model_copy(update={"rivals": (Rival(**rival),)}))
    assert oldest in kept.ghosts(1) and oldest not in state.ghosts(1)


# -- the command line --------------------------------------------------------------------------------------
def test_a_person_puts_a_challenger_in_shadow_and_status_says_how_it_stands(opened, copy):
    loop = copy(opened)
    words = ("--by", "Ann", "--reason", "one window is thin")
    loop.continual("steer", "improve", *words)
    loop.dvc("repro")
    assert (
        "takes no --windows"
        in loop.continual("sign", "approve", *words, "--windows", "2", code=1).all
    )
    loop.continual("sign", "shadow", *words, "--windows", "2")
    loop.dvc("repro")
    outcome = loop.json("data/work/promote/outcome.json")
    assert outcome["answer"] == "in shadow" and outcome["champion"] == outcome["previous"]
    loop.continual("seal")
    said = loop.continual("status").out
    assert f"shadow     {outcome['shadow'][:12]}" in said and "by Ann" in said
    assert "scored in 0 of 2 windows; decided after 2 more windows" in said
    (page,) = loop.path("reports").glob("002-*/report.html")
    assert "put the best challenger in shadow" in page.read_text()
    assert "fits" in loop.continual("verify", code=None).all
