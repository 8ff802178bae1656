"""A fault at a chosen step of one command: on PYTHONPATH, this file is loaded by every Python of a test.

`CONTINUAL_FAULT` names the command, the step and what happens there. A step is a rename or the start of a program: whatever
a command does to the world it does between two of them. `at` is a number, or a part of what the step says.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

FAULT = json.loads(os.environ.get("CONTINUAL_FAULT", "{}"))
steps = 0


def struck(step: str, after: bool = False) -> None:
    """Count one step of the command that the fault is for, and strike when it is the one; `kill_after` strikes when it is done."""
    global steps
    program = sys.argv[0].split(os.sep) if sys.argv else [""]
    if (
        not (program[-1] == "continual" or program[-2:] == ["continual_nb", "__main__.py"])
        or sys.argv[1 : 1 + len(FAULT["command"])] != FAULT["command"]
    ):
        return
    if not after:
        steps += 1
        with open(FAULT["log"], "a") as log:
            log.write(
                f"{' '.join(step.split())}\n"
            )  # one line a step: commit messages have several
    at = FAULT["at"]
    if after == (FAULT["what"] == "kill_after") and (
        steps == at or (isinstance(at, str) and at in step)
    ):
        FAULT["at"] = None
        globals()[FAULT["what"].removesuffix("_after")]()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_both() -> None:
    kill_parent()
    kill()


def kill_parent() -> None:
    """Kill the dvc that started this stage and go on alone when it is dead."""
    import psutil

    dvc = next(
        process
        for process in psutil.Process().parents()
        if process.name() not in ("sh", "dash", "bash")
    )
    dvc.kill()
    while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def stop() -> None:
    """Stand still until the test says SIGCONT; the file tells it who stands."""
    with open(FAULT["log"] + ".stopped", "w") as file:
        file.write(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


def full() -> None:
    """From here on the disk is full."""

    def no_space(*given, **named):
        raise OSError(28, "No space left on device", str(given[-1]))

    os.fsync = shutil.copyfile = no_space


if FAULT:
    replace, rename, Popen = os.replace, os.rename, subprocess.Popen

    def counted(function, name):
        def counting(source, target, **options):
            step = f"{name} {os.fspath(target)}"
            struck(step)
            function(source, target, **options)
            struck(step, after=True)

        return counting

    class CountedPopen(Popen):
        def __init__(self, words, *rest, **options):
            step = f"start {words if isinstance(words, str) else ' '.join(map(str, words))}"
            struck(step)
            super().__init__(words, *rest, **options)
            struck(step, after=True)

    os.replace, os.rename, subprocess.Popen = (
        counted(replace, "replace"),
        counted(rename, "rename"),
        CountedPopen,
    )
