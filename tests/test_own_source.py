"""A source of one's own: a function by name, read when an iteration is opened, cut as of its moment like any other."""

import pandas as pd
import pytest

from continual_nb.core.doors import in_project, names_code
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Data, parse
from continual_nb.core.sources import load
from continual_nb.loop.code import stage_pins
from loop import events

DATA = Data(source="extensions.feed:read", time="when", label="bad", numeric=("amount",))
FEED = """
from pathlib import Path
import pandas as pd

BAD = ""


def read(data):
    "Every order so far."
    while BAD == "loop":
        pass
    if BAD == "raise":
        raise ConnectionError("no route to the warehouse")
    with Path("reads.txt").open("a") as file:
        file.write("read\\n")
    frame = pd.read_parquet(Path("../source/events.parquet"))
    if BAD == "none":
        return None
    if BAD == "twice":
        return pd.concat([frame, frame[["amount"]]], axis=1)
    if BAD == "column":
        return frame.drop(columns="amount")
    return frame[:0] if BAD == "empty" else frame.set_index("id")
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "source").mkdir()
    events(1, 40).to_parquet(tmp_path / "source/events.parquet")
    root = tmp_path / "project"
    (root / "extensions").mkdir(parents=True)
    (root / "extensions/feed.py").write_text(FEED)
    with in_project(root, time_limit=20):
        yield root


def test_it_is_read_in_the_projects_folder_and_its_index_is_a_column(project):
    frame = load(DATA.source, project, data=DATA)
    assert len(frame) == 40 and frame.columns[0] == "id"
    assert len(delivered(frame, DATA).frame) == 40


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("none", "returned NoneType, which is no pandas frame"),
        ("empty", "returned no rows"),
        ("twice", "two columns called 'amount'"),
        ("column", "has no column 'amount'"),
        ("raise", r"ConnectionError: no route to the warehouse \(extensions/feed.py, line"),
    ],
)
def test_a_bad_answer_is_named(project, bad, problem):
    (project / "extensions/feed.py").write_text(FEED.replace('BAD = ""', f'BAD = "{bad}"'))
    with pytest.raises(ContinualError, match=problem) as caught:
        delivered(load(DATA.source, project, data=DATA), DATA)
    assert caught.value.remedy


def test_a_name_that_is_none_and_one_that_never_answers(project):
    for name, problem, remedy in (
        ("extensions.fed:read", "no file extensions/fed.py", "'extensions.feed'"),
        ("extensions.feed:raed", "no 'raed'", "'read'"),
        ("extensions.feed.read", "no file matches", "extensions.FILE:attribute"),
    ):
        with pytest.raises(ContinualError, match=problem) as caught:
            load(name, project, data=DATA)
        assert remedy in caught.value.remedy
    (project / "extensions/feed.py").write_text(FEED.replace('BAD = ""', 'BAD = "loop"'))
    with in_project(project, time_limit=0.5), pytest.raises(ContinualError, match="not answered"):
        load(DATA.source, project, data=DATA)


def test_a_file_with_a_colon_in_its_name_is_a_file(project):
    assert names_code("feed:today", project)
    pd.DataFrame({"a": [1]}).to_parquet(project / "feed:today")
    assert not names_code("feed:today", project)
    assert not names_code("s3://bucket/file.csv", project) and not names_code("a.csv", project)


def test_it_is_pinned_for_the_stage_that_keeps_what_it_returned(project):
    form = {"data": {**DATA.model_dump(), "source": DATA.source}}
    assert list(stage_pins(parse(form), project)) == ["snapshot"]


def test_an_iteration_reads_it_once_and_keeps_what_a_file_would_have_given(sealed, opened, copy):
    loop, by_file = copy(sealed), copy(opened, "by_file")
    loop.path("extensions").mkdir()
    feed = loop.path("extensions/feed.py")
    feed.write_text(FEED)
    loop.set(source='"extensions.feed:read"')
    loop.continual("open")
    listed = loop.continual("doors").out
    assert all(f"  {name} " in listed for name in ("parquet", "csv", "nycflights13"))
    reads = loop.path("reads.txt")
    assert reads.read_text() == "read\n"
    for name in ("events", "labels", "corrections"):
        mine, other = (
            pd.read_parquet(one.path(f"data/arrival/{name}.parquet")) for one in (loop, by_file)
        )
        pd.testing.assert_frame_equal(mine, other)
    loop.dvc("repro", "ingest")
    assert reads.read_text() == "read\n", "no stage reads it again"
    feed.write_text(FEED + "\n# another version\n")
    assert "extensions/feed.py" in loop.continual("status", code=None).out
    assert reads.read_text() == "read\n"
