"Categories at any cardinality and small shares, in the loop's monitor and in compare."

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.params import Data
from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.compare import Monitor
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.monitor import monitor

DATA = Data(
    source="-", time="event_time", label="y", numeric=("x", "spent", "wind"), categorical=("k",)
)
NOW = pd.Timestamp("2014-01-01", tz="UTC")


def month(m: int, n: int = 5000, levels: int = 1000, seed: int = 0) -> pd.DataFrame:
    "A month of rows with many levels, few payments, few gaps and few frauds."
    rng = np.random.default_rng([seed, m])
    start = pd.Timestamp(2013, 1, 1, tz="UTC") + pd.DateOffset(months=m)
    times = start + pd.to_timedelta(np.sort(rng.random(n)) * 27, unit="D")
    made = pd.DataFrame({"x": rng.normal(size=n)})
    made["spent"] = np.where(rng.random(n) < 0.03, rng.gamma(3, 10, n), 0.0)
    made["wind"] = np.where(rng.random(n) < 0.02, np.nan, rng.normal(size=n))
    made["k"] = pd.Series(rng.integers(0, levels, n)).map("0{:05d}é".format)
    made["label"] = (rng.random(n) < 0.002).astype(int).astype(str)
    about = {"window": f"{start:%Y-%m}", "event_id": [f"{m}-{i}" for i in range(n)]}
    return made.assign(event_time=times.as_unit("us"), **about)


def history(n: int, levels: int, seed: int = 0) -> pd.DataFrame:
    return pd.concat([month(m, n, levels, seed) for m in range(6)], ignore_index=True)


def looked(reference, rows: pd.DataFrame, memory: dict | None = None):
    "One window of the loop."
    about = {"max_missing_jump": 0.1, "iteration": 8, "window": "2013-08", "as_of": NOW}
    none = dict.fromkeys(("prediction_reference", "champion", "accepted"))
    about |= {"earlier": rows[:0], "mature_before": NOW, "recorded": (), "findings": ()}
    about |= {"rows": rows, "reference": reference, "memory": memory}
    return monitor(DATA, Settings(), **about, **none)


def loud(answer) -> set[str]:
    "Columns that a person is asked to look at."
    return {c for i in answer.incidents if i.severity != "note" for c in i.columns}


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["x", "spent", "wind", "k", "label"]]


CHANGES = {
    "unseen": lambda k: "new" + k,
    "a tenth unseen": lambda k: k.where(np.arange(len(k)) % 8 > 0, "new" + k),
    "another case": lambda k: k.str.upper(),
    "no leading zeros": lambda k: k.str.lstrip("0"),
    "damaged": lambda k: k.str.replace("é", "Ã©"),
}


@pytest.mark.parametrize(("n", "levels"), [(5000, 300), (5000, 1000), (20_000, 10_000)])
def test_levels_are_told_at_any_cardinality(n, levels):
    then = history(n, levels)
    reference, fitted = fit_reference(DATA, Settings(), then, 1), Monitor().fit(plain(then))
    assert loud(looked(reference, month(7, n, levels))) == set()
    assert loud(fitted.score(plain(month(7, n, levels)))) == set()
    for how, change in CHANGES.items():
        now = month(7, n, levels)
        now["k"] = change(now["k"])
        for answer in (looked(reference, now), fitted.score(plain(now))):
            assert loud(answer) == {"k"}, how
            said = " ".join(i.sentence for i in answer.incidents)
            spelled = how in ("another case", "no leading zeros", "damaged")
            assert ("another spelling" in said) == spelled, (how, said)
    now = month(7, n, levels)
    gone = now[now["k"].str[5].isin(list("02468"))].reset_index(drop=True)
    for answer in (looked(reference, gone), fitted.score(plain(gone))):
        assert "k" in loud(answer) and "vanished level" in {
            f.rule for f in getattr(answer, "findings", ()) or answer.quality
        }


SHARES = {
    "spent": lambda d, r: d.assign(
        spent=np.where(r.random(len(d)) < 0.06, r.gamma(3, 10, len(d)), 0)
    ),
    "wind": lambda d, r: d.assign(wind=d["wind"].where(r.random(len(d)) > 0.06)),
    "y": lambda d, r: d.assign(label=(r.random(len(d)) < 0.006).astype(int).astype(str)),
}


@pytest.mark.parametrize(("column", "n"), [("spent", 5000), ("wind", 5000), ("y", 15_000)])
def test_a_small_share_that_doubles_is_told(column, n):
    then = history(n, 300, seed=1)
    reference, fitted = fit_reference(DATA, Settings(), then, 1), Monitor(label="label")
    fitted, name, found, memory = fitted.fit(plain(then)), column, [], None
    for m in range(10, 13):
        now = SHARES[column](month(m, n, 300, seed=1), np.random.default_rng(m))
        in_loop = looked(reference, now, memory)
        memory = in_loop.memory
        found.append(column in loud(in_loop))
        compared = fitted.score(plain(now))
        assert {"y": "label"}.get(column, column) in drifted(compared) | loud(compared)
    assert any(found) and found.count(True) == 1  # within three windows, and once


def drifted(answer) -> set[str]:
    return {c.column for c in answer.columns if c.verdict == "drifted"}


def test_hundred_windows_without_a_change_are_quiet():
    settings, calls = Settings(), [0, 0]
    for seed in range(5):
        then = history(2000, 500, seed=seed + 50)
        reference, fitted = fit_reference(DATA, settings, then, 1), Monitor().fit(plain(then))
        for m in range(20):
            now = month(m + 10, 2000, 500, seed=seed + 50)
            calls[0] += bool(loud(looked(reference, now)))
            calls[1] += bool(loud(fitted.score(plain(now))))
    assert max(calls) <= 6, calls
