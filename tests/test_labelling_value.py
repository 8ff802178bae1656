"""Queries with known probabilities, label facts, agreement, labels in doubt."""

import json

import numpy as np
import pandas as pd
import pytest

from continual_nb.composition.label_quality import confident_joint, doubtful_labels, out_of_fold
from continual_nb.composition.labels import (
    FACT,
    agreement,
    cohen_kappa,
    current_labels,
    krippendorff_alpha,
)
from continual_nb.composition.queries import (
    disagreement_score,
    draw_events,
    entropy_score,
    inclusion_probabilities,
    margin_score,
    quota_probabilities,
    weighted_mean,
)
from continual_nb.core.files import ContinualError
from continual_nb.core.models import estimator, fit
from continual_nb.core.params import Data, Train
from continual_nb.loop.labels import label_facts, record_facts
from continual_nb.loop.project import Project


def test_estimates_from_a_draw_by_doubt_are_unbiased_and_narrower_than_uniform_ones():
    rng = np.random.default_rng(5)
    hard = rng.beta(0.5, 3, 1000)
    loss = (rng.random(1000) < hard).astype(float)
    spread = {}
    for name, score in {"uniform": np.ones(1000), "doubt": np.sqrt(hard)}.items():
        chance = inclusion_probabilities(score, 100)
        made = [
            weighted_mean(loss[at], chance[at], 1000)
            for at in (draw_events(chance, rng) for _ in range(2000))
        ]
        means = np.array([one.mean for one in made])
        spread[name] = means.std()
        assert abs(means.mean() - loss.mean()) < 4 * means.std() / np.sqrt(2000)
        assert np.mean([one.low <= loss.mean() <= one.high for one in made]) > 0.92
    assert spread["doubt"] < 0.9 * spread["uniform"]


def test_probabilities_sum_to_the_budget_and_certain_events_are_drawn():
    rng = np.random.default_rng(0)
    score = np.r_[rng.random(95), np.full(5, 1000.0)]
    chance = inclusion_probabilities(score, 20)
    assert chance.sum() == pytest.approx(20) and (chance[-5:] == 1).all() and (chance > 0).all()
    for _ in range(20):
        at = draw_events(chance, rng)
        assert len(at) == len(set(at)) == 20 and set(range(95, 100)) <= set(at)
    assert (inclusion_probabilities(score, 200) == 1).all()
    assert inclusion_probabilities(np.zeros(10), 5).tolist() == [0.5] * 10
    groups = np.repeat(["a", "b", "c"], [80, 15, 5])
    sums = pd.Series(quota_probabilities(groups, 15)).groupby(groups).sum()
    assert sums.round(6).tolist() == [5, 5, 5]


@pytest.mark.parametrize("score", [[-1.0, 1], [np.nan, 1], [np.inf, 1]])
def test_a_score_that_is_no_number_is_named(score):
    with pytest.raises(ContinualError, match="not finite and positive"):
        inclusion_probabilities(np.array(score), 1)


def test_an_estimate_without_probabilities_is_refused():
    for values, chance in (([1.0], [0.5]), ([1.0, 0.0], [0.5, 0.0]), ([1.0, 0.0], [0.5, 1.5])):
        with pytest.raises(ContinualError, match="nothing can be estimated"):
            weighted_mean(np.array(values), np.array(chance), 10)


def test_scores_are_highest_where_a_model_is_unsure_or_models_differ():
    proba = np.array([[0.5, 0.5, 0], [0.9, 0.05, 0.05], [1 / 3, 1 / 3, 1 / 3]])
    assert margin_score(proba).round(2).tolist() == [1, 0.15, 1]
    assert entropy_score(proba).argmax() == 2 and entropy_score(proba)[2] == pytest.approx(1)
    assert disagreement_score(proba, proba[::-1])[1] == 0


def test_agreement_has_the_known_values():
    told = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]  # Krippendorff (2011), section C
    pairs = [(u, int(v)) for line in told for u, v in enumerate(line.split()) if v != "."]
    units, values = map(np.array, zip(*pairs))
    assert krippendorff_alpha(units, values) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units, values, interval=True) == pytest.approx(0.849, abs=5e-4)
    pairs = np.repeat([["y", "y"], ["y", "n"], ["n", "y"], ["n", "n"]], [20, 5, 10, 15], axis=0)
    assert cohen_kappa(*pairs.T) == pytest.approx(0.4)
    assert cohen_kappa(np.array(["a"]), np.array(["a"])) is None
    assert krippendorff_alpha(np.array([1, 2]), np.array(["a", "b"])) is None
    rng = np.random.default_rng(0)
    chance = [
        krippendorff_alpha(np.tile(np.arange(200), 2), rng.choice(["a", "b"], 400))
        for _ in range(50)
    ]
    assert abs(np.mean(chance)) < 0.03


def test_the_last_word_of_the_most_trusted_source_is_the_label():
    rows = [
        ("e1", "late", "rule", "2024-01-05", "weak"),
        ("e1", "fine", "Ana", "2024-01-02", "person"),
        ("e1", "late", "Ben", "2024-01-03", "person"),
        ("e2", "late", "Ana", "2024-01-03", "person"),
        ("e2", "fine", "sensor", "2024-01-01", "system"),
    ]
    facts = pd.DataFrame(rows, columns=FACT)
    assert current_labels(facts)["value"].tolist() == ["late", "fine"]
    found = agreement(facts)
    assert found.overall.events == 1 and found.conflicts == ("e1",)
    with pytest.raises(ContinualError, match="unknown source 'guess'"):
        current_labels(facts.assign(source="guess"))


def test_an_editor_that_saves_an_old_copy_later_loses_nothing(tmp_path):
    (tmp_path / "data/labels").mkdir(parents=True)
    file = tmp_path / "data/labels/001-2024-01.csv"
    project = Project(tmp_path)
    for text in ("e1,late,Ana\ne2,,\n", "e1,,\ne2,fine,Ben\n", "e1,late,Ana\ne2,,\n"):
        file.write_text("event_id,label,by\n" + text)
        record_facts(project)
    facts = label_facts(project)
    assert facts[["event_id", "value", "by"]].to_numpy().tolist() == [
        ["e1", "late", "Ana"],
        ["e2", "fine", "Ben"],
    ]
    path = tmp_path / "data/labels/facts.jsonl"
    path.write_text(path.read_text().replace("late", "fine"))
    with pytest.raises(ContinualError, match="chain is broken"):
        label_facts(project)


def test_planted_noise_is_listed_as_cleanlab_lists_it():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=900), "b": rng.normal(size=900)})
    true = np.digitize(rows["a"] + rows["b"], [-0.8, 0.8]).astype(str)
    wrong = rng.random(900) < 0.1
    other = [rng.choice([c for c in "012" if c != t]) for t in true]
    rows["label"] = np.where(wrong, other, true)
    data = Data(source="-", time="t", label="y", numeric=("a", "b"))
    proba, classes = out_of_fold(
        rows, data, lambda taken: fit(estimator(data, Train(models=["linear"])), taken, data)
    )
    listed = doubtful_labels(rows["label"].to_numpy(), proba, classes)
    assert wrong[listed["row"]].mean() > 0.8 and wrong[listed["row"]].sum() / wrong.sum() > 0.7
    assert confident_joint(rows["label"].astype(int).to_numpy(), proba).sum() == pytest.approx(900)
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return
    theirs = set(np.flatnonzero(find_label_issues(rows["label"].astype(int).to_numpy(), proba)))
    assert len(theirs & set(listed["row"])) > 0.95 * len(theirs | set(listed["row"]))


def test_too_few_rows_of_a_class_are_named():
    rows = pd.DataFrame({"a": np.arange(20.0), "label": ["1"] * 2 + ["0"] * 18})
    data = Data(source="-", time="t", label="y", numeric=("a",))
    with pytest.raises(ContinualError, match="rarest of 2 classes has 2 rows"):
        out_of_fold(rows, data, lambda taken: None)


def test_events_are_drawn_by_doubt_in_a_project_and_answers_are_facts(approved, copy):
    loop = copy(approved)
    said = loop.continual("labels", "--ask", "4", "--strategy", "uniform").out
    path = loop.path("data/labels/001-2024-01.csv")
    asked = pd.read_csv(path, dtype="str", keep_default_na=False)
    drawn = [
        json.loads(line) for line in loop.path("data/labels/draws.jsonl").read_text().splitlines()
    ]
    assert len(drawn) == 4 and set(e["event_id"] for e in drawn) <= set(asked["event_id"]), said
    assert sum(e["probability"] for e in drawn) == pytest.approx(16 / drawn[0]["events"])
    asked.assign(label="1", by="Ana").to_csv(path, index=False)
    assert "by Ana" in loop.continual("labels", "--status").out
    assert len(pd.read_csv(path)) == len(asked)
    listed = loop.continual("labels", "--review", str(loop.path("doubt.csv"))).out
    assert "contradicted" in listed and loop.path("doubt.csv").exists()
