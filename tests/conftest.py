"The stations of the loop, for every test file."

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from stations import approved, born, copy, opened, sealed, turned, twice, world  # noqa: E402, F401
