"""Recipes are steps: each sampler, what a step may return, weights that reach training, a reason for every row."""

import numpy as np
import pandas as pd
import pytest
from stations import extensions_in

from continual_nb.composition.compose import compose
from continual_nb.composition.recipes import take_steps
from continual_nb.composition.samplers import Context, density_ratio, effective_size
from continual_nb.core.doors import BUILT_IN, OutOfTime, in_project
from continual_nb.core.earlier import read_params
from continual_nb.core.files import ContinualError
from continual_nb.core.models import PriorCorrected, estimator, fit, load, predict
from continual_nb.core.params import (
    SAMPLERS,
    Compose,
    Data,
    Monitor,
    Params,
    Step,
    Train,
    parse,
    render,
)
from continual_nb.training.train import train

DATA = Data(
    source="-", time="t", label="y", positive="1", numeric=("a", "b"), categorical=("site",)
)


def stream(n: int = 1200, seed: int = 0) -> pd.DataFrame:
    "Rows of a year and a half, of which fifteen in a hundred are positive; `a` rises."
    rng = np.random.default_rng(seed)
    when = pd.Series(pd.date_range("2020-01-01", periods=n, freq="11h", tz="UTC").as_unit("us"))
    frame = pd.DataFrame(
        {
            "event_id": pd.array([f"e{k}" for k in range(n)], dtype="str"),
            "event_time": when,
            "window": when.dt.strftime("%Y-%m"),
            "a": rng.normal(size=n) + np.arange(n) / n * 2,
            "b": rng.normal(size=n),
            "site": rng.choice(["n", "s", "w"], n, p=[0.6, 0.3, 0.1]),
            "label_time": when + pd.Timedelta(days=1),
        }
    )
    frame["label"] = np.where(rng.random(n) < 0.05 + 0.2 * (frame["b"] > 0), "1", "0")
    return frame


def composed(recipes, rows=None):
    rows = stream() if rows is None else rows
    now = rows["event_time"].iloc[-1]
    mature = now - pd.Timedelta(days=2)
    made = Compose(recipes=recipes)
    return compose(DATA, made, Monitor(), rows, mature, now, 4, training=True)


def steps(*recipe):
    return tuple(map(Step.model_validate, recipe))


def context(rows):
    return Context(DATA, rows["event_time"].iloc[-1], rows.tail(100), ("2020-02",))


def test_the_default_recipes_take_what_windows_and_max_rows_took():
    rows = stream()
    able = rows["event_id"].to_numpy()
    taken = take_steps(steps("all", {"cap": {"rows": 200}}), rows, context(rows)).rows
    newest = (rows["window"] == rows["window"].iloc[-1]).to_numpy()
    history = able[~newest]
    hashed = pd.util.hash_array(history.astype(object))
    sampled = history[np.argsort(hashed, kind="stable")[: 200 - newest.sum()]]
    assert set(taken["event_id"]) == {*able[newest], *sampled}
    assert set(taken["reason"]) == {"all: new", "cap: history, sampled"}
    assert taken["event_time"].is_monotonic_increasing


def test_earlier_params_are_read_as_steps_with_a_hint():
    old = {"data": {"source": "x", "time": "t", "label": "y", "numeric": ["a"]}}
    old["compose"] = {
        "recipes": {"every": {"windows": None}, "recent": {"windows": 2, "max_rows": 99}},
        "recalibrate": {"windows": 4},
    }
    params = parse(old)
    assert params.compose.recipes["recent"] == steps(
        {"last_windows": {"windows": 2}}, {"cap": {"rows": 99}}
    )
    assert params.compose.recalibrate[0].arguments == {"windows": 4}
    assert "lists of steps" in read_params(old)[1][0]
    assert read_params({"compose": {"recipes": {"a": ["all"]}}})[1] == ()


def test_rendered_params_come_back(tmp_path):
    chain = ["last_windows", {"balance": {"by": "site"}}, {"season": {"period": "7d"}}]
    params = Params(data=DATA, compose=Compose(recipes={"mine": chain}))
    (tmp_path / "params.yaml").write_text(render(params))
    assert Params.load(tmp_path / "params.yaml") == params


@pytest.mark.parametrize(
    "recipes, problem",
    [
        ({"a": ["last_window"]}, "did you mean 'last_windows'"),
        ({"a": [{"cap": {"row": 3}}]}, "cap takes no 'row'"),
        ({"a": [{"decay": {"half_life": -1}}]}, "greater than 0"),
        ({"a": []}, "has no step"),
        ({"a": {"window": 3}}, "is no list of steps"),
        ({"a": [{"all": None, "cap": None}]}, "a step is one sampler"),
    ],
)
def test_a_wrong_recipe_is_named_when_params_are_read(recipes, problem):
    with pytest.raises(ContinualError, match=problem):
        parse({"data": DATA.model_dump(), "compose": {"recipes": recipes}})


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"smote"}))
def test_every_sampler_keeps_the_rules_and_answers_the_same_again(name):
    rows = stream().assign(sample_weight=1.0, reason="")
    settings = Step.model_validate(name if name != "quota" else {name: {"rows": 50}}).arguments
    first, again = (BUILT_IN["sampler"][name](rows, context(rows), **settings) for _ in range(2))
    assert first.equals(again)
    assert set(first["event_id"]) <= set(rows["event_id"]) and first["event_id"].is_unique
    weights = first["sample_weight"]
    assert np.isfinite(weights).all() and (weights > 0).all()


def test_draws_are_stable_when_rows_are_added_and_differ_by_seed():
    rows = stream()
    few = steps({"replay": {"windows": 1, "rows": 100}})
    before = take_steps(few, rows.iloc[:1000], context(rows)).rows
    after = take_steps(few, rows, context(rows)).rows
    drawn = lambda made: set(made["event_id"][(made["reason"] == "replay: reservoir").to_numpy()])
    assert len(drawn(before) & drawn(after)) > 70  # a new row takes the place of one now and then
    other = take_steps(few, rows, Context(DATA, context(rows).target, rows, ("2020-02",), seed=8))
    assert len(drawn(after) & drawn(other.rows)) < 40
    assert (after["reason"] == "replay: reference").sum() == (rows["window"] == "2020-02").sum()


def test_season_takes_the_same_months_of_earlier_years():
    rows = stream(2400)
    taken = take_steps(steps({"season": {"windows": 1, "width": "30d"}}), rows, context(rows)).rows
    seasonal = taken[(taken["reason"] == "season: same season").to_numpy()]
    behind = (rows["event_time"].iloc[-1] - seasonal["event_time"]).dt.days % 365
    assert len(seasonal) > 100 and ((behind <= 31) | (behind >= 334)).all()


def test_importance_weights_recover_a_known_density_ratio():
    rng = np.random.default_rng(1)
    frame = lambda shift, n: pd.DataFrame(
        {"a": rng.normal(shift, 1, n), "b": rng.normal(size=n), "site": "n"}
    )
    before, now = frame(0, 4000), frame(0.7, 4000)
    ratio = density_ratio(DATA, before, now)
    true = np.exp(0.7 * before["a"] - 0.7**2 / 2)
    assert np.corrcoef(np.log(ratio), np.log(true))[0, 1] > 0.85
    assert abs(np.average(before["a"], weights=ratio) - 0.7) < 0.1
    rows = stream()
    capped = take_steps(steps({"importance": {"cap": 3, "effective": 0.5}}), rows, context(rows))
    weights = capped.rows["sample_weight"].to_numpy()
    assert effective_size(weights) >= 0.5 * len(rows) and weights.max() <= 3.5


def test_groups_are_balanced_capped_and_drawn_to_a_quota():
    rows = stream()
    take = lambda step: take_steps(steps(step), rows, context(rows)).rows
    even = take({"balance": {"by": "site"}}).groupby("site")["sample_weight"].sum()
    assert even.max() / even.min() < 1.001
    tight = take({"balance": {"by": "site", "cap": 1.2}}).groupby("site")["sample_weight"].mean()
    assert tight.max() / tight.min() <= 1.2**2 + 1e-9
    sizes = take({"group_cap": {"by": "site", "rows": 200}})["site"].value_counts()
    assert sizes["n"] == sizes["s"] == 200 and sizes["w"] == (rows["site"] == "w").sum()
    assert set(take({"quota": {"by": "site", "rows": 60}})["site"].value_counts()) == {60}
    assert "label_share" not in take({"balance": {"by": "site"}})


@pytest.mark.parametrize("step", ["undersample", "oversample", {"balance": {"by": "label"}}])
@pytest.mark.parametrize("model", ["linear", "boosting"])
def test_a_step_that_changes_the_labels_share_is_corrected(step, model):
    rows = stream(4000)
    taken = take_steps(steps(step), rows, context(rows))
    assert taken.steps[0].shares["1"] == pytest.approx((rows["label"] == "1").mean())
    made = fit(estimator(DATA, Train(models=[model], iterations=25)), taken.rows, DATA)
    assert isinstance(made.pipeline, PriorCorrected)
    again = load(made.content, made.hash, ())
    said = predict(again, rows, DATA).score(DATA)
    high = (rows["b"] > 0).to_numpy()
    assert said[high].mean() == pytest.approx((rows["label"] == "1")[high].mean(), abs=0.03)
    assert said[~high].mean() == pytest.approx((rows["label"] == "1")[~high].mean(), abs=0.03)


def test_weights_reach_training():
    rows = stream(2000).assign(label=lambda d: np.where((d["b"] > 0) ^ (d.index < 1000), "1", "0"))
    plain, late = composed(
        {"even": ["all"], "late": ["all", {"decay": {"half_life": 0.5}}]}, rows
    ).sets.values()
    _, models = train(DATA, Train(iterations=30), {"even": plain, "late": late})
    lost = [
        (predict(model, rows.tail(300), DATA).answer != rows["label"].tail(300)).mean()
        for model in models.values()
    ]
    assert lost[1] < 0.05 < 0.2 < lost[0]


def test_a_weighted_copy_is_no_second_recipe_and_equal_weights_are():
    made = composed({"a": ["all"], "b": ["all", "cap"], "c": ["all", "decay"]})
    training, models = train(DATA, Train(iterations=5), made.sets)
    assert training.failed == {"b": "Same rows as a."} and len(models) == 2


def test_near_duplicates_keep_the_newest_and_every_label():
    rows = stream(300)
    copy = rows.iloc[:40].assign(
        event_id=[f"copy{k}" for k in range(40)],
        event_time=rows["event_time"].iloc[-1] + pd.Timedelta(hours=1),
        a=lambda d: d["a"] * (1 + 1e-9),
    )
    other = copy.iloc[:5].assign(event_id=[f"other{k}" for k in range(5)])
    other["label"] = np.where(other["label"] == "1", "0", "1")
    both = pd.concat([rows, copy, other], ignore_index=True)
    taken = take_steps(steps({"near_duplicates": {"digits": 6}}), both, context(both))
    assert set(taken.refused["event_id"]) == {f"e{k}" for k in range(40)}
    assert set(taken.refused["reason"]) == {"not by near_duplicates"}


def test_smote_makes_rows_up_and_says_so():
    pytest.importorskip("imblearn")
    rows = stream(600)
    taken = take_steps(steps("smote"), rows, context(rows)).rows
    counts = taken["label"].value_counts()
    assert counts["0"] == counts["1"] and (taken["reason"] == "smote: made up").sum() > 300
    assert "label_share" in taken


OWN = """
import numpy as np
import pandas as pd


def newest(rows, context, share=0.5, by=""):
    "The newest share of the rows."
    return rows.tail(int(share * len(rows)))


class Rare:
    "Rows above a value of one column count twice."

    def __init__(self, above):
        self.above = above

    def choose(self, rows, context):
        high = (rows["a"] > self.above).to_numpy()
        return rows.assign(sample_weight=np.where(high, 2.0, 1.0), reason="counted")


def lie(rows, context):
    return rows.assign(label="1", a=0.0, reason="all mine").iloc[::-1]


def bad(rows, context, how):
    while how == "loop":
        pass
    if how == "in place":
        rows["reason"] = context.now["b"].iloc[0]
        context.now["b"] = 0.0
    return {
        "not given": lambda: rows.assign(event_id=["x", *rows["event_id"][1:]]),
        "twice": lambda: pd.concat([rows, rows.head(1)]),
        "negative": lambda: rows.assign(sample_weight=-1.0),
        "infinite": lambda: rows.assign(sample_weight=np.inf),
        "words": lambda: rows.assign(sample_weight="much"),
        "zero": lambda: rows.assign(sample_weight=0.0),
        "empty": lambda: rows.iloc[:0],
        "no frame": lambda: None,
        "no reason": lambda: rows.drop(columns="reason"),
        "random": lambda: rows.sample(frac=0.5),
        "broken": lambda: rows["nothing"],
        "in place": lambda: rows,
    }[how]()
"""
BAD = {
    "not given": "1 rows that it was not given, as 'x'",
    "twice": "returned a row twice",
    "negative": "negative",
    "infinite": "infinite",
    "words": "ValueError",
    "zero": "all zero",
    "empty": "left none",
    "no frame": "no column 'event_id'",
    "no reason": "no column 'reason'",
    "random": "otherwise when asked again",
    "in place": "otherwise when asked again",
    "broken": r"KeyError: 'nothing' .extensions/mine.py, line",
}


@pytest.fixture
def own(tmp_path):
    "A project with samplers of its own, which holds while the test lasts."
    with extensions_in(tmp_path, mine=OWN) as folder:
        yield folder


def test_an_own_sampler_is_a_step_like_any_other(own):
    recipe = steps("all", {"extensions.mine:Rare": {"above": 1}}, {"extensions.mine:newest": {}})
    taken = take_steps(recipe, stream(), context(stream()))
    assert [card.rows for card in taken.steps] == [1200, 1200, 600]
    assert set(taken.refused["reason"]) == {"not by newest"}
    high = (taken.rows["a"] > 1).to_numpy()
    assert (taken.rows["sample_weight"] == np.where(high, 2, 1)).all()
    assert set(taken.rows["reason"]) == {"Rare: counted"} and "label_share" not in taken.rows
    told = steps({"extensions.mine:newest": {"by": "label"}})
    assert "label_share" in take_steps(told, stream(), context(stream())).rows


@pytest.mark.parametrize("how", BAD)
def test_a_sampler_that_breaks_the_rules_is_named(own, how):
    step = {"extensions.mine:bad": {"how": how}}
    with pytest.raises(ContinualError, match=BAD[how]):
        take_steps(steps(step), stream(200), context(stream(200)))


def test_a_sampler_cannot_change_a_row(own):
    rows = stream(200)
    taken = take_steps(steps("extensions.mine:lie"), rows, context(rows)).rows
    assert taken["label"].equals(rows["label"]) and taken["a"].equals(rows["a"])
    assert set(taken["reason"]) == {"lie: all mine"}


@pytest.mark.parametrize(
    "step, problem",
    [
        ("extensions.mine:newst", "did you mean 'newest'"),
        ("extensions.mind:newest", "did you mean 'extensions.mine'"),
        ({"extensions.mine:newest": {"shar": 1}}, "did you mean 'share'"),
        ("extensions.mine:Rare", "does not fit"),
        ({"extensions.mine:bad": {"how": "random"}}, "otherwise when asked again"),
    ],
)
def test_an_own_sampler_that_fails_is_named_and_the_iteration_has_an_answer(own, step, problem):
    made = composed({"all": ["all"], "mine": [step]})
    assert list(made.sets) == ["all"] and problem in made.composition.failed["mine"]
    none = composed({"mine": [step]}).composition
    assert none.answer == "not enough data" and problem in none.reason


def test_a_sampler_that_never_comes_back_is_no_answer(own):
    with in_project(time_limit=0.3), pytest.raises(OutOfTime, match="had not answered"):
        composed({"all": ["all"], "mine": [{"extensions.mine:bad": {"how": "loop"}}]})


def test_a_recipe_that_fails_is_named_and_the_others_go_on():
    made = composed({"all": ["all"], "much": [{"quota": {"by": "site", "rows": 10**6}}]})
    assert (
        list(made.sets) == ["all"] and "1,000,000 are asked for" in made.composition.failed["much"]
    )
    assert "1,000,000 are asked for" in str(made.composition.section())
    none = composed({"sites": [{"balance": {"by": "sites"}}]})
    assert none.composition.answer == "not enough data"
    assert "did you mean 'site'" in none.composition.reason


def test_every_row_has_a_reason_or_the_step_that_refused_it():
    made = composed({"recent": ["last_windows", {"cap": {"rows": 100}}], "all": ["all"]})
    rows, told = stream(), made.reasons.set_index("event_id")
    assert len(told) == len(rows) and (told[["recent", "all"]] != "").all().all()
    for name, part in made.sets.items():
        assert set(told.index[told[f"{name} weight"] > 0]) == set(part["event_id"])
    assert told.loc["e0", "recent"] == "not by last_windows"
    assert (told["recent"] == "not by cap").any() and (
        told["recent"] == "cap: history, sampled"
    ).any()
    assert (told["all"] == "kept for evaluation").sum() == len(made.evaluation)
    out = made.composition.left_out
    used = set().union(*(part["event_id"] for part in made.sets.values()))
    assert sum(out.values()) == len(rows) - len(used | set(made.evaluation["event_id"]))
