"Killed at every step, at any moment, and on a disk that is really full: the same bytes in the end."

import json
import os
import random
import shlex
import signal
import subprocess

import pytest

from loop import Loop, side_by_side
from stations import approved, born, copy, made, opened, sealed, turned, twice, world  # noqa: F401
from test_faults import check_open, check_seal, check_stages, different, history
from test_label_studio import annotation

KILLS = os.environ.get("KILLS", "0")  # all: whole, as in `make kills`; a number: seed of a sample
SIGN = ("sign", "approve", "--by", "continual", "--reason", "The gates passed.")
IMPORT = ("labels", "import", "../done.json")
RUN = ("run", "--until", "2024-01")


def drawn(cases: list, n: int) -> list:
    "Draw n of the cases, the same ones everywhere; with KILLS=all return all of them."
    return cases if KILLS == "all" else random.Random(int(KILLS)).sample(cases, n)


def steps(loop: Loop, *command: str) -> list[tuple[str, int]]:
    "List the steps of a command, each with a kill before it and one after it."
    loop.continual(*command, **loop.fault("kill", *command[:2], at=None))
    numbers = range(1, len(loop.log.read_text().splitlines()) + 1)
    return [(what, number) for what in ("kill", "kill_after") for number in numbers]


@pytest.fixture(scope="module")
def asked(approved, world):
    "Answers wait in a file beside the project, as Label Studio exports them."

    def make(place):
        loop = approved.copy(place)
        loop.continual("labels", "export", "--to", "label-studio")
        tasks = loop.json("data/labels/001-2024-01.json")
        for task in tasks:
            task["annotations"] = [annotation("1")]
        (loop.home / "done.json").write_text(json.dumps(tasks))

    return made(world, "asked", make)


# -- steps -----------------------------------------------------------------------------------------------
if KILLS == "all":  # tests/ has the other two combinations of stage and victim

    def test_stages_and_dvc_killed_in_the_third_turn(born, turned, copy):
        check_stages(born, turned, copy, (2,))


def test_open_killed_at_every_step(sealed, opened, copy):
    check_open(sealed, opened, copy, drawn(steps(copy(sealed), "open"), 3))


def test_seal_killed_at_every_step(approved, sealed, copy):
    check_seal(approved, sealed, copy, drawn(steps(copy(approved), "seal"), 3))


@pytest.mark.parametrize("station, words", [("turned", SIGN), ("asked", IMPORT)])
def test_sign_and_import_killed_at_every_step(request, copy, station, words):
    "The same command once more ends as if it had never been killed."
    fixed = request.getfixturevalue(station)
    end = copy(fixed, "end")
    cases = drawn(steps(end, *words), 2)

    def killed(number: int, what: str, at: int) -> list[str]:
        loop = copy(fixed, f"{number}")
        loop.continual(*words, code=-signal.SIGKILL, **loop.fault(what, *words[:2], at=at))
        loop.continual(*words)
        return apart(loop, end)

    calls = [lambda case=case: killed(*case) for case in [(n, *c) for n, c in enumerate(cases)]]
    wrong = side_by_side(*calls)
    assert [(case, names) for case, names in zip(cases, wrong) if names] == []


def apart(loop: Loop, other: Loop) -> list[str]:
    "Name the files that differ; a decision may differ in the moment that it was signed at."
    moment = lambda one: [
        line
        for line in one.path("data/decision.yaml").read_text().splitlines()
        if not line.startswith("signed_at")
    ]
    same = ["data/decision.yaml"] if moment(loop) == moment(other) else []
    return [name for name in different(loop, other) if name not in same]


# -- any moment ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", drawn([0, 1, 2], 1))
def test_run_killed_at_any_moment(sealed, twice, copy, seed):
    "Kill `continual run` alone or with all its children, again and again, each time a little later."
    loop, draw = copy(sealed), random.Random(seed)
    for number in range(40):
        process = subprocess.Popen(
            ["continual", "run", "--until", "2024-02"],
            cwd=loop.root,
            env=loop.environment(),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = process.communicate(timeout=draw.uniform(0.5, 2 + 2 * number))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL) if draw.random() < 0.5 else os.killpg(
                process.pid, signal.SIGKILL
            )
            process.communicate()  # ends with the last orphan
            continue
        assert process.returncode == 0, said
        if "2024-02" in loop.git("tag"):
            break
    assert number >= 3, "it was hardly ever killed"
    assert different(loop, twice) == []
    assert history(loop) == history(twice)
    assert "everything fits" in loop.continual("verify").out


# -- a full disk -----------------------------------------------------------------------------------------
def on_a_disk(loop: Loop, room: int, *words: str) -> tuple[int, int, str, Loop]:
    """Run a command on a disk with so much room (kB); if it fails, once more with plenty of it.

    Returns how it ended the first time, by how many kB the files had grown then, what it said
    (kept elsewhere, as on a terminal), and the project as it is in the end."""
    small, end, told = (loop.home.parent / f"{name}-{room}" for name in ("small", "end", "told"))
    small.mkdir()
    disk, goal, said = (shlex.quote(str(path)) for path in (small, end, told))
    script = f"""
        mount -t tmpfs -o size=1g tmpfs {disk} && cp -a {shlex.quote(str(loop.home))}/. {disk} && cd {disk}/project || exit 99
        used() {{ df -k --output=used {disk} | tail -1; }}
        before=$(used)
        mount -o remount,size=$((before + {room}))k {disk} || exit 98
        {shlex.join(words)} > {said} 2>&1
        ended=$?
        echo "$ended $(($(used) - before))"
        mount -o remount,size=1g {disk}
        {{ [ $ended = 0 ] || {shlex.join(words)} >&2; }} && cp -a {disk} {goal}
    """
    code, grown = loop.run("unshare", "-rm", "sh", "-c", script).out.split()
    return int(code), int(grown), told.read_text(), Loop(end)


FULL = [("sealed", ("open",)), ("approved", ("seal",)), ("turned", SIGN), ("asked", IMPORT)]


@pytest.mark.parametrize("station, words", drawn(FULL, 2) + [("born", RUN)] * (KILLS == "all"))
def test_a_disk_that_is_really_full(request, copy, station, words):
    "With room again, the same command ends as on a disk that had it from the start."
    loop = copy(request.getfixturevalue(station))
    code, grown, told, end = on_a_disk(loop, 1 << 19, "continual", *words)
    assert code == 0 and grown > 0, told
    for part in drawn([1, 3, 5, 7], 1):
        room = grown * part // 8
        code, _, told, now = on_a_disk(loop, room, "continual", *words)
        assert code == 1 and "Traceback" not in told and "free some space" in told, (room, told)
        assert apart(now, end) == [], room
