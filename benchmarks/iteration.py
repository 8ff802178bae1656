"""Where the seconds of one iteration go, and what the framework adds to DVC.

Prints JSON lines: imports, each stage's own time, DVC's share, and the ratio of an unchanged `dvc repro` to that of a pipeline
with the same number of empty stages. Run it with the project's environment:  python benchmarks/iteration.py [--rows N]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from continual_nb.core.table import STAGES

ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "true",
    "OMP_NUM_THREADS": "1",
}


def timed(words: list[str], where: Path, repeat: int = 1) -> float:
    "Median wall seconds of a command."
    taken = []
    for _ in range(repeat):
        began = time.perf_counter()
        subprocess.run(words, cwd=where, env=ENV, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def tell(**line) -> None:
    print(
        json.dumps(
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in line.items()
            }
        ),
        flush=True,
    )


def stream(rows: int) -> pd.DataFrame:
    "Four months of events with 19 columns, as wide as a month of flights."
    draw, n = np.random.default_rng(1), 4 * rows
    frame = pd.DataFrame(draw.normal(size=(n, 13)), columns=[f"x{k}" for k in range(13)])
    for k in range(6):
        frame[f"c{k}"] = draw.choice([f"level{j}" for j in range(5 + 10 * k)], n)
    frame["when"] = pd.date_range("2024-01-01", "2024-04-30", periods=n).round("s")
    frame["y"] = (draw.random(n) < 1 / (1 + np.exp(-frame.x0 + 1))).astype(int)
    frame["id"] = [f"e{k}" for k in range(n)]
    return frame


def empty_pipeline(folder: Path) -> Path:
    "A DVC project with as many stages that do nothing but write a file."
    folder.mkdir()
    before, lines = None, ["stages:"]
    for stage in STAGES:
        lines += [
            f"  {stage}:",
            f"    cmd: echo {stage} > {stage}.txt",
            f"    deps: [{before}.txt]" if before else "    deps: []",
            f"    outs: [{stage}.txt]",
        ]
        before = stage
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
        subprocess.run(words, cwd=folder, env=ENV, check=True, capture_output=True)
    return folder


def served_and_not(project: Path, home: Path) -> None:
    "Turn the next window where stages and DVC start from one process with the libraries in it, and where each starts by itself."
    spent = {}
    for name, env in (("served", {}), ("by itself", {"CONTINUAL_WARM": "/nowhere"})):
        copy = home / name.replace(" ", "_") / "project"
        shutil.copytree(project, copy)
        shutil.copy(home / "events.parquet", copy.parent)
        before, began = os.times(), time.perf_counter()
        subprocess.run(
            ["continual", "run", "--until", "2024-03"],
            cwd=copy,
            env={**ENV, **env},
            check=True,
            capture_output=True,
        )
        after = os.times()
        spent[name] = (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        tell(
            what=f"continual run, one window, every start {name}",
            cpu=spent[name],
            seconds=time.perf_counter() - began,
        )
    tell(what="continual run, served against by itself", ratio=spent["served"] / spent["by itself"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=28_000, help="events per window")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        for what in (
            "continual_nb.cli.main",
            "continual_nb.loop.stages",
            "pandas",
            "sklearn.ensemble",
            "matplotlib.figure",
        ):
            tell(
                what=f"import {what}",
                seconds=timed([sys.executable, "-c", f"import {what}"], home, 3)
                - timed([sys.executable, "-c", "pass"], home, 3),
            )
        tell(what="continual --help", seconds=timed(["continual", "--help"], home, 5))
        stream(rows).to_parquet(home / "events.parquet")
        subprocess.run(
            [
                "continual",
                "init",
                "project",
                "--data",
                "events.parquet",
                "--time",
                "when",
                "--label",
                "y",
                "--id",
                "id",
                "--label-delay",
                "36h",
                "--every",
                "month",
            ],
            cwd=home,
            env=ENV,
            check=True,
            capture_output=True,
        )
        project = home / "project"
        timed(["continual", "run", "--until", "2024-02"], project)
        served_and_not(project, home)
        timed(["continual", "open"], project)
        whole = timed(["dvc", "repro"], project)
        stages = json.loads((project / ".dvc/tmp/continual/timings.json").read_text())
        for stage in STAGES:
            tell(what=f"stage {stage}", seconds=stages[stage])
        tell(
            what="dvc repro, all stages",
            seconds=whole,
            in_stages=sum(stages.values()),
            dvc_and_process_starts=whole - sum(stages.values()),
            rows=rows,
        )
        unchanged = timed(["dvc", "repro"], project, 5)
        bare = timed(["dvc", "repro"], empty_pipeline(home / "empty"), 5)
        tell(
            what="dvc repro, unchanged",
            seconds=unchanged,
            empty_pipeline=bare,
            ratio=unchanged / bare,
        )


if __name__ == "__main__":
    main()
