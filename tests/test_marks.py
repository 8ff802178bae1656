"Marks of experts: append-only, undoable, obeyed by the next iteration; golden rows reach no model."

import json

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from loop import begun, signed
from test_recipes import DATA, stream

from continual_nb.composition.compose import compose
from continual_nb.composition.marks import MARK_FACT, MARK_KINDS, UNDO, current_marks, new_to
from continual_nb.core.files import read_parquet
from continual_nb.core.params import Compose, Monitor
from continual_nb.interfaces.bench import Bench
from continual_nb.loop.project import Project

SAID = st.tuples(st.sampled_from(["e1", "e2", "e3"]), st.sampled_from([*MARK_KINDS, UNDO]))


def marks(*said):
    rows = [(*one, None)[:3] + ("Ana", "why", 2) for one in said]
    return pd.DataFrame(rows, columns=list(MARK_FACT)).astype({"label": "str"})


def composed(said, recipes={"newest": ["all", {"cap": {"rows": 400}}]}):
    rows = stream()
    now = rows["event_time"].iloc[-1]
    mature = now - pd.Timedelta(days=2)
    about = DATA, Compose(recipes=recipes), Monitor(), rows, mature, now, 4
    return compose(*about, training=True, marks=said)


@given(st.lists(SAID))
def test_the_last_word_holds(said):
    held = current_marks(marks(*said))
    last = dict(said)
    assert dict(zip(held["event_id"], held["mark"])) == {k: m for k, m in last.items() if m != UNDO}


def test_each_mark_is_obeyed_and_explained():
    plain = composed(marks())
    taken = plain.sets["newest"]
    refused = plain.reasons.loc[plain.reasons["newest weight"] == 0]
    capped = refused["event_id"][refused["newest"].str.contains("cap")].iloc[0]
    out, golden, wrong = taken["event_id"].iloc[[3, 5, 8]]
    other = {"0": "1", "1": "0"}[taken["label"].iloc[8]]
    said = marks(
        (out, "exclude"), (golden, "golden"), (wrong, "relabel", other), (capped, "include")
    )
    made = composed(said)
    rows = made.sets["newest"].set_index("event_id")
    assert not {out, golden} & set(rows.index)
    assert (
        rows.loc[wrong, "label"] == other and "relabelled by Ana: why" in rows.loc[wrong, "reason"]
    )
    assert rows.loc[capped, "reason"] == "included by Ana: why"
    told = made.reasons.set_index("event_id")["newest"]
    assert told[out] == "excluded by Ana: why" and told[golden] == "golden by Ana: why"
    assert made.composition.marks == {"exclude": 1, "golden": 1, "include": 1, "relabel": 1}
    pd.testing.assert_frame_equal(made.evaluation, plain.evaluation)


@settings(max_examples=25)
@given(st.data())
def test_no_mark_reaches_the_rows_that_decide(data):
    ids = list(stream()["event_id"])
    some = data.draw(st.lists(st.tuples(st.sampled_from(ids[-300:]), st.sampled_from(MARK_KINDS))))
    said = marks(*(one + (("1",) if one[1] == "relabel" else ()) for one in dict(some).items()))
    made = composed(said, {"all": ["all"]})
    pd.testing.assert_frame_equal(made.evaluation, composed(marks()).evaluation)
    inside = set(made.sets["all"]["event_id"])
    assert not inside & set(made.evaluation["event_id"])
    assert not inside & set(said["event_id"][said["mark"].isin(["exclude", "golden"])])


def test_a_champion_is_not_flattered_by_what_it_learned():
    times = pd.date_range("2024-01-01", periods=4, tz="UTC")
    rows = pd.DataFrame({"event_id": list("abcd"), "event_time": times, "since": [5, 2, 5, 5]})
    assert list(new_to(rows, times[2].isoformat(), iteration=3)["event_id"]) == ["b", "d"]
    assert len(new_to(rows, None, 0)) == 4


def test_marks_hold_from_the_next_iteration_on_and_golden_rows_are_asked(tmp_path):
    loop = begun(tmp_path)
    signed(loop)
    loop.continual("seal")
    loop.continual("open")
    loop.dvc("repro", "ingest")
    about = ("--by", "Ana", "--reason", "the meter stood still")
    said = loop.continual("mark", "exclude", "e1-003", "e1-nowhere", *about, code=1)
    assert "no event 'e1-nowhere'" in said.err and not loop.path("data/marks.jsonl").exists()
    loop.continual(
        "mark", "exclude", "--slice", "region=north", "--slice", "window=2024-01", *about
    )
    loop.continual("mark", "undo", "--slice", "region=north", "--slice", "bad=1", *about)
    loop.continual("mark", "golden", "--slice", "window=2024-02", "--slice", "region=south", *about)
    loop.continual("mark", "relabel", "e1-003", "--label", "1", *about)
    before = loop.bytes("data/arrival")
    signed(loop)
    assert loop.bytes("data/arrival") == before, "the open iteration stays as it is"
    loop.continual("seal")
    loop.continual("open")
    loop.continual("steer", "improve", "--by", "Ana", "--reason", "to see the marks")
    loop.dvc("repro", "evaluate")
    held = read_parquet(loop.path("data/arrival/marks.parquet"))
    made = loop.json("data/work/compose/composition.json")
    assert made["marks"]["golden"] and "exclude" in made["marks"]
    out = set(held["event_id"][held["mark"].isin(["exclude", "golden"])])
    sets = [read_parquet(path) for path in loop.path("data/work/compose").rglob("sets/*.parquet")]
    sets.append(read_parquet(loop.path("data/work/compose/always.parquet")))
    trained = loop.json("data/work/train/training.json")["challengers"]
    bench = Bench(Project(loop.root))
    mine = bench.cache.training(bench.opened.params).challengers
    assert {c.recipe: c.hash for c in mine} == {c["recipe"]: c["hash"] for c in trained}
    golden = set(held["event_id"][held["mark"] == "golden"])
    assert sets and not any(out & set(part["event_id"]) for part in sets[:-1])
    assert not golden & set(sets[-1]["event_id"])
    gates = loop.json("data/work/evaluate/evaluation.json")["gates"]
    asked = [g for part in gates.values() for g in part if "marked" in g["name"]]
    assert asked and all("golden rows" in g["reason"] for g in asked)
    why = loop.continual("why", next(iter(golden))).out
    assert "refused (golden by Ana: the meter stood still)" in why
    listed = loop.continual("mark", "--json").out
    assert "e1-003" in listed and "relabel" in listed
    loop.git("ls-files", "--error-unmatch", "data/marks.jsonl")
    signed(loop, "reject", "Ana", "not yet")
    last = [json.loads(line) for line in loop.path("data/state/out/ledger.jsonl").open()]
    loop.continual("seal")
    assert "fits" in loop.continual("verify").out
    told = [entry for entry in last if entry["kind"] == "composition"]
    assert [entry["marks"] for entry in told] == [made["marks"]] and told[0]["iteration"] == 3
