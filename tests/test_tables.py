"""What two tables show beyond the counts of their columns: copies, forms, codes, gaps, units, and the languages of label and prediction."""

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.compare import Monitor
from continual_nb.monitoring.detectors.quality import units
from continual_nb.monitoring.detectors.tables import copies
from continual_nb.monitoring.diagnosis.loss import loss_kind, loss_of, restorable, understood
from continual_nb.monitoring.profiles.profile import column_profile, counts


def table(seed: int, rows: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    spent = np.where(rng.random(rows) < 0.94, 0, np.exp(rng.normal(3, 0.5, rows)))
    ordered = pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 200, rows), unit="D")
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "city": rng.choice(["Oslo", "Rome", "Bonn"], rows),
            "spent": spent,
            "shop": rng.integers(1, 31, rows),
            "mail": [f"u{seed}-{i}@ex.org" for i in range(rows)],
            "ordered": ordered,
            "sent": ordered + pd.to_timedelta(rng.poisson(3, rows), unit="D"),
        }
    )


def named(then: pd.DataFrame, now: pd.DataFrame, **names) -> set[str]:
    incidents = Monitor(**names).fit(then).score(now).incidents
    loud = [i for i in incidents if i.severity != "note"]
    return {name for i in loud for name in (*i.columns, *i.members, i.cause)}


@pytest.fixture(scope="module")
def fitted():
    return Monitor().fit(table(31))


def test_what_is_as_before_names_nothing(fitted):
    assert not [i for i in fitted.score(table(32)).incidents if i.severity != "note"]


@pytest.mark.parametrize(
    "column, change",
    [
        ("spent", lambda d: d.spent * 3),
        ("mail", lambda d: d.mail.str.partition("@")[0]),
        ("sent", lambda d: d.sent + pd.Timedelta(days=4)),
        ("shop", lambda d: d.shop.replace({17: 18, 9: 8})),
    ],
)
def test_what_hides_in_one_cell_is_named(fitted, column, change):
    now = table(33)
    now[column] = change(now)
    answer = fitted.score(now)
    loud = [i for i in answer.incidents if i.severity != "note"]
    assert column in {name for i in loud for name in (*i.columns, *i.members)}


def test_a_new_shop_is_a_new_category_and_no_broken_data():
    then, now = table(34), table(35)
    then["shop"] = then.shop.replace({20: 21})
    causes = named(then, now.assign(shop=now.shop.replace({21: 20})))
    assert {"shop", "new category"} <= causes and "broken data" not in causes


@pytest.mark.parametrize("times", [2, 10])
def test_copies_are_counted_and_left_out(times):
    then, now = table(36), table(37, 400).drop(columns="mail")
    again = pd.concat([now] * times, ignore_index=True)
    answer = Monitor().fit(then.drop(columns="mail")).score(again)
    found = next(f for f in answer.quality if f.rule == "duplicates")
    assert found.count == 400 * (times - 1) and answer.rows["current"] == 400 * times
    assert {i.cause for i in answer.incidents if i.severity != "note"} == {"copies"}


def test_the_newest_batch_twice_and_coarse_rows():
    now = table(38)[["x", "city", "shop"]]
    twice = pd.concat([now, now[-600:]], ignore_index=True)
    assert copies(table(39)[["x", "city", "shop"]], twice)[1].count == 600
    then, more = table(40, 500)[["city", "shop"]], table(41, 4000)[["city", "shop"]]
    assert copies(then, more)[1] is None and copies(more, then)[1] is None
    assert copies(then, more, "reference")[1] is None


def unit_of_change(rng, factor: float, digits: int | None) -> str:
    draw = [rng.exponential, lambda n: rng.lognormal(3, 0.8, n), lambda n: rng.gamma(3, 20, n)]
    law = draw[rng.integers(3)]
    spell = (lambda v: v) if digits is None else (lambda v: np.round(v * 10, digits))
    then, now = spell(law(size=2000) if law == rng.exponential else law(2000)), None
    now = law(size=2000) if law == rng.exponential else law(2000)
    now = spell(now * factor) if factor > 0 else spell(now) / 1.609344
    known = column_profile(pd.Series(then, name="v"), "numeric", None, Settings())
    found = units(known, counts(known, pd.Series(now)), pd.Series(now), Settings())
    return found[0].finding.rule if found else ""


def test_a_unit_is_claimed_only_with_a_second_sign():
    rng = np.random.default_rng(77)
    genuine = [
        unit_of_change(rng, f, d)
        for f in (1.3, 1.609, 1.852, 2.2, 2.54, 3.28, 3.6, 4)
        for d in (None, 0, 1, 2)
        for _ in range(4)
    ]
    assert genuine.count("unit change") <= 0.01 * len(genuine)
    planted = [unit_of_change(rng, -1, d) for d in (1, 2) for _ in range(20)]
    assert planted.count("unit change") >= 0.95 * len(planted)


def scored(seed: int, rows: int = 800) -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=rows)
    late = rng.random(rows) < 1 / (1 + np.exp(-score))
    return pd.Series(late.astype(int), name="late"), pd.Series(score, name="score")


@pytest.mark.parametrize(
    "label, score, kind, scale",
    [
        (lambda y: y, lambda s: 1 / (1 + np.exp(-s)), "log loss", "share"),
        (lambda y: y.map({1: "Y", 0: "N"}), lambda s: 100 / (1 + np.exp(-s)), "log loss", "percent"),
        (lambda y: y.astype(bool), lambda s: s, "log loss", "log-odds"),
        (lambda y: y, lambda s: s * 40 + 300, "none", "share"),
        (lambda y: y.map({1: "Yes", 0: "no"}), lambda s: (s > 0).map({True: "yes", False: "No"}), "error rate", "share"),
        (lambda y: y, lambda s: (s > 0).map({True: "T", False: "F"}), "error rate", "share"),
    ],
)  # fmt: skip
def test_languages_are_matched_where_that_is_certain(label, score, kind, scale):
    late, said = scored(5)
    found = loss_kind(label(late), score(said))
    assert (found.name, found.scale) == (kind, scale)
    if kind != "none":
        assert 0 < np.nanmean(loss_of(label(late), score(said), found)[0]) < 0.7


def test_stars_are_numbers_and_words_are_no_probabilities():
    rng = np.random.default_rng(6)
    stars = pd.Series(rng.integers(1, 6, 500))
    said = pd.Series(np.clip(stars + rng.normal(0, 0.4, 500), 1, 5))
    kind = loss_kind(stars.map(lambda k: "★" * k + "☆" * (5 - k)), said)
    assert kind.name == "absolute error"
    words = pd.Series(rng.choice(["a", "b", "c"], 500), name="y")
    assert "no prediction can be matched" in loss_kind(words, said / 5).refused


def test_a_window_is_judged_as_the_reference_was():
    late, score = scored(7)
    chance = (1 / (1 + np.exp(-score))).rename("p")
    kind = loss_kind(late, chance)
    negatives = loss_of(late * 0, chance.where(late == 0, 0.1), kind)[0].mean()
    assert negatives < 0.7
    one = chance.copy()
    one.iloc[0] = 1.0000001
    assert not understood(kind, late, one) and understood(kind, late, chance * 100)


def test_a_prediction_in_another_language_is_named_and_never_silent():
    rng = np.random.default_rng(8)
    sides = [table(seed).drop(columns="mail") for seed in (42, 43)]
    for side in sides:
        side["y"] = rng.choice(["a", "b", "c"], len(side))
        side["p"] = rng.uniform(0.34, 1, len(side))
    answer = Monitor(label="y", prediction="p").fit(sides[0]).score(sides[1])
    assert "p" in {c for i in answer.incidents for c in i.columns} and answer.loss is None


def test_labels_that_may_still_come_are_no_drift():
    assert restorable(np.array([800, 200]), np.array([300, 150]), 600, 0.1)
    assert not restorable(np.array([800, 200]), np.array([100, 700]), 100, 0.1)
    then, now = (t.drop(columns="mail") for t in (table(44), table(45)))
    rng = np.random.default_rng(9)
    then["y"], now["y"] = ((rng.random(2000) < 0.2).astype(float) for _ in "ab")
    now.loc[(now.y == 0) & (rng.random(2000) < 0.7), "y"] = np.nan
    answer = Monitor(label="y").fit(then).score(now)
    label = next(c for c in answer.columns if c.column == "y")
    assert label.verdict == "inconclusive" and any("have not come" in u for u in answer.unchecked)
    assert not [i for i in answer.incidents if i.severity != "note"]
