"The reference as counts: cells, ties, additivity, invariance, edge cases, size."

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from continual_nb.core.params import Data, Monitor
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.profile import (
    ColumnProfile,
    cell_names,
    column_profile,
    counts,
    cut,
)
from continual_nb.monitoring.profiles.reference import Profile

MONITOR = Monitor()
numbers = st.lists(
    st.one_of(
        st.integers(-5, 5).map(float),
        st.floats(-1e9, 1e9),
        st.floats(-1e9, 1e9, width=32),
        st.just(float("nan")),
    ),
    max_size=60,
)
words = st.lists(
    st.one_of(st.sampled_from(["a", "b", "ä", "<b>", "", "$x$", "nan", "None"]), st.none()),
    max_size=60,
)


def numeric(values, name="x"):
    return pd.Series(values, dtype="float64", name=name)


def text(values, name="c"):
    return pd.Series(values, dtype="str", name=name)


@settings(deadline=None, max_examples=80)
@given(numbers, numbers, numbers)
@example([2.0**-24], [2.0**-24], [2.0**24 + 1])
def test_counts_add_up(reference, a, b):
    made = column_profile(numeric(reference), "numeric", None, MONITOR)
    both = counts(made, numeric(a + b))
    assert (both == counts(made, numeric(a)) + counts(made, numeric(b))).all()
    assert both.sum() == len(a + b) and both[-1] == np.isnan(np.array(a + b, dtype=float)).sum()
    assert made.rows == len(reference) and len(cell_names(made)) == len(both)


@settings(deadline=None, max_examples=80)
@given(words, words)
def test_levels_add_up(reference, a):
    made = column_profile(text(reference), "categorical", None, MONITOR)
    assert counts(made, text(a)).sum() == len(a)
    assert made.distinct == len({v for v in reference if v is not None})
    assert ColumnProfile.model_validate(made.to_dict()) == made


@pytest.mark.parametrize("transform", [lambda x: 2 * x + 1, lambda x: x**3, np.exp])
def test_cells_survive_increasing_transforms(transform):
    rng = np.random.default_rng(0)
    for values in (
        rng.integers(0, 6, 500),
        rng.integers(0, 40, 500),
        rng.normal(size=500).round(2),
        rng.zipf(2, 500).clip(max=30),
    ):
        values = values.astype(float)
        before = column_profile(numeric(values), "numeric", None, MONITOR)
        after = column_profile(numeric(transform(values)), "numeric", None, MONITOR)
        assert before.counts == after.counts


def test_heavy_values_stand_alone():
    rng = np.random.default_rng(1)
    values = np.where(rng.random(1000) < 0.6, 0.0, rng.normal(size=1000))
    edges, _ = cut(values, 10)
    made = column_profile(numeric(values), "numeric", None, MONITOR)
    cell = np.searchsorted(edges, 0.0)
    assert made.table[0, cell] == (values == 0).sum()
    assert (np.diff(edges) > 0).all()


def test_few_distinct_values_have_their_own_cells():
    edges, distinct = cut(np.array([0.0, 1, 1, 2]), 10)
    cells = np.searchsorted(edges, [-1, 0, 0.5, 1, 1.5, 2, 3])
    assert distinct == 3 and len(set(cells)) == 7


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [np.nan],
        [np.nan] * 5,
        [7.0] * 9,
        [np.inf, -np.inf, 1.0],
        [-0.0, 0.0],
        [1e308, -1e308],
    ],
)
def test_odd_columns(values):
    made = column_profile(numeric(values), "numeric", None, MONITOR)
    assert made.rows == len(values)
    assert (
        Profile.model_validate_json(
            Profile(windows=(), iteration=0, rows=0, columns=(made,)).to_json()
        ).columns[0]
        == made
    )
    assert counts(made, numeric([])).sum() == 0


def test_text_is_counted_in_words():
    values = pd.Series(["one", "two words", "", None, "  spaced   out  "], dtype="str", name="t")
    made = column_profile(values, "text", None, MONITOR)
    assert made.missing == 0.2 and made.distinct == 3
    assert counts(made, pd.Series(["a b"], dtype="str"))[np.searchsorted(made.edges, 2.0)] == 1


def test_many_levels_stay_small():
    rng = np.random.default_rng(2)
    made = column_profile(
        text(rng.integers(0, 10_000, 30_000).astype(str)), "categorical", None, MONITOR
    )
    assert (
        made.distinct > 9000
        and not made.levels
        and made.buckets == 32
        and len(made.to_json()) < 6000 + 1.6 * made.distinct  # 12 bits a name
        and not made.complete
    )


def test_relabelling_leaves_counts():
    rng = np.random.default_rng(3)
    values = text(rng.choice(list("abcdef"), 500, p=[0.3, 0.25, 0.2, 0.15, 0.07, 0.03]))
    other = values.map(dict(zip("abcdef", "zyxwvu"))).astype("str")
    a, b = (column_profile(v, "categorical", None, MONITOR) for v in (values, other))
    assert a.counts == b.counts


def test_unlabelled_rows_are_no_part_of_the_target():
    data = Data(source="-", time="t", label="y", numeric=("x",))
    rows = pd.DataFrame(
        {
            "window": ["a", "a", "b"],
            "x": [1.0, 2.0, 3.0],
            "label": pd.Series(["0", None, "1"], dtype="str"),
        }
    )
    made = fit_reference(data, MONITOR, rows, 1)
    target = made.columns[-1]
    assert (target.role, target.column, target.rows, target.missing) == ("target", "y", 2, 0.0)
    assert made.windows == ("a", "b") and target.table.shape[0] == 2
    empty = fit_reference(data, MONITOR, rows[:0], 1)
    assert empty.rows == 0 and empty.columns[0].rows == 0 and "no window" in empty.section().lead
