"`continual compare` in CI: an exit code from a verdict on, JSON with the verdict, a comment in Markdown."

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from continual_nb.cli.main import cli


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place, draw = tmp_path_factory.mktemp("two"), np.random.default_rng(1)
    one = pd.DataFrame({"a": draw.normal(size=1500), "b": draw.choice(["x", "y|<z>"], 1500)})
    moved = one.assign(a=one["a"] + 2)
    for name, frame in (
        ("one", one),
        ("same", one.sample(frac=1, random_state=2)),
        ("moved", moved),
    ):
        frame.to_csv(place / f"{name}.csv", index=False)
    return place


def run(files, current, *words):
    return CliRunner().invoke(
        cli, ["compare", str(files / "one.csv"), str(files / current), *words]
    )


def test_the_exit_code_follows_the_verdict(files):
    assert run(files, "same.csv", "--fail-on", "drift").exit_code == 0
    assert run(files, "moved.csv", "--fail-on", "drift").exit_code == 2
    assert run(files, "moved.csv", "--fail-on", "harm").exit_code == 0  # nothing is known of a loss
    assert run(files, "moved.csv").exit_code == 0


def test_json_names_the_verdict(files):
    assert json.loads(run(files, "same.csv", "--json").output)["verdict"] == "nothing"
    assert json.loads(run(files, "moved.csv", "--json").output)["verdict"] in ("look", "drift")


def test_markdown_is_a_comment_that_data_cannot_break(files):
    told = run(files, "moved.csv", "--markdown").output
    assert told.startswith("### Comparison: ") and "| a | " in told and "<z>" not in told
    tables = [line for line in told.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (4, 5) for line in tables)
