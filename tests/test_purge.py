"""Rows erased through the real command line: all others stay, and the record still closes."""

import json
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.files import sha256, write_parquet
from continual_nb.core.ingest import delivered, ingest, snapshot
from continual_nb.core.ledger import spell
from continual_nb.core.params import Data, Ingest
from continual_nb.core.state import read_state, write_state
from continual_nb.core.store import NOTHING, Store
from continual_nb.core.tombstones import PURGED, cut_partitions, read_tombstones
from continual_nb.core.windows import AsOf, Cadence
from continual_nb.loop.purge import csv_without
from loop import Loop, side_by_side
from stations import made

BY = ("--by", "continual", "--reason", "Asked by the person.")
ROWS = ("e1-003", "e1-010")
PURGE = ("forget", *ROWS, "--purge")


def golden(loop: Loop, row: str) -> str:
    "Golden rows as a person writes them: that of an event, and one that nobody has."
    event = pd.read_parquet(loop.source).set_index("id").loc[row]
    values = {name: event[name] for name in ("amount", "age", "region", "note")}
    values = {name: v if isinstance(v, str) else float(v) for name, v in values.items()}
    rows = [{**values, "bad": int(event["bad"])}, {**values, "amount": 99.5, "bad": 0}]
    return f"behaviour:\n- id: ours\n  type: golden  # of last year\n  rows: {json.dumps(rows)}\n"


@pytest.fixture(scope="module")
def shown(opened, world):
    "The second iteration is open, rows are on every list, and the dry run was looked at."

    def make(place):
        loop = opened.copy(place)
        loop.path("data/labels").mkdir(exist_ok=True)
        lines = "event_id,label,by\r\ne1-003,1,Ana\r\ne1-004,0,Ana\r\n"
        loop.path("data/labels/001-2024-01.csv").write_bytes(lines.encode())
        loop.continual("labels", "status")
        loop.continual("forget", *ROWS, "e1-020", "--by", "Ana", "--reason", "first left out")
        loop.continual("mark", "golden", "e1-003", "e1-021", "--by", "Ana", "--reason", "sure")
        suite = loop.path("expectations.yaml")
        suite.write_text(suite.read_text() + golden(loop, "e1-003"))
        before = loop.everything()
        (loop.home / "said.txt").write_text(loop.continual(*PURGE).out)
        assert loop.everything() == before

    return made(world, "shown", make)


@pytest.fixture(scope="module")
def erased(shown, world):
    "The rows are erased."
    return made(world, "erased", lambda place: shown.copy(place).continual(*PURGE, *BY))


def tables(loop: Loop) -> dict[str, pd.DataFrame]:
    files = [
        *loop.path("data/store").rglob("*.parquet"),
        *loop.path("data/arrival").glob("*.parquet"),
    ]
    return {str(file.relative_to(loop.root)): pd.read_parquet(file) for file in files}


def naming(loop: Loop, row: str) -> list[str]:
    "Files outside Git whose bytes hold an id, Parquet opened; sealed pages are Git's."
    found = []
    for file in (p for p in loop.root.rglob("*") if p.is_file()):
        name = str(file.relative_to(loop.root))
        content = file.read_bytes()
        if content[:4] == b"PAR1":
            content = pd.read_parquet(file).to_csv().encode()
        if row.encode() in content and not name.startswith((".git/", "reports/")):
            found.append(name)
    return found


def test_the_rows_are_gone_and_every_other_row_stays(shown, erased):
    said = (shown.home / "said.txt").read_text()
    for word in (
        "events.parquet: 2 rows would be taken out",
        "no longer reproduced: 001-2024-01: ",
        "a model has learned from them: 001-2024-01:",
        "not reached: the source ../source/events.parquet",
        "nothing is changed yet",
    ):
        assert word in said
    before, after = tables(shown), tables(erased)
    assert before.keys() == after.keys()
    for name, frame in before.items():
        rest = frame[~frame["event_id"].isin(ROWS)].reset_index(drop=True)
        pd.testing.assert_frame_equal(after[name], rest)
    assert [naming(erased, row) for row in ROWS] == [[], []]
    assert "e1-020" in erased.path("data/forgotten.jsonl").read_text()
    assert "e1-021" in erased.path("data/marks.jsonl").read_text(), "other rows stay marked"
    assert erased.path("data/labels/001-2024-01.csv").read_bytes().endswith(b"\r\ne1-004,0,Ana\r\n")
    suite = erased.path("expectations.yaml").read_text()
    assert (
        suite.count('"amount"') == shown.path("expectations.yaml").read_text().count('"amount"') - 1
    )
    assert "99.5" in suite and "# of last year" in suite
    (stone,) = read_tombstones(erased.root)
    assert (stone["by"], stone["reason"], len(stone["ids"])) == (BY[1], BY[3], 2)
    for name, link in stone["files"].items():
        assert [link["before"], link["after"]] == [sha256(l.path(name)) for l in (shown, erased)]


def test_the_record_closes_and_a_source_that_still_delivers_them_is_stopped(erased, copy):
    loop = copy(erased)
    assert "1  tombstones of purged rows" in loop.continual("verify").out
    assert (
        "they were erased before"
        in loop.continual(*PURGE, *BY, code=2).out + loop.continual(*PURGE, *BY).out
    )
    assert "holds an event 'nobody'" in loop.continual("forget", "nobody", "--purge", code=1).err
    loop.dvc("repro", "evaluate")
    loop.continual("sign", "defer", "--by", "continual", "--reason", "later")
    assert "signed on evidence" in loop.continual(*PURGE, *BY, code=3).err
    loop.dvc("repro")
    loop.continual("seal")
    assert PURGED in loop.git("ls-files", "data")
    assert "is sealed and never changes" in loop.continual(*PURGE, *BY, code=1).err
    loop.continual("open")
    assert "everything fits" in loop.continual("verify").out
    assert loop.json("data/arrival/arrival.json")["purged"] == 2
    assert not set(ROWS) & {row for t in tables(loop).values() for row in t["event_id"]}
    lines = loop.path(PURGED).read_text()
    loop.path(PURGED).write_text("")
    assert "a tombstone was removed" in loop.continual("verify", code=5).err
    loop.path(PURGED).write_text(lines.replace("Asked", "Bsked"))
    assert "a tombstone was removed or rewritten" in loop.continual("verify", code=5).err


def by_hand(loop: Loop, row: str) -> None:
    "Take a row out of partition, manifest and pointer, as a skilled forger would."
    folder = loop.path("data/state/in")
    state = read_state(folder)
    (partition,) = state.partitions
    file = loop.path(f"data/store/{partition.name}/events.parquet")
    frame = pd.read_parquet(file)
    write_parquet(file, frame[frame["event_id"] != row])
    hashes = {**partition.hashes, "events.parquet": sha256(file)}
    write_state(
        replace(state, partitions=(partition.model_copy(update={"hashes": hashes}),)), folder
    )
    loop.dvc("add", "data/state/in", "data/store")


def test_forgeries_are_named(shown, erased, copy):
    loop = copy(erased)
    (stone,) = read_tombstones(loop.root)
    loop.path(PURGED).write_text(spell({**stone, "chain": "f" * 64}) + "\n")
    assert "does not follow" in loop.continual("verify", code=5).err
    loop.path(PURGED).write_text(spell({k: v for k, v in stone.items() if k != "salt"}) + "\n")
    assert "is no tombstone" in loop.continual("verify", code=5).err
    loop.path(PURGED).unlink()
    assert "no tombstone says why" in loop.continual("verify", code=5).err
    other = copy(shown, "other")
    by_hand(other, "e1-007")
    assert "no tombstone says why" in other.continual("verify", code=5).err


CASES = [
    ("kill", "store/001-2024-01/events.parquet"),  # while the new files are written
    ("kill", "tmp/continual/purge.json"),  # before the note that decides
    ("kill_after", "tmp/continual/purge.json"),
    ("kill_after", "in/state.json"),
    ("kill_after", "dvc add"),
]


def killed(loop: Loop, what: str, at: str) -> str:
    "Kill a purge, look, run it again; returns what went wrong."
    before = loop.everything()
    loop.continual(*PURGE, *BY, code=-signal.SIGKILL, **loop.fault(what, "forget", at=at))
    decided = loop.path(".dvc/tmp/continual/purge.json").exists()
    if not decided and loop.everything() != before:
        return "it changed something before it was decided"
    if decided and "a purge was interrupted" not in loop.continual("stage", "ingest", code=5).err:
        return "a stage ran in between"
    said = loop.continual(*PURGE, *BY, code=None)
    if decided != ("finished a purge" in said.err):
        return said.all
    return "" if decided or said.code == 0 else said.all


def test_killed_at_any_step_it_is_done_or_not(shown, erased, copy):
    loops = [copy(shown, f"{n}") for n, _ in enumerate(CASES)]
    calls = [lambda c=case, one=loop: killed(one, *c) for case, loop in zip(CASES, loops)]
    assert side_by_side(*calls) == [""] * len(CASES)
    end = {k: v for k, v in erased.everything().items() if k != PURGED}
    for loop in loops:
        assert {k: v for k, v in loop.everything().items() if k != PURGED} == end
        assert len(read_tombstones(loop.root)) == 1


# -- the core ------------------------------------------------------------------------------------------
DATA = Data(source="-", time="t", label="y", id="k", numeric=("x",), categorical=("c",))
CADENCE = Cadence("month", "UTC")


def stored(deliveries: list[pd.DataFrame]) -> Store:
    "Fold deliveries into a store, one a month."
    frames: dict = {}
    store = Store(
        (),
        lambda p, file, cols: (
            frames[p.name, file].reindex(columns=cols) if cols else frames[p.name, file]
        ),
    )
    for month, raw in enumerate(deliveries, start=2):
        end = pd.Timestamp(2024, month + 1, 1, tz="UTC").as_unit("us")
        moment = AsOf(month, CADENCE.window(f"2024-{month:02d}"), end, CADENCE)
        arrival = snapshot(delivered(raw, DATA), DATA, CADENCE, store, end)
        partition, files, _ = ingest(arrival, DATA, Ingest(corrections="take"), moment)
        partition = partition.model_copy(update={"hashes": dict.fromkeys(files, "")})
        frames |= {(partition.name, file): frame for file, frame in files.items()}
        store = replace(store, partitions=(*store.partitions, partition))
    return store


def deliveries(seed: int) -> list[pd.DataFrame]:
    "Three deliveries: rows come late, are corrected, moved by hours, relabelled and withdrawn."
    draw = np.random.default_rng(seed)
    n = 60
    raw = pd.DataFrame(
        {
            "k": [f"e{i}" for i in range(n)],
            "x": draw.normal(size=n),
            "c": draw.choice(["a", "b"], n),
            "y": draw.choice(["0", "1"], n),
        }
    )
    raw["t"] = pd.Timestamp("2024-01-20") + pd.to_timedelta(draw.integers(0, 60 * 24, n), unit="h")
    made = [raw]
    for _ in range(2):
        raw = raw.copy()
        raw.loc[draw.choice(n, 6), "x"] += 1
        raw.loc[draw.choice(n, 4), "t"] += pd.Timedelta(5, "h")
        raw.loc[draw.choice(n, 4), "y"] = "1"
        made.append(raw)
    return [
        one.sample(frac=0.9, random_state=seed) if at == 0 else one for at, one in enumerate(made)
    ]


def plain(marks: dict) -> dict:
    "Fingerprints that say something; no content is no content, whatever its columns."
    bare = {
        name: mark.model_copy(
            update={"content": NOTHING.content if set(mark.content[8:]) == {"0"} else mark.content}
        )
        for name, mark in marks.items()
    }
    return {name: mark for name, mark in bare.items() if mark != NOTHING}


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 59), min_size=1, max_size=8))
def test_fingerprints_and_counts_are_those_of_a_history_that_never_had_the_rows(seed, gone):
    ids, parts = {f"e{i}" for i in gone}, deliveries(seed)
    full, never = stored(parts), stored([part[~part["k"].isin(ids)] for part in parts])
    cuts = {cut.partition.name: cut for cut in cut_partitions(full, ids, DATA, CADENCE.names)}
    for partition, other in zip(full.partitions, never.partitions):
        cut = cuts.get(partition.name)
        left = cut.partition if cut else partition
        assert plain(left.prints) == plain(other.prints)
        for name in ("events", "labels", "quarantined", "corrections", "spans"):
            assert getattr(left, name) == getattr(other, name), name


@given(
    st.lists(
        st.tuples(st.text("ab\"\n,;'", max_size=4), st.sampled_from(["e1", "e2", "e3"])), max_size=8
    ),
    st.sampled_from(",;\t"),
)
def test_other_lines_of_a_label_file_stay_as_they_are(rows, mark):
    cell = lambda text: '"' + text.replace('"', '""') + '"'
    lines = [f"{cell(note)}{mark}{event}\r\n" for note, event in rows]
    head = f"note{mark}event_id\r\n"
    text, left = csv_without(head + "".join(lines), {"e2"})
    kept = [line for line, (_, event) in zip(lines, rows) if event != "e2"]
    assert text == head + "".join(kept) and left == len(lines) - len(kept)
