"""Measure the monitor: calibration, power, root cause, speed. Prints JSON lines; `python benchmarks/monitoring.py PART [REPEATS]`."""

import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))

import numpy as np
import pandas as pd
from worlds import synth

from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.compare import Monitor

PLAIN = Settings(min_effect=0.0)


def say(**line) -> None:
    print(json.dumps(line), flush=True)


def verdicts(answer) -> dict[str, bool]:
    return {"column": any(c.verdict == "drifted" for c in answer.columns), "joint": answer.joint.verdict == "drifted",
            "slice": bool(answer.slices), "any": bool(answer.incidents) or answer.joint.verdict == "drifted"}


def calibration(repeats: int) -> None:
    "Share of quiet pairs that raise an alarm at nominal .05, no minimum effect."
    for n in (200, 1000, 1001, 10_000):
        rng, found = np.random.default_rng(n), []
        for _ in range(repeats if n < 5000 else max(20, repeats // 4)):
            found.append(verdicts(Monitor(PLAIN).fit(synth(n, rng)).score(synth(n, rng))))
        say(part="calibration", rows=n, repeats=len(found), nominal=0.05, **{k: round(float(np.mean([f[k] for f in found])), 4) for k in found[0]})


def power(repeats: int) -> None:
    "Share of planted changes that are seen, n = 1,000 a side, 30 columns, no minimum effect."
    rng = np.random.default_rng(1)
    cases = {"mean .2 sd": ({"x0": 0.2}, lambda a: any(c.column == "x0" and c.verdict == "drifted" for c in a.columns)),
             "1 % becomes 3 %": ({"rare": 0.03}, lambda a: any(c.column == "c0" and c.verdict == "drifted" for c in a.columns)),
             "correlation turned": ({"r": -0.6}, lambda a: a.joint.verdict == "drifted")}
    for name, (change, seen) in cases.items():
        found = [seen(Monitor(PLAIN).fit(synth(1000, rng)).score(synth(1000, rng, **change))) for _ in range(repeats)]
        say(part="power", change=name, repeats=repeats, seen=round(float(np.mean(found)), 4))


def world(kind: str, n: int, rng) -> pd.DataFrame:
    "A binary outcome, a champion that knew the first world, and one thing changed."
    m = 6 * n
    x = rng.normal(size=(m, 6))
    if kind == "covariate":
        x[:, 0] += 0.8
    slope = np.array([1.2, -0.9, 0.6, 0, 0, 0]) if kind != "concept" else np.array([-0.4, -0.9, 0.6, 1.0, 0, 0])
    chance = lambda x, s: 1 / (1 + np.exp(0.4 - x @ s))
    y = rng.random(m) < chance(x, slope)
    keep = np.arange(n)
    if kind == "label":
        ones, zeros = np.flatnonzero(y), np.flatnonzero(~y)
        keep = np.concatenate([ones[: int(0.7 * n)], zeros[: n - int(0.7 * n)]])
    x, y = x[keep], y[keep]
    made = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)]).assign(region=rng.choice([f"r{i}" for i in range(8)], n), y=y.astype(int))
    made["score"] = chance(x, np.array([1.2, -0.9, 0.6, 0, 0, 0]))
    if kind == "unit":
        made["x4"] = made["x4"] * 1000
    return made


def rootcause(repeats: int) -> None:
    "Does the one incident have the right cause, and the planted slice its name?"
    rng = np.random.default_rng(3)
    for kind in ("covariate", "label", "concept", "unit"):
        right = one = 0
        for _ in range(repeats):
            answer = Monitor(label="y", prediction="score").fit(world("none", 3000, rng)).score(world(kind, 3000, rng))
            right += bool(answer.incidents) and kind in answer.incidents[0].cause
            one += len(answer.incidents) == 1
        say(part="root cause", world=kind, repeats=repeats, right=right / repeats, one_incident=one / repeats)
    for what in ("feature", "loss", "missing"):
        right = one = 0
        for _ in range(repeats):
            sides = [world("none", 20_000, rng).assign(segment=rng.integers(0, 50, 20_000).astype(str)) for _ in range(2)]
            place = sides[1]["segment"] == "17"
            if what == "feature":
                sides[1].loc[place, "x3"] += 1.0
            elif what == "missing":
                sides[1].loc[place & (rng.random(20_000) < 0.5), "x3"] = np.nan
            else:
                sides[1].loc[place, "y"] = 1 - sides[1].loc[place, "y"]
            answer = Monitor(label="y", prediction="score").fit(sides[0]).score(sides[1])
            right += any(i.slice == "segment=17" for i in answer.incidents)
            one += len(answer.incidents) == 1
        say(part="root cause", world=f"one slice of fifty, {what}", repeats=repeats, right=right / repeats, one_incident=one / repeats)


def clock(function, repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return round(float(np.median(times)), 4)


def speed(_: int) -> None:
    "Univariate verdict against sorting the numeric columns in one thread; then everything."
    from continual_nb.monitoring.compare import univariate

    for n in (1000, 100_000, 1_000_000):
        rng = np.random.default_rng(0)
        a, b = synth(n, rng, coded=True), synth(n, rng, coded=True)
        numeric = [side[f"x{i}"].to_numpy() for side in (a, b) for i in range(20)]
        sorting = clock(lambda: [np.sort(x) for x in numeric])
        both = clock(lambda: univariate(Monitor().fit(a), b))
        fitted = Monitor().fit(a)
        one = clock(lambda: univariate(fitted, b))
        whole = clock(lambda: Monitor().fit(a).score(b), 1)
        say(part="speed", rows=n, columns=30, sorting=sorting, both_sides=both, ratio=round(both / sorting, 2), fitted=one, fitted_ratio=round(one / sorting, 2), everything=whole)


if __name__ == "__main__":
    parts = {"calibration": calibration, "power": power, "rootcause": rootcause, "speed": speed}
    chosen = sys.argv[1] if len(sys.argv) > 1 else "all"
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    for name, part in parts.items():
        if chosen in (name, "all"):
            part(repeats)
