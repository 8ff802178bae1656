"Notebooks in Git: a filter keeps outputs out of commits, and the bytes that a record names are those that Git keeps."

import json
import shutil
import sys

import nbformat
import pytest
from loop import begun, signed
from nbformat import v4

from continual_nb.loop.cleaning import FILTER, filter_command
from continual_nb.loop.init import NOTEBOOKS


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return begun(tmp_path_factory.mktemp("asked"), None, "--clean-notebooks")


def run_in_lab(loop, path: str) -> bytes:
    "Leave a notebook as JupyterLab does after it was run."
    made = nbformat.read(loop.path(path), 4)
    for n, cell in enumerate(made.cells):
        if cell.cell_type == "code":
            cell.update(execution_count=n, outputs=[v4.new_output("stream", text=f"printed-{n}")])
            cell.metadata["execution"] = {"iopub.status.idle": "2024-05-01T10:00:00Z"}
    made.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    nbformat.write(made, loop.path(path))
    return loop.path(path).read_bytes()


def test_outputs_stay_on_disk_and_out_of_commits(copy, asked):
    loop = copy(asked)
    assert loop.git("config", f"filter.{FILTER}.clean") == filter_command()
    before = loop.path("notebooks/explore.ipynb").read_bytes()
    after = run_in_lab(loop, "notebooks/explore.ipynb")
    assert loop.git("diff", "--stat") == "", "a run alone is no difference"
    made = nbformat.read(loop.path("notebooks/explore.ipynb"), 4)
    made.cells[1].source += "\n# of the team"
    nbformat.write(made, loop.path("notebooks/explore.ipynb"))
    shown = [line for line in loop.git("diff", "-U0").splitlines() if line[:2] in ("+ ", "- ")]
    assert shown and all("of the team" in line or "printed-" not in line for line in shown)
    loop.git("commit", "-q", "-a", "-m", "An idea")
    kept = loop.git("show", "HEAD:notebooks/explore.ipynb")
    assert "of the team" in kept and "printed-" not in kept and "version" not in kept
    assert b"printed-" in loop.path("notebooks/explore.ipynb").read_bytes()
    assert before != after


def test_without_the_option_git_is_left_alone(born):
    assert FILTER not in born.path(".gitattributes").read_text()
    assert FILTER not in born.git("config", "--list", "--local")


def test_new_notebooks_are_what_git_keeps_of_them(asked):
    for name in NOTEBOOKS:
        path = f"notebooks/{name}.ipynb"
        assert asked.git("hash-object", path) == asked.git("hash-object", "--no-filters", path)


def test_a_record_names_the_bytes_that_git_keeps(copy, asked, tmp_path_factory):
    loop = copy(asked)
    path = "notebooks/deep_dive.ipynb"
    loop.set(notebooks=f"[{path}]")
    run_in_lab(loop, path)
    assert f"{path} is cleaned" in loop.continual("refresh").err
    signed(loop)
    run_in_lab(loop, path)
    loop.dvc("repro")
    said = loop.continual("seal", code=2).err
    assert f"{path} holds outputs that Git does not keep" in said and "continual refresh" in said
    loop.continual("refresh")
    loop.dvc("repro")
    loop.continual("seal")
    clone = tmp_path_factory.mktemp("clone") / "again"
    loop.git("worktree", "add", "-q", str(clone), loop.git("tag").splitlines()[-1])
    shutil.copyfile(loop.path(".dvc/config"), clone / ".dvc/config")
    loop.run("dvc", "cache", "dir", "--local", str(loop.path(".dvc/cache")), where=clone)
    loop.run("dvc", "checkout", "-q", where=clone)
    assert "up to date" in loop.run("dvc", "status", where=clone).out


def test_a_clone_learns_how_to_clean_by_refresh(copy, asked):
    loop = copy(asked)
    loop.git("config", "--unset", f"filter.{FILTER}.clean")
    loop.continual("refresh")
    assert loop.git("config", f"filter.{FILTER}.clean") == filter_command()


def test_a_pair_of_jupytext_stays_a_pair(copy, asked):
    loop = copy(asked)
    words = (sys.executable, "-m", "jupytext", "--quiet")
    loop.run(*words, "--set-formats", "ipynb,py:percent", "notebooks/explore.ipynb")
    loop.git("add", "notebooks")
    loop.git("commit", "-q", "-m", "Paired")
    kept = json.loads(loop.git("show", "HEAD:notebooks/explore.ipynb"))
    assert kept["metadata"]["jupytext"]["formats"] == "ipynb,py:percent"
    text = loop.path("notebooks/explore.py")
    text.write_text(text.read_text() + "\n# %%\nseen_in_text = 1\n")
    loop.run(*words, "--sync", "notebooks/explore.ipynb")
    assert "seen_in_text" in loop.path("notebooks/explore.ipynb").read_text()


def test_make_runs_every_notebook_and_says_which_failed(copy, turned):
    loop = copy(turned)
    loop.path("notebooks/label.ipynb").unlink()
    nbformat.write(
        v4.new_notebook(cells=[v4.new_code_cell("1 / 0")]), loop.path("notebooks/a b.ipynb")
    )
    said = loop.run("make", "notebooks", code=2).all
    assert "ZeroDivisionError" in said
    made = {path.name for path in loop.path("_notebooks").iterdir()}
    assert made == {"a b.ipynb", "deep_dive.ipynb", "explore.ipynb"}
    assert "_notebooks" not in loop.git("status", "--short")
    loop.path("notebooks/a b.ipynb").unlink()
    loop.run("make", "notebooks")
    assert "mean loss" in loop.path("_notebooks/deep_dive.ipynb").read_text()
