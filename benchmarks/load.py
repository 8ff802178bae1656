"""What grows with the load, and what does not: wide tables, many rows, many windows, a long ledger.

python benchmarks/load.py columns|rows|windows|disk|ledger [SIZES] [--json FILE]

Costs are seconds of processor time of a process and all that it starts, each part in a process of its own; what is
judged is the ratio of two of them in one run. Peak memory is that of the process.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "true",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",
    "GIT_AUTHOR_NAME": "load",
    "GIT_AUTHOR_EMAIL": "load@example.org",
    "GIT_COMMITTER_NAME": "load",
    "GIT_COMMITTER_EMAIL": "load@example.org",
}


def cpu() -> float:
    "Seconds of processor time of this process and of all that it has waited for."
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def peak() -> float:
    "Largest memory of this process so far, in MB."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def run(*words: str, where: Path) -> float:
    "Run a command in a project; return the seconds of processor time that it took."
    began = cpu()
    done = subprocess.run(words, cwd=where, env=ENV, capture_output=True, text=True)
    if done.returncode not in (0, 2, 3):  # work to do and waiting for a person are answers
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return cpu() - began


def apart(part: str, *numbers: int) -> dict:
    "Measure a part in a process of its own, so that its memory is its own."
    words = [sys.executable, __file__, "_measure", part, *map(str, numbers)]
    done = subprocess.run(words, env=ENV, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


# -- data ------------------------------------------------------------------------------------------------------


def rows_of(windows: int, n: int, columns: int = 8, every: str = "D", seed: int = 7):
    "Windows of n rows; the label follows the first three columns, and comes two days late."
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(windows * n, columns)).astype("float64")
    start = np.repeat(pd.date_range("2022-01-01", periods=windows, freq=every).to_numpy(), n)
    times = start + np.sort(draw.integers(0, 86_400, (windows, n)), axis=1).ravel().astype(
        "timedelta64[s]"
    )
    p = 1 / (1 + np.exp(-(x[:, :3] @ [1.2, -0.8, 0.5])))
    words = lambda k: np.array(list("abcde"))[np.digitize(x[:, k], [-1, 0, 1, 2])]
    made = {
        f"x{k}": x[:, k] if k % 5 else words(k) for k in range(columns)
    }  # a fifth is categories
    made |= {"y": (draw.random(len(x)) < p).astype(int)}
    return pd.DataFrame(made | {"id": [f"e{k:08d}" for k in range(len(x))], "t": times})


def settings(columns: int = 8, every: str = "day", **more):
    "Parameters for `rows_of`: short trainings, and recipes with a cap."
    from continual_nb.core.params import Params

    names = [f"x{k}" for k in range(columns)]
    words = names[::5]
    data = {"source": "-", "time": "t", "label": "y", "id": "id", "label_delay": "2d"}
    data |= {"numeric": [n for n in names if n not in words], "categorical": words}
    content = {"project": "load", "windows": {"every": every}, "data": data}
    content |= {"train": {"iterations": 20, "leaves": 7}, "evaluate": {"min_rows": 40}}
    return Params.model_validate(content | more)


CAPPED = {"min_rows": 40, "always": 2000}  # the yardstick stops to grow early


# -- columns ---------------------------------------------------------------------------------------------------


def measure_compare(columns: int, n: int) -> dict:
    "Compare two tables."
    from continual_nb import Monitor

    frame = rows_of(2, n, columns).drop(columns=["id", "t", "y"])
    before, began = peak(), cpu()
    found = Monitor().fit(frame.iloc[:n]).score(frame.iloc[n:].reset_index(drop=True))
    return {"cpu": cpu() - began, "peak": peak() - before, "columns": len(found.columns)}


def measure_fold(columns: int, n: int) -> dict:
    "Turn three windows in memory: the first model, and two that are watched."
    from continual_nb.backtest.exact import fold
    from continual_nb.core.ingest import delivered

    params = settings(columns, compose=CAPPED)
    delivery = delivered(rows_of(3, n, columns), params.data)
    before, began = peak(), cpu()
    turns = fold(params, delivery)
    watched = len(turns[-1].monitoring.columns)
    return {"cpu": cpu() - began, "peak": peak() - before, "columns": watched}


def columns(told) -> list[dict]:
    "A column costs as much in a wide table as in a narrow one."
    made = []
    for part in ("compare", "fold"):
        few, many = (apart(part, size, told.rows) for size in (told.few, told.many))
        each = [one["cpu"] / one["columns"] for one in (few, many)]
        data = told.many * told.rows * (2 if part == "compare" else 3) * 8 / 1e6
        made.append(
            {
                "part": f"columns, {part}",
                "columns": many["columns"],
                "rows": told.rows,
                "ms_per_column": round(1e3 * each[1], 2),
                "against": told.few,
                "ratio": round(each[1] / each[0], 2),
                "peak_mb": round(many["peak"]),
                "data_mb": round(data),
            }
        )
    return made


# -- rows ------------------------------------------------------------------------------------------------------


def measure_rows(n: int) -> dict:
    "Turn four windows of many rows in memory, with recipes of the default cap."
    from continual_nb.backtest.exact import fold
    from continual_nb.core.ingest import delivered

    params = settings(10)
    frame = rows_of(4, n // 4, 10)
    size = frame.memory_usage(deep=True).sum() / 1e6
    before, began = peak(), cpu()
    turns = fold(params, delivered(frame, params.data))
    card = turns[-1].composition
    trained = max([s.rows for t in turns for s in t.composition.sets] or [0])
    assert card.evaluation is not None, card.reason
    return {"cpu": cpu() - began, "peak": peak() - before, "data": size, "trained": trained}


def rows(told) -> list[dict]:
    "A row costs as much among many as among few, and memory stays a small multiple of the data."
    few, many = (apart("rows", size) for size in (told.few, told.many))
    each = [one["cpu"] / size for one, size in ((few, told.few), (many, told.many))]
    return [
        {
            "part": "rows",
            "rows": told.many,
            "cpu_seconds": round(many["cpu"], 1),
            "us_per_row": round(1e6 * each[1], 1),
            "against": told.few,
            "ratio": round(each[1] / each[0], 2),
            "peak_mb": round(many["peak"]),
            "data_mb": round(many["data"]),
            "memory_ratio": round(many["peak"] / many["data"], 2),
            "largest_training_set": many["trained"],
        }
    ]


# -- windows in memory -----------------------------------------------------------------------------------------


def measure_windows(windows: int, n: int) -> dict:
    "Fold windows in memory; what each cost."
    from continual_nb.backtest.exact import Memory, go_on, moments
    from continual_nb.core.ingest import delivered
    from continual_nb.core.state import State

    params = settings(compose=CAPPED)
    delivery = delivered(rows_of(windows, n), params.data)
    costs, last = [], cpu()
    for _ in go_on(params, moments(params, delivery), delivery, State(), Memory()):
        now = cpu()
        costs.append(now - last)
        last = now
    return {"costs": costs, "peak": peak()}


def late_and_early(costs: list[float], early: slice, late: slice) -> dict:
    "Compare what late windows cost with what early ones did; medians, since trainings differ."
    a, b = (float(np.median(costs[part])) for part in (early, late))
    return {"early_s": round(a, 3), "late_s": round(b, 3), "ratio": round(b / a, 2)}


def windows(told) -> list[dict]:
    "A late window costs as much as an early one."
    found = apart("windows", told.many, told.rows)
    compared = late_and_early(found["costs"], slice(9, 40), slice(-30, None))
    size = {"windows": told.many, "rows": told.rows, "peak_mb": round(found["peak"])}
    return [{"part": "windows in memory", **size, **compared}]


# -- a project on disk -----------------------------------------------------------------------------------------


def begun(home: Path, windows: int, n: int) -> Path:
    "Make a project as a user does, with a small model and a yardstick that stops to grow early."
    (home / "source").mkdir(parents=True)
    rows_of(windows, n).to_parquet(home / "source/events.parquet", index=False)
    words = "--time t --label y --id id --label-delay 2d --every day --timezone UTC".split()
    run("continual", "init", "project", "--data", "source/events.parquet", *words, where=home)
    root = home / "project"
    text = (root / "params.yaml").read_text()
    for name, value in (("iterations", 20), ("leaves", 7), ("always", 2000)):
        lines = [line for line in text.splitlines() if line.lstrip().startswith(f"{name}: ")]
        assert len(lines) == 1, (name, lines)
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        text = text.replace(lines[0], f"{indent}{name}: {value}")
    (root / "params.yaml").write_text(text)
    run("git", "commit", "-q", "-a", "-m", "A smaller model", where=root)
    return root


def day(k: int) -> str:
    "Name the window of iteration k."
    return f"{pd.Timestamp('2022-01-01') + pd.Timedelta(k - 1, 'D'):%Y-%m-%d}"


def size(*folders: Path) -> int:
    "Bytes in folders."
    return sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file())


def disk(told) -> list[dict]:
    "A late window of `continual run` costs as much as an early one."
    with tempfile.TemporaryDirectory() as home:
        root = begun(Path(home), told.many + 3, told.rows)
        costs, sizes = [], []
        for last in range(10, told.many + 1, 10):
            costs.append(run("continual", "run", "--until", day(last), where=root) / 10)
            sizes.append(size(root / "data/state/out"))
        ledger = (root / "data/state/out/ledger.jsonl").stat().st_size
        kept = size(root / ".git") + size(root / ".dvc/cache")
    return [
        {
            "part": "windows on disk",
            "windows": told.many,
            "rows": told.rows,
            "first_ten_s": round(costs[0], 2),
            "second_ten_s": round(costs[1], 2),
            "last_ten_s": round(costs[-1], 2),
            "ratio": round(costs[-1] / costs[1], 2),
            "ledger_kb_per_window": round(ledger / told.many / 1e3, 1),
            "state_kb": round(sizes[-1] / 1e3),
            "state_kb_early": round(sizes[1] / 1e3),
            "git_and_cache_mb_per_window": round(kept / told.many / 1e6, 2),
        }
    ]


# -- a long ledger ---------------------------------------------------------------------------------------------

TURNED = 10  # iterations that are really turned; later ones repeat 7 to 10, and every 20th the first promotion, 6
DAYS = re.compile(r"\b20\d\d-\d\d-\d\d(?!\d)")


def shifted(text: str, days: int) -> str:
    "Move every date in a text."
    later = {
        name: f"{date.fromisoformat(name) + timedelta(days)}" for name in set(DAYS.findall(text))
    }
    return DAYS.sub(lambda found: later[found[0]], text)


def template(k: int) -> int:
    "The real iteration that iteration k repeats."
    return 6 if k % 20 == 0 else 7 + k % 4


def repeated(content: dict, k: int, models: dict[str, str]) -> dict:
    "One entry, score, cell or card of a real iteration, as iteration k would have it."
    text = shifted(json.dumps(content), k - template(k))
    for old, new in models.items():
        text = text.replace(old, new)
    made = json.loads(text)
    if "iteration" in made:
        made["iteration"] = k
    return made


def renamed(model: bytes, k: int) -> bytes:
    "The same model under another hash: a comment in its archive."
    import io
    import zipfile

    beside = io.BytesIO(model)
    with zipfile.ZipFile(beside, "a") as archive:
        archive.comment = f"of iteration {k}".encode()
    return beside.getvalue()


class Past:
    "What was turned, and what is added to it."

    def __init__(self, project):
        from continual_nb.core.state import read_state
        from continual_nb.loop.deployed import read_delivery

        self.project, self.params = project, project.params()
        self.state = read_state(project.path("data/state/out"))
        self.first = self.state
        self.delivery = read_delivery(self.params.data, project.root)
        self.models: dict[str, str] = {}  # real hash -> hash now
        self.frames: dict[str, dict] = {}

    def arrival(self, k: int, last: bool):
        "Take and store the arrival of iteration k as the loop does, from the source's newest rows."
        from dataclasses import replace

        from continual_nb.core.files import folder_hashes, read_parquet, write_parquet
        from continual_nb.core.ingest import ingest, snapshot
        from continual_nb.core.store import Store
        from continual_nb.core.windows import AsOf, Cadence

        data, cadence = self.params.data, Cadence("day", self.params.data.timezone)
        window, near = cadence.window(day(k)), cadence.window(day(k - 4)).start
        moment = AsOf(k, window, window.end, cadence)
        times = self.delivery.frame["event_time"]
        some = ((times >= near) & (times < window.end)).to_numpy()
        contents = self.delivery.contents[some].reset_index(drop=True)
        frame = self.delivery.frame[some].reset_index(drop=True)
        place = lambda p: self.project.path("data/store") / p.name
        there = lambda p: place(p) if place(p).exists() else self.project.folder("ingest")
        store = Store(
            self.state.partitions[-6:],
            lambda p, file, columns: read_parquet(there(p) / file, columns, p.hashes[file]),
        )
        source = replace(self.delivery, frame=frame, contents=contents)
        arrival = snapshot(source, data, cadence, store, moment.as_of)
        partition, files, _ = ingest(arrival, data, self.params.ingest, moment)
        folder = self.project.folder("ingest") if last else place(partition)
        for name, content in files.items():
            write_parquet(folder / name, content)
        hashes = {name: folder_hashes(folder)[name] for name in files}
        return partition.model_copy(update={"hashes": hashes})

    def turn(self, k: int, last: bool) -> None:
        "Add iteration k to the state."
        from dataclasses import replace

        from continual_nb.core.files import sha256
        from continual_nb.core.ledger import append
        from continual_nb.core.metrics import Score
        from continual_nb.core.state import Cell

        state, real, own = self.state, self.first, template(k)
        card, models = state.card, dict(state.models)
        if own == 6:
            old = real.card.champions[-1]
            content = renamed(real.models[old.hash], k)
            self.models = {old.hash: sha256(content), real.card.champions[0].hash: card.champion}
            models[sha256(content)] = content
            new = type(old).model_validate(repeated(old.to_dict(), k, self.models))
            before = (
                *card.champions[:-1],
                card.champions[-1].model_copy(update={"replaced_in": k}),
            )
            update = {"champions": (*before, new), "champion": new.hash}
            card = card.model_copy(update=update)
        ledger = state.ledger
        for entry in real.ledger:
            if entry["iteration"] == own:
                made = repeated(entry, k, self.models)
                ledger = append(ledger, **without(made, "number", "chain"))
        again = lambda kind, known: tuple(
            kind.model_validate(repeated(one.to_dict(), k, self.models))
            for one in known
            if one.iteration == own
        )
        card = card.model_copy(
            update={"iteration": k, "window": day(k), "as_of": f"{day(k + 1)}T00:00:00+00:00"}
        )
        self.state = replace(
            state,
            card=card,
            models=models,
            ledger=ledger,
            partitions=(*state.partitions, self.arrival(k, last)),
            scores=(*state.scores, *again(Score, real.scores)),
            matrix=(*state.matrix, *again(Cell, real.matrix)),
        )

    def pages(self, k: int) -> None:
        "Write what the record of iteration k holds."
        from continual_nb.core.files import write_bytes

        own = template(k)
        old = self.project.path(f"reports/{own:03d}-{day(own)}")
        new = self.project.path(f"reports/{k:03d}-{day(k)}")
        for path in old.rglob("*"):
            place = new / path.relative_to(old)
            if path.is_dir() or path.name == "record.json":
                continue
            if path.suffix == ".json":
                content = repeated(json.loads(path.read_text()), k, self.models)
                content |= {"number": k} if path.name == "summary.json" else {}
                write_bytes(place, json.dumps(content))
            else:
                write_bytes(place, shifted(path.read_text(), k - own))


def sealed(project, k: int, before):
    "Write record.json of iteration k, which names the seal before it."
    from continual_nb.core.files import sha256, write_bytes
    from continual_nb.loop.verify import Seal, record_of

    place = project.path(f"reports/{k:03d}-{day(k)}")
    content = record_of(place, before)
    write_bytes(place / "record.json", content)
    return Seal(f"iter/{place.name}", place.name, {}, None, True, sha256(content))


def without(content: dict, *names: str) -> dict:
    "A dictionary without some keys."
    return {name: value for name, value in content.items() if name not in names}


def import_commits(root: Path, numbers: range) -> None:
    "Commit and tag the records of many iterations, one by one, with a single `git fast-import`."
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    branch = subprocess.run(
        ["git", "symbolic-ref", "HEAD"], cwd=root, capture_output=True, text=True
    )
    who, parts = "load <load@example.org> 1700000000 +0000", []
    data = lambda content: b"data %d\n%s\n" % (len(content), content)
    for k in numbers:
        name = f"{k:03d}-{day(k)}"
        onto = f"from {head.stdout.strip()}\n" if k == numbers[0] else ""
        parts += [f"commit {branch.stdout.strip()}\nmark :{k}\ncommitter {who}\n".encode()]
        parts += [data(f"Iteration {name}".encode()), onto.encode()]
        for path in sorted((root / "reports" / name).rglob("*")):
            if path.is_file():
                parts += [f"M 100644 inline {path.relative_to(root)}\n".encode()]
                parts += [data(path.read_bytes())]
        parts += [f"tag iter/{name}\nfrom :{k}\ntagger {who}\n".encode(), data(b"sealed")]
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=root, input=b"".join(parts), check=True, env=ENV
    )
    run("git", "reset", "-q", where=root)


def grown(root: Path, until: int) -> None:
    "Lengthen a project, sealed at TURNED, by repetitions of its iterations up to `until`."
    from continual_nb.core.state import write_state
    from continual_nb.loop.project import Project
    from continual_nb.loop.verify import read_seal
    from continual_nb.reporting.site import write as write_site

    project = Project(root)
    past, seal = Past(project), read_seal(project, project.sealed_tags()[-1])
    shutil.copytree(root / "data/work/ingest", root / f"data/store/{TURNED:03d}-{day(TURNED)}")
    for path in (root / f"data/store/{TURNED:03d}-{day(TURNED)}").iterdir():
        if path.suffix != ".parquet":
            path.unlink()
    for k in range(TURNED + 1, until + 1):
        if k == until:
            shutil.rmtree(root / "data/state/in")
            write_state(past.state, root / "data/state/in")
        past.turn(k, k == until)
    shutil.rmtree(root / "data/state/out")
    write_state(past.state, root / "data/state/out")
    now = project.iteration()
    text = shifted((root / "data/iteration.yaml").read_text(), until - TURNED)
    text = text.replace(f"number: {TURNED}", f"number: {until}")
    before = f"{until - 1:03d}-{day(until - 1)}"
    (root / "data/iteration.yaml").write_text(
        text.replace(shifted(now.previous, until - TURNED), f"iter/{before}")
    )
    for k in range(TURNED + 1, until + 1):
        past.pages(k)
    newest = root / "reports" / f"{until:03d}-{day(until)}"
    shutil.rmtree(root / "data/work/report")  # the last page is the one that the stage made
    shutil.copytree(
        newest, root / "data/work/report", ignore=shutil.ignore_patterns("evidence", "record.json")
    )
    run("dvc", "add", "-q", "data/state/in", "data/store", where=root)
    run("dvc", "commit", "-q", "--force", where=root)
    shutil.copyfile(root / "dvc.lock", newest / "evidence/dvc.lock")
    for k in range(TURNED + 1, until + 1):
        seal = sealed(project, k, seal)
    write_site(root / "reports", "load")
    import_commits(root, range(TURNED + 1, until))
    run("git", "add", "-A", where=root)
    run("git", "commit", "-q", "-m", f"Iteration {until}", where=root)
    run("git", "tag", "-a", seal.tag, "-m", "sealed", where=root)


def reading(root: Path) -> dict[str, float]:
    "What the commands of a new iteration cost: open, status, the whole pipeline, the report alone."
    costs = {"status, sealed": run("continual", "status", where=root)}
    costs["open"] = run("continual", "open", where=root)
    costs["repro"] = run("dvc", "repro", where=root)
    costs["status"] = run("continual", "status", where=root)
    costs["report"] = run("continual", "stage", "report", where=root)
    costs["sign"] = run(
        *("continual", "sign", "defer", "--by", "load", "--reason", "measured"), where=root
    )
    costs["promote and report"] = run("dvc", "repro", where=root)
    costs["seal"] = run("continual", "seal", where=root)
    return costs


def ledger(told) -> list[dict]:
    "Opening, asking and reporting cost about the same after many iterations as after ten."
    with tempfile.TemporaryDirectory() as home:
        root = begun(Path(home) / "a", told.many + 5, told.rows)
        run("continual", "run", "--until", day(TURNED), where=root)
        shutil.copytree(Path(home) / "a", Path(home) / "b")
        few = reading(root)
        root = Path(home) / "b/project"
        grown(root, told.many)
        many = reading(root)
    about = {"iterations": told.many, "against": TURNED}
    spell = lambda name: {"early_s": round(few[name], 2), "late_s": round(many[name], 2)}
    return [
        {
            "part": f"ledger, {name}",
            **about,
            **spell(name),
            "ratio": round(many[name] / few[name], 2),
        }
        for name in few
    ]


# -- the command line ------------------------------------------------------------------------------------------

PARTS = {  # few, many, rows
    "columns": (columns, 200, 2000, 1000),
    "rows": (rows, 200_000, 2_000_000, 0),
    "windows": (windows, 40, 300, 100),
    "disk": (disk, 10, 60, 40),
    "ledger": (ledger, TURNED, 1000, 40),
}
MEASURED = {
    "compare": measure_compare,
    "fold": measure_fold,
    "rows": measure_rows,
    "windows": measure_windows,
}


def main() -> None:
    "Measure what is asked for, and print a line per figure."
    if sys.argv[1:2] == ["_measure"]:
        print(json.dumps(MEASURED[sys.argv[2]](*map(int, sys.argv[3:]))))
        return
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    asked.add_argument("--few", type=int, help="size that is compared with")
    asked.add_argument("--many", type=int, help="size that is asked about")
    asked.add_argument("--rows", type=int, help="rows of a window")
    asked.add_argument("--json", type=Path, help="file to which a JSON line is added per figure")
    told = asked.parse_args()
    for part in told.parts:
        measure, *usual = PARTS[part]
        given = (told.few, told.many, told.rows)
        few, many, n = (b if a is None else a for a, b in zip(given, usual))
        for line in measure(argparse.Namespace(few=few, many=many, rows=n)):
            print(", ".join(f"{name}: {value}" for name, value in line.items()), flush=True)
            if told.json:
                with told.json.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
