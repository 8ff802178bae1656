"""Rows of one entity are dependent: how often does the loop's monitor ring on pairs of months in which nothing changed, and does it see a shift?

python benchmarks/entities.py [PAIRS] [SEED] [USERS] [ROWS_EACH]

Every user has a level of their own in six of eight inputs (half of the variance) and a favourite category. Prints alarms of PAIRS pairs without a
change, and pairs in which a shift of one sd of one input is seen, with `data.entity` and without it.
"""

import sys

import numpy as np
import pandas as pd

from continual_nb.core.params import Data, Monitor
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.monitor import monitor

NUMBERS = tuple(f"x{i}" for i in range(8))
PLAIN = Data(source="x", time="t", label="y", numeric=NUMBERS, categorical=("c",))
NAMED = PLAIN.model_copy(update={"entity": "user"})


def month(
    rng,  # random numbers
    name: str,  # of the month
    users: int,
    each: int,  # rows of a user
    shift: float = 0.0,  # of x0, in standard deviations
) -> pd.DataFrame:  # as the store returns rows
    "Rows of users, in time order."
    user = np.repeat(np.arange(users), each)
    level = rng.normal(size=(users, 8)) * (np.arange(8) < 6)
    x = (level[user] + rng.normal(size=(len(user), 8))) / np.sqrt(1 + (np.arange(8) < 6))
    x[:, 0] += shift
    favourite = rng.integers(0, 4, users)
    c = np.where(rng.random(len(user)) < 0.6, favourite[user], rng.integers(0, 4, len(user)))
    y = (rng.random(len(user)) < 1 / (1 + np.exp(-1.5 * x[:, 1]))).astype(int)
    frame = pd.DataFrame(x, columns=list(NUMBERS)).assign(c=[f"c{k}" for k in c])
    start = pd.Timestamp(f"{name}-01", tz="UTC")
    order = rng.permutation(len(user))
    times = start + pd.to_timedelta(np.sort(rng.random(len(user))) * 27, unit="D")
    frame = frame.iloc[order].reset_index(drop=True)
    return frame.assign(
        event_id=[f"{name}-{k}" for k in range(len(user))],
        event_time=times.astype("datetime64[us, UTC]"),
        window=name,
        label=pd.Series(y[order].astype(str), dtype="str"),
        label_time=times.astype("datetime64[us, UTC]"),
        entity_key=pd.Series([f"{name} user {u}" for u in user[order]], dtype="str"),
    )


def rings(data: Data, then: pd.DataFrame, now: pd.DataFrame) -> list:
    """Incidents of the loop's monitor on a month against one month of reference, whether or not a
    person is called: one month does not tell how much ordinary months differ."""
    reference = fit_reference(data, Monitor(), then, 1)
    found = monitor(
        data,
        Monitor(),
        max_missing_jump=0.2,
        iteration=2,
        window=now["window"].iloc[0],
        as_of=pd.Timestamp("2024-03-01", tz="UTC"),
        rows=now,
        earlier=now[:0],
        mature_before=pd.Timestamp("2024-03-01", tz="UTC"),
        reference=reference,
        prediction_reference=None,
        champion=None,
        accepted=None,
        recorded=(),
        findings=(),
        reference_rows=lambda: then,
    )
    return [i for i in found.incidents if i.grade != "note"]


def main():
    "Print alarms and shifts seen, with and without the name of the entity."
    usual = ("40", "1", "30", "20")
    pairs, seed, users, each = map(int, (*sys.argv[1:], *usual[len(sys.argv) - 1 :]))
    for name, data in (("rows taken as independent", PLAIN), ("data.entity named", NAMED)):
        alarms, seen = 0, 0
        for pair in range(pairs):
            rng = np.random.default_rng([seed, pair])
            about = (("2024-01", 0.0), ("2024-02", 0.0), ("2024-02", 1.0))
            then, now, moved = (month(rng, m, users, each, shift) for m, shift in about)
            alarms += bool(rings(data, then, now))
            seen += any("x0" in i.columns for i in rings(data, then, moved))
        told = f"{alarms} of {pairs} pairs without a change alarmed, {seen} of {pairs} shifts seen"
        print(f"{name}: {told}", flush=True)


if __name__ == "__main__":
    main()
