"Functions and classes of a notebook's cells: one file that means the same outside it, a trial's and then the project's."

import linecache

import pytest

from continual_nb.core.doors import FOLDER, in_project, make
from continual_nb.core.files import ContinualError
from continual_nb.interfaces.bench import Bench
from continual_nb.interfaces.cells import as_module, module_name, with_names
from continual_nb.loop.project import Project

SETUP = """
from dataclasses import dataclass
import numpy as np
from math import pi as PI
from sklearn.linear_model import LogisticRegression
elsewhere = 3
"""
IDEA = """
SHARE: float = 0.5
LEAST = int(10 * SHARE)


def even(n, left=5):
    return n == 0 if left == 0 else odd(n - 1, left - 1)


def odd(n, left):
    return even(n, left)


def newest(rows, context):
    "The newest half of the rows."
    even(len(rows))
    return rows.tail(max(int(np.ceil(SHARE * len(rows))), LEAST))


class Steep(LogisticRegression):
    "A regression with hardly a penalty."

    def __init__(self, C=1e3, max_iter=200):
        super().__init__(C=C, max_iter=max_iter)

    def score_of(self, X):
        return self.decision_function(X) * np.pi


@dataclass
class Wide:
    "The model was trained on enough rows."

    least: int = LEAST

    def check(self, context):
        from continual_nb.evaluation.gates import GateResult

        rows = len(context.rows)
        verdict = "pass" if rows >= self.least else "fail"
        return GateResult(name="wide", verdict=verdict, reason=f"There are {rows} rows.")


def rush(evidence, rows=1):
    "Enough events are new to the champion."
    return evidence.rows >= rows


def newer(make, rows, champion, context):
    "The newer part of the rows."
    return make(rows.tail(int(len(rows) * SHARE)))


def leans(rows, context):
    return rows.tail(elsewhere)


def typo(rows, context):
    return rowz


def area(rows, context):
    return rows.tail(int(PI))


class Empty:
    pass


def around():
    def inner(rows, context):
        return rows

    return inner


unnamed = lambda rows, context: rows
"""


@pytest.fixture
def cells() -> dict:
    "What two cells of a notebook define, as IPython runs them."
    names = {"__name__": "__main__"}
    for at, source in enumerate((SETUP, IDEA)):
        file = f"<cell {at}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), names)
    return names


def test_a_file_holds_what_its_functions_need_and_runs_without_the_notebook(cells, tmp_path):
    text = as_module([cells["newest"], cells["Steep"], cells["Wide"]], "An idea.")
    assert text.startswith(
        '"""An idea."""\n\nimport numpy as np\nfrom dataclasses import dataclass\n'
    )
    assert "from sklearn.linear_model import LogisticRegression" in text and "elsewhere" not in text
    assert text.count("def even") == text.count("def odd") == text.count("SHARE: float") == 1
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "idea.py").write_text(text)
    with in_project(tmp_path):
        assert make("estimator", "extensions.idea:Steep", {"C": 5.0}).C == 5.0
        assert make("gate", "extensions.idea:Wide").least == 5
        assert (
            make("sampler", "extensions.idea:newest").choose.func.__doc__ == cells["newest"].__doc__
        )


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("leans", "leans uses elsewhere, which its cell does not define", "define elsewhere"),
        ("typo", "typo uses rowz", "make it an argument"),
        ("area", "area uses PI", "in the cell of area"),
        ("Empty", "source of Empty is not known", "with a method"),
        ("unnamed", "does not stand at the top", "with def or class"),
        ("inner", "inner does not stand at the top", "outside any other function"),
    ],
)
def test_what_cannot_leave_its_cell_is_named(cells, name, problem, remedy):
    made = cells["around"]() if name == "inner" else cells[name]
    with pytest.raises(ContinualError) as caught:
        as_module([made], "-")
    assert problem in caught.value.problem and remedy in caught.value.remedy


def test_functions_and_classes_get_names_and_objects_are_refused(cells):
    from sklearn.ensemble import RandomForestClassifier

    own = []
    named = with_names({"a": [RandomForestClassifier, {cells["newest"]: {"n": 1}}]}, "idea", own)
    assert named == {
        "a": ["sklearn.ensemble:RandomForestClassifier", {"extensions.idea:newest": {"n": 1}}]
    }
    assert own == [cells["newest"]]
    with pytest.raises(ContinualError, match="no value for params.yaml"):
        with_names({"models": RandomForestClassifier(5)}, "idea", [])
    assert [module_name(n) for n in ("Last week!", "2 weeks")] == ["last_week_", "trial_2_weeks"]


def test_what_is_kept_of_cells_is_what_the_pipeline_trains(copy, turned, cells):
    loop = copy(turned)
    bench = Bench(Project(loop.path(".")))
    before = loop.everything()
    trial = bench.try_it(
        "steep idea",
        train={
            "model": [{"name": cells["Steep"], "args": {"C": 10.0}}],
            "strategies": [cells["newer"]],
        },
        compose={"recipes": {"half": ["all", cells["newest"]]}},
        evaluate={"gates": ["enough_rows", {"name": cells["Wide"], "args": {"least": 1}}]},
        decide={"trigger": {"when": "own", "rules": {"own": {"kind": cells["rush"]}}}},
    )
    assert loop.everything() == before and not trial.failed, trial.failed
    assert list(trial.challengers) == ["half"] and bench.trials.tried == 1
    assert "+def newest" in bench.keep("steep idea", write=False) and loop.everything() == before
    assert "extensions/steep_idea.py" in loop.continual("trials", "--keep", "steep idea").out
    loop.dvc("repro", "evaluate")
    made = loop.json("data/work/train/training.json")["challengers"]
    assert {c["recipe"]: c["hash"] for c in made} == trial.challengers
    assert made[0]["origin"]["strategy"] == "newer"
    (gates,) = loop.json("data/work/evaluate/evaluation.json")["gates"].values()
    assert gates[1]["name"] == "wide" and gates[1]["verdict"] == "pass"
    (step,) = loop.json("data/work/compose/composition.json")["sets"][0]["steps"][1:]
    assert step["sampler"] == "extensions.steep_idea:newest"
    with pytest.raises(ContinualError, match="is there already and is another one"):
        bench.try_it("steep idea", compose={"recipes": {"half": ["all", cells["newest"]]}})


def test_a_function_that_does_not_fit_is_named_when_it_is_tried_and_one_that_fails_in_its_trial(
    copy, turned, cells
):
    bench = Bench(Project(copy(turned).path(".")))
    with pytest.raises(ContinualError, match="Steep has no method 'choose'|does not fit"):
        bench.try_it("odd", compose={"recipes": {"half": [cells["Steep"]]}})
    assert not bench.tried
    failing = {"name": cells["Steep"], "args": {"max_iter": "many"}}
    trial = bench.try_it("bad", train={"models": [failing]})
    assert "max_iter" in trial.failed and "bad" in bench.tried
    half = bench.try_it("half", compose={"recipes": {"half": [cells["rush"]], "all": ["all"]}})
    assert list(half.challengers) == ["all"]
    assert "half:rush raised AttributeError" in half.training.failed["half"]
    assert "half:rush raised AttributeError" in str(half.section())
    bench.drop("bad")
    assert list(bench.tried) == ["half"]


def test_functions_of_cells_are_tried_at_the_same_time_and_one_that_fails_stops_no_other(
    copy, turned, cells
):
    bench = Bench(Project(copy(turned).path(".")))
    failing = {"name": cells["Steep"], "args": {"max_iter": "many"}}
    found = bench.try_many(
        {
            "half": {"compose": {"recipes": {"half": ["all", cells["newest"]]}}},
            "bad": {"train": {"models": [failing]}},
        },
        jobs=2,
    )
    assert list(bench.tried["half"].challengers) == ["half"] and found.tried == 2
    assert "max_iter" in bench.tried["bad"].failed
