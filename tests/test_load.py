"What a window costs does not grow with the windows before it: counts of calls, readings and Git commands, no clock."

import cProfile
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import Memory, go_on, moments
from continual_nb.core.ingest import delivered
from continual_nb.core.metrics import Metrics, Score
from continual_nb.core.state import Card, Cell, State
from continual_nb.core.store import empty_rows
from continual_nb.evaluation.forgetting import MATRIX_WINDOWS, Placement, recall
from continual_nb.policy.triggers import _attempts

_spec = importlib.util.spec_from_file_location(
    "load", Path(__file__).parents[1] / "benchmarks/load.py"
)
load = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(load)


def calls(function) -> int:
    "How many function calls a call makes."
    profile = cProfile.Profile()
    profile.runcall(function)
    return sum(entry.callcount for entry in profile.getstats())


class Counting(Memory):
    "A store in memory that counts what is read of its partitions."

    read: int = 0

    def store(self, partitions):
        store = super().store(partitions)

        def counted(partition, file, columns):
            self.read += 1
            return store.load(partition, file, columns)

        return type(store)(store.partitions, counted)


WATCHED = (*range(10, 16), *range(38, 44))  # windows whose calls are counted


@pytest.fixture(scope="module")
def windows() -> list[tuple[int, int]]:
    "Of some windows: function calls, and files of the store that were read."
    params = load.settings(compose={**load.CAPPED, "always": 200}, train={"models": ["linear"]})
    delivery = delivered(load.rows_of(44, 50), params.data)
    memory = Counting()
    turns = go_on(params, moments(params, delivery), delivery, State(), memory)
    found = []
    for k in range(44):
        profile, before = cProfile.Profile(), memory.read
        profile.runcall(next, turns) if k in WATCHED else next(turns)
        count = sum(entry.callcount for entry in profile.getstats())
        found.append((count, memory.read - before))
    return [found[k] for k in WATCHED]


def test_a_late_window_calls_as_many_functions_as_an_early_one(windows):
    count = [one for one, _ in windows]
    assert np.median(count[6:]) <= 1.25 * np.median(count[:6])


def test_history_is_read_as_a_whole_only_for_the_yardstick_and_the_delays_of_labels(windows):
    read = [one for _, one in windows]
    assert read[-1] - read[-2] == 3  # events and labels, and labels alone, of one more partition
    assert read[-1] <= 3 * 44 + 30


def test_a_wide_table_is_never_built_column_by_column():
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.PerformanceWarning)
        assert load.measure_fold(150, 200)["columns"] == 151
        narrow, wide = (load.settings(n).data for n in (100, 1000))
        assert calls(lambda: empty_rows(wide)) <= 12 * calls(lambda: empty_rows(narrow))


def score(window: str, number: int, model: str = "m") -> Score:
    metrics = Metrics(
        rows=100, loss=0.5, loss_low=0.4, loss_high=0.6, baseline_loss=0.7, skill=0.3, values={}
    )
    return Score(model=model, window=window, iteration=number, part="window", metrics=metrics)


def attempts(windows: int) -> int:
    "Calls that it takes to see what the last attempts were worth, after so many windows."
    names = [f"{name:%Y-%m-%d}" for name in pd.date_range("2020-01-01", periods=windows)]
    entry = {"kind": "evaluation", "fresh": [0.7, 0.1], "iteration": 1, "window": names[0]}
    decision = {"kind": "decision", "answer": "promoted", "iteration": 1, "champion": "m"}
    scores = tuple(score(name, k) for k, name in enumerate(names, 1))
    return calls(lambda: _attempts(State(Card(), ledger=(entry, decision), scores=scores), []))


def test_what_attempts_were_worth_is_found_in_one_pass():
    assert attempts(4000) <= 5 * attempts(1000)


def test_a_record_holds_the_newest_part_of_the_matrix_and_summarises_all_of_it():
    names = [f"w{k:03d}" for k in range(60)]
    cell = {"iteration": 1, "rows": 9, "begins": "", "ends": "", "loss": 0.4}
    cells = tuple(
        Cell(model="m", window=name, skill=k / 60, **cell) for k, name in enumerate(names)
    )
    ledger = tuple(
        entry
        for name in names[:-1]
        for entry in ({"kind": "evaluation", "cohort": name}, {"kind": "decision", "champion": "m"})
    )
    found = recall(State(Card(), ledger=ledger, matrix=cells), (), Placement(names[-1], "m"))
    assert found.windows == tuple(names[-MATRIX_WINDOWS:])
    assert [len(line) for line in found.scores] == [MATRIX_WINDOWS] * MATRIX_WINDOWS
    assert found.scores[-1][-1] == pytest.approx(59 / 60)
    assert found.acc == pytest.approx(59 / 120)  # of all sixty
    assert found.plot().alt.count("w0") == MATRIX_WINDOWS
