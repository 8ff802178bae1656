"The one table of stages: what is declared is what is used, and everything else follows from it."

import dis
import json
import re
import sys
import types
from importlib.util import resolve_name
from pathlib import Path

import pytest
from loop import STAGES, Loop

from continual_nb.core.files import folder_hashes
from continual_nb.core.table import RESULTS, TABLE, inputs, outputs
from continual_nb.loop import stages
from continual_nb.loop.code import package_files, stage_hash
from continual_nb.loop.pipeline import completed, dvc_yaml

HERE = Path(__file__).parent
SHELLS = "loop/stages.py"
FILES = package_files()
MODULES = sorted(path for path in FILES if path.endswith(".py") and path != SHELLS)


# -- what a stage uses, found from compiled code ------------------------------------------------------


def codes(code: types.CodeType):
    "A piece of compiled code and all pieces inside it."
    yield code
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from codes(part)


def named(code: types.CodeType, package: str) -> set[str]:
    "Files of this package that compiled code imports, or names in a string."
    found: set[str] = set()
    for part in codes(code):
        steps = list(dis.get_instructions(part))
        for n, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                level = steps[n - 2].argval or 0
                name = resolve_name("." * level + step.argval, package) if level else step.argval
                members = steps[n - 1].argval or ()
                found |= {name, *(f"{name}.{member}" for member in members)}
        texts = [text for text in part.co_consts if isinstance(text, str)]
        found |= {
            f"continual_nb.{m}" for t in texts for m in re.findall(r"continual_nb\.([a-z_.]+)", t)
        }
    inside = {name.removeprefix("continual_nb.").replace(".", "/") + ".py" for name in found}
    return inside & set(FILES)


def package_of(path: str) -> str:
    return "continual_nb." + path.rpartition("/")[0].replace("/", ".")


ARROWS = {
    path: named(compile(FILES[path], path, "exec", dont_inherit=True), package_of(path))
    for path in MODULES
}


def shells_of(stage: str) -> list[types.CodeType]:
    "The stage's function, what runs it, and the functions of their module that they call."
    functions = {k: v for k, v in vars(stages).items() if isinstance(v, types.FunctionType)}
    own = {
        k
        for k, v in functions.items()
        if getattr(v, "__wrapped__", v).__module__ == stages.__name__
    }
    seen, ahead = set(), {stage, "run_stage"}
    while ahead:
        seen.add(name := ahead.pop())
        function = getattr(functions[name], "__wrapped__", functions[name])
        called = {word for part in codes(function.__code__) for word in part.co_names}
        ahead |= (called & own) - seen - set(STAGES)
    return [getattr(functions[k], "__wrapped__", functions[k]).__code__ for k in seen]


def uses(stage: str) -> set[str]:
    "Files of the package that a stage may run."
    top = compile(FILES[SHELLS], SHELLS, "exec", dont_inherit=True)
    outside = top.replace(
        co_consts=tuple(None if isinstance(c, types.CodeType) else c for c in top.co_consts)
    )
    ahead = set().union(
        *(named(code, "continual_nb.loop") for code in (outside, *shells_of(stage)))
    )
    seen: set[str] = set()
    while ahead := (ahead - seen - {SHELLS}):
        seen.add(path := ahead.pop())
        ahead |= ARROWS[path]
    return seen


def stale(path: str, content: bytes) -> set[str]:
    "Stages whose hash changes with a file."
    after = {**FILES, path: content}
    return {stage for stage in STAGES if stage_hash(stage, after) != BEFORE[stage]}


BEFORE = {stage: stage_hash(stage, FILES) for stage in STAGES}
USES = {stage: uses(stage) for stage in STAGES}


@pytest.mark.parametrize("path", MODULES)
def test_a_change_of_a_module_makes_exactly_the_stages_stale_that_use_it(path):
    if path.endswith("__init__.py"):
        assert path == "__init__.py" or not FILES[path].strip(), (
            "nobody hashes code that stands there"
        )
        return
    assert stale(path, FILES[path] + b"\nCHANGED = 1\n") == {s for s in STAGES if path in USES[s]}


def test_the_hash_of_the_report_covers_what_its_page_is_made_of():
    for path in (
        "evaluation/result.py",
        "monitoring/result.py",
        "core/pictures.py",
        "core/results.py",
    ):
        assert "report" in stale(path, FILES[path] + b"\nCHANGED = 1\n"), path
    for path in ("templates/report/style.css", "templates/report/iteration.ipynb"):
        assert stale(path, FILES[path] + b"\n") == {"report"}


def test_a_row_concerns_its_stage_and_those_that_read_what_it_makes():
    path, table = "core/table.py", FILES["core/table.py"]
    changed = table.replace(b'"Train one challenger per', b'"Train a challenger per')
    assert changed != table
    assert stale(path, changed) == {"train", "evaluate", "promote", "report"}
    row = b'\n\nCOUNT = Stage("count", "Count the rows.", reads=("ingest",))\n\nTABLE = {'
    assert stale(path, table.replace(b"\n\nTABLE = {", row)) == set()


def test_every_stage_has_its_shell_and_every_result_its_reader():
    assert all(isinstance(getattr(stages, name), types.FunctionType) for name in STAGES)
    made = [place for name in STAGES for place in outputs(name)]
    assert len(set(made)) == len(made)
    for name in STAGES:
        ahead = {place for later in STAGES[STAGES.index(name) :] for place in outputs(later)}
        assert not ahead & set(inputs(name)), name
    signed = {name for name, row in TABLE.items() if row.signed}
    assert signed <= set(TABLE["promote"].reads)
    assert {name for name, row in TABLE.items() if row.results} <= set(TABLE["report"].reads)


# -- what a stage reads, found by running it ----------------------------------------------------------


@pytest.fixture(scope="module")
def ran(twice, tmp_path_factory) -> tuple[Loop, Path]:
    "Every stage of the second iteration, alone, with all parameters changed that it does not declare."
    loop = twice.copy(tmp_path_factory.mktemp("alone") / "copy")
    out = loop.home / "alone"
    out.mkdir()
    loop.run(sys.executable, str(HERE / "alone.py"), str(loop.root), str(out), *STAGES)
    return loop, out


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_no_parameter_that_it_does_not_declare(ran, twice, stage):
    loop, out = ran
    found = json.loads((out / f"{stage}.json").read_text())
    assert "error" not in found, found.get("error")
    given = out / f"{stage}-as-given"
    expected = given if given.exists() else twice.path(TABLE[stage].place)
    assert folder_hashes(out / stage) == folder_hashes(expected)
    if stage in ("promote", "report"):
        return
    declared = TABLE[stage].params
    covered = lambda key: any(key == one or key.startswith(f"{one}.") for one in declared)
    assert [key for key in found["read"] if not covered(key)] == []
    assert len(found["moved"]) > 25 and not any(map(covered, found["moved"]))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_no_module_that_its_hash_does_not_cover(ran, stage):
    found = json.loads((ran[1] / f"{stage}.json").read_text())
    assert found["loaded"]
    loaded = {
        name.removeprefix("continual_nb.").replace(".", "/") + ".py" for name in found["loaded"]
    }
    assert loaded & set(FILES) <= USES[stage] | {SHELLS}


# -- dvc.yaml ----------------------------------------------------------------------------------------


def test_what_an_earlier_version_did_not_declare_is_added_and_what_people_added_stays():
    lines = (
        "      - monitor.outlier_share\n",
        "      - train.trusted_types\n",
        "  - data/work/promote/metrics.json\n",
    )
    older = dvc_yaml()
    for line in lines:
        older = older.replace(line, "")
    assert older != dvc_yaml()
    assert completed(older)[0] == dvc_yaml() and completed(dvc_yaml()) == (dvc_yaml(), ())
    own = "  mine: # our own\n    cmd: python mine.py\n    deps: [data/work/decide]\n"
    text, added = completed(older.replace("\nmetrics:", f"{own}\nmetrics:"))
    assert "compose declares monitor.outlier_share" in added and own.splitlines()[0] in text
    assert "python mine.py" in text and completed(text) == (text, ())
    with pytest.raises(ValueError):
        completed("stages: []\n")


def test_every_part_of_the_record_stands_in_the_table():
    from continual_nb.loop.schemas import types as kinds
    from continual_nb.reporting.record import parts

    assert list(parts()) == list(RESULTS) and set(RESULTS) < set(kinds())
