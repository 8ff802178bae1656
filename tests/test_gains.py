"What retraining on everything gains: one window, all windows, and what the evidence promises."

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.doors import in_project
from continual_nb.core.gains import (
    EARLIER,
    WindowGain,
    added_up,
    choices_so_far,
    fresher_so_far,
    gains_so_far,
    log_evidence,
    window_gain,
)
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Evaluate, Params
from continual_nb.evaluation import evaluate as evaluation
from continual_nb.evaluation.gates import shown_over_time
from continual_nb.evaluation.paired import Comparison, Delta
from continual_nb.evaluation.result import Evaluation


def parts(*gains: float, se: float = 0.012, rows: int = 400, recipe: str = "a") -> list[WindowGain]:
    about = dict(recipe=recipe, against="m", rows=rows, se=se, constant=0.69)
    return [WindowGain(window=f"{k:03}", gain=g, **about) for k, g in enumerate(gains)]


def entries(made: list[WindowGain]) -> list[dict]:
    return [{"kind": "evaluation", "always": part.model_dump()} for part in made]


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_a_recipe_that_gains_nothing_is_seldom_called_better_however_long_one_looks(noise):
    draw = np.random.default_rng(5)
    means = draw.normal(0.0, noise / 20, (2000, 80))
    mean = means.cumsum(axis=1) / np.arange(1, 81)
    se = np.broadcast_to(noise / 20 / np.sqrt(np.arange(1, 81)), mean.shape)
    ever = (log_evidence(mean, se, np.full(mean.shape, 0.69)) >= math.log(20)).any(axis=1)
    assert ever.mean() <= 0.05


def test_the_evidence_is_one_on_average_where_nothing_is_gained():
    draw = np.random.default_rng(6)
    found = np.exp(
        log_evidence(draw.normal(0, 0.05, 200_000), np.full(200_000, 0.05), np.full(200_000, 0.69))
    )
    assert found.mean() == pytest.approx(1.0, abs=4 * found.std() / 200_000**0.5)


def test_windows_are_weighed_by_their_rows():
    two = [*parts(0.01, rows=100), *parts(0.04, rows=300)]
    found = added_up(two)
    assert found.gain == pytest.approx((0.01 * 100 + 0.04 * 300) / 400)
    assert found.se == pytest.approx((100**2 + 300**2) ** 0.5 * 0.012 / 400)
    assert added_up([]) is None


def test_a_change_of_model_or_recipe_begins_anew():
    lines = entries(parts(0.02, 0.03, 0.01))
    change = {"kind": "decision", "answer": "promoted"}
    stay = {"kind": "decision", "answer": "kept"}
    assert gains_so_far([*lines, stay]).rows == 1200
    assert gains_so_far([*lines, change]) is None
    assert gains_so_far([lines[0], change, *lines[1:]]).rows == 800
    assert gains_so_far([*lines, *entries(parts(0.01, recipe="b"))]).rows == 400
    assert gains_so_far(lines, "b") is None
    assert gains_so_far(lines, "a", now=parts(0.05)[0]).rows == 1600


def test_what_a_later_training_gains_is_about_the_recipe_and_outlives_champions():
    lines = [{"kind": "evaluation", "fresher": p.model_dump()} for p in parts(0.02, 0.03, 0.01)]
    change = {"kind": "decision", "answer": "promoted"}
    assert fresher_so_far([lines[0], change, *lines[1:], change]).rows == 1200
    assert fresher_so_far(lines, "b") is None
    assert fresher_so_far(lines, "a", now=parts(0.05)[0]).rows == 1600


def test_what_was_chosen_instead_of_a_recipe_is_judged_over_the_whole_record():
    lines, change = entries(parts(0.02, 0.03, 0.04)), {"kind": "decision", "answer": "promoted"}
    first = {**parts(0.3)[0].model_dump(), "against": "constant"}
    found = choices_so_far([{"kind": "evaluation", "always": first}, lines[0], change, *lines[1:]])
    assert found.rows == 1200 and found.holds and "what was in production" in found.sentence
    assert choices_so_far(lines, "b") is None
    assert choices_so_far(lines, unchosen={"m"}) is None, "the first model was no choice"
    turned = choices_so_far([*lines, *entries(parts(*[0.05] * 20, *[-0.01] * 12))])
    assert turned.proven and not turned.holds, "the newest windows no longer say so"


def test_beside_a_recipe_better_than_what_was_chosen_only_an_unheard_of_lead_stays():
    gains, won = added_up(parts(0.03, 0.04)), {}
    for key, gain in {"best": 0.2, "tested": 0.02}.items():
        about = dict(detectable=0.1, p_value=0.001, se=0.02, df=300.0)
        overall = Delta(name="all", rows=400, gain=gain, low=gain - 0.04, high=gain + 0.04, **about)
        won[key] = Comparison(against="a", challenger=key, recipe=key, overall=overall)
    recipes, worth = {"best": "refit_recent", "tested": "always"}, {"best": 0.2, "tested": 0.02}
    beside = lambda one: evaluation._beside(one, ["best", "tested"], recipes, worth, won)
    assert beside(evaluation.Tested("tested", gains)) == ["best", "tested"]
    lived = choices_so_far(entries(parts(*[0.03] * 6)))
    assert beside(evaluation.Tested("tested", gains, choices=lived)) == ["best", "tested"], (
        "a break"
    )
    apart = choices_so_far(entries(parts(0.12, -0.06, 0.15, -0.02, 0.1, 0.0)))
    assert apart.holds and apart.ordinary > 0.2
    assert beside(evaluation.Tested("tested", gains, choices=apart)) == ["tested"]
    few = choices_so_far(entries(parts(0.06, 0.07)))
    assert few.holds and beside(evaluation.Tested("tested", gains, choices=few)) == ["tested"]
    not_proven = choices_so_far(entries(parts(0.01)))
    assert beside(evaluation.Tested("tested", gains, choices=not_proven)) == ["best", "tested"]


def test_the_next_window_is_expected_to_be_like_the_newest():
    found = added_up(parts(*[0.05] * 10, *[0.01] * 12))
    assert found.gain > 0.02 and found.recent.gain == pytest.approx(0.01)
    assert len(found.recent.windows) == 12 and found.recent.se < 2 * found.se


def test_one_of_two_e_values_may_be_picked_at_half_its_size():
    found = added_up(parts(0.03, 0.03))
    assert found.shared.log_e == pytest.approx(found.log_e - math.log(2), abs=1e-4)


def test_a_window_without_spread_says_nothing():
    rows = pd.DataFrame(
        {"event_time": pd.date_range("2024-01-01", periods=30, freq="D", tz="UTC"), "window": "w"}
    )
    assert window_gain(rows, np.zeros(30), np.ones(30), "a", "m") is None
    made = window_gain(rows, np.linspace(-1, 2, 30), np.ones(30), "a", "m")
    assert made.gain == pytest.approx(0.5) and made.se > 0


def test_the_gate_asks_all_windows_and_the_newest_not_to_contradict():
    sure, newest = (
        added_up(parts(0.03, 0.03, 0.03, 0.03, 0.03)),
        lambda low, high: Delta(
            name="all",
            rows=200,
            gain=(low + high) / 2,
            low=low,
            high=high,
            detectable=0.1,
            p_value=0.5,
            se=0.01,
            df=20.0,
        ),
    )
    settings = Evaluate()
    assert shown_over_time(sure, newest(-0.02, 0.08), settings).verdict == "pass"
    assert shown_over_time(sure, newest(-0.08, -0.02), settings).verdict == "fail"
    assert shown_over_time(added_up(parts(0.01)), None, settings).verdict == "not enough data"
    assert shown_over_time(added_up(parts(-0.05)), None, settings).verdict == "fail"


def test_what_the_gate_asked_for_is_what_decides_whether_the_proof_is_in_sight():
    made = [part.model_copy(update={"least": 0.03}) for part in parts(0.03, 0.03, 0.03, 0.03)]
    assert added_up(parts(0.03, 0.03, 0.03, 0.03)).in_sight and not added_up(made).in_sight
    strict = [part.model_copy(update={"confidence": 0.999999}) for part in parts(0.03, 0.03)]
    assert added_up(strict).asked > added_up(parts(0.03)).asked and not added_up(strict).proven


# -- in the loop ---------------------------------------------------------------------------------------
OWN = """
from sklearn.linear_model import LogisticRegression


class Mine(LogisticRegression):
    "A class of one's own."
"""


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    "A first model of few rows, much to learn, cheap updates, and an estimator of one's own."
    place = tmp_path_factory.mktemp("own")
    (place / "extensions").mkdir()
    (place / "extensions/few.py").write_text(OWN)
    draw, names = np.random.default_rng(8), [f"x{k}" for k in range(30)]
    x = draw.normal(size=(2000, 30))
    y = draw.random(2000) < 1 / (1 + np.exp(-x @ draw.normal(size=30) / 2))
    times = pd.date_range("2024-01-01", periods=2000, freq="30min")
    frame = pd.DataFrame(x, columns=names).assign(y=y.astype(int), t=times)
    data = {"source": "-", "time": "t", "label": "y", "numeric": names, "label_delay": "1h"}
    form = {"project": "p", "data": data, "windows": {"every": "200rows"}}
    form |= {"train": {"models": ["extensions.few:Mine"]}, "evaluate": {"min_rows": 40}}
    form |= {"decide": {"costs": {"loss": 1.0, "update": 1, "review": 0}}}
    params = Params.model_validate(form)
    with in_project(place):
        return fold(params, delivered(frame, params.data))


def test_the_recipe_that_is_scored_in_every_window_goes_in_as_it_is_trained_today(turned):
    made = [
        (before.state, turn)
        for before, turn in pairwise(turned)
        if turn.outcome.answer == "promoted" and turn.evaluation.recipe == "always"
    ]
    assert made, [(t.outcome.answer, t.evaluation.recipe) for t in turned]
    for state, turn in made:
        tested, placed = turn.evaluation.candidate, turn.outcome.champion
        assert tested == state.card.always and placed == turn.training.always.hash != tested
        champion = turn.state.champion()
        assert champion.hash == placed and champion.twin == tested
        assert {tested, placed} <= set(turn.state.models)  # the twin goes on as a former champion


def test_evidence_is_of_rows_that_neither_model_has_learned_from(turned):
    for before, turn in pairwise(turned):
        now, card = turn.evaluation.window_gain, before.state.card
        if now is None:
            continue
        champion = before.state.champion()
        learned = max(card.always_card["trained_until"], champion.trained_until if champion else "")
        rows = turn.composition.always
        assert learned < rows.last and now.rows < rows.rows
        assert now.against == (card.champion or "constant") and card.champion != card.always


def test_a_champion_that_is_the_last_training_is_refreshed_where_its_recipe_is_proven(turned):
    made = [(before.state, turn) for before, turn in pairwise(turned) if turn.evaluation.refresh]
    assert made, [(t.outcome.answer, t.evaluation.recipe) for t in turned]
    for state, turn in made:
        assert turn.evaluation.candidate == state.card.champion == state.card.always
        assert turn.outcome.champion == turn.training.always.hash != state.card.champion
        assert turn.evaluation.fresher.proven and turn.evaluation.fresher.against == EARLIER
        pair = [c for c in turn.evaluation.comparisons if c.challenger == state.card.champion]
        assert [c.against for c in pair] == [state.card.earlier_card["hash"]]
        kept = [c.hash for c in turn.state.card.champions]
        assert len(kept) == len(set(kept)) and kept[-1] == turn.outcome.champion
        assert turn.state.champion().twin == state.card.champion


def test_what_a_later_training_gains_is_measured_on_rows_that_neither_has_seen(turned):
    seen = [turn.evaluation.fresher_now for turn in turned if turn.evaluation.fresher_now]
    assert seen and all(part.against == EARLIER for part in seen)
    for before, turn in pairwise(turned):
        if turn.evaluation.fresher_now:
            newest = pd.Timestamp(before.state.card.always_card["trained_until"])
            older = pd.Timestamp(before.state.card.earlier_card["trained_until"])
            assert older < newest < pd.Timestamp(turn.composition.always.last)


def test_windows_that_differ_beyond_chance_lie_apart():
    draw = np.random.default_rng(8)
    same = [
        WindowGain(window=f"{k}", recipe="r", against="a", rows=400, gain=g, se=0.02, constant=1.0)
        for k, g in enumerate(draw.normal(0.05, 0.02, 40))
    ]
    apart = [
        part.model_copy(update={"gain": part.gain + s})
        for part, s in zip(same, draw.normal(0, 0.1, 40))
    ]
    assert added_up(same).between < 0.02 and 0.07 < added_up(apart).between < 0.14
    assert added_up(same[:1]).between == 0


def test_a_page_gives_the_evidence_that_decided():
    gains = added_up(
        [
            WindowGain(
                window=f"{k}", recipe="r", against="a", rows=400, gain=0.03, se=0.005, constant=1.0
            )
            for k in range(3)
        ]
    )
    newest = Delta(
        name="all", rows=400, gain=0.01, low=-0.02, high=0.04, detectable=0.1, p_value=0.3
    )
    pair = Comparison(against="a", challenger="b", recipe="always", overall=newest)
    found = Evaluation(
        answer="promote",
        reason="",
        candidate="b",
        recipe="always",
        rows=400,
        comparisons=(pair,),
        gates={"b": ()},
        gains=gains,
    )
    assert (
        found.in_words.startswith("In the 3 windows since the last update")
        and "−" not in found.in_words
    )
    once = found.model_copy(update={"recipe": "refit_all"})
    assert "on 400 events" in once.in_words


@pytest.mark.parametrize("seed", [11, 21, 22, 23])
def test_after_a_break_the_newest_rows_win_though_all_of_history_beat_the_first_model(seed):
    draw, n = np.random.default_rng(seed), 8 * 700
    times = pd.date_range("2024-01-01", periods=n, freq=pd.Timedelta(weeks=8) / n)
    frame = pd.DataFrame({"when": times, "price": draw.normal(size=n)})
    effect = np.where(np.arange(n) < 4 * 700, 1.5, -1.5)
    frame["returned"] = (draw.random(n) < 1 / (1 + np.exp(-effect * frame["price"]))).astype(int)
    data = dict(source="x", time="when", label="returned", label_delay="12h", numeric=["price"])
    params = Params.model_validate(
        {
            "project": "orders",
            "data": data,
            "windows": {"every": "week"},
            "decide": {"costs": {"loss": 1.0, "update": 20, "review": 5}},
            "train": {"iterations": 30},
            "compose": {"recipes": {"all": ["all"], "recent": [{"last_windows": {"windows": 1}}]}},
        }
    )
    turns = fold(params, delivered(frame, params.data))
    assert turns[4].outcome.answer == "promoted" and turns[4].evaluation.recipe == "recent"
    assert max(turn.monitoring.performance.loss for turn in turns[5:]) < 0.69
