"A project lives on under another scikit-learn: two real versions of it, two environments."

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn

OTHER = "1.7.2"  # the oldest that pyproject.toml allows
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    "A folder that holds the other version, to be put first on the path."
    folder = tmp_path_factory.mktemp("other")
    asked = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    words = [sys.executable, "-m", "pip", "install", *asked, f"scikit-learn=={OTHER}"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture
def clicks(tmp_path) -> Path:
    "Three months of events, of which a category and two numbers tell the answer."
    draw = np.random.default_rng(7)
    n = 1200
    frame = pd.DataFrame(
        {
            "at": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(np.sort(draw.random(n)) * 91, unit="D").floor("s"),
            "a": draw.normal(size=n).round(3),
            "b": draw.normal(size=n).round(3),
            "place": draw.choice(["north", "south", "west"], n),
        }
    )
    odds = 2 * frame["a"] - frame["b"] + (frame["place"] == "west")
    frame["bought"] = np.where(draw.random(n) < 1 / (1 + np.exp(-odds)), "yes", "no")
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    return tmp_path / "clicks.csv"


def continual(folder: Path, *words: str, first: Path | None = None, code: int = 0) -> str:
    "Run a command, with another scikit-learn where a folder is to come first on the path."
    path = [*([str(first)] if first else []), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    env |= {"DVC_NO_ANALYTICS": "true", "PYTHONPATH": os.pathsep.join(filter(None, path))}
    asked = [str(BIN / "continual"), *words]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, env=env)
    said = done.stdout + done.stderr
    assert done.returncode == code and "Traceback" not in said, said
    assert "InconsistentVersionWarning" not in said, said
    return " ".join(said.split())


def begun(folder: Path, source: Path, first: Path | None) -> Path:
    words = ("--data", str(source), "--time", "at", "--label", "bought", "--every", "month")
    continual(folder, "init", "shop", *words, first=first)
    continual(folder / "shop", "run", "--until", "2024-02", first=first)
    return folder / "shop"


def test_an_upgrade_leaves_the_champion_as_it_was(tmp_path, clicks, other):
    shop = begun(tmp_path, clicks, first=other)
    said = continual(shop, "open")
    here = f"(made with scikit-learn {OTHER}; here: scikit-learn {sklearn.__version__})"
    assert f"{here} answers 16 stored rows as when it was accepted" in said
    continual(shop, "run")
    assert "everything fits" in continual(shop, "verify")


def test_a_downgrade_that_leaves_the_champion_mute_stops_before_anything_moves(
    tmp_path, clicks, other
):
    shop = begun(tmp_path, clicks, first=None)
    before = {p: p.read_bytes() for p in shop.rglob("*.yaml")}
    said = continual(shop, "open", first=other, code=5)
    here = f"(made with scikit-learn {sklearn.__version__}; here: scikit-learn {OTHER})"
    assert f"{here} cannot be used here" in said and "nothing has moved" in said
    assert f"`pip install scikit-learn=={sklearn.__version__}`" in said
    assert {p: p.read_bytes() for p in shop.rglob("*.yaml")} == before

    again = tmp_path / "again"
    shutil.copytree(shop, again)
    continual(again, "open", "--refit", first=other)
    continual(again, "run", first=other)
    told = [json.loads(line) for line in (again / "data/state/out/ledger.jsonl").open()]
    (made,) = [entry["again"] for entry in told if entry.get("again")]
    assert made["asked"] == 16 and made["apart"] < 0.01
    assert made["made_with"]["scikit-learn"] == sklearn.__version__
    assert "everything fits" in continual(again, "verify", first=other)

    continual(shop, "open", "--without-champion", first=other)
    continual(shop, "run", first=other)
    assert "everything fits" in continual(shop, "verify", first=other)
    assert "everything fits" in continual(shop, "verify")
