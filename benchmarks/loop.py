"""Who is called by the whole loop, how often, for what, and is the money true? Simulated worlds, folded with default parameters.

python benchmarks/loop.py [WORLD ...] --seeds 1 20 --rows 400 --windows 30 --jobs 1
WORLD: null, covariate (three inputs move by one sd half way and stay), break (the relation turns half way), gradual (it turns slowly)

Prints a line per world: calls a year by the part of the budget that they spend, with 95 % Poisson intervals, what was proposed, how soon a
change was called, and how often the intervals of promised gains and of impact held the truth, which is computed from the law of the world.
"""

import argparse

import numpy as np
import pandas as pd

from continual_nb.backtest.certificate import part_of
from continual_nb.backtest.exact import fold
from continual_nb.core.ingest import delivered
from continual_nb.core.models import load, predict
from continual_nb.core.params import Params
from continual_nb.monitoring.budget import PARTS

NUMBERS = [f"x{i}" for i in range(8)]
WORLDS = ("null", "covariate", "break", "gradual")


def weights(world: str, seed: int, t: int, windows: int) -> np.ndarray:
    "The relation of the outcome to the inputs in window t."
    w = np.random.default_rng(seed).normal(size=8) / 1.5
    now = w.copy()
    if world == "break" and t >= windows // 2:
        now[:4] = -w[:4]
    if world == "gradual":
        a = t / (windows - 1) * np.pi * 0.8
        now[0] = 2 * (np.cos(a) * w[0] - np.sin(a) * w[1])
        now[1] = 2 * (np.sin(a) * w[0] + np.cos(a) * w[1])
    return now


def window(world: str, seed: int, t: int, windows: int, n: int, rng) -> tuple:
    "Rows of window t, and the chance of a positive outcome of each."
    start, end = (pd.Timestamp("2022-01-01") + pd.DateOffset(months=k) for k in (t, t + 1))
    x = rng.normal(size=(n, 8))
    if world == "covariate" and t >= windows // 2:
        x[:, :3] += 1.0
    c = rng.choice(list("abcde"), n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    p = 1 / (1 + np.exp(-(x @ weights(world, seed, t, windows) + (c == "a") * 0.8 - 0.5)))
    frame = pd.DataFrame(x, columns=NUMBERS)
    times = start + (end - start) * np.sort(rng.random(n))
    return frame.assign(c=c, y=(rng.random(n) < p).astype(int), t=times), p


def settings(n: int) -> Params:
    "Default parameters for these worlds; below 300 rows a window no model could ever be accepted with them, so 50 rows decide there."
    data = {"source": "-", "time": "t", "label": "y", "label_delay": "3d", "slices": ["c"]}
    data |= {"numeric": NUMBERS, "categorical": ["c"]}
    more = {"evaluate": {"min_rows": 50}} if n < 300 else {}
    return Params.model_validate(
        {"project": "w", "windows": {"every": "month"}, "data": data} | more
    )


def folded(world: str, seed: int, n: int, windows: int) -> tuple[Params, list]:
    "Fold one world."
    rng, params = np.random.default_rng(10_000 + seed), settings(n)
    rows = [window(world, seed, t, windows, n, rng)[0] for t in range(windows)]
    return params, fold(params, delivered(pd.concat(rows, ignore_index=True), params.data))


def true_loss(model, frame: pd.DataFrame, p: np.ndarray, data) -> float:
    "Expected log loss of a model under the law of the world."
    said = predict(model, frame, data)
    q = np.clip(said.proba[:, said.classes.index("1")], 1e-6, 1 - 1e-6)
    return float(-(p * np.log(q) + (1 - p) * np.log(1 - q)).mean())


def money(turns: list, params: Params, fresh: list, n: int) -> tuple[list[bool], bool | None]:
    "Whether each promised gain, and the impact of all updates, lie within their intervals."
    models = {key: load(content, key) for key, content in turns[-1].state.models.items()}
    worth = lambda key, t: true_loss(models[key], *fresh[t], params.data)
    gains = []
    for t, turn in enumerate(turns):
        for c in turn.evaluation.comparisons:
            if c.challenger in models and c.against in models and c.overall.low is not None:
                true = worth(c.against, t) - worth(c.challenger, t)
                gains.append(bool(c.overall.low <= true <= c.overall.high))
    impact = turns[-1].looking_back(params).impact
    first = next((turn.outcome.champion for turn in turns if turn.outcome.champion), None)
    if not impact.updates or first is None:
        return gains, None
    since = [t for t, turn in enumerate(turns) if turn.outcome.previous]
    saved = sum(worth(first, t) - worth(turns[t].outcome.previous, t) for t in since)
    true = saved * n * params.decide.costs.loss
    return gains, bool(impact.money_low <= true <= impact.money_high)


def measured(world: str, seed: int, n: int, windows: int) -> dict:
    "Fold a world and count."
    params, turns = folded(world, seed, n, windows)
    begun = next((t for t, turn in enumerate(turns) if turn.outcome.champion), windows)
    calls = [
        (t, part_of(i), turn.outcome.previous)
        for t, turn in enumerate(turns)
        for i in turn.monitoring.incidents
        if i.severity != "note"
    ]
    half = 0 if world == "gradual" else windows // 2
    losses = [(t, key) for t, part, key in calls if part in ("harm", "risk")]
    counts = pd.Series([key for _, key in losses]).value_counts() if losses else []
    later = [t for t, *_ in calls if t >= half]
    harmed = [t for t, _ in losses if t >= half]
    seen = [
        t
        for t, turn in enumerate(turns)
        if t >= half and any(i.kind == "features" for i in turn.monitoring.incidents)
    ]
    fresh = [
        window(world, seed, t, windows, 4000, np.random.default_rng(999_000 + seed * 100 + t))
        for t in range(windows)
    ]
    gains, covered = money(turns, params, fresh, n)
    done = [turn.outcome.answer for turn in turns]
    updated = [t for t in range(half, windows) if done[t] == "promoted" and t > begun]
    return {
        "seed": seed,
        "years": max(windows - begun - 1, 0) / 12,
        **{part: sum(p == part for _, p, _ in calls) for part in (*PARTS, "quality")},
        "rang twice": int((counts > 1).sum()) if len(counts) else 0,
        "inspect": sum(turn.proposal.action == "inspect" for turn in turns),
        "tried": sum(turn.proposal.action == "improve" for turn in turns[begun + 1 :]),
        "promoted": max(done.count("promoted") - 1, 0),
        "refreshed": done.count("refreshed"),
        "after": len(later),
        "first seen": min(seen) - half if seen else None,  # also as a note, which calls nobody
        "first call": min(later) - half if later else None,
        "first harm": min(harmed) - half if harmed else None,
        "first update": min(updated) - half if updated else None,
        "harm after": len(harmed),
        "gains": gains,
        "covered": covered,
    }


def rate(count: int, years: float) -> str:
    "Spell a rate a year with its 95 % Poisson interval."
    from scipy.stats import chi2

    low, high = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, chi2.ppf(0.975, 2 * count + 2) / 2
    return f"{count / years:.2f} ({low / years:.2f} to {high / years:.2f})"


def summary(world: str, found: list[dict]) -> str:
    "One world in a few lines."
    table = pd.DataFrame(found)
    years = max(table["years"].sum(), 0.01)
    parts = [*PARTS, "quality"]
    said = [f"{world}: {len(table)} seeds, {years:.0f} years of watching"]
    asked = {"all": 1.0, **PARTS}
    for part in ("all", *parts):
        count = int(table[parts].sum().sum() if part == "all" else table[part].sum())
        said.append(
            f"  calls a year, {part:<8} {rate(count, years)}"
            + (f", at most {asked[part]:g}" if part in asked and world == "null" else "")
        )
    said.append(
        f"  models that rang twice for their losses {table['rang twice'].sum()}; proposed: inspect {table['inspect'].sum()}, an improvement {table['tried'].sum()}; promoted {table['promoted'].sum()}, reference refreshed in {(table['refreshed'] > 0).sum()} of {len(table)}"
    )
    if world != "null":
        spell = lambda name: (
            f"{table[name].median():.0f} ({table[name].notna().sum()} of {len(table)})"
        )
        said.append(
            f"  since the change: calls {sorted(table['after'])}, of these for losses {sorted(table['harm after'])}; windows to the first call {spell('first call')}, to the first for losses {spell('first harm')}, to the first update {spell('first update')}"
        )
    gains, covered = (
        [g for f in found for g in f["gains"]],
        [f["covered"] for f in found if f["covered"] is not None],
    )
    said.append(
        f"  the interval held the true gain in {sum(gains)} of {len(gains)}, the true impact in {sum(covered)} of {len(covered)}"
    )
    return "\n".join(said)


def main():
    "Fold the worlds and print what was seen."
    from joblib import Parallel, delayed

    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("worlds", nargs="*", default=WORLDS, metavar="WORLD")
    asked.add_argument("--seeds", nargs=2, type=int, default=(1, 10))
    asked.add_argument("--rows", type=int, default=400)
    asked.add_argument("--windows", type=int, default=30)
    asked.add_argument("--jobs", type=int, default=1)
    asked.add_argument("--each", action="store_true", help="a line per seed")
    told = asked.parse_args()
    for world in told.worlds:
        seeds = range(told.seeds[0], told.seeds[1] + 1)
        run, found = delayed(measured), []
        parallel = Parallel(told.jobs, return_as="generator")
        for one in parallel(run(world, seed, told.rows, told.windows) for seed in seeds):
            found.append(one)
            if told.each:
                print({k: v for k, v in one.items() if k != "gains"}, flush=True)
        print(summary(world, found), flush=True)


if __name__ == "__main__":
    main()
