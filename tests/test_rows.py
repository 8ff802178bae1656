"""One row through the loop: why, diff, forget, in the open iteration and in sealed ones."""

import json

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data
from continual_nb.loop.project import Iteration, Project
from continual_nb.loop.rows import diff_sets, hellinger, trace
from continual_nb.loop.stages import history

DATA = Data(
    source="-", time="t", label="y", numeric=("a",), categorical=("site",), slices=("site",)
)


def test_a_row_is_explained_in_a_sealed_iteration_and_forgotten_in_the_next(approved, copy):
    loop = copy(approved)
    project = Project(loop.root)
    sets = pd.read_parquet(loop.path("data/work/compose/sets/refit_all.parquet"))
    kept = pd.read_parquet(loop.path("data/work/compose/evaluation.parquet"))
    row, other = sets["event_id"][0], kept["event_id"][0]
    open_answer = loop.continual("why", row).out
    assert "refit_all: taken, weight 1 (all: " in open_answer
    assert "kept for evaluation" in loop.continual("why", other).out
    assert "did not read an event" in loop.continual("why", "nobody", code=1).err
    assert "name and a reason" in loop.continual("forget", row, code=1).err
    said = loop.continual("forget", row, "--by", "Ana", "--reason", "asked for")
    assert "001-2024-01:refit_all" in said.out and "models: 001-2024-01:" in said.out
    again = json.loads(loop.continual("forget", row, "--by", "B", "--reason", "-", "--json").out)
    assert again["forgotten"] == [] and again["reached"][0]["partitions"]
    loop.continual("seal")
    assert "data/forgotten.jsonl" in loop.git("ls-files", "data")
    loop.continual("open")
    assert project.iteration().forgotten == (row,)
    assert loop.continual("why", row, "--in", "1").out == open_answer
    assert trace(project, row).models
    for stage in ("snapshot", "ingest"):
        loop.continual("stage", stage)
    iteration = project.iteration()
    store = history(project, iteration)[2]
    assert row not in set(store.read("events.parquet", ["event_id"])["event_id"])
    assert row not in set(store.read("labels.parquet")["event_id"])
    assert len(store.read("labels.parquet", ["label"])) and other in set(
        store.read("events.parquet")["event_id"]
    )


def test_an_iteration_without_forgotten_rows_is_spelled_as_before():
    plain = Iteration(1, "2024-01", None, None, "2024-02-01")
    assert "forgotten" not in plain.to_yaml()
    assert (
        'forgotten: ["a", "b"]'
        in Iteration(1, None, None, None, "-", forgotten=["a", "b"]).to_yaml()
    )


def test_two_sets_are_compared_by_row_slice_and_column():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(500)],
            "label": rng.choice(["0", "1"], 500),
            "a": rng.normal(size=500),
            "site": rng.choice(["north", "south"], 500),
        }
    )
    same = diff_sets(DATA, rows, rows.iloc[::-1])
    assert (same.only_first, same.only_second, same.relabelled, same.reweighted) == (0, 0, 0, 0)
    assert max(same.columns.values()) < 1e-6
    heavy = rows.assign(sample_weight=np.where(rows["site"] == "north", 3.0, 1.0))
    found = diff_sets(DATA, rows.iloc[:400], heavy.iloc[100:].assign(a=lambda d: d["a"] + 2))
    assert (found.only_first, found.only_second) == (100, 100)
    assert found.reweighted == (heavy["site"].iloc[100:400] == "north").sum()
    assert list(found.columns) == ["a", "site"] and found.columns["a"] > 0.5
    assert found.slices[0].after - found.slices[0].before != 0
    with pytest.raises(ContinualError, match="second is empty"):
        diff_sets(DATA, rows, rows.iloc[:0])


def test_the_distance_of_weighted_counts_is_that_of_repeated_rows():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 200), rng.integers(1, 6, 300)
    times = rng.integers(1, 4, 200)
    weighted = hellinger(a, b, (times.astype(float), np.ones(300)))
    assert weighted == pytest.approx(
        hellinger(a.repeat(times), b, (np.ones(times.sum()), np.ones(300)))
    )
    assert hellinger(a, a, (np.ones(200), np.ones(200))) == pytest.approx(0, abs=1e-7)
