"Projects at the stations of the loop, made once; a test that changes one takes a copy."

from pathlib import Path

import pytest

from loop import Loop, begun, signed


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="session")
def born(world) -> Loop:
    "After `continual init`."
    return begun(world / "born")


@pytest.fixture(scope="session")
def turned(born, world) -> Loop:
    "After the first `dvc repro`: the decision is pending."
    loop = born.copy(world / "turned")
    said = loop.dvc("repro")
    (world / "turned.txt").write_text(said.all)
    return loop


@pytest.fixture(scope="session")
def approved(turned, world) -> Loop:
    "The first champion is signed and carried out, but not sealed."
    return signed(turned.copy(world / "approved"))


@pytest.fixture(scope="session")
def sealed(approved, world) -> Loop:
    "One sealed iteration."
    loop = approved.copy(world / "sealed")
    loop.continual("seal")
    return loop


@pytest.fixture(scope="session")
def opened(sealed, world) -> Loop:
    "The second iteration is open."
    loop = sealed.copy(world / "opened")
    loop.continual("open")
    return loop


@pytest.fixture(scope="session")
def twice(sealed, world) -> Loop:
    "Two sealed iterations, two champions."
    loop = sealed.copy(world / "twice")
    loop.continual("run", "--until", "2024-02")
    return loop


@pytest.fixture
def copy(tmp_path):
    "Copy a project into this test's own folder."
    return lambda loop, name="copy": loop.copy(tmp_path / name)
