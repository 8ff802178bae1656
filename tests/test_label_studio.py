"""Labels through Label Studio and back, and events of which two people say different things."""

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_nb.composition.labels import FACT, current_labels, open_conflicts, settled_labels
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data
from continual_nb.core.windows import Cadence
from continual_nb.loop.label_studio import interface_of, read_annotations, tasks_of
from continual_nb.loop.labels import answers
from continual_nb.loop.project import Project

CLASSES = ("late", "fine")
facts_ = st.lists(
    st.tuples(
        st.sampled_from(["e1", "e2"]),
        st.sampled_from(CLASSES),
        st.sampled_from(["Ana", "Ben", "Cyd", ""]),
    ),
    max_size=8,
)


def annotation(label, by="ana@x.org", at="2024-04-01T10:00:00Z", **other) -> dict:
    kind = {"number": label} if isinstance(label, float) else {"choices": [label]}
    result = [{"from_name": "label", "to_name": "event", "type": "choices", "value": kind}]
    return {"completed_by": {"email": by}, "created_at": at, "result": result, **other}


def task(event, *annotations, **other) -> dict:
    return {"data": {"event_id": event}, "annotations": list(annotations), **other}


def taken_from(tasks, known=CLASSES, events=("e1", "e2")):
    return read_annotations(json.dumps(tasks), known, set(events))


def facts(*said) -> pd.DataFrame:
    rows = [(*one, f"2024-01-01T00:00:{k:02d}", "person") for k, one in enumerate(said)]
    return pd.DataFrame(rows, columns=list(FACT))


def test_what_is_good_is_taken_with_who_when_and_how_long():
    taken, bad = taken_from(
        [
            task("e1", annotation("late", lead_time=3.21), annotation("fine", "ben@x.org")),
            task("e2", annotation("late", was_cancelled=True)),
            task("e2", {**annotation("fine"), "completed_by": 7}),
        ]
    )
    assert not bad
    assert [(a.event, a.label, a.by, a.seconds) for a in taken] == [
        ("e1", "late", "ana@x.org", 3.2),
        ("e1", "fine", "ben@x.org", None),
        ("e2", "fine", "labeller 7", None),
    ]
    assert taken[0].at == "2024-04-01T10:00:00+00:00"
    (number,), bad = taken_from([task("e1", annotation(2.5))], known=())
    assert number.label == "2.5" and not bad


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (task("e9", annotation("late")), "'e9' was never on a label queue"),
        (task("", annotation("late")), "no event_id"),
        (task("e1", annotation("lat")), "did you mean 'late'"),
        (task("e1", {**annotation("late"), "result": []}), "no values under the name 'label'"),
        (task("e1", {**annotation("late"), "completed_by": None}), "no completed_by"),
        (task("e1", annotation("late", at="yesterday")), "created_at"),
        (task("e1", "late"), "annotation 1"),
        ({"event_id": "e1", "label": "late"}, "no task with a list of annotations"),
        ("e1", "no task"),
    ],
)
def test_a_bad_line_is_named_and_the_good_ones_are_kept(broken, words):
    taken, bad = taken_from(
        [task("e1", annotation("late")), broken, task("e2", annotation("fine"))]
    )
    assert [a.event for a in taken] == ["e1", "e2"]
    assert len(bad) == 1 and words in bad[0] and bad[0].startswith("task 2")


@pytest.mark.parametrize("text", ["", "event_id,label\n", '{"tasks": []}', '"x"'])
def test_another_file_is_refused_with_what_to_export(text):
    with pytest.raises(ContinualError) as caught:
        read_annotations(text, CLASSES, {"e1"})
    assert "JSON" in caught.value.remedy


json_ = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["e1", "late", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "annotations", "event_id", "result", "value", "completed_by"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_, max_size=4))
def test_whatever_is_in_the_list_is_taken_or_named(tasks):
    taken, bad = taken_from(tasks)
    assert all(a.event in ("e1", "e2") and a.label in CLASSES for a in taken)
    assert all(line.startswith("task ") for line in bad)


def test_tasks_hold_features_and_no_answer_and_the_interface_is_xml():
    queue = pd.DataFrame(
        {"event_id": ["e1", "e2"], "reason": "audit", "label": ["", "fine"], "by": "", "a<b": "1"}
    )
    assert tasks_of(queue, "003") == [
        {"data": {"event_id": "e1", "a<b": "1"}, "meta": {"iteration": "003"}}
    ]
    for known in (('sa"y', "<no>"), ()):
        tree = ElementTree.fromstring(interface_of(known, ["event_id", "a<b"], 'Is it "so"?'))
        choices = [c.get("value") for c in tree.iter("Choice")]
        assert choices == list(known) and bool(tree.findall("Number")) == (not known)


@given(facts_, st.randoms())
def test_labels_are_merged_by_event_and_time_whatever_the_order_of_lines(said, random):
    frame = facts(*said)
    order = list(range(len(frame)))
    random.shuffle(order)
    mixed = frame.iloc[order].reset_index(drop=True)
    assert settled_labels(mixed).equals(settled_labels(frame))
    assert set(open_conflicts(mixed)["event_id"]) == set(open_conflicts(frame)["event_id"])
    settled, waiting = set(settled_labels(frame)["event_id"]), open_conflicts(frame)["event_id"]
    assert settled.isdisjoint(waiting) and settled | set(waiting) == set(frame["event_id"])
    assert set(current_labels(frame)["event_id"]) == set(frame["event_id"])


def test_two_who_disagree_wait_for_a_third():
    two = [("e1", "late", "Ana"), ("e1", "fine", "Ben")]
    assert open_conflicts(facts(*two))["people"].tolist() == ["Ana, Ben"]
    assert settled_labels(facts(*two)).empty
    for last, label in (
        (("e1", "late", "Cyd"), "late"),
        (("e1", "late", "Ben"), "late"),
        (("e1", "other", "Cyd"), "other"),
    ):
        now = facts(*two, last)
        assert open_conflicts(now).empty and settled_labels(now)["value"].tolist() == [label]
    unnamed = facts(("e1", "late", "Ana"), ("e1", "fine", ""))
    assert open_conflicts(unnamed).empty, "who is not named may be Ana"


def test_a_project_sends_its_queue_and_takes_annotations_back(approved, copy):
    loop = copy(approved)
    said = loop.continual("labels", "export", "--to", "label-studio").out
    tasks = loop.json("data/labels/001-2024-01.json")
    assert f"{len(tasks)} tasks" in said and len(tasks) >= 5
    assert {"event_id", "event_time", "amount"} <= set(tasks[0]["data"])
    ElementTree.parse(loop.path("data/labels/001-2024-01.xml"))
    ids = [one["data"]["event_id"] for one in tasks]
    tasks[0]["annotations"] = [annotation("1"), annotation("0", "ben@x.org")]
    tasks[1]["annotations"] = [annotation("1"), annotation("1", "ben@x.org")]
    tasks[2]["annotations"] = [annotation("yes")]
    for one in tasks[3:]:
        one["annotations"] = []
    done = loop.path("done.json")
    done.write_text(json.dumps(tasks))
    out = loop.continual("labels", "import", str(done), code=2).out
    assert "4 new answers; 1 could not be taken" in out and "task 3, annotation 1: 'yes'" in out
    facts_file, csv = loop.path("data/labels/facts.jsonl"), loop.path("data/labels/001-2024-01.csv")
    before = facts_file.read_bytes(), csv.read_bytes()
    assert "0 new answers" in loop.continual("labels", "import", str(done), code=2).out
    assert (facts_file.read_bytes(), csv.read_bytes()) == before
    assert ids[0] in loop.continual("labels", "status").out

    loop.continual("labels")
    queue = pd.read_csv(csv, dtype="str", keep_default_na=False)
    first = queue.iloc[0]
    assert (first["event_id"], first["reason"]) == (ids[0], "labellers disagree")
    assert first["label"] == first["by"] == "", "a third person is not told"
    assert queue.set_index("event_id").loc[ids[1], ["label", "by"]].tolist() == ["1", "ben@x.org"]
    project = Project.here(loop.root)
    known = lambda: answers(project, project.params().data, Cadence("month"))
    assert known().set_index("event_id")["label"].to_dict() == {ids[1]: "1"}
    queue.loc[0, ["label", "by"]] = ["0", "Cyd"]
    queue.to_csv(csv, index=False)
    assert known().set_index("event_id")["label"].to_dict() == {ids[0]: "0", ids[1]: "1"}
    assert "third person" not in loop.continual("labels", "status").out


def test_numbers_differ_by_nature_and_wait_for_nobody(tmp_path):
    folder = tmp_path / "data/labels"
    folder.mkdir(parents=True)
    data = Data(source="-", time="t", label="y", numeric=("a",), task="regression")
    rows = "event_id,label,by\ne1,2.5,Ana\n"
    (folder / "001-2024-01.csv").write_text(rows)
    (folder / "002-2024-02.csv").write_text(rows.replace("2.5,Ana", "2.6,Ben"))
    found = answers(Project(tmp_path), data, Cadence("month"))
    assert np.allclose(found["label"].astype(float), [2.6])
