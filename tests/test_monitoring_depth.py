"Joint test, budget, tickets, causes, estimate, sensitivity and engine: known values, sizes, and what is planted."

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.params import Data, Monitor
from continual_nb.monitoring.budget import e_value, gather
from continual_nb.monitoring.diagnosis.causes import hotelling, split_loss
from continual_nb.monitoring.sensitivity import detectable
from continual_nb.monitoring.diagnosis.estimate import corrected, estimate, mixture, shares
from continual_nb.monitoring.diagnosis.incidents import Incident, tickets
from continual_nb.monitoring.detectors.joint import (
    fit_joint,
    fourier,
    joint,
    mmd,
    domain_classifier,
    waves,
)
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.profile import (
    BUCKETS,
    between,
    bucket,
    column_profile,
    counts,
)
from continual_nb.monitoring.profiles.reference import Profile, on_cells
from continual_nb.monitoring.detectors.quality import units

PLAIN = Monitor(min_effect=0.0)
DATA = Data(source="-", time="t", label="y", numeric=("x",), categorical=("c", "city"))


def rows(n, seed, names=("a", "b")):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.3, 0, rng.normal(size=n)),
            "c": pd.Series(rng.choice(["u", "v", None], n), dtype="str"),
            "city": pd.Series(rng.integers(0, 400, n)).astype("str"),
            "label": pd.Series(rng.choice(["0", "1"], n), dtype="str"),
            "window": rng.choice(list(names), n),
        }
    )


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.floats(), max_size=200),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9, unique=True),
)
def test_the_fast_path_counts_as_searchsorted_does(values, edges):
    values, edges = np.array(values, dtype=float), np.unique(edges)
    cell = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
    assert (
        between(values, edges, block=16).tolist()
        == np.bincount(cell, minlength=len(edges) + 2).tolist()
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 1000))
def test_profiles_add_up(n, m, seed):
    known = fit_reference(DATA, Monitor(), rows(500, 1), 1)
    a, b = rows(n, seed), rows(m, seed + 1)
    one = lambda part, name: on_cells(
        known, {**{c: part[c] for c in ("x", "c", "city")}, "y": part["label"]}, name
    )
    both = one(pd.concat([a, b], ignore_index=True), "w")
    assert one(a, "w") + one(b, "w") == both
    assert (one(a, "p") + one(b, "q")).windows == ("p", "q")
    assert [c.table.sum() for c in both.columns] == [n + m] * 4


def test_dictionary_coded_columns_count_the_same():
    part = rows(1000, 3)
    for name in ("c", "city"):
        made = column_profile(part[name], "categorical", None, Monitor())
        coded = part[name].astype("category")
        assert (
            column_profile(coded, "categorical", None, Monitor()) == made
            and (counts(made, coded) == counts(made, part[name])).all()
        )
    assert 0 <= bucket("ä", BUCKETS) < BUCKETS


def test_engine_counts_as_numpy_does(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    from continual_nb.monitoring.profiles.engine import counted, parquet_profile

    part = rows(3000, 4)
    part.loc[:3, "x"] = [np.nan, np.inf, -np.inf, 0.0]
    known = fit_reference(DATA, Monitor(), rows(2000, 5), 1)
    here = {c.column: counts(c, part[c.column]).tolist() for c in known.columns[:3]}
    assert (
        counted(part, known.columns[:3]) == here
        and counted(duckdb.from_df(part.drop(columns="window")), known.columns[:3]) == here
    )
    for i in range(2):
        part[i::2].to_parquet(tmp_path / f"{i}.parquet")
    told = parquet_profile(tmp_path / "*.parquet", known, "w")
    assert {c.column: list(c.counts[0]) for c in told.columns} == here and told.rows == 3000


def test_hotelling_by_hand():
    a, b = (
        np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]]),
        np.array([[1.0, 1], [3, 1], [1, 3], [3, 3]]),
    )
    statistic, df, scale = hotelling(a, b)
    assert (df, scale) == (2, 2.0) and statistic == pytest.approx(
        2 * (1 / (4 / 3) * 2) * (8 - 2 - 3) / 6
    )


def wide(n, seed, r=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    x[:, 1] = r * x[:, 0] + math.sqrt(1 - r**2) * x[:, 1]
    return pd.DataFrame(x, columns=list("vwxyz")).assign(k=rng.choice(["p", "q", "r"], n))


KINDS = dict.fromkeys("vwxyz", "numeric") | {"k": "categorical"}


def test_the_joint_test_keeps_its_size():
    rate = np.mean(
        [
            joint(fit_joint(wide(500, 2 * s), KINDS), wide(400, 2 * s + 1), PLAIN, floor=0).verdict
            == "drifted"
            for s in range(200)
        ]
    )
    assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_the_joint_test_does_not_depend_on_the_order_of_columns():
    a, b = wide(800, 1), wide(700, 2, r=0.0)
    turned = dict(reversed(KINDS.items()))
    one, two = (
        joint(fit_joint(a, KINDS), b, PLAIN, floor=0),
        joint(fit_joint(a, turned), b, PLAIN, floor=0),
    )
    assert (
        one.effect == pytest.approx(two.effect, rel=1e-3)
        and one.verdict == two.verdict == "drifted"
        and set(one.pair) == {"v", "w"}
    )
    assert waves(["a", "b"], 8, 1.0)[1].tolist() == waves(["b"], 8, 1.0)[0].tolist() and fourier(
        np.zeros((2, 1)), np.zeros((1, 3))
    ).shape == (2, 6)


def test_a_classifier_that_cannot_tell_says_so():
    told = domain_classifier(wide(600, 1), wide(600, 2), KINDS)
    assert told.p_value > 0.01 and 0.4 < told.auc < 0.6


def test_mmd_counts_itself_among_the_permutations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(150, 3)), rng.normal(1, 1, (120, 3))
    square = ((np.concatenate([a, b])[:, None] - np.concatenate([a, b])) ** 2).sum(axis=2)
    assert (
        mmd(a, b, 50)[1] == pytest.approx(1 / 51)
        and mmd(a, b, 50, tile=32)[0] == pytest.approx(mmd(a, b, 50)[0], rel=1e-4)
        and square.shape == (270, 270)
    )
    assert np.mean(
        [mmd(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), 19)[1] <= 0.05 for _ in range(200)]
    ) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.none(), st.floats(0, 1)), max_size=6),
    st.floats(0.1, 12),
    st.sampled_from([1, 4, 12, 52, 365]),
)
def test_evidence_is_reset_by_an_alarm_and_kept_otherwise(p_values, budget, windows):
    told = gather(p_values, {"a": 2.0}, budget, windows)
    assert told.monitors == len(p_values) and set(told.carried) <= {
        n for n, p in p_values.items() if p is not None
    }
    assert (
        all(v == 0 for v in told.by.values())
        if told.fired
        else told.by.get("a", 0)
        == (
            pytest.approx(3 * e_value(p_values["a"]))
            if p_values.get("a") is not None
            else told.by.get("a", 0)
        )
    )


def test_the_budget_does_not_grow_with_monitors():
    rng = np.random.default_rng(1)
    for monitors in (5, 50):
        alarms, state = 0, {}
        for _ in range(52 * 40):
            told = gather({str(i): p for i, p in enumerate(rng.random(monitors))}, state, 1.0, 52)
            state, alarms = told.by, alarms + bool(told.fired)
        assert alarms / 40 <= 1.0 + 3 * math.sqrt(1 / 40)


def test_a_monitor_carries_an_alarm_only_if_its_own_evidence_grew():
    state = {"a": 1.0, "b": 9.0, "c": 0.5}  # few columns, yearly windows: the threshold is low
    told = gather({"a": 0.01, "b": 1.0, "c": 1.0}, state, 1.0, 1, 0.7)
    assert told.fired and told.carried == ("a",)
    quiet = gather({"a": 1.0, "b": 1.0}, {"a": 9.0, "b": 9.0}, 1.0, 1, 0.7)
    assert quiet.fired == quiet.carried == ()


def test_shares_by_hand():
    p = np.repeat([0.2, 0.8], [500, 500])
    now = shares(p, 0.5)
    assert now == pytest.approx(0.5, abs=1e-4) and corrected(np.array([0.5]), 0.5, 0.9)[
        0
    ] == pytest.approx(0.9)
    assert estimate(np.zeros(0)) is None and estimate(p, share_before=None) is None


def test_the_mixture_test_keeps_its_size():
    rng = np.random.default_rng(3)

    def draw(n, share):
        y = rng.random(n) < share
        return rng.normal(size=n) + y, y

    found = []
    for _ in range(200):
        known, label = draw(2000, 0.3)
        found.append(mixture(known, label, draw(1500, 0.5)[0], 0.5) < 0.05)
    assert np.mean(found) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_parts_add_up(n, seed):
    rng = np.random.default_rng(seed)
    told, losses, label = (
        ([rng.uniform(0.01, 0.99, n), rng.uniform(0.01, 0.99, n)] for _ in range(1)).__next__(),
        [rng.exponential(size=n), rng.exponential(size=n)],
        [rng.integers(0, 3, n), rng.integers(0, 3, n)],
    )
    parts = split_loss(told, losses, label)
    assert parts.total == pytest.approx(
        parts.covariate + parts.concept + parts.label_shift, abs=1e-6
    )


@pytest.mark.parametrize(
    "change, found",
    [
        (lambda x: 1.609344 * x, True),
        (lambda x: x / 1000, True),
        (lambda x: 2 * x, False),
        (lambda x: x + 100, False),
        (lambda x: x, False),
    ],
)
def test_units(change, found):
    rng = np.random.default_rng(4)
    known = column_profile(pd.Series(rng.gamma(3, 100, 3000), name="d"), "numeric", None, Monitor())
    now = pd.Series(change(rng.gamma(3, 100, 2000)))
    assert bool(units(known, counts(known, now), now, Monitor())) == found


def test_celsius_and_fahrenheit():
    rng = np.random.default_rng(5)
    known = column_profile(pd.Series(rng.normal(15, 8, 3000), name="t"), "numeric", None, Monitor())
    now = pd.Series(1.8 * rng.normal(15, 8, 2000) + 32)
    assert "Fahrenheit" in units(known, counts(known, now), now, Monitor())[0].finding.sentence


def test_an_incident_closes_when_it_is_certainly_gone():
    alert = Incident(
        kind="features", severity="look", title="x drifted", columns=("x",), sentence="x."
    )
    now, left = tickets([alert], [], set(), "01")
    for window in ("02", "03", "04"):
        left = tickets([], left, set(), window)[1]  # silent is not gone
    assert len(left) == 1
    for window in ("05", "06"):
        left = tickets([], left, {"x"}, window)[1]
    assert left == [] and now[0].since == "01"
    said = {
        "key": alert.key,
        "columns": ["x"],
        "verdict": "noise",
        "until": "02",
        "by": "Ada",
        "reason": "known",
    }
    assert [tickets([alert], [], set(), w, (said,))[0][0].severity for w in ("02", "03")] == [
        "note",
        "look",
    ]


def test_one_cause_asks_once_whatever_the_order_of_its_names():
    alert = lambda *columns, kind="features", **more: Incident(
        kind=kind, severity="look", title=" ".join(columns), columns=columns, sentence="-", **more
    )
    left, asked = [], []
    for window, now in (
        ("01", [alert("a", "b")]),
        ("02", [alert("b", "a")]),
        ("03", [alert("b", sizes={"b": (0.3, 0.25)})]),
        ("04", [alert("b", "c")]),  # another column has joined
        ("05", [alert("c", "a")]),
        ("06", [alert("a", rule="dependence")]),  # moved in another way
        ("07", []),
    ):
        made, left = tickets(now, left, set(), window)
        asked += [(window, i.title) for i in made if i.severity != "note"]
    assert asked == [("01", "a b"), ("04", "b c"), ("06", "a")]
    assert made == [] and len(left) == 2


def test_an_open_incident_asks_again_when_it_grows_returns_or_a_year_has_passed():
    far = lambda effect: Incident(
        kind="features",
        severity="look",
        title="-",
        columns=("x",),
        sentence="-",
        sizes={"x": (effect, effect - 0.05)},
    )
    severity = lambda now, left, stable=set(), again=math.inf: tickets(
        now, left, stable, "09", (), again
    )
    left = tickets([far(0.3)], [], set(), "01")[1]
    assert severity([far(0.4)], left)[0][0].severity == "note"
    assert severity([far(0.5)], left)[0][0].severity == "look"  # for certain .15 further
    assert severity([far(0.3)], left, again=1)[0][0].severity == "look"
    gone = severity([], severity([], left, {"x"})[1], {"x"})[1]
    assert gone == [] and severity([far(0.3)], gone)[0][0].severity == "look"


def test_a_wandering_reference_hides_more():
    rng = np.random.default_rng(6)
    months = pd.Series(np.repeat([f"{m:02}" for m in range(8)], 1500))
    found = {}
    for wobble in (0, 0.15):
        x = pd.Series(rng.normal(np.repeat(rng.normal(0, wobble, 8), 1500)), name="x")
        columns = (column_profile(x, "numeric", months, Monitor()),)
        about = {"windows": tuple(months.unique()), "iteration": 1, "rows": len(x)}
        (found[wobble],) = detectable(Profile(**about, columns=columns), Monitor(budget=2.0), 52)
    assert found[0.15].wobble > 2 > found[0].wobble
    assert found[0].distance < found[0.15].distance
