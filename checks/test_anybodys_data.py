"""Larger sweeps: five data sets end to end, long and wide tables; what they took is printed, nothing is asserted about the clock."""
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BIN = Path(sys.executable).parent
SHARED = Path(__file__).parents[2] / "shared/data"  # data sets for trying things, beside the repository, never part of it


def continual(folder, *words):
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(BIN / "continual"), *map(str, words)], cwd=folder, capture_output=True, text=True, env=env)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"continual {words[0]}: {used.ru_utime:,.0f} s of CPU so far, {used.ru_maxrss / 1024:,.0f} MB at most")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


def turned(folder, source, *words, windows):
    continual(folder, "init", "p", "--data", source, *words)
    continual(folder / "p", "run")
    assert len(list((folder / "p/reports").glob("*/report.html"))) >= windows


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of shared data is absent")
@pytest.mark.parametrize("name, time, label, windows", [("electricity", "timestamp", "target", 32), ("bike_sharing", "timestamp", "cnt", 24), ("madewithml", "created_on", "tag", 8)])
def test_shared_data_replay_with_no_edit_by_hand(tmp_path, name, time, label, windows):
    turned(tmp_path, SHARED / name / f"{name}.parquet", "--time", time, "--label", label, windows=windows)


@pytest.mark.parametrize("kind", ["delayed", "gaps"])
def test_streams_that_misbehave_replay_to_the_end(tmp_path, kind):
    rng = np.random.default_rng(1)
    n = 1200
    frame = pd.DataFrame({"when": pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 180, unit="D"), "a": rng.normal(size=n), "window": rng.choice(["u", "v"], n)})
    frame["y"] = (frame.a + rng.normal(size=n) > 0).astype(float)
    words = ()
    if kind == "delayed":
        frame["known"] = frame["when"] + pd.to_timedelta(np.where(frame.y == 1, rng.exponential(3, n), rng.exponential(25, n)), unit="D")
        words = ("--label-time", "known")
    else:
        frame.loc[frame["when"] > "2021-04-01", "when"] += pd.Timedelta(days=300)
        frame.loc[frame["when"].dt.month == 2, "y"] = np.nan
        frame.loc[frame["when"].dt.month == 3, "y"] = 0.0
    frame.to_parquet(tmp_path / "x.parquet")
    turned(tmp_path, "x.parquet", "--time", "when", "--label", "y", *words, windows=6)


def test_two_million_rows_begin_and_turn(tmp_path):
    rng, n = np.random.default_rng(1), 2_000_000
    frame = pd.DataFrame({"id": np.arange(n), "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 730, unit="D"), **{f"x{i}": rng.normal(size=n) for i in range(8)}, "kind": rng.choice([f"k{i}" for i in range(300)], n)})
    frame.assign(y=(frame.x0 - frame.x1 + rng.normal(size=n) > 0).astype(int)).to_parquet(tmp_path / "x.parquet")
    continual(tmp_path, "init", "p", "--data", "x.parquet", "--time", "when", "--label", "y")
    continual(tmp_path / "p", "run", "--until", "2020-02")


def test_five_hundred_columns_begin_and_turn(tmp_path):
    rng, n = np.random.default_rng(1), 20_000
    frame = pd.DataFrame(rng.normal(size=(n, 499)), columns=[f"c{i}" for i in range(499)])
    frame = frame.assign(when=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 300, unit="D"), y=np.where(frame.c0 + rng.normal(size=n) > 0, "yes", "no"))
    frame.to_parquet(tmp_path / "x.parquet")
    continual(tmp_path, "init", "p", "--data", "x.parquet", "--time", "when", "--label", "y")
    continual(tmp_path / "p", "run", "--until", "2020-02")
