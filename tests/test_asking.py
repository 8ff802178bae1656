"Asking people for labels as a means of its own: worth its price, asked of the right events, answered, and folded alike."

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.backtest.exact import fold
from continual_nb.loop.labels import answers
from continual_nb.loop.project import Project
from continual_nb.core.ingest import delivered
from continual_nb.core.ledger import append
from continual_nb.core.metrics import Metrics
from continual_nb.core.params import Costs, Decide, Params
from continual_nb.core.sources import load
from continual_nb.core.state import Card, Champion, State
from continual_nb.core.windows import Cadence
from continual_nb.monitoring.result import Monitoring
from continual_nb.policy.decide import decide, labels_worth_asking

FORM = Decide(costs=Costs(loss=0.2, update=150, review=40, label=0.1), labels=500, horizon=3)
ACCEPTED = Metrics(
    rows=900, loss=0.5, loss_low=0.49, loss_high=0.51, baseline_loss=0.6, skill=0.17, values={}
)
CHAMPION = Champion(
    hash="a" * 64,
    recipe="all",
    iteration=1,
    window="w1",
    rows=900,
    trained_from="2024-01-01",
    trained_until="2024-01-02",
    accepted=ACCEPTED,
)


def doubtful(excess=0.03, half=0.2, **other) -> Monitoring:
    "A window of 90,000 events with 100 labels, after which the loss may be anything."
    known = dict(
        answer="watched",
        window="w9",
        as_of="2024-03-01T00:00:00+00:00",
        rows=90_000,
        labelled=100,
        mature=100,
        findings=(),
        columns=(),
        min_effect=0.1,
        performance=None,
        accepted=None,
        excess=excess,
        excess_low=excess - half,
        excess_high=excess + half,
        slices=(),
        restated=(),
        scores=(),
        incidents=(),
        unchecked=(),
        askable=8_000,
        spread=0.9,
    )
    return Monitoring(**{**known, **other})


def state(*entries) -> State:
    ledger = ()
    for entry in entries:
        ledger = append(ledger, **entry)
    return State(Card(iteration=8, champion=CHAMPION.hash, champions=(CHAMPION,)), ledger=ledger)


def test_the_worth_of_labels_is_what_a_simulation_finds():
    "Draw what the labels asked for and the next window will say; decide on all that is known then, with and without those labels."
    count, worth = labels_worth_asking(FORM, doubtful())
    draw, many, n, mean = np.random.default_rng(3), 400_000, 100, 0.03
    variance, within, scale, cost = (0.2 / 1.96) ** 2, 0.9**2 / n, 90_000 * 2 * 0.2, 190
    told = draw.normal(
        0, np.sqrt(within * count / (n + count)), many
    )  # by how much the labels move this window's mean
    rest = (
        variance - within * count / (n + count)
    )  # what they leave open: the other events, what all events of a day share, the accepted quality
    truth = mean + told + draw.normal(0, np.sqrt(rest), many)
    following = truth + draw.normal(0, np.sqrt(variance), many)

    def gained(now, doubt):
        best = (now / doubt + following / variance) / (1 / doubt + 1 / variance)
        return np.where(best * scale > cost, truth * scale - cost, 0.0)

    difference = gained(mean + told, rest) - gained(mean, variance)
    assert abs(difference.mean() - worth) < 4 * difference.std() / np.sqrt(many) and worth > 10


@settings(max_examples=60, deadline=None)
@given(
    excess=st.floats(-0.3, 0.3),
    half=st.floats(0.001, 0.5),
    spread=st.floats(0.01, 3),
    mature=st.integers(1, 50_000),
    askable=st.integers(0, 5_000),
    price=st.floats(0, 5),
)
def test_labels_are_worth_something_never_less_than_nothing_and_only_what_is_there_is_asked(
    excess, half, spread, mature, askable, price
):
    form = FORM.model_copy(update={"costs": FORM.costs.model_copy(update={"label": price})})
    found = labels_worth_asking(
        form, doubtful(excess, half, spread=spread, mature=mature, askable=askable)
    )
    assert (found is None) == (askable == 0)
    if found:
        count, worth = found
        assert 1 <= count <= min(askable, form.labels) and worth >= -1e-6
        dearer = labels_worth_asking(
            form.model_copy(update={"costs": form.costs.model_copy(update={"label": price + 1})}),
            doubtful(excess, half, spread=spread, mature=mature, askable=askable),
        )
        assert dearer[1] <= worth + 1e-6 or dearer[0] == min(askable, form.labels)


@pytest.mark.parametrize(
    "seen, levers, means",
    [
        (doubtful(), {}, "label more"),
        (doubtful(), {"labels": 0}, "none"),  # people are not asked
        (doubtful(askable=0), {}, "none"),  # every label that should have come is there
        (
            doubtful(),
            {"costs": Costs(loss=0.2, update=150, review=40, label=5)},
            "none",
        ),  # labels cost more than they tell
        (doubtful(half=0.001), {}, "none"),  # nothing is in doubt
        (
            doubtful().model_copy(update={"excess": None, "excess_low": None, "excess_high": None}),
            {},
            "none",
        ),  # nothing is known
    ],
)
def test_labels_are_asked_for_where_they_are_worth_their_price(seen, levers, means):
    proposal = decide(FORM.model_copy(update=levers), seen, state())
    assert proposal.means == means
    if means == "label more":
        assert (
            proposal.action == "improve"
            and 1 <= proposal.labels <= 500
            and proposal.cost == pytest.approx(proposal.labels * 0.1)
        )
        assert "more labels of this window would improve the decision" in proposal.cause


def test_people_are_not_asked_again_before_their_answers_can_have_told():
    asked = {"kind": "proposal", "iteration": 8, "action": "improve", "means": "label more"}
    assert decide(FORM, doubtful(), state(asked)).means == "none"
    assert decide(FORM, doubtful(), state({**asked, "iteration": 6})).means == "label more"
    assert decide(FORM, doubtful(), State()).means == "first model"


def test_the_pipeline_asks_takes_the_answers_and_the_fold_does_the_same(copy, approved):
    loop = copy(approved)
    frame = pd.read_parquet(loop.source)
    truth = frame.set_index("id")["bad"]
    frame.loc[frame.index[frame["id"].str.startswith("e2")][::7], ["bad", "known"]] = (
        None  # labels that never come by themselves
    )
    loop.deliver(frame)
    loop.continual("labels")
    path = loop.path("data/labels/001-2024-01.csv")
    asked = pd.read_csv(path, dtype="str", keep_default_na=False)
    asked["label"] = asked["event_id"].map(truth).astype(int).astype("str")
    asked.to_csv(path, index=False)
    loop.continual("seal")
    loop.continual("open")
    loop.continual(
        "steer",
        "improve",
        "--means",
        "label more",
        "--by",
        "Ada",
        "--reason",
        "nobody knows what returns cost",
    )
    loop.dvc("repro")
    proposal, queue = (
        loop.json("data/work/decide/proposal.json"),
        pd.read_parquet(loop.path("data/work/compose/queue.parquet")),
    )
    doubted = queue[queue["reason"] == "loss in doubt"]
    assert (
        proposal["means"] == "label more"
        and len(doubted) == proposal["labels"] > 20
        and queue["event_id"].is_unique
    )
    unknown = frame["bad"].isna() | (
        pd.to_datetime(frame["known"], utc=True) > pd.Timestamp("2024-03-01", tz="UTC")
    )
    assert doubted["event_time"].dt.strftime("%Y-%m").unique().tolist() == ["2024-02"] and set(
        doubted["event_id"]
    ) <= set(frame.loc[unknown, "id"])
    assert (
        "are asked for, to know whether the model has become worse"
        in loop.continual("status", code=3).out
    )
    page = loop.path("data/work/report/report.html").read_text()
    assert (
        "have people label the events on the queue" in page
        and f"The {proposal['labels']:,} labels cost about" in page
    )

    project, params = Project.here(loop.root), Params.load(loop.path("params.yaml"))
    given_ = answers(project, params.data, Cadence("month"))
    assert len(given_) == len(asked)
    turns = fold(
        params,
        delivered(load(params.data.source, loop.root), params.data),
        until="2024-02",
        answers=given_,
    )
    assert json.loads(turns[1].monitoring.to_file()) == loop.json(
        "data/work/monitor/monitoring.json"
    )
    without = fold(
        params, delivered(load(params.data.source, loop.root), params.data), until="2024-02"
    )
    assert (
        without[1].ingested.new_labels
        < turns[1].ingested.new_labels
        <= without[1].ingested.new_labels + len(asked)
    )
