"""One tool, one task, in the tool's own environment: `python run.py TOOL TASK [REPEATS] [ROWS]`. Prints JSON lines.

Tools: ours, evidently, nannyml, alibi, sliceline. Tasks: speed, verdicts (share of undrifted and of changed pairs that are called drifted,
1,000 rows a side, 30 columns, nominal .05), fooled (one absurd value, missing values, infinities, a shift that does not matter),
slices, cbpe. Where a tool does not know a task it prints nothing.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
sys.path.insert(0, str(Path(__file__).parent))
warnings.simplefilter("ignore")

import numpy as np
import pandas as pd
from worlds import synth

NUMERIC, CATEGORICAL = [f"x{i}" for i in range(20)], [f"c{i}" for i in range(10)]


def evidently(a, b, numeric, categorical) -> dict[str, bool]:
    "Kolmogorov-Smirnov and chi-square, as a person who wants p-values would ask for; column -> drifted, and the whole."
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    about = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    sides = [Dataset.from_pandas(x, data_definition=about) for x in (b, a)]
    found = (
        Report([DataDriftPreset(num_method="ks", cat_method="chisquare")])
        .run(*sides)
        .dict()["metrics"]
    )
    made = {
        m["config"]["column"]: bool(float(m["value"]) < 0.05)
        for m in found
        if "column" in m["config"]
    }
    return made | {"": bool(found[0]["value"]["share"] >= 0.5)}


def evidently_default(a, b, numeric, categorical) -> dict[str, bool]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    about = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    found = (
        Report([DataDriftPreset()])
        .run(*(Dataset.from_pandas(x, data_definition=about) for x in (b, a)))
        .dict()["metrics"]
    )
    rule = lambda m: (
        float(m["value"]) < m["config"]["threshold"]
        if "p_value" in m["config"]["method"]
        or m["config"]["method"] in ("ks", "chisquare", "z", "K-S p_value")
        else float(m["value"]) >= m["config"]["threshold"]
    )
    return {m["config"]["column"]: bool(rule(m)) for m in found if "column" in m["config"]} | {
        "": bool(found[0]["value"]["share"] >= 0.5)
    }


def nannyml(a, b, numeric, categorical, chunks: int = 10) -> dict[str, bool]:
    "Its thresholds come from chunks of the reference, so it gets ten (for speed one, which is its fastest); a column alerts if most chunks of the window do."
    import nannyml as nml

    tool = nml.UnivariateDriftCalculator(
        column_names=numeric + categorical,
        treat_as_categorical=categorical,
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
        chunk_size=len(a) // chunks,
    )
    found = tool.fit(a).calculate(b).filter(period="analysis").to_df()
    made = {
        name: bool(
            found[(name, "kolmogorov_smirnov" if name in numeric else "chi2", "alert")].mean() > 0.5
        )
        for name in numeric + categorical
    }
    return made | {"": any(made.values())}


def alibi(a, b, numeric, categorical) -> dict[str, bool]:
    from alibi_detect.cd import TabularDrift

    codes = [pd.factorize(pd.concat([a[name], b[name]]))[0] for name in categorical]
    stack = lambda side, part: np.column_stack(
        [
            *(side[name].to_numpy(np.float32) for name in numeric),
            *(c[part].astype(np.float32) for c in codes),
        ]
    )
    tool = TabularDrift(
        stack(a, slice(0, len(a))),
        p_val=0.05,
        categories_per_feature={len(numeric) + i: None for i in range(len(categorical))},
    )
    found = tool.predict(stack(b, slice(len(a), None)), drift_type="batch")["data"]
    made = {
        name: bool(p < found["threshold"]) for name, p in zip(numeric + categorical, found["p_val"])
    }
    return made | {"": bool(found["is_drift"])}


def ours(a, b, numeric, categorical, whole: bool = True, effect: float = 0.0) -> dict[str, bool]:
    from continual_nb.core.params import Monitor as Settings
    from continual_nb.monitoring.compare import Monitor, univariate

    fitted = Monitor(Settings(min_effect=effect)).fit(a)
    if not whole:
        return {c.column: c.verdict == "drifted" for c in univariate(fitted, b)}
    found = fitted.score(b)
    made = {c.column: c.verdict == "drifted" for c in found.columns} | {
        f.column: True for f in found.quality if f.severity != "note" and f.column
    }
    return made | {"": bool(found.incidents), "joint": found.joint.verdict == "drifted"}


TOOLS = {
    "evidently": evidently,
    "evidently_default": evidently_default,
    "nannyml": nannyml,
    "alibi": alibi,
    "ours": ours,
}


def say(**line) -> None:
    print(json.dumps(line), flush=True)


def timed(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed(tool: str, repeats: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    a, b = synth(rows, rng, coded=tool == "ours"), synth(rows, rng, coded=tool == "ours")
    ask = (
        (lambda a, b: ours(a, b, NUMERIC, CATEGORICAL, whole=False))
        if tool == "ours"
        else (
            lambda a, b: TOOLS[tool](
                a, b, NUMERIC, CATEGORICAL, **({"chunks": 1} if tool == "nannyml" else {})
            )
        )
    )
    ask(a[:500], b[:500])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = sum(x.memory_usage(deep=True).sum() for x in (a, b)) / 1e6
    first = timed(lambda: ask(a, b))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = [first, *(timed(lambda: ask(a, b)) for _ in range(repeats - 1))]
    say(
        task="speed",
        tool=tool,
        rows=rows,
        repeats=len(times),
        seconds=round(float(np.median(times)), 4),
        peak_above_mb=round((peak - before) / 1e3, 1),
        frames_mb=round(float(frames), 1),
    )
    if tool != "ours":
        return
    from continual_nb.core.params import Monitor as Settings
    from continual_nb.monitoring.compare import Monitor, univariate

    fitted = Monitor(Settings(min_effect=0.0)).fit(a)
    univariate(fitted, b)
    say(
        task="speed",
        tool="ours, fitted reference",
        rows=rows,
        seconds=round(
            float(
                np.median([timed(lambda: univariate(fitted, b)) for _ in range(max(repeats, 3))])
            ),
            4,
        ),
    )
    say(
        task="speed",
        tool="ours, everything: joint, outliers, slices, causes",
        rows=rows,
        seconds=round(
            float(
                np.median(
                    [timed(lambda: Monitor().fit(a).score(b)) for _ in range(max(repeats, 3))]
                )
            ),
            4,
        ),
    )
    say(
        task="speed",
        tool="numpy, sort of the numeric columns, one thread",
        rows=rows,
        seconds=round(
            float(
                np.median(
                    [
                        timed(
                            lambda: [
                                np.sort(x[name].to_numpy()) for x in (a, b) for name in NUMERIC
                            ]
                        )
                        for _ in range(max(repeats, 3))
                    ]
                )
            ),
            4,
        ),
    )


def verdicts(tool: str, repeats: int, rows: int) -> None:
    "Null, a mean moved by .2 sd, a 1 % level that becomes 3 %, a correlation turned over."
    cases = {
        "no change": ({}, ""),
        "mean .2 sd": ({"x0": 0.2}, "x0"),
        "1 % becomes 3 %": ({"rare": 0.03}, "c0"),
        "correlation turned": ({"r": -0.6}, "joint"),
    }
    for case, (change, column) in cases.items():
        rng, found = np.random.default_rng(11), []
        for _ in range(repeats):
            found.append(
                TOOLS[tool](
                    synth(rows * (10 if tool == "nannyml" else 1), rng),
                    synth(rows, rng, **change),
                    NUMERIC,
                    CATEGORICAL,
                )
            )
        mean = lambda name: round(float(np.mean([f.get(name, False) for f in found])), 4)
        line = {
            "whole": mean(""),
            "any_column": round(
                float(
                    np.mean([any(f.get(n, False) for n in NUMERIC + CATEGORICAL) for f in found])
                ),
                4,
            ),
        }
        if case == "no change":
            line |= {
                "per_numeric_column": round(
                    float(np.mean([[f.get(n, False) for n in NUMERIC] for f in found])), 4
                ),
                "per_categorical_column": round(
                    float(np.mean([[f.get(n, False) for n in CATEGORICAL] for f in found])), 4
                ),
            }
            line |= {"joint": mean("joint")} if tool == "ours" else {}
        else:
            line["changed_column"] = mean(column)
        say(task="verdicts", tool=tool, case=case, rows=rows, repeats=repeats, **line)


def fooled(tool: str, repeats: int, rows: int) -> None:
    "One column each, beside a quiet one; what is said of the column."
    rng = np.random.default_rng(5)
    base = lambda n=20_000: pd.DataFrame({"x": rng.normal(size=n), "quiet": rng.normal(size=n)})
    absurd, moved, gaps, many, infinite = base(), base(), base(), base(), base()
    absurd.loc[0, "x"] = 1e9
    moved["x"] += 1
    gaps["x"] = gaps["x"].where(rng.random(20_000) > 0.05)
    many["x"] = many["x"].where(rng.random(20_000) > 0.5)
    infinite["x"] = infinite["x"].where(rng.random(20_000) > 0.2, np.inf)
    tiny = base(1_000_000), base(1_000_000)
    tiny[1]["x"] += 0.01
    empty = base().assign(x=np.nan)
    cases = {
        "1 sd beside one reference value of 1e9": (absurd, moved),
        "missing 5 % to 50 %": (gaps, many),
        "20 % infinite": (base(), infinite),
        "all missing now": (base(), empty),
        "0.01 sd at 1,000,000 rows": tiny,
    }
    for case, (a, b) in cases.items():
        try:
            answer = TOOLS[tool](
                a, b, ["x", "quiet"], [], **({"effect": 0.1} if tool == "ours" else {})
            )["x"]
        except Exception as error:
            answer = f"{type(error).__name__}: {str(error)[:80]}"
        say(task="fooled", tool=tool, case=case, called=answer)


def slices(tool: str, repeats: int, rows: int) -> None:
    "Twelve categorical columns of 3 to 10 levels; errors in one crossing of two."
    rng = np.random.default_rng(0)
    sizes = [3 + i % 8 for i in range(12)]
    codes = [rng.integers(0, s, rows) for s in sizes]
    loss = (rng.random(rows) < 0.1 + 0.3 * ((codes[0] == 1) & (codes[5] == 2))).astype(float)
    depth = (
        2 if rows > 20_000 and tool == "sliceline" else 3
    )  # three levels of 100,000 rows take sliceline a minute and 16 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if tool == "ours":
        from continual_nb.monitoring.diagnosis.slices import highest

        seconds = [
            timed(lambda: highest(codes, sizes, loss, k=5, least=max(rows // 100, 1)))
            for _ in range(3)
        ]
        top = [
            [[c, level] for c, level in s[0]]
            for s in highest(codes, sizes, loss, k=5, least=max(rows // 100, 1))
        ]
        shallow = [
            timed(lambda: highest(codes, sizes, loss, k=5, least=max(rows // 100, 1), depth=2))
            for _ in range(3)
        ]
        say(
            task="slices",
            tool="ours",
            depth=2,
            rows=rows,
            seconds=round(float(np.median(shallow)), 4),
        )
    elif tool == "sliceline":
        from sliceline.slicefinder import Slicefinder

        finder = Slicefinder(
            alpha=0.95, k=5, max_l=depth, min_sup=max(rows // 100, 1), verbose=False
        )
        seconds = [timed(lambda: finder.fit(np.column_stack(codes), loss))]
        top = [[[c, int(v)] for c, v in enumerate(s) if v is not None] for s in finder.top_slices_]
    else:
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(
        task="slices",
        tool=tool,
        depth=depth,
        rows=rows,
        seconds=round(float(np.median(seconds)), 4),
        peak_above_mb=round((peak - before) / 1e3, 1),
        top=top,
    )


def cbpe(tool: str, repeats: int, rows: int) -> None:
    "AUC and F1 without labels in ten chunks; reference of 100,000 labelled rows."
    rng = np.random.default_rng(3)
    make = lambda n: (
        lambda p: pd.DataFrame(
            {
                "p": np.clip(p**1.2, 0, 1),
                "pred": (p**1.2 >= 0.5).astype(int),
                "y": (rng.random(n) < p).astype(int),
            }
        )
    )(rng.beta(1.5, 2.5, n))
    a, b = make(100_000), make(rows)
    if tool == "nannyml":
        import nannyml as nml

        def run():
            made = nml.CBPE(
                y_pred_proba="p",
                y_pred="pred",
                y_true="y",
                problem_type="classification_binary",
                metrics=["roc_auc", "f1"],
                chunk_number=10,
            ).fit(a)
            return made.estimate(b.drop(columns="y")).filter(period="analysis").to_df()

        found = run()
        value = {m: [round(float(v), 4) for v in found[(m, "value")]] for m in ("roc_auc", "f1")}
    elif tool == "ours":
        from continual_nb.monitoring.diagnosis.estimate import expected, recalibrated

        def run():
            p = recalibrated(a["p"].to_numpy(), a["y"].to_numpy() == 1, b["p"].to_numpy())
            return [
                expected(q, s)
                for q, s in zip(np.array_split(p, 10), np.array_split(b["p"].to_numpy(), 10))
            ]

        value = {"roc_auc": [round(e.auc, 4) for e in run()], "f1": [round(e.f1, 4) for e in run()]}
    else:
        return
    from_labels = [
        float(np.mean(b["y"].to_numpy()[part] == b["pred"].to_numpy()[part]))
        for part in np.array_split(np.arange(rows), 10)
    ]
    say(
        task="cbpe",
        tool=tool,
        rows=rows,
        seconds=round(float(np.median([timed(run) for _ in range(max(repeats, 1))])), 3),
        **value,
        true_accuracy=round(float(np.mean(from_labels)), 4),
    )


if __name__ == "__main__":
    tool, task = sys.argv[1:3]
    repeats, rows = (int(x) for x in (sys.argv[3:] + ["1", "1000"][len(sys.argv[3:]) :])[:2])
    {"speed": speed, "verdicts": verdicts, "fooled": fooled, "slices": slices, "cbpe": cbpe}[task](
        tool, repeats, rows
    )
