"A team's own notebooks in the report: pages that are hashed and sealed with it, that run no script and stop no iteration."

import json
import re

import nbformat
import pytest
from nbformat import v4

from continual_nb.core.files import ContinualError, folder_hashes, write_bytes
from continual_nb.core.params import parse
from continual_nb.reporting.notebooks import as_page, differing, read_notebook, write_notebooks
from continual_nb.reporting.page import strip

BASE = {"data": {"source": "x", "time": "t", "label": "y", "numeric": ["a"]}}


def notebook(*cells, tags=(), **metadata):
    "A notebook; texts that begin with # are headings, the first code cell gets the tags."
    made = [v4.new_markdown_cell(c) if c.startswith("#") else v4.new_code_cell(c) for c in cells]
    next(cell for cell in made if cell.cell_type == "code").metadata["tags"] = list(tags)
    return v4.new_notebook(cells=made, metadata=metadata)


def place(folder, name, made):
    write_bytes(folder / name, nbformat.writes(made))
    return name


def body(page: str) -> str:
    return page[page.index("<body>") :]


def test_own_notebooks_are_pages_of_the_sealed_record(copy, turned):
    loop = copy(turned)
    dive = notebook(
        "# Where it goes wrong",
        "project = '..'",
        "from continual_nb.reporting.record import Record\nfrom pathlib import Path\n"
        "Record.load(Path(project)).monitoring.answer",
        tags=["parameters"],
    )
    place(loop.root, "notebooks/deep_dive.ipynb", dive)
    place(loop.root, "notebooks/broken.ipynb", notebook("1 / 0"))
    text = loop.path("params.yaml").read_text()
    named = "[notebooks/deep_dive.ipynb, notebooks/broken.ipynb, notebooks/deepdive.ipynb]"
    loop.path("params.yaml").write_text(text.replace("notebooks: []", f"notebooks: {named}"))
    said = loop.continual("refresh").all
    assert "report declares notebooks/deep_dive.ipynb" in said
    assert "deepdive" not in loop.path("dvc.yaml").read_text(), "DVC refuses a file that is absent"
    said = loop.dvc("repro").all
    assert "broken: failed in `1 / 0`: ZeroDivisionError" in said
    assert "deepdive: notebooks/deepdive.ipynb is not there" in said
    page = loop.path("data/work/report/report.html").read_text()
    assert '<a href="notebooks/deep_dive.html">Where it goes wrong</a>' in page
    assert '<a href="notebooks/broken.html">Broken (incomplete)</a>' in page
    missing = loop.path("data/work/report/notebooks/deepdive.html").read_text()
    assert "did you mean notebooks/deep_dive.ipynb?" in missing
    own = loop.path("data/work/report/notebooks/deep_dive.html").read_text()
    assert loop.json("data/work/monitor/monitoring.json")["answer"] in own

    made = folder_hashes(loop.path("data/work/report"))
    loop.dvc("repro", "-f", "-s", "report")
    assert folder_hashes(loop.path("data/work/report")) == made, "the same bytes again"
    place(loop.root, "notebooks/deep_dive.ipynb", notebook("# Where it goes wrong", "2 + 2"))
    assert "notebooks/deep_dive.ipynb" in loop.dvc("status", "report").out

    loop.continual("sign", "approve", "--by", "continual", "--reason", "The gates passed.")
    loop.dvc("repro")
    loop.continual("seal")
    record = loop.path("reports/001-2024-01")
    assert {
        "deep_dive.html",
        "deep_dive.ipynb",
        "broken.html",
        "broken.ipynb",
        "deepdive.html",
    } == {p.name for p in (record / "notebooks").iterdir()}
    assert "notebooks/deep_dive.html" in json.loads((record / "record.json").read_text())["files"]
    assert "notebooks/deep_dive.ipynb" in loop.git("ls-tree", "-r", "--name-only", "HEAD")
    loop.continual("verify")
    (record / "notebooks/deep_dive.html").write_text(own)
    assert "deep_dive.html" in loop.continual("verify", code=5).err


def test_what_a_notebook_shows_runs_no_script_and_tells_no_paths(tmp_path):
    hostile = notebook(
        "# A <script>alert(1)</script> title\n\n[link](javascript:alert(2)) <img src=x onerror=alert(3)>",
        "from IPython.display import HTML, Javascript, Markdown, SVG, display\n"
        "display(HTML('<b onclick=\"alert(4)\">kept</b><script>alert(5)</script>'))\n"
        "display(Javascript('alert(6)'))\n"
        'display(SVG(\'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(7)"></svg>\'))\n'
        "display(Markdown('**bold** <script>alert(8)</script>'))",
        "display(HTML('<div id=plot></div><script>alert(9)</script>'))",
        "import pandas as pd\npd.DataFrame({'<script>alert(10)</script>': [1]})",
        "raise ValueError('<script>alert(11)</script>')",
    )
    (found,) = write_notebooks(tmp_path, tmp_path / "out", (place(tmp_path, "h.ipynb", hostile),))
    page = (tmp_path / "out/notebooks/h.html").read_text()
    for word in ("<script", "onclick", "onerror", "onload", "javascript:", "<img", "<svg"):
        assert word not in " ".join(re.findall(r"<[^>]*>", body(page))), word
    assert "<b>kept</b>" not in page and "kept" in page and "<strong>bold</strong>" in page
    assert "needs a script" in page and '<th scope="col">&lt;script&gt;' in page
    assert found.problem.startswith("failed in `raise ValueError") and "stopped here" in page
    kept = json.loads((tmp_path / "out/notebooks/h.ipynb").read_text())
    outputs = [o for c in kept["cells"] for o in c.get("outputs", ())]
    assert outputs and all(o.get("traceback", []) == [] for o in outputs)
    drawn = [o.get("data", {}) for o in outputs]
    spelled = json.dumps([{k: v for k, v in d.items() if k != "text/plain"} for d in drawn])
    assert "<script" not in spelled and "application/javascript" not in spelled
    assert str(tmp_path) not in page + json.dumps(kept)


@pytest.mark.parametrize(
    ("tags", "code", "answer"),
    [
        ((), True, True),
        (("remove-input",), False, True),
        (("remove-output",), True, False),
        (("remove-cell",), False, False),
        (("parameters",), False, False),
    ],
)
def test_tags_say_what_a_page_leaves_out(tags, code, answer):
    made = notebook("six()", tags=tags)
    made.cells[0].outputs = [v4.new_output("stream", text="the answer is six\n")]
    page = as_page(strip(made), "Six")
    assert ("<summary>Code</summary>" in page, "the answer is six" in page) == (code, answer)


def test_a_notebook_that_does_not_repeat_says_where(tmp_path):
    cells = ("# Draws", "import os", "print(os.urandom(4).hex())", "print('always the same')")
    path = place(tmp_path, "draws.ipynb", notebook(*cells))
    (found,) = write_notebooks(tmp_path, tmp_path / "out", (path,))
    assert found.differs == (3,) and not found.problem
    assert "in cell 3 of the notebook" in (tmp_path / "out/notebooks/draws.html").read_text()
    same = strip(notebook("1"))
    assert differing(same, same) == ()


def test_a_kernel_that_dies_is_said_on_its_page_and_a_cell_without_end_ends_the_stage(tmp_path):
    path = place(tmp_path, "dies.ipynb", notebook("print('before')", "import os; os._exit(9)"))
    (found,) = write_notebooks(tmp_path, tmp_path / "out", (path,))
    assert found.problem.startswith("stopped before its end")
    assert "stopped before its end" in (tmp_path / "out/notebooks/dies.html").read_text()
    path = place(tmp_path, "sleeps.ipynb", notebook("import time; time.sleep(60)"))
    with pytest.raises(ContinualError, match="longer than 2 seconds"):
        write_notebooks(tmp_path, tmp_path / "out", (path,), limit=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no Jupyter notebook"),
        ("{}", "is no Jupyter notebook"),
        ("[1]", "is no Jupyter notebook"),
        (
            '{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "is no Jupyter notebook",
        ),
        (
            nbformat.writes(
                notebook("x", kernelspec={"name": "ir", "display_name": "R", "language": "R"})
            ),
            "written for the kernel R",
        ),
    ],
)
def test_a_file_that_cannot_run_is_named(tmp_path, text, said):
    write_bytes(tmp_path / "a.ipynb", text)
    with pytest.raises(ContinualError, match=f"a.ipynb {said}|a.ipynb is {said}"):
        read_notebook(tmp_path, "a.ipynb")


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["notebooks/dive.py"], "is no notebook in the project's folder"),
        (["/etc/dive.ipynb"], "is no notebook in the project's folder"),
        (["../dive.ipynb"], "is no notebook in the project's folder"),
        (["a/dive.ipynb", "b/dive.ipynb"], "two notebooks would become the page dive.html"),
    ],
)
def test_paths_that_name_no_notebook_of_the_project_are_refused(paths, said):
    with pytest.raises(ContinualError, match=re.escape(said)):
        parse({**BASE, "report": {"notebooks": paths}})
    good = parse({**BASE, "report": {"notebooks": ["a/dive.ipynb"]}})
    assert good.report.notebooks == ("a/dive.ipynb",)
