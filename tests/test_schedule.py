"The crank under a scheduler: what is due, how far it goes without a person, and the recipes, run for real."

import ast
import json
import os
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from continual_nb.loop.init import template
from continual_nb.interfaces.schedule import RECIPES, advance, due, ended
from continual_nb.loop.project import Iteration, Project
from continual_nb.core.files import ContinualError
from datetime import datetime, timedelta, timezone
from loop import Loop, events

UTC = timezone.utc


def test_a_window_is_over_when_it_has_ended_and_its_data_have_had_time_to_arrive():
    march = Iteration(
        3,
        "2013-03",
        "2013-03-01T05:00:00+00:00",
        "2013-04-01T04:00:00+00:00",
        "2013-04-01T04:00:00+00:00",
    )
    assert not ended(march, datetime(2013, 4, 1, 3, tzinfo=UTC), timedelta(0))
    assert ended(march, datetime(2013, 4, 1, 4, tzinfo=UTC), timedelta(0))
    assert not ended(march, datetime(2013, 4, 1, 4, tzinfo=UTC), timedelta(minutes=1))
    rows = lambda *edges: Iteration(2, "r0002", edges[1], edges[2], edges[2], None, edges)
    assert not ended(
        rows("a", "b", "c"), datetime(2099, 1, 1, tzinfo=UTC), timedelta(0)
    )  # nothing after it has arrived: it may still grow
    assert ended(rows("a", "b", "c", "d"), datetime(2013, 1, 1, tzinfo=UTC), timedelta(0))


def test_what_is_due_follows_the_clock_and_a_feed_that_died_is_named(sealed, copy):
    loop = copy(sealed)
    project = Project(loop.root)
    assert due(project, now=datetime(2024, 2, 29, 23, 59, tzinfo=UTC)) is None
    assert due(project, "2d", now=datetime(2024, 3, 2, 23, tzinfo=UTC)) is None
    iteration, _ = due(project, "2d", now=datetime(2024, 3, 3, tzinfo=UTC))
    assert iteration.name == "002-2024-02"
    loop.deliver(events()[lambda frame: frame.when < "2024-02-01"])
    with pytest.raises(
        ContinualError, match="2024-02 has ended, and the source holds no event"
    ) as error:
        due(project, now=datetime(2024, 6, 1, tzinfo=UTC))
    assert error.value.code == 4
    with pytest.raises(ContinualError, match="--wait"):
        due(project, "soon")


def test_the_crank_stops_where_a_person_is_asked_and_goes_on_where_they_signed(turned, copy):
    loop = copy(turned)
    said = loop.continual("turn", "--json", code=3)
    assert json.loads(said.out)["stands"] == "a decision is asked"
    loop.continual("sign", "approve", "--by", "continual", "--reason", "Good.")
    now = datetime(2024, 3, 2, tzinfo=UTC)
    before = Path.cwd()
    try:
        os.chdir(loop.root)
        stand = advance(Project(loop.root), now=now, told=lambda line: None)
    finally:
        os.chdir(before)
    assert (stand.sealed, stand.iteration, stand.code) == (("iter/001-2024-01",), "002-2024-02", 3)
    assert advance(Project(loop.root), automatic=True, now=now, told=lambda line: None).sealed == (
        "iter/002-2024-02",
    )
    assert advance(Project(loop.root), automatic=True, now=now, told=lambda line: None).code == 0
    loop.continual("verify")


# -- the recipes ------------------------------------------------------------------------------------
def test_cron_turns_tells_and_is_quiet_unless_something_is_wrong(turned, copy):
    loop = copy(turned)
    loop.continual("schedule", "cron")
    assert {p.name for p in loop.path("schedule").iterdir()} == set(RECIPES["cron"])
    assert str(loop.root) in loop.path("schedule/crontab").read_text() and "@" not in loop.path(
        "schedule/crontab"
    ).read_text().replace("mailto", "")
    text = loop.path("params.yaml").read_text()
    loop.path("params.yaml").write_text(
        text.replace(
            "\n  hooks: []", """\n  hooks: [{kind: command, target: "sh -c 'cat >> told.jsonl'"}]"""
        )
    )
    bare = {"PATH": f"{loop.environment()['PATH']}"}
    said = loop.run(
        str(loop.path("schedule/turn.sh")), code=3, where=loop.home, **bare
    )  # cron starts somewhere else
    assert said.all == "" and loop.path("told.jsonl").read_text().count('"event": "asked"') == 1
    assert loop.run(str(loop.path("schedule/turn.sh")), code=3, where=loop.home).all == ""
    assert loop.path("told.jsonl").read_text().count('"event": "asked"') == 1
    loop.path("params.yaml").write_text(text.replace("windows:", "wimdows:"))
    said = loop.run(str(loop.path("schedule/turn.sh")), code=1, where=loop.home)
    assert "wimdows" in said.err


def clone(loop: Loop, home: Path) -> Loop:
    "A runner: a fresh clone, with the source beside it and nothing of DVC's cache."
    home.mkdir()
    shutil.copytree(loop.home / "source", home / "source")
    loop.run("git", "clone", "-q", str(loop.home / "origin.git"), str(home / "project"))
    made = Loop(home)
    for key, value in (("user.name", "continual"), ("user.email", "continual@example.org")):
        made.git("config", key, value)
    return made


@pytest.fixture(scope="session")
def hosted(born, world) -> Loop:
    "A project with the GitHub recipe, pushed to a bare repository, with a DVC remote."
    loop = born.copy(world / "hosted")
    loop.continual("schedule", "github")
    loop.dvc("remote", "add", "-d", "shelf", str(loop.home / "shelf"))
    loop.set(approvers="[ada]")
    loop.git("add", "-A")
    loop.git("commit", "-q", "-m", "Under schedule")
    loop.run(
        "git",
        "clone",
        "-q",
        "--bare",
        str(loop.root),
        str(loop.home / "origin.git"),
        where=loop.home,
    )
    return loop


def merge(loop: Loop, runner: Path, message: str) -> str:
    "Merge the question's branch, as the host does when somebody presses the button; returns the commit."
    person = clone(loop, runner)
    branch = person.git("branch", "-r", "--list", "origin/iteration/*").strip()
    person.git("merge", "-q", "--no-ff", "-m", f"Merge pull request #7\n\n{message}", branch)
    person.git("push", "-q", "origin", "HEAD")
    return person.git("rev-parse", "HEAD")


@pytest.fixture(scope="session")
def proposed(hosted, world) -> Loop:
    "The question is on its branch."
    runner = clone(hosted, world / "runner-1")
    out = world / "output"
    runner.run("sh", "schedule/propose.sh", WAIT="1d", GITHUB_OUTPUT=str(out))
    assert "branch=iteration/001-2024-01" in out.read_text()
    question = runner.path(".dvc/tmp/continual/question.md").read_text()
    assert (
        question.startswith(runner.path("data/work/report/summary.md").read_text())
        and "Merging this signs it" in question
    )
    assert "pending" in runner.path("data/decision.yaml").read_text()
    return hosted


def test_a_question_is_asked_once(proposed, world):
    said = clone(proposed, world / "runner-2").run("sh", "schedule/propose.sh")
    assert "waits for its signature: iteration/001-2024-01" in said.out


def test_a_merge_is_a_signature_in_the_name_of_who_merged(proposed, copy, tmp_path):
    loop = proposed  # the bare repository is copied, the session's one stays as it is
    mine = Loop(tmp_path / "mine")
    shutil.copytree(loop.home, mine.home, ignore=shutil.ignore_patterns("site"))
    commit = merge(mine, tmp_path / "person", "It finds what we missed in January.")
    runner = clone(mine, tmp_path / "runner")
    runner.dvc("remote", "add", "-f", "-d", "shelf", str(mine.home / "shelf"))
    refused = runner.run(
        "sh", "schedule/signed.sh", code=1, SIGNER="mallory", REASON="Mine.", ABOUT="x"
    )
    assert "not one of the approvers" in refused.all and runner.git("tag") == ""
    runner.run(
        "sh",
        "schedule/signed.sh",
        SIGNER="ada",
        REASON="It finds what we missed in January.",
        ABOUT=f"pull request 7, commit {commit}",
    )
    after = clone(mine, tmp_path / "after")
    assert (
        after.git("tag") == "iter/001-2024-01"
        and after.git("branch", "-r", "--list", "origin/iteration/*") == ""
    )
    record = after.path("reports/001-2024-01")
    summary, decision = (
        json.loads((record / "summary.json").read_text()),
        YAML(typ="safe").load((record / "evidence/decision.yaml").read_text()),
    )
    assert (summary["answer"], summary["by"], summary["verified"], summary["person"]) == (
        "promoted",
        "ada",
        False,
        True,
    )
    assert (
        decision["reason"]
        == f"It finds what we missed in January. (pull request 7, commit {commit})"
        and decision["page"]
    )
    assert after.git("log", "-1", "--format=%an") == "ada"
    after.dvc("remote", "add", "-f", "-d", "shelf", str(mine.home / "shelf"))
    after.dvc("pull", "-q")
    after.continual("verify")
    assert after.dvc("status").out.strip().startswith("Data and pipelines are up to date")
    again = after.run(
        "sh", "schedule/propose.sh", WAIT="1d"
    )  # and the next window is proposed from a fresh clone
    assert "branch=iteration/002-2024-02" in again.out


def test_a_merge_of_evidence_that_moved_is_refused(proposed, tmp_path):
    mine = Loop(tmp_path / "mine")
    shutil.copytree(proposed.home, mine.home, ignore=shutil.ignore_patterns("site"))
    merge(mine, tmp_path / "person", "Fine.")
    runner = clone(mine, tmp_path / "runner")
    runner.set(min_gain="0.5")
    runner.git("commit", "-q", "-a", "-m", "Meanwhile, somebody moved a threshold")
    said = runner.run("sh", "schedule/signed.sh", code=2, SIGNER="ada", REASON="Fine.")
    assert "older than what it was made from: evaluate" in said.all and runner.git("tag") == ""


def test_the_workflow_is_what_it_says():
    flow = YAML(typ="safe").load(template("schedule/github.yml"))
    assert set(flow["on"]) == {"schedule", "workflow_dispatch", "pull_request"} and flow["on"][
        "pull_request"
    ]["types"] == ["closed"]
    assert (
        flow["permissions"] == {"contents": "write", "pull-requests": "write"}
        and flow["concurrency"]["cancel-in-progress"] is False
    )
    propose, sign = flow["jobs"]["propose"], flow["jobs"]["sign"]
    assert propose["if"] == "github.event_name != 'pull_request'"
    assert all(
        part in sign["if"]
        for part in (
            "pull_request.merged",
            "head.repo.full_name == github.repository",
            "startsWith(github.event.pull_request.head.ref, 'iteration/')",
        )
    )
    steps = [*propose["steps"], *sign["steps"]]
    scripts = " ".join(step.get("run", "") for step in steps)
    assert "${{" not in scripts  # what people wrote reaches a script as a variable, never as code
    assert {word for word in scripts.split() if word.startswith("schedule/")} == {
        "schedule/requirements.txt",
        "schedule/propose.sh",
        "schedule/signed.sh",
    }
    assert sign["steps"][-1]["env"]["SIGNER"] == "${{ github.event.pull_request.merged_by.login }}"
    assert all(step["uses"].split("@")[1].startswith("v") for step in steps if "uses" in step)
    ids = {step["id"] for step in steps if "id" in step}
    assert ids == {"turn", "page"}


def test_inside_a_larger_repository_the_workflow_works_in_the_projects_folder(born, tmp_path):
    loop = born.copy(tmp_path / "larger")
    shutil.rmtree(loop.path(".git"))
    loop.run("git", "init", "-q", where=loop.home)
    loop.continual("schedule", "github")
    text = (loop.home / ".github/workflows/continual-project.yml").read_text()
    assert 'working-directory: "project"' in text and 'path: "project/data/work/report/"' in text
    assert "left alone" in loop.continual("schedule", "github").out


@pytest.mark.parametrize(
    "name", sorted(name for names in RECIPES.values() for name in names if name.endswith(".sh"))
)
def test_a_script_is_plain_posix_shell(name, tmp_path):
    import subprocess

    path = tmp_path / name
    path.write_text(template(f"schedule/{name}"))
    assert subprocess.run(["sh", "-n", str(path)]).returncode == 0
    assert path.read_text().startswith("#!/bin/sh\n")


def test_the_flow_is_python_and_turns_the_crank(turned, copy):
    source = template("schedule/flow.txt")
    steps = [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and any(getattr(d, "id", "") == "step" for d in node.decorator_list)
    ]
    assert steps == ["start", "turn", "tell", "end"]
    pytest.importorskip("metaflow", reason="Metaflow is no dependency: the flow is only read here")
    loop = copy(turned)
    loop.continual("schedule", "metaflow")
    said = loop.run("python", "schedule/flow.py", "run", USERNAME="continual")
    assert "iteration 001-2024-01: a decision is asked" in said.all
