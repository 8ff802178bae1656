"Killed at every step, at any moment, and on a disk that is really full: the same bytes in the end."

import os
import random
import shlex
import signal
import subprocess

import pytest

from loop import Loop
from stations import approved, born, copy, made, opened, sealed, turned, twice, world  # noqa: F401
from test_faults import check_open, check_seal, check_stages, different, history


def test_stages_and_dvc_killed_in_the_third_turn(born, turned, copy):
    "The combination of stage and victim that tests/ leaves out."
    check_stages(born, turned, copy, (2,))


def steps(loop: Loop, command: str) -> int:
    "Count the steps of a command."
    loop.continual(command, **loop.fault("kill", command, at=None))
    return len(loop.log.read_text().splitlines())


@pytest.mark.parametrize("what", ["kill", "kill_after"])
def test_open_killed_at_every_step(sealed, opened, copy, what):
    check_open(
        sealed, opened, copy, [(what, step) for step in range(1, steps(copy(sealed), "open") + 1)]
    )


@pytest.mark.parametrize("what", ["kill", "kill_after"])
def test_seal_killed_at_every_step(approved, sealed, copy, what):
    check_seal(
        approved,
        sealed,
        copy,
        [(what, step) for step in range(1, steps(copy(approved), "seal") + 1)],
    )


@pytest.mark.parametrize("seed", range(3))
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


@pytest.fixture(scope="module")
def ran(born, world):
    "One window of `continual run` on a disk with room."
    return made(world, "ran", lambda place: born.copy(place).continual("run", "--until", "2024-01"))


@pytest.mark.parametrize("room", [150, 400, 800])  # kB that are free
def test_a_disk_that_is_really_full(born, ran, copy, tmp_path, room):
    "What is said goes elsewhere, as to a terminal; with room again, the same command finishes with the same bytes."
    loop, place, end, told = copy(born), tmp_path / "small", tmp_path / "end", tmp_path / "told.txt"
    place.mkdir()
    used = int(
        subprocess.run(
            ["du", "-sk", "--apparent-size", loop.home], capture_output=True, text=True, check=True
        ).stdout.split()[0]
    )
    blocks = sum(4 * (-(-file.lstat().st_size // 4096) or 1) for file in loop.home.rglob("*"))
    small, said = shlex.quote(str(place)), shlex.quote(str(told))
    script = f"""
        mount -t tmpfs -o size={max(used, blocks) + room}k tmpfs {small} && cp -a {shlex.quote(str(loop.home))}/. {small} && cd {small}/project || exit 99
        continual run --until 2024-01 > {said} 2>&1; echo "ended $?"
        mount -o remount,size=200m {small}
        continual run --until 2024-01 >&2 && cp -a {small} {shlex.quote(str(end))}
    """
    assert "ended 1" in loop.run("unshare", "-rm", "sh", "-c", script, code=0).out, told.read_text()
    assert "Traceback" not in told.read_text() and "free some space" in told.read_text(), (
        told.read_text()
    )
    assert different(Loop(end), ran) == []
