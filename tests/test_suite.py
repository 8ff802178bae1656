"Requirements of models: what each says of a model, what is proposed and accepted, what they have caught."

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stations import events

from continual_nb.core.expectations import (
    Behaviour,
    Meta,
    Suite,
    read_suite,
    redundant,
    spell_suite,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.models import fit_named, predict
from continual_nb.core.params import Data, Evaluate, Monitor, Train, read_yaml
from continual_nb.evaluation.evaluate import evaluate
from continual_nb.evaluation.suite import (
    Requirement,
    behaves,
    caught_so_far,
    changed,
    selected,
    stopped,
    suite_in_words,
)
from continual_nb.loop.expect import with_entry
from continual_nb.training.cards import Training
from continual_nb.training.train import train

DATA = Data(
    source="x.csv",
    time="t",
    label="y",
    positive="1",
    numeric=("x", "z"),
    categorical=("shop",),
    text=("note",),
    slices=("shop",),
)
NUMBERS = DATA.model_copy(update={"task": "regression", "positive": None})
LINEAR = Train(models=["linear"])


def world(n=1200, seed=0, start="2024-01-01", turned=0.0, numbers=False):
    "The label rises with x, in the south it is turned so far; `bad` in a note means 1."
    draw = np.random.default_rng(seed)
    x, z = draw.normal(size=(2, n))
    shop = pd.Series(draw.choice(["north", "south"], n), dtype="str")
    bad = draw.random(n) < 0.3
    pull = np.where(shop == "south", 1 - turned, 1) * 2 * x + 2 * bad
    noisy = pull + draw.logistic(size=n)
    note = pd.Series(np.where(bad, "bad", "fine"), dtype="str")
    return events(start, noisy, numbers, x=x, z=z, shop=shop, note=note)


ROWS, AHEAD = world(), world(800, 1, "2024-03-01")


@pytest.fixture(scope="module")
def model():
    return fit_named(DATA, LINEAR, LINEAR.models[0], ROWS)


def asked(model, on=AHEAD, data=DATA, **about):
    ask = lambda part: predict(model, part, data)
    one = Behaviour(id="one", **about)
    return behaves(one, on, ask(on), ask, data, Evaluate())


@pytest.mark.parametrize(
    "verdict, about",
    [
        ("pass", dict(type="invariance", change={"z": {"add": 1}}, most=0.05)),
        ("fail", dict(type="invariance", change={"x": {"add": 1}}, most=0.05)),
        ("fail", dict(type="invariance", change={"note": {"replace": {"bad": "poor"}}}, most=0.05)),
        ("pass", dict(type="invariance", change={"note": {"replace": {"bad": "BAD"}}})),
        ("fail", dict(type="invariance", change={"x": None}, most=0.05)),
        ("pass", dict(type="direction", change={"x": {"add": 1}}, expect="up")),
        ("fail", dict(type="direction", change={"x": {"add": 1}}, expect="down")),
        ("pass", dict(type="direction", change={"note": "fine"}, expect="down")),
        ("pass", dict(type="slice", where={"shop": "south"}, most=0.6)),
        ("fail", dict(type="slice", where={"shop": "south"}, most=0.2)),
        ("not enough data", dict(type="slice", where={"shop": "east"}, most=0.2)),
        ("not enough data", dict(type="invariance", where={"shop": "east"}, change={"z": 1})),
    ],
)
def test_a_requirement_sees_what_a_model_does(model, verdict, about):
    found = asked(model, **about)
    assert found.verdict == verdict, found.reason
    assert found.name == "behaviour one" and found.needed is False and "(one)" in found.reason


def test_rows_that_must_be_answered_right(model):
    sure = {"x": 4.0, "note": "bad", "shop": "north", "y": 1}
    wrong = {**sure, "y": "0"}
    assert asked(model, type="must_pass", rows=(sure,)).verdict == "pass"
    assert "1 of 2 are not" in asked(model, type="must_pass", rows=(sure, wrong)).reason
    assert asked(model, type="must_pass", rows=(sure, wrong), most=0.5).verdict == "pass"


def test_numbers_have_invariance_direction_and_rows_as_well():
    rows = world(600, 3, numbers=True)
    model = fit_named(NUMBERS, LINEAR, LINEAR.models[0], rows)
    ask = lambda **about: asked(model, rows, NUMBERS, **about).verdict
    assert ask(type="direction", change={"x": {"add": 1}}, expect="up") == "pass"
    assert ask(type="invariance", change={"x": {"add": 1}}, most=1) == "fail"
    near = {"x": 1.0, "z": 0, "shop": "north", "note": "fine", "y": 2.0}
    assert ask(type="must_pass", rows=(near,), most=1) == "pass"
    assert ask(type="must_pass", rows=({**near, "y": 90},), most=1) == "fail"
    assert ask(type="slice", where={"shop": "north"}, most=3) == "pass"


@given(step=st.floats(-5, 5), value=st.sampled_from(["north", "south", None]))
def test_a_change_changes_its_column_alone(step, value):
    part = AHEAD.head(20)
    made = changed(part, {"x": {"add": step}, "shop": value})
    assert np.allclose(made["x"], part["x"] + step) and made.drop(columns=["x", "shop"]).equals(
        part.drop(columns=["x", "shop"])
    )
    assert selected(made, {"shop": value}).all() and selected(part, {}).all()


# -- the file

TEXT = """
expectations:
# ours
- id: a
  type: expect_column_to_exist
  kwargs: {column: x}
behaviour:
  - id: capitals   # as in the letter of May
    type: invariance
    change: {note: {replace: {bad: BAD}}}
    most: 0.02
    meta: {added_in: 003-2024-03, because: a letter, owner: Ada}
"""


def suite_in(tmp_path, text=TEXT, data=DATA) -> Suite:
    (tmp_path / "e.yaml").write_text(text)
    return read_suite(read_yaml(tmp_path / "e.yaml"), data)


def test_what_is_accepted_stands_at_the_end_of_its_list_and_other_lines_stay(tmp_path):
    new = Behaviour(
        id="cases", type="must_pass", rows=({"x": 1.5, "note": "née: 'x' #1", "y": "1"},)
    )
    one = suite_in(tmp_path).expectations[0].model_copy(update={"id": "b"})
    text = with_entry(with_entry(TEXT, new), one)
    suite = suite_in(tmp_path, text)
    assert [e.id for e in suite.expectations] == ["a", "b"]
    assert [b.id for b in suite.behaviour] == ["capitals", "cases"] and suite.behaviour[1] == new
    assert all(line in text.splitlines() for line in TEXT.splitlines())
    empty = with_entry("expectations: []\n", new)
    assert suite_in(tmp_path, empty).behaviour == (new,)
    assert suite_in(tmp_path, spell_suite(suite)) == suite


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("note: {replace", "nota: {replace", "no feature 'nota'"),
        ("{replace: {bad: BAD}}", "{add: 1}", "add does not fit note"),
        ("{replace: {bad: BAD}}", "{swap: 1}", "changes nothing"),
        ("type: invariance", "type: direction", "names no expect"),
        ("type: invariance", "type: must_pass", "names no rows"),
        ("type: invariance", "type: mono", "behaviour.0.type"),
        ("id: capitals", "id: a", "two expectations are called 'a'"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, old, new, words):
    with pytest.raises(ContinualError) as found:
        suite_in(tmp_path, TEXT.replace(old, new))
    assert words in found.value.problem


def test_a_private_value_does_not_enter_the_file(tmp_path):
    with pytest.raises(ContinualError, match="private"):
        suite_in(tmp_path, data=DATA.model_copy(update={"private": ("note",)}))


def test_a_requirement_that_another_implies_and_that_caught_nothing_may_go():
    floor = lambda name, most: Behaviour(id=name, type="slice", where={"shop": "north"}, most=most)
    case = lambda name, *x: Behaviour(
        id=name, type="must_pass", rows=tuple({"x": v, "y": "1"} for v in x)
    )
    suite = Suite(
        behaviour=(floor("loose", 0.7), floor("strict", 0.5), case("few", 1), case("many", 1, 2))
    )
    assert redundant(suite, {}) == {"loose": "strict", "few": "many"}
    assert redundant(suite, {"loose": 1}) == {"few": "many"}
    twins = Suite(behaviour=(floor("one", 0.5), floor("two", 0.5)))
    assert redundant(twins, {}) == {"one": "two"}, "one of two equal ones stays"


# -- in the loop


def judged(challenger_rows, suite=(), champion=None, ghosts={}):
    training, models = train(DATA, LINEAR, {"new": challenger_rows})
    return evaluate(
        DATA,
        Evaluate(),
        Monitor(),
        rows=AHEAD,
        iteration=4,
        as_of=AHEAD["event_time"].max(),
        champion=champion,
        ghosts=ghosts,
        training=training,
        challengers=models,
        suite=suite,
    )


def test_a_challenger_that_does_not_meet_a_requirement_is_not_put_in_place():
    free = judged(ROWS)
    assert free.answer == "promote"
    strict = Behaviour(id="south", type="slice", where={"shop": "south"}, most=0.2)
    held = judged(ROWS, (strict,))
    assert held.answer == "keep" and "Required (south)" in held.reason
    assert stopped(held.gates) == ["south"] and stopped(free.gates) == []
    ledger = ({"kind": "evaluation", "caught": ["south", "old"]}, {"kind": "decision"})
    assert caught_so_far(ledger, stopped(held.gates)) == {"south": 2, "old": 1}
    unseen = Behaviour(id="east", type="slice", where={"shop": "east"}, most=0.2)
    assert judged(ROWS, (unseen,)).answer == "promote", "what cannot be seen blocks nothing"


def test_a_failed_challenger_and_a_better_predecessor_propose_requirements(model):
    turned = world(1200, 5, turned=2.0)
    found = judged(turned, champion=model)
    assert found.answer == "keep"
    made = {one["id"]: Behaviour.model_validate(one) for one in found.proposed}
    assert set(made) == {"slice-shop-north", "slice-shop-south", "rows-of-004-2024-03"}
    floor, cases = made["slice-shop-south"], made["rows-of-004-2024-03"]
    assert (floor.id, floor.where, floor.meta.added_in) == (
        "slice-shop-south",
        {"shop": "south"},
        "004-2024-03",
    )
    assert "new lost" in floor.meta.because and 0 < floor.most < 1
    assert asked(model, **floor.model_dump(exclude={"id"})).verdict == "pass"
    assert (
        len(cases.rows) == 5 and asked(model, **cases.model_dump(exclude={"id"})).verdict == "pass"
    )
    lost = fit_named(DATA, LINEAR, LINEAR.models[0], turned)
    assert asked(lost, **cases.model_dump(exclude={"id"})).verdict == "fail"
    read_suite({"behaviour": list(found.proposed)}, DATA)
    after = judged(ROWS, champion=lost, ghosts={model.hash: model})
    assert any(
        "which was replaced, is proven better" in p["meta"]["because"] for p in after.proposed
    )
    assert judged(ROWS).proposed == ()


def test_the_page_says_in_one_sentence_how_the_suite_grew():
    assert suite_in_words(()) == ""
    one = Requirement(id="a", added_in="003-2024-03", because="A letter.", caught=1)
    assert suite_in_words((one,)) == (
        "Models are held to 1 requirement of their behaviour, the newest since 003-2024-03 because: "
        "A letter; so far they stopped 1 challenger."
    )


def test_a_requirement_is_accepted_with_one_command_and_is_a_gate_from_then_on(turned, copy):
    loop = copy(turned)
    path = loop.path("data/work/evaluate/evaluation.json")
    found = json.loads(path.read_text())
    assert found["answer"] == "promote" and found["suite"] == found["proposed"] == []
    steady = {"id": "steady", "type": "invariance", "change": {"amount": {"add": 3}}, "most": 0.01}
    steady["meta"] = Meta(added_in="001-2024-01", because="amounts in another unit").model_dump()
    path.unlink()
    path.write_text(json.dumps({**found, "proposed": [steady]}))
    assert "steady: answers move by at most 0.01 if amount" in loop.continual("expect").out
    refused = loop.continual("expect", "accept", "steady", "--severity", "error", code=1)
    assert "no severity" in refused.err
    assert "(gate)" in loop.continual("expect", "accept", "steady", "--owner", "Ada").out
    loop.dvc("repro")
    after = loop.json("data/work/evaluate/evaluation.json")
    (gates,) = after["gates"].values()
    assert after["answer"] == "keep" and gates[-1]["name"] == "behaviour steady"
    assert gates[-1]["verdict"] == "fail" and after["suite"][0]["caught"] == 1
    said = loop.continual("expect").out
    assert "1 requirement of models" in said and "proposed" in said
    page = loop.path("data/work/report/report.html").read_text()
    assert "Models are held to 1 requirement" in page and "so far they stopped 1 challenger" in page
