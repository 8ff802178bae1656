"Sources that misbehave: ids in another spelling, windows that grow after they were looked at, cells that are formulas."

import pandas as pd

from continual_nb.core.files import to_csv
from continual_nb.core.ingest import respelled
from continual_nb.loop.labels import read
from continual_nb.loop.stages import _csv
from loop import events


def rows(*ids, day: int = 5) -> pd.DataFrame:
    time = pd.Timestamp(2024, 1, day, tz="UTC").as_unit("us")
    return pd.DataFrame({"event_id": pd.array(ids, "str"), "event_time": [time] * len(ids)})


def test_an_id_is_known_in_another_spelling():
    stored = rows("007", "1700000000000000000", "12", "a-1")
    again = rows("7", "1.7e18", "12.0", "a-1")
    assert respelled(again, stored) == {"7": "007", "1.7e18": stored.event_id[1], "12.0": "12"}


def test_ids_that_differ_stay_apart():
    assert respelled(rows("7", "007"), rows("007")) == {}  # both are delivered
    assert respelled(rows("7", day=6), rows("007")) == {}  # another moment
    assert respelled(rows("7", "07"), rows("007")) == {}  # which of them is not known
    assert respelled(rows("a7", "1.5e0"), rows("A7", "15")) == {}


def test_a_past_window_that_grows_is_an_error_before_anything_is_trained(sealed, copy):
    loop, frame = copy(sealed), events()
    january = frame["when"].dt.month == 1
    frame.loc[january, "id"] = "x" + frame["id"][january]
    loop.deliver(frame)
    loop.continual("open")
    for stage in ("snapshot", "ingest", "monitor", "decide", "compose"):
        loop.continual("stage", stage)
    (found,) = [
        one
        for one in loop.json("data/work/ingest/ingested.json")["findings"]
        if one["rule"] == "grown window"
    ]
    assert found["severity"] == "error" and (found["count"], found["share"]) == (300, 1.0)
    assert "2024-01, which was known with 300 events" in found["sentence"]
    proposal = loop.json("data/work/decide/proposal.json")
    assert (proposal["action"], proposal["means"]) == ("inspect", "mend the data")
    assert loop.json("data/work/compose/composition.json")["sets"] == []


def test_no_cell_of_a_csv_for_people_is_a_formula(tmp_path):
    armed = ["=1+1", "+x", "-x", "@x", "\tx", "-7", "1", None]
    frame = pd.DataFrame({"event_id": armed, "label": "", "=cmd": range(8), "n": -1.5})
    path = tmp_path / "queue.csv"
    path.write_text(to_csv(frame))
    opened = pd.read_csv(path, dtype="str", keep_default_na=False)
    assert list(opened.columns) == ["event_id", "label", "'=cmd", "n"]
    assert list(opened["event_id"]) == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "-7", "1", ""]
    assert (opened["n"] == "-1.5").all()
    assert list(read(path)["event_id"]) == [*armed[:7], ""]  # answers find their events


def test_no_cell_of_a_csv_for_plots_is_a_formula(tmp_path):
    path = tmp_path / "columns.csv"
    _csv(path, ("column", "=effect"), [("\t=x", 0.5), ("@cmd", None), ("plain", -1.5)])
    assert path.read_text() == "column,'=effect\n'\t=x,0.5\n'@cmd,\nplain,-1.5\n"
