"Labels that people give: asked for by the queue, filled in with an editor, known from the moment after they were asked."

import pandas as pd
import pytest

from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered, snapshot, with_answers
from continual_nb.core.params import Data
from continual_nb.core.store import Store
from continual_nb.core.windows import Cadence

DATA = Data(source="orders", time="when", label="y", label_time="known", id="id", numeric=("a",))
MONTHLY = Cadence("month")
RAW = pd.DataFrame([("e1", "2024-01-10", 1.0, None, None), ("e2", "2024-01-11", 1.0, "yes", "2024-01-12"), ("e3", "2024-01-12", 1.0, "no", "2024-03-05")], columns=["id", "when", "a", "y", "known"])


def said(*rows):
    frame = pd.DataFrame(rows, columns=["event_id", "label", "label_time"]).astype({"event_id": "str", "label": "str"})
    return frame.assign(label_time=pd.to_datetime(frame["label_time"], utc=True).astype("datetime64[us, UTC]"))


def known(answers, window):
    as_of = MONTHLY.window(window).end
    return snapshot(with_answers(delivered(RAW, DATA), answers, as_of), DATA, MONTHLY, Store((), None), as_of).labels.set_index("event_id")["label"].to_dict()


def test_an_answer_counts_from_its_moment_until_the_source_has_a_label():
    answers = said(("e1", "yes", "2024-02-01T00:00:00.000001"), ("e2", "no", "2024-02-01T00:00:00.000001"), ("e3", "yes", "2024-02-01T00:00:00.000001"))
    assert known(answers, "2024-01") == {"e2": "yes"}, "asked in January, known after it"
    assert known(answers, "2024-02") == {"e1": "yes", "e2": "yes", "e3": "yes"}, "what the source will say in March is not known in February"
    assert known(answers, "2024-03") == {"e1": "yes", "e2": "yes", "e3": "no"}, "the source has the last word"


def test_an_answer_that_is_no_class_is_refused_with_the_nearest_one():
    with pytest.raises(ContinualError, match="'yess' for event e1 is no class") as refused:
        known(said(("e1", "yess", "2024-02-01")), "2024-02")
    assert "did you mean 'yes'" in refused.value.remedy


def test_a_person_fills_in_the_queue_and_the_next_open_takes_it(approved, copy):
    loop = copy(approved)
    assert "0 are answered: data/labels/001-2024-01.csv" in loop.continual("labels").out
    path = loop.path("data/labels/001-2024-01.csv")
    asked = pd.read_csv(path, dtype="str", keep_default_na=False)
    assert len(asked) >= 5 and {"event_id", "reason", "amount", "label", "by"} <= set(asked) and (asked["amount"] != "").all()
    asked.loc[:2, ["label", "by"]] = ["1", "Ada"]
    asked.to_csv(path, index=False)
    assert "3 are answered" in loop.continual("labels").out, "called again, it keeps what is filled in"
    frame = pd.read_parquet(loop.source)
    frame.loc[frame["id"].isin(set(asked["event_id"])), ["bad", "known"]] = None  # the source never says
    loop.deliver(frame)
    loop.continual("seal")
    assert loop.git("status", "--porcelain") == "" and "labels" not in loop.git("ls-files", "data")
    loop.continual("open")
    labels = pd.read_parquet(loop.path("data/arrival/labels.parquet")).set_index("event_id")
    took = labels.loc[asked["event_id"][:3]]
    assert took["label"].tolist() == ["1"] * 3 and (took["label_time"] == pd.Timestamp("2024-02-01T00:00:00.000001", tz="UTC")).all()
    asked.loc[3, "label"] = "maybe"
    asked.to_csv(path, index=False)
    loop.path("data/arrival/arrival.json").unlink()
    assert "no class of the data" in loop.continual("stage", "snapshot", code=1).err
