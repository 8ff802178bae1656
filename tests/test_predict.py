"""The deployed model comes along, production's answers are compared with it, and the champion serves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from test_init import continual, events

from continual_nb.core.prediction_log import Logged, logged
from continual_nb.core.files import ContinualError, sha256
from continual_nb.core.models import Model, estimator, fit, load, predict
from continual_nb.core.params import Data, Train
from continual_nb.core.serve import serve
from continual_nb.monitoring.detectors.skew import skew

DATA = Data(
    source="x", time="when", label="y", positive="1", numeric=("a", "b"), categorical=("city",)
)


def deployed(frame, label="y"):
    columns = ColumnTransformer(
        [("n", "passthrough", ["a", "b"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame[["a", "b", "city"]], frame[label])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project with a deployed model and production's log, one window turned."
    folder = tmp_path_factory.mktemp("predict")
    frame = events(900)
    model = deployed(frame[:300])
    (folder / "model.skops").write_bytes(skops.io.dumps(model))
    frame["score"] = model.predict_proba(frame[["a", "b", "city"]])[:, 1]
    frame.loc[frame["when"] >= "2021-03-10", "score"] *= (
        0.5  # production is fed something else from here on
    )
    frame.to_parquet(folder / "x.parquet")
    continual(
        folder,
        "init",
        "p",
        "--data",
        "x.parquet",
        "--time",
        "when",
        "--label",
        "y",
        "--champion",
        "model.skops",
        "--score",
        "score",
    )
    continual(folder / "p", "run", "--until", "2021-03")
    return folder


def test_the_deployed_model_is_the_first_champion_by_the_hash_of_its_file(project):
    said = json.loads(continual(project / "p", "predict", project / "x.parquet", "--json"))
    assert (
        said["champion"] == sha256(project / "model.skops")
        and said["rows"] == 900
        and said["bad_rows"] == 0
    )
    monitoring = json.loads((project / "p/data/work/monitor/monitoring.json").read_text())
    assert (
        monitoring["answer"] == "watched"
        and monitoring["performance"]["loss"] is not None
        and monitoring["accepted"]["rows"] > 100
    )


def test_a_difference_between_production_and_champion_is_a_finding_with_its_size(project):
    monitoring = json.loads((project / "p/data/work/monitor/monitoring.json").read_text())
    found = next(f for f in monitoring["findings"] if f["rule"] == "training-serving skew")
    assert (
        found["severity"] == "warning"
        and 0.5 < found["share"] < 0.9
        and "in the mean" in found["sentence"]
    )


def test_predict_names_bad_rows_and_never_crashes(project):
    frame = events(50, seed=3).drop(columns="y").astype({"a": object})
    frame.loc[3, "a"], frame.loc[4, "a"], frame.loc[7, "city"] = "oops", np.inf, "Paris"
    frame.loc[9, ["a", "b", "city"]] = None
    frame.to_csv(project / "new.csv", index=False)
    said = continual(project / "p", "predict", project / "new.csv", "--out", project / "out.csv")
    assert (
        "'oops' in row 4" in said
        and "infinite" in said
        and "'Paris' in row 8" in said
        and "no value at all" in said
    )
    out = pd.read_csv(project / "out.csv")
    fine = out["problem"].isna()
    assert (
        len(out) == 50
        and (~fine).sum() == 3
        and np.allclose((out["probability of 0"] + out["probability of 1"])[fine], 1)
    )
    frame.rename(columns={"city": "City"}).to_csv(project / "new.csv", index=False)
    assert "'City'" in continual(project / "p", "predict", project / "new.csv", code=4)
    assert "no file matches" in continual(project / "p", "predict", project / "none.csv", code=1)


def test_export_stands_on_its_own_and_checks_its_bytes(project):
    frame = events(40, seed=5).drop(columns="y")
    frame.to_csv(project / "rows.csv", index=False)
    continual(project / "p", "export", project / "served")
    card, schema = (
        json.loads((project / "served" / name).read_text()) for name in ("card.json", "schema.json")
    )
    assert (
        card["hash"] == sha256(project / "served/champion.skops")
        and schema["required"] == ["a", "b", "city"]
        and card["classes"] == ["0", "1"]
    )
    run = lambda: subprocess.run(
        [sys.executable, project / "served/example.py", project / "rows.csv"],
        capture_output=True,
        text=True,
    )
    assert len(run().stdout.strip().splitlines()) == 41  # a heading and forty answers
    assert "not empty" in continual(project / "p", "export", project / "served", code=1)
    content = bytearray((project / "served/champion.skops").read_bytes())
    content[100] ^= 1
    (project / "served/champion.skops").write_bytes(content)
    assert "not the champion's bytes" in run().stderr


def test_a_champion_whose_bytes_changed_is_not_loaded(project):
    path = next((project / "p/data/state/out/champions").glob("*.skops"))
    mode, content = path.stat().st_mode, path.read_bytes()
    try:
        path.chmod(0o644)
        path.unlink()
        path.write_bytes(content[:-1] + b"x")
        assert "does not have the bytes" in continual(
            project / "p", "predict", project / "x.parquet", code=5
        )
    finally:
        path.write_bytes(content)
        path.chmod(mode)


def test_what_is_no_safe_model_is_refused_and_leaves_nothing_behind(tmp_path):
    frame = events(300)
    frame.to_parquet(tmp_path / "x.parquet")
    words = ("init", "p", "--data", "x.parquet", "--time", "when", "--label", "y", "--champion")
    (tmp_path / "m.pkl").write_bytes(b"x")
    (tmp_path / "renamed.skops").write_bytes(
        skops.io.dumps(deployed(frame.assign(y=frame.y.map({0: "no", 1: "yes"}))))
    )
    (tmp_path / "array.skops").write_bytes(
        skops.io.dumps(LogisticRegression().fit(frame[["a", "b"]].to_numpy(), frame.y))
    )
    (tmp_path / "broken.skops").write_bytes(b"PK broken")
    for name, hint in (
        ("m.pkl", "run code"),
        ("none.skops", "no file"),
        ("renamed.skops", "'yes'"),
        ("array.skops", "names of its columns"),
        ("broken.skops", "cannot be read"),
        ("no_module:f", "no module"),
    ):
        assert (
            hint in continual(tmp_path, *words, name, code=5 if name == "broken.skops" else 1)
            and not (tmp_path / "p").exists()
        )


def test_a_function_is_asked_without_the_label_and_pinned_by_its_file(tmp_path):
    events(400).to_parquet(tmp_path / "x.parquet")
    source = "import numpy as np\ndef answer(frame):\n    assert 'y' not in frame\n    return 1 / (1 + np.exp(-frame['a']))\n"
    (tmp_path / "service.py").write_text(source)
    said = continual(
        tmp_path,
        "init",
        "p",
        "--data",
        "x.parquet",
        "--time",
        "when",
        "--label",
        "y",
        "--champion",
        "service:answer",
    )
    assert (
        "service:answer is asked" in said
        and (tmp_path / "p/deployed/service.py").read_text() == source
    )
    assert "cannot answer new rows" in continual(
        tmp_path / "p", "predict", tmp_path / "x.parquet", code=2
    )
    (tmp_path / "p/deployed/service.py").write_text(source + "# changed\n")
    assert "has changed" in continual(tmp_path / "p", "open", code=5)


def test_bad_values_are_named_and_counted_for_a_model_that_takes_missing_values():
    frame = events(300).assign(label=lambda f: f.y.astype(str))
    model = fit(estimator(DATA, Train(iterations=5)), frame, DATA)
    raw = events(50, seed=3).drop(columns="y").astype({"a": object})
    raw.loc[3, "a"], raw.loc[4, "a"], raw.loc[7, "city"] = "oops", np.inf, "Paris"
    raw.loc[9, ["a", "b", "city"]] = None
    said = serve(model, raw, DATA)
    told = " ".join(said.problems)
    assert (
        "'oops' in row 4" in told
        and "infinite" in told
        and "'Paris' in row 8" in told
        and "no value at all" in told
    )
    assert (
        len(said.table) == 50
        and said.bad == 3
        and np.allclose(said.table["probability of 0"] + said.table["probability of 1"], 1)
    )


# -- the log of production -------------------------------------------------------------------------------
def history(n=2000, right=0.9, seed=1):
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.3, "1", "0")
    said = np.where(rng.random(n) < right, truth, np.where(truth == "1", "0", "1"))
    return pd.DataFrame({"label": truth, "answered": said})


@pytest.mark.parametrize("right", [0.6, 0.9, 0.99])
def test_an_answer_without_a_probability_is_as_sure_as_it_was_right(right):
    log = logged(history(right=right), DATA, {})
    model = load(log.content, sha256(log.content))
    assert (
        isinstance(model.pipeline, Logged) and model.pipeline == log and model.classes == ("0", "1")
    )
    fresh = history(5000, right, seed=2)
    said = predict(model, fresh, DATA)
    for word in ("0", "1"):
        of = (fresh["answered"] == word).to_numpy()
        assert abs(said.proba[of, int(word)].mean() - (fresh["label"][of] == word).mean()) < 0.05


def test_a_score_is_read_as_what_it_is_and_gaps_get_the_base_rate():
    rng = np.random.default_rng(1)
    p = rng.random(500)
    rows = pd.DataFrame(
        {
            "label": np.where(rng.random(500) < p, "1", "0"),
            "scored": p,
            "answered": np.where(p > 0.5, "1", "0"),
        }
    )
    assert np.allclose(logged(rows, DATA, {}).probabilities(rows)[:, 1], p)
    assert np.allclose(logged(rows, DATA, {}).probabilities(rows.drop(columns="answered"))[:, 1], p)
    own = rows.assign(scored=np.maximum(p, 1 - p))
    assert np.allclose(logged(own, DATA, {}).probabilities(own)[:, 1], p)
    gap = logged(rows, DATA, {}).probabilities(
        pd.DataFrame({"answered": [None], "scored": [np.nan]})
    )
    assert abs(gap[0, 1] - (rows.label == "1").mean()) < 0.02
    with pytest.raises(ContinualError, match="no probability"):
        logged(rows.assign(scored=rows.scored * 100), DATA, {})


def test_regression_and_many_classes_are_read_from_the_log():
    number = Data(source="x", time="t", label="y", task="regression", numeric=("a",))
    rows = pd.DataFrame({"label": [1.0, 2.0, 3.0], "answered": [1.5, None, 2.5]})
    assert logged(rows, number, {}).numbers(rows).tolist() == [1.5, 2.0, 2.5]
    many = Data(source="x", time="t", label="y", numeric=("a",))
    rows = pd.DataFrame(
        {"label": ["a", "b", "c"], "answered": ["a", "c", "b"], "scored": [0.7, 0.6, 0.5]}
    )
    said = logged(rows, many, {}).probabilities(rows)
    assert (
        np.allclose(said.sum(axis=1), 1)
        and np.allclose(said.max(axis=1), [0.7, 0.6, 0.5])
        and said.argmax(axis=1).tolist() == [0, 2, 1]
    )


def test_equal_answers_are_no_skew_and_a_later_champion_is_only_noted():
    frame = events(400).assign(label=lambda f: f.y.astype(str))
    model = fit(estimator(DATA, Train(iterations=5)), frame, DATA)
    said = predict(model, frame, DATA)
    same = frame.assign(scored=said.proba[:, 1])
    assert skew(DATA, same, model, said, True) == () and skew(DATA, frame, model, said, True) == ()
    moved = same.assign(scored=same.scored * 0.5)
    assert [
        f.severity
        for f in (*skew(DATA, moved, model, said, True), *skew(DATA, moved, model, said, False))
    ] == ["warning", "note"]
    words = frame.assign(answered=np.where(np.arange(400) < 100, "2", said.answer))
    assert skew(DATA, words, model, said, True)[0].count == 100


def test_serving_an_empty_table_is_an_answer():
    frame = events(200).assign(label=lambda f: f.y.astype(str))
    model = fit(estimator(DATA, Train(iterations=5)), frame, DATA)
    assert serve(model, frame[:0], DATA).table.empty and isinstance(model, Model)
