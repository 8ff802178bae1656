"The bench: ideas tried on the open window, ranked without the gates' rows, kept as a change that the pipeline repeats."

import json
import os

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import Memory, moments
from continual_nb.backtest.trials import (
    LOSS_OF,
    BASELINE,
    compose_at,
    train_at,
    change_of,
    earlier,
    with_edits,
    past_losses,
    standings,
    with_changes,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered, ingest, snapshot
from continual_nb.core.params import Data, Params, Train, Windows
from continual_nb.interfaces.bench import Bench
from continual_nb.loop.code import libraries
from continual_nb.loop.project import Project

DATA = Data(
    source="-",
    time="at",
    label="y",
    label_delay="2d",
    numeric=("x",),
    categorical=("shop",),
    slices=("shop",),
)
PARAMS = Params(data=DATA, windows=Windows(every="week"), train=Train(models=["linear"]))


def orders(seed: int, weeks: int = 6) -> pd.DataFrame:
    "Orders every twenty minutes; the relation reverses half way."
    rng, n = np.random.default_rng(seed), weeks * 504
    x = rng.normal(size=n)
    sign = np.where(np.arange(n) < n // 2, 2, -2)
    return pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=n, freq="20min"),
            "x": x,
            "shop": rng.choice(["north", "south"], n),
            "y": (rng.random(n) < 1 / (1 + np.exp(-sign * x))).astype(int),
        }
    )


def history(frame: pd.DataFrame):
    "The last moment and the store of a history that has arrived."
    memory, partitions, delivery = Memory(), (), delivered(frame, DATA)
    for moment in moments(PARAMS, delivery):
        known = memory.store(partitions)
        arrival = snapshot(delivery, DATA, moment.cadence, known, moment.as_of)
        partition, frames, _ = ingest(arrival, DATA, PARAMS.ingest, moment)
        memory.frames[partition.name], partitions = frames, (*partitions, partition)
    return moment, memory.store(partitions)


@pytest.fixture(scope="module")
def past():
    return history(orders(101))


def test_a_recipe_that_forgets_wins_after_a_reversal_and_the_same_twice_never(past):
    moment, store = past
    newest = with_changes(
        PARAMS, {"compose": {"recipes": {"newest": [{"last_windows": {"windows": 1}}]}}}
    )
    losses = {BASELINE: past_losses(PARAMS, moment, store, 2, None)}
    losses["newest"] = past_losses(newest, moment, store, 2, None)
    ranked = standings(DATA, losses)
    assert ranked[0].trial == "newest" and ranked[0].over_today.low > 0
    same = standings(DATA, {BASELINE: losses[BASELINE], "again": losses[BASELINE]})
    by_recipe = {(s.trial, s.recipe): s.rank for s in same}
    assert all(
        by_recipe[BASELINE, r] == by_recipe["again", r] for t, r in by_recipe if t == BASELINE
    )


def test_rows_from_the_gates_on_change_no_trial(past):
    moment, store = past
    held_out = moment.window.start + pd.Timedelta(days=2)
    first = past_losses(PARAMS, moment, store, 3, held_out)
    frame = orders(101)
    late = frame["at"].dt.tz_localize("UTC") >= held_out
    frame.loc[late, "y"] = 1 - frame.loc[late, "y"]
    again = past_losses(PARAMS, *history(frame), 3, held_out)
    pd.testing.assert_frame_equal(first.drop(columns="event_id"), again.drop(columns="event_id"))
    assert len(first) and first["event_time"].max() < held_out


def test_labels_that_came_after_a_moment_do_not_train_its_models(past):
    moment, store = past
    then, later = earlier(moment, 1, moment.window.start - pd.Timedelta(days=400))[0]
    made = train_at(PARAMS, then, store)
    for rows in made.composed.sets.values():
        assert (rows["label_time"] <= then.as_of).all() and (rows["event_time"] < later.start).all()
    assert then.as_of == later.start


def test_more_trials_widen_every_interval(past):
    moment, store = past
    one = past_losses(PARAMS, moment, store, 2, None)
    other = past_losses(
        with_changes(PARAMS, {"train": {"models": "boosting", "iterations": 5}}),
        moment,
        store,
        2,
        None,
    )
    width = lambda found: next(
        s.over_today.high - s.over_today.low for s in found if s.trial == "a" and s.over_today
    )
    few = width(standings(DATA, {BASELINE: one, "a": other}))
    many = width(standings(DATA, {BASELINE: one, **{name: other for name in "abcdefgh"}}))
    assert many > few * 1.1


def test_a_change_keeps_every_other_line():
    text = "# levers\ntrain:\n  model: boosting      # which\n  iterations: 120      # trees\n  seed: null   # or none\n"
    after = with_edits(text, {"train": {"iterations": 30}})
    assert [b for a, b in zip(text.splitlines(), after.splitlines()) if a != b] == [
        "  iterations: 30       # trees"
    ]


def test_a_key_of_an_earlier_version_is_understood_in_a_change():
    assert with_changes(PARAMS, {"train": {"model": "boosting"}}).train.models[0].name == "boosting"
    assert with_changes(PARAMS, change_of(["train.model=boosting"])) != PARAMS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.iterations"], "is no change"),
        (["=3"], "is no change"),
        (["train.iterations=[1"], "no YAML value"),
    ],
)
def test_words_that_are_no_change_are_named(words, said):
    with pytest.raises(ContinualError, match=said):
        change_of(words)


def test_what_is_kept_is_what_the_pipeline_trains(copy, turned):
    loop = copy(turned)
    bench = Bench(Project(loop.path(".")))
    before = loop.path("params.yaml").read_text()
    trial = bench.try_it("linear", train={"models": "linear"})
    assert loop.path("params.yaml").read_text() == before
    assert set(trial.challengers.values()).isdisjoint(
        c["hash"] for c in loop.json("data/work/train/training.json")["challengers"]
    )
    said = loop.continual("trials", "--keep", "linear").out
    assert "+  models: linear" in said and "next: dvc repro" in said
    loop.dvc("repro", "train")
    made = loop.json("data/work/train/training.json")["challengers"]
    assert {c["recipe"]: c["hash"] for c in made} == trial.challengers
    kept = json.loads(loop.path("data/feedback.jsonl").read_text().splitlines()[-1])
    assert "Kept from the bench: linear" in kept["text"] and "one trial" in kept["text"]


def test_experiments_of_dvc_and_trials_are_one_list(copy, twice):
    loop = copy(twice)
    before = loop.path("params.yaml").read_text()
    loop.dvc("exp", "run", "-n", "small", "-S", "train.leaves=3", "-S", "decide.costs.loss=2")
    hashes = {c["hash"] for c in loop.json("data/work/train/training.json")["challengers"]}
    shown = json.loads(loop.dvc("exp", "show", "--json").out)
    (found,) = (row for row in shown if row["rev"] == "workspace")
    line, saved = (
        found["data"]["metrics"][f"data/work/{stage}/metrics.json"]["data"]
        for stage in ("evaluate", "promote")
    )
    evaluation = loop.json("data/work/evaluate/evaluation.json")
    best = max(evaluation["comparisons"], key=lambda c: c["overall"]["gain"])["overall"]
    assert (line["gain"], line["gain_low"]) == (best["gain"], best["low"]) and line["gate"]
    rows = loop.json("data/work/ingest/ingested.json")["rows"]
    assert saved["saves"] == pytest.approx(best["gain"] * rows * 2) and saved["outcome"]

    loop.path("params.yaml").write_text(before)
    loop.continual("try", "wide", "-S", "train.leaves=31")
    said = json.loads(loop.continual("trials", "--json").out)
    assert {s["trial"] for s in said["standings"]} == {BASELINE, "small", "wide"}
    trial = Bench(Project(loop.root)).tried["small"]
    assert set(trial.challengers.values()) == hashes
    assert trial.tried.changes == {"train": {"leaves": 3}, "decide": {"costs": {"loss": 2.0}}}
    refused = loop.continual("trials", "--drop", "small", code=1).err
    assert "is an experiment of DVC" in refused and "dvc exp remove small" in refused
    loop.dvc("exp", "remove", "small")
    assert list(Bench(Project(loop.root)).tried) == ["wide"]


def test_trials_are_found_again_and_bad_ones_are_named(copy, turned):
    loop = copy(turned)
    Bench(Project(loop.path("."))).try_it("wide", train={"leaves": 31})
    again = Bench(Project(loop.path(".")))  # as after a killed kernel
    assert list(again.tried) == ["wide"] and again.tried["wide"].params.train.leaves == 31
    for name, changes, said in (
        ("x", {"train": {"leafs": 3}}, "did you mean 'leaves'"),
        (BASELINE, {}, "cannot name a trial"),
    ):
        with pytest.raises(ContinualError, match=said):
            again.try_it(name, **changes)
    with pytest.raises(ContinualError, match="did you mean 'wide'"):
        again.keep("wid")
    frame = again.window
    frame["amount"] = 0.0
    assert again.window["amount"].std() > 0, "frames are copies"
    again.drop("wide")
    assert not again.tried


def test_a_change_of_the_model_composes_nothing_again_and_trains_the_same(
    copy, turned, monkeypatch
):
    bench = Bench(Project(copy(turned).path(".")))
    bench.try_it("first", train={"leaves": 5})
    alone = train_at(
        with_changes(bench.opened.params, {"train": {"models": "linear"}}),
        bench.opened.moment,
        bench.opened.store,
        bench.opened.state,
    )
    composed = []
    monkeypatch.setattr(
        "continual_nb.interfaces.bench.compose_at",
        lambda *asked: composed.append(1) or compose_at(*asked),
    )
    second = bench.try_it("second", train={"models": "linear"})
    assert not composed and set(second.challengers.values()) == set(alone.models)
    bench.try_it("third", compose={"evaluation_share": 0.4})
    assert len(composed) == 1
    for part in bench.cache.folder.glob("*.0.parquet"):
        part.unlink()
    bench.try_it("fourth", train={"leaves": 9})
    assert len(composed) == 2, "sets that are not whole are composed again"


def test_before_the_pipeline_has_run_the_bench_answers_what_it_will_answer(copy, opened):
    loop = copy(opened)
    early = Bench(Project(loop.root))
    assert early.evaluation is None
    monitoring, proposal = early.monitoring.to_dict(), early.proposal.to_dict()
    assert early.reference is not None and early.champion is not None
    loop.dvc("repro", "decide")
    late = Bench(Project(loop.root))
    assert late.monitoring.to_dict() == monitoring and late.proposal.to_dict() == proposal
    assert late.opened.folder is not None and late.evaluation is None


def test_a_kernel_of_another_environment_is_told_with_both_versions(copy, turned):
    loop = copy(turned)
    assert Bench(Project(loop.root)).elsewhere == ()
    path, now = loop.path("data/code.yaml"), libraries()["scikit-learn"]
    path.write_text(path.read_text().replace(f'scikit-learn: "{now}"', 'scikit-learn: "1.2.3"'))
    (said,) = Bench(Project(loop.root)).section().unchecked
    assert f"scikit-learn 1.2.3, here {now}." in said and "dvc repro" in said


def test_a_sealed_iteration_opens_by_its_name(sealed):
    found = Bench(Project(sealed.path(".")), "001-2024-01")
    assert found.monitoring is not None and found.proposal.action == "improve"
    assert found.champion is None and len(found.window) == 300
    with pytest.raises(ContinualError, match="did you mean '001-2024-01'"):
        Bench(Project(sealed.path(".")), "001-2024-02")


def test_workers_that_stand_in_a_folder_which_has_gone_work_for_this_project(
    copy, turned, monkeypatch, tmp_path
):
    from joblib import Parallel, delayed

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    workers = set()
    while len(workers) < 2:  # both have started
        workers |= set(Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(4)))
    gone.rmdir()
    bench = Bench(Project(copy(turned, "side").path(".")))
    monkeypatch.chdir(bench.project.root)
    bench.try_many({"linear": {"train": {"models": "linear"}}}, jobs=2)
    assert bench.tried["linear"].challengers and not bench.tried["linear"].failed


def test_trials_at_the_same_time_give_what_they_give_one_after_another(copy, turned):
    ideas = {
        "linear": {"train": {"models": "linear"}},
        "wide": {"train": {"leaves": 31}},
        "broken": {
            "compose": {"recipes": {"none": [{"last_windows": {"windows": 1}}]}, "min_rows": 10**6}
        },
    }
    side, row = (Bench(Project(copy(turned, name).path("."))) for name in ("side", "row"))
    together = side.try_many(ideas, jobs=2)
    for name, changes in ideas.items():
        row.try_it(name, **changes)
    assert together.to_dict() == row.trials.to_dict() and together.tried == 3
    assert list(side.tried) == list(ideas)
    for name, trial in row.tried.items():
        assert (side.tried[name].challengers, side.tried[name].failed) == (
            trial.challengers,
            trial.failed,
        )
    assert side.tried["broken"].failed and side.tried["wide"].challengers
    files = lambda bench: {p.name: p.read_bytes() for p in bench.cache.folder.glob("*")}
    assert files(side) == files(row)
    with pytest.raises(ContinualError, match="did you mean 'leaves'"):
        side.try_many({"good": {"train": {"leaves": 3}}, "bad": {"train": {"leafs": 3}}})
    assert "good" not in side.tried, "nothing is tried unless all of it can be"
