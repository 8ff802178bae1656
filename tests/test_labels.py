"Labels that people give: asked for by the queue, filled in with an editor, known from the moment after they were asked."

import json

import pandas as pd
import pytest

from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered, ingest, snapshot, with_answers
from continual_nb.core.params import Data, Ingest
from continual_nb.core.store import Store, rows_as_of
from continual_nb.core.windows import Cadence, AsOf

DATA = Data(source="orders", time="when", label="y", label_time="known", id="id", numeric=("a",))
MONTHLY = Cadence("month")
RAW = pd.DataFrame(
    [
        ("e1", "2024-01-10", 1.0, None, None),
        ("e2", "2024-01-11", 1.0, "yes", "2024-01-12"),
        ("e3", "2024-01-12", 1.0, "no", "2024-03-05"),
    ],
    columns=["id", "when", "a", "y", "known"],
)

NOTHING_STORED = Store((), None)


def said(*rows):
    frame = pd.DataFrame(rows, columns=["event_id", "label", "label_time"]).astype(
        {"event_id": "str", "label": "str"}
    )
    return frame.assign(
        label_time=pd.to_datetime(frame["label_time"], utc=True).astype("datetime64[us, UTC]")
    )


def known(answers, window):
    as_of = MONTHLY.window(window).end
    return (
        snapshot(
            with_answers(delivered(RAW, DATA), answers, as_of, NOTHING_STORED),
            DATA,
            MONTHLY,
            NOTHING_STORED,
            as_of,
        )
        .labels.set_index("event_id")["label"]
        .to_dict()
    )


def test_an_answer_counts_from_its_moment_until_the_source_has_a_label():
    answers = said(
        ("e1", "yes", "2024-02-01T00:00:00.000001"),
        ("e2", "no", "2024-02-01T00:00:00.000001"),
        ("e3", "yes", "2024-02-01T00:00:00.000001"),
    )
    assert known(answers, "2024-01") == {"e2": "yes"}, "asked in January, known after it"
    assert known(answers, "2024-02") == {"e1": "yes", "e2": "yes", "e3": "yes"}, (
        "what the source will say in March is not known in February"
    )
    assert known(answers, "2024-03") == {"e1": "yes", "e2": "yes", "e3": "no"}, (
        "the source has the last word"
    )


def test_an_answer_that_is_no_class_is_refused_with_the_nearest_one():
    with pytest.raises(
        ContinualError,
        match="event e1 cannot be taken: 'yess' is no class of the data; did you mean 'yes'",
    ) as refused:
        known(said(("e1", "yess", "2024-02-01")), "2024-02")
    assert "data/labels" in refused.value.remedy


def stored(*arrivals):
    "A store of what these (window, delivery, answers) brought, and the labels of the last one."
    parts, arrival = [], None
    for number, (window, raw, told) in enumerate(arrivals, 1):
        store = Store(
            tuple(part for part, _ in parts),
            lambda part, file, columns: next(files for known, files in parts if known is part)[
                file
            ][columns],
        )
        at = MONTHLY.window(window)
        arrival = snapshot(
            with_answers(delivered(raw, DATA), told, at.end, store), DATA, MONTHLY, store, at.end
        )
        partition, files, _ = ingest(arrival, DATA, Ingest(), AsOf(number, at, at.end, MONTHLY))
        parts.append((partition, files))
    return store, arrival.labels


def test_an_answer_for_an_event_that_is_delivered_no_more_is_a_late_label():
    gone, asked = RAW[RAW["id"] != "e1"], said(("e1", "yes", "2024-02-01T00:00:00.000001"))
    nothing, end = said(), MONTHLY.window("2024-02").end
    _, labels = stored(("2024-01", RAW, nothing), ("2024-02", gone, asked))
    assert labels[["event_id", "label"]].values.tolist() == [["e1", "yes"]] and labels[
        "label_time"
    ][0] == pd.Timestamp("2024-02-01T00:00:00.000001", tz="UTC")
    _, labels = stored(
        ("2024-01", RAW, nothing),
        ("2024-02", RAW[RAW["id"] == "e3"], nothing),
        ("2024-03", gone, asked),
    )
    assert labels.set_index("event_id")["label_time"]["e1"] == MONTHLY.window("2024-03").end, (
        "answered after the look of February, it is known from the look of March on"
    )
    store, labels = stored(
        ("2024-01", RAW, nothing),
        ("2024-02", gone, asked),
        ("2024-03", gone, said(("e1", "no", "2024-02-01T00:00:00.000001"))),
    )
    assert labels["event_id"].tolist() == ["e3"], (
        "once it is in the store, it stays; what the source says of others comes as ever"
    )
    assert (
        rows_as_of(store, DATA, MONTHLY, end).set_index("event_id")["label"].to_dict()["e1"]
        == "yes"
    )
    with pytest.raises(ContinualError, match="event e1 cannot be taken: 'maybe' is no class"):
        stored(
            ("2024-01", RAW, nothing),
            ("2024-02", gone, said(("e1", "maybe", "2024-02-01T00:00:00.000001"))),
        )
    _, labels = stored(
        ("2024-01", RAW, nothing), ("2024-02", gone.iloc[:0].astype(RAW.dtypes), asked)
    )
    assert labels["event_id"].tolist() == ["e1"], (
        "a class that only the store has seen is known too"
    )
    _, labels = stored(("2024-01", gone, nothing), ("2024-02", gone, asked))
    assert labels.empty, "an event that was never seen has no place"


def test_a_person_fills_in_the_queue_and_the_next_open_takes_it(approved, copy):
    loop = copy(approved)
    assert "0 are answered: data/labels/001-2024-01.csv" in loop.continual("labels").out
    path = loop.path("data/labels/001-2024-01.csv")
    asked = pd.read_csv(path, dtype="str", keep_default_na=False)
    assert (
        len(asked) >= 5
        and {"event_id", "reason", "amount", "label", "by"} <= set(asked)
        and (asked["amount"] != "").all()
    )
    asked.loc[:2, ["label", "by"]] = ["1", "Ada"]
    asked.to_csv(path, index=False)
    assert "3 are answered" in loop.continual("labels").out, (
        "called again, it keeps what is filled in"
    )
    frame = pd.read_parquet(loop.source)
    frame.loc[frame["id"].isin(set(asked["event_id"])), ["bad", "known"]] = (
        None  # the source never says
    )
    loop.deliver(frame[frame["id"] != asked["event_id"][0]])  # and one it delivers no more
    loop.continual("seal")
    assert loop.git("status", "--porcelain") == "" and "labels" not in loop.git("ls-files", "data")
    loop.continual("open")
    assert "has no label queue yet" in loop.continual("labels", code=1).err, (
        "the queue at hand is that of the iteration before"
    )
    labels = pd.read_parquet(loop.path("data/arrival/labels.parquet")).set_index("event_id")
    took = labels.loc[asked["event_id"][:3]]
    assert (
        took["label"].tolist() == ["1"] * 3
        and (took["label_time"] == pd.Timestamp("2024-02-01T00:00:00.000001", tz="UTC")).all()
    )
    asked.loc[3, "label"] = "maybe"
    asked.to_csv(path, index=False)
    loop.path("data/arrival/arrival.json").unlink()
    assert "no class of the data" in loop.continual("stage", "snapshot", code=1).err


@pytest.fixture
def desk(approved, copy, monkeypatch):
    "A labelling desk over a project whose queue waits, its name given; `again()` is one after a restart."
    pytest.importorskip("ipywidgets")
    from continual_nb.interfaces.labelling import labelling

    loop = copy(approved)
    for key, value in loop.environment().items():
        monkeypatch.setenv(key, value)

    def again(name="Ada"):
        one = labelling(loop.root)
        one.name.value, one.pause, one.again = name, 0, lambda: again(name)
        return one

    return again()


def in_file(desk) -> list[tuple[str, str]]:
    frame = pd.read_csv(desk.path, dtype="str", keep_default_na=False)
    return list(zip(frame["label"], frame["by"]))


def press(desk, label):
    next(button for button in desk.answers if button.description == label).click()


def test_every_click_is_in_the_file_and_a_new_desk_goes_on(desk):
    total = len(in_file(desk))
    assert (
        "Event 1 of" in desk.card.value
        and f"0 of {total} answered" in desk.seen.value
        and [button.description for button in desk.answers] == ["0", "1"]
    )
    press(desk, "1")
    desk.unsure.click()
    press(desk, "0")
    assert in_file(desk)[:4] == [("1", "Ada"), ("", "Ada"), ("0", "Ada"), ("", "")]
    other = desk.again()
    assert (
        other.event == desk.event
        and "Event 4 of" in other.card.value
        and f"2 of {total} answered, 1 cannot tell, {total - 3} open" in other.seen.value
    )
    other.back.click()
    assert "Answered so far: “0”, by Ada" in other.question.value
    press(other, "1")
    assert in_file(desk)[2] == ("1", "Ada") and "Event 4 of" in other.card.value, (
        "an answer is mended, and the desk goes back to what is open"
    )
    for _ in range(total):
        press(other, "0")
    assert (
        "Nothing is open any more" in other.card.value
        and other.choices.layout.display == "none"
        and all(label or by for label, by in in_file(desk))
    )


def test_the_question_a_note_the_pace_and_what_is_open(approved, copy, monkeypatch):
    pytest.importorskip("ipywidgets")
    from continual_nb.interfaces.labelling import labelling

    loop = copy(approved)
    for key, value in loop.environment().items():
        monkeypatch.setenv(key, value)
    text = loop.path("params.yaml").read_text()
    asked = text.replace("question: null", "question: Was it late <by 15 min>?")
    loop.path("params.yaml").write_text(
        asked.replace("guideline: null", "guideline: Arrival counts.")
    )
    status = lambda: json.loads(loop.continual("status", "--json", code=None).out)
    told = status()
    desk = labelling(loop.root)
    assert told["questions_open"] == len(desk.frame) > 3 and "compose" not in told["stale"]
    assert "Was it late &lt;by 15 min&gt;?" in desk.question.value
    assert (
        "Arrival counts." in desk.question.value
        and "1 = 0, 2 = 1, 0 = cannot" in desk.question.value
    )
    desk.name.value, desk.pause, desk.note.value = "Ada", 0, "the tower, was closed"
    desk.answers[0].click()
    assert desk.note.value == "" and "at your pace" not in desk.seen.value
    desk.answers[1].click(), desk.unsure.click()
    assert "left at your pace" in desk.seen.value
    again = labelling(loop.root)
    frame = pd.read_csv(again.path, dtype="str", keep_default_na=False)
    assert list(frame["note"][:2]) == ["the tower, was closed", ""]
    assert status()["questions_open"] == told["questions_open"] - 3
    again.back.click(), again.back.click(), again.back.click()
    assert again.note.value == "the tower, was closed"


def test_an_answer_waits_for_a_name_and_a_double_click_is_one(desk):
    desk.name.value = " "
    press(desk, "1")
    assert in_file(desk)[0] == ("", "") and desk.answers[0].disabled and desk.unsure.disabled
    desk.name.value, desk.pause = "Eve <b>", 60
    assert "name unverified" in desk.identity.value and "<b>" not in desk.identity.value
    desk.since = float("-inf")  # looked at for long
    press(desk, "1")
    press(desk, "1")
    assert [label for label, _ in in_file(desk)[:2]] == ["1", ""]


def test_what_an_editor_does_meanwhile_stays(desk):
    frame = pd.read_csv(desk.path, dtype="str", keep_default_na=False)
    frame.loc[0, ["label", "by"]] = ["0", "Grace"]
    frame.loc[3, ["label", "by"]] = ["1", "Grace"]
    frame.loc[4, "label"] = "yes"
    desk.path.write_text(
        "\ufeff" + frame.to_csv(index=False, sep=";"), encoding="utf-8"
    )  # as a spreadsheet saves it
    press(desk, "1")
    assert (
        in_file_of(desk, 0) == ("0", "Grace")
        and "changed meanwhile, to &#x27;0&#x27; by Grace" in desk.told.value
        and "Answered so far: “0”, by Grace" in desk.question.value
    )
    desk.forward.click()
    press(desk, "1")
    press(desk, "1")
    assert (
        "Event 5 of" in desk.card.value
        and "“yes”: &#x27;yes&#x27; is no class of the data" in desk.question.value
    ), "the answered one is passed over, the strange one asked again"
    press(desk, "1")
    assert in_file(desk)[:5] == [
        ("0", "Grace"),
        ("1", "Ada"),
        ("1", "Ada"),
        ("1", "Grace"),
        ("1", "Ada"),
    ]


def in_file_of(desk, line: int) -> tuple[str, str]:
    from continual_nb.loop.labels import read

    return tuple(read(desk.path).loc[line, ["label", "by"]])


def test_a_class_that_is_not_known_is_refused_as_at_the_door(tmp_path):
    from continual_nb.loop.queue import fill_in

    path = tmp_path / "labels" / "001-2024-01.csv"
    path.parent.mkdir()
    path.write_text("event_id,label\ne1,\n")
    for label, known, words in (
        ("yess", ("no", "yes"), "did you mean 'yes'"),
        ("3,5", (), "no number"),
        ("inf", (), "no number"),
    ):
        with pytest.raises(ContinualError, match=words):
            fill_in(path, "e1", label, "Ada", known, ("", ""))
    with pytest.raises(ContinualError, match="e2 is not in labels/001-2024-01.csv any more"):
        fill_in(path, "e2", "yes", "Ada", ("no", "yes"), ("", ""))
    assert path.read_text() == "event_id,label\ne1,\n"
    fill_in(path, "e1", "-3.5", "Ada", (), ("", ""))
    assert path.read_text() == "event_id,label,by\ne1,-3.5,Ada\n"


def test_another_command_is_waited_for_and_then_named(desk, monkeypatch):
    from continual_nb.loop.project import locked

    with locked(desk.project):
        press(desk, "1")
    assert (
        "Not kept: another continual command is working" in desk.told.value
        and in_file(desk)[0] == ("", "")
        and "Event 1 of" in desk.card.value
    )


def test_the_desk_says_when_there_is_nothing_to_label(desk, born, copy):
    loop, path = desk.project, desk.path
    press(desk, "1")
    path.unlink()
    press(desk, "1")
    assert (
        "is gone" in desk.seen.value
        and "`continual labels`" not in desk.seen.value
        and not desk.event
    )
    iteration = loop.path("data/iteration.yaml")
    before = iteration.read_text()
    iteration.write_text(
        before.replace("2024-02-01", "2024-03-01")
    )  # opened, and not yet turned: the queue at hand is the one before
    one = desk.again()
    assert (
        "has no label queue yet" in one.seen.value
        and "dvc repro" in one.seen.value
        and not one.answers
        and one.name.layout.display == "none"
        and not path.exists()
    )
    iteration.write_text(before)
    from continual_nb.core.files import read_parquet, write_parquet

    queue = loop.path("data/work/compose/queue.parquet")
    write_parquet(queue, read_parquet(queue).iloc[:0])
    one = desk.again()
    assert "asks nothing" in one.seen.value and not path.exists()


def test_a_regression_asks_for_a_number_and_many_classes_are_a_list(desk, monkeypatch):
    from continual_nb.interfaces import labelling

    monkeypatch.setattr(labelling, "MANY", 1)
    listed = desk.again()
    field, keep = listed.answers
    keep.click()
    assert in_file(desk)[0] == ("", ""), "nothing is chosen"
    field.value = "1"
    keep.click()
    assert in_file(desk)[0] == ("1", "Ada") and field.value == ""
    text = desk.project.path("params.yaml").read_text()
    desk.project.path("params.yaml").write_text(
        text.replace("task: classification", "task: regression").replace(
            'positive: "1"', "positive: null"
        )
    )
    one = desk.again()
    field, keep = one.answers
    field.value = "much"
    keep.click()
    assert "&#x27;much&#x27; is no number" in one.told.value and in_file(desk)[1] == ("", "")
    field.value = "2.5"
    field._handle_custom_msg({"event": "submit"}, [])  # Enter
    assert in_file(desk)[1] == ("2.5", "Ada")


def test_a_composed_anew_queue_keeps_the_answers_of_the_old_one(desk):
    from continual_nb.loop.queue import ask
    from continual_nb.core.files import read_parquet, write_parquet

    press(desk, "1")
    first = in_file(desk)[0]
    queue = desk.project.path("data/work/compose/queue.parquet")
    write_parquet(queue, read_parquet(queue).iloc[1:3])
    path, frame = ask(desk.project)
    assert len(frame) == 3 and in_file(desk)[2] == first
