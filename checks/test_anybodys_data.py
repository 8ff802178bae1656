"Five projects that nobody prepared, from a file to sealed iterations, by the two commands of the README and with no edit by hand."

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BIN = Path(sys.executable).parent
ENV = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "DVC_NO_ANALYTICS": "true",
}


def continual(folder: Path, *words) -> str:
    done = subprocess.run(
        [str(BIN / "continual"), *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENV,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


def spread(draw, n: int, days: int, start: str = "2022-01-03") -> pd.Series:
    "Event times in order."
    return pd.Series(
        pd.Timestamp(start) + pd.to_timedelta(np.sort(draw.random(n)) * days, unit="D")
    ).dt.floor("s")


def tickets(draw):
    "Four queues by name, a text column, zoned times."
    words = {
        "billing": "invoice refund charge",
        "login": "password reset locked",
        "bug": "crash error stack",
        "other": "hello question thanks",
    }
    queue = draw.choice(list(words), 1600, p=[0.4, 0.3, 0.2, 0.1])
    text = [
        " ".join(draw.choice((words[one] if draw.random() < 0.8 else words["other"]).split(), 4))
        + f" order {draw.integers(10**6)}"
        for one in queue
    ]
    return pd.DataFrame(
        {
            "opened": spread(draw, 1600, 27).dt.tz_localize("Europe/Berlin"),
            "message": text,
            "tier": draw.choice(["free", "pro"], 1600),
            "queue": queue,
        }
    ), ("--time", "opened", "--label", "queue", "--every", "week")


def demand(draw):
    "A number to predict, told later the larger it is, and a gap of five months."
    when = spread(draw, 1500, 80)
    when[when > "2022-02-20"] += pd.Timedelta(150, "D")
    frame = pd.DataFrame(
        {"day": when, "price": draw.gamma(2, 10, 1500), "store": draw.choice(list("ABCDE"), 1500)}
    )
    frame["sold"] = 50 - frame["price"] + draw.normal(0, 5, 1500)
    frame["counted"] = frame["day"] + pd.to_timedelta(
        1 + 20 * draw.random(1500) * (frame["sold"] > 30), unit="D"
    )
    return frame, (
        "--time",
        "day",
        "--label",
        "sold",
        "--label-time",
        "counted",
        "--every",
        "month",
    )


def tiny(draw):
    "Sixty rows a window, truth as booleans, times that repeat."
    frame = pd.DataFrame(
        {
            "at": spread(draw, 240, 120).dt.floor("D"),
            "x": draw.normal(size=240),
            "y": draw.normal(size=240),
        }
    )
    return frame.assign(good=frame["x"] + draw.normal(size=240) > 0), (
        "--time",
        "at",
        "--label",
        "good",
        "--every",
        "60rows",
    )


def claims(draw):
    "A month of one class, a month without labels, a column that is filled after the outcome, and one that is the label."
    frame = pd.DataFrame(
        {
            "filed": spread(draw, 2000, 150),
            "amount": draw.lognormal(5, 1, 2000),
            "region": draw.choice(["north", "south"], 2000),
        }
    )
    fraud = draw.random(2000) < 1 / (1 + np.exp(4 - frame["amount"] / 40))
    month = frame["filed"].dt.month
    frame["fraud"] = np.where(month == 3, np.nan, np.where((month == 2), 0.0, fraud))
    frame["paid_back"] = frame["amount"].where(frame["fraud"] == 1)
    frame["verdict"] = frame["fraud"].map({0.0: "fine", 1.0: "fraud"})
    return frame, ("--time", "filed", "--label", "fraud", "--every", "month")


def answered(draw):
    "Only the log of what production answered is there, no model."
    frame = pd.DataFrame(
        {
            "id": [f"r{k}" for k in range(1600)],
            "seen": spread(draw, 1600, 110),
            "x": draw.normal(size=1600),
            "z": draw.normal(size=1600),
        }
    )
    frame["bought"] = np.where(
        frame["x"] + 0.5 * frame["z"] + draw.normal(size=1600) > 0, "yes", "no"
    )
    frame["said"] = np.where(frame["x"] > 0, "yes", "no")
    return frame, (
        "--time",
        "seen",
        "--label",
        "bought",
        "--id",
        "id",
        "--prediction",
        "said",
        "--label-delay",
        "2d",
    )


@pytest.mark.parametrize(
    "made", [tickets, demand, tiny, claims, answered], ids=lambda made: made.__name__
)
def test_a_file_becomes_sealed_iterations(tmp_path, made):
    frame, words = made(np.random.default_rng(11))
    frame.to_csv(tmp_path / "events.csv", index=False) if made is tiny else frame.to_parquet(
        tmp_path / "events.parquet"
    )
    said = continual(
        tmp_path,
        "init",
        "project",
        "--data",
        "events.csv" if made is tiny else "events.parquet",
        *words,
    )
    if made is claims:
        assert "paid_back" in said and "verdict" in said
        params = (tmp_path / "project/params.yaml").read_text()
        assert (
            "paid_back" not in params.split("exclude")[0]
            and "verdict" not in params.split("exclude")[0]
        ), "leaks are left out"
    continual(tmp_path / "project", "run")
    records = sorted((tmp_path / "project/reports").glob("0*"))
    assert len(records) >= 4
    summaries = [json.loads((record / "summary.json").read_text()) for record in records]
    assert any(summary["loss"] is not None for summary in summaries), (
        "the model was measured at least once"
    )
    assert all(len((record / "report.html").read_bytes()) < 300_000 for record in records)
    assert "everything fits" in continual(tmp_path / "project", "verify")
