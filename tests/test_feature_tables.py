"Feature tables: a value is there from its created time on; what is wrong in a table is named."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop import begun, events

from continual_nb.core.doors import in_project
from continual_nb.core.feature_tables import ENGINES, FeatureTable
from continual_nb.core.features import with_features
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data

ARGS = {"file": "t.parquet", "entity": ["who"], "time": "at", "created": "made"}
START = pd.Timestamp("2024-01-01", tz="UTC")


def days(numbers) -> pd.Series:
    return (START + pd.to_timedelta(list(numbers), unit="D")).as_unit("us")


def frame(rows) -> pd.DataFrame:
    "A table of (who, day, day of creation)."
    who, at, made = zip(*rows, strict=True) if rows else ((), (), ())
    numbers = np.arange(len(rows))
    return pd.DataFrame(
        {
            "who": pd.array(who, dtype="str"),
            "at": days(at),
            "made": days(made),
            "x": numbers * 1.5,
            "n": numbers,
            "word": pd.array([f"w{k}" for k in numbers], dtype="str"),
            "flag": numbers % 2 == 0,
        }
    )


def asked(rows) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["who", "day"]).sort_values("day", kind="stable")
    return made.assign(who=made["who"].astype("str"), event_time=days(made["day"]))


def by_hand(table: pd.DataFrame, row: pd.Series) -> float:
    "The latest value of what was known: the rule, in a loop."
    known = table[
        (table["who"] == row["who"])
        & (table["at"] <= row["event_time"])
        & (table["made"] <= row["event_time"])
    ]
    return known.sort_values(["at", "made"])["x"].iloc[-1] if len(known) else np.nan


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 14)), unique=True),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 14)), min_size=1, max_size=8),
)
def test_both_engines_give_what_was_known(tmp_path_factory, rows, events):
    folder = tmp_path_factory.mktemp("t")
    table, events = frame(rows), asked(events)
    pd.concat([table, table.head(3)]).to_parquet(folder / "t.parquet", index=False)  # repeated
    with in_project(folder):
        made = {e: FeatureTable(**ARGS, engine=e).add(events, START) for e in ENGINES}
    pd.testing.assert_frame_equal(made["pandas"], made["duckdb"])
    wanted = [by_hand(table, row) for _, row in events.iterrows()]
    np.testing.assert_array_equal(made["pandas"]["x"].to_numpy("float64"), wanted)
    assert made["pandas"].index.equals(events.index)


@pytest.mark.parametrize("engine", ENGINES)
def test_old_values_types_prefix_and_missing_keys(tmp_path, engine):
    table = frame([("a", 0, 0), ("b", 8, 8)]).assign(code=[7, 8])
    table["at"], table["made"] = table["at"].dt.tz_localize(None), table["made"].dt.date
    table.to_parquet(tmp_path / "t.parquet", index=False)
    rows = asked([("a", 3), ("a", 9), ("b", 9)]).assign(code=[7.0, np.nan, 8.0])
    args = {**ARGS, "timezone": "UTC", "engine": engine, "prefix": "their_"}
    with in_project(tmp_path):
        made = FeatureTable(**args, max_age="5d", columns=["n", "word"]).add(rows, START)
        by_number = FeatureTable(**{**args, "entity": "code"}, columns=["x"]).add(rows, START)
    assert list(made) == ["their_n", "their_word"]
    assert made["their_n"].tolist() == [0, pd.NA, 1] and made["their_n"].dtype == "Int64"
    assert by_number["their_x"].isna().tolist() == [False, True, False]


def wrong(**columns):
    return lambda table: table.assign(**columns)


BAD = {
    "no table": (None, {"file": "u.parquet"}, "there is no table u.parquet"),
    "no column": (None, {"created": "maed"}, "has no column 'maed'"),
    "no key": (lambda t: t.rename(columns={"who": "whom"}), {}, "has no column 'who'"),
    "no zone": (wrong(at=lambda t: t["at"].dt.tz_localize(None)), {}, "at of t.parquet has no time zone"),
    "no time": (wrong(at=lambda t: t["at"].astype("str")), {}, "at of t.parquet is .*string, no time"),
    "no moment": (wrong(made=lambda t: t["made"].where(t["n"] > 0)), {}, "1 rows of t.parquet have no at or no made"),
    "two values": (lambda t: pd.concat([t, t.head(1).assign(x=9.0)]), {}, "several values of a for the same at and made"),
    "another type": (wrong(who=[1, 2, 3]), {}, "who is int64 in t.parquet and str in the events"),
    "no value": (lambda t: t[["who", "at", "made"]], {}, "no column but who, at, made"),
    "no engine": (None, {"engine": "duckbd"}, "no engine 'duckbd'"),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_is_named(tmp_path, kind, engine):
    change, args, said = BAD[kind]
    table = frame([("a", 0, 0), ("a", 1, 4), ("b", 2, 2)])
    (change(table) if change else table).to_parquet(tmp_path / "t.parquet", index=False)
    with in_project(tmp_path), pytest.raises(ContinualError, match=said) as caught:
        FeatureTable(**{**ARGS, "engine": engine, **args}).add(asked([("a", 3)]), START)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("zone", "hour"), [("UTC", 12), ("Europe/Berlin", 11), ("America/New_York", 17)]
)
def test_the_clock_of_a_table_is_read(tmp_path, zone, hour):
    noon = pd.DataFrame({"who": ["a"], "at": [pd.Timestamp("2024-01-01 12:00")], "x": [1.0]})
    noon.to_parquet(tmp_path / "t.parquet", index=False)
    args = {"file": "t.parquet", "entity": "who", "time": "at", "timezone": zone}
    times = pd.date_range(START, periods=24, freq="h").as_unit("us")
    rows = pd.DataFrame({"who": "a", "event_time": times})
    with in_project(tmp_path):
        made = FeatureTable(**args).add(rows, START)
    assert made["x"].notna().idxmax() == hour


def test_a_table_is_an_entry_of_the_list(tmp_path):
    rows = events(1, 40)
    values = pd.DataFrame({"region": ["north", "south"], "at": days([0, 0]), "rent": [3.0, 4.0]})
    values.to_parquet(tmp_path / "rents.parquet", index=False)
    args = {"file": "rents.parquet", "entity": "region", "time": "at"}
    data = Data(
        source="x", time="when", label="bad", id="id", numeric=("rent",),
        features=[{"name": "table", "args": args}],
    )  # fmt: skip
    made = with_features(rows, data, tmp_path)
    expected = rows["region"].map({"north": 3.0, "south": 4.0})
    np.testing.assert_array_equal(made["rent"], expected)


def rents(planted: bool) -> pd.DataFrame:
    "Rents of each month, and, planted, values that nobody could have known in time."
    regions = ["north", "south", "east"]
    table = pd.DataFrame(
        [(r, 30 * m, 30 * m, 10.0 * m + k) for k, r in enumerate(regions) for m in range(4)],
        columns=["region", "at", "made", "rent"],
    )
    late = [("north", 1, 50, 1e6), ("south", 55, 20, 1e6), ("east", 300, 0, 1e6)]
    table = pd.concat([table, pd.DataFrame(late, columns=list(table))]) if planted else table
    return table.assign(at=days(table["at"]), made=days(table["made"]))


def test_a_planted_value_changes_no_byte_of_what_is_composed(tmp_path):
    made = {}
    for planted in (False, True):
        loop = begun(tmp_path / str(planted), events(4, 120))
        rents(planted).to_parquet(loop.path("rents.parquet"), index=False)
        entry = "{file: rents.parquet, entity: region, time: at, created: made, engine: duckdb}"
        loop.set(numeric="[amount, age, rent]", features=f"[{{name: table, args: {entry}}}]")
        loop.continual("refresh")
        loop.dvc("repro", "compose")
        made[planted] = loop.bytes("data/arrival", "data/work/compose")
        stored = pd.concat(map(pd.read_parquet, loop.path("data/arrival").rglob("*.parquet")))
    assert made[False] == made[True] and len(made[True]) > 3
    assert stored.filter(like="rent").notna().any().all()
