"Projects at the stations of the loop, made once for all workers; a test that changes one takes a copy."

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.doors import in_project
from loop import Loop, begun, signed


@contextmanager
def extensions_in(folder: Path, **files: str) -> Iterator[Path]:
    "A project with extensions of its own, by name and content, which holds while this lasts."
    (folder / "extensions").mkdir()
    for name, content in files.items():
        (folder / f"extensions/{name}.py").write_text(content)
    with in_project(folder, time_limit=20):
        yield folder


def events(start: str, signal: np.ndarray, numbers: bool, **columns) -> pd.DataFrame:
    "Rows of the loop, one every half hour; the label is the signal, or whether it is positive."
    when = pd.date_range(start, periods=len(signal), freq="30min", tz="UTC", unit="us")
    return pd.DataFrame(
        {
            "event_id": [f"{start}-{k}" for k in range(len(signal))],
            "event_time": when,
            "window": pd.Series(when.strftime("%Y-%m"), dtype="str"),
            "label": signal.astype(str) if numbers else np.where(signal > 0, "1", "0"),
            **columns,
        }
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    "The folder of the stations: one for all workers of a run."
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "world"
    place.mkdir(exist_ok=True)
    return place


def made(world: Path, name: str, make) -> Loop:
    "The station of this name; whoever comes first makes it, the others wait."
    with (world / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (world / f"{name}.ready").exists():
            make(world / name)
            (world / f"{name}.ready").touch()
    return Loop(world / name)


@pytest.fixture(scope="session")
def born(world) -> Loop:
    "After `continual init`."
    return made(world, "born", begun)


@pytest.fixture(scope="session")
def turned(born, world) -> Loop:
    "After the first `dvc repro`: the decision is pending."

    def make(place):
        (world / "turned.txt").write_text(born.copy(place).dvc("repro").all)

    return made(world, "turned", make)


@pytest.fixture(scope="session")
def approved(turned, world) -> Loop:
    "The first champion is signed and carried out, but not sealed."
    return made(world, "approved", lambda place: signed(turned.copy(place)))


@pytest.fixture(scope="session")
def sealed(approved, world) -> Loop:
    "One sealed iteration."
    return made(world, "sealed", lambda place: approved.copy(place).continual("seal"))


@pytest.fixture(scope="session")
def opened(sealed, world) -> Loop:
    "The second iteration is open."
    return made(world, "opened", lambda place: sealed.copy(place).continual("open"))


@pytest.fixture(scope="session")
def twice(sealed, world) -> Loop:
    "Two sealed iterations, two champions."
    return made(
        world, "twice", lambda place: sealed.copy(place).continual("run", "--until", "2024-02")
    )


@pytest.fixture
def copy(tmp_path):
    "Copy a project into this test's own folder."
    return lambda loop, name="copy": loop.copy(tmp_path / name)
