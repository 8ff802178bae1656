"""Which events to ask a person about: built-in queries and own ones, with probabilities that can be believed."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stations import extensions_in

from continual_nb.composition.queries import draw_events, weighted_mean
from continual_nb.composition.selection import QueryContext, ask_query, density_score
from continual_nb.core.doors import BUILT_IN, in_project
from continual_nb.core.files import ContinualError
from continual_nb.core.models import estimator, fit, predict
from continual_nb.core.params import Data, NamedCode, Train, parse
from continual_nb.loop.code import stage_pins

DATA = Data(
    source="-", time="t", label="y", numeric=("x", "z"), categorical=("place",), slices=("place",)
)
NUMBERS = DATA.model_copy(update={"task": "regression"})
OWN = """
import numpy as np
from continual_nb.composition.queries import inclusion_probabilities


def mine(events, context, k, bad=""):
    "More often the larger x is."
    while bad == "loop":
        pass
    if bad == "raise":
        raise RuntimeError("no idea")
    rng = np.random.default_rng(None if bad == "random" else context.seed)
    chance = inclusion_probabilities(np.exp(events["x"].to_numpy()) + rng.random(len(events)), k)
    answer = events[["event_id"]].assign(probability=chance, reason="large")
    first = answer.index[0]
    if bad in ("nan", "negative", "zero", "over"):
        answer.loc[first, "probability"] = {"nan": np.nan, "negative": -0.1, "zero": 0, "over": 1.2}[bad]
    if bad == "stranger":
        answer.loc[first, "event_id"] = "nobody"
    if bad == "twice":
        answer.loc[first, "event_id"] = answer["event_id"].iloc[1]
    if bad == "budget":
        answer["probability"] /= 2
    if bad == "column":
        return answer.drop(columns="reason")
    if bad == "none":
        return None
    return answer[1:] if bad == "short" else answer.sample(frac=1, random_state=context.seed)
"""


def world(n: int, seed: int = 0, data: Data = DATA) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    x, z = draw.normal(size=(2, n))
    value = 3 * x + z + draw.logistic(size=n)
    return pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "x": x,
            "z": z,
            "place": draw.choice(["here", "there", "far"], n, p=[0.8, 0.17, 0.03]),
            "label": value if data is NUMBERS else np.where(value > 0, "1", "0"),
        }
    )


def trained(rows: pd.DataFrame, data: Data = DATA):
    train = Train(models=["boosting"], iterations=15)
    return fit(estimator(data, train), rows, data)


def context(data: Data = DATA) -> QueryContext:
    first, second, third = (trained(world(200, seed, data), data) for seed in (1, 2, 3))
    learn = lambda rows: trained(rows, data)
    return QueryContext(data, 7, first, second, (third,), world(120, 9, data), learn)


@pytest.fixture(scope="module")
def known():
    return context()


@pytest.fixture(scope="module")
def known_numbers():
    return context(NUMBERS)


@pytest.fixture
def project(tmp_path):
    with extensions_in(tmp_path, own=OWN) as folder:
        yield folder


def own(bad: str = "") -> NamedCode:
    return NamedCode(name="extensions.own:mine", args={"bad": bad} if bad else {})


def test_every_estimate_from_a_built_in_query_is_unbiased(known):
    events, rng = world(1500, 4), np.random.default_rng(5)
    wrong = (predict(known.champion, events, DATA).answer != events["label"]).to_numpy(float)
    assert set(BUILT_IN["query"]) == {
        "uniform",
        "margin",
        "entropy",
        "slices",
        "disagreement",
        "committee",
        "density",
    }
    for name in BUILT_IN["query"]:
        answer = ask_query(NamedCode(name=name), events, known, 150)
        chance = answer["probability"].to_numpy()
        draws = [draw_events(chance, rng) for _ in range(1500)]
        made = [weighted_mean(wrong[at], chance[at], len(events)) for at in draws]
        means = np.array([one.mean for one in made])
        assert abs(means.mean() - wrong.mean()) < 4 * means.std() / np.sqrt(1500), name
        assert np.mean([one.low <= wrong.mean() <= one.high for one in made]) > 0.9, name
        unweighted = np.mean([wrong[at].mean() for at in draws])
        if name in ("margin", "entropy"):
            assert unweighted > 1.1 * wrong.mean(), "the draw itself is no fair sample"


@given(name=st.sampled_from(sorted(BUILT_IN["query"])), n=st.integers(12, 60), k=st.integers(1, 80))
def test_probabilities_of_a_built_in_query_can_be_drawn_from(known, name, n, k):
    answer = ask_query(NamedCode(name=name), world(n, 11), known, k)
    chance = answer["probability"]
    assert chance.gt(0).all() and chance.le(1).all() and chance.sum() == pytest.approx(min(k, n))


def test_a_budget_goes_where_the_query_says(known):
    events = world(800, 6)
    ask = lambda name, **args: ask_query(NamedCode(name=name, args=args), events, known, 80)
    near = predict(known.champion, events, DATA).proba.max(axis=1)
    chance = ask("margin", uniform=0.0)["probability"]
    assert np.corrcoef(chance, near)[0, 1] < -0.8
    by_place = ask("slices")["probability"].groupby(events["place"]).sum()
    far = int((events["place"] == "far").sum())
    assert by_place["far"] == pytest.approx(min(80 / 3, far), rel=0.01)
    for of in ("former", "resamples"):
        assert ask("committee", of=of)["probability"].std() > 0.01
    assert ask("uniform")["probability"].std() < 1e-12


def test_density_prefers_crowds_without_labels():
    draw = np.random.default_rng(0)
    crowd, few, lone = draw.normal(size=(200, 2)), draw.normal(8, 0.2, (30, 2)), [[30.0, 30.0]]
    points = np.vstack([crowd, few, lone])
    cold = density_score(points, points[:0])
    assert cold[200:230].mean() > 1.5 * cold[:200].mean() and cold[-1] == cold.min()
    warm = density_score(points, few)
    assert warm[:200].mean() > 3 * warm[200:230].mean(), "what has labels is asked for less"
    assert np.isfinite(density_score(np.zeros((20, 2)), np.zeros((3, 2)))).all()


def test_numbers_are_asked_for_where_models_differ(known_numbers):
    events = world(300, 8, NUMBERS)
    for name in ("committee", "disagreement", "density", "uniform", "slices"):
        answer = ask_query(NamedCode(name=name), events, known_numbers, 30)
        assert answer["probability"].sum() == pytest.approx(30), name
    with pytest.raises(ContinualError, match="margin needs classes"):
        ask_query(NamedCode(name="margin"), events, known_numbers, 30)


@pytest.mark.parametrize(
    ("name", "args", "problem"),
    [
        ("margin", {}, "no champion yet"),
        ("disagreement", {}, "no champion yet"),
        ("committee", {}, "no labels to train one on"),
        ("committee", {"of": "former"}, "0 models have been in production"),
        ("committee", {"of": "formr"}, "of 'formr'"),
        ("committee", {"members": 1}, "1 members"),
        ("slices", {"by": "plce"}, "'plce' is no categorical column"),
        ("margin", {"unifrm": 0.1}, "unifrm"),
    ],
)
def test_what_a_built_in_query_lacks_is_named_with_another_way(name, args, problem):
    with pytest.raises(ContinualError, match=problem) as caught:
        ask_query(NamedCode(name=name, args=args), world(50), QueryContext(DATA), 5)
    assert caught.value.remedy
    cold = ask_query(NamedCode(name="density"), world(50), QueryContext(DATA), 5)
    assert cold["probability"].sum() == pytest.approx(5), "a cold start has a query that works"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("nan", "1 probabilities that are no number, as that of 'e0'"),
        ("negative", "1 probabilities that are negative"),
        ("zero", "1 probabilities that are zero"),
        ("over", "1 probabilities that are over 1"),
        ("short", "39 rows for 40 events"),
        ("stranger", "1 events that it was not given, as 'nobody'"),
        ("twice", "the event 'e1' twice"),
        ("budget", "sum to 4, and 8 events"),
        ("column", "no column 'reason'"),
        ("none", "no column"),
        ("random", "answers otherwise when asked again"),
        ("raise", r"RuntimeError: no idea \(extensions/own.py, line"),
    ],
)
def test_a_bad_answer_of_an_own_query_is_named(project, bad, problem):
    with pytest.raises(ContinualError, match=problem) as caught:
        ask_query(own(bad), world(40), QueryContext(DATA), 8)
    assert caught.value.remedy


def test_an_own_query_answers_in_any_order_and_an_endless_one_is_ended(project):
    events = world(40)
    answer = ask_query(own(), events, QueryContext(DATA), 8)
    assert answer["event_id"].tolist() == events["event_id"].tolist()
    assert np.corrcoef(answer["probability"], np.exp(events["x"]))[0, 1] > 0.9
    with in_project(project, time_limit=0.5), pytest.raises(ContinualError, match="not answered"):
        ask_query(own("loop"), events, QueryContext(DATA), 8)


def test_a_query_is_pinned_for_the_command_that_runs_it_and_for_no_stage(project):
    form = {"data": {"source": "-", "time": "t", "label": "y", "numeric": ["x"]}}
    form["labelling"] = {"queries": ["margin", "extensions.own:mine"]}
    pinned = stage_pins(parse(form), project)
    assert list(pinned) == ["labels"] and "extensions/own.py" in pinned["labels"]


def test_a_project_asks_by_a_query_of_its_own(sealed, copy):
    loop = copy(sealed)
    loop.path("extensions").mkdir()
    own, named = loop.path("extensions/own.py"), "extensions.own:mine"
    own.write_text(OWN.replace('"x"', '"amount"'))
    ask = lambda *words, code=0: loop.continual("labels", "--ask", "5", *words, code=code)
    loop.continual("open")
    loop.dvc("repro")
    assert "did you mean 'density'" in ask("--strategy", "densty", code=1).err
    assert "not named in params.yaml" in ask("--strategy", named, code=1).err
    loop.set(queries=f'["{named}", committee]')
    assert "continual refresh" in ask(code=1).err
    loop.continual("refresh")
    stale = set(json.loads(loop.dvc("status", "--json").out))
    assert stale == {"promote", "report"}, "a decision rests on params.yaml; no stage runs a query"
    ask()
    ask("--strategy", "committee")
    drawn = [json.loads(x) for x in loop.path("data/labels/draws.jsonl").read_text().splitlines()]
    assert [d["strategy"] for d in drawn] == ["mine"] * 5 + ["committee"] * 5
    assert len({d["event_id"] for d in drawn}) == 10
    assert {d["reason"] for d in drawn} == {"large", "models disagree"}
    path = loop.path("data/labels/002-2024-02.csv")
    asked = pd.read_csv(path, dtype="str", keep_default_na=False)
    asked.assign(label="1", by="Ana").to_csv(path, index=False)
    told = loop.continual("labels", "--status").out
    assert "drawn by 002-2024-02: mine: loss" in told and "committee: loss" in told
    note = loop.path("was_run")
    own.write_text(f"open({str(note)!r}, 'w')\n" + OWN)
    said = loop.continual("status", code=None).out
    assert "for `continual labels`" in said and "refresh, then dvc repro" not in said
    assert "extensions/own.py" in ask(code=1).err and not note.exists()
