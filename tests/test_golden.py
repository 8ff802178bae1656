"Golden rows: every challenger that is asked uses them up, and no stream of them passes by luck."

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.expectations import Behaviour, Suite, redundant
from continual_nb.core.models import Predictions
from continual_nb.core.params import Data, Evaluate
from continual_nb.evaluation.golden import golden_budgets, golden_gate, golden_key, golden_sets
from continual_nb.loop.expect import with_entry

DATA = Data(source="-", time="t", label="y", positive="1", numeric=("x",))


def golden(n=300, seed=0, **more) -> Behaviour:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    y = draw.random(n) < 1 / (1 + np.exp(-x))
    rows = tuple({"x": float(a), "y": str(int(b))} for a, b in zip(x, y))
    return Behaviour(**{"id": "gold", "type": "golden", "rows": rows, "most": 0.01, **more})


def answers(p: np.ndarray) -> Predictions:
    return Predictions(np.where(p > 0.5, "1", "0"), np.column_stack([1 - p, p]), ("0", "1"))


def line(slope: float):
    return lambda rows: answers(1 / (1 + np.exp(-slope * rows["x"].to_numpy())))


def ready(one: Behaviour, ledger=(), sets={}):
    (found,) = golden_sets((one,), DATA, Evaluate(), ledger, sets)
    return found


def entry(one: Behaviour, spent: float) -> dict:
    return {"kind": "evaluation", "golden": {golden_key(one): spent}}


def test_every_challenger_that_is_asked_spends_its_part_and_a_spent_budget_asks_for_other_rows():
    one, ledger, verdicts = golden(uses=3), (), []
    for _ in range(4):
        gate, spent = golden_gate(ready(one, ledger), 0, line(1.0), line(0.2), DATA)
        ledger, verdicts = (*ledger, entry(one, spent)), [*verdicts, gate.verdict]
    assert verdicts == ["pass", "pass", "pass", "not enough data"] and spent == 0
    assert "put rows there that no challenger was tested on" in gate.reason
    (budget,) = golden_budgets((one,), ledger, 0.95)
    assert budget.left == 0 and "Of 3 uses of the golden rows gold 0 are left." == budget.sentence
    assert golden_budgets((golden(seed=1, uses=3),), ledger, 0.95)[0].left == 3
    assert golden_budgets((golden(uses=300),), ledger, 0.95)[0].left == 0, "more uses buy nothing"


def test_challengers_of_one_iteration_spend_one_after_another():
    found = ready(golden(uses=2))
    given = [golden_gate(found, nth, line(1.0), line(0.2), DATA) for nth in range(3)]
    assert [gate.verdict for gate, _ in given] == ["pass", "pass", "not enough data"]
    assert [spent > 0 for _, spent in given] == [True, True, False]


def test_the_sentence_gives_no_number_that_could_be_climbed():
    first, second = (
        golden_gate(ready(golden()), 0, line(slope), line(1.0), DATA)[0] for slope in (0.5, 0.6)
    )
    assert first == second and first.verdict == "not enough data"


def test_nothing_is_spent_before_the_first_champion_or_on_rows_that_were_learned():
    gate, spent = golden_gate(ready(golden()), 0, line(1.0), None, DATA)
    assert (gate.verdict, gate.needed, spent) == ("not enough data", False, 0.0)
    one = golden()
    learned = pd.DataFrame([{"x": row["x"], "label": row["y"]} for row in one.rows[:7]])
    gate, spent = golden_gate(ready(one, sets={"recent": learned}), 0, line(1.0), line(0.2), DATA)
    assert "7 of these rows are in a training set" in gate.reason and spent == 0


def share_of_streams_that_pass(uses: int, climbs: bool, runs: int = 300) -> float:
    """Streams of 20 challengers that are as good as the champion, of labels that nobody can know. A
    climber goes on in the direction that it has taken."""
    draw, passed = np.random.default_rng(3), 0
    sides = lambda given: answers(0.5 + 0.1 * np.sign(given))
    for _ in range(runs):
        label = pd.Series(np.where(draw.random(300) < 0.5, "1", "0"))
        found = ready(golden(n=2, most=0.0, uses=uses))
        found = replace(found, rows=pd.DataFrame({"x": np.zeros(300)}), label=label)
        first, way = draw.normal(size=300), draw.normal(size=300)
        for use in range(20):
            way = (0.7 * way if climbs else 0) + draw.normal(size=300)
            asked = lambda rows, way=way: sides(way)
            nth = use if uses > 1 else 0
            gate, _ = golden_gate(found, nth, asked, lambda rows: sides(first), DATA)
            if gate.verdict == "pass":
                passed += 1
                break
    return passed / runs


@pytest.mark.parametrize("climbs", [False, True])
def test_a_stream_of_challengers_that_are_no_better_seldom_passes(climbs):
    assert share_of_streams_that_pass(20, climbs) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_the_same_stream_without_a_budget_passes_far_more_often():
    assert share_of_streams_that_pass(1, False, 100) > 0.3


def test_two_sets_of_golden_rows_are_not_redundant():
    both = (golden(id="a"), golden(id="b", seed=2))
    assert redundant(Suite(behaviour=both), {}) == {}


# -- the command line
def test_the_loop_spends_golden_rows_and_says_what_is_left(opened, copy):
    loop = copy(opened)
    draw = np.random.default_rng(2)
    rows = tuple(
        {"amount": float(draw.normal(3)), "region": "north", "bad": str(draw.integers(2))}
        for _ in range(60)
    )
    path = loop.path("expectations.yaml")
    path.write_text(with_entry(path.read_text(), golden(rows=rows, most=0.5, uses=8)))
    assert "Of 8 uses of the golden rows gold 8 are left." in loop.continual("expect").out
    loop.continual("steer", "improve", "--by", "Ann", "--reason", "try it")
    loop.dvc("repro")
    found = loop.json("data/work/evaluate/evaluation.json")
    n, left = len(found["gates"]), f"gold {8 - len(found['gates'])} are left"
    assert n and found["golden_spent"][golden_key(golden(rows=rows))] == pytest.approx(n * 0.05 / 8)
    assert left in loop.path("data/work/report/report.html").read_text()
    loop.continual("sign", "reject", "--by", "Ann", "--reason", "not now")
    loop.dvc("repro")
    loop.continual("seal")
    assert left in loop.continual("status").out and left in loop.continual("expect").out
