"Private columns: their values stay in what DVC keeps, and come neither into Git nor onto a page or a terminal."

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data, parse
from continual_nb.core.private import extended, withheld
from loop import begun, events

CLIENTS = ("Zanzibar Holdings", "Quixote & Sons", "Xylophone AG", "Kumquat Ltd")
SALARY = 77777  # all salaries begin with it, so that one is found wherever it stands


def frame() -> pd.DataFrame:
    "Events of four months; from March on nearly all come from a client that was not there before."
    rows, draw = events(4, 300), np.random.default_rng(2)
    client = draw.choice(CLIENTS[:3], len(rows))
    late = (rows["when"] >= "2024-03-01").to_numpy() & (draw.uniform(size=len(rows)) < 0.9)
    salary = SALARY * 1000 + draw.integers(0, 1000, len(rows))
    made = rows.assign(client=np.where(late, CLIENTS[3], client), salary=salary).astype(
        {"salary": object}
    )
    made.loc[made.index[::97], "salary"] = "Kumquat unpaid"
    return made.astype({"salary": "str"})


def found_in(content: bytes) -> list[str]:
    "Return the private words that stand in a file or an answer."
    text = content.decode("utf-8", "replace")
    return [word for word in (*(c.split()[0] for c in CLIENTS), str(SALARY)) if word in text]


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    "A project with two private columns, three windows sealed and the fourth open, and what it said."
    loop = begun(tmp_path_factory.mktemp("private") / "home", frame(), "--private", "client,salary")
    loop.set(slices="[client]")
    said = [
        loop.continual(*words, code=None).all
        for words in (("run", "--until", "2024-03"), ("open",))
    ]
    said.append(loop.dvc("repro").all)
    for words in (
        ("status",),
        ("verify",),
        ("expect",),
        ("labels", "export"),
        ("labels",),
        ("why", "e3-001"),
        ("diff", "1", "2"),
        ("ledger",),
        ("predict", "../source/events.parquet"),
        ("expect", "check", "../source/events.parquet"),
        ("trace", "e3-001"),
    ):
        said.append(loop.continual(*words, code=None).all)
    loop.home.joinpath("said.txt").write_text("\n".join(said))
    loop.git("add", "-A")  # all that Git would keep, the open iteration and the queue too
    return loop


def test_no_private_value_comes_into_git_onto_a_page_or_a_terminal(loop):
    assert found_in(loop.home.joinpath("said.txt").read_bytes()) == []
    tracked = loop.git("ls-files").splitlines()
    assert any(name.endswith("report.html") for name in tracked) and "params.yaml" in tracked
    told = {name: found_in(loop.path(name).read_bytes()) for name in tracked}
    assert {name: words for name, words in told.items() if words} == {}
    history = subprocess.run(
        ["git", "log", "--all", "-p", "--text"], cwd=loop.root, capture_output=True
    ).stdout
    assert len(history) > 10_000 and found_in(history) == []
    pages = [*loop.root.rglob("*.html"), *loop.root.rglob("summary.md"), *loop.root.rglob("queue*")]
    assert pages and not any(found_in(page.read_bytes()) for page in pages if page.is_file())


def test_the_incident_names_the_group_by_its_number(loop):
    record = loop.path("reports/003-2024-03")
    monitoring = json.loads((record / "evidence/monitoring.json").read_text())
    assert any("client" in incident["columns"] for incident in monitoring["incidents"])
    assert "group 4" in (record / "report.html").read_text()


def test_the_codebook_lies_in_what_dvc_keeps_and_never_renumbers(loop):
    books = [loop.json(f"data/{place}/codebook.json") for place in ("arrival", "state/in")]
    assert books[0] == books[1] and sorted(books[0]["client"]) == sorted(CLIENTS)
    assert books[0]["client"][3] == CLIENTS[3]  # the newest one comes last


def test_the_exported_model_translates_with_the_codebook(loop):
    said = loop.continual("export", "../served").out
    assert "codebook.json" in said
    rows = frame().head(40).drop(columns="bad")
    rows.to_csv(loop.home / "rows.csv", index=False)
    run = [sys.executable, loop.home / "served/example.py", loop.home / "rows.csv"]
    there = subprocess.run(run, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    loop.continual("predict", "../rows.csv", "--out", "../out.csv")
    here = pd.read_csv(loop.home / "out.csv")["probability of 1"]
    shown = [float(line.split()[-1]) for line in there.stdout.strip().splitlines()[1:]]
    assert np.allclose(here, shown, atol=1e-5)


def test_values_of_a_private_column_are_refused_in_files_that_git_keeps(loop):
    for name, text, words in (
        ("data.yaml", "client:\n  codes: {Zanzibar Holdings: ours}\n", "codes of client"),
        (
            "expectations.yaml",
            "expectations:\n  - id: one\n    type: expect_column_values_to_be_in_set\n"
            "    kwargs: {column: client, value_set: [Zanzibar Holdings]}\n",
            "lists values of client",
        ),
    ):
        path = loop.path(name)
        before = path.read_text()
        path.write_text(text)
        try:
            said = loop.dvc("repro", code=None).all + loop.continual("expect", code=None).all
            assert words in said and "private" in said and "delete" in said
        finally:
            path.write_text(before)


def test_what_is_private_cannot_change_under_a_history(loop):
    before = loop.path("params.yaml").read_text()
    loop.set(private="[client]")
    try:
        said = loop.continual("status", code=None).out
        assert "data.private was changed from client, salary to client" in said
    finally:
        loop.path("params.yaml").write_text(before)


@pytest.mark.parametrize("column", ["when", "id", "bad", "note", "nowhere"])
def test_what_cannot_be_private_is_named(tmp_path, column):
    with pytest.raises(AssertionError, match=f"--private: '{column}'"):
        begun(tmp_path / "home", frame(), "--private", column)
    assert not (tmp_path / "home/project/params.yaml").exists()
    with pytest.raises(ContinualError, match=f"private column '{column}'"):
        about = dict(source="x", time="when", id="id", label="bad", numeric=["a"], text=["note"])
        parse({"data": {**about, "private": [column]}})


DATA = Data(
    source="x",
    time="when",
    label="y",
    numeric=("number",),
    categorical=("level",),
    private=("number", "level"),
)
LEVELS = st.one_of(st.none(), st.text(min_size=1, max_size=5), st.integers(), st.booleans())
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False), st.text(max_size=3))
ROWS = st.lists(st.tuples(st.integers(0, 10**6), LEVELS, NUMBERS), min_size=1, max_size=20)


@given(ROWS, ROWS)
def test_groups_are_one_to_one_keep_their_numbers_and_missing_stays_missing(first, second):
    def raw(rows):
        when, level, number = zip(*rows)
        when = pd.to_datetime(list(when), unit="s")
        return pd.DataFrame(
            {
                "when": when,
                "level": pd.Series(level, dtype=object),
                "number": pd.Series(number, dtype=object),
            }
        )

    book = extended({}, raw(first), DATA)
    more = extended(book, raw(second), DATA)
    before, again = (withheld(raw(first), DATA, known) for known in (book, more))
    assert list(before["level"].fillna("")) == list(again["level"].fillna(""))
    assert list(before["level"].isna()) == [level is None for _, level, _ in first]
    groups = withheld(raw(second), DATA, more)["level"].dropna()
    assert groups.isin([f"group {n}" for n in range(1, len(more.get("level", [])) + 1)]).all()
    assert len(set(more.get("level", []))) == len(more.get("level", []))
