"Dates, durations and codes are columns: what is broken in them is named, and that time passes is no change."

import numpy as np
import pandas as pd
import pytest

from continual_nb.monitoring.compare import Monitor

N = 2000


def table(seed: int, start: str = "2024-01-01") -> pd.DataFrame:
    "Orders of 60 days, with dates of birth, a duration and the number of a shop."
    r = np.random.default_rng(seed)
    at = pd.Timestamp(start) + pd.to_timedelta(np.sort(r.random(N)) * 60, unit="D").round("s")
    hour = pd.to_timedelta(np.clip(r.normal(14, 3, N), 0, 23.9), unit="h").round("s")
    return pd.DataFrame(
        {
            "x": r.normal(size=N),
            "at": at.normalize() + hour,
            "born": pd.Timestamp("1950-01-01")
            + pd.to_timedelta(r.integers(0, 18_000, N), unit="D"),
            "due": at.normalize() + pd.to_timedelta(r.integers(1, 20, N), unit="D"),
            "took": pd.to_timedelta(r.gamma(3, 100, N).round(), unit="s"),
            "shop": r.integers(1, 19, N),
        }
    ).astype({"born": "datetime64[us]", "due": "datetime64[us]"})


def some(d: pd.DataFrame, column: str, value, every: int = 20) -> pd.DataFrame:
    return d.assign(**{column: d[column].mask(np.arange(N) % every == 0, value)})


CHANGES = {
    "1970": ("born", lambda d: some(d, "born", pd.Timestamp("1970-01-01"))),
    "1900": ("born", lambda d: some(d, "born", pd.Timestamp("1900-01-01"))),
    "9999": ("due", lambda d: some(d, "due", pd.Timestamp("9999-12-31"))),
    "0000": (
        "born",
        lambda d: d.assign(born=d["born"].dt.strftime("%Y-%m-%d")).pipe(some, "born", "0000-00-00"),
    ),
    "missing": ("due", lambda d: some(d, "due", pd.NaT, 12)),
    "another century": ("due", lambda d: some(d, "due", pd.Timestamp("2124-03-01"))),
    "born in the future": ("born", lambda d: some(d, "born", pd.Timestamp("2030-03-01"))),
    "a heavy day": ("due", lambda d: some(d, "due", pd.Timestamp("2024-02-01"), 8)),
    "a heavy day of birth": ("born", lambda d: some(d, "born", pd.Timestamp("1980-01-01"), 12)),
    "a clock ahead": ("at", lambda d: d.assign(at=d["at"] + pd.Timedelta(3, "h"))),
    "older people": ("born", lambda d: d.assign(born=d["born"] - pd.Timedelta(4000, "D"))),
    "days as months": ("due", lambda d: d.assign(due=d["due"] + pd.Timedelta(25, "D"))),
    "slower": ("took", lambda d: d.assign(took=d["took"] * 1.6)),
    "closed shops": ("shop", lambda d: d[~d["shop"].isin([17, 18])]),
    "closed shops inside": ("shop", lambda d: d[~d["shop"].isin([7, 8])]),
}


@pytest.fixture(scope="module")
def fitted():
    return Monitor(time="at").fit(table(1))


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("start", ["2024-01-01", "2024-03-04"])
def test_what_is_wrong_with_a_date_is_named(fitted, how, start):
    column, change = CHANGES[how]
    later = change(table(2, start))
    if start != "2024-01-01" and how == "a heavy day":
        later = some(table(2, start), "due", pd.Timestamp("2024-04-01"), 8)
    answer = fitted.score(later.reset_index(drop=True))
    loud = [i for i in answer.incidents if i.severity != "note"]
    assert column in {name for i in loud for name in (*i.columns, *i.members)}, answer.lines()


@pytest.mark.parametrize("time", [None, "at"])
def test_that_time_passes_is_no_change(time):
    monitor, loud = Monitor(time=time).fit(table(1)), []
    for seed in range(10):
        start = str(pd.Timestamp("2024-01-01") + pd.Timedelta(9 * seed, "D"))
        answer = monitor.score(table(100 + seed, start))
        loud += [(i.title, start) for i in answer.incidents if i.severity != "note"]
    assert len(loud) <= 1, loud
