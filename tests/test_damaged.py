"Files that a crash or a disk has damaged: reading commands name the file and a remedy that works, and call it no bug."

import os
import re
import sys

import pytest

from loop import Loop

DAMAGES = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "nothing in it": lambda content: b"null\n",
    "no text": lambda content: b"\xff\xfe\xe4" + content[3:],
}
READ = (".json", ".jsonl", ".yaml", ".lock", ".dvc", ".md", ".html", ".parquet", ".skops", ".zip")
NAMED = (
    "data/iteration.yaml",
    "data/decision.yaml",
    "data/code.yaml",
    "data/state/in/state.json",
    "params.yaml",
    "dvc.yaml",
    "dvc.lock",
)  # what every command needs: damaged, none of them goes on without a word


def say(loop: Loop, *words: str) -> tuple[int, str]:
    "Run a command in a child of this process, which has the package loaded; returns code and words."
    import continual_nb.loop.status  # noqa: F401
    import continual_nb.loop.verify  # noqa: F401
    from continual_nb.cli.main import main

    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(writes, 1), os.dup2(writes, 2), os.chdir(loop.root)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.environ.update(loop.environment(CONTINUAL_WARM="/nowhere"))
            sys.argv = ["continual", *words]
            code = main()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            print(f"Traceback: {type(error).__name__}: {error}")
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code if isinstance(code, int) else 0)
    os.close(writes)
    said = os.fdopen(reads, "rb").read().decode("utf-8", "replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def kinds(loop: Loop) -> list[str]:
    "Name one file of every kind that the loop reads."
    folders = ("data", ".dvc/tmp/continual", "reports")
    files = [p for f in folders for p in sorted(loop.path(f).rglob("*")) if p.suffix in READ]
    files += [loop.path(name) for name in (*NAMED[4:], "expectations.yaml", "data.yaml")]
    one = {}
    for file in files:
        name = "*" if file.suffix == ".skops" else file.name
        one.setdefault((file.parent, name), file.relative_to(loop.root).as_posix())
    return list(one.values())


def cases(loop: Loop):
    "Every kind of file with one of the damages and one command in turn; what all need with all."
    for number, name in enumerate(kinds(loop)):
        if name in NAMED:
            yield from ((name, damage, "status") for damage in DAMAGES)
        else:
            yield name, list(DAMAGES)[number % 4], ("status", "verify")[number // 4 % 2]


def test_a_damaged_file_is_named_with_a_remedy_and_is_no_bug(opened, copy):
    loop = copy(opened)
    loop.dvc("repro", "monitor")
    for name in ("open", "failed", "timings", "code"):  # notes that a command may have left
        note = loop.path(f".dvc/tmp/continual/{name}.json")
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(note.read_text() if note.exists() else '{"stage": "monitor"}')
    loop.path(".dvc/tmp/continual/open.json").unlink()
    for name, damage, command in cases(loop):
        path = loop.path(name)
        content, mode = path.read_bytes(), path.stat().st_mode
        path.unlink()
        path.write_bytes(DAMAGES[damage](content))
        code, said = say(loop, command)
        about = f"{command} on {name}, {damage}: {code} {said[-600:]}"
        assert "Traceback" not in said and "bug" not in said and code != 99, about
        if name in NAMED and damage == "no text":
            assert code != 0 and "what to do" in said, about
            assert path.name in said or path.parent.name in said, about
        path.unlink()
        path.write_bytes(content)
        path.chmod(mode)


def test_a_note_of_an_unfinished_open_that_is_damaged_goes_with_its_remedy(opened, copy):
    loop = copy(opened)
    note = loop.path(".dvc/tmp/continual/open.json")
    note.write_bytes(b"")
    said = loop.continual("status", code=5).err
    assert "open.json is not JSON (it is empty)" in said and "delete it (`rm " in said
    note.unlink()
    assert "dvc repro" in loop.continual("status", code=2).out


def damage(file, how: str) -> None:
    content = file.read_bytes()
    file.unlink()  # DVC may share it with its cache
    file.write_bytes(DAMAGES[how](content))


def commands(said: str) -> list[str]:
    "What an answer says to do."
    return re.findall("`([^`]+)`", said.partition("what to do: ")[2])


@pytest.mark.parametrize("how", ["empty", "cut short"])
def test_each_damaged_file_of_the_state_and_the_store_comes_back_by_its_remedy(opened, copy, how):
    loop = copy(opened)
    before = loop.bytes("data")
    places = [loop.path("data/state/in"), loop.path("data/store")]
    files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
    named = [file for file in files if file.name not in ("README.md", "champion.skops")]
    assert len(named) > 10
    for file in named:
        damage(file, how)
        code, said = say(loop, "verify")
        assert code == 5 and (file.name in said or file.parent.name in said), said
        loop.run("sh", "-c", commands(said)[0])
        assert loop.bytes("data") == before, said
    for file in files:
        damage(file, how) if file.name != "state.json" else None  # which status reads itself
    code, said = say(loop, "status")
    assert code == 5 and "damaged    data/state/in: not what data/state/in.dvc names" in said
    loop.run("sh", "-c", said.partition("next: ")[2])
    assert loop.bytes("data") == before


def test_a_damaged_state_is_not_taken_for_a_new_one(opened, copy):
    loop = copy(opened)
    before = loop.bytes("data/state", "data/store.dvc", "data/store")
    damage(loop.path("data/state/in/answers.json"), "empty")
    said = loop.continual("run", code=5).err
    assert "data/state/in is not the state that iter/001-2024-01 sealed" in said
    assert (
        loop.path("data/state/in.dvc").read_bytes() == opened.path("data/state/in.dvc").read_bytes()
    )
    loop.dvc("repro", "ingest", code=255)  # by hand it is: DVC writes a new hash into the pointer
    assert (
        loop.path("data/state/in.dvc").read_bytes() != opened.path("data/state/in.dvc").read_bytes()
    )
    for command in commands(loop.continual("run", code=5).err):
        loop.run("sh", "-c", command)
    now = loop.bytes("data/state", "data/store.dvc", "data/store")
    assert {n: h for n, h in now.items() if n != "data/state/in.dvc"} == {
        n: h for n, h in before.items() if n != "data/state/in.dvc"
    }
    assert "damaged" not in loop.continual("status", code=2).out


@pytest.mark.parametrize("how", ["empty", "cut short"])
def test_a_damaged_pointer_is_written_anew_by_its_remedy(opened, copy, how):
    loop = copy(opened)
    for name in ("data/state/in.dvc", "data/store.dvc"):
        before = loop.path(name).read_bytes()
        damage(loop.path(name), how)
        for command in ("status", "verify"):
            code, said = say(loop, command)
            assert code == 5 and f"{name} does not name the content" in said, said
        for words in commands(said)[:2]:
            loop.run("sh", "-c", words)
        assert loop.path(name).read_bytes() == before
