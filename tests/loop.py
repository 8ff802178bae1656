"A small world and a project in it, turned by the real `continual` and the real `dvc` in processes of their own."

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from continual_nb.core.table import STAGES, TABLE

HERE = Path(__file__).parent
OUTPUTS = {stage: TABLE[stage].place for stage in STAGES}
MADE = ("data/arrival", "data/work", "data/state/out")  # what the pipeline makes


def events(windows: int = 4, rows: int = 300) -> pd.DataFrame:
    "Months of 2024. The label is likely where `amount` is near 1.5; in January amounts lie below it, later above it. 5 % of labels take 40 days, the others 3."
    draw = np.random.default_rng(5)
    frames = []
    for month in range(1, windows + 1):
        time = pd.Timestamp(2024, month, 1) + pd.to_timedelta(
            np.sort(draw.integers(0, 28 * 86400, rows)), unit="s"
        )
        amount, region = (
            draw.normal(0 if month == 1 else 3, 1, rows),
            draw.choice(["north", "south", "east"], rows),
        )
        pull = 4 * (0.8 - abs(amount - 1.5)) + (region == "north")
        frames.append(
            pd.DataFrame(
                {
                    "id": [f"e{month}-{n:03d}" for n in range(rows)],
                    "when": time,
                    "amount": amount,
                    "age": draw.normal(size=rows),
                    "region": region,
                    "note": [
                        " ".join(words)
                        for words in draw.choice(["late", "slow", "good", "fine"], (rows, 5))
                    ],
                    "bad": (pull + draw.logistic(size=rows) > 0).astype(int),
                    "known": time
                    + pd.to_timedelta(np.where(draw.uniform(size=rows) < 0.05, 40, 3), unit="D"),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class Said:
    "How a command ended."

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Loop:
    "A project with its source beside it: HOME/source/events.parquet and HOME/project."

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "project"

    @property
    def source(self) -> Path:
        return self.home / "source" / "events.parquet"

    def path(self, name: str) -> Path:
        return self.root / name

    def json(self, name: str):
        return json.loads(self.path(name).read_text())

    # -- commands ------------------------------------------------------------------------------------
    def environment(self, **changes: str) -> dict[str, str]:
        "This environment without the machine's Git identity, and with DVC's notes about other projects out of reach."
        shared = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_SITE_CACHE_DIR": str(self.home / "site"),
            "DVC_NO_ANALYTICS": "true",
            "COLUMNS": "200",
        }
        cold = (
            {"CONTINUAL_WARM": "/nowhere"} if changes else {}
        )  # a program that starts warm has read its variables already
        return {**os.environ, **shared, **cold, **changes}

    def run(
        self, *words: str, code: int | None = 0, where: Path | None = None, **changes: str
    ) -> Said:
        "Run a program in the project; any other exit code than the expected one fails the test (None: any)."
        done = subprocess.run(
            words,
            cwd=where or self.root,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert code is None or done.returncode == code, (
            f"{' '.join(words)} ended with {done.returncode}, not {code}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def continual(self, *words: str, code: int | None = 0, **changes: str) -> Said:
        "Run `continual`; a person never sees a traceback."
        said = self.run("continual", *words, code=code, **changes)
        assert "Traceback" not in said.all, said.all[-3000:]
        return said

    def dvc(self, *words: str, code: int | None = 0, **changes: str) -> Said:
        return self.run("dvc", *words, code=code, **changes)

    def git(self, *words: str) -> str:
        return self.run("git", *words).out.strip()

    def begin(self, *words: str, log: Path, **changes: str) -> subprocess.Popen:
        "Start a program and return at once; what it says goes to `log`."
        with log.open("w") as file:
            return subprocess.Popen(
                words,
                cwd=self.root,
                env=self.environment(**changes),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    # -- what is there -------------------------------------------------------------------------------
    def copy(self, home: Path) -> "Loop":
        shutil.copytree(self.home, home, ignore=shutil.ignore_patterns("site"))
        return Loop(home)

    def bytes(self, *names: str, root: Path | None = None) -> dict[str, str]:
        "Hash files and folders; by default dvc.lock and all that the pipeline makes."
        root = root or self.root
        files = [
            file
            for name in names or ("dvc.lock", *MADE)
            for file in (
                [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
            )
        ]
        return {
            str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            if file.is_file()
        }

    def everything(self) -> dict[str, str]:
        "Hash every file of the project but the private ones of Git and DVC."
        return self.bytes(
            *sorted(part.name for part in self.root.iterdir() if part.name not in (".git", ".dvc"))
        )

    def champion_of(self, tag: str) -> str:
        "Hash of the model that a sealed iteration left in production."
        record = json.loads(
            self.git("show", f"{tag}:reports/{tag.split('/')[-1]}/evidence/outcome.json")
        )
        return record["champion"]

    def deliver(self, frame: pd.DataFrame) -> None:
        frame.to_parquet(self.source, index=False)

    def set(self, **values: str) -> None:
        "Set keys of params.yaml by their name, which must stand there once."
        text = self.path("params.yaml").read_text()
        for name, value in values.items():
            lines = [line for line in text.splitlines() if line.lstrip().startswith(f"{name}:")]
            assert len(lines) == 1, (name, lines)
            indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
            text = text.replace(lines[0], f"{indent}{name}: {value}")
        self.path("params.yaml").write_text(text)

    def fault(self, what: str, *command: str, at: int | str | None) -> dict[str, str]:
        "Environment in which `continual COMMAND` meets a fault at a step; see faults/sitecustomize.py."
        self.log.unlink(missing_ok=True)
        path = os.pathsep.join(
            part for part in (str(HERE / "faults"), os.environ.get("PYTHONPATH", "")) if part
        )
        return {
            "PYTHONPATH": path,
            "CONTINUAL_FAULT": json.dumps(
                {"what": what, "command": command, "at": at, "log": str(self.log)}
            ),
        }

    @property
    def log(self) -> Path:
        return self.home / "steps.log"

    def stopped(self) -> int:
        "Wait until the command that a `stop` is for stands still; return its process id."
        note = Path(f"{self.log}.stopped")
        until(lambda: note.exists() and note.read_text())
        pid = int(note.read_text())
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] == "T")
        note.unlink()
        return pid


def until(true, seconds: float = 120) -> None:
    "Wait until something is true; it is an error if it never is."
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def go_on(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def side_by_side(*calls):
    "Call functions at the same time, two at once; returns their answers in order, and raises the first error."
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def begun(home: Path, frame: pd.DataFrame | None = None, *options: str) -> Loop:
    "Make a project as a user does, with a smaller model and a source that moves with it."
    loop = Loop(home)
    loop.source.parent.mkdir(parents=True)
    loop.deliver(events() if frame is None else frame)
    words = (
        "--data",
        "source/events.parquet",
        "--time",
        "when",
        "--label",
        "bad",
        "--id",
        "id",
        "--label-time",
        "known",
        "--every",
        "month",
    )
    loop.run("continual", "init", "project", *words, *options, where=home)
    loop.set(models="[boosting]", iterations="30", leaves="7", source="../source/events.parquet")
    loop.git("commit", "-q", "-a", "-m", "A smaller model")
    return loop


def signed(
    loop: Loop, verdict: str = "approve", by: str = "continual", reason: str = "The gates passed."
) -> Loop:
    "Turn the open iteration, sign, and carry it out."
    loop.dvc("repro", "evaluate")
    loop.continual("sign", verdict, "--by", by, "--reason", reason)
    loop.dvc("repro")
    return loop
