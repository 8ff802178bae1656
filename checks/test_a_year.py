"A year of real flights through the real pipeline: twelve sealed months, every promise at full size."

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Params
from continual_nb.core.sources import load

ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "true",
}


def run(*words: str, where: Path) -> str:
    done = subprocess.run(words, cwd=where, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def year(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("year")
    run("continual", "init", "flights", where=home)
    run("continual", "run", where=home / "flights")
    return home / "flights"


def records(year: Path, name: str) -> list[dict]:
    return [
        json.loads((folder / "evidence" / name).read_text())
        for folder in sorted((year / "reports").glob("0*"))
    ]


def test_twelve_months_are_sealed_and_everything_fits(year):
    assert len(run("git", "tag", "--list", "iter/*", where=year).split()) == 12
    assert "everything fits" in run("continual", "verify", where=year)
    assert run("git", "status", "--porcelain", where=year) == ""


def test_some_challengers_are_promoted_and_some_are_not(year):
    outcomes, evaluations = records(year, "outcome.json"), records(year, "evaluation.json")
    assert [o["answer"] for o in outcomes].count("promoted") >= 2
    refused = [e for e in evaluations if e["gates"] and e["answer"] != "promote"]
    assert refused and all(e["reason"] for e in refused)


def test_pages_stay_small_and_whole(year):
    for folder in sorted((year / "reports").glob("0*")):
        page = (folder / "report.html").read_text()
        assert len(page.encode()) < 300_000, folder.name
        assert "<script" not in page and "http://" not in page and "https://" not in page


def test_labels_that_never_come_are_counted_and_never_trained_on(year):
    ingested = records(year, "ingested.json")
    assert sum(part["new_events"] for part in ingested) == 336_776
    assert (
        336_776 - sum(part["new_labels"] for part in ingested) >= 9_430
    )  # the last 36 hours of the year are unknown as well
    assert all(abs(part["maturity"]["delay_days"] - 1.5) < 1e-6 for part in ingested)


def test_the_fold_in_memory_gives_the_same_year(year):
    params = Params.load(year / "params.yaml")
    turns = fold(params, delivered(load(params.data.source, year), params.data))
    assert [json.loads(turn.evaluation.to_file()) for turn in turns] == records(
        year, "evaluation.json"
    )
    assert [json.loads(turn.proposal.to_file()) for turn in turns] == records(year, "proposal.json")
    assert [turn.outcome.champion for turn in turns] == [
        outcome["champion"] for outcome in records(year, "outcome.json")
    ]


def test_an_old_month_is_reproduced_to_the_byte(year, tmp_path):
    tree = tmp_path / "june"
    run("git", "worktree", "add", "-q", str(tree), "iter/006-2013-06", where=year)
    run("dvc", "cache", "dir", "--local", str(year / ".dvc/cache"), where=tree)
    run("dvc", "checkout", "-q", where=tree)
    assert "up to date" in run("dvc", "repro", where=tree)
    run("dvc", "repro", "--force", where=tree)
    assert run("git", "status", "--porcelain", "--", "dvc.lock", where=tree) == ""
    assert (tree / "data/work/report/report.html").read_bytes() == (
        year / "reports/006-2013-06/report.html"
    ).read_bytes()
