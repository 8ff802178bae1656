"""`continual init` on anybody's data: what it guesses, what it refuses, and that the project then turns with no edit by hand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from continual_nb.loop.init import guess, told
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered, event_ids, spelled, time_format, utc
from continual_nb.core.params import Data, feature_name, parse, render, source_name
from continual_nb.core.sources import load
from continual_nb.core.windows import Cadence

BIN = Path(sys.executable).parent


def continual(folder, *words, code=0):
    env = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "true",
    }
    done = subprocess.run(
        [str(BIN / "continual"), *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=env,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def events(n=600, days=180, seed=1):
    rng = np.random.default_rng(seed)
    when = (
        pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * days, unit="D")
    ).floor("s")
    frame = pd.DataFrame(
        {
            "when": when,
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            "city": rng.choice(["Rome", "Oslo", "Bonn"], n),
        }
    )
    frame["y"] = (1.5 * frame.a - frame.b + rng.normal(size=n) > 0).astype(int)
    return frame


def guessed(frame, folder, name="x.parquet", time="when", label="y", **options):
    frame.to_parquet(folder / name) if name.endswith("parquet") else frame.to_csv(
        folder / name, index=False
    )
    params, said = guess(name, folder, time, label, **options)
    assert parse(YAML(typ="safe").load(render(params))) == params
    delivered(load(name, folder), params.data)
    return params, "\n".join(told(said))


# -- times ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "spell, written",
    [
        (lambda t: t, None),
        (lambda t: t.dt.strftime("%Y-%m-%d %H:%M:%S"), None),
        (lambda t: t.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), None),
        (lambda t: t.astype("datetime64[s]").astype("int64"), "s"),
        (lambda t: t.astype("datetime64[ms]").astype("int64"), "ms"),
        (lambda t: t.astype("datetime64[us]").astype("int64"), "us"),
        (lambda t: t.astype("datetime64[ns]").astype("int64"), "ns"),
        (lambda t: t.astype("datetime64[s]").astype("int64") + 0.5, "s"),
        (lambda t: t.dt.strftime("%d/%m/%Y %H:%M"), "%d/%m/%Y %H:%M"),
        (lambda t: t.dt.strftime("%m/%d/%Y %H:%M:%S"), "%m/%d/%Y %H:%M:%S"),
        (lambda t: t.dt.strftime("%d.%m.%Y"), "%d.%m.%Y"),
        (lambda t: t.dt.strftime("%b %d, %Y %I:%M %p"), "%b %d, %Y %I:%M %p"),
        (lambda t: t.dt.strftime("%Y%m%d").astype(int), "%Y%m%d"),
    ],
)
def test_times_are_read_however_they_are_written(tmp_path, spell, written):
    frame = events()
    exact = frame["when"].dt.tz_localize("UTC")
    params, said = guessed(frame.assign(when=spell(frame["when"])), tmp_path)
    read = utc(load("x.parquet", tmp_path)["when"], "UTC", params.data.time_format)
    assert params.data.time_format == written and (read - exact).abs().max() < pd.Timedelta(days=1)
    assert "2021-01-01 to 2021-06-29" in said and (
        written is None or written in said or "since 1970" in said
    )


def test_a_day_first_riddle_is_answered_by_the_order_of_rows():
    days = pd.Series(pd.date_range("2021-01-01", "2021-12-12", freq="D")).loc[
        lambda t: t.dt.day <= 12
    ]
    assert (
        time_format(days.dt.strftime("%d/%m/%Y")) == "%d/%m/%Y"
        and time_format(days.dt.strftime("%m/%d/%Y")) == "%m/%d/%Y"
    )


def test_a_zone_of_the_column_becomes_the_calendar_and_numbers_that_are_no_times_are_refused(
    tmp_path,
):
    frame = events()
    params, _ = guessed(
        frame.assign(
            when=frame["when"].dt.tz_localize(
                "Europe/Berlin", ambiguous=True, nonexistent="shift_forward"
            )
        ),
        tmp_path,
    )
    assert params.data.timezone == "Europe/Berlin"
    with pytest.raises(ContinualError, match="numbers"):
        guessed(frame.assign(when=range(len(frame))), tmp_path)
    with pytest.raises(ContinualError, match="no times"):
        guessed(frame, tmp_path, time="city")


# -- labels and windows --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "make, task, positive",
    [
        (lambda y, r: y, "classification", "1"),
        (lambda y, r: y.astype(bool), "classification", "true"),
        (lambda y, r: y.map({0: "No", 1: "Yes"}), "classification", "Yes"),
        (lambda y, r: y.astype(float).where(r.random(len(y)) > 0.2), "classification", "1"),
        (
            lambda y, r: y.astype(bool).astype(object).where(r.random(len(y)) > 0.2, None),
            "classification",
            "true",
        ),
        (lambda y, r: pd.Series(r.choice(["a", "b", "c"], len(y))), "classification", None),
        (lambda y, r: pd.Series(r.normal(size=len(y))), "regression", None),
        (lambda y, r: pd.Series(r.integers(0, 100, len(y))), "regression", None),
        (lambda y, r: pd.Series(r.integers(0, 6, len(y))), "classification", None),
    ],
)
def test_the_task_and_the_positive_class_are_guessed(tmp_path, make, task, positive):
    frame = events()
    params, said = guessed(frame.assign(y=make(frame.y, np.random.default_rng(1))), tmp_path)
    assert (params.data.task, params.data.positive) == (task, positive) and "label" in said


@pytest.mark.parametrize(
    "n, days, every",
    [
        (600, 180, "month"),
        (900, 12, "day"),
        (900, 60, "week"),
        (900, 3000, "year"),
        (100, 0.01, "20rows"),
    ],
)
def test_windows_fit_the_data(tmp_path, n, days, every):
    assert guessed(events(n, days), tmp_path)[0].windows.every == every


def test_small_windows_get_small_limits_and_large_ones_the_usual(tmp_path):
    small, large = guessed(events(360), tmp_path)[0], guessed(events(6000), tmp_path)[0]
    assert (
        small.evaluate.min_rows < 30
        and small.compose.min_rows < 30
        and large.evaluate.min_rows == 100
    )


def test_stray_times_begin_nothing(tmp_path):
    frame = events()
    frame.loc[0, "when"] = pd.Timestamp("1970-01-01")
    params, said = guessed(frame, tmp_path)
    assert (
        params.windows.start == "2021-01"
        and "1970-01" in said
        and "too few for a first window" in said
    )


def test_labels_that_are_no_labels_are_refused(tmp_path):
    frame = events()
    for bad, what in (
        (None, "holds no label"),
        ([f"u{i}" for i in range(len(frame))], "different values"),
    ):
        with pytest.raises(ContinualError, match=what):
            guessed(frame.assign(y=bad), tmp_path, task="classification")


# -- columns -------------------------------------------------------------------------------------------
def test_columns_that_teach_nothing_are_left_out_with_the_reason(tmp_path):
    frame, rng = events(), np.random.default_rng(1)
    n = len(frame)
    frame = frame.assign(
        row=range(n),
        order_id=rng.permutation(n),
        unique=[f"u{i}" for i in range(n)],
        const=1,
        none=None,
        nested=[[1]] * n,
        born=frame["when"] - pd.Timedelta(days=9000),
        month=frame["when"].dt.month,
        flag=rng.choice([True, False], n),
        number=[str(i % 7) for i in range(n)],
        levels=[f"L{i % 200}" for i in range(n)],
    )
    params, said = guessed(frame, tmp_path)
    assert (
        params.data.id == "order_id"
        and set(params.data.numeric) == {"a", "b", "number"}
        and set(params.data.categorical) == {"city", "flag", "levels"}
    )
    for name, reason in (
        ("row", "running number"),
        ("unique", "different in every row"),
        ("const", "one value"),
        ("none", "no value"),
        ("nested", "lists"),
        ("born", "second time"),
        ("month", "per window"),
    ):
        line = next(line for line in said.splitlines() if reason in line and "left out" in line)
        assert name in line
    kept, _ = guessed(frame, tmp_path, keep=("month", "row"))
    assert {"month", "row"} <= set(kept.data.numeric)


def test_leaks_are_left_out_unless_the_user_insists(tmp_path):
    frame = events()
    frame["refund"] = np.where(frame.y == 1, 5.0, np.nan)
    params, said = guessed(frame, tmp_path)
    assert "refund" not in params.data.features and "LEAK" in said and "--keep" in said
    params, said = guessed(frame, tmp_path, keep=("refund",))
    assert "refund" in params.data.features and "LEAK" in said and "you said so" in said


def test_any_name_of_a_column_survives(tmp_path):
    frame, rng = events(), np.random.default_rng(1)
    odd = [
        'prix "net" €',
        "a b: c#{x}",
        "null",
        "12",
        "new\nline",
        "日本",
        "<b>",
        "=cmd()",
        "x[y]",
        "it's",
        " spaced ",
    ]
    for name in odd:
        frame[name] = rng.normal(size=len(frame))
    params, _ = guessed(frame, tmp_path)
    assert set(odd) <= set(params.data.numeric)
    frame.columns = [*frame.columns[:-1], "7"]
    guessed(frame.rename(columns={"a": "0"}), tmp_path, name="x.csv")


def test_columns_with_our_own_names_are_features_like_any_other(tmp_path):
    own = (
        "event_id",
        "event_time",
        "known_at",
        "window",
        "label",
        "label_time",
        "reason",
        "answered",
        "scored",
    )
    frame, rng = events(), np.random.default_rng(1)
    for name in own:
        frame[name] = rng.integers(0, 50, len(frame))
    params, _ = guessed(frame, tmp_path)
    assert {feature_name(name) for name in own} <= set(params.data.numeric)
    assert [source_name(feature_name(name)) for name in own] == list(own)
    assert len(set(delivered(load("x.parquet", tmp_path), params.data).frame.columns)) == 6 + len(
        params.data.features
    )
    as_roles, _ = guessed(
        events()
        .rename(columns={"when": "event_time", "y": "label"})
        .assign(window=rng.normal(size=600)),
        tmp_path,
        time="event_time",
        label="label",
    )
    assert as_roles.data.numeric == ("a", "b", "window (column)")


def test_ids_made_of_content_do_not_depend_on_the_types_of_a_file(tmp_path):
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2021-01-01", periods=4, freq="D"),
            "a": [1, 2, 3, 3],
            "c": ["x", "y", "z", "z"],
            "y": [0, 1, 0, 1],
        }
    )
    data = Data(source="x", time="when", label="y", numeric=("a",), categorical=("c",))
    ids = event_ids(frame, data)
    for other in (
        frame.astype({"a": float}),
        frame.astype({"a": str, "when": str}),
        frame.assign(a=frame.a.astype(object)),
    ):
        assert event_ids(other, data).tolist() == ids.tolist()
    assert spelled(pd.Series([2.0, 2.5, None, [1, 2]], dtype=object))[[0, 1, 3]].tolist() == [
        "2",
        "2.5",
        "[1, 2]",
    ]


def test_huge_mixed_and_infinite_values_do_not_crash(tmp_path):
    frame, rng = events(), np.random.default_rng(1)
    n = len(frame)
    frame = frame.assign(
        huge=[10**25 + i % 3 for i in range(n)],
        mixed=[str(i % 4) if i % 3 else "n/a?" for i in range(n)],
        inf=np.where(rng.random(n) < 0.05, np.inf, rng.normal(size=n)),
        big=10**18 + rng.integers(0, 9, n),
    )
    guessed(frame, tmp_path, name="x.csv")
    frame["cat"] = pd.Categorical(rng.choice(["p", "q"], n))
    frame["span"] = pd.to_timedelta(rng.random(n), unit="h")
    params, _ = guessed(frame.drop(columns="huge"), tmp_path)
    assert "span" in params.data.numeric and "cat" in params.data.categorical


# -- files ---------------------------------------------------------------------------------------------
def test_csv_files_are_read_with_their_own_separator_and_comma(tmp_path):
    frame = events(50)
    for mark, decimal in ((",", "."), (";", ","), ("\t", "."), (";", ".")):
        frame.to_csv(
            tmp_path / "x.csv", index=False, sep=mark, decimal=decimal, encoding="utf-8-sig"
        )
        assert np.allclose(load("x.csv", tmp_path)["a"], frame["a"])
    (tmp_path / "x.csv").write_bytes("when,y\n2020-01-01,caf\xe9\n".encode("latin1"))
    with pytest.raises(ContinualError, match="UTF-8"):
        load("x.csv", tmp_path)


def test_many_files_are_one_source_and_a_missing_one_is_named(tmp_path):
    frame, folder = events(100), tmp_path / "parts"
    folder.mkdir()
    frame[:60].to_parquet(folder / "1.parquet"), frame[60:].to_parquet(folder / "2.parquet")
    (folder / "README.md").write_text("not a table")
    assert len(load("parts", tmp_path)) == len(load("parts/*.parquet", tmp_path)) == 100
    with pytest.raises(ContinualError, match="no file matches"):
        load("parts/*.csv", tmp_path)
    frame[60:].drop(columns="a").to_parquet(folder / "2.parquet")
    one = load("parts", tmp_path)  # one shape; a column that is used and absent is named later
    assert set(one) == set(frame) and one["a"].isna().sum() == 40


# -- windows that are empty, or cut by rows --------------------------------------------------------------
def test_short_gaps_are_turned_and_long_ones_skipped_with_a_word():
    monthly = Cadence("month")
    times = pd.Series(pd.to_datetime(["2013-01-05", "2013-03-05", "2014-01-09"], utc=True))
    names, skipped = monthly.ahead(monthly.window("2013-01"), monthly.window("2014-01"), times)
    assert names == ["2013-02", "2013-03", "2014-01"] and skipped == [
        "no events in 9 windows, 2013-04 to 2013-12: skipped"
    ]


def test_rows_windows_go_on_where_the_last_one_ended():
    times = pd.Series(pd.date_range("2020-01-01", periods=45, freq="h", tz="UTC"))
    first = Cadence("10rows").extended(times[:20])
    grown = first.extended(times)
    counts = grown.names(times).value_counts(sort=False).to_dict()
    assert grown.edges[: len(first.edges)] == first.edges and counts == {
        "r0001": 10,
        "r0002": 10,
        "r0003": 10,
        "r0004": 10,
        "r0005": 5,
    }


# -- the real thing --------------------------------------------------------------------------------------
def test_a_project_inside_a_repository_turns_with_no_edit_by_hand(tmp_path):
    "Delayed labels that are not a fair sample, our own names, a project in somebody's repository: init, run, and nothing of theirs is touched."
    git = lambda *words: (
        subprocess.run(
            ["git", *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    )
    (
        git("init", "-q"),
        git("config", "user.email", "ann@example.org"),
        git("config", "user.name", "Ann"),
    )
    (tmp_path / "theirs.txt").write_text("draft")
    frame, rng = events(900, 95), np.random.default_rng(1)
    frame["known"] = frame["when"] + pd.to_timedelta(
        np.where(frame.y == 1, rng.exponential(2, 900), rng.exponential(9, 900)), unit="D"
    )
    frame = frame.rename(columns={"b": "window"}).assign(label=rng.normal(size=900))
    frame.to_parquet(tmp_path / "x.parquet")
    said = continual(
        tmp_path,
        "init",
        "ml/churn",
        "--data",
        "x.parquet",
        "--time",
        "when",
        "--label",
        "y",
        "--label-time",
        "known",
        "--every",
        "month",
    )
    assert "median label delay" in said and (tmp_path / "ml/churn/expectations.yaml").exists()
    assert "source: ../../x.parquet" in (tmp_path / "ml/churn/params.yaml").read_text().replace(
        '"', ""
    )
    assert "holds a project already" in continual(
        tmp_path,
        "init",
        "ml/churn",
        "--data",
        "x.parquet",
        "--time",
        "when",
        "--label",
        "y",
        code=1,
    )
    continual(tmp_path / "ml/churn", "run", "--until", "2021-01")
    assert (
        git("tag").split() == ["ml-churn/iter/001-2021-01"]
        and "theirs.txt" not in git("ls-files")
        and "x.parquet" not in git("ls-files")
    )
    record = tmp_path / "ml/churn/reports/001-2021-01"
    assert (record / "report.html").exists() and (tmp_path / "ml/churn/reports/index.html").exists()


def test_a_fresh_project_opens_its_newest_window(tmp_path):
    events().to_csv(tmp_path / "x.csv", index=False)
    assert "opened its first window 2021-01" in continual(
        tmp_path, "init", "p", "--data", "x.csv", "--time", "when", "--label", "y"
    )
    assert "001-2021-06" in continual(tmp_path / "p", "open")
    assert "still open" in continual(tmp_path / "p", "open", code=3)


def test_nothing_is_written_when_something_does_not_fit(tmp_path):
    events().to_csv(tmp_path / "x.csv", index=False)
    for words, hint in (
        (("--time", "whne", "--label", "y"), "'when'"),
        (("--time", "when", "--label", "y", "--start", "2020"), "2013-03"),
        (("--time", "when", "--label", "y", "--keep", "citi"), "'city'"),
        (("--time", "when", "--label", "y", "--label-delay", "soon"), "36h"),
        (("--time", "when", "--label", "y", "--timezone", "Europe/Berln"), "Berlin"),
    ):
        said = continual(tmp_path, "init", "p", "--data", "x.csv", *words, code=1)
        assert hint in said and not (tmp_path / "p").exists()
