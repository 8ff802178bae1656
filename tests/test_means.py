"The cheaper means of improving: correct the champion's answers, or renew the reference; and questions that wait for a person."

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.calibration import (
    HALVES,
    RECALIBRATE,
    Correctable,
    correctable,
    recalibrated,
    root_of,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered
from continual_nb.core.ledger import append
from continual_nb.core.metrics import losses, measure
from continual_nb.core.models import Model, estimator, fit, load, predict
from continual_nb.core.params import (
    Compose,
    Costs,
    Data,
    Decide,
    Mandate,
    Params,
    Promote,
    Train,
    Windows,
)
from continual_nb.core.state import Card, Champion, Rival, State
from continual_nb.decisions.recommend import automatic, recommend
from continual_nb.evaluation.result import Evaluation
from continual_nb.monitoring.diagnosis.incidents import Incident
from continual_nb.monitoring.result import Monitoring
from continual_nb.policy.decide import decide
from continual_nb.policy.result import Proposal

DATA = {
    "two": Data(source="-", time="t", label="y", numeric=("x",), categorical=("o",)),
    "three": Data(source="-", time="t", label="y", numeric=("x",), categorical=("o",)),
    "number": Data(
        source="-", time="t", label="y", numeric=("x",), categorical=("o",), task="regression"
    ),
}


def rows(kind: str, n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    x, when = (
        draw.normal(size=n),
        pd.Series(pd.date_range("2024-01-01", periods=n, freq="20min", tz="UTC").as_unit("us")),
    )
    noisy = 1.5 * x + shift + draw.logistic(size=n)
    label = (
        noisy
        if kind == "number"
        else np.where(noisy > 0, "1", "0")
        if kind == "two"
        else np.where(noisy > 1, "2", np.where(noisy > -1, "1", "0"))
    )
    label = pd.Series(label) if kind == "number" else pd.Series(label).astype("str")
    return pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "event_time": when,
            "x": x,
            "o": pd.Series(draw.choice(["a", "b"], n)).astype("str"),
            "label": label,
        }
    )


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("model", ["linear", "boosting"])
def test_a_corrected_model_mends_a_shift_and_is_the_same_bytes_every_time(kind, model):
    data = DATA[kind]
    champion = fit(estimator(data, Train(models=[model], iterations=20)), rows(kind, 1500, 1), data)
    learn, check = rows(kind, 400, 2, 2.0), rows(kind, 1500, 3, 2.0)
    made = recalibrated(champion, learn, data)
    loss = lambda one: measure(data, check, predict(one, check, data)).loss
    assert loss(made) < 0.9 * loss(champion)
    assert (
        made.hash == recalibrated(champion, learn, data).hash
        and load(made.content, made.hash).classes == champion.classes
    )
    twice = recalibrated(load(made.content, made.hash), check, data)
    assert (
        type(root_of(twice)) is type(champion.pipeline)
        and len(twice.content) < 1.05 * len(made.content) + 2000
    )
    assert correctable(data, check, predict(champion, check, data)).low > 0


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("shift", [-8.0, 2.0])
def test_half_a_step_keeps_half_of_the_gain_and_half_of_the_harm(kind, shift):
    data = DATA[kind]
    champion = fit(estimator(data, Train(models=["linear"])), rows(kind, 1500, 1), data)
    made, later = recalibrated(champion, rows(kind, 300, 2, 2.0), data), rows(kind, 1000, 3, shift)
    whole = Model.of(made.pipeline.members[HALVES[1]])
    asked = [predict(one, later, data) for one in (champion, whole, made)]
    before, whole, half = (losses(data, later["label"], said) for said in asked)
    assert (half <= (before + whole) / 2 + 1e-9).all()
    assert shift > 0 or (whole - before).mean() > 0.2, "a correction that does harm"
    if data.task == "classification":
        assert (half - before).max() <= np.log(2) + 1e-9


@pytest.mark.parametrize("kind", DATA)
def test_what_need_not_be_corrected_is_rarely_called_correctable(kind):
    data = DATA[kind]
    champion = fit(estimator(data, Train(models=["linear"])), rows(kind, 6000, 1), data)
    found = [
        correctable(data, part, predict(champion, part, data))
        for part in (rows(kind, 500, seed) for seed in range(10, 60))
    ]
    assert sum(one.low > 0 for one in found) <= 4  # 2.5 % each, less what cross-fitting costs


def test_too_few_labels_or_one_class_are_named():
    data, champion = (
        DATA["two"],
        fit(estimator(DATA["two"], Train(models=["linear"])), rows("two", 500, 1), DATA["two"]),
    )
    with pytest.raises(ContinualError, match="too few"):
        recalibrated(champion, rows("two", 5, 2), data)
    with pytest.raises(ContinualError, match="one class"):
        recalibrated(champion, rows("two", 300, 2).assign(label="1"), data)
    one = rows("two", 300, 2).assign(label="1")
    assert correctable(data, one, predict(champion, one, data)) is None


# -- in the loop -------------------------------------------------------------------------------------


def orders(
    shares: float = 0.0,
    covariates: float = 0.0,
    seed: int = 11,
    n: int = 600,
    weeks: int = 10,
    **levers,
):
    "Ten weeks of orders; from the sixth on the share of returns, or the prices, are others."
    draw, week = np.random.default_rng(seed), np.arange(weeks * n) // n
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=weeks * n, freq=pd.Timedelta(weeks=1) / n),
            "price": draw.normal(size=weeks * n) + np.where(week >= 5, covariates, 0),
        }
    )
    frame["returned"] = (
        draw.random(weeks * n)
        < 1 / (1 + np.exp(1 - 1.5 * frame.price - np.where(week >= 5, shares, 0)))
    ).astype(int)
    levers = {"costs": Costs(loss=1.0, update=300, review=5, recalibrate=3), **levers}
    params = Params(
        project="orders",
        data=Data(
            source="orders", time="when", label="returned", label_delay="12h", numeric=("price",)
        ),
        windows=Windows(every="week"),
        decide=Decide(**levers),
        train=Train(models=["linear"]),
        compose=Compose(recipes={"recent": [{"last_windows": {"windows": 1}}]}),
        promote=Promote(mandate=Mandate()),
    )
    return params, delivered(frame, params.data)


def test_a_change_of_shares_is_answered_by_a_correction_that_trains_nothing():
    params, source = orders(shares=1.8)
    turns = fold(params, source)
    done = [t for t in turns if t.proposal.means == RECALIBRATE]
    assert [t.moment.window.name for t in done] == ["2024-W06", "2024-W09"]
    assert [t.outcome.answer for t in done] == ["promoted", "promoted"]
    corrected = [t.state.model(t.state.card.champion, params.train) for t in done]
    assert [m.pipeline.weights[HALVES[0]] for m in corrected] == [0.5, 0.25]
    assert root_of(corrected[1]).get_params().keys() == root_of(corrected[0]).get_params().keys()
    card, before = done[0].training.challengers[0], turns[4].state.champion()
    assert (
        len(done[0].training.challengers) == 1
        and card.trained_from > before.trained_until
        and card.trained_until < done[0].evaluation.evaluated_from
    )
    assert (
        "answers were corrected" in done[0].training.reason
        and "answers corrected on" in done[0].outcome.verdict
    )
    assert (
        turns[-1].monitoring.excess < 0.05 and turns[-1].looking_back(params).impact.money_low > 0
    )
    never = fold(
        params.model_copy(
            update={"decide": params.decide.model_copy(update={"recalibrate": None})}
        ),
        source,
        until="2024-W06",
    )
    assert never[-1].proposal.means != RECALIBRATE


def test_drift_that_does_no_harm_gets_a_new_reference_and_the_same_model():
    params, source = orders(covariates=1.2, refresh_after=2)
    turns = fold(params, source)
    at = next(k for k, t in enumerate(turns) if t.proposal.means == "refresh reference")
    turn, before = turns[at], turns[at - 1]
    assert (
        turn.outcome.answer == "refreshed"
        and not turn.training.challengers
        and turn.composition.answer == "reference only"
    )
    assert (
        turn.state.card.champion == before.state.card.champion
        and turn.state.reference["iteration"] == at + 1 != before.state.reference["iteration"]
    )
    assert turn.state.prediction != before.state.prediction
    assert any(i.kind == "features" for i in turn.monitoring.incidents)
    left = params.model_copy(update={"promote": Promote(mandate=Mandate(refresh=False))})
    deferred = fold(left, source, until=turn.moment.window.name)[-1]
    assert (
        deferred.outcome.answer == "deferred"
        and deferred.state.reference["iteration"] == before.state.reference["iteration"]
    )


# -- what the policy asks ----------------------------------------------------------------------------

QUIET = Monitoring(
    answer="watched",
    window="w9",
    as_of="2024-01-01T00:00:00+00:00",
    rows=1000,
    labelled=1000,
    mature=1000,
    findings=(),
    columns=(),
    min_effect=0.1,
    performance=None,
    accepted=None,
    excess=None,
    excess_low=None,
    excess_high=None,
    slices=(),
    restated=(),
    scores=(),
    incidents=(),
    unchecked=(),
)
FORM = Decide(costs=Costs(loss=1.0, update=100, review=10, recalibrate=5))


def state(*entries, rivals=()) -> State:
    accepted = measure(
        DATA["two"],
        held := rows("two", 300, 1),
        predict(
            fit(estimator(DATA["two"], Train(models=["linear"])), held, DATA["two"]),
            held,
            DATA["two"],
        ),
    )
    card = lambda key: Champion(
        hash=key * 64,
        recipe="all",
        iteration=1,
        window="w1",
        rows=300,
        trained_from="2024-01-01",
        trained_until="2024-01-02",
        accepted=accepted,
    )
    ledger = ()
    for entry in entries:
        ledger = append(ledger, **entry)
    return State(
        Card(iteration=8, champion="a" * 64, champions=(card("b"), card("a")), rivals=rivals),
        ledger=ledger,
        reference={"iteration": 1},
    )


def test_a_rollback_that_waits_for_a_person_does_not_stop_the_loop():
    better = (Rival(hash="b" * 64, window="w8", rows=500, gain=0.1, low=0.05, high=0.15),)
    owed = {
        "kind": "evaluation",
        "iteration": 7,
        "window": "w7",
        "fresh": [0.5, 0.01],
        "owed": 500.0,
    }
    asked = {
        "kind": "decision",
        "iteration": 8,
        "answer": "deferred",
        "recommended": "rollback",
        "champion": "a" * 64,
    }
    first, then = (
        decide(FORM, QUIET, state(owed, rivals=better)),
        decide(FORM, QUIET, state(owed, asked, rivals=better)),
    )
    assert (first.action, then.action, then.means) == ("rollback", "improve", "retrain")
    assert any("proposed in iteration 8 and not done" in rule.because for rule in then.rules)
    quiet = decide(FORM, QUIET, state(asked, rivals=better))
    assert quiet.action == "rollback"  # nothing else pays, so the person is asked again
    done = {
        "kind": "decision",
        "iteration": 8,
        "answer": "rolled back",
        "recommended": "rollback",
        "champion": "a" * 64,
    }
    assert decide(FORM, QUIET, state(owed, done, rivals=better)).action == "rollback"


OFF = QUIET.model_copy(
    update={
        "excess": 0.2,
        "excess_low": 0.1,
        "excess_high": 0.3,
        "correctable": Correctable(gain=0.17, low=0.1, high=0.2),
    }
)


@pytest.mark.parametrize(
    "gain, low, levers, means",
    [
        (0.17, 0.1, {}, "recalibrate"),  # most of the loss
        (0.12, 0.1, {}, "none"),  # most of it, but what remains would be worth an update
        (0.05, 0.02, {}, "none"),  # proven, but most of the loss would remain
        (0.17, -0.01, {}, "none"),  # not proven
        (0.17, 0.1, {"recalibrate": None}, "none"),
        (
            0.17,
            0.1,
            {"costs": Costs(loss=0.01, update=100, review=10)},
            "none",
        ),  # costs more than it saves
    ],
)
def test_a_correction_is_proposed_where_it_is_proven_enough_and_pays(gain, low, levers, means):
    seen = OFF.model_copy(update={"correctable": Correctable(gain=gain, low=low, high=0.2)})
    proposal = decide(FORM.model_copy(update=levers), seen, state())
    assert proposal.means == means and (means == "none" or proposal.cost == FORM.costs.correction)


def test_a_correction_that_failed_is_followed_by_a_training():
    tried = {"kind": "proposal", "iteration": 8, "action": "improve", "means": RECALIBRATE}
    owed = {
        "kind": "evaluation",
        "iteration": 7,
        "window": "w7",
        "fresh": [0.5, 0.01],
        "owed": 500.0,
    }
    assert (
        decide(FORM, OFF, state(owed)).means == RECALIBRATE
        and decide(FORM, OFF, state(owed, tried)).means == "retrain"
    )


def test_the_reference_grows_old_by_drift_that_could_not_have_paid_an_update():
    drifted = Incident(kind="features", severity="note", title="-", columns=("x",), sentence="-")
    fine = {"kind": "seen", "alerts": [drifted.to_dict()], "excess_high": 0.01, "events": 1000}
    now = QUIET.model_copy(
        update={"incidents": (drifted,), "excess": 0.0, "excess_low": -0.01, "excess_high": 0.01}
    )
    past = lambda *changes: [
        {**fine, "iteration": k, **change} for k, change in enumerate(changes, start=6)
    ]
    assert decide(FORM, now, state(*past({}, {}, {}))).means == "refresh reference"
    assert (
        decide(FORM, now, state(*past({}, {}, {"excess_high": 0.5}))).means == "none"
    )  # it may have cost an update
    assert (
        decide(FORM, now, state(*past({}, {}, {"alerts": []}))).means == "none"
    )  # no drift: the run begins anew
    left = {
        "kind": "decision",
        "iteration": 8,
        "answer": "deferred",
        "recommended": "refresh",
        "champion": "a" * 64,
    }
    assert (
        decide(FORM, now, state(*past({}, {}, {}), left)).means == "none"
    )  # asked again only after as many windows more


def test_a_new_reference_needs_labels_and_a_mandate():
    asked = Proposal(
        action="improve", policy="improve", means="refresh reference", cause="-", rules=()
    )
    none = recommend(asked, Evaluation(answer="skipped", reason="-"), "a" * 64)
    assert none.do == "keep" and "not enough labels" in none.sentence
    assert (
        automatic(
            none.model_copy(update={"do": "refresh"}), Mandate(refresh=False), "a" * 64, {}, ""
        ).verdict
        == "defer"
    )


def test_the_pipeline_corrects_and_refreshes_as_it_is_steered(copy, opened):
    loop = copy(opened)
    loop.continual(
        "steer",
        "improve",
        "--means",
        RECALIBRATE,
        "--by",
        "Ada",
        "--reason",
        "the shares have moved",
    )
    loop.dvc("repro")
    training, champion = (
        loop.json("data/work/train/training.json"),
        loop.json("data/state/in/state.json")["champions"][-1],
    )
    assert [card["recipe"] for card in training["challengers"]] == [RECALIBRATE] and training[
        "challengers"
    ][0]["trained_from"] > champion["trained_until"]
    assert "answers were corrected" in loop.path("data/work/report/report.html").read_text()
    assert loop.json("data/work/promote/impact.json")["first"] == champion["hash"]
    loop.continual(
        "steer",
        "improve",
        "--means",
        "refresh reference",
        "--by",
        "Ada",
        "--reason",
        "the new prices are here to stay",
    )
    loop.dvc("repro")
    loop.continual("sign", "approve", "--by", "Ada", "--reason", "seen")
    loop.dvc("repro")
    assert loop.json("data/work/promote/outcome.json")["answer"] == "refreshed"
    assert (
        loop.json("data/state/out/reference.json")["iteration"] == 2
        and loop.json("data/state/out/state.json")["champion"] == champion["hash"]
    )
    loop.continual("seal")
    assert "measure drift from now on" in loop.path("reports/002-2024-02/report.html").read_text()
    assert (
        loop.continual(
            "steer", "inspect", "--means", RECALIBRATE, "--by", "Ada", "--reason", "-", code=1
        ).code
        == 1
    )
