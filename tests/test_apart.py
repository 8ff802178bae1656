"Nothing says the same on both sides of training and evaluation, and columns that know the answer are named."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.composition.apart import (
    alike_rows,
    came_before_label,
    column_checks,
    kept_apart,
    revised_columns,
)
from continual_nb.composition.compose import compose
from continual_nb.core.params import Compose, Data, Monitor
from continual_nb.core.store import Partition, Store

NAMES = ("a", "b", "c")
DATA = Data(source="-", time="t", label="y", numeric=NAMES, categorical=("site",), entity="who")
TIMES = dict(tz="UTC", unit="us")


def table(n: int, seed: int, start: str = "2024-01-01", digits: int | None = None) -> pd.DataFrame:
    "Rows of the loop, each of an entity of its own; rounded to so many digits."
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(draw.normal(size=(n, 3)), columns=list(NAMES))
    rows = rows if digits is None else rows.round(digits)
    rows["site"] = pd.array(draw.choice(["north", "south"], n), dtype="str")
    rows["event_id"] = pd.array([f"{start}-{seed}-{k}" for k in range(n)], dtype="str")
    rows["entity_key"] = pd.array([f"u{start}-{seed}-{k}" for k in range(n)], dtype="str")
    rows["event_time"] = pd.date_range(start, periods=n, freq="h", **TIMES)
    rows["window"] = pd.array(rows["event_time"].dt.strftime("%Y-%m"), dtype="str")
    rows["label_time"] = rows["event_time"]
    rows["label"] = pd.array(np.where(rows["a"] + draw.normal(size=n) > 0, "1", "0"), dtype="str")
    return rows


def sides(seed: int, digits: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table(600, 2 * seed, digits=digits), table(200, 2 * seed + 1, "2024-02-01", digits)


def test_a_planted_near_duplicate_and_a_planted_entity_are_found_every_time():
    for seed in range(25):
        train, test = sides(seed)
        train.loc[5, list(NAMES)] = test.loc[9, list(NAMES)].to_numpy(float) * (1 + 1e-8)
        train.loc[5, "site"] = test.loc[9, "site"]
        train.loc[8, "entity_key"] = test.loc[3, "entity_key"]
        found = kept_apart(train, test, DATA, 0.1)
        twin, person = found.left.values()
        assert (twin, person) == ({train["event_id"][5]}, {train["event_id"][8]})
        assert len(found.rows) == 598 and found.checks[0].sentence.startswith("1 rows that say")


@pytest.mark.parametrize("digits", [0, 1])
def test_rows_of_a_coarse_table_repeat_by_nature_and_stay(digits):
    gone = [alike_rows(*sides(seed, digits), DATA).hit.mean() for seed in range(40)]
    assert np.mean(gone) <= 0.01


def test_a_coarse_table_whose_evaluation_was_copied_is_found():
    train, test = sides(3, digits=1)
    features = [*NAMES, "site"]
    train.loc[:149, features] = test.loc[:149, features].to_numpy()
    hit = alike_rows(train, test, DATA).hit
    assert hit[:150].mean() > 0.6 and hit[150:].mean() < 0.15


def test_a_text_that_was_copied_with_a_word_changed_is_found():
    data = Data(source="-", time="t", label="y", numeric=("a",), text=("note",))
    train, test = sides(1)
    draw = np.random.default_rng(0)
    words = np.array([f"word{k}" for k in range(300)])
    for part in (train, test):
        part["a"] = 1.0
        part["note"] = [" ".join(draw.choice(words, 30)) for _ in range(len(part))]
    copied = test["note"][7].split()
    train.loc[4, "note"] = " ".join(["other", *copied[1:]]).upper() + "!"
    train.loc[6, "note"] = " ".join(sorted(copied))
    assert np.flatnonzero(alike_rows(train, test, data).hit).tolist() == [4]
    train.loc[4, "a"] = 2.0
    assert not alike_rows(train, test, data).hit.any()


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(0, 1), st.floats(0, 1))
def test_every_row_is_kept_or_left_with_one_reason(seed, digits, most):
    train, test = sides(seed, digits)
    train["entity_key"] = train["entity_key"].where(train.index % 7 > 0, test["entity_key"][0])
    found = kept_apart(train, test, DATA, most)
    left = [row for ids in found.left.values() for row in ids]
    assert sorted([*found.rows["event_id"], *left]) == sorted(train["event_id"])
    assert bool(found.left["its entity is kept for evaluation"]) == (most >= 86 / 600)


def composed(rows: pd.DataFrame, data: Data = DATA, before=None, **params):
    made = Compose.model_validate(
        {"evaluation_share": 0.5, "recipes": {"whole": ["all"]}, **params}
    )
    now = rows["event_time"].max() + pd.Timedelta(1, "D")
    return compose(data, made, Monitor(), rows, now, now, 4, training=True, before=before)


def test_compose_keeps_them_apart_and_says_why():
    rows = pd.concat(sides(5), ignore_index=True)
    late = rows.index[-3]
    rows.loc[10, [*NAMES, "site"]] = rows.loc[late, [*NAMES, "site"]].to_numpy()
    rows.loc[20, "entity_key"] = rows.loc[late, "entity_key"]
    made = composed(rows)
    taken = set(made.sets["whole"]["event_id"])
    assert not taken & set(rows["event_id"][[10, 20]]) and rows["event_id"][11] in taken
    why = made.reasons.set_index("event_id")["whole"]
    assert why[rows["event_id"][10]] == "says the same as a row kept for evaluation"
    assert why[rows["event_id"][20]] == "its entity is kept for evaluation"
    assert made.composition.left_out["its entity is kept for evaluation"] == 1
    assert set(why[made.evaluation["event_id"]]) == {"kept for evaluation"}


def test_entities_that_recur_stay_and_it_is_said():
    rows = pd.concat(sides(6), ignore_index=True)
    rows["entity_key"] = pd.array([f"m{k % 20}" for k in range(len(rows))], dtype="str")
    made = composed(rows)
    (said,) = [c for c in made.composition.checks if c.name == "entities apart"]
    assert said.verdict == "look" and "entities recur" in said.sentence
    assert len(made.sets["whole"]) == len(rows) - len(made.evaluation)
    apart = composed(rows, entity_share=1.0)
    assert apart.composition.answer == "not enough data" and not apart.sets


def test_a_column_that_is_revised_once_the_outcome_is_there_is_named():
    rows = pd.concat(sides(7), ignore_index=True)
    before = np.arange(len(rows)) >= 350
    hit = (rows["label"] == "1").to_numpy()
    rows["c"] = np.where(before, rows["c"], hit + 0.3 * rows["c"])
    assert list(revised_columns(rows, before, DATA)) == ["c"]
    said = [c for c in composed(rows, before=before).composition.checks if c.name == "column c"]
    assert [c.verdict for c in said] == ["look"] and "when the row came in" in said[0].sentence
    rows["b"] = hit * 2.0
    named = {c.name for c in column_checks(rows, before, DATA)}
    assert named == {"column b", "column c"}


def test_columns_of_clean_tables_are_not_named():
    named = 0
    for seed in range(30):
        rows = pd.concat(sides(seed), ignore_index=True)
        named += sum(c.verdict == "look" for c in column_checks(rows, np.arange(800) >= 500, DATA))
    assert named == 0


def test_an_event_came_before_its_label_if_its_partition_was_older():
    rows = table(4, 0)
    rows["label_time"] = pd.to_datetime(["2024-01-10"] * 2 + ["2024-03-01"] * 2, utc=True)
    empty = dict(events=2, labels=0, quarantined=0, spans={}, hashes={}, prints={})
    parts = [
        Partition(name=f"{k}", iteration=k, as_of=f"2024-0{k + 1}-01T00:00:00+00:00", **empty)
        for k in (1, 2)
    ]
    held = {"1": rows.iloc[[0, 2]], "2": rows.iloc[[1, 2, 3]]}
    store = Store(tuple(parts), lambda p, file, columns: held[p.name][columns])
    assert came_before_label(rows, store).tolist() == [False, False, True, False]
