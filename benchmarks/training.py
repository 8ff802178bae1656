"""Strategies side by side over the windows of public data sets:
`python benchmarks/training.py FOLDER [SET...]`.

FOLDER holds one folder per set with NAME/NAME.parquet: electricity (UCI Elec2), bike_sharing
(UCI 275), parking_birmingham (UCI 482). In every window a strategy makes a model of the rows so far,
without a gate, and the next window scores it: mean loss per event of all windows with its 95 %
interval over windows, rows that it was trained on, and the share of answers that change from one of
its models to the next (numbers: the mean change). `never` keeps the first model, `always` learns from
all rows so far; the others learn from the newest three windows.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from continual_nb.core.files import ContinualError
from continual_nb.core.metrics import Score, interval_of_mean, losses, measure
from continual_nb.core.models import predict
from continual_nb.core.params import Data, NamedCode, Train
from continual_nb.training.refit import distance
from continual_nb.training.strategies import REFIT, Predecessor, Predecessors, fit_with

NEWEST = 3  # windows that a strategy learns from
SETS = {
    "electricity": (
        Data(
            source="-",
            time="timestamp",
            label="target",
            positive="1",
            numeric=("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"),
            categorical=("day",),
            slices=("day",),
        ),
        "M",
    ),
    "bike_sharing": (
        Data(
            source="-",
            time="timestamp",
            label="cnt",
            task="regression",
            numeric=("hr", "weekday", "temp", "atemp", "hum", "windspeed", "weathersit"),
            categorical=("workingday",),
            slices=("workingday",),
        ),
        "M",
    ),
    "parking_birmingham": (
        Data(
            source="-",
            time="LastUpdated",
            label="full",
            positive="1",
            numeric=("hour", "weekday", "Capacity"),
            categorical=("SystemCodeNumber",),
            slices=("SystemCodeNumber",),
        ),
        "W",
    ),
}  # name -> columns, and how long a window is
BOOSTING = NamedCode(name="boosting", args={"iterations": 60, "leaves": 15})
LAPLACE = NamedCode(name="laplace")
PER_SEGMENT = NamedCode(name="per_segment")
WAYS = {
    "never": (BOOSTING, None),
    "newest": (BOOSTING, REFIT),
    "always": (BOOSTING, REFIT),
    "blend": (BOOSTING, NamedCode(name="blend")),
    "champions": (BOOSTING, NamedCode(name="champions")),
    "distillation": (BOOSTING, NamedCode(name="distillation")),
    "per_segment": (BOOSTING, PER_SEGMENT),
    "laplace, newest": (LAPLACE, REFIT),
    "laplace, always": (LAPLACE, REFIT),
    "laplace, warm_start": (LAPLACE, NamedCode(name="warm_start")),
}  # name -> model and strategy


def windows_of(folder: Path, name: str) -> tuple[Data, list[pd.DataFrame]]:
    "Read a set as rows of the loop, window by window."
    data, every = SETS[name]
    frame = pd.read_parquet(folder / name / f"{name}.parquet")
    time = pd.to_datetime(frame[data.time]).dt.tz_localize("UTC")
    clock = {"hour": time.dt.hour, "weekday": time.dt.day_of_week}
    frame = frame.assign(**{k: v for k, v in clock.items() if k not in frame})
    rows = frame[list(data.features)].assign(
        event_id=[f"{name}-{k}" for k in range(len(frame))],
        event_time=time,
        label=frame[data.label].astype("str"),
        window=time.dt.tz_localize(None).dt.to_period(every).astype("str"),
    )
    for column in data.categorical:
        rows[column] = rows[column].astype("str")
    return data, [part for _, part in rows.sort_values("event_time").groupby("window", sort=True)]


def chain(data: Data, windows: list[pd.DataFrame], way: str) -> dict[str, float]:
    "Make a model in every window, each after the one before, and score it on the next."
    named, strategy = WAYS[way]
    train = Train(models=[named])
    before, last, loss, apart, cost = Predecessors(), None, [], [], 0
    for t in range(NEWEST - 1, len(windows) - 1):
        first = 0 if "always" in way else t + 1 - NEWEST
        rows, ahead = pd.concat(windows[first : t + 1]), windows[t + 1]
        model = last
        if last is None or strategy is not None:
            try:
                model, _ = fit_with(data, train, named, strategy or REFIT, rows, before)
                cost += len(rows)
            except ContinualError:  # it cannot work now, as without a second champion
                model, _ = fit_with(data, train, named, REFIT, rows)
                cost += len(rows)
        predictions = predict(model, ahead, data)
        loss.append(losses(data, ahead["label"], predictions).mean())
        if last is not None:
            apart.append(change(predict(last, ahead, data), predictions))
        kept = model
        if way == "champions":  # what is averaged are models of their own, not averages
            kept, _ = fit_with(data, train, named, REFIT, rows)
        before = grown(before, kept, rows, ahead, data)
        last = model
    mean = interval_of_mean(np.array(loss))
    flips = float(np.mean(apart))
    return {"loss": mean.mean, "low": mean.low, "high": mean.high, "rows": cost, "flips": flips}


def change(one, other) -> float:
    "Share of answers that differ; of numbers the mean difference."
    return float(
        distance(one, other).mean() if one.proba is None else (one.answer != other.answer).mean()
    )


def grown(before: Predecessors, model, rows, ahead, data: Data) -> Predecessors:
    "Add a model to those that were in production, and score the newest ones on the next window."
    span = [rows["event_time"].agg(how).isoformat() for how in ("min", "max")]
    champions = (*before.champions, Predecessor(model, *span))[-6:]
    number = 1 + max((s.iteration for s in before.scores), default=0)
    scores = tuple(
        Score(
            model=p.model.hash,
            window=str(ahead["window"].iloc[0]),
            iteration=number,
            part="evaluation",
            metrics=measure(data, ahead, predict(p.model, ahead, data)),
        )
        for p in champions
    )
    return Predecessors(champions, model.hash, (*before.scores, *scores))


def main(folder: Path, names: list[str]) -> None:
    "Print one table per set."
    for name in names or list(SETS):
        data, windows = windows_of(folder, name)
        table = pd.DataFrame({way: chain(data, windows, way) for way in WAYS}).T
        print(f"\n{name}: {len(windows)} windows, {sum(map(len, windows)):,} rows")
        print(table.assign(rows=table["rows"].astype(int)).round(4).to_string(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
