"The ratchet: what each command does, when it refuses, with which exit code, and what the record can prove afterwards."

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import continual_nb
from continual_nb.core.table import EVIDENCE
from loop import Loop, events, signed


def read_yaml(text: str):
    return YAML(typ="safe").load(text)


def champions(loop: Loop, state: str = "out") -> list[str]:
    "Models that were put in place, oldest first; not those whose refit was put in place instead."
    made = loop.json(f"data/state/{state}/state.json")["champions"]
    twins = {one.get("twin") for one in made}
    return [one["hash"] for one in made if one["hash"] not in twins]


# -- what each command answers at each station ---------------------------------------------------------
def test_before_the_first_repro(born):
    said = born.continual("status", code=2)
    assert "001-2024-01" in said.out and "next: dvc repro" in said.out
    assert (
        "run `dvc repro` first"
        in born.continual("sign", "approve", "--by", "Ada", "--reason", "Because.", code=2).err
    )
    assert "pending" in born.continual("seal", code=3).err
    assert "nothing is sealed yet" in born.continual("verify").out


def test_open_begins_at_the_newest_window_while_nothing_has_been_turned(born, copy):
    loop = copy(born)
    assert "opened iteration 001-2024-04" in loop.continual("open").out
    assert loop.json("data/arrival/arrival.json")["events"] == 1200  # all before it is history


def test_while_the_decision_is_pending(turned):
    said = turned.continual("status", code=3)
    assert "decision   pending" in said.out and "next: continual sign approve|reject" in said.out
    assert "still open" in turned.continual("open", code=3).err
    refused = turned.continual("seal", code=3).err
    assert (
        "the decision on 001-2024-01 is pending" in refused
        and "continual sign approve|reject" in refused
    )


def test_between_signature_and_seal(turned, copy):
    loop = copy(turned)
    loop.continual("sign", "approve", "--by", "continual", "--reason", "Because.")
    assert "next: dvc repro" in loop.continual("status", code=2).out
    assert "run `dvc repro`, then seal" in loop.continual("seal", code=2).err
    assert "signed but not sealed" in loop.continual("open", "2024-02", code=3).err
    assert loop.git("tag") == "" and not loop.path("reports").exists()


def test_when_it_is_sealed(sealed):
    before = sealed.everything(), sealed.git("rev-parse", "HEAD")
    assert "next: continual open" in sealed.continual("status").out
    for words in (
        ("sign", "reject", "--by", "Ada", "--reason", "No."),
        ("steer", "inspect", "--by", "Ada", "--reason", "No."),
        ("refresh",),
    ):
        assert "is sealed and never changes" in sealed.continual(*words, code=1).err
    assert "iter/001-2024-01" in sealed.continual("seal").out  # done already
    assert before == (sealed.everything(), sealed.git("rev-parse", "HEAD"))


def test_a_mistyped_command_or_window_is_an_error_with_the_nearest_right_one(sealed):
    said = sealed.continual("sael", code=None)
    assert (
        said.code == 1 and "did you mean 'seal'" in said.err
    )  # 2 would mean: a retrain is advised
    said = sealed.continual("open", "2024-2", code=1)
    assert "no window '2024-2'" in said.err and "2013-03" in said.err


def test_json_is_the_only_thing_on_standard_output(turned):
    answer = json.loads(turned.continual("status", "--json", code=3).out)
    assert (answer["iteration"], answer["decision"], answer["sealed"], answer["stale"]) == (
        "001-2024-01",
        "pending",
        False,
        [],
    )
    error = json.loads(turned.continual("seal", "--json", code=3).out)
    assert (
        error["code"] == 3 and "pending" in error["error"] and "continual sign" in error["remedy"]
    )


def test_outside_a_project(tmp_path, born):
    said = born.run("continual", "status", where=tmp_path, code=1)
    assert "is not inside a continual project" in said.err and "continual init" in said.err


def test_run_with_nothing_left_to_do(twice):
    assert "nothing to do" in twice.continual("run", "--until", "2024-02").out


# -- the sign-off and its evidence ---------------------------------------------------------------------
def test_one_changed_byte_of_any_evidence_makes_the_signature_stale(approved, copy):
    loop = copy(approved)
    for name in EVIDENCE:
        file = loop.path(name)
        content = file.read_bytes()
        file.write_bytes(content[:-1] + b" ")
        refused = loop.continual("seal", code=3).err
        assert (
            f"the sign-off is stale: {name} changed since continual signed" in refused
            and "sign again" in refused
        )
        file.write_bytes(content)
    assert loop.git("tag") == ""


def test_a_parameter_changed_after_the_signature_is_not_promoted_on(approved, copy):
    loop = copy(approved)
    assert len(champions(loop)) == 1
    file = loop.path("params.yaml")
    file.write_text(file.read_text().replace("# The levers", "# the levers"))
    loop.dvc("repro")
    outcome = loop.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["moved"], outcome["champion"]) == (
        "stale",
        ["params.yaml"],
        None,
    )
    assert "params.yaml changed" in outcome["verdict"] and champions(loop) == []
    assert "params.yaml" in loop.continual("seal", code=3).err
    file.write_text(file.read_text().replace("# the levers", "# The levers"))
    loop.dvc("repro")
    assert loop.bytes() == approved.bytes()


def test_a_signature_on_outdated_evidence_is_refused(turned, copy):
    loop = copy(turned)
    loop.set(alpha="0.01")
    refused = loop.continual(
        "sign", "approve", "--by", "continual", "--reason", "Because.", code=2
    ).err
    assert (
        "older than what it was made from" in refused
        and "monitor" in refused
        and "`dvc repro`, look again" in refused
    )
    assert "pending" in loop.path("data/decision.yaml").read_text()


def test_only_approvers_sign(turned, copy):
    loop = copy(turned)
    loop.set(approvers="[Ada, Grace]")
    loop.dvc("repro")
    refused = loop.continual(
        "sign", "approve", "--by", "Mallory", "--reason", "Because.", code=1
    ).err
    assert "'Mallory' is not one of the approvers (Ada, Grace)" in refused
    loop.continual("sign", "approve", "--by", "Grace", "--reason", "Because.")
    signed_by_grace = loop.path("data/decision.yaml").read_text()
    loop.path("data/decision.yaml").write_text(
        signed_by_grace.replace('by: "Grace"', 'by: "Mallory"')
    )  # by hand, past the command
    loop.dvc("repro", "promote")
    outcome = loop.json("data/work/promote/outcome.json")
    assert (
        outcome["answer"] not in ("promoted", "kept", "rolled back") and outcome["champion"] is None
    )
    assert loop.continual("seal", code=None).code in (1, 3) and loop.git("tag") == ""
    loop.path("data/decision.yaml").write_text(signed_by_grace)
    loop.dvc("repro", "promote")
    assert loop.json("data/work/promote/outcome.json")["answer"] == "promoted"


@pytest.fixture(scope="module")
def rejected(turned, world):
    return signed(
        turned.copy(world / "rejected"),
        "reject",
        "Ada",
        "The slice <south> is too small; ask again in May.",
    )


def test_a_rejection_keeps_the_champion(rejected):
    outcome = rejected.json("data/work/promote/outcome.json")
    assert (outcome["answer"], outcome["recommendation"]["do"], outcome["champion"]) == (
        "kept",
        "promote",
        None,
    )
    assert champions(rejected) == [] and not rejected.path("data/state/out/champion.skops").exists()
    last = json.loads(rejected.path("data/state/out/ledger.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["answer"], last["by"]) == (
        "decision",
        "kept",
        "Ada",
    ) and "ask again in May" in last["reason"]


def test_a_name_in_a_file_is_shown_as_unverified_whatever_git_says(rejected, approved):
    "Whoever writes decision.yaml by hand writes `by` and `identity` alike."
    for loop in (rejected, approved):
        assert loop.json("data/work/promote/outcome.json")["verified"] is False
        assert "name unverified" in loop.path("data/work/report/report.html").read_text()


def test_the_signature_keeps_the_page_that_the_signer_saw(turned, copy):
    loop = copy(turned)
    page = hashlib.sha256(loop.path("data/work/report/report.html").read_bytes()).hexdigest()
    loop.continual("sign", "approve", "--by", "continual", "--reason", "Because.")
    assert read_yaml(loop.path("data/decision.yaml").read_text())["page"] == page


# -- sealing -------------------------------------------------------------------------------------------
def test_every_seal_is_one_commit_and_one_tag(twice):
    assert twice.git("tag").split() == ["iter/001-2024-01", "iter/002-2024-02"]
    subjects = twice.git("log", "--reverse", "--format=%s").splitlines()
    assert subjects == [
        "Begin the project project",
        "A smaller model",
        "Iteration 001-2024-01: promoted",
        "Iteration 002-2024-02: promoted",
    ]
    assert [
        twice.git("rev-parse", f"{tag}^{{commit}}")
        for tag in ("iter/001-2024-01", "iter/002-2024-02")
    ] == twice.git("log", "--reverse", "--format=%H").split()[2:]
    assert twice.git("status", "--porcelain") == ""
    assert (
        twice.path("reports/001-2024-01/report.html").exists(),
        "002-2024-02" in twice.path("reports/index.html").read_text(),
    ) == (True, True)


def test_git_keeps_pointers_and_dvc_keeps_the_data(twice):
    tracked = twice.git("ls-files").split()
    assert "data/state/in.dvc" in tracked and "data/store.dvc" in tracked
    assert [
        name
        for name in tracked
        if name.startswith(
            ("data/state/in/", "data/store/", "data/work/", "data/arrival", "data/state/out")
        )
    ] == []


def test_the_state_that_went_out_is_the_state_that_came_in(twice):
    hashes = {}
    for tag in ("iter/001-2024-01", "iter/002-2024-02"):
        promote = read_yaml(twice.git("show", f"{tag}:dvc.lock"))["stages"]["promote"]
        hashes[tag] = [
            next(e["md5"] for e in promote[part] if e["path"] == path)
            for part, path in (("deps", "data/state/in"), ("outs", "data/state/out"))
        ]
    assert hashes["iter/001-2024-01"][1] == hashes["iter/002-2024-02"][0]
    assert (
        read_yaml(twice.git("show", "iter/002-2024-02:data/state/in.dvc"))["outs"][0]["md5"]
        == hashes["iter/002-2024-02"][0]
    )


def test_next_seals_and_opens(approved, copy):
    loop = copy(approved)
    loop.path("data/customers.csv").write_text("name\nAda\n")
    said = loop.continual("next").out
    assert (
        loop.git("status", "--porcelain", "--", "data/customers.csv") == "?? data/customers.csv"
    ), "rows that people keep beside the loop's files are theirs"
    assert "sealed iter/001-2024-01, opened 002-2024-02" in said
    assert (
        loop.git("tag") == "iter/001-2024-01"
        and "pending" in loop.path("data/decision.yaml").read_text()
    )
    assert champions(loop, "in") == champions(approved)
    assert loop.path("data/store/001-2024-01/events.parquet").exists()
    assert "next: dvc repro" in loop.continual("status", code=2).out


def test_a_window_that_was_sealed_is_opened_again_only_when_asked(twice, copy):
    loop = copy(twice)
    refused = loop.continual("open", "2024-02", code=1).err
    assert "window 2024-02 was sealed before" in refused and "--again" in refused
    before = loop.bytes("reports")
    assert "opened iteration 003-2024-02" in loop.continual("open", "2024-02", "--again").out
    loop.dvc("repro", "ingest")
    ingested = loop.json("data/work/ingest/ingested.json")
    assert (ingested["window"], ingested["rows"], ingested["new_events"]) == ("2024-02", 300, 0)
    assert loop.bytes("reports") == before


@pytest.fixture(scope="module")
def returned(twice, world):
    "An urgent iteration that steers back to the first champion."
    loop = twice.copy(world / "returned")
    loop.continual("open", "--urgent")
    refused = loop.continual(
        "steer", "rollback", "--by", "Ada", "--reason", "It is unfair.", "--to", "zzz", code=1
    )
    assert "'zzz' names 0 earlier champions" in refused.err
    loop.continual(
        "steer",
        "rollback",
        "--by",
        "Ada",
        "--reason",
        "It is unfair.",
        "--to",
        champions(twice)[0][:10],
    )
    signed(loop, by="Ada", reason="It is unfair.")
    loop.continual("seal")
    return loop


def test_an_urgent_rollback_returns_to_an_earlier_champion(returned, twice):
    first, second = champions(twice)
    assert twice.json("data/state/out/state.json")["champion"] == second
    card = returned.json("data/state/out/state.json")
    assert (
        card["champion"] == first
        and returned.json("data/work/promote/outcome.json")["answer"] == "rolled back"
    )
    assert (
        hashlib.sha256(returned.path("data/state/out/champion.skops").read_bytes()).hexdigest()
        == first
    )
    assert returned.git("tag").split()[-1] == "iter/003-urgent"
    proposal = [
        json.loads(line)
        for line in returned.path("data/state/out/ledger.jsonl").read_text().splitlines()
    ][-3]
    assert (
        proposal["kind"],
        proposal["action"],
        proposal["steered_by"],
        proposal["steer_reason"],
    ) == ("proposal", "rollback", "Ada", "It is unfair.")
    assert "everything fits" in returned.continual("verify").out


def test_steering_ends_with_its_iteration_and_the_next_window_follows_the_last(returned, copy):
    loop = copy(returned)
    assert "opened iteration 004-2024-03" in loop.continual("open").out
    assert read_yaml(loop.path("data/steer.yaml").read_text())["action"] is None


# -- code that moves on --------------------------------------------------------------------------------
def moved_code(place: Path, file: str, function: str) -> str:
    "Copy the package and let one function in it answer twice as much; returns a PYTHONPATH."
    shutil.copytree(
        Path(continual_nb.__file__).parent,
        place / "continual_nb",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    path = place / "continual_nb" / file
    text = path.read_text()
    assert text.count(f"\ndef {function}(") == 1, (
        f"{file} has no function {function} any more: choose another one here"
    )
    path.write_text(
        text
        + f"\n\n_before = {function}\n\n\ndef {function}(*given, **named):\n    return 2 * _before(*given, **named)\n"
    )
    return str(place)


@pytest.fixture(scope="module")
def moved(world) -> str:
    "A package whose losses are twice what they were."
    return moved_code(world / "moved", "core/metrics.py", "losses")


def test_a_sealed_tag_is_reproduced_to_the_byte_by_code_that_has_moved_on(twice, copy, moved):
    loop = copy(twice)
    tag = "iter/002-2024-02"
    past = loop.path("../past")
    row = next(
        line for line in loop.path("README.md").read_text().splitlines() if "old iteration" in line
    )
    told = " && ".join(re.findall("`(.*?)`", row)).replace("iter/003-2024-03", tag)
    loop.run("bash", "-c", told, PYTHONPATH=moved)
    loop.source.unlink()
    assert (
        "Data and pipelines are up to date"
        in loop.run("dvc", "repro", where=past, PYTHONPATH=moved).all
    )
    said = loop.run("dvc", "repro", "--force", "--no-run-cache", where=past, PYTHONPATH=moved)
    assert (
        said.err.count(
            "the installed code has moved on; running the code that this iteration names"
        )
        >= 3
    )
    assert loop.run("git", "status", "--porcelain", where=past).out == ""
    assert (past / "dvc.lock").read_bytes() == loop.path(
        "reports/002-2024-02/evidence/dvc.lock"
    ).read_bytes()
    report = loop.bytes("data/work/report", root=past)
    assert {Path(name).name: digest for name, digest in report.items()}.items() <= {
        Path(name).name: digest for name, digest in loop.bytes("reports/002-2024-02").items()
    }.items()


def test_refresh_takes_the_new_code_and_only_its_stages_become_stale(turned, copy, tmp_path):
    loop, moved = (
        copy(turned),
        moved_code(tmp_path / "moved", "evaluation/gates.py", "better_than_champion"),
    )
    assert "the code is what data/code.yaml names already" in loop.continual("refresh").out
    assert "stale" not in loop.continual("status", code=3, PYTHONPATH=moved).out
    said = loop.continual("refresh", "--json", PYTHONPATH=moved)
    changed = json.loads(said.out)["changed"]
    assert {"evaluate", "report"} & set(changed) and not {
        "snapshot",
        "ingest",
        "monitor",
        "compose",
        "train",
    } & set(changed)
    stale = json.loads(loop.continual("status", "--json", code=2, PYTHONPATH=moved).out)["stale"]
    assert "evaluate" in stale and not {"snapshot", "ingest", "monitor", "compose", "train"} & set(
        stale
    )


def test_a_stage_refuses_code_that_the_iteration_does_not_name(turned, copy, moved):
    loop = copy(turned)
    loop.path("data/code.zip").unlink()
    refused = loop.continual("stage", "evaluate", code=1, PYTHONPATH=moved).err
    assert (
        "the code of stage evaluate is not the one that data/code.yaml names" in refused
        and "continual refresh" in refused
    )


# -- verify --------------------------------------------------------------------------------------------
def flip(file: Path, place: int = -20) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_verify_walks_every_chain(twice):
    said = twice.continual("verify", "--json")
    checked = json.loads(said.out)["checked"]
    assert checked.pop("names that signatures prove") == 0  # nobody signed with a key
    assert all(count >= 2 for count in checked.values()) and len(checked) == 11, checked


def test_verify_finds_a_changed_ledger(twice, copy):
    loop = copy(twice)
    flip(loop.path("data/state/out/ledger.jsonl"))
    assert "ledger.jsonl" in loop.continual("verify", code=5).err


def test_verify_finds_a_changed_line_in_the_middle_of_the_ledger(twice, copy):
    loop = copy(twice)
    file = loop.path("data/state/out/ledger.jsonl")
    lines = file.read_text().splitlines()
    entry = json.loads(lines[3])
    lines[3] = json.dumps(
        {**entry, "by": "Mallory"}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    file.write_text("\n".join(lines) + "\n")
    assert "line 5 does not follow from line 4" in loop.continual("verify", code=5).err


def test_verify_finds_a_changed_report(twice, copy):
    loop = copy(twice)
    flip(loop.path("reports/001-2024-01/report.html"))
    said = loop.continual("verify", code=5).err
    assert (
        "reports/001-2024-01/report.html is not what was sealed at iter/001-2024-01" in said
        and "git checkout iter/001-2024-01" in said
    )


def test_verify_finds_a_changed_report_that_was_committed(twice, copy):
    loop = copy(twice)
    flip(loop.path("reports/001-2024-01/report.html"))
    loop.git("commit", "-q", "-a", "-m", "A small correction")
    assert "reports/001-2024-01/report.html" in loop.continual("verify", code=5).err


def test_verify_finds_a_forged_decision_though_record_and_tag_were_made_to_fit(twice, copy):
    loop = copy(twice)
    file, record = (
        loop.path("reports/002-2024-02/evidence/decision.yaml"),
        loop.path("reports/002-2024-02/record.json"),
    )
    old = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text(
        file.read_text()
        .replace('by: "automatic signer"', 'by: "Ada"')
        .replace("automatic: true", "automatic: false")
    )
    assert (new := hashlib.sha256(file.read_bytes()).hexdigest()) != old
    record.write_text(record.read_text().replace(old, new))
    loop.git("commit", "-q", "-a", "--amend", "--no-edit")
    loop.git("tag", "-f", "-a", "iter/002-2024-02", "-m", "Iteration 002-2024-02 sealed")
    said = loop.continual("verify", code=5).err
    assert "002-2024-02" in said or "iteration 2" in said


def test_verify_finds_a_decision_on_other_evidence(twice, copy):
    loop = copy(twice)
    record = loop.path("reports/001-2024-01/record.json")
    file = loop.path("reports/001-2024-01/evidence/evaluation.json")
    old = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text(file.read_text().replace('"answer": "promote"', '"answer": "keep"', 1))
    record.write_text(
        record.read_text().replace(old, hashlib.sha256(file.read_bytes()).hexdigest())
    )
    loop.git("commit", "-q", "-a", "--amend", "--no-edit")
    for tag in ("iter/001-2024-01", "iter/002-2024-02"):
        loop.git("tag", "-f", "-a", tag, "-m", "sealed")
    said = loop.continual("verify", code=5).err
    assert "001-2024-01" in said


def test_verify_finds_a_changed_file_of_the_store(twice, copy):
    loop = copy(twice)
    file = next(loop.path("data/store").glob("*/events.parquet"))
    flip(file)
    assert (
        f"{file.relative_to(loop.root)} is not what the manifest names"
        in loop.continual("verify", code=5).err
    )


def test_verify_finds_a_broken_state_chain(twice, copy):
    loop = copy(twice)
    lock = loop.path("dvc.lock")
    came_in = next(
        e["md5"]
        for e in read_yaml(lock.read_text())["stages"]["promote"]["deps"]
        if e["path"] == "data/state/in"
    )
    lock.write_text(lock.read_text().replace(came_in, "0" * 32 + ".dir"))
    loop.git("commit", "-q", "-a", "--amend", "--no-edit")
    loop.git("tag", "-f", "-a", "iter/002-2024-02", "-m", "sealed")
    said = loop.continual("verify", code=5).err
    assert (
        "the state that came in at iter/002-2024-02 is not the one that went out at iter/001-2024-01"
        in said
    )


# -- inside a larger repository ------------------------------------------------------------------------
def test_inside_a_larger_repository_only_its_own_files_are_committed(approved, tmp_path):
    loop = Loop(tmp_path / "larger")
    loop.source.parent.mkdir(parents=True)
    loop.deliver(events())
    (loop.home / "ours.txt").write_text("one")
    for words in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Ada"),
        ("config", "user.email", "ada@localhost"),
        ("add", "ours.txt"),
        ("commit", "-q", "-m", "Ours"),
    ):
        loop.run("git", *words, where=loop.home)
    words = (
        "--data",
        "source/events.parquet",
        "--time",
        "when",
        "--label",
        "bad",
        "--id",
        "id",
        "--label-time",
        "known",
        "--every",
        "month",
    )
    loop.run("continual", "init", "project", *words, where=loop.home)
    shutil.copy(approved.path("params.yaml"), loop.path("params.yaml"))
    shutil.copytree(
        approved.path(".dvc/cache"), loop.path(".dvc/cache")
    )  # DVC remembers these runs
    loop.dvc("repro", "evaluate")
    loop.continual("sign", "approve", "--by", "Ada", "--reason", "The gates passed.")
    loop.dvc("repro")
    assert loop.json("data/work/promote/outcome.json")["verified"] is False
    (loop.home / "ours.txt").write_text("two")
    loop.run("git", "add", "ours.txt", where=loop.home)
    (loop.home / "untracked.txt").write_text("three")
    assert "sealed project/iter/001-2024-01" in loop.continual("seal").out
    assert loop.git("tag").split() == ["project/iter/001-2024-01"]
    names = loop.run("git", "show", "--format=", "--name-only", "HEAD", where=loop.home).out.split()
    assert names and all(name.startswith("project/") for name in names)
    assert loop.run("git", "status", "--porcelain", where=loop.home).out.splitlines() == [
        "M  ours.txt",
        "?? site/",
        "?? source/",
        "?? untracked.txt",
    ]
    assert "everything fits" in loop.continual("verify").out
