"The pipeline and the fold in memory are the same loop: same proposals, metrics, gates and champions, to the hash."

import json

from continual_nb.backtest.exact import fold
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Params, read_yaml
from continual_nb.core.sources import load
from continual_nb.decisions.signoff import Decision


def records(loop, part: str) -> list[dict]:
    "One sealed answer of every iteration, oldest first."
    return [
        json.loads((folder / "evidence" / part).read_text())
        for folder in sorted(loop.path("reports").glob("0*"))
    ]


def test_the_fold_gives_what_the_pipeline_gave(twice):
    params = Params.load(twice.path("params.yaml"))
    source = load(params.data.source, twice.root)
    sealed = records(twice, "outcome.json")
    signatures = iter(
        sorted(twice.path("reports").glob("0*"))
    )  # what people and the automatic signer have signed, in order
    signer = lambda advice, champion, evidence, as_of: Decision.model_validate(
        read_yaml(next(signatures) / "evidence" / "decision.yaml")
    ).model_copy(update={"evidence": evidence})
    turns = fold(
        params,
        delivered(source, params.data),
        signer=signer,
        until=json.loads(
            (sorted(twice.path("reports").glob("0*"))[-1] / "summary.json").read_text()
        )["window"],
    )
    assert len(turns) == len(sealed) >= 2
    shown = turns.section()
    assert [row[3] for row in shown.details[0].rows] == [one["answer"] for one in sealed]
    assert f"{len(turns)} windows" in shown.lead and shown.pictures[0].alt == shown.lead
    assert len(turns[-1:].section().details[0].rows) == 1 and "promoted" in repr(turns[0])
    parts = dict(turns[0].section().tables[0].rows)
    assert parts["training"] == turns[0].training.section().lead and len(parts) == 6
    card = turns[0].training.challengers[0].section()
    assert card.tables[0].rows[0] == ("hash", turns[0].training.challengers[0].hash[:12])
    for part, name in (
        ("monitoring", "monitoring.json"),
        ("proposal", "proposal.json"),
        ("composition", "composition.json"),
        ("training", "training.json"),
        ("evaluation", "evaluation.json"),
    ):
        for turn, record in zip(turns, records(twice, name)):
            assert json.loads(getattr(turn, part).to_file()) == record, (
                f"{part} of {turn.moment.name}"
            )
    for view, name in (
        ("impact", "impact.json"),
        ("hindsight", "hindsight.json"),
        ("trust", "trust.json"),
    ):
        for turn, record in zip(turns, records(twice, name)):
            assert json.loads(getattr(turn.looking_back(params), view).to_file()) == record, (
                f"{view} of {turn.moment.name}"
            )
    assert [turn.state.card.champion for turn in turns] == [
        outcome["champion"] for outcome in sealed
    ]
    assert any(turn.outcome.answer == "promoted" for turn in turns)


def test_a_fold_is_deterministic(twice):
    params = Params.load(twice.path("params.yaml"))
    delivery = delivered(load(params.data.source, twice.root), params.data)
    one, two = (fold(params, delivery, until="2024-02") for _ in range(2))
    assert [t.state.card for t in one] == [t.state.card for t in two]
    assert [t.state.ledger for t in one] == [t.state.ledger for t in two]
