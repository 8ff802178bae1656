"Other references and sizes beside the fixed one; how many rows came, and how fresh they are."

import numpy as np
import pandas as pd
import pytest

from continual_nb import fold
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Compose, Data, Decide, Monitor, Params, Train, Windows
from continual_nb.monitoring.monitor import monitor
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.reference import Profile, on_cells
from continual_nb.monitoring.detectors.quality import freshness, volume
from continual_nb.monitoring.references import BEFORE, FIRST, kept, views

DATA = Data(source="-", time="event_time", label="y", numeric=("a",), categorical=("c",))
PLAIN = Monitor()


def month(k, n=1500, shift=0.0):
    rng = np.random.default_rng(k)
    start = pd.Timestamp("2020-01-01", tz="UTC") + pd.DateOffset(months=k)
    when = (start + pd.to_timedelta(np.sort(rng.uniform(0, 28 * 86400, n)), "s")).as_unit("us")
    return pd.DataFrame(
        {
            "event_id": [f"{k}-{i}" for i in range(n)],
            "event_time": when,
            "window": f"{start:%Y-%m}",
            "a": rng.normal(size=n) + shift,
            "c": pd.Series(rng.choice(["u", "v"], n)).astype("str"),
            "label": pd.Series(rng.choice(["0", "1"], n)).astype("str"),
        }
    )


KNOWN = fit_reference(DATA, PLAIN, pd.concat([month(k) for k in range(6)], ignore_index=True), 1)


def look(k, memory, rows):
    start = pd.Timestamp("2020-01-01", tz="UTC") + pd.DateOffset(months=k)
    return monitor(
        DATA,
        PLAIN,
        max_missing_jump=0.1,
        iteration=k,
        window=f"{start:%Y-%m}",
        as_of=start + pd.DateOffset(months=1),
        rows=rows,
        earlier=rows[:0],
        mature_before=None,
        reference=KNOWN,
        prediction_reference=None,
        champion=None,
        accepted=None,
        recorded=(),
        findings=(),
        memory=memory,
        span=(start, start + pd.DateOffset(months=1)),
    )


def test_a_slow_change_is_seen_from_afar_only_and_asks_once_for_each_thing_seen():
    memory, told, asked, monitors = {}, [], [], []
    for k in range(6, 14):
        answer = look(k, memory, month(k, shift=0.09 * (k - 5)))
        memory = answer.memory
        asked += [i.title for i in answer.incidents if i.severity != "note"]
        monitors.append(answer.alarm.monitors)
        told.append(
            {v.name: dict((name, effect) for name, _, effect in v.columns) for v in answer.views}
        )
    last = told[-1]
    fixed = next(c for c in answer.columns if c.column == "a")
    assert (
        fixed.verdict == "drifted"
        and last["the previous window"]["a"]
        < 0.07
        < last["all windows since the last update"]["a"]
        < fixed.effect
    )
    assert len(memory["windows"]) == BEFORE and [w["window"] for w in memory["windows"]] == [
        f"{2020 + k // 12}-{k % 12 + 1:02d}" for k in range(6, 14)
    ]
    assert (
        len(told[0]) == 3 and "3 windows pooled, against the fixed reference" in last
    )  # the reference's own windows serve from the first look
    assert not any("month before" in i.title for i in answer.incidents)
    assert monitors[0] == len(answer.columns) + 1  # what is open already spends nothing
    assert monitors[-1] < monitors[0] and asked == [
        "The correlation between the features has changed",
        "a drifted",
    ]
    assert any("Distances from other references" in t.caption for t in answer.section().details)


def test_a_window_looked_at_again_is_not_counted_twice():
    held = on_cells(KNOWN, {name: month(7)[name] for name in ("a", "c")}, "2020-08")
    before = kept(kept([], held), held)
    assert len(before) == 1 and views(KNOWN, before, held, PLAIN)[0].reference == ("2020-06",)


@pytest.mark.parametrize("n, shown", [(1500, False), (1650, False), (500, True), (4500, True)])
def test_volume_is_held_against_its_own_history(n, shown):
    found = [f for f in look(7, {}, month(7, n)).findings if f.rule == "volume"]
    assert bool(found) == shown and all(f.severity in ("warning", "note") for f in found)


def test_volume_keeps_its_size():
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.05, 0.3):
        rate = np.mean(
            [
                bool(v and v[0].p_value <= 0.05)
                for v in (
                    volume(sizes[:8].tolist(), int(sizes[8]))
                    for sizes in (rng.poisson(1000 * np.exp(spread * rng.normal(size=(2000, 9)))))
                )
            ]
        )
        assert rate <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_a_delivery_that_was_cut_is_not_fresh():
    rows = month(7)
    cut = rows[rows.event_time < pd.Timestamp("2020-08-12", tz="UTC")]
    answer = look(7, {}, cut.reset_index(drop=True))
    assert "not fresh" in {f.rule for f in answer.findings} and "Not fresh" in {
        i.title for i in answer.incidents
    }
    assert "not fresh" not in {f.rule for f in look(7, {}, rows).findings}
    start, end = pd.Timestamp("2020-08-01", tz="UTC"), pd.Timestamp("2020-09-01", tz="UTC")
    assert freshness(start, end, start + (end - start) * 0.7, [0.2], 900)[1] == () and freshness(
        start, start, start, [], 9
    ) == (0.0, ())


def test_the_windows_since_tell_what_is_ordinary_where_the_reference_is_one_window():
    "Windows differ by .3 sd; from the tenth on the column has moved by 3 sd: noted before, called then."
    draw, n = np.random.default_rng(4), 400
    week = np.repeat(np.arange(12), n)
    usual = draw.normal(0, 0.3, 12) + np.where(np.arange(12) >= 9, 3.0, 0.0)
    x = usual[week] + draw.normal(size=12 * n)
    when = pd.date_range("2024-01-01", periods=12 * n, freq=pd.Timedelta(weeks=1) / n)
    frame = pd.DataFrame({"when": when, "x": x, "z": draw.normal(size=12 * n)})
    frame["label"] = (draw.random(12 * n) < 1 / (1 + np.exp(-2 * frame["z"]))).astype(int)
    params = Params(
        project="moved",
        data=Data(source="-", time="when", label="label", label_delay="12h", numeric=("x", "z")),
        windows=Windows(every="week"),
        decide=Decide(trigger={"when": "never"}, refresh_after=50),
        train=Train(models=["linear"]),
        compose=Compose(recipes={"recent": [{"last_windows": {"windows": 1}}]}),
    )
    turns = fold(params, delivered(frame, params.data))
    assert len(turns[-1].state.reference["windows"]) == 1
    of = lambda turn: next(c for c in turn.monitoring.columns if c.column == "x")
    first = next(k for k, t in enumerate(turns) if t.outcome.champion) + 1
    assert not of(turns[first]).calibrated and of(turns[9]).calibrated
    called = [k for k, t in enumerate(turns) for i in t.monitoring.incidents if i.asked]
    assert all(k >= 9 for k in called) and of(turns[9]).verdict == "drifted"


def test_the_first_windows_are_kept_and_none_displaces_them():
    first, newest = [], []
    for k in range(30):
        held = Profile(windows=(f"w{k:02d}",), iteration=1, rows=1, columns=())
        first = kept(first, held, drifted=["feature:x"] * (k == 2), said=np.array([k, 1]))
        newest = kept(newest, held)
    assert [b["window"] for b in first] == [f"w{k:02d}" for k in range(FIRST)]
    assert newest[-1]["window"] == "w29" and first[2]["drifted"] == ["feature:x"]
    again = kept(first, Profile(windows=("w01",), iteration=1, rows=1, columns=()), drifted=[])
    assert [b["window"] for b in again] == [b["window"] for b in first]
