"Classes and features that come, go or change: named from their first row, and answered."

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Params
from continual_nb.monitoring.detectors.classes import UnknownClasses, unknown_classes
from loop import events

ABOUT = dict(source="x", time="when", id="id", label="bad", label_time="known")


def turned(frame: pd.DataFrame, update: float = 150, **columns):
    "Fold a frame; no rule but the one about classes would try an update by itself."
    columns = {"numeric": ["amount", "age"], "categorical": ["region"], **columns}
    params = Params.model_validate(
        {
            "data": {**ABOUT, **columns},
            "train": {"models": ["linear"]},
            "compose": {"always": None},
            "decide": {"recalibrate": None, "labels": 0, "costs": {"update": update, "review": 5}},
        }
    )
    return fold(params, delivered(frame, params.data))


def with_a_class(share: float) -> pd.DataFrame:
    "Three months that are alike, with a class that comes in the last two."
    draw, frame = np.random.default_rng(1), events(4, 800).query("when >= '2024-02'")
    words = frame["bad"].map({0: "no", 1: "yes"})
    new = (frame["when"] >= "2024-03") & (draw.uniform(size=len(frame)) < share)
    return frame.assign(bad=words.mask(new, "fraud"))


def rule(turn, part: str):
    return next(r for r in turn.proposal.rules if part in r.question)


def test_a_class_is_a_finding_from_its_first_row_and_learned_where_that_pays():
    frame = with_a_class(0.04)
    cheap, dear = turned(frame, update=10), turned(frame, update=1000)
    assert all(turn.monitoring.unknown is None for turn in (cheap[0], dear[0]))
    told = next(f for f in cheap[1].monitoring.findings if f.rule == "unknown class")
    found = cheap[1].monitoring.unknown
    assert found.classes == ("fraud",) and told.share == pytest.approx(found.share)
    assert f"cannot answer {found.rows} of {found.labelled}" in told.sentence
    assert "would save" in rule(cheap[1], "class unknown").because
    assert rule(cheap[1], "class unknown").answer == "yes"
    assert cheap[1].proposal.means == "retrain"
    assert all(rule(turn, "class unknown").answer == "no" for turn in dear)
    assert cheap[1].outcome.answer == "promoted" and cheap[2].monitoring.unknown is None


def test_one_row_is_enough_to_be_told_and_never_enough_for_an_update():
    frame = with_a_class(0.0)
    last = frame.index[frame["when"] >= "2024-03"][5]
    frame.loc[last, ["bad", "known"]] = ["fraud", frame.loc[last, "when"]]
    turn = turned(frame, update=1)[1]
    assert turn.monitoring.unknown.counts == (1,)
    assert UnknownClasses(classes=("a",), counts=(1,), labelled=9).saved(sure=2.0) == 0
    few = UnknownClasses(classes=("a", "b"), counts=(8, 2), labelled=1000)
    assert 0 < few.saved(1.0) < few.saved() < few.share * 14


def test_what_cannot_be_proven_is_told_and_not_tried():
    turn = turned(with_a_class(0.006), update=1)[1]
    assert not turn.monitoring.unknown.in_sight
    assert "too few to prove it on" in rule(turn, "class unknown").because


def test_numbers_and_unlabelled_windows_have_no_classes():
    params = Params.model_validate({"data": {**ABOUT, "numeric": ["a"], "task": "regression"}})
    assert unknown_classes(params.data, pd.Series([1.0, 2.0]), None) is None


EMPTY = [
    {"numeric": ["amount", "age", "void"]},
    {"categorical": ["region", "void"]},
    {"text": ["void"]},
]


@pytest.mark.parametrize("columns", EMPTY, ids=["numeric", "categorical", "text"])
def test_a_feature_that_is_empty_from_the_start_does_not_block_the_first_model(columns):
    frame = events(2).assign(void=pd.Series(dtype="str"))
    first, second = turned(frame, **columns)
    assert first.outcome.answer == "promoted" and second.monitoring.answer == "watched"
    told = {f.rule: f for f in first.monitoring.findings}
    assert told["no value yet"].severity == "warning" and "void" in told["no value yet"].sentence


def test_a_feature_that_had_values_and_has_none_any_more_is_an_error():
    frame = events(2)
    frame.loc[frame["when"] >= "2024-02", "age"] = np.nan
    second = turned(frame)[1]
    assert second.proposal.means == "mend the data"
    assert "all missing" in {f.rule for f in second.monitoring.findings}


def test_without_any_value_at_all_nothing_is_trained():
    frame = events(1).assign(amount=np.nan, age=np.nan, region=pd.Series(dtype="str"))
    assert turned(frame)[0].proposal.means == "mend the data"


def test_the_stages_name_a_class_that_has_come(sealed, copy):
    loop, frame = copy(sealed), events()
    frame.loc[frame.index[(frame["when"] >= "2024-02")][::20], "bad"] = 2
    loop.deliver(frame)
    loop.continual("open")
    loop.dvc("repro", "decide")
    monitoring = loop.json("data/work/monitor/monitoring.json")
    assert monitoring["unknown"]["classes"] == ["2"]
    incident = next(i for i in monitoring["incidents"] if "unknown class" in i["title"])
    assert incident["cause"] == "new class"
    rules = loop.json("data/work/decide/proposal.json")["rules"]
    assert any("class unknown" in r["question"] for r in rules)
