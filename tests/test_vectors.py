"Texts and embeddings: quiet when nothing changes, heard when the words or the cloud change, and told once."

import math

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.params import Data
from continual_nb.core.params import Monitor as Settings
from continual_nb.monitoring.profiles.columns import is_vectors, kind_of
from continual_nb.monitoring.compare import Comparison, Monitor
from continual_nb.monitoring.monitor import allowed, reworded
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.reference import Profile
from continual_nb.monitoring.detectors.vectors import (
    CELLS,
    fit_all,
    fit_vectors,
    grouped,
    occurrences,
    vector_drift,
    words_of_change,
)

PLAIN = Settings(min_effect=0.0)
WORDS = np.array([f"w{k}" for k in range(800)])
SHARES = 1 / np.arange(3, 803)


def texts(n, seed, strike=0.0):
    rng = np.random.default_rng(seed)
    made = [
        " ".join(rng.choice(WORDS, rng.integers(5, 12), p=SHARES / SHARES.sum())) for _ in range(n)
    ]
    return pd.Series(
        [t.rsplit(" ", 1)[0] + " strike" if h else t for t, h in zip(made, rng.random(n) < strike)],
        name="remark",
        dtype="str",
    )


def cloud(n, seed, shift=0.0, size=32):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 6))
    hidden[:, 0] += shift
    return np.tanh(hidden @ np.random.default_rng(0).normal(size=(6, size)) / 2) + 0.1 * rng.normal(
        size=(n, size)
    )


def group(n, seed, shift=0.0):
    return pd.DataFrame(cloud(n, seed, shift), columns=[f"emb_{i}" for i in range(32)])


def heard(make, fit, repeats, **change):
    return np.mean(
        [
            vector_drift(fit(make(400, s)), make(400, 900 + s, **change), PLAIN, floor=0).verdict
            == "drifted"
            for s in range(repeats)
        ]
    )


as_text = lambda rows: fit_vectors("remark", ("remark",), "text", rows)
as_group = lambda rows: fit_all(dict.fromkeys(rows, "numeric"), rows)[0]
frame = lambda *a, **k: texts(*a, **k).to_frame()


def test_the_size_is_kept():
    assert heard(frame, as_text, 100) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert heard(group, as_group, 200) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_a_word_in_a_tenth_of_the_rows_and_half_a_deviation_of_a_hidden_direction_are_heard():
    assert (
        heard(frame, as_text, 12, strike=0.15) >= 0.8
        and heard(group, as_group, 12, shift=0.5) >= 0.9
    )
    assert (
        words_of_change(texts(800, 1), texts(800, 2, 0.2))[0] == "+strike"
        and words_of_change(texts(800, 1), texts(800, 2)) == ()
    )


def test_windows_that_wobble_are_allowed_for():
    rng, fired = np.random.default_rng(4), 0
    for s in range(12):
        parts = [texts(300, 100 * s + k, strike=rng.uniform(0, 0.15)) for k in range(9)]
        rows, now = pd.concat(parts[:8], ignore_index=True).to_frame(), parts[8].to_frame()
        known = fit_vectors(
            "remark", ("remark",), "text", rows, pd.Series(np.repeat(np.arange(8), 300))
        )
        fired += vector_drift(known, now, PLAIN).verdict == "drifted"
        assert known.chunk_rows == (300,) * 8
    assert fired <= 3


def test_what_counts_as_an_embedding():
    assert kind_of(
        pd.Series([[0.1, 0.2], np.array([0.3, 0.4]), None])
    ) == "embedding" and not is_vectors(pd.Series([[1], ["a"]]))
    assert grouped([f"emb_{i}" for i in (2, 10, 1, 3, 4, 5, 6, 7)])["emb_*"] == (
        "emb_1",
        "emb_2",
        "emb_3",
        "emb_4",
        "emb_5",
        "emb_6",
        "emb_7",
        "emb_10",
    )
    assert (
        occurrences(pd.Series(["Ein Wort", None, ""])).shape == (3, CELLS)
        and occurrences(pd.Series([None, ""])).sum() == 0
    )


@pytest.mark.parametrize("what", ["text", "list", "group"])
def test_two_tables_tell_a_change_once(what):
    sides = []
    for seed, change in ((1, 0.0), (2, 1.0)):
        rng = np.random.default_rng(seed)
        side = pd.DataFrame({"x": rng.normal(size=900), "y": rng.normal(size=900)})
        if what == "text":
            side["remark"] = texts(900, seed, 0.3 * change)
        elif what == "list":
            side["emb"] = list(cloud(900, seed, change))
        else:
            side = pd.concat([side, group(900, seed, change)], axis=1)
        sides.append(side)
    answer, quiet = (
        Monitor().fit(sides[0]).score(sides[1]),
        Monitor().fit(sides[0]).score(sides[0][::-1]),
    )
    name = {"text": "remark", "list": "emb", "group": "emb_*"}[what]
    assert (
        [(v.column, v.verdict) for v in answer.contents] == [(name, "drifted")]
        and quiet.contents[0].verdict != "drifted"
        and not quiet.incidents
    )
    assert (
        len(answer.incidents) == 1
        and Comparison.model_validate(answer.to_dict()) == answer
        and answer.lines()
        and answer.page()
    )
    if what == "text":
        assert answer.contents[0].words[0] == "+strike" and "strike" in answer.incidents[0].sentence
    if what == "list":
        assert {c.column: c.verdict for c in answer.columns}["emb"] == "drifted"


@pytest.mark.parametrize(
    "column",
    [
        [None] * 60,
        [[1.0, float("nan")]] * 60,
        [[1, 2]] * 59 + [[1]],
        [(float("inf"), 1.0)] * 60,
        [np.zeros(3)] * 60,
    ],
)
def test_odd_vectors_are_an_answer(column):
    a = pd.DataFrame({"e": pd.Series(list(cloud(60, 1, size=3)), dtype=object), "x": range(60)})
    b = pd.DataFrame({"e": pd.Series(column, dtype=object), "x": range(60)})
    for one, two in ((a, b), (b, a)):
        assert Monitor().fit(one).score(two).lines()


def test_a_project_watches_its_texts_within_its_budget():
    data = Data(source="-", time="t", label="y", numeric=("x",), text=("remark",))
    rows = pd.DataFrame(
        {
            "x": np.random.default_rng(0).normal(size=1200),
            "remark": texts(1200, 1),
            "label": "1",
            "window": np.repeat(["a", "b"], 600),
        }
    )
    known = fit_reference(data, Settings(), rows, 1)
    assert (
        Profile.model_validate(known.to_dict()) == known
        and known.vectors[0].column == "remark"
        and len(known.vectors[0].to_json()) < 30_000
    )
    said = vector_drift(known.vectors[0], texts(600, 2, 0.4).to_frame(), Settings())
    _, _, alarm, ruled = allowed((), None, set(), Settings(), {}, 12, (said,))
    assert (
        alarm.monitors == 1
        and ruled[0].verdict == "drifted"
        and alarm.carried == ("content:remark",)
    )
    assert [i.title for i in reworded(ruled, (), set(), False)] == [
        "The text of remark has changed"
    ] and not reworded(ruled, (), {"remark"}, False)
