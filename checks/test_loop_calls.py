"The whole loop's calls for a person, on more worlds than the tests fold: years of nothing, inputs that stay moved, breaks."

import importlib.util
from pathlib import Path

import pytest

from continual_nb.monitoring.budget import PARTS

_spec = importlib.util.spec_from_file_location(
    "loop", Path(__file__).parents[1] / "benchmarks/loop.py"
)
loop = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loop)


@pytest.mark.parametrize(("rows", "seeds"), [(200, range(11, 14)), (400, range(21, 24))])
def test_years_in_which_nothing_changes(rows, seeds):
    found = [loop.measured("null", seed, rows, 27) for seed in seeds]
    years = sum(one["years"] for one in found)
    calls = {part: sum(one[part] for one in found) for part in PARTS}
    low = lambda count: 0.0 if count < 2 else count - 2 * count**0.5  # of a Poisson count
    assert low(sum(calls.values())) <= years
    assert all(low(calls[part]) <= share * years for part, share in PARTS.items())
    assert sum(one["rang twice"] for one in found) <= 1


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_inputs_that_move_and_stay(seed):
    told = loop.measured("covariate", seed, 400, 24)
    assert told["first seen"] is not None and told["first seen"] <= 1  # a note calls nobody
    assert told["after"] <= 2 and told["inspect"] <= 2
    assert told["refreshed"] or told["promoted"] or told["harm after"]


def test_a_relation_that_breaks():
    """Harm is seen at once in every world. An attempt that could not prove its gain on half a window is made
    again once what retraining gains, measured in every window, is in sight of its proof."""
    found = [loop.measured("break", seed, 400, 24) for seed in (41, 42, 43)]
    for told in found:
        assert told["first harm"] <= 1 and told["harm after"] <= 3 and told["tried"] >= 1
        assert told["covered"] is not False
        assert told["first update"] is not None and told["first update"] <= 3
