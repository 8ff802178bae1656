"""Is the loop worth it? Mean loss and total cost of the loop, as `continual init` makes it, beside what costs no thought.

python benchmarks/worth.py [STREAM ...] [--data FOLDER] [--price FACTOR] [--every-second-unlabelled]
STREAM: flights (ships with a package), what other packages ship as data (PACKAGED: each needs its package), the names of files NAME/NAME.parquet in FOLDER that are listed in STREAMS, and the worlds of
benchmarks/loop.py as null:SEED, covariate:SEED, break:SEED, gradual:SEED

Every policy is charged for its own work by the prices that `init` guessed and for its losses on all labelled events of each window, from the
window after the loop's first model on: the loop as lived (fold); never (its first model, frozen); always (all of history, capped, retrained in
every window, no test, no review); newest (the same on the newest window alone); the constant answer; and always in every k-th window, the best k
picked in hindsight. Prints JSON lines, and a table in units of what never costs.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

sys.path.insert(0, str(Path(__file__).parent))

import loop as worlds  # noqa: E402

from continual_nb.backtest.exact import fold  # noqa: E402
from continual_nb.core.files import ContinualError  # noqa: E402
from continual_nb.core.ingest import delivered  # noqa: E402
from continual_nb.core.metrics import baseline_losses, constant_answer, losses  # noqa: E402
from continual_nb.core.models import fit_named, predict  # noqa: E402
from continual_nb.core.params import Params  # noqa: E402
from continual_nb.core.pictures import (  # noqa: E402
    BLUE,
    INK,
    ORANGE,
    QUIET,
    axes,
    legend,
    picture,
)
from continual_nb.core.sources import load as read_source  # noqa: E402
from continual_nb.core.windows import Cadence  # noqa: E402
from continual_nb.loop.init import FLIGHTS, guess  # noqa: E402

STREAMS = {  # what a person would type: time and label; init guesses the rest
    "electricity": {"time": "timestamp", "label": "target", "exclude": ("label",)},
    "bike_sharing": {"time": "timestamp", "label": "cnt"},
    "madewithml": {"time": "created_on", "label": "tag", "exclude": ("tag_full", "split")},
    "occupancy_detection": {"time": "date", "label": "Occupancy", "exclude": ("Id",)},
    "parking_birmingham": {"time": "LastUpdated", "label": "full", "exclude": ("Occupancy",)},
    "absenteeism_at_work": {"time": "time", "label": "Absenteeism time in hours"},
}
PACKAGED = {  # package, file in it, and what a person would type
    "seattle_weather": (
        "vega_datasets",  # 0.9.0, MIT; four years of days, five kinds of weather
        "_data/seattle-weather.csv",
        {"time": "date", "label": "weather"},
    ),
    "trump_approval": (
        "river",  # 0.26.1, BSD-3-Clause; 1,001 days, five polls and their average
        "datasets/trump_approval.csv.gz",
        {"time": "time", "label": "five_thirty_eight"},
    ),
    "sp500": (
        "river",  # 0.26.1, BSD-3-Clause; returns of ten shares, and of the index one day later
        "datasets/sp500.csv.gz",
        {"time": "date", "label": "next_day_return"},
    ),
}


def packaged(name: str) -> tuple[Path, dict]:
    "The file of a stream that a package ships, with a column of times, and how to read it."
    package, inside, how = PACKAGED[name]
    found = importlib.util.find_spec(package)
    if found is None:
        raise SystemExit(f"{name} ships with {package}: pip install {package}")
    frame = pd.read_csv(Path(found.origin).parent / inside)
    if "ordinal_date" in frame:
        days = frame.pop("ordinal_date")
        frame["time"] = [pd.Timestamp.fromordinal(int(day)) for day in days]
    path = Path(tempfile.mkdtemp()) / f"{name}.parquet"
    frame.to_parquet(path)
    return path, how


def stream(name: str, folder: Path) -> tuple[Params, pd.DataFrame]:
    "Parameters as init guesses them, and the rows."
    if name == "flights":
        return FLIGHTS, read_source("nycflights13", folder)
    if ":" in name:
        world, seed = name.split(":")
        params = worlds.settings(400)
        rng = np.random.default_rng(10_000 + int(seed))
        rows = [worlds.window(world, int(seed), t, 30, 400, rng)[0] for t in range(30)]
        return params, pd.concat(rows, ignore_index=True)
    if name in PACKAGED:
        source, how = packaged(name)
        params, _ = guess(str(source), Path("."), **how)
        return params, read_source(str(source), Path("."))
    source = folder / name / f"{name}.parquet"
    if name == "absenteeism_at_work":  # 36 months in order, without a date
        frame = pd.read_parquet(source)
        month = (frame["Month of absence"].diff().fillna(0) != 0).cumsum()
        frame["time"] = pd.Timestamp("2007-07-01") + pd.to_timedelta(month * 30, unit="D")
        frame["time"] += pd.to_timedelta(frame.groupby(month).cumcount(), unit="h")
        source = Path(tempfile.mkdtemp()) / source.name
        frame.to_parquet(source)
    params, _ = guess(str(source), Path("."), **STREAMS[name])
    return params, read_source(str(source), Path("."))


def per_event(params: Params, model, rows: pd.DataFrame) -> float:
    "Mean loss of a model on labelled rows; of a dict: of that constant answer."
    if isinstance(model, dict):
        return float(baseline_losses(params.data, rows["label"], model).mean())
    return float(losses(params.data, rows["label"], predict(model, rows, params.data)).mean())


def lived(name: str, folder: Path, price: float = 1.0, hide: bool = False) -> dict:
    "Fold the loop over a stream, and put beside it what costs no thought."
    params, raw = stream(name, folder)
    costs = params.decide.costs
    work = {k: price * getattr(costs, k) for k in ("update", "recalibrate", "review", "label")}
    costs = costs.model_copy(update=work)
    params = params.model_copy(update={"decide": params.decide.model_copy(update={"costs": costs})})
    delivery = delivered(raw, params.data)
    times = delivery.frame["event_time"]
    cadence = Cadence(params.windows.every, params.data.timezone).extended(times.dropna())
    names = cadence.names(times)
    if hide:
        odd = names.map({n: k for k, n in enumerate(sorted(names.dropna().unique()))}) % 2 == 1
        kept = delivery.frame["label"].mask(odd)
        folded = replace(delivery, frame=delivery.frame.assign(label=kept))
    else:
        folded = delivery
    began = time.perf_counter()
    turns = fold(params, folded)
    seconds = time.perf_counter() - began
    rename = {f"feature {n}": n for n in params.data.features}
    rows = delivery.frame.rename(columns=rename).assign(window=names)
    rows = rows[rows["label"].notna() & rows["event_time"].notna()]
    by = {n: part.reset_index(drop=True) for n, part in rows.groupby("window", sort=False)}
    train = params.train
    named = train.models[0]
    begun = next((t for t, turn in enumerate(turns) if turn.outcome.champion), None)
    if begun is None:
        return {"stream": name, "windows": len(turns), "first": None}
    first = turns[begun].outcome.champion
    order = [turn.moment.window.name for turn in turns]
    hidden = set(order[1::2]) if hide else set()
    labelled = lambda t: [by[w] for w in order[: t + 1] if w in by and w not in hidden]
    known: dict[int, object] = {}

    def trained(t: int, newest: bool):
        key = (t, newest)
        if key not in known:
            asof = turns[t].moment.as_of
            parts = labelled(t)[-1:] if newest else labelled(t)
            had = pd.concat(parts) if parts else rows.iloc[:0]
            had = had[(had["label_time"] <= asof).to_numpy()]
            if len(had) > (params.compose.always or 60_000):
                had = had.sample(params.compose.always or 60_000, random_state=7).sort_values(
                    "event_time", kind="stable"
                )
            try:
                known[key] = fit_named(params.data, train, named, had.assign(sample_weight=1.0))
            except ContinualError:  # too few rows, or one class
                known[key] = trained(t - 1, newest) if t else None
        return known[key]

    span = [t for t in range(begun + 1, len(turns)) if order[t] in by]
    opened = {}
    champ = lambda h: opened.setdefault(h, turns[-1].state.model(h, train))
    scale = {t: len(by[order[t]]) * costs.loss for t in span}
    out = {}

    def told(key: str, per: list[float], paid: float, **more):
        lost = sum(p * scale[t] for p, t in zip(per, span))
        out[key] = {
            "loss": round(sum(p * scale[t] for p, t in zip(per, span)) / sum(scale.values()), 5),
            "cost": round(lost + paid, 2),
            "work": round(paid, 2),
        } | more

    flat = constant_answer(params.data, pd.concat(labelled(begun))["label"])
    own = [per_event(params, champ(turns[t].outcome.previous), by[order[t]]) for t in span]
    spent = sum(
        costs.of(turns[t].proposal.means, turns[t].proposal.labels)
        + (costs.rollout if turns[t].outcome.champion != turns[t].outcome.previous else 0.0)
        for t in span
    )
    changed = sum(turns[t].outcome.champion != turns[t].outcome.previous for t in span)
    tried = sum(turns[t].proposal.action == "improve" for t in span)
    told("loop", own, spent, tried=tried, changed=changed)
    told("never", [per_event(params, champ(first), by[order[t]]) for t in span], 0.0)
    once = costs.update + costs.rollout
    always = [per_event(params, trained(t - 1, False) or flat, by[order[t]]) for t in span]
    told("always", always, once * len(span))
    newest = [per_event(params, trained(t - 1, True) or flat, by[order[t]]) for t in span]
    told("newest", newest, once * len(span))
    constant = [per_event(params, flat, by[order[t]]) for t in span]
    told("constant", constant, 0.0)
    for k in (2, 3, 6, 12):
        each = [
            per_event(
                params, trained(begun + (t - 1 - begun) // k * k, False) or flat, by[order[t]]
            )
            for t in span
        ]
        told(f"every {k}", each, once * (len(span) // k))
    worse = sum(a > c for a, c in zip(own, constant))
    return {
        "stream": name,
        "windows": len(turns),
        "rows": int(np.median([len(by[order[t]]) for t in span])) if span else 0,
        "first": begun + 1,
        "update": costs.update,
        "seconds": round(seconds, 1),
        "worse than constant": worse,
        "policies": out,
    }


def table(found: list[dict]) -> str:
    "Costs in units of what never costs."
    lines = [
        f"{'stream':<22}{'windows':>8}{'first':>6}{'tried':>6}{'new':>5}  "
        + "".join(f"{k:>10}" for k in ("loop", "never", "always", "newest", "constant", "best k"))
    ]
    sums: dict[str, float] = {}
    for one in found:
        if not one.get("policies"):
            lines.append(f"{one['stream']:<22}{one['windows']:>8}  no model was put in place")
            continue
        p = one["policies"]
        base = p["never"]["cost"] or 1.0
        best = min(p[k]["cost"] for k in p if k.startswith("every") or k == "always")
        row = {
            k: p[k]["cost"] / base for k in ("loop", "never", "always", "newest", "constant")
        } | {"best k": best / base}
        for k, v in row.items():
            sums[k] = sums.get(k, 0.0) + v
        lines.append(
            f"{one['stream']:<22}{one['windows']:>8}{one['first']:>6}{p['loop']['tried']:>6}{p['loop']['changed']:>5}  "
            + "".join(f"{v:>10.3f}" for v in row.values())
            + ("" if row["loop"] <= 1.03 * min(row["never"], row["always"]) else "  behind")
        )
    lines.append(f"{'sum':<47}  " + "".join(f"{v:>10.3f}" for v in sums.values()))
    return "\n".join(lines)


def markdown(found: list[dict]) -> str:
    "The table of nbs/worth.md: costs in units of what never costs, of single runs."
    names = ("loop", "always", "newest", "constant")
    lines = ["| stream | windows | updates tried, made | loop | always | newest | constant |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in found:
        if not one.get("policies"):
            lines.append(f"| {one['stream']} | {one['windows']} | no model | | | | |")
            continue
        p = one["policies"]
        cells = " | ".join(f"{p[k]['cost'] / p['never']['cost']:.3f}" for k in names)
        tried = f"{p['loop']['tried']}, {p['loop']['changed']}"
        lines.append(f"| {one['stream']} | {one['windows']} | {tried} | {cells} |")
    return "\n".join(lines)


def drawn(found: list[dict]):
    "The picture of nbs/worth.md: the same numbers on a logarithmic axis, a line a stream."
    kept = [one for one in found if one.get("policies")]
    share = lambda one, k: one["policies"][k]["cost"] / one["policies"]["never"]["cost"]
    best = [share(one, "loop") / min(share(one, "always"), 1.0) for one in kept]
    order = sorted(range(len(kept)), key=lambda k: share(kept[k], "loop"), reverse=True)
    figure, ax = axes(width=6.4, height=1.0 + 0.3 * len(kept))
    marks = {"newest": (QUIET, "^"), "constant": (QUIET, "s"), "always": (ORANGE, "D")}
    for name, (colour, mark) in {**marks, "loop": (BLUE, "o")}.items():
        across = [share(kept[k], name) for k in order]
        ax.plot(across, range(len(kept)), mark, color=colour, markersize=6, label=name)
    ax.axvline(1, color=INK, linewidth=0.8)
    ax.set_xscale("log")
    ticks = [0.2, 0.3, 0.5, 0.7, 1, 1.5]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(kept)), [kept[k]["stream"] for k in order])
    ax.set_xlabel("total cost, in units of what the first model, kept as it was, costs")
    legend(ax, columns=4)
    near = sum(ratio <= 1.03 for ratio in best)
    said = f"On {near} of {len(kept)} streams the loop costs at most 3 % more than the best of"
    return picture(figure, f"{said} never and always; at worst {max(best):.2f} times as much.")


def main():
    "Live through the streams and print."
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("streams", nargs="*")
    asked.add_argument("--data", type=Path, default=Path("data"))
    asked.add_argument("--price", type=float, default=1.0, help="factor on the price of work")
    asked.add_argument("--every-second-unlabelled", action="store_true")
    asked.add_argument("--markdown", type=Path, help="print the table of runs kept as JSON lines")
    asked.add_argument("--picture", type=Path, help="with --markdown: where the picture goes")
    given = asked.parse_args()
    if given.markdown:
        runs = [json.loads(line) for line in given.markdown.read_text().splitlines()]
    if given.markdown and given.picture:
        made = drawn(runs)
        given.picture.write_bytes(made.png)
        print(made.alt)
    elif given.markdown:
        print(markdown(runs))
    if given.markdown:
        return
    names = given.streams or ["flights", *STREAMS]
    found = []
    for name in names:
        found.append(lived(name, given.data, given.price, given.every_second_unlabelled))
        print(json.dumps(found[-1]), flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
