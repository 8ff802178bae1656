"Only labels that can decide between two models are asked for, as many as a stated margin needs, and they say the same as all."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.composition.deciding import (
    deciding_probabilities,
    estimated_gain,
    expected_gains,
    gains_by_class,
    labels_needed,
)
from continual_nb.composition.queries import draw_events
from continual_nb.core.files import ContinualError
from continual_nb.core.metrics import losses
from continual_nb.core.models import Predictions
from continual_nb.core.params import Data

DATA = Data(source="-", time="t", label="y", positive="1", numeric=("x",))


def says(p) -> Predictions:
    "Predictions with these probabilities of 1."
    p = np.asarray(p)
    return Predictions(np.where(p > 0.5, "1", "0"), np.stack([1 - p, p], axis=1), ("0", "1"))


def pair(n: int, differ: float, seed: int = 0):
    "Probabilities of two models that differ on a share of events, and the labels of the second's world."
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, n)
    q = np.where(rng.random(n) < differ, rng.uniform(0.05, 0.95, n), p)
    return p, q, (rng.random(n) < 0.4 * p + 0.6 * q)


@settings(max_examples=50, deadline=None)
@given(st.integers(5, 200), st.floats(0, 1), st.integers(1, 300), st.integers(0, 99))
def test_labels_that_cannot_decide_are_never_drawn(n, differ, k, seed):
    p, q, truth = pair(n, differ, seed)
    gains, chance = gains_by_class(DATA, says(p), says(q))
    label = pd.Series(np.where(truth, "1", "0"), dtype="str")
    held = losses(DATA, label, says(p)) - losses(DATA, label, says(q))
    assert np.allclose(held, gains[np.arange(n), truth.astype(int)])
    mean, spread = expected_gains(gains, chance)
    assert ((spread > 0) == (p != q)).all() and (mean[p == q] == 0).all()
    drawn = deciding_probabilities(spread, k)
    assert (drawn[spread == 0] == 0).all() and (drawn[spread > 0] > 0).all() and drawn.max() <= 1
    assert drawn.sum() == pytest.approx(min(k, (spread > 0).sum()))


@pytest.mark.parametrize("honest", [True, False])
def test_the_estimate_is_unbiased_whether_or_not_the_models_are_right(honest):
    p, q, truth = pair(3000, 0.2)
    truth = truth if honest else np.random.default_rng(8).random(3000) < 0.8
    gains, chance = gains_by_class(DATA, says(p), says(q))
    true = gains[np.arange(3000), truth.astype(int)]
    mean, spread = expected_gains(gains, chance)
    drawn_with, rng = deciding_probabilities(spread, 150), np.random.default_rng(1)
    found = []
    for _ in range(2000):
        drawn = draw_events(drawn_with, rng)
        found.append(estimated_gain(true[drawn], drawn, mean, drawn_with))
    means = np.array([one.mean for one in found])
    assert abs(means.mean() - true.mean()) < 4 * means.std() / np.sqrt(2000) + 1e-5
    assert 0.92 <= np.mean([one.low <= true.mean() <= one.high for one in found]) <= 0.99


def test_the_number_that_is_needed_has_the_stated_power():
    "Worlds drawn anew, in which the gain is the margin: it is seen in four of five."
    rng, seen, n = np.random.default_rng(2), [], 4000
    p = rng.uniform(0.1, 0.9, n)
    q = np.where(rng.random(n) < 0.3, np.clip(p + rng.choice([-0.1, 0.1], n), 0.02, 0.98), p)
    gains, chance = gains_by_class(DATA, says(p), says(q))
    mean, spread = expected_gains(gains, chance)
    shift = (gains * np.stack([1 - q, q], axis=1)).sum(axis=1).mean()  # the second is right
    need = labels_needed(mean, spread, shift)
    assert need.labels < need.deciding < n and need.labels < need.uniform
    drawn_with = deciding_probabilities(spread, need.labels)
    for _ in range(1500):
        truth = rng.random(n) < q
        drawn = draw_events(drawn_with, rng)
        one = estimated_gain(gains[drawn, truth[drawn].astype(int)], drawn, mean, drawn_with)
        seen.append(one.low > 0)
    assert 0.75 <= np.mean(seen) <= 0.97, (
        "at least what was promised; all labels of the pool vary less"
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(0.002, 0.3), st.floats(0.002, 0.3), st.integers(0, 99))
def test_a_smaller_margin_needs_more(one, other, seed):
    small, large = sorted((one, other))
    mean, spread = expected_gains(*gains_by_class(DATA, *map(says, pair(800, 0.3, seed)[:2])))
    a, b = (labels_needed(mean, spread, margin) for margin in (small, large))
    if b.labels is None:
        assert a.labels is None
    elif a.labels is not None:
        assert a.labels >= b.labels and a.detectable == b.detectable <= small + 1e-9
    if a.labels is None:
        assert a.detectable > small - 1e-6 and "no number of labels" in str(a)


def test_models_that_agree_leave_nothing_to_decide():
    p = np.full(50, 0.3)
    mean, spread = expected_gains(*gains_by_class(DATA, says(p), says(p)))
    need = labels_needed(mean, spread, 0.01)
    assert need.labels is None and need.deciding == 0
    assert deciding_probabilities(spread, 10).sum() == 0
    numbers = Predictions(np.zeros(3), None, ())
    with pytest.raises(ContinualError, match="every label can decide"):
        gains_by_class(DATA, numbers, numbers)


def test_a_project_orders_the_labels_that_decide_and_reads_the_verdict(sealed, copy):
    loop = copy(sealed)
    frame = pd.read_parquet(loop.source)
    truth = frame.set_index("id")["bad"]
    late = frame.index[frame["id"].str.startswith("e2")][::2]
    frame.loc[late, ["bad", "known"]] = None  # labels that never come by themselves
    loop.deliver(frame)
    loop.continual("open")
    loop.continual("steer", "improve", "--by", "Ada", "--reason", "returns have changed")
    loop.dvc("repro")
    said = loop.continual("labels", "--decide", "0.6").out
    assert "a gain of 0.6 per event is seen" in said
    draws = [eval(line, {"null": None}) for line in loop.path("data/labels/draws.jsonl").open()]
    assert {one["strategy"] for one in draws} == {"deciding"} and all(
        one["challenger"] for one in draws
    )
    path = loop.path("data/labels/002-2024-02.csv")
    queue = pd.read_csv(path, dtype="str", keep_default_na=False)
    asked = queue["event_id"].isin({one["event_id"] for one in draws})
    assert asked.sum() == len(draws)
    queue["label"], queue["by"] = queue["event_id"].map(truth).astype(int).astype("str"), "Ana"
    queue.to_csv(path, index=False)
    status = loop.continual("labels", "status").out
    assert f"per event of 147, from {len(draws)} answers: " in status and "challenger" in status
