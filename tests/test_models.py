"Models: the same bytes everywhere, nothing foreign is loaded, and strange rows do not break a prediction."

import functools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.core.files import ContinualError, sha256
from continual_nb.core.models import (
    CATEGORIES,
    Model,
    dump,
    estimator,
    features,
    fit,
    load,
    predict,
)
from continual_nb.core.params import Data, Train

MODELS = ("boosting", "linear")
DATA = Data(
    source="x",
    time="t",
    label="y",
    numeric=("a", "b"),
    categorical=("c",),
    text=("words",),
    slices=("c",),
)
SMALL = {"iterations": 15}


def world(n=300, seed=0, task="classification", classes=("no", "yes"), data=DATA):
    draw = np.random.default_rng(seed)
    frame = {
        name: np.where(draw.random(n) < 0.1, np.nan, draw.normal(size=n)) for name in data.numeric
    }
    frame |= {
        name: pd.Series(draw.choice(["u", "v", "w", None], n), dtype="str")
        for name in data.categorical
    }
    frame |= {
        name: pd.Series(draw.choice(["late crew", "fine", "", None], n), dtype="str")
        for name in data.text
    }
    if task == "regression":
        label = np.nan_to_num(frame["a"]) + draw.normal(size=n)
    else:
        code = np.digitize(
            np.nan_to_num(frame["a"]) + draw.normal(size=n), np.linspace(-1, 1, len(classes) - 1)
        )
        label = pd.Series(np.array(classes)[code], dtype="str")
    time = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", unit="us")
    return pd.DataFrame(
        {"event_id": [f"e{i:04d}" for i in range(n)], "event_time": time, "label": label, **frame}
    )


def learned(model="boosting", rows=None, data=DATA):
    return fit(
        estimator(data, Train(models=[model], **SMALL)), world() if rows is None else rows, data
    )


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return learned(request.param)


SCRIPT = """
import sys; sys.path.insert(0, sys.argv[1])
from test_models import MODELS, dump, learned, load
from pathlib import Path
print(*(learned(name).hash for name in MODELS))
for name in MODELS:
    content = Path(sys.argv[2], name).read_bytes()
    from continual_nb.core.files import sha256
    assert dump(load(content, sha256(content)).pipeline) == content
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_equal_bytes_in_another_process_whatever_threads_and_hash_seed(tmp_path, threads):
    here = {name: learned(name) for name in MODELS}
    for name, made in here.items():
        (tmp_path / name).write_bytes(made.content)
    settings = {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "PYTHONHASHSEED": threads,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, os.path.dirname(__file__), str(tmp_path)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [made.hash for made in here.values()]


def test_a_round_trip_keeps_bytes_and_predictions(model):
    same = load(model.content, model.hash)
    assert dump(same.pipeline) == model.content
    assert np.array_equal(
        predict(same, world(seed=1), DATA).proba, predict(model, world(seed=1), DATA).proba
    )


def test_other_rows_give_other_bytes():
    assert learned().hash != learned(rows=world(seed=1)).hash


def test_load_refuses_other_bytes(model):
    with pytest.raises(ContinualError) as refused:
        load(model.content + b"x", model.hash)
    assert refused.value.code == 5


def test_load_refuses_what_is_no_archive():
    with pytest.raises(ContinualError, match="cannot be read") as refused:
        load(b"PK no", sha256(b"PK no"))
    assert refused.value.code == 5


class Foreign:
    "A type from outside."

    def __init__(self):
        self.x = 1


@pytest.mark.parametrize("inside", [Foreign(), functools.partial(os.system, "echo"), eval])
def test_load_refuses_foreign_types_and_functions(inside):
    from sklearn.preprocessing import FunctionTransformer

    content = dump(FunctionTransformer(kw_args={"inside": inside}))
    with pytest.raises(ContinualError, match="not trusted") as refused:
        load(content, sha256(content))
    assert refused.value.code == 5


def test_strange_rows_are_predicted(model):
    rows = world(40, seed=3)
    strange = rows.assign(
        a=np.inf,
        b=np.nan,
        c=pd.Series(["never seen"] * 40, dtype="str"),
        words=pd.Series([None, "", "!!!", "über 日本"] * 10, dtype="str"),
    )
    said = predict(model, strange, DATA)
    assert np.isfinite(said.proba).all() and np.allclose(said.proba.sum(axis=1), 1)
    missing = predict(model, strange.assign(c=pd.Series([None] * 40, dtype="str"), a=np.nan), DATA)
    assert np.isfinite(missing.proba).all()


def test_boosting_takes_an_unseen_category_for_a_missing_one():
    model, rows = learned(), world(60, seed=4)
    unseen = predict(model, rows.assign(c=pd.Series(["never seen"] * 60, dtype="str")), DATA)
    missing = predict(model, rows.assign(c=pd.Series([None] * 60, dtype="str")), DATA)
    assert np.array_equal(unseen.proba, missing.proba)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("column", ["a", "c", "words"])
def test_a_column_without_any_value_can_be_trained_on(name, column):
    rows = world()
    empty = np.nan if column == "a" else pd.Series([None] * len(rows), dtype="str")
    model = learned(name, rows.assign(**{column: empty}))
    assert np.isfinite(predict(model, rows, DATA).proba).all()
    assert load(model.content, model.hash) == model


@pytest.mark.parametrize("name", MODELS)
def test_hundreds_of_categories(name):
    rows = world(3000)
    many = pd.Series(np.random.default_rng(0).integers(0, 700, len(rows)).astype(str), dtype="str")
    model = learned(name, rows.assign(c=many))
    assert predict(model, rows.assign(c=many), DATA).proba.shape == (3000, 2)
    encoder = model.pipeline.named_steps["columns"].named_transformers_["categorical"]
    assert len(encoder.categories_[0]) - len(encoder.infrequent_categories_[0]) < CATEGORIES


@pytest.mark.parametrize("name", MODELS)
def test_three_classes_and_regression(name):
    rows = world(classes=("a", "b", "c"))
    said = predict(learned(name, rows), rows, DATA)
    assert said.classes == ("a", "b", "c") and said.proba.shape == (300, 3)
    assert said.score(DATA).dtype == "str" and set(said.score(DATA)) <= {"a", "b", "c"}
    data = DATA.model_copy(update={"task": "regression"})
    rows = world(task="regression")
    model = learned(name, rows, data)
    said = predict(model, rows, data)
    assert model.classes == () and said.proba is None and said.score(data).dtype == "float64"
    assert load(model.content, model.hash) == model
    assert np.corrcoef(said.answer, rows["label"])[0, 1] > 0.4


def test_score_is_the_chance_of_the_positive_class(model):
    rows = world(50, seed=5)
    said = predict(model, rows, DATA)
    assert np.array_equal(said.score(DATA), said.proba[:, 1])
    assert np.array_equal(said.score(DATA.model_copy(update={"positive": "no"})), said.proba[:, 0])
    with pytest.raises(ContinualError, match="maybe"):
        said.score(DATA.model_copy(update={"positive": "maybe"}))


def test_training_that_teaches_nothing_is_named():
    rows = world()
    for bad, words in (
        (rows[rows["label"] == "yes"], "'yes'"),
        (rows.head(0), "0 labelled rows"),
        (rows.head(5), "5 labelled rows"),
        (rows.assign(label=pd.Series([None] * 300, dtype="str")), "0 labelled rows"),
    ):
        with pytest.raises(ContinualError, match=words):
            learned(rows=bad)
    with pytest.raises(ContinualError, match="data.positive"):
        learned(data=DATA.model_copy(update={"positive": "YES"}))


def test_rows_without_a_label_teach_nothing():
    rows = world()
    some = rows.assign(label=rows["label"].where(np.arange(300) % 2 == 0))
    assert learned(rows=some) == learned(rows=rows[::2])


def test_columns_that_are_gone_are_named(model):
    with pytest.raises(ContinualError, match="no column 'b'"):
        predict(model, world().drop(columns="b"), DATA)
    with pytest.raises(ContinualError, match="'words'"):
        predict(model, world(), DATA.model_copy(update={"text": ()}))


def test_no_rows_no_predictions(model):
    said = predict(model, world().head(0), DATA)
    assert said.answer.shape == (0,) and said.proba.shape == (0, 2) and len(said.score(DATA)) == 0


def test_a_model_that_predicts_nothing_is_refused(model):
    class Broken:
        classes_, feature_names_in_ = model.pipeline.classes_, model.pipeline.feature_names_in_

        def predict_proba(self, table):
            return np.full((len(table), 2), np.nan)

    with pytest.raises(ContinualError) as refused:
        predict(Model(Broken(), b"", "0" * 64), world(20), DATA)
    assert refused.value.code == 5


BY_NAME = {name: learned(name) for name in MODELS}


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(30)), st.sampled_from(MODELS))
def test_a_prediction_depends_on_its_row_alone(order, name):
    rows = world(30, seed=6)
    said = predict(BY_NAME[name], rows, DATA).proba
    assert np.allclose(
        predict(BY_NAME[name], rows.iloc[order], DATA).proba, said[order], rtol=0, atol=1e-12
    )


TEXT = st.one_of(st.none(), st.text(max_size=12))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(width=64), TEXT, TEXT), min_size=1, max_size=8),
    st.sampled_from(MODELS),
)
def test_any_values_are_predicted(values, name):
    a, c, words = zip(*values)
    rows = pd.DataFrame(
        {"a": a, "b": a, "c": pd.Series(c, dtype="str"), "words": pd.Series(words, dtype="str")}
    )
    assert not features(rows, DATA)["words"].isna().any()
    said = predict(BY_NAME[name], rows, DATA)
    assert np.isfinite(said.proba).all() and set(said.answer) <= {"no", "yes"}
