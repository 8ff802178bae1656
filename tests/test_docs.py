"A notebook as a page of the site: every public name with its signature and what is said of its arguments."

import ast
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
from book import FOLDERS, entries, in_order, read  # noqa: E402

NOTEBOOKS = [path for folder in FOLDERS for path in in_order(ROOT / "nbs" / folder)]


def signatures(node: ast.AST) -> str:
    arguments = node.args
    return " ".join(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT / "nbs").as_posix())
def test_every_public_name_appears_with_its_signature(path):
    text = "\n".join(c.source for c in read(path.read_text()).cells if c.cell_type == "markdown")
    module = re.search(r"#\| default_exp ([\w.]+)", path.read_text())
    if not module:
        return
    source = (ROOT / "continual_nb" / (module[1].replace(".", "/") + ".py")).read_text()
    tree = ast.parse(source)
    named = re.search(r"^__all__ = (\[.*?\])$", source, re.M | re.S)
    for name in ast.literal_eval(named[1]) if named else []:
        head = re.search(rf"(?m)^`+{{py:(\w+)}} {re.escape(name)}(?![\w]).*$", text)
        assert head, f"{name} is not on the page"
        for node in tree.body:
            plain = (
                isinstance(node, ast.FunctionDef) and node.name == name and head[1] == "function"
            )
            if plain:
                words = re.findall(r"\w+", head[0])
                assert set(signatures(node).split()) <= set(words), name


def test_comments_of_arguments_and_of_fields_are_shown():
    source = """def scale(
    values: list,  # lengths in metres
    by: float = 2.0,
) -> list:
    "Scale values."


class Settings(Block):
    "What can be set."

    rate: float = Field(0.1, description="per year")
    name: str  # as typed
"""
    page = entries(source, "continual_nb.example", set())
    assert "{py:function} scale(values: list, by: float=2.0) -> list" in page
    assert ":param values: lengths in metres" in page and ":param by:" not in page
    assert "{py:class} Settings(*, rate: float = 0.1, name: str)" in page
    assert ":param rate: per year" in page and ":param name: as typed" in page


def test_the_source_is_folded_and_hidden_cells_are_left_out():
    cells = [
        ("# x\n\n> y", "markdown"),
        ("#| default_exp core.x", "code"),
        ("#| hide\nsecret = 1", "code"),
    ]
    cells += [("#| export\ndef f(a):\n    return a", "code"), ("f(1)", "code")]
    made = [
        {"cell_type": kind, "id": f"c{at}", "metadata": {}, "source": source}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for at, (source, kind) in enumerate(cells)
    ]
    notebook = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    page = read(json.dumps(notebook)).cells
    assert not any("secret" in c.source for c in page)
    folded = [c for c in page if "hide-input" in c.metadata.get("tags", [])]
    assert [c.source for c in folded] == ["def f(a):\n    return a"]
    assert page[-1].source == "f(1)"


def test_the_glossary_explains_each_term_once():
    text = (ROOT / "nbs/glossary.md").read_text()
    terms = re.findall(r"(?m)^### (.+)$", text)
    assert len(terms) == len(set(terms)) >= 35
    cited = set(
        re.findall(r"([A-Z][\w-]+)(?:, [^.;:]*?| and [^.;:]*?| et al\.)? \((\d{4})\)", text)
    )
    listed = text.split("## Sources")[1]
    assert [c for c in cited if not re.search(rf"- {c[0]}.*\({c[1]}\)", listed)] == []
