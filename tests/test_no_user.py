"A container whose user has no entry on the machine, no home and no e-mail address: the loop turns, or says what is lacking."

import re

import pytest

from loop import Loop

WORDS = "--data source/events.parquet --time when --label bad --id id --label-time known".split()
UNSET = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "EMAIL")


def nobody(loop: Loop, *words: str, code: int = 0, where=None, **given: str):
    "Run a program as a user that the machine does not know."
    bare = ["env", *(part for name in UNSET for part in ("-u", name))]
    given = [f"{name}={value}" for name, value in given.items()]
    user = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
    said = loop.run(*bare, *given, *user, *words, code=code, where=where)
    assert "Traceback" not in said.all, said.all[-3000:]
    return said


@pytest.mark.parametrize("given", [{}, {"HOME": "/proc/nowhere"}])
def test_a_project_is_made_and_the_note_makes_dvc_work_by_hand(born, copy, given):
    loop = copy(born)
    loop.root.rename(loop.home / "before")
    said = nobody(loop, "continual", "init", "project", *WORDS, where=loop.home, **given)
    assert "no user of this machine has the number 12345" in said.err
    named = dict(word.split("=") for word in said.err.partition("export ")[2].split())
    assert named.keys() == {"LOGNAME", "HOME"} - given.keys()
    nobody(loop, "dvc", "status", code=255, **given)  # DVC by itself asks for the user's name
    nobody(loop, "dvc", "status", **given, **named)
    assert "next: dvc repro" in nobody(loop, "continual", "status", code=2, **given, **named).out
    assert loop.git("log", "--format=%an <%ae>") == "continual <continual@localhost>"


def test_signing_running_and_sealing_work(turned, approved, copy):
    loop = copy(turned, "turned")
    sign = ("continual", "sign", "approve", "--by", "Ada", "--reason", "The gates passed.")
    assert "signed: approve by Ada" in nobody(loop, *sign).out
    assert (
        "sealed 1 windows" in nobody(copy(approved), "continual", "run", "--until", "2024-01").out
    )


def test_a_seal_without_a_git_identity_is_refused_before_it_begins(approved, sealed, copy):
    loop = copy(approved)
    for name in ("user.name", "user.email"):
        loop.git("config", "--unset", name)
    before = loop.everything()
    said = nobody(loop, "continual", "seal", code=1).err
    assert "Git does not know who commits here" in said
    assert loop.everything() == before
    assert nobody(loop, "continual", "status", code=2).out.endswith("next: continual seal\n")
    for name in re.findall(r"git config (\S+) \S+`", said):
        nobody(loop, "git", "config", name, "ada@example.org")
    nobody(loop, "continual", "seal")
    assert loop.everything() == sealed.everything()


def test_a_folder_that_may_not_be_written_is_named(born, copy):
    loop = copy(born)
    loop.home.chmod(0o555)
    said = nobody(loop, "continual", "init", "another", *WORDS, code=1, where=loop.home).err
    loop.home.chmod(0o755)
    assert "cannot write another: Permission denied" in said and "mend the permissions" in said
