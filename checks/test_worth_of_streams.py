"The loop beside never and always on a part of what `make worth` runs: a world that stays, and one that breaks."

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("stream", ["null:101", "break:101"])
def test_the_loop_costs_little_more_than_the_best_of_never_and_always(stream):
    asked = [sys.executable, "benchmarks/worth.py", stream]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    cost = {name: policy["cost"] for name, policy in found["policies"].items()}
    assert cost["loop"] <= 1.03 * min(cost["never"], cost["always"])
    assert found["worse than constant"] <= 4  # the break, its late labels, and two attempts
