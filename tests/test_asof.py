"What an iteration cannot have known does not exist for it; what comes late counts from the next look on, beside what was said before."

import json
import re

import pandas as pd
import pytest

from loop import events, signed

FIRST = pd.Timestamp("2024-02-01")  # the moment of the first iteration


def test_what_becomes_known_later_changes_no_byte(born, turned, copy):
    loop, frame = copy(born), events()
    later = frame["known"] > FIRST
    assert (
        0 < (later & (frame["when"] < FIRST)).sum() < 30
    )  # labels of the first window that were not known by its end
    frame.loc[later, "bad"] = 1 - frame.loc[later, "bad"]
    future = frame["when"] >= FIRST
    frame.loc[future, "amount"] *= 100
    loop.deliver(
        pd.concat(
            [frame, frame[future].assign(id=lambda rows: rows["id"] + "b")], ignore_index=True
        )
    )
    loop.dvc("repro")
    assert loop.bytes() == turned.bytes()


def test_the_test_above_would_see_a_leak(born, turned, copy):
    loop, frame = copy(born), events()
    known = frame.index[frame["known"] <= FIRST][-1]
    frame.loc[known, "bad"] = 1 - frame.loc[known, "bad"]
    loop.deliver(frame)
    loop.dvc("repro", "ingest")
    assert loop.bytes("data/work/ingest") != turned.bytes("data/work/ingest")


def test_late_events_and_corrected_labels_enter_the_next_iteration(sealed, copy):
    loop, frame = copy(sealed), events()
    before = loop.bytes("reports"), loop.bytes("data/work/ingest")
    january = frame[frame["when"] < FIRST]
    new = january.head(5).assign(id=[f"late-{n}" for n in range(5)])
    corrected = january[january["known"] <= FIRST].index[10:17]
    frame.loc[corrected, "bad"] = 1 - frame.loc[corrected, "bad"]
    loop.deliver(pd.concat([frame, new], ignore_index=True))
    loop.continual("open")
    arrival = loop.json("data/arrival/arrival.json")
    assert (arrival["events"], arrival["late_events"], arrival["corrected"]) == (305, 5, 7)
    loop.dvc("repro", "ingest")
    ingested = loop.json("data/work/ingest/ingested.json")
    windows = {name: (rows, labels) for name, rows, labels in ingested["by_window"]}
    late_labels = (january["known"] > FIRST).sum() - (
        january["known"] > pd.Timestamp("2024-03-01")
    ).sum()
    assert windows["2024-01"] == (5, 5 + 7 + late_labels) and windows["2024-02"][0] == 300
    assert {"late events", "corrected labels"} <= {
        finding["rule"] for finding in ingested["findings"]
    }
    told = pd.concat(
        [
            pd.read_parquet(loop.path(f"{folder}/labels.parquet"))
            for folder in ("data/store/001-2024-01", "data/work/ingest")
        ]
    )
    changed = told[told["event_id"].isin(frame.loc[corrected, "id"])]
    assert len(changed) == 14  # the older answers are kept
    assert (
        loop.bytes("reports"),
        loop.bytes("data/store/001-2024-01").keys() & {"data/store/001-2024-01/events.parquet"},
    ) == (before[0], {"data/store/001-2024-01/events.parquet"})
    assert {
        name.replace("data/store/001-2024-01", "data/work/ingest"): digest
        for name, digest in loop.bytes("data/store/001-2024-01").items()
    }.items() <= before[1].items()


def test_the_corrected_label_is_the_one_that_counts(sealed, copy):
    loop, frame = copy(sealed), events()
    event = frame[frame["known"] <= FIRST].iloc[20]
    frame.loc[frame["id"] == event["id"], "bad"] = 1 - event["bad"]
    loop.deliver(frame)
    loop.continual("open")
    assert loop.json("data/arrival/arrival.json")["corrected"] == 1
    loop.dvc("repro", "ingest")
    loop.dvc("repro", "--single-item", "monitor")
    loop.path("data/steer.yaml").write_text(
        "action: improve\nby: Ada\nreason: To see the sets.\ntarget: null\n"
    )
    loop.dvc("repro", "compose")
    rows = pd.read_parquet(loop.path("data/work/compose/sets/refit_all.parquet"))
    assert rows.loc[rows["event_id"] == event["id"], "label"].tolist() == [str(1 - event["bad"])]


def test_a_source_that_changes_after_open_changes_nothing_in_that_iteration(opened, copy):
    loop = copy(opened)
    loop.dvc("repro", "ingest")
    before = loop.bytes("dvc.lock", "data/arrival", "data/work/ingest")
    frame = events()
    loop.deliver(frame.assign(bad=1 - frame["bad"], amount=0.0).iloc[::2])
    assert "already taken" in loop.dvc("repro", "--force", "ingest").all
    assert loop.bytes("dvc.lock", "data/arrival", "data/work/ingest") == before
    loop.source.unlink()
    loop.dvc("repro", "--force", "ingest")
    assert loop.bytes("dvc.lock", "data/arrival", "data/work/ingest") == before


@pytest.fixture(scope="module")
def third(opened, world):
    "The champion was kept in the second iteration, so the third can look at February again."
    loop = signed(opened.copy(world / "third"), "reject", "Ada", "Not yet.")
    loop.continual("seal")
    loop.continual("open")
    loop.dvc("repro")
    return loop


def test_an_earlier_window_is_restated_beside_the_original(third):
    then = json.loads(third.path("reports/002-2024-02/evidence/monitoring.json").read_text())[
        "performance"
    ]
    again = {
        part["window"]: part for part in third.json("data/work/monitor/monitoring.json")["restated"]
    }["2024-02"]
    assert again["original"]["iteration"] == 2 and again["now"]["iteration"] == 3
    assert (
        again["original"]["metrics"]["loss"] == then["loss"]
        and again["original"]["metrics"]["rows"] == then["rows"]
    )
    assert (
        again["now"]["metrics"]["rows"] > then["rows"]
        and again["now"]["metrics"]["loss"] != then["loss"]
    )
    page = third.path("data/work/report/report.html").read_text()
    assert re.search(
        rf"2024-02 {again['now']['metrics']['loss']:.3f} [^;]*, first recorded as {then['loss']:.3f}",
        page,
    )
    assert third.git("diff", "--name-only", "iter/002-2024-02", "--", "reports") == ""
