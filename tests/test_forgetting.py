"Forgetting: known values of a small matrix, and a season that returns."

import numpy as np
import pandas as pd
import pytest

from continual_nb.composition.compose import RECALLED, evaluated_before
from continual_nb.core.metrics import Score, measure
from continual_nb.core.models import estimator, fit, predict
from continual_nb.core.params import Data, Train
from continual_nb.core.state import Card, Cell, State, read_state, write_state
from continual_nb.evaluation.forgetting import (
    Past,
    Placement,
    column,
    recall,
    row,
    score_matrix,
    steps_of,
    transfer,
)

DATA = Data(source="x", time="t", label="y", numeric=("x",))
HAND = np.array([[0.9, 0.3, 0.2], [0.7, 0.8, 0.4], [0.6, 0.9, 0.85]])


def season(window, slope, n=500, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    hit = draw.random(n) < 1 / (1 + np.exp(-slope * x))
    return pd.DataFrame(
        {
            "event_id": [f"{window}{i}" for i in range(n)],
            "event_time": pd.date_range(f"{window}-01", periods=n, freq="h", tz="UTC", unit="us"),
            "window": pd.Series([window] * n, dtype="str"),
            "x": x,
            "label": pd.Series(np.where(hit, "1", "0"), dtype="str"),
        }
    )


def learned(rows):
    return fit(estimator(DATA, Train(models=["linear"])), rows, DATA)


def scored(model, rows, iteration):
    found = measure(DATA, rows, predict(model, rows, DATA))
    window = rows["window"].iloc[0]
    return Score(
        model=model.hash, window=window, iteration=iteration, part="evaluation", metrics=found
    )


def test_three_by_three_as_computed_by_hand():
    found = transfer(HAND, np.full(3, 0.1))
    assert found.acc == pytest.approx(2.35 / 3)
    assert found.bwt == pytest.approx(((0.6 - 0.9) + (0.9 - 0.8)) / 2)
    assert found.fwt == pytest.approx(((0.3 - 0.1) + (0.4 - 0.1)) / 2)
    assert found.forgetting == pytest.approx(((0.9 - 0.6) + (0.8 - 0.9)) / 2)


def test_cells_that_were_not_scored_count_nowhere():
    one = transfer(np.array([[0.5]]), np.zeros(1))
    assert one == (0.5, None, None, None)
    part = HAND.copy()
    part[2, 0] = part[0, 1] = np.nan
    found = transfer(part, np.zeros(3))
    assert found.acc == pytest.approx((0.9 + 0.85) / 2)
    assert found.bwt == pytest.approx(0.1) and found.forgetting == pytest.approx(-0.1)
    assert found.fwt == pytest.approx(0.4)


def test_a_season_that_a_new_model_has_not_seen_is_named_as_forgotten():
    december, july = season("2023-12", 2.0), season("2024-07", -1.0, seed=1)
    winter, summer = (
        learned(season("2023-11", 2.0, seed=2)),
        learned(season("2024-06", -1.0, seed=3)),
    )
    before = column((scored(winter, december, 1),), december)
    now = column((scored(winter, july, 2), scored(summer, july, 2)), july)
    others = {winter.hash: winter}
    lost = row(DATA, summer, Past(("2024-06",), december, before), others, 2)
    ledger = (
        {"kind": "evaluation", "cohort": "2023-12"},
        {"kind": "decision", "champion": winter.hash},
    )
    found = recall(
        State(ledger=ledger, matrix=before), (*now, *lost), Placement("2024-07", summer.hash)
    )
    assert [c.window for c in found.forgotten] == [
        "2023-12"
    ] and "2023-12 is forgotten" in found.sentence
    assert found.bwt < 0 < found.forgetting
    both = learned(pd.concat([season("2023-11", 2.0, seed=2), december], ignore_index=True))
    kept = row(DATA, both, Past(("2023-11", "2023-12"), december, before), others, 2)
    assert kept[0].learned
    state = State(ledger=ledger, matrix=before)
    assert not recall(state, kept, Placement("2024-07", both.hash)).forgotten


def test_a_window_evaluated_again_replaces_its_step_and_its_cell():
    entries = []
    for window, champion in (("a", "m"), ("a", "n"), (None, "n"), ("b", "n")):
        entries += [
            {"kind": "evaluation", "cohort": window},
            {"kind": "decision", "champion": champion},
        ]
    steps = steps_of(tuple(entries))
    assert steps == (Placement("a", "n"), Placement("b", "n"))
    cell = dict(model="n", iteration=1, rows=9, begins="", ends="", loss=0.5)
    cells = (Cell(window="a", skill=0.1, **cell), Cell(window="a", skill=0.2, **cell))
    np.testing.assert_array_equal(score_matrix(cells, steps), [[0.2, np.nan], [0.2, np.nan]])


def test_earlier_windows_are_scored_on_the_rows_that_were_evaluated_then():
    rows = season("2024-01", 1.0, n=700)
    spans = dict(window="2024-01", iteration=1, rows=5, loss=0.5, skill=0.1)
    edge = lambda at: rows["event_time"].iloc[at].isoformat()
    cell = Cell(model="m", begins=edge(300), ends=edge(499), **spans)
    later = season("2024-02", 1.0)
    found = evaluated_before(pd.concat([rows, later], ignore_index=True), (cell,), later)
    assert list(found["event_id"]) == list(rows["event_id"][300:500])
    assert (
        evaluated_before(rows, (), later).empty
        and evaluated_before(rows, (cell,), rows.head(0)).empty
    )
    large = season("2024-01", 1.0, n=740)
    assert len(evaluated_before(pd.concat([large] * 2), (cell,), later)) <= RECALLED


def test_the_matrix_crosses_to_the_next_iteration(tmp_path):
    cell = Cell(
        model="m", window="w", iteration=1, rows=1, begins="", ends="", loss=0.5, skill=None
    )
    write_state(State(Card(), matrix=(cell,)), tmp_path)
    assert read_state(tmp_path).matrix == (cell,)
    (tmp_path / "matrix.json").unlink()
    assert read_state(tmp_path).matrix == ()  # a state of an earlier version
