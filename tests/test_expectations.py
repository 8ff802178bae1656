"""Expectations: read strictly, checked row by row, inferred with slack, extended by proposals."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from continual_nb.core.expectations import (
    COLUMN,
    TABLE,
    Suite,
    check,
    far_outside,
    held_to,
    infer,
    propose,
    read_suite,
    spell_suite,
    to_gx,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import Finding
from continual_nb.core.params import Data

DATA = Data(
    source="x", time="t", label="y", numeric=("amount", "paid"), categorical=("city", "window")
)
NONE = pd.Series([], dtype="str")


def rows(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame(
        {
            "amount": [1.0] * n,
            "paid": [1.0] * n,
            "city": ["Rome"] * n,
            "window (column)": ["w"] * n,
            **columns,
        }
    )


def suite(kind, severity="warning", **kwargs):
    return read_suite(
        {"expectations": [{"id": "one", "type": kind, "kwargs": kwargs, "severity": severity}]},
        DATA,
    )


CASES = [
    (
        "expect_column_values_to_not_be_null",
        {"column": "amount"},
        {"amount": [1, 2]},
        {"amount": [1, None]},
        1,
    ),
    (
        "expect_column_values_to_not_be_null",
        {"column": "city"},
        {"city": ["a", "b"]},
        {"city": ["a", " "]},
        1,
    ),
    (
        "expect_column_values_to_be_of_type",
        {"column": "amount", "type_": "number"},
        {"amount": ["1", None]},
        {"amount": ["1", "much"]},
        1,
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "amount", "min_value": 0, "max_value": 5},
        {"amount": [0, 5, None]},
        {"amount": [-1, 6, 3]},
        2,
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "city", "value_set": ["Rome"]},
        {"city": ["Rome", None]},
        {"city": ["Rome", "Bonn"]},
        1,
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "amount", "value_set": [1, 2]},
        {"amount": [1.0, 2.0]},
        {"amount": [1.0, 3.0]},
        1,
    ),
    (
        "expect_column_values_to_not_be_in_set",
        {"column": "city", "value_set": ["N/A"]},
        {"city": ["Rome"]},
        {"city": ["N/A"]},
        1,
    ),
    (
        "expect_column_values_to_match_regex",
        {"column": "city", "regex": "^[A-Z]"},
        {"city": ["Rome", None]},
        {"city": ["rome"]},
        1,
    ),
    (
        "expect_column_values_to_be_unique",
        {"column": "amount"},
        {"amount": [1, 2, None, None]},
        {"amount": [1, 1, 2]},
        2,
    ),
    (
        "expect_column_value_lengths_to_be_between",
        {"column": "city", "max_value": 4},
        {"city": ["Rome"]},
        {"city": ["Berlin"]},
        1,
    ),
    (
        "expect_column_mean_to_be_between",
        {"column": "amount", "max_value": 2},
        {"amount": [1, 3]},
        {"amount": [3, 3]},
        2,
    ),
    (
        "expect_column_stdev_to_be_between",
        {"column": "amount", "min_value": 0.1},
        {"amount": [1, 3]},
        {"amount": [3, 3]},
        2,
    ),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "city", "min_value": 2},
        {"city": ["a", "b"]},
        {"city": ["a", "a"]},
        2,
    ),
    (
        "expect_table_row_count_to_be_between",
        {"min_value": 2},
        {"amount": [1, 2]},
        {"amount": [1]},
        1,
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "amount", "column_B": "paid", "or_equal": True},
        {"amount": [1, 2]},
        {"amount": [0, 2]},
        1,
    ),
]


@pytest.mark.parametrize("kind, kwargs, good, bad, count", CASES)
def test_each_type_accepts_what_fits_and_counts_what_does_not(kind, kwargs, good, bad, count):
    one = suite(kind, **kwargs)
    assert check(one, rows(**good), NONE, DATA) == ()
    found = check(one, rows(**bad), NONE, DATA)
    assert (
        len(found) == 1
        and found[0].count == count
        and one.expectations[0].words() in found[0].sentence
    )


def test_every_type_is_covered():
    assert {case[0] for case in CASES} | {"expect_column_to_exist"} == {*COLUMN, *TABLE}


def test_mostly_leaves_room_and_an_empty_delivery_breaks_nothing():
    half = suite("expect_column_values_to_be_in_set", column="city", value_set=["Rome"], mostly=0.5)
    assert (
        check(half, rows(city=["Rome", "Bonn"]), NONE, DATA) == ()
        and len(check(half, rows(city=["Oslo", "Bonn", "Rome"]), NONE, DATA)) == 1
    )
    for kind, kwargs, *_ in CASES:
        assert (
            check(suite(kind, **kwargs), rows(amount=[]), NONE, DATA) == () or "row_count" in kind
        )


def test_an_error_blocks_with_code_4_and_a_warning_is_a_finding():
    wrong = rows(amount=[-1.0, 2.0])
    with pytest.raises(ContinualError) as told:
        held_to(
            suite("expect_column_values_to_be_between", "error", column="amount", min_value=0),
            wrong,
            NONE,
            DATA,
        )
    assert (
        told.value.code == 4
        and "-1.0" in told.value.problem
        and "expectations.yaml" in told.value.remedy
    )
    assert (
        held_to(
            suite("expect_column_values_to_be_between", column="amount", min_value=0),
            wrong,
            NONE,
            DATA,
        )[0].severity
        == "warning"
    )


def test_labels_and_columns_with_our_own_names_can_be_expected():
    label = suite("expect_column_values_to_be_in_set", column="y", value_set=["0", "1"])
    assert check(label, rows(amount=[1]), pd.Series(["0", "2"]), DATA)[0].count == 1
    own = suite("expect_column_values_to_be_in_set", column="window", value_set=["w"])
    assert check(own, rows(amount=[1]), NONE, DATA) == ()


@pytest.mark.parametrize(
    "entry, hint",
    [
        (
            {"type": "expect_column_values_to_be_betwen", "kwargs": {"column": "amount"}},
            "expect_column_values_to_be_between",
        ),
        (
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amuont"}},
            "'amount'",
        ),
        (
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "amount", "min_valu": 1},
            },
            "'min_value'",
        ),
        ({"type": "expect_column_values_to_be_between", "kwargs": {"min_value": 1}}, "column"),
    ],
)
def test_near_misses_are_named(entry, hint):
    with pytest.raises(ContinualError) as told:
        read_suite({"expectations": [{"id": "a", **entry}]}, DATA)
    assert "a" in told.value.problem and hint in told.value.remedy


def test_an_unknown_severity_and_a_repeated_id_are_refused():
    one = {"id": "a", "type": "expect_column_to_exist", "kwargs": {"column": "amount"}}
    for content in (
        {"expectations": [{**one, "severity": "fatal"}]},
        {"expectations": [one, one]},
        {"expectation": [one]},
    ):
        with pytest.raises(ContinualError):
            read_suite(content, DATA)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_what_was_inferred_holds_for_what_it_was_inferred_from_window_by_window(seed):
    rng = np.random.default_rng(seed)
    n, windows = 600, pd.Series(np.repeat([f"2020-0{i}" for i in range(1, 7)], 100))
    frame = pd.DataFrame(
        {
            "amount": rng.standard_t(3, n),
            "paid": rng.gamma(1, 5, n),
            "city": rng.choice(["Rome", "Oslo"], n),
            "window": rng.choice(["u", "v"], n),
            "y": rng.choice(["0", "1"], n),
        }
    )
    frame.loc[rng.random(n) < 0.2, "paid"] = np.nan
    made = infer(frame, DATA, windows)
    for name in ("amount", "paid"):  # what was left out is no part of the range
        known = frame[name].dropna()
        frame.loc[known.index[far_outside(known)], name] = known.median()
    inside = frame.rename(columns={"window": "window (column)"})
    for name in windows.unique():
        part = inside[(windows == name).to_numpy()]
        assert check(made, part, part["y"], DATA) == ()
    written = YAML(typ="safe").load(spell_suite(made))
    assert read_suite(written, DATA) == made


def test_sets_are_fixed_only_where_they_are_small_and_stable():
    n = 400
    windows = pd.Series(np.repeat(["a", "b"], n // 2))
    frame = pd.DataFrame(
        {
            "amount": 1.0,
            "paid": 2.0,
            "city": ["Rome"] * (n // 2) + ["Oslo"] * (n // 2),
            "window": [f"L{i % 150}" for i in range(n)],
            "y": "1",
        }
    )
    assert not [
        one
        for one in infer(frame, DATA, windows).expectations
        if one.column in ("city", "window") and one.type.endswith("in_set")
    ]


def test_findings_become_proposals_once():
    gone = Finding(
        column="amount",
        rule="missing jump",
        count=40,
        share=0.4,
        severity="error",
        sentence="amount is missing in 40 %.",
    )
    new = Finding(
        column="city",
        rule="new level",
        count=4,
        share=0.1,
        severity="warning",
        sentence="city: not in the reference: 'Bonn'.",
    )
    quiet = Finding(
        column="city",
        rule="constant",
        count=4,
        share=0.1,
        severity="note",
        sentence="may be chance",
    )
    offered = propose((gone, new, quiet), DATA, {"city": ("Rome", "Oslo")}, "003-2020-03", Suite())
    assert [one.id for one in offered] == ["amount-stays-filled", "city-stays-in-set"]
    assert (
        offered[0].meta.added_in == "003-2020-03"
        and offered[0].meta.because == gone.sentence
        and offered[0].kwargs["mostly"] == 0.8
    )
    assert (
        read_suite({"expectations": [one.model_dump() for one in offered]}, DATA).expectations
        == offered
    )
    assert (
        propose(
            (gone, new),
            DATA,
            {"city": ("Rome", "Oslo")},
            "004-2020-04",
            Suite(expectations=offered),
        )
        == ()
    )


@pytest.mark.skipif(
    importlib.util.find_spec("great_expectations") is None,
    reason="great_expectations is not installed",
)
def test_great_expectations_reads_the_export():
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    n = 50
    frame = pd.DataFrame(
        {
            "amount": np.arange(n),
            "paid": 1.0,
            "city": ["Rome", "Oslo"] * 25,
            "window": "w",
            "y": ["0", "1"] * 25,
        }
    )
    exported = to_gx(infer(frame, DATA, pd.Series(["a"] * n)))
    real = gx.ExpectationSuite(
        name=exported["name"],
        expectations=[
            ExpectationConfiguration(**one).to_domain_obj() for one in exported["expectations"]
        ],
    )
    batch = (
        gx.get_context(mode="ephemeral")
        .data_sources.add_pandas("p")
        .add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b")
        .get_batch({"dataframe": frame})
    )
    assert batch.validate(real).success


def test_the_export_speaks_great_expectations_words():
    exported = to_gx(
        suite("expect_column_values_to_be_between", "error", column="amount", min_value=0)
    )
    assert exported["expectations"][0] == {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount", "min_value": 0},
        "severity": "critical",
        "meta": {"id": "one", "added_in": "", "because": "", "owner": ""},
    }
