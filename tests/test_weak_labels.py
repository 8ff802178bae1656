"Rules label training rows whose label did not come: measured, never above a better source, never in evaluation."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stations import extensions_in
from test_recipes import DATA, stream

from continual_nb.composition.compose import compose
from continual_nb.composition.labels import current_labels
from continual_nb.composition.weak import rule_card, weak_facts, wilson_interval
from continual_nb.core.doors import OutOfTime, in_project
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Compose, Data, Monitor, NamedCode

RULES = """
import time
import numpy as np

def good(rows):
    return rows["b"].gt(1).map({True: "1", False: None})

def low(rows):
    return rows["b"].lt(0).map({True: "0", False: None})

def peeks(rows):
    assert "label" not in rows and "label_time" not in rows
    return [None] * len(rows)

def short(rows):
    return ["1"]

def strange(rows):
    return ["yes"] * len(rows)

def moody(rows):
    return np.where(np.random.default_rng().random(len(rows)) < 0.5, "1", None)

def broken(rows):
    raise KeyError("wind")

def slow(rows):
    time.sleep(60)
"""


@pytest.fixture
def rules(tmp_path):
    with extensions_in(tmp_path, rules=RULES):
        yield lambda *names: tuple(NamedCode(name=f"extensions.rules:{name}") for name in names)


def world(hidden: float = 0.3) -> pd.DataFrame:
    "Rows whose label is nearly that of `good` and `low`, of which a share never had its label."
    rows = stream()
    rng = np.random.default_rng(4)
    late = rng.random(len(rows)) < np.where(rows["b"] > 1, 0.97, np.where(rows["b"] < 0, 0.02, 0.4))
    rows["label"] = pd.array(np.where(late, "1", "0"), dtype="str")
    gone = rng.random(len(rows)) < hidden
    return rows.assign(label=rows["label"].mask(gone), label_time=rows["label_time"].mask(gone))


def made(rows, names=(), **levers):
    now = rows["event_time"].iloc[-1]
    params = Compose(recipes={"all": ["all"]}, weak_labels=names, **levers)
    mature = now - pd.Timedelta(days=2)
    return compose(DATA, params, Monitor(), rows, mature, now, 4, training=True)


def test_weak_labels_reach_training_alone_with_their_rule_in_the_reason(rules):
    rows = world()
    plain, weak = made(rows), made(rows, rules("good", "low"))
    pd.testing.assert_frame_equal(plain.evaluation, weak.evaluation)
    assert plain.composition.evaluation == weak.composition.evaluation
    more = weak.sets["all"][~weak.sets["all"]["event_id"].isin(plain.sets["all"]["event_id"])]
    assert len(more) > 50 and more["reason"].str.contains("; label by (?:good|low)").all()
    unlabelled = set(rows["event_id"][rows["label"].isna()])
    assert set(more["event_id"]) <= unlabelled, "a rule never replaces a verified label"
    assert more["event_time"].max() < weak.evaluation["event_time"].min()
    assert set(weak.weak["event_id"]) <= unlabelled and set(weak.weak["source"]) == {"weak"}
    cards = {card.name: card for card in weak.composition.rules}
    assert sum(card.labels for card in cards.values()) == len(more)
    why = weak.reasons.set_index("event_id").loc[more["event_id"].iloc[0]]
    assert why["all weight"] == 1 and "label by" in why["all"]
    assert all(check.verdict == "pass" for check in weak.composition.checks)
    page = weak.composition.section()
    assert "Rules that label" in repr(page)


def test_the_card_is_the_accuracy_on_the_rows_that_may_be_learned_from(rules):
    rows = world()
    found = made(rows, rules("good"))
    (card,) = found.composition.rules
    able = rows[rows["label"].notna() & (rows["event_time"] < found.evaluation["event_time"].min())]
    spoken = able[able["b"] > 1]
    assert card.verified == len(spoken)
    assert card.accuracy == pytest.approx((spoken["label"] == "1").mean(), abs=1e-4)
    assert card.low < card.accuracy < card.high


def test_a_rule_that_is_not_accurate_enough_is_not_used_and_that_is_said(rules):
    found = made(world(), rules("good"), weak_accuracy=0.999)
    assert [card.verdict for card in found.composition.rules] == ["too inaccurate"]
    assert "too inaccurate, not used" in str(found.composition.rules[0])
    assert len(found.weak) == 0 and found.sets["all"].equals(made(world()).sets["all"])


@pytest.mark.parametrize(
    "name, words",
    [
        ("short", "1 labels for"),
        ("strange", "'yes', which is no class"),
        ("moody", "answers otherwise"),
        ("broken", "KeyError"),
        ("absent", "has no 'absent'"),
    ],
)
def test_a_rule_that_misbehaves_is_named_and_the_others_go_on(rules, name, words):
    found = made(world(), rules("good", name))
    good, bad = found.composition.rules
    assert good.verdict == "used" and good.labels > 20
    assert bad.verdict == "failed" and words in bad.problem and bad.labels == 0


def test_a_rule_sees_no_label_and_one_that_does_not_come_back_stops(rules, tmp_path):
    (card,) = made(world(), rules("peeks")).composition.rules
    assert card.verdict == "silent"
    with in_project(tmp_path, time_limit=1), pytest.raises(OutOfTime):
        made(world(), rules("slow"))


def test_numbers_take_no_rules():
    data = Data(source="-", time="t", label="y", task="regression", numeric=("a",))
    rows = pd.DataFrame({"event_id": ["e"], "event_time": [0], "a": [1.0], "label": [1.0]})
    with pytest.raises(ContinualError, match="needs classes"):
        weak_facts((NamedCode(name="extensions.r:f"),), rows, rows, data, 0.8, pd.Timestamp(0))


def test_facts_of_rules_give_way_to_everything_better(rules):
    rows = world()
    done, open_ = rows[rows["label"].notna()], rows[rows["label"].isna()]
    facts, cards = weak_facts(rules("low", "good"), done, open_, DATA, 0.8, pd.Timestamp(0))
    event = facts["event_id"].iloc[0]
    said = {"event_id": event, "value": "person's", "by": "Ana", "at": "2000", "source": "person"}
    both = pd.concat([facts, pd.DataFrame([said])], ignore_index=True)
    now = current_labels(both).set_index("event_id")["value"]
    assert now[event] == "person's" and len(now) == facts["event_id"].nunique()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.05, 1), st.integers(0, 99))
def test_only_rules_that_are_proven_are_used(right, wrong, least, seed):
    rng = np.random.default_rng(seed)
    truth = pd.Series(rng.choice(["a", "b"], right + wrong))
    other = truth.map({"a": "b", "b": "a"})
    words = truth.where(np.arange(right + wrong) < right, other)
    card = rule_card("r", words, truth, 1.0, least)
    assert card.low <= card.accuracy <= card.high
    assert (card.verdict == "used") == (card.low >= least and card.low > card.chance)


def test_the_most_frequent_label_for_all_is_no_knowledge():
    truth = pd.Series(np.where(np.arange(5000) % 20 == 0, "rare", "usual"))
    card = rule_card("always", pd.Series("usual", truth.index), truth, 1.0, 0.8)
    assert card.accuracy == 0.95 and card.verdict == "no better than chance"


@pytest.mark.parametrize("share", [0.6, 0.9, 0.98])
def test_the_interval_of_accuracy_holds(share):
    rng = np.random.default_rng(1)
    limits = [wilson_interval(int(right), 80) for right in rng.binomial(80, share, 3000)]
    assert 0.93 <= np.mean([low <= share <= high for low, high in limits]) <= 0.99


def test_a_project_with_rules_says_what_they_are_worth(born, copy):
    loop = copy(born)
    frame = pd.read_parquet(loop.source)
    frame.loc[frame.index[::4], ["bad", "known"]] = None  # the source never says
    loop.deliver(frame)
    folder = loop.path("extensions")
    folder.mkdir(exist_ok=True)
    small = 'rows["amount"].lt(-0.3).map({True: "0", False: None})'
    always = '["0"] * len(rows)'
    (folder / "rules.py").write_text(
        f"def small(rows):\n    return {small}\n\ndef always(rows):\n    return {always}\n"
    )
    path = loop.path("params.yaml")
    text = path.read_text()
    named = "weak_labels: [extensions.rules:small, extensions.rules:always]"
    path.write_text(
        text.replace("weak_labels: []", named).replace("accuracy: 0.8", "accuracy: 0.7")
    )
    assert named in path.read_text()
    loop.continual("refresh")
    loop.dvc("repro")
    small, always = loop.json("data/work/compose/composition.json")["rules"]
    assert small["verdict"] == "used" and small["labels"] > 0
    assert always["verdict"] in ("too inaccurate", "no better than chance")
    facts = pd.read_parquet(loop.path("data/work/compose/weak.parquet"))
    assert (
        set(facts["by"]) == {"small"}
        and not facts["event_id"]
        .isin(pd.read_parquet(loop.path("data/work/compose/evaluation.parquet"))["event_id"])
        .any()
    )
    page = loop.path("data/work/report/report.html").read_text()
    assert "Rules that label training rows" in page and "not used" in page
    status = loop.continual("labels", "status").out
    assert "rule small is right on" in status and "not used" in status
    assert "label by small" in loop.continual("why", facts["event_id"].iloc[0]).out
