"Bad input is named: file, column, row, rule, and what to do; a window that is odd is an answer, never a crash."

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.ingest import delivered, ingest, snapshot
from continual_nb.core.params import Data, Ingest
from continual_nb.core.store import Store
from continual_nb.core.windows import Cadence, AsOf
from loop import begun, events, side_by_side


def stages(loop, *names, code: int = 0):
    "Run single stages in order; the last one ends with `code`."
    said = [loop.continual("stage", name, code=code if name == names[-1] else 0) for name in names]
    return said[-1].err


# -- what stops at once --------------------------------------------------------------------------------
def test_a_missing_file(born, copy):
    loop = copy(born)
    loop.source.unlink()
    for words in (("stage", "snapshot"), ("open", "2024-02")):
        said = loop.continual(*words, code=1).err
        assert (
            "no file matches '../source/events.parquet'" in said
            and "mend data.source in params.yaml" in said
        )


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("amount", "data.numeric"),
        ("region", "data.categorical"),
        ("bad", "data.label"),
        ("when", "data.time"),
        ("id", "data.id"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(born, copy, column, key):
    loop = copy(born)
    loop.deliver(events().rename(columns={column: f"{column}s"}))
    said = stages(loop, "snapshot", code=1)
    assert (
        f"../source/events.parquet has no column {column!r} ({key})" in said
        and f"did you mean '{column}s'?" in said
        and "params.yaml" in said
    )


def test_init_on_a_missing_file_or_column_makes_no_project(born, tmp_path):
    events(1, 60).to_csv(tmp_path / "events.csv", index=False)
    for words, told in (
        (
            ("--data", "event.csv", "--time", "when", "--label", "bad"),
            "no file matches 'event.csv'",
        ),
        (("--data", "events.csv", "--time", "when", "--label", "bat"), "did you mean 'bad'?"),
        (("--data", "events.csv", "--time", "note", "--label", "bad"), "of 'note' are no times"),
        (("--data", "events.csv", "--time", "when"), "name the two columns"),
    ):
        said = born.run("continual", "init", "made", *words, where=tmp_path, code=1)
        assert (
            told in said.err.replace("../", "")
            and "what to do" in said.err
            and "Traceback" not in said.err
        ), said.err
        assert not (tmp_path / "made").exists()


def test_one_id_for_two_different_rows_blocks_and_names_the_ids(born, copy):
    loop, frame = copy(born), events()
    loop.deliver(pd.concat([frame, frame.iloc[[3, 8]].assign(amount=99.0)], ignore_index=True))
    said = stages(loop, "snapshot", code=4)
    assert "2 ids name different rows: e1-003, e1-008" in said and "data.id" in said


def test_the_same_row_twice_is_dropped_and_counted(born, turned, copy):
    loop, frame = copy(born), events()
    loop.deliver(pd.concat([frame, frame.iloc[[3, 8]]], ignore_index=True))
    stages(loop, "snapshot", "ingest")
    ingested = loop.json("data/work/ingest/ingested.json")
    assert (ingested["new_events"], ingested["duplicates"]) == (300, 2)
    assert "2 rows were delivered twice" in str(ingested["findings"])
    assert (
        loop.bytes("data/work/ingest")["data/work/ingest/events.parquet"]
        == turned.bytes("data/work/ingest")["data/work/ingest/events.parquet"]
    )


def as_csv(loop, frame) -> None:
    frame.to_csv(loop.source.with_suffix(".csv"), index=False)
    loop.set(source="../source/events.csv")


def test_many_unreadable_times_block_and_the_first_row_is_named(born, copy):
    loop, frame = copy(born), events()
    frame["when"] = frame["when"].astype("str")
    frame.loc[frame.index[::9], "when"] = "soon"
    as_csv(loop, frame)
    said = stages(loop, "snapshot", "ingest", code=4)
    assert (
        "cannot be placed, the first is row 2 (when: not a time)" in said
        and "ingest.max_bad_share" in said
    )


def test_a_few_unreadable_times_are_kept_in_quarantine_once(born, copy):
    frame = events()
    frame["when"] = frame["when"].astype("str")
    bad = frame.index[5::34]  # 3 % of every delivery
    frame.loc[bad, "when"] = "soon"
    loop = copy(born)
    as_csv(loop, frame[frame["id"].str.startswith("e1")])
    stages(loop, "snapshot", "ingest")
    ingested, kept = (
        loop.json("data/work/ingest/ingested.json"),
        pd.read_parquet(loop.path("data/work/ingest/quarantine.parquet")),
    )
    assert (
        ingested["quarantined"] == len(kept) == 9
        and kept["row"].tolist() == [int(n) + 2 for n in bad[:9]]
        and set(kept["reason"]) == {"when: not a time"}
    )
    assert "9 rows cannot be placed in time" in str(ingested["findings"])
    loop = copy(
        born, "all at once"
    )  # the bad rows of later windows are no reason to stop at the first
    as_csv(loop, frame)
    stages(loop, "snapshot", "ingest")


def test_a_row_is_put_in_quarantine_once():
    data = Data(
        source="events", time="when", id="id", label="bad", label_time="known", numeric=("amount",)
    )
    frame, cadence = events(2), Cadence("month")
    frame["when"] = frame["when"].astype("str")
    frame.loc[0, "when"] = "soon"
    moments = [
        AsOf(number, cadence.window(name), cadence.window(name).end, cadence)
        for number, name in ((1, "2024-01"), (2, "2024-02"))
    ]
    first = snapshot(delivered(frame, data), data, cadence, Store((), None), moments[0].as_of)
    partition, files, _ = ingest(first, data, Ingest(), moments[0])
    assert len(files["quarantine.parquet"]) == 1
    store = Store(
        (partition,), lambda _, file, columns: files[file][columns] if columns else files[file]
    )
    more = pd.concat([frame, frame.iloc[[0]].assign(id="new", when="later")], ignore_index=True)
    second = snapshot(delivered(more, data), data, cadence, store, moments[1].as_of)
    assert second.rejected["event_id"].tolist() == ["new"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "  min_effect:",
            "  min_efect:",
            "unknown key 'monitor.min_efect'\n  what to do: did you mean 'min_effect'?",
        ),
        ("compose:", "composes:", "unknown key 'composes'\n  what to do: did you mean 'compose'?"),
        ("  alpha: 0.05", "  alpha: 5", "monitor.alpha: Input should be less than 1"),
        ("  bins: 10", "  bins: ten", "monitor.bins"),
    ],
)
def test_a_wrong_key_or_value_in_params_is_named(turned, copy, old, new, told):
    loop = copy(turned)
    text = loop.path("params.yaml").read_text()
    assert text.count(f"\n{old}") == 1
    loop.path("params.yaml").write_text(text.replace(f"\n{old}", f"\n{new}"))
    for words in (("status",), ("stage", "monitor")):
        said = loop.continual(*words, code=1).err
        assert "params.yaml" in said and told in said, said


def test_naive_and_zoned_times_mean_the_same_moment(born, copy):
    frame = events(1)
    local = frame["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Kathmandu")
    ways = {
        "zoned": local.map(lambda time: time.isoformat()),
        "naive": local.dt.tz_localize(None).astype("str"),
    }
    ways["mixed"] = ways["zoned"].where(np.arange(len(frame)) % 2 == 0, ways["naive"])
    loops = {way: copy(born, way) for way in ways}
    for way, loop in loops.items():
        loop.set(timezone="Asia/Kathmandu")
        as_csv(
            loop,
            frame.assign(
                when=ways[way],
                known=frame["known"].dt.tz_localize("UTC").map(lambda time: time.isoformat()),
            ),
        )
    side_by_side(*(lambda loop=loop: stages(loop, "snapshot", "ingest") for loop in loops.values()))
    for way, loop in loops.items():
        rows = pd.read_parquet(loop.path("data/work/ingest/events.parquet")).set_index("event_id")[
            "event_time"
        ]
        assert (way, len(rows)) == (way, 300)
        assert (
            rows.loc[frame["id"]].reset_index(drop=True) == frame["when"].dt.tz_localize("UTC")
        ).all(), way


# -- windows that are odd ------------------------------------------------------------------------------
def hurt(frame: pd.DataFrame) -> pd.DataFrame:
    "February: `age` gone, `amount` partly infinite and partly words, regions that nobody has seen."
    february = frame["when"].dt.month == 2
    frame["amount"] = frame["amount"].astype(object)
    frame.loc[february, "age"] = np.nan
    frame.loc[frame.index[february][:10], "amount"] = np.inf
    frame.loc[frame.index[february][10:14], "amount"] = "a lot"
    frame.loc[frame.index[february][:150], "region"] = "<script>alert(1)</script>"
    frame["amount"] = frame["amount"].astype(str)
    return frame


def unlabelled(frame):
    return frame.assign(
        bad=frame["bad"].astype("Int64").mask(frame["when"].dt.month == 2),
        known=frame["known"].mask(frame["when"].dt.month == 2),
    )


def one_row(frame):
    return pd.concat(
        [frame[frame["when"].dt.month != 2], frame[frame["when"].dt.month == 2].head(1)],
        ignore_index=True,
    )


def empty(frame):
    return frame[frame["when"].dt.month != 2]


WINDOWS = (hurt, unlabelled, one_row, empty)


@pytest.fixture(scope="module")
def odd(sealed, world):
    "The second iteration on each of the odd windows."

    def turned(change):
        loop = sealed.copy(world / f"odd {change.__name__}")
        loop.deliver(change(events()))
        loop.continual("open", "2024-02")
        loop.dvc("repro")
        return loop

    return dict(
        zip(WINDOWS, side_by_side(*(lambda change=change: turned(change) for change in WINDOWS)))
    )


@pytest.mark.parametrize("change", WINDOWS)
def test_an_odd_window_is_an_answer_and_the_champion_stays(odd, sealed, change):
    loop = odd[change]
    outcome = loop.json("data/work/promote/outcome.json")
    champion = sealed.json("data/state/out/state.json")["champion"]
    assert (
        outcome["answer"] == "pending"
        and outcome["champion"] == champion == loop.json("data/state/out/state.json")["champion"]
    )
    assert loop.path("data/work/report/report.html").stat().st_size > 10_000
    assert (
        outcome["verdict"]
        and "nan" not in loop.path("data/work/report/report.html").read_text().lower().split()
    )


def test_broken_columns_are_findings(odd):
    loop = odd[hurt]
    found = {
        (finding["column"], finding["rule"]): finding["count"]
        for finding in loop.json("data/work/ingest/ingested.json")["findings"]
    }
    assert (
        found["age", "all missing"] == 300
        and found["amount", "infinite"] == 10
        and found["amount", "not a number"] == 4
    )
    columns = {
        column["column"]: column["verdict"]
        for column in loop.json("data/work/monitor/monitoring.json")["columns"]
    }
    assert columns["region"] == "drifted"
    proposal = loop.json("data/work/decide/proposal.json")
    assert proposal["action"] != "continue"
    page = loop.path("data/work/report/report.html").read_text()
    assert "age is missing in every new row" in page and "<script>alert(1)" not in page


@pytest.mark.parametrize(
    ("change", "rows", "answer"),
    [(unlabelled, 300, "watched"), (one_row, 1, "watched"), (empty, 0, "no data")],
)
def test_too_little_is_said_to_be_too_little(odd, change, rows, answer):
    loop = odd[change]
    monitoring, proposal = (
        loop.json("data/work/monitor/monitoring.json"),
        loop.json("data/work/decide/proposal.json"),
    )
    assert (
        loop.json("data/work/ingest/ingested.json")["rows"],
        monitoring["rows"],
        monitoring["answer"],
    ) == (rows, rows, answer)
    performance = monitoring["performance"]
    assert performance is None or (
        performance["rows"],
        performance["loss_low"],
        performance["skill"],
    ) == (1, None, None)
    assert (
        proposal["action"] in ("continue", "inspect")
        and loop.json("data/work/evaluate/evaluation.json")["answer"] != "promote"
    )
    if rows < 30:
        assert {column["verdict"] for column in monitoring["columns"]} <= {
            "inconclusive",
            "not testable",
        }


def test_a_first_window_of_one_class_gives_no_champion_and_says_why(born, copy):
    loop, frame = copy(born), events()
    loop.deliver(frame.assign(bad=frame["bad"].where(frame["when"].dt.month > 1, 0)))
    loop.dvc("repro")
    outcome = loop.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["champion"], outcome["recommendation"]["do"]) == (
        "pending",
        None,
        "keep",
    )
    assert "class" in loop.path("data/work/report/report.html").read_text()
    assert "class" in outcome["verdict"] + str(
        loop.json("data/work/evaluate/evaluation.json")["reason"]
    ) + str(loop.json("data/work/train/training.json"))


def test_a_project_can_begin_without_any_label(tmp_path):
    frame = events(2)
    loop = begun(
        tmp_path / "none",
        frame.assign(known=frame["known"] + pd.Timedelta(days=300)),
        "--start",
        "2024-01",
    )
    loop.dvc("repro", "promote")
    outcome = loop.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["champion"], outcome["recommendation"]["do"]) == (
        "pending",
        None,
        "keep",
    )
