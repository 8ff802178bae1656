"Killed at any moment, with a full disk, with broken files, and with two at once: nothing is lost, and the next command finishes the work."

import signal

import pytest

from loop import OUTPUTS, STAGES, Loop, go_on, side_by_side, until


# -- a stage, the dvc that runs it, or both are killed -------------------------------------------------
WHAT = ("kill", "kill_parent", "kill_both")  # the stage, the dvc that runs it, both


def killed_in_every_stage(loop: Loop, turn: int) -> list[str]:
    "Let each stage in turn meet one of the three ends, each time going on with `dvc repro`; returns what went wrong."
    wrong = []
    for number, stage in enumerate(STAGES):
        what = WHAT[(number + turn) % 3]
        at = {"kill": OUTPUTS[stage], "kill_parent": 1, "kill_both": 2}[what]
        said = loop.dvc("repro", code=None, **loop.fault(what, "stage", stage, at=at))
        if said.code not in ((255,) if what == "kill" else (-signal.SIGKILL,)):
            wrong.append(f"{stage}: dvc ended with {said.code}: {said.all[-500:]}")
        if what == "kill_parent" and "nothing was published" not in said.all:
            wrong.append(f"{stage}: the orphan does not say that it published nothing")
        if loop.path(OUTPUTS[stage]).exists():
            wrong.append(f"{stage}: {OUTPUTS[stage]} is there although its stage was killed")
    loop.dvc("repro")
    return wrong


def check_stages(born, turned, copy, turns):
    "Kill what each stage meets in these turns; all must end with the same bytes."
    loops = [copy(born, f"turn {turn}") for turn in turns]
    wrong = side_by_side(
        *(
            lambda loop=loop, turn=turn: killed_in_every_stage(loop, turn)
            for loop, turn in zip(loops, turns)
        )
    )
    assert dict(zip(turns, wrong)) == {turn: [] for turn in turns}
    for loop in loops:
        assert different(loop, turned) == []


def test_stages_and_dvc_killed_in_each_stage(born, turned, copy):
    check_stages(born, turned, copy, (0, 1))  # checks/ has the third


def test_promote_killed_between_the_new_state_and_its_answer(turned, approved, copy):
    loop = copy(turned)
    loop.path("data/decision.yaml").write_bytes(approved.path("data/decision.yaml").read_bytes())
    loop.dvc("repro", code=255, **loop.fault("kill", "stage", "promote", at="data/work/promote"))
    assert loop.path("data/state/out").exists() and not loop.path("data/work/promote").exists()
    loop.dvc("repro")
    assert loop.everything() == approved.everything()


def test_a_later_run_waits_for_an_orphan_and_the_orphan_publishes_nothing(turned, copy):
    loop = copy(turned)
    first = loop.begin(
        "dvc",
        "repro",
        "--force",
        "--single-item",
        "monitor",
        log=loop.home / "first.log",
        **loop.fault("stop", "stage", "monitor", at=1),
    )
    orphan = loop.stopped()
    first.kill()
    first.wait()
    second = loop.begin(
        "dvc", "repro", "--force", "--single-item", "monitor", log=loop.home / "second.log"
    )
    until(
        lambda: (
            "waiting for it" in (loop.home / "second.log").read_text() or second.poll() is not None
        )
    )
    assert second.poll() is None and not loop.path("data/work/monitor").exists()
    go_on(orphan)
    assert second.wait(120) == 0, (loop.home / "second.log").read_text()
    assert "nothing was published" in (loop.home / "first.log").read_text()
    assert loop.everything() == turned.everything()


# -- open, sign and seal are killed --------------------------------------------------------------------
OPEN = (
    "store/001-2024-01",
    "data/state/in",
    "data/iteration.yaml",
    "data/arrival",
    "git rm",
    "dvc add",
)  # checks/ has all steps
SEAL = (
    "record.json",
    "reports/001-2024-01",
    "reports/index.html",
    "git add",
    "git commit",
    "git tag -a",
)


def open_killed(loop: Loop, what: str, at: str | int) -> str:
    "Kill `continual open`, then do what a person would; returns what went wrong."
    if (
        code := loop.continual("open", code=None, **loop.fault(what, "open", at=at)).code
    ) != -signal.SIGKILL:
        return f"ended with {code}"
    unfinished = loop.path(".dvc/tmp/continual/open.json").exists()
    said = loop.continual("status", code=None)
    if "001-2024-01" in said.out and "next: continual open" in said.out:
        said = loop.continual("open", code=None)
    elif unfinished != ("finished opening iteration 002-2024-02" in said.err):
        return f"does not say whether it finishes the opening: {said}"
    return said.err if said.code not in (0, 2) else ""


def check_open(sealed: Loop, opened: Loop, copy, cases: list[tuple[str, str | int]]) -> None:
    loops = [copy(sealed, f"{what}-{number}") for number, (what, _) in enumerate(cases)]
    wrong = side_by_side(
        *(lambda loop=loop, case=case: open_killed(loop, *case) for case, loop in zip(cases, loops))
    )
    wrong = [problem or different(loop, opened) for problem, loop in zip(wrong, loops)]
    assert [(case, problem) for case, problem in zip(cases, wrong) if problem] == []


def test_open_killed_at_its_steps(sealed, opened, copy):
    check_open(sealed, opened, copy, [*(("kill", at) for at in OPEN), ("kill_after", "dvc add")])


def different(loop: Loop, other: Loop) -> list[str]:
    "Names of the files that are not the same in two projects."
    mine, others = loop.everything(), other.everything()
    return sorted(
        name for name in mine.keys() | others.keys() if mine.get(name) != others.get(name)
    )


def history(loop: Loop) -> tuple:
    "Messages, content and tags of the commits; the times of commits are metadata."
    return (
        loop.git("log", "--format=%T %s"),
        loop.git("tag"),
        loop.git("status", "--porcelain"),
        loop.git("log", "--format=%T", "iter/001-2024-01"),
    )


def seal_killed(loop: Loop, what: str, at: str | int) -> str:
    if (
        code := loop.continual("seal", code=None, **loop.fault(what, "seal", at=at)).code
    ) != -signal.SIGKILL:
        return f"ended with {code}"
    said = loop.continual("seal", code=None)
    return said.err if said.code else ""


def check_seal(approved: Loop, sealed: Loop, copy, cases: list[tuple[str, str | int]]) -> None:
    loops = [copy(approved, f"{what}-{number}") for number, (what, _) in enumerate(cases)]
    wrong = side_by_side(
        *(lambda loop=loop, case=case: seal_killed(loop, *case) for case, loop in zip(cases, loops))
    )
    wrong = [
        problem or different(loop, sealed) or (history(loop) != history(sealed) and history(loop))
        for problem, loop in zip(wrong, loops)
    ]
    assert [(case, problem) for case, problem in zip(cases, wrong) if problem] == []


def test_seal_killed_at_its_steps(approved, sealed, copy):
    check_seal(
        approved, sealed, copy, [*(("kill", at) for at in SEAL), ("kill_after", "git commit")]
    )


def test_sign_killed_before_and_after_it_writes(turned, copy):
    loop = copy(turned)
    words = ("sign", "approve", "--by", "continual", "--reason", "The gates passed.")
    loop.continual(
        *words, code=-signal.SIGKILL, **loop.fault("kill", "sign", at="data/decision.yaml")
    )
    assert (
        loop.path("data/decision.yaml").read_bytes()
        == turned.path("data/decision.yaml").read_bytes()
    )
    assert "decision   pending" in loop.continual("status", code=3).out
    loop.continual(
        *words, code=-signal.SIGKILL, **loop.fault("kill_after", "sign", at="data/decision.yaml")
    )
    assert "decision   approve by continual" in loop.continual("status", code=2).out
    assert sorted(path.name for path in loop.path("data").iterdir()) == sorted(
        path.name for path in turned.path("data").iterdir()
    )


def test_a_stage_does_not_run_on_a_half_opened_iteration(sealed, copy):
    loop = copy(sealed)
    loop.continual(
        "open", code=-signal.SIGKILL, **loop.fault("kill", "open", at="data/iteration.yaml")
    )
    said = loop.continual("stage", "monitor", code=5)
    assert "an `open` was interrupted" in said.err and "continual status" in said.err


# -- two at once ---------------------------------------------------------------------------------------
def test_a_second_command_is_refused(turned, copy):
    loop = copy(turned)
    words = ("continual", "sign", "approve", "--by", "continual", "--reason", "Because.")
    first = loop.begin(
        *words, log=loop.home / "first.log", **loop.fault("stop", "sign", at="data/decision.yaml")
    )
    pid = loop.stopped()
    for command in (
        ("status",),
        ("sign", "reject", "--by", "Ada", "--reason", "No."),
        ("seal",),
        ("run",),
    ):
        said = loop.continual(*command, code=75).err
        assert (
            f"another continual command is working in this project (process {pid})" in said
            and "wait until it has ended" in said
        )
    go_on(pid)
    assert first.wait(60) == 0
    assert "decision   approve by continual" in loop.continual("status", code=2).out


def test_run_is_told_in_one_sentence_that_dvc_is_working(turned, copy):
    loop = copy(turned)
    first = loop.begin(
        "dvc",
        "repro",
        "--force",
        "--single-item",
        "monitor",
        log=loop.home / "first.log",
        **loop.fault("stop", "stage", "monitor", at=1),
    )
    pid = loop.stopped()
    for command in ("run", "status"):
        said = loop.continual(command, code=75).err
        assert (
            "another run is working in this project" in said and len(said.strip().splitlines()) == 2
        ), said
    go_on(pid)
    assert first.wait(60) == 0, (loop.home / "first.log").read_text()
    assert loop.everything() == turned.everything()


# -- a full disk ---------------------------------------------------------------------------------------
SIGN = ("sign", "approve", "--by", "continual", "--reason", "Because.")


@pytest.mark.parametrize(
    ("station", "words", "at"),
    [
        ("turned", SIGN, 1),
        ("approved", ("seal",), 1),
        ("approved", ("seal",), "seal.json"),
        ("sealed", ("open",), 1),
        ("sealed", ("open",), "open.json"),
    ],
)
def test_a_full_disk_is_said_plainly_and_changes_nothing(station, words, at, request, copy):
    fixed = request.getfixturevalue(station)
    loop = copy(fixed)
    said = loop.continual(*words, code=1, **loop.fault("full", words[0], at=at))
    assert "No space left on device" in said.err and "free some space" in said.err
    assert [
        name
        for name in different(loop, fixed)
        if not name.rsplit("/", 1)[-1].startswith(".") and "/." not in name
    ] == []
    assert loop.git("tag") == fixed.git("tag")
    loop.continual(*words)  # there is space again
    left = [
        name
        for name in loop.everything()
        if any(
            part.startswith(".") and part not in (".gitattributes", ".gitignore", ".dvcignore")
            for part in name.split("/")
        )
    ]
    assert left == []


def test_a_full_disk_in_a_stage_stops_the_run_plainly_and_loses_nothing(turned, copy):
    loop = copy(turned)
    loop.set(iterations="31")
    said = loop.continual("run", code=1, **loop.fault("full", "stage", "train", at=1))
    assert (
        len(said.err.strip().splitlines()) == 2
        and ("found the disk full" in said.err or "train: cannot write" in said.err)
        and "free some space" in said.err
    )
    loop.set(iterations="30")
    loop.dvc("repro")
    assert loop.everything() == turned.everything()


# -- broken files --------------------------------------------------------------------------------------
def test_a_truncated_source_is_named_and_nothing_moves(sealed, copy):
    loop = copy(sealed)
    whole = loop.source.read_bytes()
    loop.source.write_bytes(whole[: len(whole) // 2])
    for command in ("open", "run"):
        said = loop.continual(command, code=1).err
        assert (
            f"events.parquet is not a complete Parquet file ({len(whole) // 2:,} bytes)" in said
            and "deliver the file again" in said
        )
    loop.source.write_bytes(b"")
    assert (
        "events.parquet is not a complete Parquet file (0 bytes)"
        in loop.continual("open", code=1).err
    )
    assert different(loop, sealed) == []


def test_an_empty_csv_is_named(sealed, copy):
    loop = copy(sealed)
    loop.source.with_suffix(".csv").write_text("")
    loop.set(source="../source/events.csv")
    said = loop.continual("open", code=1).err
    assert "events.csv" in said and "No columns to parse" in said


def test_a_truncated_lock_is_named_and_the_remedy_works(turned, sealed, copy):
    for number, station in enumerate((turned, sealed)):
        loop = copy(station, str(number))
        lock = loop.path("dvc.lock")
        lock.write_text(lock.read_text()[: lock.stat().st_size // 2] + "\n  : :")
        said = loop.continual("run", "--until", "2024-02", code=5).err
        assert (
            "dvc.lock is broken" in said
            and "`git restore dvc.lock` (before the first seal: delete it), then `dvc repro`"
            in said
        )
        loop.run("git", "restore", "dvc.lock") if station is sealed else lock.unlink()
        loop.dvc("repro", "evaluate") if station is turned else None
        assert loop.dvc("status", "--json", "snapshot").out.startswith("{")
        assert station is sealed or loop.bytes("data/work") == turned.bytes("data/work")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("params.yaml", ("status",)),
        ("data/iteration.yaml", ("status",)),
        ("data/decision.yaml", ("status",)),
        ("data/state/in/state.json", ("status",)),
        ("data/steer.yaml", ("stage", "decide")),
        ("data/code.yaml", ("stage", "decide")),
        ("data/work/monitor/monitoring.json", ("stage", "decide")),
    ],
)
def test_a_broken_small_file_is_named(turned, copy, name, words):
    loop = copy(turned)
    file = loop.path(name)
    file.write_text(file.read_text()[:40] + "\n {: [")
    said = loop.continual(*words, code=None)
    assert (
        said.code in (1, 5)
        and f"{name} is not" in said.err.replace(f"{loop.root}/", "")
        and "what to do" in said.err
    ), said.err
