"A source that corrects, withdraws or deletes what is known: counted, told, and taken where that is asked for."

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import Memory
from continual_nb.core.ingest import delivered, ingest, snapshot, summarise
from continual_nb.core.params import Params, read_yaml
from continual_nb.core.state import State
from continual_nb.core.store import NOTHING, rows_as_of
from continual_nb.core.windows import AsOf, Cadence
from loop import events

ABOUT = dict(
    source="x",
    time="when",
    id="id",
    label="bad",
    label_time="known",
    numeric=["amount", "age"],
    categorical=["region"],
    text=["note"],
)


class Looks:
    "Looks at a source at the end of each month, one after the other."

    def __init__(self, corrections: str = "keep"):
        about = {"data": ABOUT, "ingest": {"corrections": corrections}}
        self.params = Params.model_validate(about)
        self.memory, self.partitions, self.number = Memory(), (), 0
        self.cadence = Cadence("month")

    def at(self, frame: pd.DataFrame, window: str):
        "Return what a look at the end of a window finds, by rule."
        self.number += 1
        data, span = self.params.data, self.cadence.window(window)
        moment = AsOf(self.number, span, span.end, self.cadence)
        store = self.memory.store(self.partitions)
        arrival = snapshot(delivered(frame, data), data, self.cadence, store, span.end)
        partition, files, found = ingest(arrival, data, self.params.ingest, moment)
        self.memory.frames[partition.name] = files
        self.partitions = (*self.partitions, partition)
        whole = self.memory.store(self.partitions)
        self.told = summarise(self.params, moment, whole, arrival, partition, found)
        return {f.rule: f for f in self.told.findings}

    def rows(self, as_of: str | None = None, *window: str) -> pd.DataFrame:
        "Return what is known as of a moment, by id."
        moment = pd.Timestamp(as_of or self.partitions[-1].as_of)
        span = self.cadence.window(window[0]) if window else None
        limits = (span.start, span.end) if span else ()
        store = self.memory.store(self.partitions)
        found = rows_as_of(store, self.params.data, self.cadence, moment, *limits)
        return found.set_index("event_id")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return events(3, 200)


def test_what_comes_back_as_it_was_is_no_finding(frame):
    looks = Looks("take")
    looks.at(frame, "2024-01")
    assert looks.at(frame.sample(frac=1, random_state=3), "2024-02") == {}
    again = frame.assign(amount=frame["amount"] * (1 + 1e-12))
    assert looks.at(again, "2024-03") == {}
    assert looks.partitions[-1].corrections == 0


@pytest.mark.parametrize("corrections", ["keep", "take"])
def test_changed_features_are_counted_and_kept_or_taken(frame, corrections):
    looks, other = Looks(corrections), frame.copy()
    looks.at(frame, "2024-01")
    other.loc[:59, "amount"] += 1000
    other.loc[50:69, "region"] = "west"
    told = looks.at(other, "2024-02")["changed rows"]
    assert told.count == 70 and f"ingest.corrections: {corrections}" in told.sentence
    now, then = looks.rows(), looks.rows("2024-02-01T00:00Z")
    first = now.loc[other["id"][:200]]
    wanted = other if corrections == "take" else frame
    assert np.allclose(first["amount"], wanted["amount"][:200])
    assert (first["region"].to_numpy() == wanted["region"][:200].to_numpy()).all()
    assert np.allclose(then.loc[frame["id"][:200], "amount"], frame["amount"][:200])
    assert len(now) == now.index.nunique() == 400
    third = looks.at(other, "2024-03")  # what was taken is no news; what was not stays one
    assert ("changed rows" in third) == (corrections == "keep")
    assert "grown window" not in third


@pytest.mark.parametrize("corrections", ["keep", "take"])
def test_times_that_move_by_an_hour(frame, corrections):
    frame = frame.copy()
    frame.loc[199, "when"] = pd.Timestamp("2024-01-31 23:30")
    looks, other = Looks(corrections), frame.copy()
    looks.at(frame, "2024-01")
    other["when"] = frame["when"] + pd.Timedelta(1, "h")
    told = looks.at(other, "2024-02")
    assert told["moved rows"].count == 200 and "rows gone" not in told
    assert looks.rows().index.is_unique and len(looks.rows()) == 400
    january = {"keep": 200, "take": 199}[corrections]
    assert len(looks.rows(None, "2024-01")) == january
    assert len(looks.rows(None, "2024-02")) == 400 - january
    total = sum((p.prints.get("2024-02", NOTHING).rows for p in looks.partitions), 0)
    assert total == 400 - january
    third = looks.at(other, "2024-03")
    assert ("moved rows" in third) == (corrections == "keep")


@pytest.mark.parametrize("corrections", ["keep", "take"])
def test_labels_that_are_withdrawn(frame, corrections):
    looks, other = Looks(corrections), frame.copy()
    looks.at(frame, "2024-01")
    known = looks.rows()["label"].dropna().index[:30]
    other["bad"] = frame["bad"].astype("float64").mask(frame["id"].isin(known))
    told = looks.at(other, "2024-02")["withdrawn labels"]
    assert told.count == 30
    left = looks.rows().loc[known, "label"]
    assert left.isna().all() if corrections == "take" else left.notna().all()
    third = looks.at(frame, "2024-03")  # they come back
    assert "withdrawn labels" not in third and looks.rows().loc[known, "label"].notna().all()


def test_rows_that_are_delivered_no_more(frame):
    looks = Looks()
    looks.at(frame, "2024-01")
    told = looks.at(frame.drop(index=range(100, 125)), "2024-02")["rows gone"]
    assert told.count == 25 and "`continual forget ID`" in told.sentence
    assert len(looks.rows()) == 400
    old = frame[frame["when"] >= "2024-02"]  # an extract that begins later has deleted nothing
    assert "rows gone" not in looks.at(old, "2024-03")


def test_another_list_of_features_is_no_correction(frame):
    looks = Looks("take")
    looks.at(frame, "2024-01")
    about = {**ABOUT, "numeric": ["amount"]}
    looks.params = looks.params.model_copy(update={"data": type(looks.params.data)(**about)})
    assert looks.at(frame, "2024-02") == {}


def test_an_empty_history_has_nothing_to_correct():
    assert State().partitions == () and (NOTHING - NOTHING) == NOTHING


def test_the_stages_say_what_is_used(sealed, copy):
    loop, frame = copy(sealed), events()
    frame.loc[:59, "amount"] += 1000
    loop.deliver(frame.drop(index=[70, 71]))
    loop.continual("open")
    loop.dvc("repro", "ingest")
    told = {f["rule"]: f for f in loop.json("data/work/ingest/ingested.json")["findings"]}
    assert told["changed rows"]["count"] == 60 and told["rows gone"]["count"] == 2
    assert (
        "the stored values stay in use (ingest.corrections: keep)"
        in (told["changed rows"]["sentence"])
    )
    loop.set(corrections="take")
    loop.dvc("repro", "ingest")
    ingested = loop.json("data/work/ingest/ingested.json")
    told = {f["rule"]: f["sentence"] for f in ingested["findings"]}
    assert "the new ones are used from now on" in told["changed rows"]
    assert ingested["partition"]["corrections"] == 60
    assert read_yaml(loop.path("params.yaml"))["ingest"]["corrections"] == "take"
