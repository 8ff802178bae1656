"Columns and codes in the words of data.yaml: on the page alone, and what does not fit is named."

import pytest

from continual_nb.core.dictionary import DICTIONARY, Entry, Words, clauses, dictionary_yaml
from continual_nb.core.dictionary import names_in, read_words
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data, parse_yaml
from continual_nb.core.table import STAGES, inputs

DATA = Data(source="f.csv", time="t", label="late", numeric=("temp", "null", "1st"))
WORDS = Words(
    entries={
        "temp": Entry(label="temperature", unit="°F"),
        "carrier": Entry(label="airline", codes={"FL": "AirTran", "F": "Fee"}),
    }
)


def test_the_file_that_is_written_is_read_again(tmp_path):
    (tmp_path / DICTIONARY).write_text(dictionary_yaml(DATA, WORDS), encoding="utf-8")
    found = read_words(tmp_path, DATA)
    assert list(found.entries) == ["late", "temp", "null", "1st"]
    assert found.column("temp", unit=True) == "temperature (°F)" and found.column("null") == "null"
    assert read_words(tmp_path / "nowhere", DATA) == Words()


@pytest.mark.parametrize(
    "text, named",
    [
        ("tmp: {label: t}", "did you mean 'temp'"),
        ("temp: {lable: t}", "temp.lable"),
        ("temp: {unit: 3}", "temp.unit"),
        ("temp: [1]", "temp"),
        ("- temp", "no mapping"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, named):
    (tmp_path / DICTIONARY).write_text(text)
    with pytest.raises(ContinualError, match=named):
        read_words(tmp_path, DATA)


def test_codes_that_yaml_takes_for_numbers_are_text(tmp_path):
    (tmp_path / DICTIONARY).write_text("late: {codes: {1: late, 0: on time}}")
    assert read_words(tmp_path, DATA).code("late", "1") == "late"


def test_only_names_are_spelled_and_never_a_word_of_the_sentence():
    said = "temp (large; the temp of old); temp_max (small). temp is missing"
    assert clauses(said, ["temp"], WORDS) == (
        "temperature (large; the temp of old); temp_max (small). temperature is missing"
    )
    groups = ["carrier=FL", "carrier=F", "origin=JFK"]
    said = "ruled out in carrier=FL, carrier=F, carrier=FLX and origin=JFK"
    assert names_in(said, groups, WORDS) == (
        "ruled out in airline AirTran, airline Fee, carrier=FLX and origin=JFK"
    )


def test_no_stage_but_the_report_reads_it():
    assert [stage for stage in STAGES if DICTIONARY in inputs(stage)] == ["report"]


def test_a_result_is_stored_in_the_names_of_the_data():
    from continual_nb.evaluation.result import Evaluation

    plain = Evaluation(answer="keep", reason="None is better.")
    assert plain.worded(WORDS).to_file() == plain.to_file()
    assert parse_yaml(dictionary_yaml(DATA), "data.yaml")["temp"]["label"] == ""
