"Every notebook runs from top to bottom: prose, code and demonstrations agree."

import os
from pathlib import Path

import pytest
from nbdev.config import get_config
from nbdev.test import test_nb as run_notebook

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(
    p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
)
run_notebook.__test__ = False


@pytest.mark.parametrize(
    "notebook", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT / "nbs").as_posix()
)
def test_notebook(notebook, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    before = dict(os.environ)  # a notebook runs in this process
    os.environ |= {"DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(tmp_path)}
    try:
        passed, _ = run_notebook(notebook, skip_flags=["notest"], basepath=get_config().config_path)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert passed
