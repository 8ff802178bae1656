"""Situations that a careful analyst would judge without a doubt: what is called changed, and what is not."""

import numpy as np
import pandas as pd
import pytest

from continual_nb.monitoring.compare import Monitor, compare_files
from continual_nb.monitoring.diagnosis.loss import loss_kind

ROWS = 3000


def table(seed: int, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    city = rng.choice(["Oslo", "Rome", "Bonn"], rows, p=[0.5, 0.3, 0.2])
    return pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows), "city": city})


def scored(seed: int, rows: int = ROWS) -> pd.DataFrame:
    rng, made = np.random.default_rng(seed), table(seed, rows)
    made["p"] = 1 / (1 + np.exp(-1.5 * made.x))
    made["label"] = (rng.random(rows) < made.p).astype(int)
    return made


def loud(then: pd.DataFrame, now: pd.DataFrame, **names) -> list:
    answer = Monitor(**names).fit(then).score(now)
    return [i for i in answer.incidents if i.severity != "note"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "Int64", "bool", "object", "str"])
def test_a_label_in_another_type_is_the_same_label(dtype):
    then, now = scored(1), scored(2)
    now["label"] = now.label.astype(dtype)
    assert not loud(then, now, label="label", prediction="p")
    assert not loud(now, then, label="label", prediction="p")


def test_labels_that_have_not_come_are_no_drift_of_the_label(tmp_path):
    then, now = scored(1), scored(2)
    now["label"] = now.label.astype("Int64").mask(np.arange(ROWS) > ROWS // 2)
    for name, rows in (("then", then), ("now", now)):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = tmp_path / "then.csv", tmp_path / "now.csv"
    answer = compare_files(*paths, label="label", prediction="p")
    assert all(i.severity == "note" for i in answer.incidents)
    assert not loud(then, now.drop(columns="label"), label="label", prediction="p")


def test_a_lost_zero_and_another_case_are_other_values():
    then, now = table(1), table(2)
    for rows, seed in ((then, 3), (now, 4)):
        rows["zip"] = np.random.default_rng(seed).choice(["01067", "04109", "10115"], ROWS)
    assert not loud(then, now)
    now["zip"] = now.zip.str.lstrip("0")
    now["city"] = now.city.str.upper()
    assert {"zip", "city"} <= {c for i in loud(then, now) for c in (*i.columns, *i.members)}


def test_a_constant_within_rounding_is_one_value():
    then, now = table(1).assign(c=0.1 + 0.2), table(2).assign(c=0.3)
    now.loc[::2, "c"] = 0.1 + 0.2
    assert not loud(then, now)
    assert loud(then, now.assign(c=0.31))


@pytest.mark.parametrize("levels", [99, 150, 1000, 5000])
def test_unseen_levels_are_told_at_any_cardinality(levels):
    then, now = table(1, 5000), table(2, 5000)
    for rows, seed in ((then, 3), (now, 4)):
        rows["sku"] = [f"item {k}" for k in np.random.default_rng(seed).integers(0, levels, 5000)]
    assert not loud(then, now)
    now["sku"] = now.sku.str.upper()
    if levels < 5000:  # there, a third of the reference's levels occur once: new ones are expected
        assert any("sku" in (*i.columns, *i.members) for i in loud(then, now))


def test_a_rise_of_a_small_missing_share_is_told_for_columns_of_every_kind():
    then, now = table(1), table(2)
    for rows, share in ((then, 0.02), (now, 0.08)):
        gone = np.random.default_rng(5).random(ROWS) < share
        rows["day"] = pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h")).mask(gone)
        rows["x"] = rows.x.mask(gone)
    assert {"x", "day"} <= {c for i in loud(then, now) for c in i.columns}
    assert not loud(then, table(3).assign(x=then.x.sample(frac=1, random_state=1), day=then.day))


def test_days_that_stand_for_none_are_told():
    day = pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h"))
    now = table(2).assign(day=day.mask(np.arange(ROWS) % 10 == 0, pd.Timestamp("1970-01-01")))
    assert any("day" in i.columns for i in loud(table(1).assign(day=day), now))
    assert not loud(table(1).assign(day=day), table(2).assign(day=day))


@pytest.mark.parametrize("spell", [lambda v: pd.to_timedelta(v, unit="min"), "{:.2f} kg".format])
def test_durations_and_numbers_with_a_unit_are_numbers(spell):
    far = lambda seed, by: np.exp(np.random.default_rng(seed).normal(3, 0.6, ROWS)) * by
    made = lambda seed, by: table(seed).assign(wait=list(map(spell, far(seed, by))))
    assert not loud(made(1, 1), made(2, 1))
    assert any("wait" in (*i.columns, *i.members) for i in loud(made(1, 1), made(2, 1.4)))


def test_the_kind_of_loss_is_decided_on_the_reference():
    rng = np.random.default_rng(0)
    then, now = table(1, 8000), table(2, 400)
    for rows in (then, now):
        rows["label"] = rng.poisson(2.5, len(rows))
        rows["p"] = rows.label + 0.4 * rng.choice([-1, 1], len(rows))
    assert not loud(then, now, label="label", prediction="p")  # few distinct labels now
    then, now = scored(1), scored(2)
    now.loc[0, "p"] = 1.0000001
    assert Monitor(label="label", prediction="p").fit(then).score(now).loss.name == "log loss"


def test_words_and_numbers_for_one_label_are_matched():
    then, now = scored(1), scored(2)
    for rows in (then, now):
        rows["label"] = np.where(rows.label == 1, "Y", "N")
        rows["p"] = (rows.p > 0.5).astype(int)
    assert not loud(then, now, label="label", prediction="p")
    now["p"] = np.random.default_rng(0).permutation(now.p.to_numpy())
    assert loud(then, now, label="label", prediction="p")


def test_the_class_that_a_probability_speaks_of_is_seen_in_the_reference():
    then = scored(1)
    assert loss_kind(then.label.map({1: "bad", 0: "good"}), then.p).positive == "bad"
    yes = loss_kind(then.label.map({1: "yes", 0: "no"}), then.p)
    assert yes.positive == "1" and yes.truth  # yes is spelled as 1


def test_files_with_another_separator_are_read_and_named(tmp_path):
    then, now = table(1), table(2)
    then.to_csv(tmp_path / "a.csv", index=False)
    now.to_csv(tmp_path / "b.csv", index=False, sep=";", decimal=",")
    answer = compare_files(tmp_path / "a.csv", tmp_path / "b.csv")
    assert len(answer.columns) == 3
    assert [i.rule for i in answer.incidents if i.severity != "note"] == ["other separator"]


def test_na_is_a_name_where_the_other_side_has_that_name(tmp_path):
    made = [table(seed) for seed in (1, 2)]
    for rows, seed in zip(made, (3, 4)):
        rows["country"] = np.random.default_rng(seed).choice(["NA", "DE"], ROWS)
    made[0].to_parquet(tmp_path / "a.parquet")
    made[1].to_csv(tmp_path / "b.csv", index=False)
    answer = compare_files(tmp_path / "a.parquet", tmp_path / "b.csv")
    assert all(i.severity == "note" for i in answer.incidents)
