"The refit after the gates: what passed learns from the evaluation rows too, unless it becomes another model."

import numpy as np
import pandas as pd
import pytest

from continual_nb.composition.compose import newest_cohort
from continual_nb.core.calibration import RECALIBRATE
from continual_nb.core.models import Predictions, estimator, fit
from continual_nb.core.params import Compose, Data, Train
from continual_nb.decisions.hindsight import refits, refits_in_words
from continual_nb.evaluation.result import Evaluation
from continual_nb.training.refit import _fold, Refit, distance, refit

DATA = Data(source="x", time="t", label="y", numeric=("x",))
LINEAR = Train(models=["linear"])


def world(n, slope, start, seed):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    time = pd.date_range(start, periods=n, freq="h", tz="UTC", unit="us")
    hit = draw.random(n) < 1 / (1 + np.exp(-slope * x))
    return pd.DataFrame(
        {
            "event_id": [f"{start}{i}" for i in range(n)],
            "event_time": time,
            "window": time.strftime("%Y-%m").astype("str"),
            "x": x,
            "label": pd.Series(np.where(hit, "1", "0"), dtype="str"),
        }
    )


def tried(seed, slope, recipe="refit_all", n=400):
    before, new = world(600, 1.5, "2024-01-01", seed), world(n, slope, "2024-03-01", seed + 100)
    twin = fit(estimator(DATA, LINEAR), before, DATA)
    return refit(DATA, LINEAR, recipe, twin, before, new)


def test_a_refit_goes_in_where_the_world_stands_still_and_where_it_has_turned_for_the_better():
    still = [tried(seed, 1.5)[0] for seed in range(10)]
    turned = [tried(seed, -1.5)[0] for seed in range(10)]
    assert sum(found.used for found in still) >= 8 and all(found.used for found in turned)
    assert all(f.placed == f.hash != f.twin for f in still if f.used)
    assert all(f.apart > f.floor and f.gain > 0 and "less per event" in f.sentence for f in turned)
    assert {found.rows for found in still} == {1000}


def test_another_model_that_is_not_better_on_rows_that_it_has_not_learned_from_stays_out():
    for seed in range(5):
        before, new = world(600, 1.5, "2024-01-01", seed), world(400, 1.5, "2024-03-01", seed + 50)
        turned = new["label"].map({"0": "1", "1": "0"})
        new["label"] = new["label"].where(_fold(new) == 0, turned)  # all but the rows of the check
        twin = fit(estimator(DATA, LINEAR), before, DATA)
        found = refit(DATA, LINEAR, "refit_all", twin, before, new)[0]
        assert not found.used and found.placed == found.twin and "not its refit" in found.sentence
        assert found.apart > found.floor and found.gain < 0


def test_a_refit_is_the_same_every_time_and_learns_from_all_rows():
    (one, model), (two, _) = tried(3, 1.5), tried(3, 1.5)
    assert one == two and one.trained_until == "2024-03-17T15:00:00+00:00"
    every = pd.concat([world(600, 1.5, "2024-01-01", 3), world(400, 1.5, "2024-03-01", 103)])
    assert model.hash == fit(estimator(DATA, LINEAR), every.reset_index(drop=True), DATA).hash


def test_without_rows_for_the_check_the_evaluated_model_goes_in():
    few, model = tried(1, 1.5, n=8)
    assert model is None and few.placed == few.twin and "too few" in few.sentence
    corrected, model = tried(1, 1.5, recipe=RECALIBRATE)
    assert model is None and not corrected.used


def test_few_rows_are_checked_on_every_fold():
    few, many = tried(1, 1.5, n=40)[0], tried(1, 1.5, n=400)[0]
    assert few.checked == 40 and few.rows == 640
    assert many.checked < 150 and many.rows == 1000


def test_the_distance_of_answers_counts_classes_that_one_model_does_not_know():
    a = Predictions(np.array(["x"]), np.array([[0.75, 0.25]]), ("x", "y"))
    b = Predictions(np.array(["x"]), np.array([[0.5, 0.5]]), ("x", "z"))
    assert distance(a, b) == pytest.approx([0.5]) and distance(a, a) == [0]
    number = lambda value: Predictions(np.array([value]), None, ())
    assert distance(number(1.0), number(3.5)) == [2.5]


def test_what_a_model_in_place_has_learned_from_decides_nothing():
    rows = world(600, 1.0, "2024-01-01", 0)
    until = rows["event_time"].max() + pd.Timedelta("1h")
    free = newest_cohort(rows, Compose(), until)
    middle = free["event_time"].iloc[20]
    assert newest_cohort(rows, Compose(), until, rows["event_time"].min()).equals(free)
    assert newest_cohort(rows, Compose(min_rows=20), until, middle)["event_time"].min() > middle
    assert newest_cohort(rows, Compose(), until, free["event_time"].iloc[-1]).empty


def test_hindsight_tells_what_refits_brought():
    turn = lambda number, window, champion, **more: [
        {"kind": "seen", "iteration": number},
        {"kind": "proposal", "iteration": number},
        {"kind": "evaluation", "iteration": number, "cohort": window, "rows": 400, **more},
        {"kind": "decision", "iteration": number, "window": window}
        | {"previous": champion, "champion": "r"},
    ]
    told = {"model": "r", "twin": "t", "used": True}
    ghost = lambda gain: {"ghosts": [{"challenger": "t", "gain": gain, "se": 0.004}]}
    first = turn(1, "a", None, refit=told)
    ledger = (*first, *turn(2, "b", "r", **ghost(-0.02)), *turn(3, "c", "r", **ghost(-0.01)))
    (found,) = refits(tuple(ledger))
    assert (found.gain, found.rows) == (pytest.approx(0.015), 800)
    assert "saved 0.0150 per event" in refits_in_words((found,))
    assert refits(tuple(first)) == () and refits_in_words(()) == ""
    assert refits((*turn(1, "a", None, refit={**told, "used": False}), *ledger[4:])) == ()


def test_an_evaluation_names_what_would_go_in():
    about = dict(answer="promote", candidate="t", recipe="refit_all", reason="It is better.")
    assert Evaluation(**about).placed == "t"
    again = Refit(twin="t", recipe="refit_all", used=True, hash="r", apart=0.1, floor=0.2)
    found = Evaluation(**about, refit=again)
    assert found.placed == "r" and found.judged_as("r") == "t" and found.judged_as("g") == "g"
    assert Evaluation(answer="keep", reason="None is better.").judged_as("c") == "c"
