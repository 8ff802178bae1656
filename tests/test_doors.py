"Code of a user's own: found by name, checked, held to a time limit, pinned by hash, and never run by commands that read."

import time

import numpy as np
import pandas as pd
import pytest
from stations import extensions_in

from continual_nb.core.doors import in_project, limited, offered, pins, resolve
from continual_nb.core.files import ContinualError
from continual_nb.core.models import fit_named, load, named_types, predict
from continual_nb.core.params import Data, NamedCode, Train, parse
from continual_nb.training.train import train

DATA = Data(source="x.csv", time="t", label="late", positive="1", numeric=("x",))
OWN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from extensions.helper import SHIFT


class Stump(ClassifierMixin, BaseEstimator):
    "One threshold on the first column."

    def __init__(self, bad=""):
        self.bad = bad

    def fit(self, X, y):
        while self.bad == "loop":
            pass
        if self.bad == "raise":
            raise RuntimeError("no luck")
        self.classes_, self.cut_ = np.unique(y), float(np.median(X[:, 0])) + SHIFT
        if self.bad == "chance":
            self.cut_ += np.random.default_rng().normal()
        if self.bad == "shared":
            self.cut_ += np.random.normal()
        if self.bad == "large":
            self.ballast_ = np.random.default_rng(0).normal(size=200_000)
        if self.bad == "classes":
            self.classes_ = np.array(["no", "yes"])
        if self.bad == "no classes":
            del self.classes_
        return self

    def predict_proba(self, X):
        high = np.where(X[:, 0] > self.cut_, 0.8, 0.2)
        if self.bad == "nan":
            high[0] = np.nan
        answer = np.column_stack([1 - high, high])
        return answer[:-1] if self.bad == "short" else answer

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
"""


def rows(n: int = 400, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    when = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", unit="us")
    return pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "event_time": when,
            "window": "2024-01",
            "label": np.where(x + draw.normal(size=n) > 0, "1", "0"),
            "x": x,
        }
    )


@pytest.fixture
def project(tmp_path):
    "A folder with extensions of its own, which holds while the test lasts."
    with extensions_in(tmp_path, helper="SHIFT = 0.0\n", stump=OWN) as folder:
        yield folder


def refused(call, *args, **kwargs) -> ContinualError:
    with pytest.raises(ContinualError) as caught:
        call(*args, **kwargs)
    assert caught.value.remedy, caught.value
    return caught.value


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("bosting", "no built-in estimator 'bosting'", "did you mean 'boosting'?"),
        ("sklearn.svm.SVC", "'sklearn.svm.SVC'", "write sklearn.svm:SVC"),
        ("sklearn.svm:SVCC", "has no 'SVCC'", "'SVC'"),
        ("sklearn.swm:SVC", "no module 'sklearn.swm'", "'sklearn.svm'"),
        ("package_nobody_has:Model", "not installed", "pip install package_nobody_has"),
        ("extensions.stamp:Stump", "no file extensions/stamp.py", "'extensions.stump'"),
        ("extensions.stump:Stamp", "has no 'Stamp'", "'Stump'"),
        ("extensions.wants:f", "'package_nobody_has', which extensions/wants.py", "pip install"),
        ("extensions.neighbour:f", "imports 'helper'", "from extensions.helper import"),
        ("extensions.broken:f", "SyntaxError", "extensions/broken.py"),
        ("../evil:f", "is no name", "package.module:attribute"),
    ],
)
def test_a_name_that_does_not_resolve_is_named_with_its_remedy(project, name, problem, remedy):
    (project / "extensions/wants.py").write_text("import package_nobody_has\n")
    (project / "extensions/neighbour.py").write_text("import helper\n")
    (project / "extensions/broken.py").write_text("def f(:\n")
    error = refused(resolve, "estimator", name)
    assert problem in error.problem and remedy in error.remedy


def test_extensions_are_read_from_the_project_alone_and_anew_when_they_change(project, tmp_path):
    import sys

    before = list(sys.path)
    assert resolve("estimator", "extensions.helper:SHIFT") == 0.0
    (project / "extensions/helper.py").write_text("SHIFT = 1.0\n")
    assert resolve("estimator", "extensions.helper:SHIFT") == 1.0
    other = tmp_path / "other"
    (other / "extensions").mkdir(parents=True)
    assert (
        "extensions/helper.py"
        in refused(resolve, "estimator", "extensions.helper:SHIFT", other).problem
    )
    assert sys.path == before


@pytest.mark.parametrize(
    ("named", "problem", "remedy"),
    [
        ({"name": "boosting", "args": {"iteration": 9}}, "no 'iteration'", "'iterations'"),
        ({"name": "sklearn.svm:SVC", "args": {"kernl": "rbf"}}, "kernl", "'kernel'"),
        ({"name": "sklearn.svm:LinearSVC"}, "has no 'predict_proba'", "Calibrated"),
        ({"name": "extensions.helper:SHIFT"}, "no method 'fit'", "an estimator"),
    ],
)
def test_what_does_not_fit_the_door_stops_the_training(project, named, problem, remedy):
    settings = Train(models=[named])
    error = refused(train, DATA, settings, {"refit_all": rows()})
    assert problem in error.problem and remedy in error.remedy


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("raise", "RuntimeError: no luck (extensions/stump.py, line"),
        ("nan", "do not exist"),
        ("short", "shape (63, 2)"),
        ("classes", "answers the classes no, yes where the labels are 0, 1"),
        ("no classes", "answers the classes none where"),
        ("large", "MB, and train.max_size allows 1"),
        ("chance", "second training on the same rows gave another model"),
        ("shared", "second training on the same rows gave another model"),
    ],
)
def test_a_model_that_fails_is_a_challenger_that_is_not_there(project, bad, words):
    named = {"name": "extensions.stump:Stump", "args": {"bad": bad}}
    settings = Train(models=["linear", named], check_repeat=True, max_size=1)
    training, models = train(DATA, settings, {"refit_all": rows()})
    assert [card.model for card in training.challengers] == ["linear"] and len(models) == 1
    assert words in training.failed["refit_all, Stump"]


def test_a_training_is_repeated_only_where_that_is_asked_for(project):
    for bad in ("chance", "large"):
        named = {"name": "extensions.stump:Stump", "args": {"bad": bad}}
        loose = Train(models=[named], max_size=None)
        assert len(train(DATA, loose, {"refit_all": rows()})[1]) == 1


def test_an_endless_loop_is_no_answer(project):
    named = {"name": "extensions.stump:Stump", "args": {"bad": "loop"}}
    with in_project(time_limit=0.5):
        error = refused(train, DATA, Train(models=["linear", named]), {"refit_all": rows()})
    assert "had not answered after 0.5 seconds" in error.problem
    assert "extensions.time_limit" in error.remedy


def test_what_a_call_has_started_ends_with_it(tmp_path):
    "A child of the child would go on for ever."
    import subprocess
    import sys

    note = tmp_path / "alive"
    code = f"import time, pathlib\nwhile True: pathlib.Path({str(note)!r}).write_text('x'); time.sleep(.02)"

    def call():
        subprocess.Popen([sys.executable, "-c", code])
        while True:
            time.sleep(0.1)

    with in_project(time_limit=2):
        refused(limited, "extensions.slow:call", call)
    note.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not note.exists()


def test_named_models_give_a_challenger_per_recipe_and_the_same_bytes(project):
    models = [
        "boosting",
        {"name": "sklearn.ensemble:RandomForestClassifier", "args": {"n_estimators": 5}},
    ]
    models += ["extensions.stump:Stump"]
    settings, sets = (
        Train(models=models, iterations=5),
        {"refit_all": rows(), "refit_recent": rows(200, 1)},
    )
    training, made = train(DATA, settings, sets)
    titles = [card.recipe for card in training.challengers]
    assert titles[:3] == [
        f"refit_all, {m}" for m in ("boosting", "RandomForestClassifier", "Stump")
    ]
    assert len(titles) == 6 and list(train(DATA, settings, sets)[1]) == list(made)


def test_types_of_a_named_model_are_kept_and_count_only_while_it_is_named(project):
    named = NamedCode(name="extensions.stump:Stump")
    settings = Train(models=[named])
    model = fit_named(DATA, settings, named, rows())
    assert model.types == ("extensions.stump.Stump",)
    kept = named_types(model.content, settings, model.types)
    again = load(model.content, model.hash, (), kept)
    assert np.isfinite(predict(again, rows(), DATA).proba).all()
    assert named_types(model.content, Train(), model.types) == ()
    assert named_types(model.content, settings, ("os.system",)) == ()
    assert "extensions.stump.Stump" in refused(load, model.content, model.hash).problem


def test_a_function_never_enters_with_a_named_package():
    from sklearn.preprocessing import FunctionTransformer

    from continual_nb.core.files import sha256
    from continual_nb.core.models import dump

    content = dump(FunctionTransformer(np.apply_along_axis))
    kept = named_types(content, Train(models=["numpy:apply_along_axis"]))
    assert kept == () and refused(load, content, sha256(content), (), ("numpy.apply_along_axis",))


def test_pins_follow_siblings_and_packages_and_run_nothing(project):
    (project / "extensions/stump.py").write_text(OWN + "\nraise SystemExit('was run')\n")
    found = pins(["boosting", "extensions.stump:Stump"], project)
    assert list(found) == ["extensions/helper.py", "extensions/stump.py", "numpy", "sklearn"]
    (project / "extensions/alone.py").write_text("x = 1\n")
    assert pins(["boosting", "extensions.stump:Stump"], project) == found
    (project / "extensions/helper.py").write_text("SHIFT = 2.0\n")
    moved = pins(["extensions.stump:Stump"], project)
    assert moved["extensions/helper.py"] != found["extensions/helper.py"]
    assert (
        "extensions",
        "extensions.stump:Stump",
        "One threshold on the first column.",
    ) in offered(project)


def test_two_of_one_name_want_a_label_and_an_unknown_key_its_neighbour():
    form = {"data": {"source": "x.csv", "time": "t", "label": "y", "numeric": ["x"]}}
    twice = {**form, "train": {"models": ["linear", "linear"]}}
    assert "label" in refused(parse, twice).problem
    typo = {**form, "train": {"models": [{"name": "linear", "arg": {}}]}}
    assert "'args'" in refused(parse, typo).remedy
    assert [m.name for m in parse({**form, "train": {"model": "linear"}}).train.models] == [
        "linear"
    ]


# -- gates and triggers
GATE = """

from continual_nb.evaluation.gates import GateResult


class Small:
    "The model fits into so many bytes."

    def __init__(self, most, bad=""):
        self.most, self.bad = most, bad

    def check(self, context):
        while self.bad == "loop":
            pass
        if self.bad == "raise":
            raise RuntimeError("no scale")
        if self.bad == "number":
            return float("nan")
        verdict = "pass" if context.size <= self.most else "fail"
        return GateResult(name="small", verdict=verdict, reason=f"It has {context.size:,} bytes.")
"""
TRIGGER = """
import numpy as np


def many_rows(evidence, least=100, bad=""):
    "Enough events are new to the champion."
    while bad == "loop":
        pass
    if bad == "raise":
        raise RuntimeError("no count")
    held = evidence.rows >= least
    return {"nan": np.full(len(held), np.nan), "long": np.append(held, True)}.get(bad, held)
"""


def gate(bad: str = "", most: int = 10):
    from continual_nb.core.params import Evaluate
    from continual_nb.evaluation.gates import GateContext, check_gates, run_gates

    settings = Evaluate(
        gates=[{"name": "extensions.own:Small", "args": {"most": most, "bad": bad}}]
    )
    frame = rows()
    context = GateContext(DATA, settings, frame, None, None, {}, None, 0.0, 0.95, size=50)
    check_gates(settings)
    return run_gates(context)[0]


def test_an_own_gate_answers_and_one_that_fails_lets_nothing_through(project):
    (project / "extensions/own.py").write_text(GATE)
    assert (gate().verdict, gate().reason) == ("fail", "It has 50 bytes.")
    assert gate(most=99).verdict == "pass"
    for bad, words in (("raise", "RuntimeError: no scale"), ("number", "no GateResult")):
        failed = gate(bad, most=99)
        assert failed.verdict == "not enough data" and failed.needed and words in failed.reason
    with in_project(time_limit=0.5):
        assert "had not answered" in refused(gate, "loop").problem


def test_an_own_trigger_holds_says_why_and_fails_as_a_rule_that_does_not_hold(project):
    from continual_nb.core.params import Trigger
    from continual_nb.policy.triggers import Stack, blank, explain_rule

    (project / "extensions/own.py").write_text(TRIGGER)

    def trigger(kind="extensions.own:many_rows", **args):
        return Trigger(when="own", rules={"own": {"kind": kind, "args": args}})

    known = blank(1, rows=150.0)
    assert Stack([trigger()]).fires(known)[0]
    assert not Stack([trigger(least=200)]).fires(known)[0]
    assert explain_rule(trigger().rules["own"], known) == "Enough events are new to the champion"
    together = Stack([trigger(), trigger(least=200)]).fires(blank(2, rows=[150.0, 250.0]))
    assert together.tolist() == [True, True]
    for bad, words in (("raise", "no count"), ("nan", "float64"), ("long", "shape (2,)")):
        assert not Stack([trigger(bad=bad)]).fires(known)[0]
        assert words in explain_rule(trigger(bad=bad).rules["own"], known)
    assert "'least'" in refused(Stack, [trigger(leest=3)]).remedy
    with in_project(time_limit=0.5):
        assert "had not" in refused(Stack([trigger(bad="loop")]).fires, known).problem


def test_an_unknown_gate_or_kind_names_its_neighbour():
    from continual_nb.core.params import Evaluate
    from continual_nb.evaluation.gates import check_gates

    error = refused(check_gates, Evaluate(gates=["no_group_harm"]))
    assert "'no_group_harmed'" in error.remedy
    form = {"data": {"source": "x.csv", "time": "t", "label": "y", "numeric": ["x"]}}
    form["decide"] = {"trigger": {"when": "r", "rules": {"r": {"kind": "detb"}}}}
    assert "did you mean 'debt'?" in refused(parse, form).problem


# -- a project
def pinned(loop) -> dict:
    from continual_nb.core.params import read_yaml

    return read_yaml(loop.path("data/code.yaml"))


def test_a_gate_of_a_project_from_the_command_line(turned, copy):
    loop = copy(turned)
    loop.path("extensions").mkdir()
    own, before = loop.path("extensions/own.py"), pinned(loop)
    own.write_text(GATE)
    named = '{name: "extensions.own:Small", args: {most: 9}}'
    loop.set(gates=f"[enough_rows, {named}]")
    assert "extensions/own.py" in loop.continual("stage", "evaluate", code=1).err
    loop.continual("refresh")
    after = pinned(loop)
    assert {key for key in after if after[key] != before.get(key)} == {
        "evaluate",
        "archive",
        "extensions",
    }
    loop.continual("stage", "evaluate")
    evaluation = loop.json("data/work/evaluate/evaluation.json")
    gates = next(iter(evaluation["gates"].values()))
    assert [g["verdict"] for g in gates] == ["pass", "fail"] and "bytes" in gates[1]["reason"]
    assert "extensions.own:Small" in loop.continual("doors").out

    note = loop.path("was_run")
    own.write_text(f"open({str(note)!r}, 'w')\n" + GATE)
    told = loop.continual("status", "--json", code=None)
    assert '"changed": {"evaluate": ["extensions/own.py"]}' in told.out and "refresh" in told.out
    for words in (
        ("verify",),
        ("ledger",),
        ("doors",),
        ("sign", "approve", "--by", "A", "--reason", "b"),
    ):
        loop.continual(*words, code=None)
    assert not note.exists(), "a command that reads has run code of the project"
    assert "own.py has moved on" in loop.continual("stage", "evaluate").err
    assert not note.exists(), "not the file that the iteration names"

    loop.set(gates=f"[{named.replace('9', '9, bad: loop')}]", time_limit="1")
    loop.continual("refresh")
    said = loop.continual("stage", "evaluate", code=1)
    assert "had not answered after 1 seconds" in said.err and note.exists()


def test_a_sampler_is_pinned_for_compose_and_its_arguments_stay(project):
    from continual_nb.core.params import Params, render
    from continual_nb.loop.code import stage_pins

    recipe = ["all", {"extensions.helper:newest": {"share": 0.5}}]
    params = Params(data=DATA, compose={"recipes": {"mine": recipe}})
    assert list(stage_pins(params, project)) == ["compose"]
    assert list(stage_pins(params, project)["compose"]) == ["extensions/helper.py"]
    (project / "params.yaml").write_text(render(params))
    assert Params.load(project / "params.yaml") == params
