"The pipeline: nine stages, the same bytes every time, nothing run that need not run, and DVC's own commands."

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

import continual_nb
from loop import OUTPUTS, STAGES

from continual_nb.core.table import RESULTS


def ran(said) -> list[str]:
    "Stages that `dvc repro` ran."
    return [
        line.split("'")[1] for line in said.all.splitlines() if line.startswith("Running stage")
    ]


def test_the_first_repro_runs_nine_stages_and_ends_with_a_proposal(turned, world):
    told = (world / "turned.txt").read_text()
    assert [
        line.split("'")[1] for line in told.splitlines() if line.startswith("Running stage")
    ] == list(STAGES)
    outcome, state = (
        turned.json("data/work/promote/outcome.json"),
        turned.json("data/state/out/state.json"),
    )
    assert (outcome["answer"], outcome["recommendation"]["do"]) == ("pending", "promote")
    assert (
        outcome["champion"] is None
        and state["champion"] is None
        and not turned.path("data/state/out/champion.skops").exists()
    )
    assert turned.path("data/work/report/report.html").stat().st_size > 10_000
    assert all(any(turned.path(folder).iterdir()) for folder in OUTPUTS.values())


def test_a_second_repro_is_up_to_date(turned):
    said = turned.dvc("repro")
    assert "Data and pipelines are up to date" in said.all and ran(said) == []


def test_no_byte_depends_on_place_threads_zone_language_or_hash_seed(turned, copy):
    loop = copy(turned, "another place")
    loop.source.unlink()  # an iteration that has its snapshot does not read the source again
    said = loop.dvc(
        "repro",
        "--force",
        "--no-run-cache",
        OMP_NUM_THREADS="2",
        OPENBLAS_NUM_THREADS="2",
        TZ="Asia/Kathmandu",
        LANG="de_DE.UTF-8",
        LC_ALL="C",
        PYTHONHASHSEED="12345",
    )
    assert ran(said) == list(STAGES)
    assert loop.bytes() == turned.bytes()


def test_a_signature_runs_promote_and_report_and_nothing_else(turned, copy):
    loop = copy(turned)
    before = loop.bytes("data/work")
    loop.continual("sign", "approve", "--by", "continual", "--reason", "The gates passed.")
    assert ran(loop.dvc("repro")) == ["promote", "report"]
    changed = {
        name.split("/")[2]
        for name, digest in loop.bytes("data/work").items()
        if before.get(name) != digest
    }
    assert changed == {"promote", "report"}
    outcome, state = (
        loop.json("data/work/promote/outcome.json"),
        loop.json("data/state/out/state.json"),
    )
    assert (
        outcome["answer"] == "promoted"
        and state["champion"] == outcome["champion"] == outcome["recommendation"]["model"]
    )
    assert loop.bytes("data/state/out")["data/state/out/champion.skops"] == state["champion"]


def test_metrics_plots_and_dag(turned):
    metrics = json.loads(turned.dvc("metrics", "show", "--json").out)[""]["data"]
    monitor, evaluate = (
        metrics[f"data/work/{stage}/metrics.json"]["data"] for stage in ("monitor", "evaluate")
    )
    assert (
        monitor["rows"] == 300 and evaluate["answer"] == "promote" and 0 < evaluate["loss"] < 0.69
    )
    plots = json.loads(turned.dvc("plots", "show", "--json", "-o", str(turned.home / "plots")).out)
    assert not plots.get("errors") and {
        "data/work/monitor/columns.csv",
        "data/work/evaluate/scores.csv",
    } <= set(plots["data"])
    assert set(STAGES) <= set(re.findall(r'"([^"]+)"', turned.dvc("dag", "--dot").out))


def test_an_experiment_with_another_parameter(turned, copy):
    loop = copy(turned)
    said = loop.dvc("exp", "run", "-n", "strict", "-S", "monitor.alpha=0.01")
    assert ran(said)[0] == "monitor" and "snapshot" not in ran(said)
    assert "alpha: 0.01" in loop.path("params.yaml").read_text()
    assert "strict" in loop.dvc("exp", "show", "--csv").out


def test_the_champion_of_a_sealed_iteration_can_be_registered(sealed, copy):
    loop = copy(sealed)
    loop.run("gto", "register", "champion", "--repo", ".")
    shown = json.loads(loop.run("gto", "show", "--repo", ".", "--json").out)
    assert shown["champion"]["version"] == "v0.0.1"
    assert "v0.0.1" in loop.run("gto", "show", "champion@latest", "--ref", "--repo", ".").out


ANSWERS = {
    **RESULTS,
    "state": "data/state/out/state.json",
    "reference": "data/state/out/reference.json",
    "params": "params.yaml",
    "decision": "data/decision.yaml",
    "steer": "data/steer.yaml",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_have_the_form_that_their_schema_states(approved, answer):
    schema = json.loads(
        (Path(continual_nb.__file__).parent / "schemas" / f"{answer}.schema.json").read_text()
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    content = YAML(typ="safe").load(approved.path(ANSWERS[answer]))  # JSON is YAML
    jsonschema.validate(content, schema)
    with pytest.raises(
        jsonschema.ValidationError
    ):  # a schema that allows everything would show nothing
        jsonschema.validate({**content, "a key that nobody knows": 1}, schema)


def test_every_schema_is_checked_by_a_test():
    found = {
        file.name.removesuffix(".schema.json")
        for file in (Path(continual_nb.__file__).parent / "schemas").glob("*.json")
    }
    assert found - {"partition", "score"} == set(ANSWERS)  # these two are parts of others
