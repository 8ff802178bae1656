"""How the code is built: one line a figure. `python benchmarks/structure.py`.

`measure` is what tests/test_structure.py asserts: no figure gets worse than its limit there,
and limits are moved towards `TARGETS` as folders improve.
"""

import ast
import json
import re
import statistics
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGETS = {
    "exported cells, lines median": 12,
    "exported cells, lines p90": 30,
    "exported cells, lines max": 60,
    "exported cells shown within 3 cells, %": 90,
    "lines over 100, %": 2,
    "lines over 120": 0,
    "lines over 160": 0,
    "nested conditional expressions": 4,
    "nested comprehensions": 4,
    "functions with more than 7 parameters": 4,
    "most parameters": 9,
    "highest complexity": 15,
    "circles": 0,
    "public functions without argument comments": 0,
}
SHOWN_TARGET = 80  # the least share of every single folder, %
BRANCHES = (
    ast.If,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.Assert,
    ast.match_case,
)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def notebooks(root: Path) -> list[Path]:
    "Notebooks that are exported, in reading order."
    return sorted(p for p in (root / "nbs").glob("[0-9]*/**/*.ipynb") if ".ipynb_" not in str(p))


def is_exported(cell: dict) -> bool:
    return cell["cell_type"] == "code" and "".join(cell["source"]).startswith("#| export")


def is_shown(cell: dict) -> bool:
    "Whether a reader sees something: an output, or an assertion that teaches."
    source = "".join(cell["source"])
    if cell["cell_type"] != "code" or source.startswith(("#| export", "#| hide", "#| default_exp")):
        return False
    return bool(cell["outputs"]) or "assert " in source


def cell_figures(paths: list[Path]) -> tuple[list[int], dict[str, list[bool]]]:
    "Lines of every exported cell that defines something, and whether a result follows within three cells, by folder."
    sizes, shown = [], {}
    for path in paths:
        cells = json.loads(path.read_text())["cells"]
        for at, cell in enumerate(cells):
            if not is_exported(cell) or not re.search(
                r"^(def|class) ", "".join(cell["source"]), re.M
            ):
                continue
            sizes.append(len(cell["source"]) - 1)
            following = any(is_shown(later) for later in cells[at + 1 : at + 4])
            shown.setdefault(path.parent.name, []).append(following)
    return sizes, shown


def complexity(function: ast.AST) -> int:
    "Cyclomatic complexity (McCabe 1976): decisions plus one; functions inside count for themselves."
    count, ahead = 1, list(ast.iter_child_nodes(function))
    while ahead:
        node = ahead.pop()
        if isinstance(node, FUNCTIONS):
            continue
        count += isinstance(node, BRANCHES)
        count += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        ahead += ast.iter_child_nodes(node)
    return count


def nested(tree: ast.AST, kinds: tuple) -> int:
    "Expressions of a kind that hold another of the kind."
    outer = [n for n in ast.walk(tree) if isinstance(n, kinds)]
    return sum(any(isinstance(m, kinds) for m in ast.walk(n) if m is not n) for n in outer)


def n_parameters(function: ast.FunctionDef) -> int:
    arguments = function.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return sum(a.arg not in ("self", "cls") for a in every)


def module_names(tree: ast.AST, path: str) -> set[str]:
    "Paths of what a module imports (also inside functions) or names in a string; some do not exist."
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            package = ["continual_nb", *path.split("/")][: -node.level] if node.level else []
            base = ".".join([*package, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {m.strip(".") for m in re.findall(r"continual_nb\.[a-z_.]+", node.value)}
    own = [name for name in names if name.startswith("continual_nb.")]
    return {name.removeprefix("continual_nb.").replace(".", "/") + ".py" for name in own}


def n_in_circles(arrows: dict[str, set[str]]) -> int:
    "How many modules reach themselves by following imports."

    def reached(start: str) -> set[str]:
        seen, ahead = set(), list(arrows[start])
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += arrows[name]
        return seen

    return sum(name in reached(name) for name in arrows)


def n_without_comments(tree: ast.Module, lines: list[str]) -> int:
    "Public functions with a parameter on whose line no comment stands."
    count = 0
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            arguments = node.args
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            count += any(" # " not in lines[a.end_lineno - 1] for a in every)
    return count


def measure(root: Path = ROOT) -> dict[str, float]:
    "Return every figure by name."
    sizes, shown = cell_figures(notebooks(root))
    files = [p for p in (root / "continual_nb").rglob("*.py") if p.name != "_modidx.py"]
    lines = [
        line
        for path in files
        for line in path.read_text().splitlines()
        if not line.startswith(("# %%", "# AUTOGENERATED", "__all__"))
    ]
    trees = [ast.parse(path.read_text()) for path in files]
    functions = [n for tree in trees for n in ast.walk(tree) if isinstance(n, FUNCTIONS)]
    # a command takes one parameter for each of its options
    plain = [f for f in functions if not f.decorator_list]
    everywhere = [flag for flags in shown.values() for flag in flags]
    paths = [path.relative_to(root / "continual_nb").as_posix() for path in files]
    arrows = {
        path: (module_names(tree, path) & set(paths)) - {path}
        for path, tree in zip(paths, trees, strict=True)
    }
    names = Counter(
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_")
    )
    return {
        "exported cells, lines median": statistics.median(sizes),
        "exported cells, lines p90": sorted(sizes)[int(0.9 * len(sizes))],
        "exported cells, lines max": max(sizes),
        "exported cells shown within 3 cells, %": round(100 * statistics.mean(everywhere), 1),
        **{
            f"shown within 3 cells, {folder}, %": round(100 * statistics.mean(flags), 1)
            for folder, flags in shown.items()
        },
        "lines over 100, %": round(100 * sum(len(x) > 100 for x in lines) / len(lines), 2),
        "lines over 120": sum(len(x) > 120 for x in lines),
        "lines over 160": sum(len(x) > 160 for x in lines),
        "nested conditional expressions": sum(nested(t, (ast.IfExp,)) for t in trees),
        "nested comprehensions": sum(nested(t, COMPREHENSIONS) for t in trees),
        "functions with more than 7 parameters": sum(n_parameters(f) > 7 for f in plain),
        "most parameters": max(map(n_parameters, plain)),
        "highest complexity": max(map(complexity, functions)),
        "circles": n_in_circles(arrows),
        "public names in two or more modules": sum(count > 1 for count in names.values()),
        "public functions without argument comments": sum(
            n_without_comments(tree, path.read_text().splitlines())
            for tree, path in zip(trees, files, strict=True)
        ),
    }


if __name__ == "__main__":
    for name, value in measure().items():
        target = TARGETS.get(name, SHOWN_TARGET if name.startswith("shown") else "")
        print(f"{name:<48} {value:>8}   {target}")
