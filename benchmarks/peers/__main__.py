"""The comparison with other tools in one run: `python benchmarks/peers [--quick]`. Makes an environment per tool below benchmarks/peers/.env, prints JSON lines."""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
TASKS = [  # tool, task, repeats, rows; the tools of one task one after the other, so that they meet the same machine
    ("ours", "speed", 9, 1000),
    ("alibi", "speed", 9, 1000),
    ("nannyml", "speed", 5, 1000),
    ("evidently", "speed", 3, 1000),
    ("ours", "speed", 3, 1_000_000),
    ("alibi", "speed", 1, 1_000_000),
    ("nannyml", "speed", 1, 1_000_000),
    ("evidently", "speed", 1, 1_000_000),
    ("ours", "speed", 3, 1_000_000),
    ("ours", "cbpe", 3, 1_000_000),
    ("nannyml", "cbpe", 1, 1_000_000),
    ("ours", "slices", 1, 10_000),
    ("sliceline", "slices", 1, 10_000),
    ("ours", "slices", 1, 100_000),
    ("sliceline", "slices", 1, 100_000),
    *(
        (tool, "fooled", 1, 0)
        for tool in ("ours", "alibi", "nannyml", "evidently", "evidently_default")
    ),
    ("ours", "verdicts", 200, 1000),
    ("alibi", "verdicts", 200, 1000),
    ("nannyml", "verdicts", 40, 1000),
    ("evidently", "verdicts", 12, 1000),
    ("evidently_default", "verdicts", 12, 1000),
]


def python(tool: str) -> str:
    "Interpreter of a tool; its environment is made once."
    if tool == "ours":
        return sys.executable
    name = tool.removesuffix("_default")
    home = HERE / ".env" / name
    if not (home / "ready").exists():
        venv.create(home, with_pip=True)
        subprocess.run(
            [
                home / "bin/pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                HERE / f"{name}.txt",
            ],
            check=True,
        )
        (home / "ready").touch()
    return str(home / "bin/python")


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    for tool, task, repeats, rows in TASKS:
        part = (1, min(rows, 20_000)) if quick else (repeats, rows)
        done = subprocess.run(
            [python(tool), HERE / "run.py", tool, task, *map(str, part)],
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            print(f"{tool} {task}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
