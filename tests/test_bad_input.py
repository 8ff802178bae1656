"Bad input is named: file, column, row, rule, and what to do; a window that is odd is an answer, never a crash."

import json

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.ingest import delivered, ingest, snapshot
from continual_nb.core.params import Data, Ingest
from continual_nb.core.store import Store
from continual_nb.core.windows import Cadence, AsOf
from loop import Loop, begun, events, side_by_side, until


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


# -- other people's repositories -------------------------------------------------------------------------
INIT = ("--time", "when", "--label", "bad", "--id", "id", "--label-delay", "3d")


@pytest.fixture
def elsewhere(tmp_path):
    "Somebody's own repository, with a table in it."
    place = Loop(tmp_path / "home")
    place.root.mkdir(parents=True)
    events(1, 60).drop(columns="known").to_csv(place.root / "events.csv", index=False)
    place.git("init", "-q")
    return place


@pytest.mark.parametrize(
    ("rule", "folder", "told"),
    [
        ("data/", "shop", ".gitignore:1:data/"),
        ("*.zip", "shop", "data/code.zip"),
        ("reports/", ".", "reports/index.html"),
    ],
)
def test_a_rule_that_would_ignore_the_record_is_named_and_nothing_is_written(
    elsewhere, rule, folder, told
):
    elsewhere.path(".gitignore").write_text(f"{rule}\n")
    before = elsewhere.everything()
    words = ("init", folder, "--data", "events.csv", *INIT)
    said = elsewhere.continual(*words, code=1).err
    assert "Git would ignore" in said and told in said and "take that line out" in said
    assert elsewhere.everything() == before
    elsewhere.path(".gitignore").write_text(f"/{rule}\n" if folder == "shop" else "")
    if rule == "data/":
        elsewhere.continual(*words)


def test_git_that_must_sign_and_cannot_is_named_before_anything_is_written(elsewhere):
    for name, value in (
        ("commit.gpgsign", "true"),
        ("gpg.format", "ssh"),
        ("user.signingkey", "/nowhere/key"),
        ("user.name", "x"),
        ("user.email", "x@y"),
    ):
        elsewhere.git("config", name, value)
    before = elsewhere.everything()
    said = elsewhere.continual("init", "shop", "--data", "events.csv", *INIT, code=1).err
    assert "Git must sign commits here" in said and elsewhere.everything() == before
    key = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(elsewhere.home / "key"))
    elsewhere.run(*key)
    elsewhere.git("config", "user.signingkey", str(elsewhere.home / "key"))
    elsewhere.continual("init", "shop", "--data", "events.csv", *INIT)
    assert "SSH SIGNATURE" in elsewhere.git("cat-file", "commit", "HEAD")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("shop", "--data", "", *INIT), "the source is empty"),
        (("shop", "--data", "https://example.org/a.csv", *INIT), "is an address"),
        (("events.csv/shop", "--data", "events.csv", *INIT), "events.csv is a file"),
        (("shop", "--data", "twice.csv", *INIT), "has two columns called 'amount'"),
        (("shop", "--data", "stacked.csv", *INIT), "holds its heading again in line 62"),
        (
            ("shop", "--data", "events.csv", *INIT, "--every", "month", "--start", "2030-01"),
            "after the last event",
        ),
    ],
)
def test_what_init_cannot_use_is_named_and_no_project_made(elsewhere, words, told):
    text = elsewhere.path("events.csv").read_text()
    elsewhere.path("twice.csv").write_text(text.replace("age", "amount", 1))
    elsewhere.path("stacked.csv").write_text(text + text)
    said = elsewhere.continual("init", *words, code=1).err
    assert told in said and "what to do" in said and not elsewhere.path("shop").exists()


def test_what_people_type_into_yaml_is_named(born, copy):
    loop = copy(born)
    params, decision = loop.path("params.yaml"), loop.path("data/decision.yaml")
    form, pending = params.read_bytes(), decision.read_text()
    params.write_bytes(
        form.replace(b"title: ", "title: Lieferverz\u00f6gerung # ".encode("latin-1"))
    )
    said = loop.continual("status", code=1).err
    assert "params.yaml is not UTF-8 (line " in said and "iconv" in said
    params.write_bytes(form)
    decision.write_text(pending.replace('"pending"', '"aprove"'))
    said = loop.continual("seal", code=1).err
    assert "data/decision.yaml: verdict is 'aprove'; it is one of" in said
    decision.write_text(pending)
    loop.set(positive="maybe")
    assert "data.positive is 'maybe'" in loop.continual("open", "2024-02", code=1).err


def test_variables_of_a_hook_lead_nowhere(born, copy, elsewhere):
    loop = copy(born)
    there = {"GIT_DIR": str(elsewhere.root / ".git"), "GIT_INDEX_FILE": str(elsewhere.home / "i")}
    loop.continual("open", "2024-02", **there)
    assert "2024-02" in loop.path("data/iteration.yaml").read_text()
    from continual_nb.loop.project import run

    found = run(["git", "rev-parse", "--git-dir"], loop.root, env=None)
    assert found.stdout.strip() == ".git" and not (elsewhere.home / "i").exists()


def test_the_index_lock_of_a_living_commit_is_not_removed(born, copy):
    from continual_nb.core.files import ContinualError
    from continual_nb.loop.lifecycle import _unlock_git
    from continual_nb.loop.project import Project

    loop = copy(born)
    lock = loop.path(".git/index.lock")
    hold = (
        "git",
        "-c",
        f"core.editor=touch {lock} {loop.home}/ready; sleep 60; false",
        "commit",
        "--allow-empty",
    )
    living = loop.begin(*hold, log=loop.home / "log")
    until((loop.home / "ready").exists)
    try:
        with pytest.raises(ContinualError, match=r"Git is at work in this repository") as told:
            _unlock_git(Project(loop.root))
        assert told.value.code == 75 and lock.exists()
    finally:
        living.kill()
        living.wait()
    lock.touch()
    _unlock_git(Project(loop.root))
    assert not lock.exists()


def test_a_clone_without_its_data_says_pull_and_stays_as_it_is(opened, tmp_path):
    clone = Loop(tmp_path / "clone")
    clone.home.mkdir()
    opened.run("git", "clone", "-q", str(opened.root), str(clone.root))
    opened_file = (opened.path("data/state/in.dvc"), clone.path("data/state/in.dvc"))
    opened_file[1].write_bytes(opened_file[0].read_bytes())
    before = clone.everything()
    for words in (("status",), ("verify",), ("open",), ("ledger",), ("seal",)):
        assert "`dvc pull`" in clone.continual(*words, code=5).err, words
    assert clone.everything() == before and not clone.path(".dvc/tmp/continual/open.json").exists()


def test_line_ends_that_git_would_change_are_kept(elsewhere, tmp_path):
    elsewhere.continual("init", "shop", "--data", "events.csv", *INIT)
    clone = tmp_path / "clone"
    elsewhere.run("git", "clone", "-q", "-c", "core.autocrlf=true", str(elsewhere.root), str(clone))
    for name in ("params.yaml", "dvc.yaml", "data/code.yaml", "data/decision.yaml"):
        assert (clone / "shop" / name).read_bytes() == elsewhere.path(f"shop/{name}").read_bytes()


def test_a_users_own_stage_that_makes_the_source_is_brought_up_to_date(sealed, copy):
    loop = copy(sealed)
    frame = events()
    frame[frame["when"] < "2024-02-20"].to_parquet(loop.path("raw.parquet"), index=False)
    loop.path("make.py").write_text("import shutil; shutil.copy('raw.parquet', 'table.parquet')\n")
    text = loop.path("dvc.yaml").read_text()
    own = "stages:\n  fetch:\n    cmd: python make.py\n    deps: [raw.parquet]\n    outs: [table.parquet]\n"
    loop.path("dvc.yaml").write_text(text.replace("stages:\n", own, 1))
    loop.set(source="table.parquet")
    loop.dvc("repro", "fetch")
    frame.to_parquet(loop.path("raw.parquet"), index=False)
    said = loop.continual("status", "--json", code=None).out
    assert json.loads(said)["stale_own"] == ["fetch"]
    loop.continual("open")
    assert loop.json("data/arrival/arrival.json")["delivered"] == 600


@pytest.mark.parametrize("placeholder", ["9999-12-31", "2099-12-31"])
def test_a_placeholder_date_goes_to_quarantine_and_opens_no_window(placeholder):
    days = pd.date_range("2024-01-01", periods=200).astype("str").tolist()
    raw = pd.DataFrame({"when": [*days, placeholder], "a": range(201), "y": [0, 1] * 100 + [0]})
    data = Data(source="a.csv", time="when", label="y", label_delay="3d", numeric=("a",))
    delivery = delivered(raw, data)
    assert delivery.frame["event_time"].max() == pd.Timestamp("2024-07-18", tz="UTC")
    as_of = pd.Timestamp("2024-08-01", tz="UTC")
    arrival = snapshot(delivery, data, Cadence("month"), Store((), None), as_of)
    assert arrival.rejected["reason"].tolist() == ["when: decades after the others"]
    assert len(arrival.events) == 200
