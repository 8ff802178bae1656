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
