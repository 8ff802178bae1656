"""Prices in the user's words, what they rest on, and what the loop is worth against answers that anybody could give."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.composition.result import Composed
from continual_nb.core.costs import (
    read_answers,
    with_values,
    guessed,
    money,
    priced,
    rests_on,
    stream,
    symbol,
    with_prices,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Compose, Costs, Data, Decide, parse, render
from continual_nb.evaluation.evaluate import run_evaluation
from continual_nb.loop.init import FLIGHTS
from continual_nb.policy.decide import at_prices, decide
from loop import Loop
from test_means import QUIET, orders
from test_means import state as served

TIMES = pd.Series(pd.date_range("2025-01-01", periods=7305, freq="h", tz="UTC"))  # ten months
LATE = Data(source="x", time="t", label="late", positive="1", numeric=("a",))


def two(share, a_window=730):
    rng = np.random.default_rng(1)
    return stream(
        pd.Series(np.where(rng.random(len(TIMES)) < share, "1", "0")), TIMES, LATE, a_window
    )


def numbers():
    form = LATE.model_copy(update={"task": "regression", "positive": None})
    return stream(pd.Series(np.random.default_rng(2).normal(0, 3, len(TIMES))), TIMES, form, 730)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_model_that_knows_nothing_loses_what_the_cheapest_constant_decision_costs(share):
    found = two(share)
    said = read_answers({"miss": 40, "false_alarm": 5, "hour": 60}, found)
    blind = min(40 * found.share, 5 * (1 - found.share))
    assert priced(said, found).loss * found.constant == pytest.approx(blind, rel=0.01)
    more = said.model_copy(update={"events_a_month": 10 * found.a_month})
    assert priced(more, found).loss == pytest.approx(10 * priced(said, found).loss, rel=0.01)


def test_numbers_are_priced_by_the_mean_of_both_sides_and_classes_by_one_price():
    assert (
        priced(read_answers({"miss": 3, "false_alarm": 1, "hour": 60}, numbers()), numbers()).loss
        == 2
    )
    many = stream(pd.Series(list("abcde") * 1461), TIMES, LATE, 730)
    cost = priced(read_answers({"miss": 10, "hour": 60}, many), many)
    assert cost.loss * np.log(5) == pytest.approx(10 * 0.8, rel=0.01)
    with pytest.raises(ContinualError, match="more than two classes"):
        read_answers({"miss": 10, "false_alarm": 1, "hour": 60}, many)


@pytest.mark.parametrize(
    "given, named",
    [
        ({"miss": 40, "hour": 60}, "--false-alarm is missing"),
        ({"miss": -4, "false_alarm": 5, "hour": 60}, "--miss -4"),
        ({"miss": 4, "false_alarm": 0, "hour": 60}, "--false-alarm 0"),
        ({"miss": 4, "false_alarm": 5, "hour": float("nan")}, "--hour nan"),
        ({"miss": 4, "false_alarm": 5, "hour": 6, "events_a_month": 0}, "--events-a-month 0"),
        ({"miss": 4, "false_alarm": 5, "hour": 6, "currency": "12"}, "--currency 12"),
    ],
)
def test_an_answer_that_no_price_follows_from_is_named(given, named):
    with pytest.raises(ContinualError, match=named):
        read_answers(given, two(0.3))


def test_a_label_with_one_value_gives_no_price_and_still_a_guess():
    same = stream(pd.Series(["0"] * len(TIMES)), TIMES, LATE, 730)
    with pytest.raises(ContinualError, match="one value"):
        priced(read_answers({"miss": 4, "hour": 6}, same), same)
    assert guessed(same).update > 0


def test_currencies_with_and_without_a_symbol():
    assert [symbol(w) for w in ("eur", "CHF", "R$", "", None)] == ["€", "CHF", "R$", None, None]
    assert (money(-1234, "€"), money(5, "CHF"), money(0.25)) == ("−€1,234", "CHF 5", "0.25")
    with pytest.raises(ContinualError, match="is no currency"):
        parse({**FLIGHTS.model_dump(), "decide": {"costs": {"currency": "4"}}})


def test_guesses_grow_with_the_data_so_that_size_decides_nothing():
    small, large = (guessed(two(0.3, rows)) for rows in (400, 400_000))
    for name in ("update", "review", "recalibrate", "label"):
        assert getattr(large, name) == pytest.approx(1000 * getattr(small, name), rel=0.05)
    assert small.basis == "guessed" and "assumptions" in rests_on(small)[0]
    assert rests_on(Costs()) == () and "nothing ever pays" in rests_on(Costs(loss=0))[0]
    rare = guessed(two(0.02))
    assert (
        rare.update < guessed(two(0.5)).update / 4
    )  # there is less to lose where nearly all are alike


def test_params_keep_their_comments_and_order():
    text = render(FLIGHTS).replace(
        "    update: 150 ", "    update: 150  # ours\n    # a line of ours\n    # "
    )
    text = render(FLIGHTS)
    new = with_prices(text, Costs(loss=3, update=60, currency="€"))
    old_lines, new_lines = text.splitlines(), new.splitlines()
    assert (
        len(old_lines) == len(new_lines) and sum(a != b for a, b in zip(old_lines, new_lines)) == 3
    )
    assert [a.partition("#")[2] for a in old_lines] == [b.partition("#")[2] for b in new_lines]
    assert with_values(text, {"decide.costs.loss": 0.2}) == text
    for odd in (
        "decide: {horizon: 2}\n",
        "decide:\n  costs: {loss: 1}  # c\n",
        "# only\nproject: x\n",
        "decide:\n  costs:\n",
    ):
        from ruamel.yaml import YAML

        made = YAML(typ="safe").load(with_prices(odd, Costs(loss=3)))
        assert made["decide"]["costs"] == Costs(loss=3).model_dump()


def watched(**found):
    return QUIET.model_copy(update={"answer": "watched", "rows": 1000, **found})


def test_a_decision_that_hangs_on_the_prices_says_so():
    loss = {"excess": 0.1, "excess_low": 0.08, "excess_high": 0.12}
    owed = {
        "kind": "evaluation",
        "iteration": 7,
        "window": "w7",
        "fresh": [0.5, 0.01],
        "owed": 500.0,
    }
    state = served(owed)
    form = Decide(
        horizon=3,
        recalibrate=None,
        labels=0,
        costs={"loss": 1, "update": 100, "review": 0, "basis": "guessed"},
    )
    for update, means in ((20, ("retrain", "retrain")), (1500, ("none", "none"))):
        priced_so = form.model_copy(
            update={"costs": form.costs.model_copy(update={"update": update})}
        )
        proposal = decide(priced_so, watched(**loss), state)
        assert tuple(p.means for p in proposal.at_prices) == means and proposal.means == means[0]
        assert "would be the same" in proposal.section().lead
    near = form.model_copy(update={"costs": form.costs.model_copy(update={"update": 400})})
    proposal = decide(near, watched(**loss), state)
    assert len({p.means for p in at_prices(near, watched(**loss), state)}) == 2
    assert "It depends on the cost of work" in proposal.section().lead
    assert any("assumptions" in line for line in proposal.section().unchecked)


def test_costs_are_asked_by_options_and_the_file_stays_whole(tmp_path):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"when": TIMES[:900], "x": rng.normal(size=900), "y": rng.integers(0, 2, 900)}
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    words = "init project --data rows.csv --time when --label y --miss 9 --false-alarm 3 --hour 50"
    shop = Loop(tmp_path)
    made = shop.run("continual", *words.split(), "--currency", "usd", where=tmp_path)
    before = shop.path("params.yaml").read_text()
    assert "$" in made.out and "basis: stated" in before and 'currency: "$"' in before
    said = ("costs", "--miss", "90", "--false-alarm", "30", "--hour", "50")
    shown = shop.continual(*said, "--dry-run")
    assert "+    loss:" in shown.out and shop.path("params.yaml").read_text() == before
    shop.continual(*said)
    assert shop.path("params.yaml").read_text() != before
    assert "--hour is missing" in shop.continual(*said[:5], code=1).all


# -- what the loop is worth beside what costs no thought -----------------------------------------------


@pytest.fixture(scope="module")
def lived():
    "Seven weeks of orders with a change after the fifth, folded."
    params, source = orders(shares=1.8, n=300, weeks=8, costs=Costs(loss=1.0, update=3, review=1))
    return params, source, fold(params, source)


def test_the_yardsticks_of_an_iteration_were_made_before_it(lived):
    _, _, turns = lived
    for before, turn in zip(turns, turns[1:]):
        found = {y.recipe: y for y in turn.evaluation.yardsticks}
        assert set(found) == {"always", "constant"}
        assert found["always"].challenger == before.training.always.hash == before.state.card.always
        assert found["always"].challenger in before.state.models
        champions = {c.hash for c in turn.state.card.champions}
        card = turn.state.card  # the last two are kept, no older one
        assert set(turn.state.models) == champions | {card.always, card.earlier_card["hash"]}
        assert card.earlier_card["hash"] == before.state.card.always
        assert before.training.always.trained_until < turn.evaluation.evaluated_from


def test_worth_against_never_adds_up_from_updates_and_covers_every_window(lived):
    params, _, turns = lived
    found = turns[-1].looking_back(params).impact
    worth = {w.name: w for w in found.worth}
    assert found.updates and set(worth) == {"never", "always", "constant"}
    assert worth["never"].money == pytest.approx(sum(u.money for u in found.updates))
    for one in worth.values():
        assert one.money == pytest.approx(sum(part for _, part, _ in one.by_window))
        assert one.windows == len(one.by_window) and one.money_low <= one.money <= one.money_high
    assert worth["always"].theirs == worth["always"].windows * 3 and worth["never"].theirs == 0
    assert worth["constant"].money_low > 0  # the price tells something
    assert "retraining on everything" in found.in_words
    assert found.section().tables[0].columns[2] == "loss saved"


def test_a_yardstick_that_is_the_champion_is_worth_exactly_nothing(lived):
    params, source, turns = lived
    turn, state = turns[3], turns[2].state
    itself = replace(state, card=state.card.model_copy(update={"always": state.card.champion}))
    composed = Composed(turn.composition, evaluation=evaluation_rows(turn, source))
    found, _ = run_evaluation(params, turn.moment, itself, composed, turn.training, {})
    (always,) = [y.overall for y in found.yardsticks if y.recipe == "always"]
    assert always.gain == 0 and always.se == 0


def evaluation_rows(turn, source):
    "Labelled rows of the window that the turn evaluated."
    frame = source.frame.rename(columns={"feature price": "price"})
    rows = frame[frame["label"].notna()].assign(
        window=turn.evaluation.window, price=lambda f: f["price"].astype(float)
    )
    return rows.iloc[300:450].reset_index(drop=True)


def test_switched_off_it_is_not_trained_and_nothing_is_decided_otherwise(lived):
    params, source, turns = lived
    off = params.compose.model_copy(update={"always": None})
    without = fold(
        params.model_copy(update={"compose": off}), source, until=turns[4].moment.window.name
    )
    for a, b in zip(turns, without):
        assert a.outcome.champion == b.outcome.champion and a.proposal.means == b.proposal.means
        assert b.training.always is None and b.state.card.always is None


def test_a_model_that_a_constant_beats_is_told_first():
    from continual_nb.evaluation.paired import Comparison, Delta
    from continual_nb.evaluation.result import Evaluation

    gain = lambda low: Delta(
        name="all", rows=500, gain=0.1, low=low, high=0.2, detectable=None, p_value=None
    )
    told = lambda low: Evaluation(
        answer="keep",
        reason="-",
        window="w1",
        yardsticks=(
            Comparison(against="a", challenger="constant", recipe="constant", overall=gain(low)),
        ),
    )
    assert "worse than a constant answer" in told(0.05).beaten_by_constant
    assert told(-0.01).beaten_by_constant == ""


def test_the_table_of_worth_is_that_of_the_recorded_runs():
    root = Path(__file__).parents[1]
    asked = [sys.executable, "benchmarks/worth.py", "--markdown", "benchmarks/worth.jsonl"]
    made = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout
    assert made.count("\n") > 8 and made in (root / "nbs/worth.md").read_text()
