"Parameters that people edit in mid-life: what does not fit is named before anything is written."

import pytest

from loop import events

HISTORY = [
    ({"task": "regression", "positive": "null"}, "data.task was changed from classification"),
    ({"positive": '"0"'}, "data.positive was changed from 1 to 0"),
    ({"every": "week"}, "windows.every was changed from month to week"),
    ({"id": "null"}, "data.id was changed from a column to null"),
    ({"numeric": "[amount]"}, "no longer names 'age' (data.numeric), which the champion"),
    ({"numeric": "[amount]", "categorical": "[region, age]"}, "names 'age' as categorical"),
]


@pytest.mark.parametrize(("changed", "told"), HISTORY, ids=[told for _, told in HISTORY])
def test_what_history_was_read_with_stays(opened, copy, changed, told):
    loop = copy(opened)
    loop.set(**changed)
    before = loop.everything()
    status = loop.continual("status", code=2).out
    refused = [
        loop.continual("open", "--again", code=1).err,
        loop.continual("stage", "snapshot", code=1).err,
    ]
    for said in (status, *refused):
        assert told in said and "back" in said and "bug" not in said, said
    assert loop.everything() == before
    back = loop.path("params.yaml")
    back.write_text(opened.path("params.yaml").read_text())
    assert "edited" not in loop.continual("status", code=None).out


def test_a_feature_that_the_snapshot_lacks_needs_the_snapshot_anew(opened, copy):
    loop = copy(opened)
    loop.deliver(events().assign(extra=1.5))
    loop.set(numeric="[amount, age, extra]")
    for words, code in ((("status",), 2), (("stage", "ingest"), 1)):
        said = loop.continual(*words, code=code).all
        assert "names 'extra' as numeric, and the snapshot of this iteration was read" in said
        assert "`continual open --again`" in said and "earlier windows do not have it" in said
    loop.continual("open", "--again")
    for stage in ("snapshot", "ingest", "monitor"):
        loop.continual("stage", stage)
    assert "edited" not in loop.continual("status", code=2).out


def test_before_the_first_seal_other_windows_need_only_the_snapshot_anew(turned, copy):
    loop = copy(turned)
    loop.set(every="week")
    said = loop.continual("stage", "ingest", code=1).err
    assert "windows.every was changed from month to week" in said and "open --again" in said
    assert "opened iteration 001-2024-W01" in loop.continual("open", "--again").out
    loop.continual("stage", "snapshot")


def test_an_expectation_about_a_column_that_is_read_no_more(turned, copy):
    loop = copy(turned)
    loop.set(numeric="[amount]")
    said = loop.continual("stage", "ingest", code=1).err
    assert "expectations.yaml: age-not-null" in said and "delete this expectation" in said


LATER = [
    ({"label_time": "null"}, "data.label_time was changed from known to null"),
    ({"label_delay": "2d"}, "data.label_delay was changed from null to 2d"),
    (
        {"time_format": '"%Y-%m-%d %H:%M:%S"'},
        "data.time_format was changed from null to %Y-%m-%d %H:%M:%S",
    ),
]


@pytest.mark.parametrize(("changed", "told"), LATER, ids=[told for _, told in LATER])
def test_what_only_later_rows_are_read_with_needs_the_snapshot_anew_and_is_told(
    opened, copy, changed, told
):
    loop = copy(opened)
    loop.set(**changed)
    for words, code in ((("status",), 2), (("stage", "snapshot"), 1)):
        said = loop.continual(*words, code=code).all
        assert f"{told}" in said and "the snapshot of this iteration was read before" in said
        assert "`continual open --again`" in said
    said = loop.continual("open", "--again").err
    assert f"note: {told}, and the sealed windows were read before: " in said
    loop.continual("stage", "snapshot")
    said = loop.continual("status", code=2).out
    assert told in said and "nothing to do if that is meant" in said and "next: dvc repro" in said


def test_a_new_column_is_told_once_and_used_while_the_champion_goes_on(sealed, copy):
    loop = copy(sealed)
    champion = loop.champion_of("iter/001-2024-01")
    loop.deliver(events().assign(humidity=lambda rows: rows["amount"] * 2))
    told = "humidity is new in the source, and nothing uses it: name it under data.numeric"
    assert told in loop.continual("open").err
    loop.set(numeric="[amount, age, humidity]")
    assert told not in loop.continual("open", "--again").all
    loop.dvc("repro")
    assert loop.json("data/work/monitor/monitoring.json")["performance"]["rows"] > 0
    scores = loop.json("data/work/evaluate/evaluation.json")["scores"]
    assert champion in {score["model"] for score in scores}
    cards = loop.json("data/work/train/training.json")["challengers"]
    assert all(card["lacks"] == {"humidity": ["2024-01"]} for card in cards) and cards
    page = loop.path("data/work/report/report.html").read_text()
    assert "No training event of 2024-01 has a value of humidity" in page
    loop.set(update="200")
    said = loop.continual("run", "--until", "2024-03").all
    assert "(edited: " in said and "decide.costs.update" in said and "data.numeric" in said
    assert told not in said
    lines = [line for line in said.splitlines() if line.startswith("003-")]
    assert len(lines) == 1 and "edited" not in lines[0]
    assert loop.json("data/arrival/columns.json")["new"] == {}
