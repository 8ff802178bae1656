"Every crossing is counted, the planted one is named, and nothing is named where nothing is; expected metrics by hand."

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.metrics import auc
from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.compare import Monitor
from continual_nb.monitoring.diagnosis.estimate import expected
from continual_nb.monitoring.profiles.profile import column_profile, counts
from continual_nb.monitoring.diagnosis.slices import CELLS, crossings, highest, risen


def by_hand(codes, sizes, loss, alpha, least):
    "Every slice of up to three columns, one mask at a time."
    made, n, overall = [], len(loss), loss.mean() or 1.0
    for which in crossings(sizes):
        for levels in product(*(range(sizes[c]) for c in which)):
            inside = np.logical_and.reduce([codes[c] == level for c, level in zip(which, levels)])
            if inside.sum() >= max(least, 1):
                score = alpha * (loss[inside].mean() / overall - 1) - (1 - alpha) * (
                    n / inside.sum() - 1
                )
                if score > 0:
                    made.append((score, int(inside.sum())))
    return sorted(made, reverse=True)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
def test_the_highest_slices_are_those_of_an_exhaustive_search(seed, columns, least):
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(2, 5)) for _ in range(columns)]
    codes, loss = [rng.integers(0, s, 300) for s in sizes], rng.exponential(size=300)
    found, truth = (
        highest(codes, sizes, loss, 4, least=least),
        by_hand(codes, sizes, loss, 0.95, least),
    )
    assert [pytest.approx(s) for s, _ in truth[:4]] == [f[3] for f in found]


def world(n, seed, place=None, worse=1.5):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({f"c{i}": rng.choice([f"l{j}" for j in range(3 + i)], n) for i in range(5)})
    loss = rng.exponential(size=n)
    if place:
        inside = np.logical_and.reduce([rows[c] == level for c, level in place.items()])
        loss = np.where(inside, loss * (1 + worse), loss)
    return rows, loss


@pytest.mark.parametrize(
    "place", [{"c2": "l1"}, {"c1": "l0", "c3": "l2"}, {"c0": "l1", "c1": "l2", "c2": "l0"}]
)
def test_a_planted_crossing_is_named(place):
    (then, before), (now, after) = world(12_000, 1), world(12_000, 2, place)
    told = risen(then, now, list(then), [before, after])
    assert (
        told[0].name == ", ".join(f"{c}={level}" for c, level in place.items())
        and told[0].p_value < 0.001
    )


def test_nothing_is_named_where_nothing_has_risen():
    found = [
        risen(a[0], b[0], list(a[0]), [a[1], b[1]])
        for a, b in ((world(2000, 10 * s), world(2000, 10 * s + 1)) for s in range(60))
    ]
    assert np.mean([bool(f) for f in found]) <= 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5
    everywhere = world(3000, 5), world(3000, 6)
    assert (
        risen(
            everywhere[0][0],
            everywhere[1][0],
            ["c0", "c1"],
            [everywhere[0][1], 2 + everywhere[1][1]],
        )
        == ()
    )  # all rows are worse: no group is
    assert (
        risen(
            everywhere[0][0][:5],
            everywhere[1][0][:5],
            ["c0"],
            [everywhere[0][1][:5], everywhere[1][1][:5]],
        )
        == ()
    )


def test_wide_columns_are_not_crossed_beyond_what_fits():
    assert (0, 1) not in crossings([CELLS, 2]) and (0,) in crossings([CELLS, 2])


def test_compare_names_the_crossing():
    sides = []
    for seed, flip in ((1, False), (2, True)):
        rng = np.random.default_rng(seed)
        side = pd.DataFrame(
            {
                "x": rng.normal(size=12_000),
                "port": rng.choice(["E", "J", "L"], 12_000),
                "kind": rng.choice(list("abcd"), 12_000),
            }
        )
        p = 1 / (1 + np.exp(-2 * side["x"]))
        side["score"], side["y"] = p, (rng.random(12_000) < p).astype(int)
        hit = (side["port"] == "J") & (side["kind"] == "c") & flip
        side.loc[hit, "y"] = 1 - side.loc[hit, "y"]
        sides.append(side)
    answer = Monitor(Settings(), label="y", prediction="score").fit(sides[0]).score(sides[1])
    assert [c.name for c in answer.loss.crossed] == ["port=J, kind=c"] and answer.loss.crossed[
        0
    ].p_value < 0.001
    assert "port=J, kind=c" in answer.incidents[0].sentence and "port=J, kind=c" in answer.page()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), min_size=2, max_size=60))
def test_certain_outcomes_give_the_metrics_of_labels(pairs):
    p, scores = map(np.array, zip(*pairs))
    told, hit = expected(p, scores), p == 1
    called = scores >= 0.5
    assert told.accuracy == pytest.approx((called == hit).mean(), abs=1e-9)
    assert told.auc == (
        None if hit.all() or not hit.any() else pytest.approx(auc(hit, scores), abs=1e-9)
    )
    if hit.any() or called.any():
        assert told.f1 == pytest.approx(
            2 * (hit & called).sum() / (hit.sum() + called.sum()), abs=1e-9
        )


def test_windows_in_order_count_as_windows_in_any_order():
    rng = np.random.default_rng(0)
    values, chunk = (
        pd.Series(np.where(rng.random(900) < 0.1, np.nan, rng.normal(size=900))),
        np.sort(rng.integers(0, 4, 900)),
    )
    known, turn = (
        column_profile(values.rename("x"), "numeric", None, Settings()),
        rng.permutation(900),
    )
    assert (counts(known, values, chunk, 5) == counts(known, values[turn], chunk[turn], 5)).all()
