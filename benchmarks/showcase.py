"""Make the showcase: a year of real flights through the real pipeline, its records in reports/, and the picture of one decision.

Prints JSON lines: seconds, action and answer of each month.  python benchmarks/showcase.py  (or `make showcase`; needs Chromium and its driver)
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE, REPORTS = ROOT / "build/flights", ROOT / "reports"
ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "true",
}
LINE = re.compile(r"^(\d{3}-\S+)\s+(\S+)\s+(\S+)\s+(.*?)\s+([\d.]+) s$")


def turned() -> None:
    "Turn the crank for twelve months in a project of its own."
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.parent.mkdir(exist_ok=True)
    subprocess.run(["continual", "init", str(PLACE)], env=ENV, check=True)
    with subprocess.Popen(
        ["continual", "run"], cwd=PLACE, env=ENV, stdout=subprocess.PIPE, text=True
    ) as run:
        for line in run.stdout:
            if said := LINE.match(line.strip()):
                name, action, answer, loss, seconds = said.groups()
                print(
                    json.dumps(
                        {
                            "iteration": name,
                            "action": action,
                            "answer": answer,
                            "loss": loss,
                            "seconds": float(seconds),
                        }
                    ),
                    flush=True,
                )
    if run.returncode:
        sys.exit(run.returncode)


def photographed(page: Path, out: Path) -> None:
    "Keep the first screen of a page as a picture."
    sys.path.insert(0, str(ROOT / "tests"))
    from browser import chromium, look_as

    with chromium(1200, 900) as driver:
        look_as(driver, 1200)
        driver.get(page.as_uri())
        driver.save_screenshot(str(out))


def main() -> None:
    turned()
    shutil.rmtree(REPORTS, ignore_errors=True)
    shutil.copytree(PLACE / "reports", REPORTS)
    decided = {
        folder.name: json.loads((folder / "summary.json").read_text())
        for folder in sorted(REPORTS.glob("0*"))
    }
    promoted = [name for name, summary in decided.items() if summary["answer"] == "promoted"]
    photographed(REPORTS / promoted[-1] / "report.html", REPORTS / "decision.png")
    print(
        json.dumps(
            {
                "promoted": promoted,
                "bytes": sum(path.stat().st_size for path in REPORTS.rglob("*") if path.is_file()),
            }
        )
    )


if __name__ == "__main__":
    main()
