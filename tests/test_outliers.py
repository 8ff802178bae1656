"Rows unlike the reference: as many as said in good data, the planted ones by name, and out of the training set only where that is asked for."

import numpy as np
import pandas as pd
import pytest

from continual_nb.composition.compose import compose
from continual_nb.core.params import Compose, Data, Monitor
from continual_nb.monitoring.compare import Monitor as Comparing
from continual_nb.monitoring.detectors.outliers import CROWD, outliers, p_values, unusual_of
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.reference import Profile

DATA = Data(
    source="-", time="t", label="y", numeric=("a", "b", "heavy"), categorical=("port", "tail")
)
SHARE = Monitor(outlier_share=0.01)


def stream(n, seed, months=4):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    when = pd.Series(
        pd.date_range(
            "2020-01-01", periods=n, freq=f"{months * 30 * 24 * 60 // n}min", tz="UTC"
        ).as_unit("us")
    )
    made = pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "event_time": when,
            "window": when.dt.strftime("%Y-%m"),
            "a": a,
            "b": 0.95 * a + 0.3 * rng.normal(size=n),
            "heavy": rng.standard_cauchy(n),
            "port": rng.choice(["E", "J"], n),
            "tail": pd.Series(rng.zipf(1.4, n) % 5000).astype("str"),
        }
    )
    made["label"] = (
        pd.Series(np.where(a + rng.normal(size=n) > 0, "1", "0"))
        .astype("str")
        .where(rng.random(n) > 0.1)
    )
    made["label_time"] = (when + pd.Timedelta(days=2)).where(made.label.notna())
    return made


KNOWN = fit_reference(DATA, SHARE, stream(6000, 0), 1)


def test_good_rows_are_listed_as_often_as_said():
    found = [
        len(
            unusual_of(fit_reference(DATA, SHARE, stream(n, 10 + s), 1), stream(1000, 90 + s), 0.01)
        )
        for n in (600, 3000)
        for s in range(12)
    ]
    assert (
        abs(np.mean(found) - 10) < 3.5
    )  # 24 references of 300 and 1,500 held-out rows: standard error of the mean 1.1


@pytest.mark.parametrize(
    "change, columns",
    [
        ({"a": 9.0}, ("a",)),
        ({"heavy": 1e9}, ("heavy",)),
        ({"port": "?"}, ("port",)),
        ({"a": 1.9, "b": -1.9}, ("a", "b")),
        ({"a": np.inf}, ("a",)),
    ],
)
def test_a_planted_row_is_named_with_what_is_unusual(change, columns):
    window = stream(1000, 3).astype({"port": "str"})
    for name, value in change.items():
        window.loc[7, name] = value
    found = unusual_of(KNOWN, window, 0.01)
    assert found.loc[found.event == "e7", "columns"].tolist() == [", ".join(columns)]


def test_rare_names_are_no_outliers_where_names_are_rare():
    window = stream(1000, 4)
    window["tail"] = [f"never seen {i}" for i in range(1000)]
    assert not unusual_of(KNOWN, window, 0.01)["columns"].eq("tail").any()


def test_the_order_of_rows_does_not_matter_and_few_rows_are_an_answer():
    window = stream(800, 5)
    one, two = (
        unusual_of(KNOWN, window, 0.02),
        unusual_of(KNOWN, window[::-1].reset_index(drop=True), 0.02),
    )
    assert (
        dict(zip(one.event, one.p_value)) == dict(zip(two.event, two.p_value))
        and one.score.is_monotonic_decreasing
    )
    features = KNOWN.columns[:-1]
    assert (
        outliers(features, KNOWN.joint, KNOWN.outliers, window, 1e-5, 0.05).verdict
        == "not testable"
    )
    assert Profile.model_validate(KNOWN.to_dict()) == KNOWN and len(KNOWN.outliers.to_json()) < 6000
    assert p_values(KNOWN.outliers, np.array([np.inf]))[0] == 1 / (1 + sum(KNOWN.outliers.held))


def test_a_window_with_more_than_usual_says_so():
    features = KNOWN.columns[:-1]
    quiet, odd = stream(2000, 6), stream(2000, 6)
    odd.loc[:79, "b"] = -2.5 * np.sign(odd.loc[:79, "a"])
    told = [
        outliers(features, KNOWN.joint, KNOWN.outliers, rows, 0.01, 0.05) for rows in (quiet, odd)
    ]
    assert [t.verdict for t in told] == ["as usual", "more"] and told[1].count > told[
        1
    ].expected == 20
    a = stream(4000, 8)
    b = stream(3000, 9)
    b.loc[:39, "a"] = 40.0
    answer = (
        Comparing(SHARE)
        .fit(a.drop(columns=["event_id", "event_time"]))
        .score(b.drop(columns=["event_id", "event_time"]))
    )
    assert (
        answer.outliers.verdict == "more"
        and {int(u.event) for u in answer.outliers.top} <= set(range(40))
        and answer.outliers.by_column[0][0] == "a"
    )


def made(outliers, rows=None, known=KNOWN):
    rows = stream(4000, 11) if rows is None else rows
    now = rows.event_time.iloc[-1]
    return compose(
        DATA,
        Compose(outliers=outliers, audit=3),
        SHARE,
        rows,
        now - pd.Timedelta(days=2),
        now,
        4,
        True,
        known=known if outliers != "keep" else None,
    )


def test_outliers_leave_the_training_set_only_where_that_is_asked_for():
    kept, out, asked = made("keep"), made("leave_out"), made("ask")
    gone = set(out.outliers.event_id)
    assert (
        0 < len(gone) < 0.03 * 4000
        and kept.outliers.empty
        and out.outliers.reason.str.startswith("unlike the reference in ").all()
    )
    for name, part in out.sets.items():
        assert set(kept.sets[name].event_id) - set(part.event_id) == gone & set(
            kept.sets[name].event_id
        )
    assert (
        out.composition.left_out["unlike the reference"]
        == len(gone & set(kept.sets["refit_all"].event_id))
        and "unlike the reference" not in kept.composition.left_out
    )
    pd.testing.assert_frame_equal(out.evaluation, kept.evaluation)  # the yardstick is not trimmed
    extra = asked.queue[asked.queue.reason == "outlier"]
    assert (
        len(extra)
        and set(extra.event_id) <= gone
        and not asked.queue.event_id.duplicated().any()
        and (out.queue.reason == "audit").all()
    )


def test_a_crowd_of_unusual_rows_is_a_change_and_stays():
    rows = stream(4000, 12)
    rows["port"] = rows["port"].astype("str").where(rows["window"] != "2020-02", "?")
    out = made("leave_out", rows)
    of = rows.set_index("event_id")["window"][out.outliers.event_id]
    assert (
        (of != "2020-02").all()
        and len(out.outliers)
        and (rows["window"] == "2020-02").mean() > CROWD
    )
    told = outliers(
        KNOWN.columns[:-1],
        KNOWN.joint,
        KNOWN.outliers,
        stream(900, 13).assign(a=lambda t: t["a"] + 5),
        0.001,
        0.05,
    )
    assert told.verdict == "crowd" and told.top == () and "no single row is named" in told.sentence
