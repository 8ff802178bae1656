"The prepared notebooks of a project, and the commands that show them in JupyterLab."

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat
import pandas as pd
import pytest

from continual_nb.core.files import ContinualError
from continual_nb.interfaces import lab
from continual_nb.interfaces.bench import Bench, losses_by_group
from continual_nb.loop.init import NOTEBOOKS, prepare_notebook, template
from continual_nb.loop.project import Project

PLACES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
LAB_PLACES = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")


def listening():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def served(loop, word):
    "Start the server as a person does; yields what it said and the address, then ends it."
    said, home = loop.home / f"{word}.txt", loop.home / "jupyter"
    places = {name: str(home / name.lower()) for name in (*PLACES, *LAB_PLACES)}
    command = ("continual", word, "--no-browser", "--", "--allow-root", "--port=0")
    with said.open("w") as out:
        server = subprocess.Popen(
            command,
            cwd=loop.root,
            env=loop.environment(**places),
            stdout=out,
            stderr=out,
            preexec_fn=listening,  # as in a terminal, also where the tests run in the background
        )
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"http://\S+", said.read_text())):
            assert server.poll() is None and time.monotonic() < end, said.read_text()
            time.sleep(0.1)
        yield found[0], said
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


@pytest.mark.parametrize(("word", "name"), [("bench", "explore"), ("desk", "label")])
def test_a_command_shows_its_notebook_behind_a_token(copy, born, word, name):
    loop = copy(born)
    loop.path(f"notebooks/{name}.ipynb").unlink()  # as in a project of an earlier version
    with served(loop, word) as (address, said):
        assert f"notebooks/{name}.ipynb: http://" in said.read_text()
        assert "Ctrl+C ends it" in said.read_text()
        base, token = address.split("lab/tree/")[0], address.split("?")[1]
        wait_for(address)
        with urlopen(f"{base}api/contents/notebooks/{name}.ipynb?{token}", timeout=30) as answer:
            kept = json.loads(answer.read())["content"]
        assert [c["source"] for c in kept["cells"]] == [
            "".join(c["source"]) for c in json.loads(template(f"notebooks/{name}.ipynb"))["cells"]
        ]
        with pytest.raises(HTTPError, match="403"):
            urlopen(f"{base}api/contents/notebooks/{name}.ipynb", timeout=30)


def wait_for(address: str) -> None:
    "The socket listens before the loop that answers has begun."
    with urlopen(address, timeout=30) as answer:
        assert answer.status == 200


def test_without_jupyterlab_the_pip_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    with pytest.raises(ContinualError, match=r"pip install 'continual_nb\[lab\]'"):
        lab.lab_app()


def test_a_notebook_that_is_there_is_never_written_over(tmp_path):
    place = tmp_path / prepare_notebook(tmp_path, "explore")
    assert place.read_text() == template("notebooks/explore.ipynb")
    place.write_text("mine")
    prepare_notebook(tmp_path, "explore")
    assert place.read_text() == "mine"


def test_the_prepared_notebooks_run_in_a_turned_project_and_change_nothing(copy, turned):
    loop = copy(turned)
    kept = lambda: loop.bytes(
        "data/state", "data/work", "data/store", "params.yaml", "data/decision.yaml"
    )
    before = kept()
    for name in NOTEBOOKS:
        path = f"notebooks/{name}.ipynb"
        words = ("--to", "notebook", "--execute", "--stdout", path)
        made = nbformat.reads(
            loop.run(sys.executable, "-m", "nbconvert", *words, TQDM_DISABLE="1").out, as_version=4
        )
        shown = [c for c in made.cells if c.cell_type == "code" and c.outputs]
        assert len(shown) >= 2 and nbformat.validate(made) is None, name
    assert before and kept() == before


def test_the_deep_dive_is_a_page_of_the_report(copy, turned):
    loop = copy(turned)
    loop.set(notebooks="[notebooks/deep_dive.ipynb]")
    loop.dvc("repro")
    page = loop.path("data/work/report/notebooks/deep_dive.html").read_text()
    body = page[page.index("<body>") :]
    assert "<h1>Where the loss is</h1>" in body and "<strong>Note:" not in body
    scored = Bench(Project(loop.root)).scored
    assert f"{len(scored):,} evaluation rows, mean loss {scored['loss'].mean():.4f}" in body
    candidate = loop.json("data/work/evaluate/evaluation.json")
    mean = next(
        s["metrics"]["loss"]
        for s in candidate["scores"]
        if s["model"] == candidate["candidate"] and s["part"] == "evaluation"
    )
    assert scored["loss"].mean() == pytest.approx(mean)
    assert "Where the loss is" in loop.path("data/work/report/report.html").read_text()


def test_groups_of_losses_hold_every_row_and_all_loss():
    rows = pd.DataFrame(
        {
            "shop": ["north"] * 30 + ["south"] * 30,
            "price": [*range(50), *[None] * 10],
            "loss": [n / 60 for n in range(60)],
        }
    )
    found = losses_by_group(rows, ["shop", "price"], least=1)
    for _, groups in found.groupby("column"):
        assert groups["rows"].sum() == 60 and groups["share"].sum() == pytest.approx(1)
    assert found["loss"].is_monotonic_decreasing and "missing" in set(found["group"])
    assert set(losses_by_group(rows, ["price"], least=11)["group"]).isdisjoint({"missing"})


def test_the_magic_gives_the_bench_itself(copy, turned, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    import continual_nb

    monkeypatch.chdir(copy(turned).root)
    shell = InteractiveShell()
    continual_nb.load_ipython_extension(shell)
    found = shell.run_line_magic("continual", "bench")
    assert isinstance(found, Bench) and found.opened.iteration.number == 1
    wrong = shell.run_line_magic("continual", "bench 009-2030-01")
    assert wrong.code == 1 and "there is no iteration" in wrong.said[0]
