"Training: one challenger per recipe, named failures, equal bytes one at a time or side by side."

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.models import load
from continual_nb.core.params import Data, Train
from continual_nb.training.cards import Card, Training
from continual_nb.training.train import train

DATA = Data(
    source="x", time="t", label="y", positive="1", numeric=("x",), categorical=("c",), text=("s",)
)
QUICK = Train(iterations=8)


def world(n=600, seed=0):
    draw = np.random.default_rng(seed)
    time = pd.date_range("2024-01-01", "2024-03-31", periods=n, tz="UTC", unit="us")
    x = draw.normal(size=n)
    return pd.DataFrame(
        {
            "event_id": [f"e{i:05d}" for i in range(n)],
            "event_time": time,
            "window": pd.Series(time.strftime("%Y-%m"), dtype="str"),
            "label": pd.Series(np.where(x + draw.normal(size=n) > 0, "1", "0"), dtype="str"),
            "x": x,
            "c": pd.Series(draw.choice(["a", "b", None], n), dtype="str"),
            "s": pd.Series(draw.choice(["late crew", None], n), dtype="str"),
        }
    )


@pytest.fixture(scope="module")
def sets():
    rows = world()
    return {
        "refit_recent": rows[rows["window"] == "2024-03"],
        "refit_all": rows,
        "refit_again": rows.sample(frac=1, random_state=1),
        "one_class": rows[rows["label"] == "0"],
        "tiny": rows.head(3),
        "empty": rows.head(0),
    }


def test_every_recipe_has_a_card_or_a_sentence(sets):
    training, models = train(DATA, QUICK, sets)
    assert training.answer == "trained"
    assert [card.recipe for card in training.challengers] == ["refit_recent", "refit_all"]
    assert list(training.failed) == ["refit_again", "one_class", "tiny", "empty"]
    assert training.failed["refit_again"] == "Same rows as refit_all."
    assert "'0'" in training.failed["one_class"] and "3 labelled rows" in training.failed["tiny"]
    assert list(models) == [card.hash for card in training.challengers]
    assert all(load(model.content, name) == model for name, model in models.items())


def test_the_card_says_what_the_model_saw(sets):
    card = train(DATA, QUICK, sets)[0].challengers[0]
    rows = sets["refit_recent"]
    assert isinstance(card, Card) and card.rows == len(rows) and card.windows == ("2024-03",)
    assert pd.Timestamp(card.trained_until) == rows["event_time"].max()
    assert pd.Timestamp(card.trained_from) == rows["event_time"].min()
    assert card.classes == ("0", "1") and card.model == "boosting" and card.size > 1000


def test_rows_without_a_label_are_not_counted(sets):
    rows = sets["refit_all"]
    late = rows.assign(label=rows["label"].where(rows["window"] < "2024-03"))
    card = train(DATA, QUICK, {"refit_all": late})[0].challengers[0]
    assert card.windows == ("2024-01", "2024-02") and card.rows == int(
        (rows["window"] < "2024-03").sum()
    )


def test_trainings_side_by_side_give_the_same(sets):
    from joblib import parallel_config

    alone, models = train(DATA, QUICK, sets)
    with parallel_config("threading"):
        beside, same = train(DATA, QUICK, sets, jobs=2)
    assert beside == alone and {k: m.content for k, m in same.items()} == {
        k: m.content for k, m in models.items()
    }


def test_nothing_to_do_is_an_answer(sets):
    training, models = train(DATA, QUICK, sets, skip="The proposal is to continue.")
    assert (training.answer, training.reason, models) == (
        "skipped",
        "The proposal is to continue.",
        {},
    )
    assert train(DATA, QUICK, {})[0].answer == "skipped"
    only = train(DATA, QUICK, {"tiny": sets["tiny"]})[0]
    assert only.answer == "skipped" and "tiny" in only.reason and "3 labelled rows" in only.reason


def test_two_recipes_that_give_one_model_are_one_challenger():
    rows = world(12).assign(x=0.0, c=None, s=None)
    other = rows.assign(event_id=[f"f{i}" for i in range(12)])
    training, models = train(DATA, QUICK, {"one": rows, "two": other})
    assert len(models) == 1 and training.failed == {"two": "Same model as one."}


def test_the_file_reads_back(sets, tmp_path):
    training, _ = train(DATA, QUICK, sets)
    training.write(tmp_path)
    assert Training.read(tmp_path) == training
    assert "refit_again" in training.section().details[0].to_html()


def rows_of(draw, n: int, start: str, **columns) -> pd.DataFrame:
    when = pd.date_range(start, periods=n, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "event_id": [f"{start}-{k}" for k in range(n)],
            "event_time": when,
            "label": draw.choice(["0", "1"], n),
            "label_time": when,
            **columns,
        }
    )


def test_coarse_features_repeat_by_nature_and_replayed_rows_are_a_leak():
    from continual_nb.composition.compose import leak_checks
    from continual_nb.core.params import Data

    draw, late = np.random.default_rng(3), pd.Timestamp("2025-01-01", tz="UTC")
    repeats = lambda train, test, data: {
        check.name: check.verdict for check in leak_checks({"all": train}, test, data, late)
    }["all: rows repeat"]
    coarse = Data(source="s", time="t", label="y", categorical=("city", "tier"))
    cities = lambda n: {
        "city": draw.choice(list("ABCD"), n),
        "tier": draw.choice(["free", "pro"], n),
    }
    assert (
        repeats(
            rows_of(draw, 400, "2024-01-01", **cities(400)),
            rows_of(draw, 200, "2024-03-01", **cities(200)),
            coarse,
        )
        == "pass"
    )
    fine = Data(source="s", time="t", label="y", numeric=("a",))
    train = rows_of(draw, 400, "2024-01-01", a=draw.normal(size=400))
    assert repeats(train, rows_of(draw, 200, "2024-03-01", a=draw.normal(size=200)), fine) == "pass"
    assert (
        repeats(
            train,
            rows_of(draw, 200, "2024-03-01", a=np.r_[train["a"][:120], draw.normal(size=80)]),
            fine,
        )
        == "fail"
    )
