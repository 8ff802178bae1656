"What pages of a team's own notebooks may not show: single rows and values of private columns, unless params.yaml names them."

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from continual_nb.core.files import ContinualError, folder_hashes
from continual_nb.core.params import parse
from continual_nb.reporting.disclosure import Disclosure, html_tables, printed_tables
from loop import begun, events

CLIENTS = ("Zanzibar Holdings", "Quixote & Sons", "Kumquat")
CELLS = {  # what a cell shows -> the word by which its output is known
    "bench.window.head()": "north",
    "print(bench.window[['amount', 'age', 'region']].sample(3, random_state=0))": "north",
    "print('the largest is', bench.window['event_id'].iloc[-1])": "the largest is",
    "book": "Kumquat",
    "print('our client', book['client'][0])": "our client",
    "print(f'{salaries.iloc[0]:.0f} was paid')": "was paid",
    "raise KeyError(book['client'][0])": "KeyError",
    "bench.window.groupby('region', as_index=False)[['amount', 'age']].mean()": "south",
    "bench.window.groupby('client').size().to_frame('events')": "group 2",
    "print(len(bench.window), 'events')": "300 events",
}
REFUSED = tuple(CELLS)[:7]


def rows() -> pd.DataFrame:
    found, draw = events(1, 300), np.random.default_rng(2)
    salary = 77777000 + draw.integers(0, 1000, len(found))
    return found.assign(client=draw.choice(CLIENTS, len(found)), salary=salary)


def notebook(last: str):
    "A notebook of all cells; the one that fails is the last to run."
    start = (
        "import json, pathlib, pandas as pd\nfrom continual_nb import bench\nbench = bench()\n"
        "book = json.loads(pathlib.Path('data/work/ingest/codebook.json').read_text())\n"
        "salaries = pd.read_parquet('../source/events.parquet')['salary']"
    )
    ordered = sorted(CELLS, key=lambda cell: cell.startswith("raise"))
    cells = [v4.new_code_cell(c, id=f"c{n}") for n, c in enumerate((start, *ordered, last))]
    return nbformat.writes(v4.new_notebook(cells=cells))


def test_a_page_says_what_it_leaves_out_and_how_to_allow_it(tmp_path):
    loop = begun(tmp_path / "home", rows(), "--private", "client,salary")
    loop.path("notebooks/rows.ipynb").write_text(notebook("1"))
    loop.set(notebooks="[notebooks/rows.ipynb]")
    loop.continual("refresh")
    said = loop.dvc("repro").all
    pages = loop.path("data/work/report/notebooks")
    shown = lambda: [
        ["".join(map(str, o.get("data", o).values())) for o in cell.outputs]
        for cell in nbformat.read(pages / "rows.ipynb", 4).cells
    ]
    left_out = dict(zip(sorted(CELLS, key=lambda c: c.startswith("raise")), shown()[1:]))
    for cell, word in CELLS.items():
        (text,) = left_out[cell]
        assert ("is left out" in text) == (cell in REFUSED), (cell, text)
        assert (word in text) == (cell not in REFUSED or word == "KeyError"), (cell, text)
    text = (pages / "rows.html").read_text() + (pages / "rows.ipynb").read_text()
    outputs = text + said + loop.path("data/work/report/report.html").read_text()
    assert not [w for w in ("Kumquat", "Zanzibar", "Quixote", "77777", "e1-") if w in outputs]
    page = (pages / "rows.html").read_text()
    assert "`may_show_rows: [notebooks/rows.ipynb]` under report" in page
    assert "`may_show_values: [client]`" in page and "`may_show_values: [salary]`" in page
    assert "<strong>Note:</strong> An output that shows single rows is left out" in page

    made = folder_hashes(pages)
    loop.dvc("repro", "-f", "-s", "report")
    assert folder_hashes(pages) == made, "the same bytes again"
    loop.set(may_show_rows="[notebooks/rows.ipynb]", may_show_values="[client]")
    loop.dvc("repro")
    page = (pages / "rows.html").read_text()
    assert "e1-" in page and "Zanzibar Holdings" in page
    assert "`may_show_values: [salary]`" in page and "may_show_rows" not in page
    assert " was paid</pre>" not in page


FRAME = rows().rename(columns={"id": "event_id", "when": "event_time"})
FRAME["event_time"] = FRAME["event_time"].dt.tz_localize("UTC")
FRAME = FRAME[["event_time", "amount", "age", "region", "bad"]]
SHOWN = {
    "displayed": lambda t: html_tables(t.to_html()),
    "styled": lambda t: html_tables(t.style.format(precision=3).to_html()),
    "printed": lambda t: printed_tables(t.to_string(), frozenset(FRAME)),
    "rounded": lambda t: html_tables(t.round({"amount": 3, "age": 3}).to_html()),
    "without index": lambda t: printed_tables(t.to_string(index=False), frozenset(FRAME)),
}


@given(
    at=st.lists(st.integers(0, 299), min_size=1, max_size=8, unique=True),
    columns=st.sets(st.sampled_from(list(FRAME)), min_size=1),
    way=st.sampled_from(list(SHOWN)),
)
def test_rows_are_known_again_however_they_are_shown(at, columns, way):
    rule = Disclosure("a.ipynb", FRAME)
    columns = sorted(columns | {"amount", "age"})
    refused = rule.refusal("", SHOWN[way](FRAME.iloc[at][columns]))
    assert refused and refused.kind == "rows"


@given(by=st.sampled_from(["region", "bad"]), way=st.sampled_from(list(SHOWN)))
def test_averages_and_counts_of_groups_are_shown(by, way):
    groups = FRAME.groupby(by)
    means = groups[["amount", "age"]].mean().reset_index()
    for table in (means, groups.size().reset_index(name="rows"), FRAME.describe()):
        assert Disclosure("a.ipynb", FRAME).refusal("", SHOWN[way](table)) is None


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"may_show_rows": ["notebooks/a.ipynb"]}, "'notebooks/a.ipynb' is none of report.noteb"),
        ({"may_show_values": ["b"]}, "report.may_show_values: 'b' is none of data.private"),
    ],
)
def test_names_that_allow_nothing_are_refused(report, said):
    data = {"source": "x", "time": "t", "label": "y", "numeric": ["a", "b"], "private": ["a"]}
    with pytest.raises(ContinualError, match=said):
        parse({"data": data, "report": report})
    assert parse({"data": data, "report": {"may_show_values": ["a"]}}).report.may_show_values
