"The large checks use the same small helpers as the tests."

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from stations import approved, born, copy, opened, sealed, turned, twice, world  # noqa: E402, F401
