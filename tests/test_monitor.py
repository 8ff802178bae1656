"The stage `monitor` end to end: any two frames, one incident per cause, planted harm."

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from continual_nb.core.metrics import Metrics, measure
from continual_nb.core.models import estimator, fit, predict
from continual_nb.core.params import Data, Monitor, Train
from continual_nb.monitoring.monitor import RowsBefore, monitor
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.detectors.univariate import small_p
from continual_nb.monitoring.profiles.profile import column_profile
from continual_nb.monitoring.result import Monitoring
from continual_nb.policy.decide import broken_data

DATA = Data(
    source="-",
    time="event_time",
    label="late",
    numeric=("rain", "wind", "heat"),
    categorical=("carrier", "port"),
    text=("remark",),
    slices=("port",),
)
MONITOR = Monitor()
NOW = pd.Timestamp("2014-01-01", tz="UTC")
VERDICTS = {"drifted", "stable", "inconclusive", "not testable"}


def month(k, n=1500, effect=1.5):
    "One month of events; `effect` is how much rain matters."
    rng = np.random.default_rng(k)
    start = pd.Timestamp("2013-01-01", tz="UTC") + pd.DateOffset(months=k)
    frame = {name: rng.normal(size=n) for name in DATA.numeric}
    frame["wind"] = np.where(rng.random(n) < 0.05, np.nan, frame["wind"])
    frame |= {
        "carrier": rng.choice(["UA", "B6", "EV"], n, p=[0.5, 0.3, 0.2]),
        "port": rng.choice(["EWR", "JFK", "LGA"], n),
    }
    frame["remark"] = rng.choice(["fine", "a bit late", "rain and wind"], n)
    frame["label"] = (rng.random(n) < 1 / (1 + np.exp(1 - effect * frame["rain"]))).astype(int)
    made = pd.DataFrame(frame).astype({c: "str" for c in ("carrier", "port", "remark", "label")})
    made["event_time"] = (
        start + pd.to_timedelta(np.sort(rng.uniform(0, 28 * 86400, n)), "s")
    ).as_unit("us")
    made["label_time"] = made["event_time"]
    return made.assign(window=f"{start:%Y-%m}", event_id=[f"{k}-{i}" for i in range(n)])


@functools.cache
def world():
    "Reference, champion and its acceptance."
    history = pd.concat([month(k) for k in range(6)], ignore_index=True)
    champion = fit(estimator(DATA, Train(models=["linear"])), history, DATA)
    seventh = month(6)
    said = predict(champion, seventh, DATA)
    return {
        "max_missing_jump": 0.1,
        "iteration": 8,
        "window": "2013-08",
        "as_of": NOW,
        "earlier": month(6)[:0],
        "mature_before": NOW,
        "reference": fit_reference(DATA, MONITOR, history, 1),
        "champion": champion,
        "accepted": measure(DATA, seventh, said),
        "prediction_reference": column_profile(
            said.score(DATA), "numeric", None, MONITOR, "prediction"
        ),
        "recorded": (),
        "findings": (),
    }


def look(rows, **other):
    return monitor(DATA, MONITOR, rows=rows, **(world() | other))


def test_a_quiet_window_is_quiet():
    made = look(month(7))
    assert made.answer == "watched" and made.incidents == () and made.findings == ()
    assert all(c.verdict in ("stable", "inconclusive") for c in made.columns)
    assert (
        Monitoring.model_validate(made.to_dict()) == made
        and made.to_json() == look(month(7)).to_json()
    )


def test_quiet_windows_stay_quiet():
    found = [look(month(100 + k, n=400)).incidents for k in range(40)]
    assert all(
        [i.title for i in incidents if i.title == "Volume"] for incidents in found
    )  # a quarter of the usual rows is told
    loud = sum(any(i.title != "Volume" for i in incidents) for incidents in found)
    assert loud <= 5  # .05 for drift and quality together, .025 for harm


def test_missing_jump_is_one_incident():
    rows = month(7)
    rows.loc[np.random.default_rng(0).random(len(rows)) < 0.5, "wind"] = np.nan
    made = look(rows)
    assert [(i.kind, i.severity, i.columns) for i in made.incidents] == [
        ("quality", "look", ("wind",))
    ]
    assert [f.rule for f in made.findings] == ["missing jump"]


@pytest.mark.parametrize("value", [np.nan, 3.0, -1e12])
def test_one_broken_column_is_one_incident(value):
    rows = month(7)
    rows["heat"] = value
    found = [
        (i.kind, i.columns) for i in look(rows).incidents if i.kind != "performance"
    ]  # a wild value may do real harm
    assert found == [("quality", ("heat",))]


def test_a_feed_that_stops_is_one_incident():
    rows = month(7)
    rows[["wind", "heat"]] = np.nan
    assert [(i.kind, i.columns) for i in look(rows).incidents] == [("quality", ("wind", "heat"))]


def test_drifted_features_are_one_incident_and_take_the_predictions_along():
    rows = month(7)
    rows["rain"] += 1.5
    rows["heat"] -= 1.5
    made = look(rows, mature_before=None)
    assert [(i.kind, set(i.columns)) for i in made.incidents] == [("features", {"rain", "heat"})]
    assert made.incidents[0].severity == "look"  # nobody can tell whether it harms
    assert [c.verdict for c in made.columns if c.role == "prediction"] == ["drifted"]


def test_planted_loss_of_performance_is_harm():
    made = look(month(7, effect=0.3))
    assert made.incidents[0].severity == "harm" and made.incidents[0].kind == "performance"
    assert made.excess > made.excess_low > 0


def test_why_and_where_the_loss_has_risen_is_told_as_in_a_comparison():
    rows = month(7, 3000)
    turned = (rows["port"] == "JFK").to_numpy()
    flipped = rows["label"].map({"0": "1", "1": "0"})
    rows["label"] = rows["label"].where(~turned, flipped)
    known = {"earlier": month(6, 3000), "reference_rows": lambda: month(5, 3000)}
    worst = look(rows, **known).incidents[0]
    assert worst.severity == "harm" and "port=JFK" in worst.sentence
    assert "from concept drift" in worst.sentence
    assert "The same inputs lead to different outcomes" in worst.sentence


def uneven(k: int, at: float, n: int = 4000, honest: bool = True) -> pd.DataFrame:
    "Events around one place of a logistic curve: far from its middle they are easy to guess, at its middle nobody can."
    rng = np.random.default_rng(100 + k)
    x = rng.normal(at, 0.5, n)
    late = rng.random(n) < (1 / (1 + np.exp(-x)) if honest else 1 / (1 + np.exp(x + 1)))
    return month(k, n).assign(rain=x, label=pd.Series(late.astype(int)).astype("str"))


def test_events_that_are_harder_to_guess_for_anybody_are_no_harm():
    history = pd.concat(
        [uneven(k, at) for k, at in enumerate((-4, -3, -2, -1, 0, 1))], ignore_index=True
    )
    champion = fit(estimator(DATA, Train(models=["linear"])), history, DATA)
    easy = uneven(6, -2)
    accepted = measure(DATA, easy, predict(champion, easy, DATA))
    known = {
        "champion": champion,
        "accepted": accepted,
        "reference": fit_reference(DATA, MONITOR, history, 1),
        "prediction_reference": None,
    }
    hard, wrong = (look(uneven(7, 0, honest=honest), **known) for honest in (True, False))
    assert hard.performance.values["brier"] > 1.8 * accepted.values["brier"]
    assert not any(i.severity == "harm" for i in hard.incidents)
    assert any(i.severity == "harm" for i in wrong.incidents)


def test_new_and_vanished_levels():
    rows = month(7)
    rows["port"] = rows["port"].replace({"LGA": "SWF"})
    made = look(rows)
    assert {f.rule for f in made.findings} == {"new level", "vanished level"}
    assert [i.columns for i in made.incidents] == [("port",)]
    rows = month(7)
    rows.loc[3, "port"] = "<script>"
    made = look(rows)
    assert [(f.rule, f.severity, f.count) for f in made.findings] == [
        ("new level", "note", 1)
    ] and made.incidents == ()


def test_a_million_rows_far_from_relevance():
    from continual_nb.monitoring.detectors.univariate import compare_columns
    from continual_nb.monitoring.profiles.profile import ColumnProfile

    rng = np.random.default_rng(0)
    made = ColumnProfile(
        column="x",
        kind="categorical",
        levels=("a", "b"),
        distinct=2,
        counts=tuple((*map(int, rng.multinomial(10**6, [0.5, 0.5])), 0, 0) for _ in range(6)),
    )
    answer = compare_columns(
        [made], [np.array([*rng.multinomial(10**6, [0.504, 0.496]), 0, 0])], MONITOR
    )[0]
    assert answer.verdict == "stable"


def test_restated_windows_keep_the_first_number():
    old = look(month(6)[:300], window="2013-07", iteration=7).scores
    made = look(month(7), earlier=month(6), recorded=old)
    assert [(r.window, r.original.metrics.rows, r.now.metrics.rows) for r in made.restated] == [
        ("2013-07", 300, 1500)
    ]
    assert [s.window for s in made.scores] == ["2013-07", "2013-08"]


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        ({"window": None}, "no window"),
        ({}, "no data"),
        ({"reference": None}, "no data"),
        ({"champion": None}, "no data"),
        ({"mature_before": None}, "no data"),
        ({"accepted": None, "prediction_reference": None}, "no data"),
    ],
)
def test_empty_windows_have_an_answer(other, answer):
    made = look(month(7)[:0], **other)
    assert made.answer == answer
    assert made.section().lead


@pytest.mark.parametrize("n", [1, 2, 29, 30])
def test_few_rows_are_inconclusive(n):
    made = look(month(7)[:n])
    assert {c.verdict for c in made.columns} <= {"inconclusive", "not testable"} and {
        i.title for i in made.incidents
    } <= {"Volume"}


def test_everything_missing():
    rows = month(7)
    for c in DATA.numeric:
        rows[c] = np.nan
    for c in (*DATA.categorical, *DATA.text, "label"):
        rows[c] = pd.Series([None] * len(rows), dtype="str")
    made = look(rows)
    assert len([i for i in made.incidents if i.kind == "quality"]) == 1 and len(made.incidents) == 1
    assert len(made.columns) == 8


def test_a_reference_without_values():
    rows = month(5)
    rows["wind"] = np.nan
    made = look(month(7), reference=fit_reference(DATA, MONITOR, rows[:0], 1))
    assert {c.verdict for c in made.columns if c.role != "prediction"} == {"not testable"}
    look(month(7), reference=fit_reference(DATA, MONITOR, rows, 1))


def test_a_column_that_the_reference_lacks():
    reference = world()["reference"]
    made = look(month(7), reference=reference.model_copy(update={"columns": reference.columns[1:]}))
    assert (
        made.columns[0].verdict == "not testable"
        and made.columns[0].note == "no rows in the reference"
    )


def test_regression():
    data = Data(
        source="-",
        time="event_time",
        label="delay",
        task="regression",
        numeric=("rain",),
        categorical=("port",),
        slices=("port",),
    )
    rows = [month(k) for k in range(8)]
    rows = [
        r.assign(label=3 * r["rain"] + np.random.default_rng(k).normal(size=len(r)))
        for k, r in enumerate(rows)
    ]
    champion = fit(estimator(data, Train(models=["linear"])), rows[0], data)
    said = predict(champion, rows[1], data)
    known = world() | {
        "champion": champion,
        "accepted": measure(data, rows[1], said),
        "reference": fit_reference(data, MONITOR, rows[2], 1),
        "prediction_reference": column_profile(
            said.score(data), "numeric", None, MONITOR, "prediction"
        ),
    }
    made = monitor(data, MONITOR, rows=rows[7].assign(label=rows[7]["label"] * -1), **known)
    assert made.incidents[0].severity == "harm" and made.section().pictures


values = st.one_of(
    st.floats(-1e12, 1e12), st.integers(-3, 3).map(float), st.just(float("nan")), st.just(1e300)
)
names = st.one_of(
    st.sampled_from(["UA", "B6", "", "<b>", "$", "nan"]),
    st.none(),
    st.text(max_size=4).filter(lambda s: "\x00" not in s and s.isprintable()),
)


@st.composite
def frames(draw):
    "Any window: few rows, repeated to be many, with constants, gaps and strange levels."
    n = draw(st.sampled_from([0, 1, 2, 5, 12]))
    times = draw(st.sampled_from([1, 40]))
    column = lambda elements, dtype: pd.Series(
        draw(st.lists(elements, min_size=n, max_size=n)) * times, dtype=dtype
    )
    frame = {c: column(values, "float64") for c in DATA.numeric}
    frame |= {c: column(names, "str") for c in (*DATA.categorical, *DATA.text)}
    frame["label"] = column(st.sampled_from(["0", "1", "2", None]), "str")
    frame["event_time"] = pd.date_range(
        "2013-08-01", periods=n * times, freq="h", tz="UTC", unit="us"
    ).to_series(index=range(n * times))
    frame["window"] = column(st.sampled_from(["2013-07", "2013-08"]), "str").sort_values(
        ignore_index=True
    )
    return pd.DataFrame(frame)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(frames(), frames(), st.booleans())
def test_any_two_frames_have_a_verdict_for_every_column(reference, window, served):
    known = {"reference": fit_reference(DATA, MONITOR, reference, 1), "earlier": reference}
    made = look(window, **known, **({} if served else {"champion": None, "accepted": None}))
    assert len(made.columns) == len(DATA.features) + 1 + served
    assert {c.verdict for c in made.columns} <= VERDICTS
    assert all(c.note for c in made.columns if c.verdict in ("not testable", "inconclusive"))
    section = made.section()
    assert section.lead and all(p.alt for p in section.pictures)
    made.to_json()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.floats(-1, 1))
def test_verdicts_survive_rescaling_and_relabelling(seed, shift):
    rng = np.random.default_rng(seed)
    history = pd.concat([month(k, n=200) for k in range(6)], ignore_index=True)
    window = month(7, n=300)
    window["rain"] += shift
    history[["rain", "heat"]], window[["rain", "heat"]] = (
        history[["rain", "heat"]].round(1),
        window[["rain", "heat"]].round(1),
    )
    names = dict(zip(["UA", "B6", "EV"], rng.permutation(["x", "a b", "Ω"])))

    def other(rows):
        return rows.assign(
            rain=np.exp(rows["rain"]),
            heat=3 * rows["heat"] - 7,
            carrier=rows["carrier"].map(names).astype("str"),
        )

    answers = [
        [
            (c.verdict, c.effect, c.p_value)
            for c in look(w, reference=fit_reference(DATA, MONITOR, h, 1), champion=None).columns
        ]
        for h, w in ((history, window), (other(history), other(window)))
    ]
    assert answers[0] == answers[1]


def test_the_same_months_a_year_ago_are_a_season():
    warm = lambda k: month(k).assign(heat=lambda d: d["heat"] + 1.2)
    history = functools.partial(pd.concat, [month(k) for k in range(6)], ignore_index=True)
    for year_ago, cause in ((warm(19), "season"), (month(19), "covariate shift")):
        past = RowsBefore(history, lambda rows=year_ago: rows)
        found = look(warm(7), reference_rows=past).incidents
        told = [i for i in found if "heat" in i.columns]
        assert told[0].cause == cause, told
        assert ("a year ago" in told[0].sentence) == (cause == "season")


def test_an_unknown_cause_says_what_was_ruled_out_and_asks_for_no_labels_that_have_come():
    from continual_nb.monitoring.diagnosis.causes import action_of, shift_type

    kinds = dict.fromkeys(("rain", "wind", "heat"), "numeric")
    then, now = month(1), month(2)
    law = shift_type(then, now, kinds, [then["label"], now["label"]], False)
    assert law.cause == "unknown" and law.sentence.count("(p ") == 3
    there, late = now["label"], now["label"].where(np.arange(len(now)) < 100)
    for cause in ("unknown", "concept shift"):
        assert "labels" not in action_of(cause, there) and "labels" in action_of(cause, late)


def test_a_new_category_is_not_broken_data_and_forbids_no_training():
    rows = month(7)
    rows["carrier"] = rows["carrier"].where(np.arange(len(rows)) % 4 > 0, "NEW")
    made = look(rows)
    assert {i.cause for i in made.incidents if "carrier" in i.columns} == {"new category"}
    assert broken_data(made).answer == "no"


def test_numbers_are_capped_and_shares_have_the_level_at_acceptance_below_them():
    worse = look(
        month(7), accepted=measure(DATA, month(6), predict(world()["champion"], month(6), DATA))
    )
    base = worse.performance.loss
    better = worse.model_copy(
        update={"excess": -2.3 * base, "excess_low": -2.4 * base, "excess_high": -2.2 * base}
    )
    assert "70% below" in better.section().lead
    assert small_p(1e-300) == "< .001" and small_p(0.02) == "0.02" and small_p(None) == ""
