"The stations of the loop, for every test file."

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stations import approved, born, copy, opened, sealed, turned, twice, world  # noqa: E402, F401

from continual_nb.cli.main import THREADS  # noqa: E402
from continual_nb.loop.warm import warmed  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def warm():
    "What a worker starts begins warm, as under `continual run`; what meets a fault or other variables begins cold (Loop.environment)."
    with warmed(THREADS):
        yield
