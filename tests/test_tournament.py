"""The recipe tournament: the better recipe wins, equal ones cannot be told apart, the gate's rows are never touched."""

import numpy as np
import pandas as pd
import pytest

from continual_nb.composition.compose import newest_cohort
from continual_nb.composition.tournament import past_splits, tournament
from continual_nb.core.models import estimator, fit
from continual_nb.core.params import Compose, Data, Train

DATA = Data(source="-", time="t", label="y", numeric=("a",))
NEW = [{"last_windows": {"windows": 1}}]


def linear(rows):
    return fit(estimator(DATA, Train(models=["linear"])), rows, DATA)


def stream(turn: str | None, seed: int = 4, n: int = 2400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    when = pd.Series(pd.date_range("2021-01-01", periods=n, freq="3h", tz="UTC").as_unit("us"))
    frame = pd.DataFrame(
        {
            "event_id": pd.array([f"e{k}" for k in range(n)], dtype="str"),
            "event_time": when,
            "window": when.dt.strftime("%Y-%m"),
            "a": rng.normal(size=n),
            "label_time": when + pd.Timedelta(days=2),
        }
    )
    sign = np.where(when >= pd.Timestamp(turn or "2100-01-01", tz="UTC"), -2, 2)
    frame["label"] = np.where(sign * frame["a"] + rng.logistic(size=n) > 0, "1", "0")
    return frame


def run(rows, recipes, most=(2, 10**6)):
    now = rows["event_time"].iloc[-1]
    return tournament(DATA, Compose(recipes=recipes), rows, now, linear, most)


def test_the_recipe_that_knows_the_present_world_wins_by_an_interval():
    found = run(stream("2021-07-01"), {"everything": ["all"], "recent": NEW})
    best, other = found.standings
    assert (best.recipe, best.verdict) == ("recent", "best")
    assert other.verdict == "worse" and 0 < other.low < other.behind < other.high
    assert len(found.windows) == 2 and "best" in "\n".join(found.lines())


def test_equal_recipes_cannot_be_told_apart():
    wrong = 0
    for seed in range(8):
        found = run(
            stream(None, seed, 1600),
            {"a": ["all"], "b": ["all", "cap"], "c": [{"last_windows": {"windows": 4}}]},
        )
        assert {s.recipe: s.loss for s in found.standings}["a"] == {
            s.recipe: s.loss for s in found.standings
        }["b"]
        wrong += any(
            s.verdict == "worse" and {s.recipe, found.standings[0].recipe} == {"a", "b"}
            for s in found.standings
        )
    assert wrong == 0


def test_the_gate_rows_and_later_labels_are_never_touched():
    rows = stream("2021-07-01")
    now = rows["event_time"].iloc[-1]
    gate = set(newest_cohort(rows, Compose(), now)["event_id"])
    for split in past_splits(rows, Compose(), now, 3):
        assert not gate & (set(split.cohort["event_id"]) | set(split.known["event_id"]))
        start = split.cohort["event_time"].min()
        known = split.known[split.known["label"].notna().to_numpy()]
        assert (known["label_time"] <= start).all() and (known["event_time"] < start).all()
    lied = rows.assign(label=rows["label"].mask(rows["event_id"].isin(gate), "0"))
    recipes = {"everything": ["all"], "recent": NEW}
    assert run(rows, recipes) == run(lied, recipes)


def test_the_budget_bounds_what_is_trained_on_and_names_what_it_did_not_reach():
    rows = stream(None)
    free = run(rows, {"a": ["all"], "b": NEW}, (3, 10**6))
    spent = sum(s.trained for s in free.standings)
    tight = run(rows, {"a": ["all"], "b": NEW}, (3, spent // 2))
    assert sum(s.trained for s in tight.standings) <= spent // 2
    assert set(tight.windows) | set(tight.skipped) == set(free.windows) and tight.skipped
    none = run(rows, {"a": ["all"]}, (3, 100))
    assert not none.standings and len(none.skipped) == 3 and "no recipe" in none.lines()[0]


def test_a_recipe_that_fails_is_named_and_the_others_are_compared():
    found = run(stream(None), {"a": ["all"], "site": [{"balance": {"by": "site"}}]})
    assert [s.recipe for s in found.standings] == ["a"] and "site" in found.failed["site"]
    with pytest.raises(ValueError):
        Compose(recipes={"a": ["al"]})
