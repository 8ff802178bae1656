"Bad inputs and the words that a person must see: commands, params.yaml, data, files. Nothing of the project changes."

import shlex

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from continual_nb.cli.main import cli
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import Arrival, delivered, ingest, snapshot
from continual_nb.core.params import Data, Ingest, Params
from continual_nb.core.sources import load
from continual_nb.core.store import Store
from continual_nb.core.windows import AsOf, Cadence
from loop import events

COMMANDS = [
    ("sing approve", 2, "there is no command 'sing'; did you mean 'sign'?"),
    ("status --nope", 2, "No such option '--nope'"),
    ("open 2024-13", 1, "no window '2024-13' for windows of one month"),
    ("open Feb", 1, "write it like"),
    ("sign maybe --by Ada --reason x", 2, "'maybe' is not one of 'approve', 'reject'"),
    ("sign approve --by Ada", 2, "Missing option '--reason'"),
    ("sign approve --by Ada --reason x", 2, "there is no evidence to sign yet"),
    ("sign approve --by ' ' --reason x", None, "name"),
    ("sign approve --by Ada --reason x --minutes -1", 2, "is not in the range"),
    ("sign approve --by Ada --reason x --key nowhere", 2, "'nowhere' does not exist"),
    ("seal", 3, "is pending"),
    ("next", 3, "is pending"),
    ("steer jump --by Ada --reason x", 2, "'jump' is not one of 'continue', 'inspect'"),
    ("steer rollback --by Ada --reason x --to zz", 1, "'zz' names 0 earlier champions"),
    ("steer continue --by Ada --reason x --means retrain", 1, "has no means to choose from"),
    ("rollback --by Ada --reason x", 1, "there is no earlier champion"),
    ("rollback --by Ada", 2, "Missing option '--reason'"),
    ("feedback", 2, "Missing option '--by'"),
    ("why nobody", 1, "stage compose of 001-2024-01 has not run yet"),
    ("diff 1 2", 1, "`dvc repro`"),
    ("forget", 2, "Missing argument 'ROW'"),
    ("labels --ask -3", 2, "-3 is not in the range x>=1"),
    ("predict nowhere.csv", 2, "there is no champion yet"),
    ("export", 2, "Missing argument 'FOLDER'"),
    ("schema nope", 1, "there is no schema 'nope'"),
    ("stage nope", 2, "'nope' is not one of 'snapshot', 'ingest'"),
    ("trials --keep x", 1, "there is no trial 'x'"),
    ("backtest --policy nope", 2, "File 'nope' does not exist"),
    ("compare nowhere.csv b.csv", 1, "nowhere.csv does not exist"),
    ("costs --miss lots", 2, "'lots' is not a valid float"),
    ("expect accept nope", 1, "there is no proposal 'nope'"),
    ("schedule nope", 2, "'nope' is not one of 'cron', 'github', 'metaflow'"),
]


@pytest.fixture(scope="module")
def place(born, tmp_path_factory):
    return born.copy(tmp_path_factory.mktemp("table") / "born")


@pytest.mark.parametrize(("words", "code", "told"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_commands(place, monkeypatch, words, code, told):
    monkeypatch.chdir(place.root)
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    before = place.everything()
    result = CliRunner().invoke(cli, shlex.split(words))
    assert isinstance(result.exception, SystemExit), result.exception
    assert told in " ".join(result.output.split()), result.output
    assert result.exit_code == code if code is not None else result.exit_code
    assert place.everything() == before


PARAMS = [
    ("  bins: 10", "  bins: ten", "monitor.bins"),
    ("  min_effect:", "  min_efect:", "did you mean 'min_effect'?"),
    ("  alpha: 0.05", "  alpha: 5", "monitor.alpha: Input should be less than 1"),
    ("  budget: 1.0", "  budget: -1", "monitor.budget"),
    ("  task: classification", "  task: ranking", "'classification' or 'regression'"),
    ("  every: month", "  every: fortnight", "must be day, week, month"),
    ("  every: month", "  every: 0rows", "must be day, week, month"),
    ("  maturity: 0.8", "  maturity: 80", "windows.maturity"),
    ("  max_bad_share: 0.05", "  max_bad_share: 5%", "ingest.max_bad_share"),
    ("  corrections: keep", "  corrections: ask", "'keep' or 'take'"),
    ("  timezone: UTC", "  timezone: Europe/Berln", "did you mean 'Europe/Berlin'?"),
    ("  time_format: null", "  time_format: iso", "'iso' is neither null, s, ms"),
    ("  label_delay: null", "  label_delay: soon", "label_delay"),
    ("  text: [note]", "  text: [bad]", "bad"),
    ("  slices: [region]", "  slices: [county]", "county"),
    ("  cool_down: 0", "  cool_down: -1", "decide.trigger.cool_down"),
    ("  horizon: 3", "  horizon: 0", "decide.horizon"),
]


@pytest.mark.parametrize(("old", "new", "told"), PARAMS, ids=[p[1].strip() for p in PARAMS])
def test_params(born, tmp_path, old, new, told):
    text = born.path("params.yaml").read_text()
    assert text.count(f"\n{old}") + text.count(f"\n  {old}") >= 1, old
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ContinualError) as refused:
        Params.load(path)
    assert "params.yaml" in str(refused.value) and told in str(refused.value)


ABOUT = dict(source="x.csv", time="when", id="id", label="bad", label_time="known")
ABOUT |= dict(numeric=["amount"], categorical=["region"])


def stopped(frame: pd.DataFrame, **about):
    "Deliver a frame and take it in, as the stages snapshot and ingest do."
    data = Data(**{**ABOUT, **about})
    month = Cadence("month")
    moment = AsOf(1, month.window("2024-01"), month.window("2024-01").end, month)
    arrival = snapshot(delivered(frame, data), data, month, Store((), None), moment.as_of)
    assert isinstance(arrival, Arrival)
    return ingest(arrival, data, Ingest(), moment)


DATA = [
    (
        lambda f: f.rename(columns={"amount": "amounts"}),
        "did you mean 'amounts'? mend data.numeric",
    ),
    (lambda f: f.drop(columns="when"), "has no column 'when' (data.time)"),
    (lambda f: f.drop(columns="bad"), "has no column 'bad' (data.label)"),
    (lambda f: f.drop(columns="known"), "has no column 'known' (data.label_time)"),
    (lambda f: pd.concat([f, f.iloc[[3]].assign(amount=9.0)]), "1 ids name different rows: e1-003"),
    (lambda f: f.assign(when="soon"), "cannot be placed, the first is row 2 (when: not a time)"),
    (lambda f: f.assign(when=np.arange(len(f))), "count neither seconds since 1970 nor days"),
    (lambda f: f.assign(id=None), "id: no id"),
]


@pytest.mark.parametrize(("change", "told"), DATA, ids=[d[1][:40] for d in DATA])
def test_data(change, told):
    with pytest.raises(ContinualError) as refused:
        stopped(change(events(1, 100)))
    assert told in str(refused.value)


FOUND = [
    (lambda f: f.assign(amount="much"), "values of amount are not numbers, as 'much'"),
    (lambda f: f.assign(amount=np.inf), "values of amount are infinite"),
    (lambda f: pd.concat([f, f.iloc[[3]]]), "1 rows were delivered twice"),
    (lambda f: f.assign(region=None), "region is missing in every new row"),
]


@pytest.mark.parametrize(("change", "told"), FOUND, ids=[d[1][:40] for d in FOUND])
def test_findings(change, told):
    _, _, found = stopped(change(events(1, 100)))
    assert told in " ".join(f.sentence for f in found)


FILES = {
    "empty.csv": (b"", "is not a readable CSV file"),
    "latin.csv": ("a,b\n1,\u00e9\n".encode("latin-1"), "is not UTF-8"),
    "twice.csv": (b"a,a\n1,2\n", "has two columns called 'a'"),
    "stacked.csv": (b"a,b\nx,y\na,b\nz,w\n", "holds its heading again in line 3"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3,4\n", "is not a readable CSV file"),
    "cut.parquet": (b"PAR1 and no more", "cut.parquet"),
    "table.xlsx": (b"PK", "files of type .xlsx are not read"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    content, told = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ContinualError) as refused:
        load(name, tmp_path)
    assert told in str(refused.value)


@pytest.mark.parametrize("source", ["", "https://example.org/a.csv", "nowhere/*.csv"])
def test_sources(tmp_path, source):
    with pytest.raises(ContinualError) as refused:
        load(source, tmp_path)
    assert "what to do" in str(refused.value)


# -- what misleads and is read all the same ----------------------------------------------------------
def test_ids_of_a_csv_are_read_as_they_are_written(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n007,1\n1700000000000000001,2\n")
    frame = load("a.csv", tmp_path, text=("id",))
    assert frame["id"].tolist() == ["007", "1700000000000000001"]
    assert load("a.csv", tmp_path)["x"].tolist() == [1, 2]


CODES = [
    (["DE", "FR", "NA", "IT", ""], ["DE", "FR", "NA", "IT", None]),
    (["north", "south", "NA", "east", "null"], ["north", "south", None, "east", None]),
    (["Full", "Half", "None", "Some", "n/a"], ["Full", "Half", "None", "Some", None]),
]


@pytest.mark.parametrize(("written", "read"), CODES)
def test_a_code_that_looks_missing_is_a_value_beside_others_like_it(tmp_path, written, read):
    lines = [f"{n},{word}" for n, word in enumerate(written)]
    (tmp_path / "a.csv").write_text("\n".join(["id,code", *lines]) + "\n")
    frame = load("a.csv", tmp_path)
    assert [None if pd.isna(x) else x for x in frame["code"]] == read
    assert bool(frame.attrs["codes"]) == (None in read and ("NA" in read or "None" in read))


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_files_of_a_glob_are_one_shape_in_either_order(tmp_path, order):
    frame = events(1, 20)
    parts = dict(zip(order, (frame[:10], frame[10:].drop(columns=["age", "note"]))))
    for name, part in parts.items():
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    raw = load("*.csv", tmp_path, text=("id",))
    assert len(delivered(raw, Data(**ABOUT)).frame) == 20  # nothing uses what is missing
    with pytest.raises(ContinualError) as refused:
        delivered(raw, Data(**{**ABOUT, "numeric": ["age"]}))
    assert f"{order[1]}.csv has no column 'age' (data.numeric)" in str(refused.value)


def test_labels_that_change_their_words_block_with_the_mapping(sealed, copy, monkeypatch):
    loop, frame = copy(sealed), events()
    loop.deliver(frame.assign(bad=frame["bad"].map({0: "no", 1: "yes"})))
    before = loop.bytes("data/state", "data/store", "data/arrival")
    said = loop.continual("open", code=4).err
    assert "the labels have changed their words: 'no' is '0', 'yes' is '1', in 2" in said
    assert loop.bytes("data/state", "data/store", "data/arrival") == before


def test_ctrl_c_says_how_to_go_on(place, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(place.root)
    monkeypatch.setattr("continual_nb.cli.main._guarded", interrupted)
    result = CliRunner().invoke(cli, ["status"])
    assert result.exit_code == 130
    assert "stopped; nothing is lost" in result.output and "`continual status`" in result.output


def test_the_table_is_long_enough():
    assert len(COMMANDS) + len(PARAMS) + len(DATA) + len(FOUND) + len(FILES) + 3 >= 60
