"""Rows that belong together are worth fewer, and P(outcome | inputs) is tested where a label is given."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered
from continual_nb.core.metrics import clusters_of
from continual_nb.core.metrics import days as days_of
from continual_nb.core.params import Train
from continual_nb.loop.init import guess
from continual_nb.monitoring.compare import Monitor
from continual_nb.monitoring.detectors.dependence import one_of_each
from continual_nb.monitoring.diagnosis.relation import relation

_spec = importlib.util.spec_from_file_location(
    "entities", Path(__file__).parents[1] / "benchmarks/entities.py"
)
entities = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(entities)


def users(rng, shift: float = 0.0, of: str = "u", n: int = 120, rows: int = 20) -> pd.DataFrame:
    habit = rng.normal(size=(3, n))
    made = np.repeat(habit, rows, axis=1) + 0.6 * rng.normal(size=(3, n * rows))
    return pd.DataFrame(
        {
            "user": np.repeat([f"{of}{i}" for i in range(n)], rows),
            "spend": made[0] + shift * 1.17,
            "age": made[1],
            "plan": np.where(made[2] > 0.4, "big", "small"),
        }
    )


def minutes(rng, shift: float = 0.0, day: int = 0, n: int = 4000) -> pd.DataFrame:
    wave = np.zeros((3, n))
    noise = rng.normal(size=(3, n)) * np.sqrt(1 - 0.95**2)
    for t in range(1, n):
        wave[:, t] = 0.95 * wave[:, t - 1] + noise[:, t]
    when = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(n), "min")
    when += pd.Timedelta(days=30 * day)
    return pd.DataFrame({"at": when, "a": wave[0] + shift, "b": wave[1], "c": wave[2]})


def days(rng, shift: float = 0.0, day: int = 0, n: int = 30) -> pd.DataFrame:
    at = np.repeat(np.arange(n), 100)
    when = pd.Timestamp("2024-05-01") + pd.to_timedelta(at + 30 * day, "D")
    weather = rng.normal(size=(2, n))
    made = 0.5 * weather[:, at] + rng.normal(size=(2, n * 100))
    return pd.DataFrame({"at": when, "a": made[0] + shift * 1.12, "b": made[1]})


def loud(monitor: Monitor, then, now) -> bool:
    return any(i.severity != "note" for i in monitor.fit(then).score(now).incidents)


@pytest.mark.parametrize("named", [True, False])
def test_rows_of_one_user_are_no_independent_witnesses(named):
    rng = np.random.default_rng(901 + named)
    ask = Monitor(entity="user") if named else Monitor()
    quiet = [loud(ask, users(rng), users(rng, of="w")) for _ in range(5)]
    seen = [loud(ask, users(rng), users(rng, 1.0, "w")) for _ in range(3)]
    assert sum(quiet) <= 1 and sum(seen) >= 2


@pytest.mark.parametrize("world", [minutes, days])
def test_one_minute_is_like_the_last_and_a_day_has_its_weather(world):
    rng = np.random.default_rng(903)
    quiet = [loud(Monitor(), world(rng), world(rng, day=1)) for _ in range(5)]
    seen = [loud(Monitor(), world(rng), world(rng, 1.0, 1)) for _ in range(3)]
    assert sum(quiet) <= 1 and sum(seen) >= 2


def test_what_was_taken_as_independent_is_said():
    rng = np.random.default_rng(904)
    then, now = users(rng), users(rng, of="w")
    found = Monitor(entity="user").fit(then).score(now)
    assert found.depends.by == ("user",) and found.depends.worth < 600
    assert "independent ones" in " ".join(found.told())
    bare = [side.drop(columns="user") for side in (then, now)]
    answer = Monitor().fit(bare[0]).score(bare[1])
    assert any("taken as independent" in line for line in answer.unchecked)
    with pytest.raises(ContinualError, match="no column 'who' for the entity"):
        Monitor(entity="who").fit(then).score(now)


def world(rng, slope: float = 0.8, shift: float = 0.0, n: int = 2000) -> pd.DataFrame:
    x = rng.normal(size=(n, 3)) + [shift, 0, 0]
    made = pd.DataFrame(x, columns=["x", "y", "z"])
    made["group"] = rng.choice(["a", "b"], n)
    chance = 1 / (1 + np.exp(-(2 * slope * (x[:, 0] - shift * (slope < 0)) + x[:, 1])))
    return made.assign(label=(rng.random(n) < chance).astype(int))


def test_a_relation_that_has_turned_is_seen_and_its_input_named():
    rng = np.random.default_rng(905)
    then, now = world(rng), world(rng, -0.8)
    answer = Monitor(label="label").fit(then).score(now)
    assert answer.relation.verdict == "changed" and answer.relation.inputs[0].column == "x"
    assert [i.cause for i in answer.incidents if i.severity != "note"] == ["concept shift"]
    bare = Monitor().fit(then.drop(columns="label")).score(now.drop(columns="label"))
    assert bare.relation is None and any("--label" in line for line in bare.unchecked)


def test_a_relation_that_holds_is_held_to_hold():
    rng = np.random.default_rng(906)
    kinds = dict.fromkeys("xyz", "numeric") | {"group": "categorical"}
    verdicts = []
    for shift in (0.0, 0.0, 0.0, 0.8, 0.8, 0.8):
        then, now = world(rng), world(rng, shift=shift)
        asked = relation(then, now, kinds, [then.label, now.label], False, 0.05, 0.1)
        verdicts.append(asked.verdict)
    assert "changed" not in verdicts and verdicts.count("held") >= 2


def test_off_the_overlap_nothing_is_told():
    rng = np.random.default_rng(907)
    then, now = world(rng), world(rng, shift=9.0)
    kinds = dict.fromkeys("xyz", "numeric")
    asked = relation(then, now, kinds, [then.label, now.label], False, 0.05, 0.1)
    assert asked.verdict == "not testable" and "have comparable rows" in asked.note


def test_a_named_entity_is_carried_through_the_loop_and_no_feature(tmp_path):
    rng, n = np.random.default_rng(3), 3 * 200
    users = rng.integers(0, 30, n)
    when = pd.date_range("2024-01-01", periods=n, freq=pd.Timedelta(weeks=3) / n)
    x = rng.normal(size=30)[users] + rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * x))).astype(int)
    frame = pd.DataFrame({"when": when, "user": users, "x": x, "y": y})
    frame.to_csv(tmp_path / "f.csv", index=False)
    params, said = guess(
        str(tmp_path / "f.csv"),
        tmp_path,
        "when",
        "y",
        label_delay="1h",
        entity="user",
        every="week",
    )
    assert params.data.entity == "user" and params.data.features == ("x",)
    assert any(one.about == "entity" and "30" in one.what for one in said)
    params = params.model_copy(update={"train": Train(models="linear")})
    turns = fold(params, delivered(frame, params.data))
    assert any(turn.outcome.champion for turn in turns)
    about = [line for t in turns for line in t.monitoring.unchecked if "Rows of one user" in line]
    assert about and not any(
        "data.entity" in line for t in turns for line in t.monitoring.unchecked
    )
    checks = [c for t in turns for c in t.composition.checks if c.name.endswith(": entities")]
    assert checks and all("of an entity that training knows" in c.sentence for c in checks)


def test_intervals_count_entities_where_they_are_named():
    rows = pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(6)],
            "event_time": pd.date_range("2024-01-01", periods=6, freq="D", tz="UTC"),
            "entity_key": pd.Series(["a", "a", "b", "b", None, None], dtype="str"),
        }
    )
    assert len(set(clusters_of(rows))) == 4  # a, b, and two rows of nobody
    assert (clusters_of(rows.drop(columns="entity_key")) == days_of(rows)).all()
    assert (clusters_of(rows[2:]) == clusters_of(rows)[2:]).all()


def test_one_row_of_each_entity_and_window_is_kept():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(300)],
            "window": rng.choice(["a", "b"], 300),
            "entity_key": pd.Series(rng.choice(["u", "v", "w"], 300), dtype="str"),
        }
    )
    rows.loc[:9, "entity_key"] = None
    kept = one_of_each(rows)
    named = kept.dropna(subset="entity_key")
    assert len(named) == 6 == len(named.drop_duplicates(["window", "entity_key"]))
    assert len(kept) == 16 and kept.index.is_monotonic_increasing


def test_the_monitor_of_the_loop_knows_what_rows_of_users_are_worth():
    alarms, seen = {}, 0
    for name, data in (("named", entities.NAMED), ("independent", entities.PLAIN)):
        alarms[name] = 0
        for pair in range(10):
            rng = np.random.default_rng([77, pair])
            then, now = (entities.month(rng, m, 15, 20) for m in ("2024-01", "2024-02"))
            alarms[name] += bool(entities.rings(data, then, now))
    for pair in range(4):
        rng = np.random.default_rng([78, pair])
        then = entities.month(rng, "2024-01", 100, 20)
        now = entities.month(rng, "2024-02", 100, 20, 1.0)
        seen += any("x0" in i.columns for i in entities.rings(entities.NAMED, then, now))
    assert alarms["named"] <= 1 < alarms["independent"] and seen >= 3
