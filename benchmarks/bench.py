"""Seconds of the bench on a month of flights: opening it, trials one at a time and two at a time, and a notebook's page.

Prints JSON lines. Run it with the project's environment:  python benchmarks/bench.py [--until 2013-02]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from continual_nb.backtest.trials import with_changes
from continual_nb.interfaces.bench import Bench
from continual_nb.loop.project import Project
from continual_nb.reporting.notebooks import write_notebooks
from continual_nb.training.strategies import predecessors
from continual_nb.training.train import train

ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "true",
    "OMP_NUM_THREADS": "1",
}
IDEAS = {
    "fewer trees": {"train": {"iterations": 60}},
    "larger trees": {"train": {"leaves": 31}},
    "linear": {"train": {"models": "linear"}},
}


def timed(part: str, function):
    "Call a function, print how long it took, and return what it gave."
    began = time.perf_counter()
    given = function()
    print(json.dumps({"part": part, "seconds": round(time.perf_counter() - began, 2)}), flush=True)
    return given


def training_of(bench: Bench, changes: dict):
    "Return the call that trains, on sets that are there, what a trial trains."
    o = bench.opened
    params = with_changes(o.params, changes)
    sets = bench.cache.composing()(params, o.moment, o.store, o.state).sets
    before = predecessors(o.state, params.train)
    return lambda: train(params.data, params.train, sets, before=before)


def opened(folder: Path, until: str) -> Project:
    "A project on flights with its next month open and its pipeline run."
    run = lambda *words: subprocess.run(words, cwd=folder, env=ENV, check=True, capture_output=True)
    run("continual", "init", ".")
    run("continual", "run", "--until", until)
    run("continual", "open")
    run("dvc", "repro")
    return Project(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--until", default="2013-02", help="last month that is sealed")
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        project = opened(Path(folder), parser.parse_args().until)
        bench = timed("open: the rows of a month", lambda: (b := Bench(project), b.window)[0])
        timed("first trial", lambda: bench.try_it("first", train={"learning_rate": 0.05}))
        timed("second trial, another model", lambda: bench.try_it("second", **IDEAS["linear"]))
        timed("of it, the training", training_of(bench, IDEAS["linear"]))
        timed("the same trial again", lambda: bench.try_it("second", **IDEAS["linear"]))
        params = with_changes(bench.opened.params, IDEAS["larger trees"])
        timed("one trial on one earlier window", lambda: bench.cache.past(params, 1))
        for jobs in (1, 2):
            bench.cache.clear()
            timed(f"three trials, jobs={jobs}", lambda: bench.try_many(IDEAS, jobs=jobs))
        timed("bench.trials from the cache", lambda: bench.trials)
        pages = (project.root, Path(folder) / "out", ("notebooks/deep_dive.ipynb",))
        timed("a page of a notebook, run twice", lambda: write_notebooks(*pages))


if __name__ == "__main__":
    main()
