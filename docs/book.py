"""The notebooks as a book: a Sphinx extension.

Every exported cell is preceded by what it exports (name, signature, docstring, the comment of
each argument) and folded away; prose and demonstrations stay as they are. The directive
`notebooks` lists a folder in reading order. Formulas become MathML, which browsers draw
themselves.
"""

import ast
import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import click
import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.util.docutils import SphinxDirective

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


ROOT = Path(__file__).parent.parent
FOLDERS = {
    "tutorials": "Tutorials",
    "00_core": "Core",
    "10_monitoring": "Monitoring",
    "20_policy": "Policy",
    "30_composition": "Composition",
    "40_training": "Training",
    "50_evaluation": "Evaluation",
    "60_decisions": "Decisions",
    "70_backtest": "Backtest",
    "80_reporting": "Reporting",
    "85_loop": "Loop",
    "88_interfaces": "Interfaces",
    "90_cli": "Command line",
}


def in_order(folder: Path) -> list[Path]:
    "Notebooks of a folder in reading order."
    return sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def spine() -> str:
    "What the first page binds together: contents, glossary, every folder in reading order, the rest."

    def toctree(caption: str, names: list[str]) -> str:
        return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```"])

    first = ["contents", "glossary", "record", "words", "worth", "../CONTRIBUTING", "../CHANGELOG"]
    parts = [toctree("The book", first)]
    for folder, caption in FOLDERS.items():
        paths = in_order(ROOT / "nbs" / folder)
        names = [p.relative_to(ROOT / "nbs").with_suffix("").as_posix() for p in paths]
        parts.append(toctree(caption, names))
    return "\n\n".join(parts)


def title_of(path: Path) -> tuple[str, str]:
    "Title and subtitle of a notebook."
    first = "".join(json.loads(path.read_text())["cells"][0]["source"])
    subtitle = re.search(r"(?m)^> (.+)$", first)
    return re.match(r"# (.+)", first)[1], subtitle[1] if subtitle else ""


# What a cell exports: read from its source, so that nothing is imported and a default stands as
# it is written


def comment_of(lines: list[str], node: ast.AST) -> str:
    "The comment at the end of the line on which a node ends."
    found = re.search(r"  # (.+)$", lines[node.end_lineno - 1])
    return found[1] if found else ""


def described(lines: list[str], name: str, node: ast.AST, told: str = "") -> list[str]:
    told = told or comment_of(lines, node)
    return [f":param {name}: {told}"] if told else []


def arguments(lines: list[str], node: ast.FunctionDef) -> tuple[str, list[str]]:
    "Signature of a function, and a field for every argument that has a comment."
    spec = node.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    fields = [line for a in every for line in described(lines, a.arg, a)]
    of_method = spec.args and spec.args[0].arg in ("self", "cls")
    if of_method:
        spec.args = spec.args[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(spec)}){returns}", fields


def default_of(node: ast.expr | None) -> tuple[str, str]:
    "Default and description of a field, as its class says them; empty where it says none."
    if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Field", "field")):
        return ast.unparse(node) if node else "", ""
    keys = {k.arg: k.value for k in node.keywords}
    told = keys.get("description")
    described = told.value if isinstance(told, ast.Constant) else ""
    given = [*node.args, *filter(None, [keys.get("default"), keys.get("default_factory")])]
    required = not given or ast.unparse(given[0]) == "..."
    return "" if required else ast.unparse(given[0]), described


def fields_of(lines: list[str], node: ast.ClassDef) -> tuple[str, list[str]]:
    "Signature of a class that is made of its fields, and a field for each of them."
    shown, fields = [], []
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or "ClassVar" in ast.unparse(part.annotation):
            continue
        name, (default, told) = part.target.id, default_of(part.value)
        if not name.startswith(("_", "model_config")):
            annotation = ast.unparse(part.annotation)
            shown.append(f"{name}: {annotation}" + (f" = {default}" if default else ""))
            fields += described(lines, name, part, told)
    marks = [ast.unparse(x) for x in (*node.decorator_list, *node.bases)]
    by_place = any(mark.startswith(("dataclass", "NamedTuple")) for mark in marks)
    return f"({'' if by_place else '*, '}{', '.join(shown)})" if shown else "", fields


def docstring(node: ast.AST) -> list[str]:
    text = ast.get_docstring(node) or ""
    return str(NumpyDocstring(text, Config(napoleon_use_rtype=False))).splitlines()


def directive(kind: str, head: str, body: list[str], *options: str) -> list[str]:
    "A MyST directive; its fence is longer than every fence inside."
    inside = [len(m[0]) for m in (re.match("`{3,}", line) for line in body) if m]
    fence = "`" * (max(inside, default=2) + 1)
    return [f"{fence}{{{kind}}} {head}", *options, "", *body, fence, ""]


def function_entry(lines: list[str], node: ast.FunctionDef, kind: str = "function") -> list[str]:
    signature, fields = arguments(lines, node)
    marks = {ast.unparse(d) for d in node.decorator_list}
    if "property" in marks:
        return directive("py:property", node.name, docstring(node))
    options = [f":{m}:" for m in ("classmethod", "staticmethod") if m in marks]
    return directive(f"py:{kind}", node.name + signature, [*docstring(node), "", *fields], *options)


def class_entry(lines: list[str], node: ast.ClassDef) -> list[str]:
    methods = [m for m in node.body if isinstance(m, ast.FunctionDef)]
    own = next((m for m in methods if m.name == "__init__"), None)
    signature, fields = arguments(lines, own) if own else fields_of(lines, node)
    bases = ", ".join(f"`{ast.unparse(b)}`" for b in node.bases)
    body = [*docstring(node), "", *([f"Bases: {bases}", ""] if bases else []), *fields, ""]
    for method in methods:
        if not method.name.startswith("_") and ast.get_docstring(method):
            body += function_entry(lines, method, "method")
    return directive("py:class", node.name + signature, body)


def command_entry(name: str, module_name: str) -> list[str]:
    "A command of the command line as its help text: usage, arguments and options."
    command = getattr(import_module(module_name), name)
    known = f"continual {command.name}" if command.name != "cli" else "continual"
    text = command.get_help(click.Context(command, info_name=known))
    return directive("py:data", name, ["~~~text", *text.splitlines(), "~~~"])


def assigned(node: ast.stmt) -> dict[str, ast.expr | None]:
    "Names that a statement gives a value to, and the values."
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    pairs = [(target, node.value) for target in targets if target is not None]
    for target, value in list(pairs):
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs += zip(target.elts, value.elts, strict=True)
    return {t.id: value for t, value in pairs if isinstance(t, ast.Name)}


def value_entry(name: str, value: ast.expr) -> list[str]:
    text = ast.unparse(value)
    shown = text if len(text) <= 70 else text[:69] + "…"
    return directive("py:data", name, [], f":value: {json.dumps(shown)}")


def is_command(node: ast.FunctionDef) -> bool:
    return any(re.search(r"\b(command|group)\(", ast.unparse(d)) for d in node.decorator_list)


def entries(source: str, module_name: str, seen: set[str]) -> str:
    """Directives for the public names that an exported cell defines; empty where it has none. Names
    in `seen` are left out, and those of this cell are added to it."""
    lines, made = source.splitlines(), []
    for node in ast.parse(source).body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            made += class_entry(lines, node)
        elif isinstance(node, FUNCTIONS) and is_command(node):
            made += command_entry(node.name, module_name)
        elif isinstance(node, FUNCTIONS):
            made += function_entry(lines, node)
        else:
            for name, value in assigned(node).items():
                made += value_entry(name, value) if name[0] != "_" and name not in seen else []
                seen.add(name)
    head = ["```{py:currentmodule} " + module_name, "```", ""]
    return "\n".join([*head, *made]) if made else ""


# Cells


def read(text: str) -> nbformat.NotebookNode:
    "A notebook as a page: exported cells folded below what they export, hidden cells left out."
    notebook = nbformat.reads(text, as_version=4)
    module, cells, seen = "", [], set()
    for cell in notebook.cells:
        source, directive = cell.source, re.match(r"#\| *(\w+) *(\S*)\n?", cell.source)
        kind = directive[1] if directive and cell.cell_type == "code" else ""
        if kind == "default_exp":
            module = f"continual_nb.{directive[2]}"
            line = f"```{{py:module}} {module}\n```\n\n`{module}`"
            cells.append(nbformat.v4.new_markdown_cell(line))
        elif kind == "export":
            cell.source = source[directive.end() :]
            names = entries(cell.source, module, seen)
            cells += [nbformat.v4.new_markdown_cell(names)] if names else []
            cell.metadata["tags"] = ["hide-input"]
            cells.append(cell)
        elif kind != "hide":
            cells.append(cell)
    if not module and cells[0].source.startswith("# continual_nb\n"):
        cells.append(nbformat.v4.new_markdown_cell(spine()))
    notebook.cells = cells
    return notebook


# Pages


class Notebooks(SphinxDirective):
    "`{notebooks} FOLDER`: its notebooks in reading order, each with its subtitle."

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        here = Path(self.env.doc2path(self.env.docname)).parent
        lines = []
        for path in in_order(here / self.arguments[0]):
            title, subtitle = title_of(path)
            lines.append(f"- [{title}]({path.relative_to(here).as_posix()}): {subtitle}")
        return self.parse_text_to_nodes("\n".join(lines))


def keep_pages_as_pages(app: Sphinx, tree: nodes.document) -> None:
    "A link to a page of the reports stays a link; it is no file to download."
    for link in list(tree.findall(download_reference)):
        if link["reftarget"].endswith(".html"):
            target = nodes.reference("", "", *link.children, refuri=link["reftarget"])
            link.replace_self(target)


def copy_reports(app: Sphinx, error: Exception | None) -> None:
    "The sealed reports stand beside the book."
    if error is None:
        shutil.copytree(Path(app.srcdir) / "reports", app.outdir / "reports", dirs_exist_ok=True)


def visit_math(writer, node: nodes.math) -> None:
    writer.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def visit_math_block(writer, node: nodes.math_block) -> None:
    writer.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_directive("notebooks", Notebooks)
    app.connect("doctree-read", keep_pages_as_pages, priority=100)  # before files are collected
    app.connect("build-finished", copy_reports)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
