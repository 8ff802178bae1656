"The stations of the loop, for every test file."

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from stations import approved, born, copy, opened, sealed, turned, twice, world  # noqa: E402, F401

from continual_nb.cli.main import THREADS  # noqa: E402
from continual_nb.loop.warm import warmed  # noqa: E402

# the same examples everywhere: a clone that fails today failed yesterday; new ones are sought by `make explore`
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("other", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("EXAMPLES", "same"))


@pytest.fixture(scope="session", autouse=True)
def warm():
    "What a worker starts begins warm, as under `continual run`; what meets a fault or other variables begins cold (Loop.environment)."
    with warmed(THREADS):
        yield
