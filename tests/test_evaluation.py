"Evaluation: paired gains, gates that keep their error rates, and an answer for every state."

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.metrics import constant_answer
from continual_nb.core.models import Predictions, estimator, fit
from continual_nb.core.params import Data, Evaluate, Monitor, Train
from continual_nb.evaluation.paired import (
    Comparison,
    compare,
    delong,
    difference,
    mcnemar,
    paired_bootstrap,
    slice_masks,
)
from continual_nb.evaluation.evaluate import evaluate
from continual_nb.evaluation.result import Evaluation
from continual_nb.evaluation.gates import (
    better_than_base_rate,
    better_than_champion,
    enough_rows,
    no_group_harmed,
    passes,
)
from continual_nb.training.cards import Card, Training

DATA = Data(
    source="x", time="t", label="y", positive="1", numeric=("x",), categorical=("c",), slices=("c",)
)
NUMBERS = DATA.model_copy(update={"task": "regression"})


def world(n=600, seed=0, start="2024-03-01", end="2024-03-31", slope=1.5, flip=None):
    draw = np.random.default_rng(seed)
    time = pd.date_range(start, end, periods=n + 1, tz="UTC", unit="us")[:n]
    x, c = draw.normal(size=n), draw.choice(["a", "b"], n, p=[0.7, 0.3])
    hit = draw.random(n) < 1 / (1 + np.exp(-np.where(c == flip, -slope, slope) * x))
    return pd.DataFrame(
        {
            "event_id": [f"{start}{i:05d}" for i in range(n)],
            "event_time": time,
            "window": pd.Series(time.strftime("%Y-%m"), dtype="str"),
            "label": pd.Series(np.where(hit, "1", "0"), dtype="str"),
            "x": x,
            "c": pd.Series(c, dtype="str"),
        }
    )


def logistic(score):
    p = 1 / (1 + np.exp(-np.asarray(score)))
    return Predictions(np.where(p > 0.5, "1", "0"), np.stack([1 - p, p], 1), ("0", "1"))


def learned(rows, data=DATA):
    return fit(estimator(data, Train(iterations=20)), rows, data)


def card(recipe, rows, model, data=DATA):
    first, last = rows["event_time"].min().isoformat(), rows["event_time"].max().isoformat()
    return Card(
        hash=model.hash,
        recipe=recipe,
        rows=len(rows),
        trained_from=first,
        trained_until=last,
        windows=("2024-02",),
        classes=model.classes,
        constant=constant_answer(data, rows["label"]),
        model="boosting",
        size=len(model.content),
    )


def judged(rows, champion, sets, ghosts=(), data=DATA, skip=None, settings=None, drop=(), **more):
    models = {recipe: learned(part, data) for recipe, part in sets.items()}
    cards = tuple(
        card(recipe, sets[recipe], model, data)
        for recipe, model in models.items()
        if recipe not in drop
    )
    training = Training(
        answer="trained" if cards else "skipped", reason="No recipe gave one.", challengers=cards
    )
    return evaluate(
        data,
        settings or Evaluate(),
        Monitor(),
        rows=rows,
        iteration=4,
        as_of=pd.Timestamp("2024-04-01", tz="UTC"),
        champion=champion,
        ghosts={model.hash: model for model in ghosts},
        training=training,
        challengers={model.hash: model for model in models.values()},
        skip=skip,
        **more,
    )


@pytest.fixture(scope="module")
def scene():
    "The relation turned for one group in February; the champion learned in January."
    january = world(1200, 1, "2024-01-01", "2024-02-01")
    february = world(1200, 2, "2024-02-01", "2024-03-01", flip="a")
    return {
        "champion": learned(january),
        "january": january,
        "february": february,
        "held": world(1500, 3, flip="a"),
    }


# -- comparisons


def test_gain_is_the_mean_paired_difference_of_losses():
    rows = world(400)
    found = compare(DATA, rows, logistic(np.zeros(400)), logistic(rows["x"]))
    p = 1 / (1 + np.exp(-rows["x"]))
    loss = -np.log(np.where(rows["label"] == "1", p, 1 - p))
    assert found.overall.gain == pytest.approx(math.log(2) - loss.mean())
    weights = np.array([part.rows for part in found.slices]) / 400
    assert weights @ [part.gain for part in found.slices] == pytest.approx(found.overall.gain)
    assert [part.name for part in found.slices] == ["c=a", "c=b"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.6, 0.99))
def test_turning_a_comparison_round_changes_its_sign_alone(seed, confidence):
    rows, draw = world(60, seed), np.random.default_rng(seed)
    one, two = logistic(draw.normal(size=60)), logistic(draw.normal(size=60))
    found, back = (
        compare(DATA, rows, one, two, confidence),
        compare(DATA, rows, two, one, confidence),
    )
    assert back.overall.gain == pytest.approx(-found.overall.gain)
    assert (back.overall.low, back.overall.high) == pytest.approx(
        (-found.overall.high, -found.overall.low)
    )
    assert (back.negative_flips, back.positive_flips) == (
        found.positive_flips,
        found.negative_flips,
    )
    assert found.overall.p_value + back.overall.p_value == pytest.approx(1)
    assert (
        found.positive_flips - found.negative_flips
        == (two.answer == rows["label"]).sum() - (one.answer == rows["label"]).sum()
    )


def test_detectable_is_found_with_the_power_that_it_names():
    draw, day = np.random.default_rng(0), np.repeat(np.arange(30), 40)
    size = difference("all", draw.normal(size=1200), day, 0.95).detectable
    seen = np.mean(
        [difference("all", size + draw.normal(size=1200), day, 0.95).low > 0 for _ in range(600)]
    )
    assert 0.70 < seen < 0.90


def test_slices_cover_every_row_once_and_name_what_is_missing():
    rows = world(50).assign(c=pd.Series(["a", None, "b", "b", None] * 10, dtype="str"))
    masks = slice_masks(DATA, rows)
    assert {name: len(at) for name, at in masks.items()} == {"c=a": 10, "c=b": 20, "c missing": 20}
    assert sorted(np.concatenate(list(masks.values()))) == list(range(50))


def test_regression_has_no_flips():
    rows = world(100).assign(label=np.arange(100.0))
    one, two = (
        Predictions(np.arange(100.0) + 2, None, ()),
        Predictions(np.arange(100.0) + 1, None, ()),
    )
    found = compare(NUMBERS, rows, one, two)
    assert found.overall.gain == 1 and found.overall.se == 0 and found.negative_flips is None


# -- gates


def test_enough_rows():
    assert enough_rows(100, Evaluate()).verdict == "pass"
    assert enough_rows(99, Evaluate()).verdict == "not enough data"


def test_three_answers_against_the_champion():
    draw, day = np.random.default_rng(1), np.repeat(np.arange(20), 50)
    noise = draw.normal(size=1000) * 0.2
    verdict = lambda gain, scale=1.0, **form: (
        better_than_champion(
            difference("all", gain + noise * scale, day, 0.95), Evaluate(**form), matters=0.05
        ).verdict
    )
    assert [verdict(0.1), verdict(-0.1), verdict(0.0, 20)] == ["pass", "fail", "not enough data"]
    assert verdict(0.1, min_gain=0.09) == "not enough data" and verdict(0.1, min_gain=0.2) == "fail"
    assert (
        verdict(-float(noise.mean()) - 0.001) == "fail"
    )  # sharp enough to see 0.05, and nothing was there
    assert (
        better_than_champion(difference("all", np.zeros(1), day[:1], 0.95), Evaluate(), 0.1).verdict
        == "not enough data"
    )


def test_the_floor():
    rows = world(500)
    verdict = lambda said, rows=rows: (
        better_than_base_rate(DATA, rows, said, constant_answer(DATA, rows["label"]), 0.95).verdict
    )
    assert verdict(logistic(rows["x"])) == "pass"
    assert verdict(logistic(-3 * rows["x"])) == "fail"
    assert verdict(logistic(0.1 * np.random.default_rng(1).normal(size=500))) == "not enough data"
    assert verdict(logistic(0 * rows["x"])) == "fail"
    about = (DATA, rows, logistic(0 * rows["x"]), constant_answer(DATA, rows["label"]), 0.95)
    assert "the same for all 500 events" in better_than_base_rate(*about).reason
    in_place = better_than_base_rate(*about, needed=False)  # better than a bad champion, perhaps
    assert in_place.verdict == "not enough data" and not in_place.needed
    one = rows.assign(label=pd.Series(["1"] * 500, dtype="str"))
    assert verdict(logistic(rows["x"]), one) == "not enough data"


def _null(draw, n, day, spread):
    "Scores of a truth, and of models that are equally far from it."
    truth = draw.normal(size=n) + 0.5 * draw.normal(size=day.max() + 1)[day]
    label = pd.Series(np.where(draw.random(n) < 1 / (1 + np.exp(-truth)), "1", "0"), dtype="str")
    wobble = lambda: spread * draw.normal(size=n) + spread * draw.normal(size=day.max() + 1)[day]
    return label, [logistic(truth + wobble()) for _ in range(3)]


def test_challengers_that_are_no_better_are_promoted_no_more_often_than_stated():
    draw, n, trials, false = np.random.default_rng(5), 600, 500, 0
    rows = world(n)
    day = ((rows["event_time"] - rows["event_time"].iloc[0]).dt.days).to_numpy()
    confidence = 1 - 0.05 / 2  # two challengers share it
    for _ in range(trials):
        label, (champion, *others) = _null(draw, n, day, 0.5)
        seen = rows.assign(label=label, c="a")
        parts = [compare(DATA, seen, champion, other, confidence).overall for other in others]
        false += any(
            better_than_champion(part, Evaluate(), 0.01).verdict == "pass" for part in parts
        )
    assert false / trials <= 0.05


def test_harm_at_the_tolerance_blocks_no_more_often_than_stated():
    draw, trials, blocked, day = np.random.default_rng(6), 1000, 0, np.repeat(np.arange(20), 10)
    for _ in range(trials):
        parts = tuple(
            difference(
                f"c={i}",
                -0.02 + 0.2 * draw.normal(size=200) + 0.05 * draw.normal(size=20)[day],
                day,
                0.95,
            )
            for i in range(5)
        )
        found = Comparison(against="a", challenger="b", recipe="r", overall=parts[0], slices=parts)
        blocked += no_group_harmed(found, Evaluate()).verdict == "fail"
    assert blocked / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_harm_is_proven_named_or_open():
    draw = np.random.default_rng(7)
    part = lambda name, gain, n: difference(
        name, gain + 0.3 * draw.normal(size=n), np.arange(n) % 25, 0.95
    )
    overall = part("all", 0.1, 3000)
    gate = lambda *slices, **form: no_group_harmed(
        Comparison(against="a", challenger="b", recipe="r", overall=overall, slices=slices),
        Evaluate(**form),
    )
    harmed = gate(part("c=good", 0.1, 2000), part("c=bad", -0.2, 900))
    assert harmed.verdict == "fail" and "c=bad" in harmed.reason and "c=good" not in harmed.reason
    tiny = gate(part("c=good", 0.1, 2000), part("c=tiny", -0.5, 40))
    assert tiny.verdict == "pass" and "c=tiny" in tiny.reason and passes((tiny,))
    blind = gate(part("c=tiny", -0.5, 40))
    assert blind.verdict == "not enough data" and passes((blind,))
    assert gate().verdict == "pass"
    assert gate(part("c=bad", -0.2, 900), slice_tolerance=0.4).verdict == "pass"


# -- evaluations


def test_the_better_challenger_is_the_candidate(scene):
    sets = {"stale": scene["january"].head(600), "refit_recent": scene["february"]}
    found = judged(
        scene["held"], scene["champion"], sets, ghosts=[learned(scene["february"].head(300))]
    )
    assert (found.answer, found.recipe, found.window, found.rows) == (
        "promote",
        "refit_recent",
        "2024-03",
        1500,
    )
    assert [len(gates) for gates in found.gates.values()] == [4, 4]
    assert not passes(found.gates[found.comparisons[0].challenger])
    assert found.lag_days == pytest.approx(31, abs=0.1)
    assert found.ghosts[0].against == scene["champion"].hash and found.ghosts[0].overall.gain > 0
    assert len(found.scores) == 4 and {score.part for score in found.scores} == {"evaluation"}
    assert set(found.profiles) == set(found.gates) == set(found.recipes)
    assert all(profile.rows == 1500 for profile in found.profiles.values())


def test_challengers_share_the_confidence(scene):
    sets = {"refit_recent": scene["february"], "stale": scene["january"].head(600)}
    both = judged(scene["held"], scene["champion"], sets).comparisons[0].overall
    alone = (
        judged(scene["held"], scene["champion"], {"refit_recent": sets["refit_recent"]})
        .comparisons[0]
        .overall
    )
    assert both.gain == alone.gain and both.low < alone.low and both.high > alone.high


def test_the_champion_again_is_not_better(scene):
    found = judged(world(800, 12), scene["champion"], {"same": scene["january"]})
    assert (
        found.answer == "keep"
        and found.candidate is None
        and "answers like the champion" in found.reason
    )
    assert len(found.scores) == 1 and found.comparisons[0].overall.gain == 0


def test_a_first_champion_has_to_beat_the_base_rate_alone(scene):
    found = judged(
        scene["held"], None, {"refit_recent": scene["february"], "refit_all": scene["january"]}
    )
    assert (found.answer, found.recipe) == ("promote", "refit_recent")
    assert all(len(gates) == 2 for gates in found.gates.values()) and found.comparisons == ()
    noise = scene["february"].assign(x=0.0, c="a")
    assert judged(scene["held"], None, {"noise": noise}).answer in ("keep", "not enough data")


def test_few_rows_and_no_rows(scene):
    sets = {"refit_recent": scene["february"]}
    few = judged(scene["held"].head(50), scene["champion"], sets)
    assert few.answer == "not enough data" and few.candidate is None
    for rows in (
        scene["held"].head(0),
        scene["held"].assign(label=pd.Series([None] * 1500, dtype="str")),
    ):
        none = judged(rows, scene["champion"], sets)
        assert (none.answer, none.rows, none.window, none.scores) == (
            "not enough data",
            0,
            None,
            (),
        )
    one = judged(scene["held"].head(1), scene["champion"], sets)
    assert one.answer == "not enough data" and one.section().lead


def test_one_class_is_not_enough(scene):
    rows = scene["held"][scene["held"]["label"] == "1"]
    found = judged(rows, scene["champion"], {"refit_recent": scene["february"]})
    assert found.candidate is None
    assert next(iter(found.gates.values()))[1].verdict == "not enough data"


def test_a_correction_goes_in_unless_a_new_training_is_proven_better(scene):
    "What is corrected here learned from little of February, so it is better than the champion, and behind a whole training."
    few = {"recalibrate": scene["february"].head(250)}
    judge = partial(judged, scene["held"], scene["champion"], few)
    judge = partial(judge, settings=Evaluate(slice_tolerance=0.5))
    free = judge()
    assert free.candidate is not None and free.recipe == "recalibrate"
    behind = judge(yardsticks={"always": learned(scene["february"])})
    assert behind.candidate is None and "A new training is better" in behind.reason
    same = judge(yardsticks={"always": scene["champion"]})
    assert same.candidate == free.candidate


def test_champion_and_former_ones_are_scored_when_there_is_nothing_to_decide(scene):
    ghost = learned(scene["january"].head(500))
    skipped = judged(
        scene["held"], scene["champion"], {"x": scene["february"]}, [ghost], skip="Nothing to do."
    )
    assert (skipped.answer, skipped.reason, skipped.gates, skipped.lag_days) == (
        "skipped",
        "Nothing to do.",
        {},
        None,
    )
    assert [score.model for score in skipped.scores] == [scene["champion"].hash, ghost.hash]
    assert len(skipped.ghosts) == 1
    failed = judged(scene["held"], scene["champion"], {"x": scene["february"]}, drop=("x",))
    assert (failed.answer, failed.reason, len(failed.scores)) == (
        "skipped",
        "No recipe gave one.",
        1,
    )


def test_a_former_champion_that_cannot_predict_is_named(scene):
    wide = DATA.model_copy(update={"numeric": ("x", "gone")})
    ghost = learned(scene["january"].assign(gone=1.0), wide)
    found = judged(scene["held"], scene["champion"], {"refit_recent": scene["february"]}, [ghost])
    assert found.answer == "promote" and found.ghosts == () and "'gone'" in found.unchecked[0]


@pytest.mark.parametrize("kind", ["regression", "three classes"])
def test_other_tasks(kind):
    rows, old = world(900, 8), world(900, 9, "2024-01-01", "2024-02-01")
    draw = np.random.default_rng(0)
    if kind == "regression":
        data, make = (
            NUMBERS,
            lambda part, way: part.assign(label=way * part["x"] + 0.3 * draw.normal(size=900)),
        )
    else:
        data = DATA.model_copy(update={"positive": None})
        name = lambda part, way: np.array(["p", "q", "r"])[
            np.digitize(way * part["x"], [-0.5, 0.5])
        ]
        make = lambda part, way: part.assign(label=pd.Series(name(part, way), dtype="str"))
    found = judged(make(rows, 1), learned(make(old, -1), data), {"refit": make(old, 1)}, data=data)
    assert found.answer == "promote"
    assert next(iter(found.profiles.values())).kind == (
        "numeric" if kind == "regression" else "categorical"
    )
    assert found.section().pictures


def test_the_file_reads_back_and_equal_input_gives_equal_bytes(scene, tmp_path):
    sets = {"refit_recent": scene["february"]}
    found = judged(scene["held"], scene["champion"], sets)
    found.write(tmp_path)
    assert Evaluation.read(tmp_path) == found
    again = judged(scene["held"], scene["champion"], sets)
    assert again.to_json() == found.to_json() and "NaN" not in found.to_json()
    assert found.section().pictures[0].png == again.section().pictures[0].png
    assert "refit_recent" in found.section().pictures[0].alt


def test_names_from_data_are_shown_as_text(scene):
    sets = {"refit_recent": scene["february"]}
    swap = lambda part: part.assign(
        c=part["c"].str.replace("a", r"<b>$\frac{1}{0}$ _^", regex=False)
    )
    found = judged(
        swap(scene["held"]), scene["champion"], {key: swap(part) for key, part in sets.items()}
    )
    section = found.section()
    assert section.pictures and not any("<b>" in table.to_html() for table in section.tables)


def test_mcnemar_gives_the_known_values():
    from scipy.stats import binomtest

    assert (round(mcnemar(5, 15).exact, 4), round(mcnemar(15, 5).mid_p, 4)) == (0.0414, 0.0266)
    for lost, won in ((0, 0), (0, 1), (4, 4), (3, 9), (40, 25)):
        exact = binomtest(lost, lost + won).pvalue if lost + won else 1.0
        found = mcnemar(lost, won)
        assert found.exact == pytest.approx(exact)
        assert found.mid_p <= found.exact


def by_pairs(hit, score):
    "Placements by definition: every positive against every negative."
    over = (score[hit][:, None] > score[~hit]) + 0.5 * (score[hit][:, None] == score[~hit])
    return over.mean(axis=1), over.mean(axis=0)


@pytest.mark.parametrize("digits", [1, 6], ids=["with ties", "without ties"])
def test_delong_is_what_every_pair_of_events_says(digits):
    draw = np.random.default_rng(digits)
    hit = draw.random(250) < 0.3
    old = np.round(hit + draw.normal(0, 2, 250), digits)
    new = np.round(hit + draw.normal(0, 1, 250), digits)
    up, down = (b - a for a, b in zip(by_pairs(hit, old), by_pairs(hit, new)))
    found = delong(hit, old, new)
    assert found.gain == pytest.approx(up.mean())
    assert found.se == pytest.approx(
        np.sqrt(up.var(ddof=1) / len(up) + down.var(ddof=1) / len(down))
    )
    assert delong(hit, old, old).low == delong(hit, old, old).high == 0
    assert delong(np.arange(250) == 3, old, new) is None


def test_areas_of_days_that_move_together_keep_their_error_rate():
    draw = np.random.default_rng(4)
    day = np.repeat(np.arange(30), 20)
    wrong = {"days": 0, "rows": 0}
    for _ in range(300):
        hit = draw.random(600) < 0.4
        sway = draw.normal(size=(2, 30))[:, day] * (2 * hit - 1)  # a day on which one model is good
        old, new = hit + sway + draw.normal(size=(2, 600))
        wrong["days"] += delong(hit, old, new, day).p_value < 0.05
        wrong["rows"] += delong(hit, old, new).p_value < 0.05
    assert wrong["days"] <= 27 < 45 < wrong["rows"]  # 5 % of 300 are 15, give or take 4


def test_the_paired_bootstrap_agrees_with_the_formula_of_a_mean():
    draw = np.random.default_rng(5)
    day = np.repeat(np.arange(60), 50)
    gains = draw.normal(0.1, 1, 3000) + draw.normal(size=60)[day]
    formula = difference("all", gains, day, 0.9)
    found = paired_bootstrap(gains[:, None], lambda m: m[..., 0], day, 0.9)
    assert found.se == pytest.approx(formula.se, rel=0.1)
    assert (found.low, found.high) == pytest.approx((formula.low, formula.high), abs=0.05)
    alone = paired_bootstrap(gains[:, None], lambda m: m[..., 0], None, 0.9)
    assert alone.se == pytest.approx(gains.std() / np.sqrt(3000), rel=0.1)  # more rows than groups


def test_named_metrics_stand_beside_the_loss():
    rows = world(900)
    same = compare(DATA, rows, logistic(rows["x"]), logistic(rows["x"]))
    assert {m.name: (m.gain, m.low, m.high) for m in same.metrics} == dict.fromkeys(
        ("accuracy", "auc", "brier"), (0, 0, 0)
    )
    assert same.flips_p == 1
    worse = compare(DATA, rows, logistic(1.5 * rows["x"]), logistic(-rows["x"]))
    assert all(m.high < 0 for m in worse.metrics) and worse.flips_p < 0.001
    label = rows["x"] + np.random.default_rng(0).normal(size=len(rows))
    numbers = rows.assign(label=label)
    said = lambda slope: Predictions((slope * rows["x"]).to_numpy(), None, ())
    (rmse,) = compare(NUMBERS, numbers, said(0.0), said(1.0)).metrics
    root = lambda slope: np.sqrt(((label - slope * rows["x"]) ** 2).mean())
    assert rmse.name == "rmse" and rmse.gain == pytest.approx(root(0.0) - root(1.0))
    assert 0 < rmse.low < rmse.gain < rmse.high


def test_a_far_better_challenger_is_not_refused_because_a_constant_is_better_still():
    rows = world(900, seed=1)
    champion = learned(world(900, seed=2, slope=-3.0))
    found = judged(rows, champion, {"refit_all": world(900, seed=3, slope=-0.6)})
    (gates,) = found.gates.values()
    floor = next(gate for gate in gates if gate.name == "better than a constant answer")
    assert floor.verdict == "fail" and floor.advises
    assert found.answer == "promote" and "Stopping predictions" in found.section().lead
    first = judged(rows, None, {"refit_all": world(900, seed=3, slope=-0.6)})
    assert first.answer == "keep" and not first.stop  # nothing worse is in place: it is refused
    useful = judged(rows, champion, {"refit_all": world(900, seed=4)})
    assert useful.answer == "promote" and not useful.stop
