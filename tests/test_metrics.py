"Metrics: known values, undefined ones by name, and intervals that cover as often as they say."

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.metrics import auc, baseline_losses, days, interval_of_mean, losses, measure
from continual_nb.core.models import Predictions
from continual_nb.core.params import Data

TWO = Data(source="x", time="t", label="y", numeric=("a",))
NUMBERS = TWO.model_copy(update={"task": "regression"})


def says(proba, classes=("0", "1")):
    proba = np.asarray(proba, dtype=float)
    return Predictions(np.array(classes)[proba.argmax(axis=1)], proba, classes)


def two(p):
    return says(np.stack([1 - np.asarray(p), p], 1))


def happened(labels, hours=1):
    time = pd.date_range("2024-01-01", periods=len(labels), freq=f"{hours}h", tz="UTC", unit="us")
    label = pd.Series(labels, dtype=None if isinstance(labels, np.ndarray) else "str")
    return pd.DataFrame({"event_time": time, "label": label})


def test_log_loss_is_clipped_and_missing_labels_stay_missing():
    label = pd.Series(["1", "0", "0", "2", None], dtype="str")
    found = losses(TWO, label, two([0.8, 0.8, 1.0, 0.5, 0.5]))
    clip = -math.log(1e-6)
    assert np.allclose(found, [-math.log(0.8), -math.log(0.2), clip, clip, np.nan], equal_nan=True)
    assert losses(TWO, label[:1], two([1.0]))[0] == pytest.approx(1e-6, rel=1e-3)


def test_absolute_error():
    said = Predictions(np.array([1.0, 2.0]), None, ())
    assert np.allclose(losses(NUMBERS, pd.Series([0.0, np.nan]), said), [1, np.nan], equal_nan=True)


def test_the_best_constant_answer():
    assert baseline_losses(TWO, pd.Series(["1", "0", "0", "0"])).mean() == pytest.approx(0.5623351)
    assert baseline_losses(NUMBERS, pd.Series([0.0, 1.0, 5.0])).tolist() == [1, 0, 4]


def test_the_interval_of_independent_rows_is_students():
    from scipy import stats

    values = np.random.default_rng(0).normal(size=25)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = interval_of_mean(values, None, 0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.df == 24
    assert found.sf(0.1) == pytest.approx(
        stats.ttest_1samp(values, 0.1, alternative="greater").pvalue
    )


def test_the_interval_of_equal_clusters_is_that_of_their_means():
    values, cluster = np.random.default_rng(1).normal(size=60), np.repeat(np.arange(10), 6)
    means = values.reshape(10, 6).mean(axis=1)
    found, expected = interval_of_mean(values, cluster), interval_of_mean(means)
    assert (found.mean, found.se, found.df) == pytest.approx((expected.mean, expected.se, 9))
    few = interval_of_mean(values, cluster % 7)
    assert few == interval_of_mean(values)


def test_few_values_are_an_answer():
    assert interval_of_mean(np.array([]))[:4] == (None, None, None, None)
    assert interval_of_mean(np.array([2.0]))[:3] == (2.0, None, None)
    same = interval_of_mean(np.full(5, 2.0))
    assert (same.low, same.high, same.sf(1.9), same.sf(2.0)) == (2.0, 2.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "sizes", [np.full(30, 20), np.full(8, 50), np.r_[np.full(20, 5), 60, 80, 100]]
)
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_coverage_with_clusters(sizes, spread):
    draw, trials, covered = np.random.default_rng(11), 1500, 0
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(trials):
        values = spread * draw.normal(size=len(sizes))[cluster] + draw.normal(size=len(cluster))
        found = interval_of_mean(values, cluster)
        covered += found.low <= 0 <= found.high
    assert covered / trials > 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
    assert covered / trials < 0.995


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=60),
    st.floats(-10, 10),
    st.floats(0.1, 10),
    st.integers(1, 12),
)
def test_the_interval_moves_and_scales_with_the_values(values, shift, scale, every):
    values, cluster = np.array(values), np.arange(len(values)) % every
    found, moved = (
        interval_of_mean(values, cluster),
        interval_of_mean(values * scale + shift, cluster),
    )
    assert np.allclose(moved[:3], np.array(found[:3]) * scale + shift, atol=1e-6)
    assert found.low <= found.mean <= found.high


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_auc_is_that_of_scikit_learn(pairs):
    from sklearn.metrics import roc_auc_score

    hit, score = np.array([h for h, _ in pairs]), np.array([s for _, s in pairs], dtype=float)
    if len(set(hit)) == 1:
        assert auc(hit, score) is None
    else:
        assert auc(hit, score) == pytest.approx(roc_auc_score(hit, score))
        assert auc(~hit, score) == pytest.approx(1 - auc(hit, score))


def test_measure_two_classes():
    rows = happened(["1", "0", "1", "0", None])
    found = measure(TWO, rows, two([0.9, 0.2, 0.4, 0.3, 0.5]))
    assert found.rows == 4 and found.notes == ()
    assert list(found.values) == [
        "accuracy",
        "auc",
        "brier",
        "positive_share",
        "recall",
        "precision",
    ]
    assert found.values == pytest.approx(
        {
            "accuracy": 0.75,
            "auc": 1.0,
            "brier": 0.125,
            "positive_share": 0.5,
            "recall": 0.5,
            "precision": 1.0,
        }
    )
    assert found.loss_low < found.loss < found.loss_high
    assert found.baseline_loss == pytest.approx(math.log(2))
    assert found.skill == pytest.approx(1 - found.loss / math.log(2))


def test_the_base_rate_has_no_skill():
    found = measure(TWO, happened(["1", "0", "0", "0"]), two([0.25] * 4))
    assert found.skill == pytest.approx(0, abs=1e-9) and found.values["auc"] == 0.5


def test_the_positive_class_is_chosen():
    data = TWO.model_copy(update={"positive": "0"})
    found = measure(data, happened(["1", "0", "0", "0"]), two([0.9, 0.2, 0.4, 0.3]))
    assert found.values["positive_share"] == 0.75 and found.values["auc"] == 1.0


def test_one_class_is_undefined_not_a_half():
    found = measure(TWO, happened(["1", "1", "1"]), two([0.9, 0.2, 0.4]))
    assert found.values["auc"] is None and found.skill is None
    assert any("auc undefined: one class" in note for note in found.notes)


@pytest.mark.parametrize(
    "data, said, names",
    [
        (
            TWO,
            two(np.empty(0)),
            ["accuracy", "auc", "brier", "positive_share", "recall", "precision"],
        ),
        (TWO, says(np.empty((0, 3)), ("a", "b", "c")), ["accuracy", "auc", "brier"]),
        (NUMBERS, Predictions(np.empty(0), None, ()), ["mae", "median_error", "rmse", "r2"]),
    ],
)
def test_no_rows_is_an_answer(data, said, names):
    found = measure(data, happened(["1"]).head(0), said)
    assert (found.rows, found.loss, found.skill) == (0, None, None)
    assert list(found.values) == names and set(found.values.values()) == {None}
    assert "NaN" not in found.to_json() and found.section().lead


def test_one_row_has_no_interval():
    found = measure(TWO, happened(["1"]), two([0.9]))
    assert found.rows == 1 and found.loss is not None and found.loss_low is None


def test_three_classes_and_one_that_the_model_never_saw():
    label = ["a", "b", "c", "a", "d"]
    proba = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [0.4, 0.3, 0.3]]
    found = measure(TWO, happened(label), says(proba, ("a", "b", "c")))
    assert found.values["accuracy"] == 0.8 and found.values["auc"] == 1.0
    assert any("never saw the class 'd'" in note for note in found.notes)
    part = measure(TWO, happened(["a", "b"]), says(proba[:2], ("a", "b", "c")))
    assert any("2 of 3 classes" in note for note in part.notes)


def test_regression():
    rows = happened(np.array([0.0, 2.0, 4.0]))
    found = measure(NUMBERS, rows, Predictions(np.array([0.0, 2.0, 1.0]), None, ()))
    assert found.values == pytest.approx(
        {"mae": 1.0, "median_error": 0.0, "rmse": math.sqrt(3), "r2": 1 - 3 / (8 / 3)}
    )
    assert found.baseline_loss == pytest.approx(4 / 3)
    flat = measure(
        NUMBERS, happened(np.array([1.0, 1.0])), Predictions(np.array([1.0, 1.0]), None, ())
    )
    assert flat.values["r2"] is None and flat.skill is None and len(flat.notes) == 2


def test_days_are_utc_days():
    time = pd.Series(
        pd.to_datetime(["2024-01-01T23:59Z", "2024-01-02T00:00Z", "2024-01-02T23:00Z"])
    )
    assert np.diff(days(pd.DataFrame({"event_time": time}))).tolist() == [1, 0]
    east = pd.DataFrame({"event_time": time.dt.tz_convert("Asia/Tokyo")})
    assert days(east).tolist() == days(pd.DataFrame({"event_time": time})).tolist()


def test_the_order_of_rows_does_not_matter():
    draw = np.random.default_rng(4)
    rows, p = happened(list(draw.choice(["0", "1"], 400))), draw.random(400)
    order = draw.permutation(400)
    one, two_ = measure(TWO, rows, two(p)), measure(TWO, rows.iloc[order], two(p[order]))
    assert one.values == pytest.approx(two_.values) and one.loss_low == pytest.approx(two_.loss_low)
