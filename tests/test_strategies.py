"Strategies: what each gives, when it is the same as a refit, when it cannot work, and that the loop carries it."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from stations import events, extensions_in

from continual_nb.core.doors import offered
from continual_nb.core.ensembles import WeightedClassifier, aligned
from continual_nb.core.files import ContinualError
from continual_nb.core.laplace import LaplaceClassifier, LaplaceRegressor
from continual_nb.core.metrics import Metrics, Score, losses
from continual_nb.core.models import Model, fit_named, load, named_types, predict
from continual_nb.core.params import Data, NamedCode, Train
from continual_nb.training.cards import Training
from continual_nb.training.refit import refit
from continual_nb.training.strategies import (
    Predecessor,
    Predecessors,
    fit_with,
    mixed,
    recent_skill,
    settled,
    softened,
)
from continual_nb.training.train import train

DATA = Data(
    source="x.csv",
    time="t",
    label="y",
    positive="1",
    numeric=("x", "z"),
    categorical=("shop",),
    slices=("shop",),
)
NUMBERS = DATA.model_copy(update={"task": "regression", "positive": None})


def world(n=600, start="2024-01-01", tilt=0.3, seed=0, numbers=False, shops=("north", "south")):
    draw = np.random.default_rng(seed)
    x, z = draw.normal(size=(2, n))
    shop = draw.choice(shops, n)
    pull = np.where(shop == "south", -1, 1) * x + tilt * z
    noisy = pull + draw.logistic(size=n)
    return events(start, noisy, numbers, x=x, z=z, shop=pd.Series(shop, dtype="str"))


OLD, NEW, AHEAD = (
    world(1200, "2024-01-01", 0.2, 1),
    world(400, "2024-03-01", 0.8, 2),
    world(2000, "2024-04-01", 0.8, 3),
)


def after(rows, models, scores=(), data=DATA) -> Predecessors:
    "As if these models had been in production one after the other, all trained on `rows`."
    span = [rows["event_time"].agg(how).isoformat() for how in ("min", "max")]
    made = tuple(Predecessor(model, *span, windows=("2024-01",)) for model in models)
    return Predecessors(made, models[-1].hash, tuple(scores))


def linear(data=DATA, model="linear", **more) -> Train:
    return Train(models=[model], iterations=8, **more)


def with_(name, rows=NEW, before=Predecessors(), data=DATA, model="linear", **args):
    settings = linear(data, model)
    strategy = NamedCode(name=name, args=args)
    return fit_with(data, settings, settings.models[0], strategy, rows, before)


def refused(*given, **more) -> ContinualError:
    with pytest.raises(ContinualError) as found:
        with_(*given, **more)
    return found.value


def loss(model, rows=AHEAD, data=DATA) -> float:
    return float(losses(data, rows["label"], predict(model, rows, data)).mean())


@pytest.fixture(scope="module")
def champion() -> Model:
    return fit_named(DATA, linear(), linear().models[0], OLD)


@pytest.fixture(scope="module")
def before(champion) -> Predecessors:
    return after(OLD, [champion])


# -- identities


def test_a_blend_of_weight_one_and_segments_of_one_value_are_a_refit(before):
    plain, origin = with_("refit")
    assert origin is None and plain == fit_named(DATA, linear(), linear().models[0], NEW)
    assert with_("blend", before=before, weight=1)[0].content == plain.content
    one = NEW.assign(shop="north")
    whole = fit_named(DATA, linear(), linear().models[0], one)
    assert with_("per_segment", one)[0].content == whole.content


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_mean_lies_between_its_members_and_sums_to_one(share, seed):
    draw = np.random.default_rng(seed)
    tables = draw.dirichlet([1, 1, 1], size=(2, 5))
    from continual_nb.core.models import Predictions

    said = [Predictions(np.array(["a"] * 5), t, ("a", "b", "c")) for t in tables]
    both = mixed(said, [share, 1 - share])
    assert np.allclose(both.proba.sum(axis=1), 1)
    low, high = tables.min(axis=0) - 1e-12, tables.max(axis=0) + 1e-12
    assert ((both.proba >= low) & (both.proba <= high)).all()


def test_a_class_that_one_member_does_not_know_has_no_probability_of_it():
    assert aligned(np.array([[0.2, 0.8]]), ("a", "c"), ("a", "b", "c")).tolist() == [[0.2, 0, 0.8]]
    frame = pd.DataFrame({"x": [0.0, 1, 2, 3]})
    two = LogisticRegression().fit(frame, ["a", "a", "c", "c"])
    three = LogisticRegression().fit(frame, ["a", "b", "c", "c"])
    both = WeightedClassifier({"two": two, "three": three}, {"two": 0.25, "three": 0.75})
    assert list(both.classes_) == ["a", "b", "c"]
    assert np.allclose(
        both.predict_proba(frame)[:, 1], 0.75 * three.predict_proba(frame)[:, 1]
    ) and np.allclose(both.predict_proba(frame).sum(axis=1), 1)


# -- known values


def test_a_blend_answers_the_weighted_mean_and_is_loaded_like_any_model(champion, before):
    made, origin = with_("blend", before=before, weight=0.3)
    new = with_("refit")[0]
    p = lambda model: predict(model, AHEAD, DATA).proba
    assert np.allclose(p(made), 0.3 * p(new) + 0.7 * p(champion))
    assert origin.weights == {"new": 0.3, "champion": 0.7} and origin.models == (champion.hash,)
    assert load(made.content, made.hash) == made
    assert with_("blend", before=before, weight=0.3)[0].content == made.content


# -- distillation
def apart(one, other, rows=AHEAD) -> float:
    answers = [predict(model, rows, DATA).proba[:, 1] for model in (one, other)]
    return float(np.abs(answers[0] - answers[1]).mean())


def test_a_student_of_labels_alone_is_a_refit_and_one_of_answers_alone_is_the_champion(
    champion, before
):
    plain, _ = with_("refit")
    assert with_("distillation", before=before, weight=0)[0].content == plain.content
    half, origin = with_("distillation", before=before)
    copied, _ = with_("distillation", before=before, weight=1)
    assert apart(copied, champion) < 0.02 < apart(half, champion) < apart(plain, champion)
    assert origin.weights == {"labels": 0.5, "present model": 0.5}
    assert origin.models == (champion.hash,) and origin.strategy == "distillation"
    assert load(half.content, half.hash) == half


def test_a_student_learns_the_mixture_of_labels_and_answers(champion):
    answers, label = predict(champion, NEW, DATA), NEW["label"].to_numpy("str")
    soft = softened(NEW, answers, 0.3, DATA)
    share = soft[(soft["label"] == "1").to_numpy()].set_index("event_id")["sample_weight"]
    wanted = 0.3 * answers.proba[:, answers.classes.index("1")] + 0.7 * (label == "1")
    assert np.allclose(share.loc[NEW["event_id"]], wanted)
    assert np.allclose(soft.groupby("event_id")["sample_weight"].sum(), 1)


def test_where_the_old_relation_holds_and_rows_are_few_a_student_loses_less_than_a_refit(before):
    few, ahead = world(60, "2024-03-01", 0.2, 5), world(3000, "2024-04-01", 0.2, 6)
    student, plain = (with_(name, few, before)[0] for name in ("distillation", "refit"))
    assert loss(student, ahead) < loss(plain, ahead)


def test_numbers_are_distilled_and_members_of_an_ensemble_are_chosen_on_labels():
    old, new = world(800, numbers=True), world(200, "2024-03-01", 0.8, 2, numbers=True)
    teacher = fit_named(NUMBERS, linear(NUMBERS), linear(NUMBERS).models[0], old)
    kept = after(old, [teacher])
    whole, _ = with_("distillation", new, kept, NUMBERS, weight=1)
    gap = predict(whole, new, NUMBERS).answer - predict(teacher, new, NUMBERS).answer
    assert np.abs(gap).mean() < 0.05
    plain, _ = with_("refit", new, data=NUMBERS, model="ensemble")
    student, _ = with_("distillation", new, kept, NUMBERS, model="ensemble")
    assert student.chosen == plain.chosen


@pytest.mark.parametrize(
    ("rows", "args", "words"),
    [
        (NEW, {"weight": 1.5}, "weight of distillation is 1.5"),
        (NEW.assign(label_share=0.5), {}, "natural shares"),
    ],
)
def test_a_student_says_why_it_cannot_learn(before, rows, args, words):
    assert words in refused("distillation", rows, before, **args).problem
    assert "no model in production" in refused("distillation").problem


def test_the_weight_of_a_blend_follows_the_newest_rows(before):
    turned = world(400, "2024-03-01", -3.0, 2)  # what the champion knows is wrong there
    share = lambda rows: with_("blend", rows, before)[1].weights.get("new", 1)
    alike = share(world(60, "2024-03-01", 0.2, 2).assign(shop="north"))
    assert alike == 0.5, "60 rows: a quarter is fewer than 30"
    same = world(200, "2024-03-01", 0.2, 5)
    assert share(turned) > 0.8 > share(same) or "alone" in refused("blend", same, before).problem


def test_the_gates_rows_cannot_choose_and_the_weight_stays_when_refitted(before):
    made, origin = with_("blend", before=before)
    again = settled(NamedCode(name="blend"), origin)
    assert again.args == {"weight": origin.weights["new"]}
    settings = linear()
    learn = lambda own, rows: fit_with(DATA, own, own.models[0], again, rows, before)[0]
    found, model = refit(DATA, settings, "r", made, NEW, world(300, "2024-04-01", 0.8, 9), learn)
    assert found.rows == 700 and model is not None and found.hash != made.hash
    assert model.pipeline.weights == origin.weights


def test_champions_are_weighted_by_what_they_saved_lately(champion):
    newer = fit_named(DATA, linear(), linear().models[0], NEW)
    metrics = lambda skill: Metrics(
        rows=9,
        loss=1 - skill,
        loss_low=None,
        loss_high=None,
        baseline_loss=1,
        skill=skill,
        values={},
    )
    score = lambda key, k, skill: Score(
        model=key, window=f"w{k}", iteration=k, part="evaluation", metrics=metrics(skill)
    )
    a, b = champion.hash, newer.hash
    scores = [
        score(a, 1, 0.9),
        score(a, 2, 0.1),
        score(b, 2, 0.3),
        score(a, 3, 0.3),
        score(b, 3, 0.3),
    ]
    skill, windows = recent_skill(tuple(scores), [a, b], half_life=1)
    assert windows == 2 and skill[a] == pytest.approx((0.1 / 2 + 0.3) / 1.5)
    assert skill[b] == pytest.approx(0.3)
    made, origin = with_("champions", before=after(OLD, [champion, newer], scores), half_life=1)
    assert origin.weights[a[:12]] == pytest.approx(skill[a] / (skill[a] + 0.3), abs=1e-6)
    assert sum(origin.weights.values()) == pytest.approx(1) and origin.models == (a, b)
    poor = [score(a, 1, -0.2), score(b, 1, 0.3)]
    told = refused("champions", before=after(OLD, [champion, newer], poor))
    assert "1 of 2 former models" in told.problem
    found, model = refit(DATA, linear(), "r", made, NEW, AHEAD[:200], lambda own, rows: made)
    assert model is None and not found.used and "no row is used" in found.because


def test_segments_help_where_they_differ_and_small_ones_lean_on_the_parent():
    rows = world(3000, "2024-03-01", 0.3, 4, shops=("north",) * 9 + ("south",))
    whole, (made, origin) = with_("refit", rows)[0], with_("per_segment", rows, prior=50)
    ahead = world(3000, "2024-05-01", 0.3, 5)
    south = ahead[ahead["shop"] == "south"]
    assert loss(made, south) < loss(whole, south) - 0.05
    by_name = {s.name: s for s in origin.segments}
    small, large = by_name["south"], by_name["north"]
    assert small.weight == pytest.approx(small.rows / (small.rows + 50), abs=1e-6)
    assert small.weight < large.weight
    assert small.low > 0 and small.gain > 0 and small.checked > 30
    unseen = ahead.assign(shop="east")
    p = lambda model: predict(model, unseen, DATA).proba
    assert np.allclose(p(made), p(whole)), "a value without a model of its own gets the parent"
    assert load(made.content, made.hash) == made


def test_a_regression_blends_and_parts_as_well():
    old, new = (world(600, s, 0.3, k, True) for s, k in (("2024-01-01", 1), ("2024-03-01", 2)))
    model = fit_named(NUMBERS, linear(), linear().models[0], old)
    made, origin = with_("blend", new, after(old, [model]), NUMBERS, weight=0.5)
    parts, found = with_("per_segment", new, data=NUMBERS)
    ahead = world(500, "2024-05-01", 0.3, 7, True)
    said = [
        predict(m, ahead, NUMBERS).answer
        for m in (made, model, with_("refit", new, data=NUMBERS)[0])
    ]
    assert np.allclose(said[0], (said[1] + said[2]) / 2) and len(found.segments) == 2
    assert loss(parts, ahead, NUMBERS) < loss(model, ahead, NUMBERS)
    assert load(parts.content, parts.hash) == parts and origin.title.startswith("blend: 50% new")


def test_online_laplace_is_the_joint_ridge_and_close_to_the_joint_logistic_regression():
    draw = np.random.default_rng(0)
    table = draw.normal(size=(400, 5)) + 2
    number = table @ [1, 0, -1, 2, 0.5] + draw.normal(size=400)
    parts = LaplaceRegressor(2.0).fit(table[:100], number[:100])
    for start in (100, 200, 300):
        parts.partial_fit(table[start : start + 100], number[start : start + 100])
    joint = Ridge(2.0).fit(table, number)
    assert np.allclose(parts.coef_, [*joint.coef_, joint.intercept_])
    label = np.where(number > number.mean(), "late", "fine")
    whole = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(table, label)
    assert np.allclose(
        LaplaceClassifier().fit(table, label).predict_proba(table),
        whole.predict_proba(table),
        atol=1e-5,
    )
    carried = (
        LaplaceClassifier().fit(table[:200], label[:200]).partial_fit(table[200:], label[200:])
    )
    apart = lambda model: np.abs(model.predict_proba(table) - whole.predict_proba(table)).mean()
    assert apart(carried) < apart(LaplaceClassifier().fit(table[200:], label[200:])) / 2
    with pytest.raises(ValueError, match="'new' is new"):
        carried.partial_fit(table[:2], ["new", "fine"])


def test_a_continued_training_remembers_what_new_rows_do_not_show(before):
    first = fit_named(DATA, linear(model="laplace"), linear(model="laplace").models[0], OLD)
    narrow = world(200, "2024-03-01", 0.2, 8, shops=("north",))  # no row of the south
    args = dict(before=after(OLD, [first]), model="laplace")
    made, origin = with_("warm_start", narrow, **args)
    assert origin.rows == 200 and "replayed" not in origin.title
    south = AHEAD[AHEAD["shop"] == "south"]
    assert loss(made, south) < loss(with_("refit", narrow, model="laplace")[0], south)
    sgd = {"name": "sklearn.linear_model:SGDClassifier", "args": {"loss": "log_loss"}}
    begun = fit_named(DATA, linear(model=sgd), linear(model=sgd).models[0], OLD)
    args = dict(before=after(OLD, [begun]), model=sgd)
    both = pd.concat([OLD, narrow])
    made, origin = with_("warm_start", both, replay=0.5, **args)
    assert origin.rows == 300 and "100 replayed" in origin.title
    assert with_("warm_start", both, replay=0.5, **args)[0].content == made.content
    assert "has no partial_fit" in refused("warm_start", before=before).problem
    assert "is a LogisticRegression" in refused("warm_start", before=before, model=sgd).problem
    assert "0 rows" in refused("warm_start", OLD, **args).problem


# -- side by side


def test_strategies_stand_side_by_side_and_one_that_cannot_work_says_why(champion, before):
    names = ["refit", "blend", "champions", "per_segment", "warm_start"]
    settings = linear(strategies=names)
    training, models = train(DATA, settings, {"recent": NEW}, before=before)
    assert [card.recipe for card in training.challengers] == [
        "recent",
        "recent, blend",
        "recent, per_segment",
    ]
    assert set(training.failed) == {"recent, champions", "recent, warm_start"}
    assert "1 of the project's own models" in training.failed["recent, champions"]
    plain, blend, parts = training.challengers
    assert plain.origin is None and plain.rows_of == "" and blend.rows_of == "recent"
    assert blend.trained_from == OLD["event_time"].min().isoformat() < plain.trained_from
    assert blend.windows[0] == "2024-01" and plain.windows == ("2024-03",)
    page = training.section().details
    assert "per_segment" in page[0].to_html() and "south" in page[1].to_html()
    assert all(load(model.content, name) == model for name, model in models.items())
    alone = train(DATA, linear(), {"recent": NEW}, before=before)
    assert list(alone[1]) == [plain.hash], "a second strategy changes nothing of the first"
    first = train(DATA, settings, {"recent": NEW})[0]
    assert "no model in production" in first.failed["recent, blend"]
    assert Training.model_validate(training.to_dict()) == training


OWN = """
import numpy as np

from continual_nb.training.strategies import Found


def halves(make, rows, champion, context, bad=""):
    "The newer half of the rows."
    if bad == "raise":
        raise RuntimeError("no luck")
    if bad == "text":
        return "a model"
    if bad == "loop":
        while True:
            pass
    half = rows.sort_values("event_time").iloc[len(rows) // 2 :]
    made = make(half)
    if bad == "classes":
        made.pipeline[-1].classes_ = np.array(["no", "yes"])
        return made.pipeline
    if bad == "nan":
        made.pipeline[-1].coef_[:] = np.nan
        return made.pipeline
    return made


def short(make, rows):
    "Takes too little."
"""


@pytest.fixture
def project(tmp_path):
    with extensions_in(tmp_path, strategies=OWN) as root:
        yield root


@pytest.mark.parametrize(
    "bad, words",
    [
        ("raise", "RuntimeError: no luck"),
        ("text", "gave str, which has no 'predict_proba'"),
        ("classes", "a model of the classes no, yes"),
        ("nan", "numbers that do not exist"),
    ],
)
def test_what_an_own_strategy_does_wrong_is_named_and_the_others_go_on(project, bad, words):
    own = {"name": "extensions.strategies:halves", "args": {"bad": bad}}
    training, models = train(DATA, linear(strategies=["refit", own]), {"recent": NEW})
    assert words in training.failed["recent, halves"] and len(models) == 1


def test_an_own_strategy_is_a_challenger(project, before):
    own = "extensions.strategies:halves"
    training, models = train(DATA, linear(strategies=[own]), {"recent": NEW}, before=before)
    (card,) = training.challengers
    assert card.recipe == "recent" and card.origin.strategy == "halves"
    half = fit_named(DATA, linear(), linear().models[0], NEW.iloc[200:])
    assert card.hash == half.hash
    assert card.trained_from == OLD["event_time"].min().isoformat(), "it was given the champion"
    for name, words in (("extensions.strategies:short", "short"), ("blnd", "did you mean 'blend'")):
        with pytest.raises(ContinualError, match=words):
            train(DATA, linear(strategies=[name]), {"recent": NEW})
    assert {n for kind, n, _ in offered(project) if kind == "strategy"} >= {
        "refit",
        "blend",
        "champions",
    }


@pytest.mark.parametrize("args", [{"weight": 0}, {"weight": 2}, {"weight": "much"}])
def test_a_weight_that_is_none_is_refused(before, args):
    assert "weight of blend" in refused("blend", before=before, **args).problem


def test_a_model_of_others_inside_a_blend_keeps_its_types(project):
    forest = {"name": "sklearn.ensemble:RandomForestClassifier", "args": {"n_estimators": 5}}
    settings = linear(model=forest, strategies=["blend"])
    champion = fit_named(DATA, settings, settings.models[0], OLD)
    made, _ = fit_with(
        DATA, settings, settings.models[0], settings.strategies[0], NEW, after(OLD, [champion])
    )
    again = load(made.content, made.hash, (), named_types(made.content, settings, made.types))
    assert np.isfinite(predict(again, AHEAD, DATA).proba).all()


# -- a project


def test_the_loop_carries_a_blend_like_any_model(twice, copy):
    loop = copy(twice)
    loop.continual("open")
    loop.set(strategies="[{name: blend, args: {weight: 0.5}}, refit]", first="true", refit="true")
    loop.continual("steer", "improve", "--means", "retrain", "--by", "Ada", "--reason", "a trial")
    loop.dvc("repro", "evaluate")
    training = loop.json("data/work/train/training.json")
    blends = [c for c in training["challengers"] if c["origin"]]
    assert blends and all(c["origin"]["strategy"] == "blend" for c in blends)
    champion = loop.json("data/state/in/state.json")["champion"]
    assert blends[0]["origin"]["models"] == [champion]
    made = loop.bytes("data/work/train", "data/work/evaluate")
    loop.dvc("repro", "--force", "evaluate")
    assert loop.bytes("data/work/train", "data/work/evaluate") == made
    loop.continual("sign", "approve", "--by", "Ada", "--reason", "-")
    loop.dvc("repro")
    assert "blend: 50% new, 50% champion" in loop.path("data/work/report/report.html").read_text()
    loop.continual("seal")
    loop.continual("verify")
    assert "fit(make, rows, champion, context)" in loop.continual("doors").out


# -- constraints of trees
def trees(rows=NEW, data=DATA, **args) -> Model:
    settings = Train(models=[{"name": "boosting", "args": {"iterations": 20, **args}}])
    return fit_named(data, settings, settings.models[0], rows)


def margins(model, **values) -> np.ndarray:
    "Log-odds of the positive class where columns of one row are set."
    n = max(np.size(value) for value in values.values())
    grid = NEW.head(1).loc[np.repeat(NEW.index[0], n)].assign(**values)
    p = predict(model, grid, DATA).proba[:, 1]
    return np.log(p / (1 - p))


def test_trees_rise_with_a_number_where_that_is_asked_and_are_loaded_like_others():
    line = np.linspace(-3, 3, 60)
    free, held, falls = (
        trees(**args) for args in ({}, {"monotonic": {"x": 1}}, {"monotonic": {"x": -1}})
    )
    assert (np.diff(margins(free, x=line)) < 0).any()
    assert (np.diff(margins(held, x=line)) >= 0).all()
    assert (np.diff(margins(falls, x=line)) <= 0).all() and np.ptp(margins(falls, x=line)) > 0.5
    assert load(held.content, held.hash) == held and held.hash != free.hash


def test_features_of_different_groups_do_not_act_together():
    apart = trees(interactions=[["x"], ["z", "shop"]])
    step = lambda model, shop: np.diff(margins(model, x=np.array([-1.0, 1.0]), shop=shop))
    assert np.allclose(step(apart, "north"), step(apart, "south"), atol=1e-9)
    assert not np.allclose(step(trees(), "north"), step(trees(), "south"), atol=0.1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"monotonic": {"shop": 1}}, "'shop' is no number"),
        ({"monotonic": {"x": 2}}, "a direction is 1 or -1"),
        ({"interactions": [["x", "zz"]]}, "'zz' is no number or category"),
        ({"monotone": {"x": 1}}, "boosting takes no 'monotone'"),
    ],
)
def test_a_constraint_that_does_not_fit_is_named(args, words):
    with pytest.raises(ContinualError) as found:
        trees(**args)
    assert words in found.value.problem


def test_words_cannot_be_constrained():
    data = DATA.model_copy(update={"text": ("note",)})
    with pytest.raises(ContinualError) as found:
        trees(NEW.assign(note="late again"), data, monotonic={"x": 1})
    assert "beside columns of text" in found.value.problem
