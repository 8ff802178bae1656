"`continual compare`: any two tables get an answer; planted changes get their name, their slice and their cause."

import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.profiles.columns import kind_of
from continual_nb.monitoring.compare import Comparison, Monitor, univariate

PLAIN = Settings(min_effect=0.0)
VERDICTS = {"drifted", "stable", "inconclusive", "not testable"}


def table(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    x[:, 0] += shift
    chance = 1 / (1 + np.exp(0.5 - 1.5 * x[:, 0] + x[:, 1]))
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        port=rng.choice(["EWR", "JFK", "LGA"], n),
        segment=[f"s{i}" for i in rng.integers(0, 50, n)],
        score=chance,
        late=(rng.random(n) < chance).astype(int),
    )


def look(a, b, params=None, **names):
    return Monitor(params, **names).fit(a).score(b)


cells = st.one_of(
    st.integers(-5, 5),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["a", "b", "", "<b>", "12", "2024-01-01", "nan", "ä" * 50]),
    st.booleans(),
    st.none(),
    st.just(pd.Timestamp("2024-03-01")),
    st.just((1, 2)),
    st.just(10**30),
    st.just(b"x"),
)
columns = st.one_of(
    st.lists(cells, max_size=60),
    st.lists(st.floats(), max_size=60),
    st.lists(st.booleans(), max_size=60),
    st.lists(st.sampled_from("abc"), max_size=60),
    st.lists(st.just(float("nan")), max_size=60),
    st.lists(st.just(7), max_size=60),
)
tables = st.dictionaries(
    st.sampled_from(["x", "y", "id", "loss", "window", "a b", "=1"]), columns, max_size=4
)


def framed(made):
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=object if not values else None)
            for name, values in made.items()
        }
    )


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(tables, tables)
def test_any_two_tables_get_an_answer(a, b):
    a, b = framed(a), framed(b)
    answer = look(a, b)
    assert {c.column for c in answer.columns} == set(a) | set(b) and all(
        c.verdict in VERDICTS for c in answer.columns
    )
    for c in answer.columns:  # a column that cannot be judged says why, or a finding does
        assert (
            c.verdict != "not testable"
            or c.note
            or any(f.column == c.column for f in answer.quality)
        )
    assert Comparison.model_validate(json.loads(answer.to_json())) == answer
    assert answer.lines() and "<b>" not in answer.page().replace("&lt;b&gt;", "")
    if len(a) == 0 or len(b) == 0:
        assert any(f.rule == "no rows" for f in answer.quality)


@pytest.mark.parametrize(
    "name, column, rule",
    [
        ("all missing", np.full(900, np.nan), "all missing"),
        (
            "infinite",
            np.where(np.arange(900) % 5, 1.0, np.inf) * np.random.default_rng(0).normal(size=900),
            "infinite",
        ),
        ("constant", np.full(900, 3.0), "constant"),
        ("words", np.array(["x"] * 900, dtype=object), "type change"),
        (
            "half missing",
            np.where(np.arange(900) % 2, np.nan, np.random.default_rng(0).normal(size=900)),
            "missing jump",
        ),
        (
            "mixed",
            np.where(
                np.arange(900) % 4, np.random.default_rng(0).normal(size=900).astype(object), "bad"
            ),
            "not a number",
        ),
    ],
)
def test_a_broken_column_is_named_and_is_the_only_incident(name, column, rule):
    a, b = table(1000), table(900, 1)
    answer = look(a, b.assign(c=column), label="late", prediction="score")
    assert rule in {f.rule for f in answer.quality if f.column == "c"}
    assert [set(i.columns) for i in answer.incidents] == [{"c"}] and answer.incidents[
        0
    ].cause == "broken data"


def test_kinds():
    assert (
        kind_of(pd.Series(range(100), name="row")) == "identifier"
        and kind_of(pd.Series([True, None], dtype=object)) == "categorical"
    )
    assert (
        kind_of(pd.Series(["01234", "90210"])) == "categorical"
        and kind_of(pd.Series([None, None])) is None
    )


def test_ten_thousand_levels_do_not_drift_by_themselves():
    rng = np.random.default_rng(2)
    sides = [
        pd.DataFrame(
            {"city": [f"c{i}" for i in rng.integers(0, 10_000, 5000)], "x": rng.normal(size=5000)}
        )
        for _ in range(2)
    ]
    assert look(*sides, PLAIN).incidents == ()


def test_quiet_tables_are_quiet():
    rates = np.mean(
        [
            bool(
                look(
                    table(400, 2 * k),
                    table(400, 2 * k + 1),
                    PLAIN,
                    label="late",
                    prediction="score",
                ).incidents
            )
            for k in range(100, 160)
        ]
    )
    assert rates <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)


def test_one_absurd_value_changes_no_verdict():
    a, b = table(3000), table(3000, 1, shift=1.0)
    odd = a.assign(a=a["a"].where(a.index != 7, 1e9))
    plain, with_it = look(a, b), look(odd, b)
    assert [c.verdict for c in plain.columns] == [
        c.verdict for c in with_it.columns
    ] and plain.columns[0].verdict == "drifted"
    assert with_it.columns[0].familiar["wasserstein"] == pytest.approx(
        plain.columns[0].familiar["wasserstein"], rel=0.01
    )


def test_real_but_irrelevant_is_no_alert():
    rng = np.random.default_rng(3)
    a, b = (
        pd.DataFrame({"x": rng.normal(size=400_000), "y": rng.normal(size=400_000)}),
        pd.DataFrame({"x": rng.normal(0.02, 1, 400_000), "y": rng.normal(size=400_000)}),
    )
    answer = look(a, b)
    assert (
        answer.incidents == ()
        and answer.columns[0].verdict == "stable"
        and answer.columns[0].effect < 0.02
    )


def test_a_turned_correlation_is_seen_and_its_pair_named():
    a, b = table(1000), table(1000, 1)
    a["c"], b["c"] = 0.6 * a["b"] + 0.8 * a["c"], -0.6 * b["b"] + 0.8 * b["c"]
    answer = look(a.drop(columns=["score", "late"]), b.drop(columns=["score", "late"]))
    assert answer.joint.verdict == "drifted" and set(answer.joint.pair) == {"b", "c"}
    assert (
        len(answer.incidents) == 1
        and answer.incidents[0].cause == "dependence"
        and set(answer.incidents[0].members) == {"b", "c"}
    )


@pytest.mark.parametrize("what", ["c", "loss"])
def test_one_slice_of_fifty_is_one_incident_with_its_name(what):
    a, b = table(20_000), table(20_000, 1)
    place = b["segment"] == "s17"
    if what == "c":
        b.loc[place, "c"] += 1.0
    else:
        b.loc[place, "late"] = 1 - b.loc[place, "late"]
    answer = look(a, b, label="late", prediction="score")
    assert [i.slice for i in answer.incidents] == ["segment=s17"] and what in answer.incidents[
        0
    ].members


def test_a_slice_of_ones_own():
    a, b = table(8000), table(8000, 1)
    b.loc[(b["a"] > 1) & (b["port"] == "JFK"), "c"] += 2
    answer = look(a, b, slices=("a > 1 and port == 'JFK'",))
    assert answer.incidents[0].slice == "a > 1 and port == 'JFK'"


def test_parts_of_the_loss_add_up():
    b = table(4000, 1, shift=1.0)
    answer = look(table(4000), b.assign(late=1 - b["late"]), label="late", prediction="score")
    parts = answer.loss.parts
    assert parts.total == pytest.approx(
        parts.covariate + parts.concept + parts.label_shift, abs=1e-8
    )
    assert (
        answer.incidents[0].severity == "harm"
        and answer.incidents[0].action
        and answer.incidents[0].evidence["current"]
    )


def test_univariate_equals_the_whole_answer_in_its_effects():
    a, b = table(2000), table(2000, 1, shift=0.5)
    fitted = Monitor().fit(a)
    assert [c.effect for c in univariate(fitted, b)] == [c.effect for c in fitted.score(b).columns]


def test_command(tmp_path):
    from continual_nb.cli.main import cli

    table(800).to_csv(tmp_path / "a.csv", index=False)
    table(800, 1, shift=1.0).to_parquet(tmp_path / "b.parquet")
    (tmp_path / "empty.csv").write_text("")
    run = lambda *words: CliRunner().invoke(cli, ["compare", *map(str, words)])
    made = run(
        tmp_path / "a.csv",
        tmp_path / "b.parquet",
        "--label",
        "late",
        "--prediction",
        "score",
        "--json",
    )
    answer = json.loads(made.stdout)
    assert made.exit_code == 0 and answer["rows"] == {"reference": 800, "current": 800}
    assert {"columns", "joint", "quality", "incidents", "rows"} <= set(answer) and answer[
        "incidents"
    ][0]["cause"] == "covariate shift"
    assert {"column", "kind", "verdict", "effect", "p_value"} <= set(answer["columns"][0]) and {
        "verdict",
        "p_value",
    } <= set(answer["joint"])
    assert {"title", "cause", "members", "slice", "action"} <= set(answer["incidents"][0])
    page = run(tmp_path / "a.csv", tmp_path / "b.parquet", "--html", tmp_path / "o.html")
    assert (
        page.exit_code == 0
        and len(page.stdout.splitlines()) <= 40
        and (tmp_path / "o.html").read_text().startswith("<!doctype html>")
    )
    assert (
        run(tmp_path / "a.csv", tmp_path / "empty.csv").exit_code == 0
        and run(tmp_path / "a.csv", tmp_path / "no.csv").exit_code == 1
    )
    assert run(tmp_path / "a.csv", tmp_path / "b.parquet", "--label", "nope").exit_code == 1
