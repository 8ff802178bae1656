"Known values and the measured false alarm rate of the drift test."

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from continual_nb.core.params import Monitor
from continual_nb.monitoring.detectors.univariate import (
    EXPECTED,
    below,
    compare,
    effects,
    hellinger2,
    holm,
    compare_columns,
    limits,
    p_value,
    pool,
)
from continual_nb.monitoring.profiles.profile import column_profile, counts

MONITOR = Monitor()
SHARES = np.linspace(1, 3, 10) / 20


def band(rate, repeats, nominal=0.05, low=0.0):
    "Whether a simulated rate is at most nominal (with the error of the simulation), and at least `low`."
    return low <= rate <= nominal + 3 * math.sqrt(nominal * (1 - nominal) / repeats)


def tilt(distance, shares=SHARES):
    "Tilt shares to a given Hellinger distance."
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        q = shares * np.exp(middle * np.linspace(-1, 1, len(shares)))
        low, high = (middle, high) if hellinger2(shares, q) < distance**2 else (low, middle)
    return q / q.sum()


def test_hellinger_of_a_tenth_is_an_index_of_eight_hundredths():
    q = tilt(0.1)
    assert ((SHARES - q) * np.log(SHARES / q)).sum() == pytest.approx(0.080, abs=0.002)
    assert 8 * hellinger2(SHARES, q) == pytest.approx(0.080, abs=1e-6)


def test_plain_test_is_chi_square():
    rng = np.random.default_rng(0)
    for n in (300, 5000):
        found = compare(rng.multinomial(n, SHARES)[None], rng.multinomial(n, SHARES), True)
        assert found.dispersion == 1 and p_value(found, 0, 0) == pytest.approx(
            stats.chi2.sf(found.statistic, 9), abs=1e-12
        )
        noncentral = stats.ncx2.sf(found.statistic, 9, 8 * found.scale * 0.05**2)
        assert p_value(found, 0.05, 0) == pytest.approx(noncentral, abs=1e-9)


def test_no_minimum_effect_is_the_f_test():
    for statistic, df1, df2, phi in (
        (30, 9, 54, 1.5),
        (4, 1, 6, 1.0),
        (300, 9, 54, 20),
        (12, 2, 12, 2.0),
    ):
        assert below(statistic, df1, df2, phi, 100, 0.0)[0] == pytest.approx(
            stats.f.cdf(statistic / df1 / phi, df1, df2), abs=1e-8
        )


def test_pearson_caps_sparse_tables():
    reference, window = np.array([[300, 200, 30]]), np.array([25, 18, 9])
    found = compare(reference, window, True)
    table = np.vstack([reference[0], window])
    assert found.statistic <= stats.chi2_contingency(table, correction=False).statistic + 1e-9


def test_holm():
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert holm([]) == [] and holm([None]) == [None]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30),
    st.booleans(),
)
def test_pooling_leaves_no_rare_cell(cells, ordered):
    a, b = np.array(cells).T
    if not a.sum() or not b.sum():
        return
    group = pool(a, b, ordered)
    size = np.bincount(group, weights=a + b)
    assert (size > 0).all() and group.min() == 0
    assert len(size) >= min(2, np.count_nonzero(a + b))
    if len(size) > 2:
        assert (size * min(a.sum(), b.sum()) / size.sum() >= EXPECTED - 1e-9).all()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.integers(0, 500), min_size=4, max_size=4), min_size=1, max_size=8),
    st.lists(st.integers(0, 500), min_size=4, max_size=4),
)
def test_any_counts_have_a_verdict(table, window):
    table, window = np.array(table), np.array(window)
    found = compare(table, window, True)
    p = p_value(found, 0.1)
    assert p is None or 0 <= p <= 1
    if found.groups > 1:
        effect, low, high, detectable = (x[0] for x in limits([found], MONITOR, 20))
        assert 0 <= low <= high <= 1 and 0 <= effect <= 1 and 0 <= detectable <= 1


@pytest.mark.parametrize("n", [200, 1000, 10_000])
@pytest.mark.parametrize(("chunks", "sigma"), [(1, 0.0), (6, 0.0), (6, 0.1), (12, 0.1)])
def test_false_alarm_rate(n, chunks, sigma):
    "No drift, no minimum effect, no floor: the rate is at most nominal."
    rng, repeats = np.random.default_rng(n + chunks), 600
    worlds = SHARES * np.exp(rng.normal(0, sigma, (repeats, chunks + 1, 10)))
    drawn = rng.multinomial(n, worlds / worlds.sum(axis=2, keepdims=True))
    rate = np.mean([p_value(compare(d[:-1], d[-1], True), 0, 0) < 0.05 for d in drawn])
    assert band(rate, repeats, 0.06 if sigma else 0.05, 0.025 if chunks == 1 else 0.003)


@pytest.mark.parametrize("chunks", [1, 6])
@pytest.mark.parametrize("groups", [2, 10])
def test_false_alarm_rate_at_the_minimum_effect(chunks, groups):
    "The truth lies exactly at the smallest distance that matters, windows wobble: still at most nominal."
    rng, repeats, shares = (
        np.random.default_rng(groups),
        500,
        np.linspace(1, 3, groups) / (2 * groups),
    )
    worlds = np.vstack([np.tile(shares, (chunks, 1)), tilt(0.1, shares)[None]])
    rates = []
    for n in (1000, 10_000):
        wobble = worlds * np.exp(
            rng.normal(0, 0.1 if chunks > 1 else 0, (repeats, chunks + 1, groups))
        )
        drawn = rng.multinomial(n, wobble / wobble.sum(axis=2, keepdims=True))
        rates.append(np.mean([p_value(compare(d[:-1], d[-1], True), 0.1, 0) < 0.05 for d in drawn]))
    assert all(band(rate, repeats) for rate in rates)


def test_unequal_windows_do_not_break_calibration():
    rng, repeats, alarms = np.random.default_rng(9), 500, 0
    for _ in range(repeats):
        worlds = SHARES * np.exp(rng.normal(0, 0.1, (7, 10)))
        sizes = np.append(rng.integers(500, 8000, 6), rng.choice([600, 3000, 20_000]))
        drawn = rng.multinomial(sizes, worlds / worlds.sum(axis=1, keepdims=True))
        alarms += p_value(compare(drawn[:-1], drawn[-1], True), 0) < 0.05
    assert band(alarms / repeats, repeats)


def test_many_rare_levels():
    rng, repeats, zipf = np.random.default_rng(10), 300, 1 / np.arange(1, 201)
    for n in (200, 2000):
        drawn = rng.multinomial(n, zipf / zipf.sum(), size=(repeats, 7))
        rate = np.mean(
            [
                p_value(compare(d[:-1].sum(axis=0, keepdims=True), d[-1], False), 0, 0) < 0.05
                for d in drawn
            ]
        )
        assert band(rate, repeats)


def test_a_million_rows_and_a_hundredth_of_a_deviation_is_no_alert():
    inner = stats.norm.ppf(np.arange(1, 10) / 10)
    cells = lambda shift: np.diff(stats.norm.cdf(np.r_[-np.inf, inner, np.inf], loc=shift))
    rng = np.random.default_rng(11)
    found = compare(
        rng.multinomial(1_000_000, cells(0), size=6), rng.multinomial(1_000_000, cells(0.01)), True
    )
    assert stats.chi2.sf(found.statistic, 9) < 1e-10  # certain
    assert (
        p_value(found, MONITOR.min_effect) > 0.99
        and limits([found], MONITOR, 20)[2][0] < MONITOR.min_effect
    )  # and irrelevant


def test_planted_drift_is_found_and_stable_has_to_be_earned():
    rng = np.random.default_rng(12)
    months = pd.Series(np.repeat(list("abcdef"), 1000))
    made = [
        column_profile(pd.Series(rng.normal(size=6000), name=name), "numeric", months, MONITOR)
        for name in "xyz"
    ]
    window = [
        pd.Series(rng.normal(0.8, 1, 2000)),
        pd.Series(rng.normal(size=2000)),
        pd.Series(rng.normal(size=60)),
    ]
    x, y, z = compare_columns(made, [counts(c, v) for c, v in zip(made, window)], MONITOR)
    assert (x.verdict, y.verdict, z.verdict) == ("drifted", "stable", "inconclusive")
    assert x.calibrated and x.low > 0.1 and y.high < 0.1 and z.detectable > 0.1
    assert effects((x, y, z), 0.1).png == effects((x, y, z), 0.1).png


def test_interval_covers():
    rng, repeats, q, hits = np.random.default_rng(13), 300, tilt(0.15), 0
    for _ in range(repeats):
        found = compare(rng.multinomial(1000, SHARES, size=6), rng.multinomial(1000, q), True)
        _, low, high, _ = limits([found], MONITOR, 1)
        hits += low[0] <= 0.15 <= high[0]
    assert hits / repeats >= 0.9 - 3 * math.sqrt(0.09 / repeats)


def test_no_history_is_said():
    made = column_profile(pd.Series(np.arange(500.0), name="x"), "numeric", None, MONITOR)
    answer = compare_columns([made], [counts(made, pd.Series(np.arange(500.0)))], MONITOR)[0]
    assert not answer.calibrated and "uncalibrated: no history" in answer.note
