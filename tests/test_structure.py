"The house: notebooks and package agree, arrows point down, stages do not know each other, the root is a project."

import ast
import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import continual_nb
from continual_nb.core.table import STAGES
from continual_nb.loop.code import code_yaml, package_files, reached, stage_hash
from continual_nb.loop.init import FLIGHTS, TEMPLATES, template
from continual_nb.loop.pipeline import dvc_yaml
from continual_nb.core.params import Params, render

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
from structure import TARGETS, measure  # noqa: E402

PACKAGE = ROOT / "continual_nb"
ROOMS = (
    "core",
    "monitoring",
    "policy",
    "composition",
    "training",
    "evaluation",
    "decisions",
    "backtest",
    "reporting",
    "loop",
    "interfaces",
    "cli",
)  # an arrow may only point left
STAGE_MODULES = {
    "monitoring/monitor.py",
    "policy/decide.py",
    "composition/compose.py",
    "training/train.py",
    "evaluation/evaluate.py",
    "decisions/promote.py",
}
MODULES = sorted(
    p.relative_to(PACKAGE).as_posix()
    for p in PACKAGE.rglob("*.py")
    if p.parent != PACKAGE and p.name != "__init__.py"
)
NOTEBOOKS = sorted(
    p
    for p in (ROOT / "nbs").rglob("*.ipynb")
    if re.match(r"\d", p.relative_to(ROOT / "nbs").parts[0]) and ".ipynb_checkpoints" not in p.parts
)


def imports(path: str) -> set[str]:
    "Modules of this package that a module imports anywhere, also inside functions."
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            base = path.removesuffix(".py").split("/")[: -node.level] if node.level else []
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if node.level or name.startswith("continual_nb."):
                base = name.removeprefix("continual_nb.").replace(".", "/")
                found |= {base + ".py", *(f"{base}/{a.name}.py" for a in node.names)}
        elif isinstance(node, ast.Import):
            found |= {
                a.name.removeprefix("continual_nb.").replace(".", "/") + ".py"
                for a in node.names
                if a.name.startswith("continual_nb.")
            }
    return found


def modules_in_order() -> list[str]:
    "Modules in reading order: the order of the notebooks' paths."
    named = re.compile(r"#\| default_exp (\S+)")
    sources = (
        "".join("".join(c["source"]) for c in json.loads(p.read_text())["cells"]) for p in NOTEBOOKS
    )
    return [named.search(source)[1].replace(".", "/") + ".py" for source in sources]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_modules_before_it(module):
    "Also inside functions, and by names in strings: so no circle."
    order = modules_in_order()
    rooms = [name.split("/")[0] for name in order]
    assert sorted(rooms, key=ROOMS.index) == rooms
    for name in imports(module) | names_in_strings(module):
        if name in order and name != module:
            assert order.index(name) < order.index(module), f"{module} imports {name}"


def names_in_strings(path: str) -> set[str]:
    "Modules of this package that a module names in a string, as `continual_nb.room.module`."
    tree = ast.parse((PACKAGE / path).read_text())
    texts = [
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
    named = {m for text in texts for m in re.findall(r"continual_nb\.([a-z_.]+)", text)}
    return {name.strip(".").replace(".", "/") + ".py" for name in named}


@pytest.mark.parametrize("module", sorted(STAGE_MODULES))
def test_stages_never_import_each_other(module):
    assert not imports(module) & (STAGE_MODULES - {module})


@pytest.mark.parametrize("module", MODULES)
def test_exported_code_needs_neither_nbdev_nor_fastcore(module):
    source = (PACKAGE / module).read_text()
    assert not re.search(r"^\s*(from|import) (nbdev|fastcore|execnb)", source, re.M)
    assert "import *" not in source


def test_the_package_is_what_the_notebooks_say(tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    for name in ("nbs", "continual_nb"):
        subprocess.run(
            [
                "rsync",
                "-a",
                "--delete",
                "--exclude",
                "__pycache__",
                f"{ROOT / name}/",
                str(copy / name),
            ],
            check=False,
        ) if _has("rsync") else _copy(ROOT / name, copy / name)
    before = {p.relative_to(copy): p.read_bytes() for p in (copy / "continual_nb").rglob("*.py")}
    subprocess.run([str(Path(sys.executable).parent / "nbdev_export")], cwd=copy, check=True)
    after = {p.relative_to(copy): p.read_bytes() for p in (copy / "continual_nb").rglob("*.py")}
    assert {str(p) for p in before} == {str(p) for p in after}
    assert [str(p) for p in before if before[p] != after[p]] == []


def _has(program: str) -> bool:
    import shutil

    return shutil.which(program) is not None


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.rmtree(target)
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    )


@pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT / "nbs").as_posix()
)
def test_a_notebook_reads_like_a_page(path):
    "Title, subtitle and a reason first; exported cells stay short and are followed by something that a reader sees."
    cells = json.loads(path.read_text())["cells"]
    first = "".join(cells[0]["source"])
    assert re.match(r"# \S+\n\n> \S", first), "the first cell is a title and a subtitle"
    code = [c for c in cells if c["cell_type"] == "code"]
    assert any("#| default_exp" in "".join(c["source"]) for c in code)
    assert not any(o.get("output_type") == "error" for c in code for o in c["outputs"])
    long = [
        len(c["source"])
        for c in code
        if "#| export" in "".join(c["source"]) and len(c["source"]) > 200
    ]
    assert not long, f"an exported cell of {max(long, default=0)} lines: split it"


def test_settings_and_pyproject_agree():
    ini = configparser.ConfigParser()
    ini.read(ROOT / "settings.ini")
    settings, project = ini["DEFAULT"], tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["lib_name"] == project["project"]["name"]
    assert settings["description"] == project["project"]["description"]
    assert f">={settings['min_python']}" == project["project"]["requires-python"]
    assert settings["version"] == continual_nb.__version__
    assert settings["keywords"].split() == project["project"]["keywords"]
    assert (
        settings["allowed_cell_metadata_keys"].split()
        == project["tool"]["nbdev"]["allowed_cell_metadata_keys"]
    )


def test_the_root_is_the_default_project():
    assert (ROOT / "params.yaml").read_text() == render(FLIGHTS)
    assert Params.load(ROOT / "params.yaml") == FLIGHTS
    assert (ROOT / "dvc.yaml").read_text() == dvc_yaml()
    assert (ROOT / ".dvcignore").read_text() == template("dvcignore")
    assert {name for name in TEMPLATES} == {
        p.name for p in (PACKAGE / "templates/project").iterdir() if p.is_file()
    }
    assert (ROOT / "data/code.yaml").read_text().split("libraries:")[0] == code_yaml(
        package_files()
    ).split("libraries:")[0], "run `make export`"


def test_stages_are_verbs_with_descriptions_and_their_own_params_block():
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load(dvc_yaml())["stages"]
    assert tuple(stages) == STAGES
    for name, stage in stages.items():
        assert stage["cmd"] == f"continual stage {name}"
        assert stage["desc"].endswith(".")
        named = [p for p in stage["params"] if isinstance(p, str)]
        if name in Params.model_fields and name != "promote":
            assert any(p == name or p.startswith(f"{name}.") for p in named), name
        assert {"data/code.yaml": [name, "libraries"]} in stage["params"]
        assert not any(str(dep).endswith(".ipynb") for dep in stage.get("deps", []))


def test_a_change_of_one_stage_makes_only_its_own_code_stale():
    files = package_files()
    before = {stage: stage_hash(stage, files) for stage in STAGES}
    path = "monitoring/detectors/univariate.py"
    changed = {**files, path: files[path] + b"\nCHANGED = 1\n"}
    moved = {stage for stage in STAGES if stage_hash(stage, changed) != before[stage]}
    assert "monitor" in moved and not moved & {"ingest", "train"}
    shells = files["loop/stages.py"].replace(
        b'"Train one challenger per composed set."', b'"Train a challenger per composed set."'
    )
    assert shells != files["loop/stages.py"]
    assert {
        s for s in STAGES if stage_hash(s, {**files, "loop/stages.py": shells}) != before[s]
    } == {"train"}


def test_moving_a_cell_changes_no_hash():
    files = package_files()
    path = "core/windows.py"
    marked = re.sub(rb"(?m)^# %% .*$", b"# %% elsewhere #0", files[path])
    assert marked != files[path]
    assert all(
        stage_hash(stage, {**files, path: marked}) == stage_hash(stage, files) for stage in STAGES
    )


def test_help_answers_without_heavy_libraries():
    code = "import sys; import continual_nb.cli.main; print(sorted({'numpy','pandas','sklearn','scipy','dvc','matplotlib'} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_nothing_of_the_workplace_is_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    bad = re.compile(rb"/(?:tmp/twins|home/[a-z]+/|root/)|localhost:\d{4}/simple")
    found = [
        name
        for name in listed
        if (ROOT / name).is_file()
        and name != "tests/test_structure.py"
        and bad.search((ROOT / name).read_bytes())
    ]
    assert found == []


def test_reached_follows_imports_inside_functions():
    assert "core/metrics.py" in reached({"core.replay"}, package_files())


def test_what_is_derived_is_in_sync(tmp_path):
    from continual_nb.loop.schemas import schema, types
    from continual_nb.loop.sync import readme
    from continual_nb.reporting.page import blank

    assert (ROOT / "README.md").read_text() == readme(
        json.loads((ROOT / "nbs/index.ipynb").read_text())
    )
    assert (PACKAGE / "templates/report/iteration.ipynb").read_text() == blank(
        json.loads((ROOT / "nbs/reports/iteration.ipynb").read_text())
    )
    assert {p.name for p in (PACKAGE / "schemas").iterdir()} == {
        f"{name}.schema.json" for name in types()
    }
    for name in types():
        assert json.loads((PACKAGE / f"schemas/{name}.schema.json").read_text()) == schema(name), (
            f"{name}: run `make export`"
        )


AT_MOST = {  # as measured; only ever lowered, towards TARGETS of benchmarks/structure.py
    "exported cells, lines median": 20.0,
    "exported cells, lines p90": 49,
    "exported cells, lines max": 199,
    "lines over 100, %": 0.32,
    "lines over 120": 0,
    "lines over 160": 0,
    "nested conditional expressions": 64,
    "nested comprehensions": 37,
    "functions with more than 7 parameters": 16,
    "most parameters": 23,
    "highest complexity": 58,
    "circles": 0,
    "public names in two or more modules": 70,
    "public functions without argument comments": 457,
}
AT_LEAST = {  # as measured; only ever raised
    "exported cells shown within 3 cells, %": 66.0,
    "shown within 3 cells, 00_core, %": 66.0,
    "shown within 3 cells, 10_profiles, %": 53.0,
    "shown within 3 cells, 20_detectors, %": 61.5,
    "shown within 3 cells, 30_diagnosis, %": 65.0,
    "shown within 3 cells, 10_monitoring, %": 76.5,
    "shown within 3 cells, 20_policy, %": 64.9,
    "shown within 3 cells, 30_composition, %": 65.0,
    "shown within 3 cells, 40_training, %": 50.0,
    "shown within 3 cells, 50_evaluation, %": 62.0,
    "shown within 3 cells, 60_decisions, %": 78.0,
    "shown within 3 cells, 70_backtest, %": 50.0,
    "shown within 3 cells, 80_reporting, %": 60.3,
    "shown within 3 cells, 85_loop, %": 69.0,
    "shown within 3 cells, 88_interfaces, %": 54.5,
    "shown within 3 cells, 90_cli, %": 87.5,
}


@pytest.fixture(scope="module")
def figures():
    return measure(ROOT)


@pytest.mark.parametrize("name", AT_MOST)
def test_the_house_gets_no_worse(figures, name):
    assert figures[name] <= AT_MOST[name]


@pytest.mark.parametrize("name", AT_LEAST)
def test_no_folder_shows_less_of_what_it_exports(figures, name):
    assert figures[name] >= AT_LEAST[name]


def test_every_figure_has_a_limit(figures):
    assert set(figures) == {*AT_MOST, *AT_LEAST}
    assert set(TARGETS) <= set(figures)


def test_the_figures_count_what_they_say(tmp_path):
    package, notebooks = tmp_path / "continual_nb", tmp_path / "nbs/00_core"
    (package / "core").mkdir(parents=True)
    notebooks.mkdir(parents=True)
    eight = ", ".join("abcdefgh")
    first = f"def f({eight}):\n    from .b import g\n    return 1 if a else 2 if b else 3\n"
    second = "NAME = 'continual_nb.core.a'\n\n\ndef f(x):  # commented\n    return [y for y in [z for z in x]]\n"
    (package / "core/a.py").write_text(first)
    (package / "core/b.py").write_text(second + "# " + "-" * 119 + "\n")
    shown = {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"output_type": "x"}]}
    words = {"cell_type": "markdown", "source": ["words"]}
    exported = {
        "cell_type": "code",
        "source": ["#| export\n", "def f():\n", "    ..."],
        "outputs": [],
    }
    cells = [exported, words, words, shown, exported, words, words, words, shown]
    (notebooks / "01_a.ipynb").write_text(json.dumps({"cells": cells}))
    figures = measure(tmp_path)
    assert figures["exported cells, lines max"] == 2
    assert figures["shown within 3 cells, 00_core, %"] == 50
    assert (figures["lines over 120"], figures["lines over 160"]) == (1, 0)
    assert figures["nested conditional expressions"] == figures["nested comprehensions"] == 1
    assert figures["functions with more than 7 parameters"] == 1
    assert (figures["most parameters"], figures["highest complexity"]) == (8, 3)
    assert figures["circles"] == 2, "an import inside a function and a name in a string"
    assert figures["public names in two or more modules"] == 1
    assert figures["public functions without argument comments"] == 1
