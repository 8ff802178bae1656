"The same values in another type are the same values, at the door of compare and of ingest."

from decimal import Decimal
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.ingest import as_number, named, one_name, spelled
from continual_nb.monitoring.compare import Monitor, compare_files

N = 700


def floats(x):
    yield from (x.astype("float64"), x.astype("float32"), x.astype("Float64"), x.astype(str))
    yield from (x.astype("float32").astype(object), x.astype("float[pyarrow]"), x.map(Decimal))


def whole(x):
    yield from (x.astype("int8"), x.astype(float), x.astype("Int64"), x.astype("float32"))
    yield from (x.astype(str), x.astype(float).astype(str), x.astype(object), x.astype("category"))
    yield from (x.astype(float).astype("category"), x.astype(str).str.encode("utf-8"))


def truth(x):
    yield from (x.astype(bool), x, x.astype(float), x.astype("boolean"), x.astype(str))
    words = x.astype(bool).astype(str)
    yield from (words, words.str.upper(), x.astype(bool).astype(object), words.astype("category"))
    yield x.astype(float).astype(str)


def constant(x):
    ones = pd.Series(np.ones(N))
    yield from (
        ones * (0.1 + 0.2),
        ones * 0.3,
        (ones * 0.3).astype("float32"),
        ones.map("{:.0f}".format).replace("1", "0.3"),
    )


def words(x):
    names = x.map({0: "Oslo", 1: "Rome", 2: "Bonn"})
    yield from (names.astype("str"), names.astype(object), names.astype("category"))
    yield from (names.astype("string[pyarrow]"), names.str.encode("utf-8"))


DRAWS = {
    "numbers": (floats, lambda r: r.normal(size=N).round(4)),
    "lattice": (floats, lambda r: r.integers(0, 9, N) / 10),
    "counts": (whole, lambda r: r.poisson(9, N)),
    "codes": (whole, lambda r: r.choice([1, 3, 4, 11], N)),
    "truth": (truth, lambda r: r.integers(0, 2, N)),
    "constant": (constant, lambda r: np.ones(N)),
    "words": (words, lambda r: r.integers(0, 3, N)),
}


def sides(kind: str, seed: int) -> list[pd.Series]:
    forms, draw = DRAWS[kind]
    return list(forms(pd.Series(draw(np.random.default_rng(seed)))))


@pytest.mark.parametrize("kind", DRAWS)
def test_another_type_is_no_change(kind):
    beside = [np.random.default_rng(k).normal(size=N) for k in (8, 9)]
    then, now = sides(kind, 1), sides(kind, 2)
    for a in then:
        fitted = Monitor().fit(pd.DataFrame({"x": beside[0], "v": a}))
        for b in now:
            answer = fitted.score(pd.DataFrame({"x": beside[1], "v": b}))
            loud = [f.sentence for f in answer.quality if f.severity != "note"]
            assert answer.verdict == "nothing" and not loud, (a.dtype, b.dtype)
            told = {c.column: c.verdict for c in answer.columns}
            assert kind == "constant" or told["v"] != "not testable", (a.dtype, b.dtype)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("numbers", lambda x: x + 0.8),
        ("codes", lambda x: np.where(x == 3, 4, x)),
        ("truth", lambda x: x * (np.arange(N) % 2)),
        ("constant", lambda x: x * 2),
        ("words", lambda x: np.where(x == 1, 2, x)),
    ],
)
def test_a_real_change_is_found_in_any_type(kind, change):
    forms, draw = DRAWS[kind]
    then = list(forms(pd.Series(draw(np.random.default_rng(1)))))
    moved = pd.Series(change(draw(np.random.default_rng(2))))
    now = [pd.Series(np.ones(N)) * 0.31] if kind == "constant" else list(forms(moved))
    for a in then:
        fitted = Monitor().fit(pd.DataFrame({"v": a}))
        assert all(fitted.score(pd.DataFrame({"v": b})).verdict != "nothing" for b in now), a.dtype


def mixed(seed: int) -> pd.DataFrame:
    "A table of all types that Parquet keeps and CSV does not."
    r = np.random.default_rng(seed)
    gaps = lambda values: pd.Series(values).mask(r.random(N) < 0.1)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(r.integers(0, 40, N)), unit="D")
    return pd.DataFrame(
        {
            "count": gaps(r.poisson(5, N)).astype("Int64"),
            "flag": gaps(r.random(N) < 0.4).astype("boolean"),
            "single": r.normal(size=N).astype("float32"),
            "tenths": (r.integers(0, 9, N) / 10).astype("float32"),
            "kind": pd.Categorical(r.choice(["a", "b", ""], N)),
            "country": r.choice(["NA", "NL", "None"], N),
            "price": [Decimal(int(k)) / 100 for k in r.integers(100, 900, N)],
            "day": day,
            "took": pd.to_timedelta(r.gamma(3, 60, N).round(), unit="s"),
        }
    )


def test_parquet_and_csv_say_the_same(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        mixed(seed).to_parquet(tmp_path / f"{name}.parquet")
        mixed(seed).to_csv(tmp_path / f"{name}.csv", index=False)
    for one, other in permutations(("a.parquet", "b.csv", "a.csv", "b.parquet"), 2):
        if one[0] != other[0]:
            answer = compare_files(tmp_path / one, tmp_path / other)
            loud = [f.sentence for f in answer.quality if f.severity != "note"]
            assert answer.verdict == "nothing" and not loud, (one, other, loud)


@pytest.mark.parametrize("kind", ["counts", "codes", "truth", "words"])
def test_ingest_gives_equal_levels_one_name(kind):
    first, *others = [named(spelled(side)) for side in sides(kind, 1)]
    plain = {"true": "1", "false": "0"}
    for other in others:
        assert (first.replace(plain) == other.replace(plain)).all()


@pytest.mark.parametrize("kind", ["lattice", "counts"])
def test_ingest_reads_equal_numbers_alike(kind):
    first, *others = [as_number(side) for side in sides(kind, 1) if not isinstance(side[0], bytes)]
    assert all((first == other).all() for other in others)


def test_codes_and_versions_keep_their_names():
    assert [*map(one_name, ("007", "1.10", "1.1", "3.0", "0.30000000000000004", "2e5"))] == [
        "007",
        "1.10",
        "1.1",
        "3",
        "0.3",
        "2e5",
    ]
