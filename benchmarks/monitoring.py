"""Measure the monitor: calibration, power, root cause, ties, budget, kernels, outliers, speed. Prints JSON lines; `python benchmarks/monitoring.py PART [REPEATS]`."""

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
    return {
        "column": any(c.verdict == "drifted" for c in answer.columns),
        "joint": answer.joint.verdict == "drifted",
        "slice": bool(answer.slices),
        "any": bool(answer.incidents) or answer.joint.verdict == "drifted",
    }


def calibration(repeats: int) -> None:
    "Share of quiet pairs that raise an alarm at nominal .05, no minimum effect."
    for n in (200, 1000, 1001, 10_000):
        rng, found = np.random.default_rng(n), []
        for _ in range(repeats if n < 5000 else max(20, repeats // 4)):
            found.append(verdicts(Monitor(PLAIN).fit(synth(n, rng)).score(synth(n, rng))))
        say(
            part="calibration",
            rows=n,
            repeats=len(found),
            nominal=0.05,
            **{k: round(float(np.mean([f[k] for f in found])), 4) for k in found[0]},
        )


def power(repeats: int) -> None:
    "Share of planted changes that are seen, n = 1,000 a side, 30 columns, no minimum effect."
    rng = np.random.default_rng(1)
    cases = {
        "mean .2 sd": (
            {"x0": 0.2},
            lambda a: any(c.column == "x0" and c.verdict == "drifted" for c in a.columns),
        ),
        "1 % becomes 3 %": (
            {"rare": 0.03},
            lambda a: any(c.column == "c0" and c.verdict == "drifted" for c in a.columns),
        ),
        "correlation turned": ({"r": -0.6}, lambda a: a.joint.verdict == "drifted"),
    }
    for name, (change, seen) in cases.items():
        found = [
            seen(Monitor(PLAIN).fit(synth(1000, rng)).score(synth(1000, rng, **change)))
            for _ in range(repeats)
        ]
        say(part="power", change=name, repeats=repeats, seen=round(float(np.mean(found)), 4))


def world(kind: str, n: int, rng) -> pd.DataFrame:
    "A binary outcome, a champion that knew the first world, and one thing changed."
    m = 6 * n
    x = rng.normal(size=(m, 6))
    if kind == "covariate":
        x[:, 0] += 0.8
    slope = (
        np.array([1.2, -0.9, 0.6, 0, 0, 0])
        if kind != "concept"
        else np.array([-0.4, -0.9, 0.6, 1.0, 0, 0])
    )
    chance = lambda x, s: 1 / (1 + np.exp(0.4 - x @ s))
    y = rng.random(m) < chance(x, slope)
    keep = np.arange(n)
    if kind == "label":
        ones, zeros = np.flatnonzero(y), np.flatnonzero(~y)
        keep = np.concatenate([ones[: int(0.7 * n)], zeros[: n - int(0.7 * n)]])
    x, y = x[keep], y[keep]
    made = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)]).assign(
        region=rng.choice([f"r{i}" for i in range(8)], n), y=y.astype(int)
    )
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
            answer = (
                Monitor(label="y", prediction="score")
                .fit(world("none", 3000, rng))
                .score(world(kind, 3000, rng))
            )
            right += bool(answer.incidents) and kind in answer.incidents[0].cause
            one += len(answer.incidents) == 1
        say(
            part="root cause",
            world=kind,
            repeats=repeats,
            right=right / repeats,
            one_incident=one / repeats,
        )
    for what in ("feature", "loss", "missing"):
        right = one = 0
        for _ in range(repeats):
            sides = [
                world("none", 20_000, rng).assign(segment=rng.integers(0, 50, 20_000).astype(str))
                for _ in range(2)
            ]
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
        say(
            part="root cause",
            world=f"one slice of fifty, {what}",
            repeats=repeats,
            right=right / repeats,
            one_incident=one / repeats,
        )


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
        say(
            part="speed",
            rows=n,
            columns=30,
            sorting=sorting,
            both_sides=both,
            ratio=round(both / sorting, 2),
            fitted=one,
            fitted_ratio=round(one / sorting, 2),
            everything=whole,
        )


def ties(repeats: int) -> None:
    "Size of the single-column test on columns with ties, on sparse categories and at sizes up to a million (drawn as counts)."
    from continual_nb.monitoring.detectors.univariate import compare, p_value
    from continual_nb.monitoring.profiles.profile import column_profile, counts

    rng = np.random.default_rng(2)
    draw = {
        "0/1": lambda n: rng.integers(0, 2, n),
        "0/1, one in twenty": lambda n: rng.random(n) < 0.05,
        "Poisson(1)": lambda n: rng.poisson(1, n),
        "nine zeros in ten": lambda n: np.where(rng.random(n) < 0.9, 0, rng.normal(size=n)),
        "rounded normal": lambda n: rng.normal(size=n).round(1),
        "normal": rng.standard_normal,
        "Zipf, 200 levels": lambda n: rng.zipf(1.3, n) % 200,
    }
    for name, make in draw.items():
        kind = "categorical" if "levels" in name else "numeric"
        for n in (200, 1000, 10_000):
            found = []
            for _ in range(40 * repeats if n < 5000 else 10 * repeats):
                side = lambda: pd.Series(make(n)).astype("str" if kind == "categorical" else float)
                known = column_profile(side(), kind, None, PLAIN)
                p = p_value(
                    compare(
                        known.table,
                        counts(known, side()),
                        kind == "numeric",
                        30,
                        lean=True,
                        rest=None if kind == "numeric" else known.width - 2,
                    ),
                    0.0,
                    0.0,
                )
                found.append(p is not None and p <= 0.05)
            say(
                part="ties",
                column=name,
                rows=n,
                repeats=len(found),
                nominal=0.05,
                size=round(float(np.mean(found)), 4),
            )
    for n in (10_000, 100_000, 1_000_000):
        shares, found = 1 / np.arange(1, 51) / (1 / np.arange(1, 51)).sum(), []
        for _ in range(100 * repeats):
            found.append(
                p_value(
                    compare(rng.multinomial(n, shares)[None], rng.multinomial(n, shares), False),
                    0.0,
                    0.0,
                )
                <= 0.05
            )
        say(
            part="ties",
            column="50 levels, as counts",
            rows=n,
            repeats=len(found),
            nominal=0.05,
            size=round(float(np.mean(found)), 4),
        )


def budget(repeats: int) -> None:
    "False alarms a year over 104 weekly windows at a budget of one, with 20 and 200 monitors that share a reference which wobbles as its windows do."
    from continual_nb.monitoring.budget import gather
    from continual_nb.monitoring.detectors.univariate import compare, p_value

    rng, shares = np.random.default_rng(6), np.full(10, 0.1)
    for monitors in (20, 200):
        for wobble in (0.0, 0.1):
            alarms, years = 0, 0.0
            for _ in range(max(repeats // (5 if monitors == 20 else 25), 2)):
                draw = lambda: rng.multinomial(
                    2000, (lambda w: w / w.sum())(shares * np.exp(wobble * rng.normal(size=10)))
                )
                known, state = [np.stack([draw() for _ in range(12)]) for _ in range(monitors)], {}
                for _ in range(104):
                    told = gather(
                        {
                            str(j): p_value(compare(table, draw(), True))
                            for j, table in enumerate(known)
                        },
                        state,
                        1.0,
                        52,
                    )
                    state, alarms = told.by, alarms + bool(told.fired)
                years += 2
            say(
                part="budget",
                monitors=monitors,
                wobble=wobble,
                years=years,
                allowed=1.0,
                alarms_a_year=round(alarms / years, 3),
            )


def kernels(_: int) -> None:
    "MMD with 100 permutations against all tiles of the kernel times the labels (it needs half of them); the joint verdict against MMD; 10,000 rows a side, 20 columns."
    from continual_nb.monitoring.detectors.joint import encoded, fit_joint, joint, mmd

    rng = np.random.default_rng(0)
    frame = lambda: pd.DataFrame(
        rng.normal(size=(10_000, 20)), columns=[f"x{i}" for i in range(20)]
    )
    a, b = frame(), frame()
    kinds = dict.fromkeys(a, "numeric")
    known = fit_joint(a, kinds)
    x, y = encoded(known.scales, a)[0], encoded(known.scales, b)[0]

    def products():
        both, labels = (
            np.concatenate([x, y]).astype(np.float32),
            rng.normal(size=(20_000, 101)).astype(np.float32),
        )
        for i in range(0, 20_000, 1024):
            np.exp(both[i : i + 1024] @ both.T) @ labels

    product, whole = clock(products), clock(lambda: mmd(x, y))
    together = clock(lambda: joint(fit_joint(a, kinds), b, PLAIN, floor=0))
    say(
        part="kernels",
        rows=10_000,
        tiled_product=product,
        mmd=whole,
        mmd_ratio=round(whole / product, 2),
        joint=together,
        joint_ratio=round(whole / together, 1),
    )


def outliers(repeats: int) -> None:
    "Share of 100 planted rows in 2,000 that are listed at one good row in a hundred, beside an isolation forest calibrated in the same way."
    from sklearn.ensemble import IsolationForest

    from continual_nb.monitoring.detectors.joint import encoded, fit_joint
    from continual_nb.monitoring.detectors.outliers import fit_outliers, unusual
    from continual_nb.monitoring.profiles.profile import column_profile

    rng = np.random.default_rng(8)
    plant = {
        "nothing": {},
        "one value of 6 sd": {"x3": 6.0},
        "times 1,000": {"x12": 1000.0},
        "unknown category": {"c3": "zz"},
        "a pair that does not fit": {"x1": 2.0, "x2": -2.0},
    }
    for name, change in plant.items():
        found = {"ours": [], "isolation forest": []}
        for _ in range(max(repeats // 20, 2)):
            known, window = synth(6000, rng), synth(2000, rng)
            for column, value in change.items():
                window.loc[:99, column] = (
                    window.loc[:99, column] * value if column == "x12" else value
                )
            kinds = {c: "categorical" if c[0] == "c" else "numeric" for c in known}
            together = fit_joint(known, kinds)
            columns = tuple(
                column_profile(known[c], kind, None, PLAIN) for c, kind in kinds.items()
            )
            listed = (
                unusual(columns, together, fit_outliers(columns, together, known), window, 0.01)[
                    "event"
                ]
                .astype(int)
                .to_numpy()
            )
            found["ours"].append([(listed < 100).sum() / 100, (listed >= 100).sum() / 1900])
            flat = lambda rows: encoded(together.scales, rows)[0]
            forest = IsolationForest(n_estimators=200, random_state=0).fit(flat(known[:3000]))
            line = np.quantile(-forest.score_samples(flat(known[3000:])), 0.99)
            hit = -forest.score_samples(flat(window)) >= line
            found["isolation forest"].append([hit[:100].mean(), hit[100:].mean()])
        for tool, pairs in found.items():
            say(
                part="outliers",
                planted=name,
                tool=tool,
                listed_of_planted=round(float(np.mean(pairs, axis=0)[0]), 3),
                listed_of_good=round(float(np.mean(pairs, axis=0)[1]), 4),
            )


if __name__ == "__main__":
    parts = {
        "calibration": calibration,
        "power": power,
        "rootcause": rootcause,
        "ties": ties,
        "budget": budget,
        "kernels": kernels,
        "outliers": outliers,
        "speed": speed,
    }
    chosen = sys.argv[1] if len(sys.argv) > 1 else "all"
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    for name, part in parts.items():
        if chosen in (name, "all"):
            part(repeats)
