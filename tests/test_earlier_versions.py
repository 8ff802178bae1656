"A project that was begun with an earlier version goes on with this one; what it sealed is never rewritten."

import json
import tarfile
from pathlib import Path

import pytest
from loop import STAGES, Loop

from continual_nb.core.params import read_yaml
from continual_nb.loop.code import stage_hash, unzipped
from continual_nb.loop.pipeline import completed

FIXTURE = Path(__file__).parent / "fixtures" / "project_0.1.0.tar.xz"
TAGS = ["iter/001-2024-01", "iter/002-2024-02"]


@pytest.fixture
def earlier(tmp_path) -> Loop:
    "Two iterations sealed by version 0.1.0, before the rooms of the package moved."
    home = tmp_path / "earlier"
    home.mkdir()
    with tarfile.open(FIXTURE) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # newer than 3.11.2
        archive.extractall(home)
    loop = Loop(home)
    for name, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        loop.git("config", name, value)
    return loop


def trees(loop: Loop) -> list[str]:
    "What the first two tags point to."
    return [loop.git("rev-parse", f"{tag}^{{tree}}") for tag in TAGS]


def test_an_earlier_project_verifies_and_turns_its_next_window(earlier):
    sealed, records = trees(earlier), earlier.bytes("reports/001-2024-01", "reports/002-2024-02")
    assert earlier.json("reports/002-2024-02/summary.json")["number"] == 2
    assert "002-2024-02" in earlier.continual("status", code=None).out
    earlier.continual("verify")

    said = earlier.continual("open")
    assert "compose declares monitor.outlier_share" in said.err
    pipeline = earlier.path("dvc.yaml").read_text()
    assert "      - train\n" in pipeline  # its params.yaml has no train.trusted_types yet
    assert completed(pipeline) == (pipeline, ())
    earlier.dvc("repro", "evaluate")
    earlier.continual("sign", "reject", "--by", "Ada", "--reason", "The old model stays.")
    earlier.dvc("repro")
    earlier.continual("seal")

    assert earlier.git("tag", "--list").split() == [*TAGS, "iter/003-2024-03"]
    assert trees(earlier) == sealed
    assert earlier.bytes("reports/001-2024-01", "reports/002-2024-02") == records
    state = earlier.json("data/state/out/state.json")
    assert state["iteration"] == 3 and state["champion"] == earlier.champion_of(TAGS[1])
    earlier.continual("verify")


def test_kept_code_of_an_earlier_version_has_the_hashes_that_it_was_sealed_with(earlier):
    named, files = (
        read_yaml(earlier.path("data/code.yaml")),
        unzipped(earlier.path("data/code.zip")),
    )
    assert {stage: stage_hash(stage, files) for stage in STAGES} == {s: named[s] for s in STAGES}


def test_a_sealed_iteration_of_an_earlier_version_runs_on_the_code_that_made_it(earlier):
    past = earlier.home / "past"
    earlier.git("worktree", "add", "-q", str(past), TAGS[1])
    earlier.run("dvc", "cache", "dir", "--local", str(earlier.path(".dvc/cache")), where=past)
    earlier.run("dvc", "checkout", where=past)
    answer = earlier.run(
        "dvc", "repro", "--force", "--single-item", "--no-run-cache", "decide", where=past
    )
    assert "running the code that this iteration names" in answer.err
    proposal = json.loads((past / "data/work/decide/proposal.json").read_text())
    kept = earlier.json("reports/002-2024-02/evidence/proposal.json")
    assert proposal == kept
