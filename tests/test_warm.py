"Programs that start from a process which has imported the libraries: the same bytes, and killed as ever."

import contextlib
import fcntl
import os
import subprocess

import psutil
import pytest

from continual_nb.cli.main import THREADS
from continual_nb.loop.warm import SOCKET, asked, warmed
from loop import until


def test_a_run_that_starts_everything_cold_writes_the_same_bytes(sealed, twice, copy):
    cold = copy(sealed)
    cold.continual("run", "--until", "2024-02", CONTINUAL_WARM="/nowhere")
    assert cold.bytes() == twice.bytes()
    assert cold.bytes("reports") == twice.bytes("reports")


def test_a_run_serves_itself_and_leaves_no_process(twice, copy):
    loop = copy(twice)
    before = {p.pid for p in psutil.process_iter()}
    run = loop.begin("continual", "run", "--until", "2024-03", log=loop.log, CONTINUAL_WARM="")
    serves = lambda process: "continual_nb serve-warm" in " ".join(process.cmdline())

    def serving() -> bool:
        assert run.poll() is None, "it ended without having served anything"
        with contextlib.suppress(psutil.NoSuchProcess):
            return any(one.children() for one in psutil.Process(run.pid).children() if serves(one))
        return False

    until(serving)
    assert run.wait() == 0 and "sealed 1 windows" in loop.log.read_text()
    left = [
        p
        for p in psutil.process_iter(["cwd"])
        if p.pid not in before and (p.info["cwd"] or "").startswith(str(loop.root))
    ]
    assert not left


@pytest.fixture
def served(turned, copy, monkeypatch):
    "A server of this test alone, and a function that starts a stage which waits until `free` is called."
    loop = copy(turned)
    monkeypatch.delenv(SOCKET)
    others = psutil.Process().children()
    with (loop.path(".dvc/tmp/continual") / "ingest.lease").open("a+") as lease, warmed(THREADS):
        fcntl.flock(lease, fcntl.LOCK_EX)
        (server,) = (one for one in psutil.Process().children() if one not in others)

        def waiting():
            process = subprocess.Popen(
                ["continual", "stage", "ingest"],
                cwd=loop.root,
                env=loop.environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            assert "waiting for it" in process.stderr.readline()
            return process

        yield server, waiting, lambda: fcntl.flock(lease, fcntl.LOCK_UN)
        fcntl.flock(lease, fcntl.LOCK_UN)


def test_who_asked_and_who_serves_end_together(served):
    server, waiting, free = served
    asking = waiting()
    (program,) = server.children()
    asking.kill()
    until(lambda: not program.is_running())  # as when a stage is killed
    asking = waiting()
    (program,) = server.children()
    program.kill()
    assert asking.wait() == -9
    asking = waiting()
    free()
    assert asking.wait() == 0


def test_without_the_server_a_stage_starts_by_itself(served):
    server, waiting, free = served
    asking = waiting()
    server.kill()
    assert asking.wait() == -9
    server.wait()
    assert os.environ[SOCKET] and asked(["dvc", "version"]) is None
    asking = waiting()
    free()
    assert asking.wait() == 0
