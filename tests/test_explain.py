"Why two models answer differently: identities, what was planted, one event and what if, and the real command."

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_nb.core.files import ContinualError
from continual_nb.core.models import fit_named
from continual_nb.core.params import Data, NamedCode, Train
from continual_nb.evaluation.explain import (
    WORST,
    columns_that_tell,
    effect,
    explain_models,
    explain_event,
    column_importance,
)
from continual_nb.loop.explained import changes_in

SMALL = Train(iterations=30)
COLUMNS = dict(source="-", time="t", label="y", numeric=("price", "age"), categorical=("shop",))
TASKS = {
    "two classes": Data(**COLUMNS, positive="yes"),
    "three classes": Data(**COLUMNS),
    "numbers": Data(**COLUMNS, task="regression"),
}


def world(task: str, n: int = 1200, seed: int = 4) -> pd.DataFrame:
    "In the second half the shop matters too; gaps in every column."
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(n)],
            "event_time": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
            "price": rng.normal(30, 8, n),
            "age": rng.normal(40, 10, n),
            "shop": rng.choice(["north", "south"], n),
            "sample_weight": 1.0,
        }
    )
    late = (np.arange(n) >= n // 2) & (frame["shop"] == "south")
    pull = (frame["price"] - 30) / 8 + 3.0 * late + rng.logistic(size=n) / 2
    cut = {"two classes": [1.0], "three classes": [0.0, 1.5]}.get(task)
    names = ["no", "yes"] if task == "two classes" else ["low", "middle", "high"]
    frame["label"] = pull if cut is None else np.array(names)[np.digitize(pull, cut)]
    for name in ("price", "age", "shop"):
        frame.loc[rng.choice(n, n // 20, replace=False), name] = None
    return frame


@pytest.fixture(scope="module", params=TASKS)
def pair(request):
    data, rows = TASKS[request.param], world(request.param)
    fitted = [
        fit_named(data, SMALL, NamedCode(name="boosting"), rows.iloc[part])
        for part in (slice(0, 500), slice(700, 1000))
    ]
    return data, rows.iloc[1000:].reset_index(drop=True), *fitted


def test_the_column_whose_meaning_changed_is_named_first(pair):
    data, rows, old, new = pair
    found = explain_models(data, rows, old, new)
    assert found.importances[0].column == "shop" and found.importances[0].low > 0
    assert "The new model rests more on shop" in found.in_words
    assert len(found.flips) == min(found.flipped, WORST) and found.mended > found.flipped
    more = [flip.more_loss for flip in found.flips]
    assert more == sorted(more, reverse=True) and all(loss > 0 for loss in more)
    shown = found.section()
    assert len(shown.pictures) == 2 and len(shown.details) == 2
    assert explain_models(data, rows, old, new) == found, "the same every time"


def test_a_model_is_explained_against_itself_by_nothing(pair):
    data, rows, old, _ = pair
    found = explain_models(data, rows, old, old)
    assert not found.flipped and not found.mended and not any(o.differs for o in found.importances)
    assert all(o.difference == o.low == o.high == 0 for o in found.importances)
    assert all(e.champion == e.challenger for e in found.effects)
    assert "No column is proven to matter more" in found.in_words


def test_an_effect_is_the_mean_answer_with_the_column_set_by_hand(pair):
    from continual_nb.core.models import predict
    from continual_nb.evaluation.explain import class_shown, one_number

    data, rows, old, new = pair
    shown = class_shown(data, rows, new.classes)
    one = effect(data, rows, old, new, "price", shown)
    by_hand = one_number(predict(old, rows.assign(price=one.at[2]), data), shown).mean()
    assert one.champion[2] == pytest.approx(by_hand, abs=1e-8)
    assert one.low[2] < one.challenger[2] - one.champion[2] < one.high[2]


def test_a_column_that_a_model_does_not_use_costs_nothing(pair):
    data, rows, old, new = pair
    part = {name: getattr(data, name) for name in COLUMNS if name not in ("numeric", "categorical")}
    without = Data(**part, task=data.task, positive=data.positive, numeric=("price", "age"))
    blind = fit_named(without, SMALL, NamedCode(name="boosting"), world_of(rows))
    found = column_importance(data, rows, blind, new, "shop")
    assert found.champion == found.champion_low == found.champion_high == 0 and found.low > 0


def world_of(rows: pd.DataFrame) -> pd.DataFrame:
    "The same rows as training rows."
    return rows.assign(sample_weight=1.0)


def test_what_if_is_the_answer_to_the_changed_row(pair):
    from continual_nb.core.models import predict
    from continual_nb.evaluation.explain import class_shown, one_number

    data, rows, old, new = pair
    event = rows["event_id"].iloc[7]
    asked = explain_event(data, rows, old, new, event, {"shop": "south", "price": "41"})
    row = rows.iloc[[7]].assign(shop="south", price=41.0)
    shown = class_shown(data, rows, new.classes)
    by_hand = [one_number(predict(m, row, data), shown)[0] for m in (old, new)]
    assert asked.changed == pytest.approx(by_hand, abs=1e-8)
    same = explain_event(data, rows, old, new, event)
    assert same.changed is None and same.answers == asked.answers
    assert {c for c, *_ in same.columns} == set(data.features)
    assert "With shop south, price 41" in asked.section().lead


@given(st.integers(0, 199), st.integers(1, 200))
def test_the_columns_that_tell_come_first(which, most):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(300, 200))).set_axis([f"x{k}" for k in range(200)], axis=1)
    apart = (rows[f"x{which}"] > 0).to_numpy("float64")
    found = columns_that_tell(rows, tuple(rows), apart, most)
    assert len(found) == most and (most == 200 or found[0] == f"x{which}")


@pytest.mark.parametrize(
    ("event", "changes", "words"),
    [
        ("nobody", {}, "no evaluation row has the id 'nobody'"),
        ("e1000", {"price": "dear"}, "price is a number, and 'dear' is none"),
        ("e1000", {"prise": "3"}, "there is no column 'prise'"),
    ],
)
def test_what_cannot_be_asked_is_named(pair, event, changes, words):
    data, rows, old, new = pair
    with pytest.raises(ContinualError, match=words) as caught:
        explain_event(data, rows, old, new, event, changes)
    assert caught.value.remedy


def test_words_of_a_change_are_read():
    assert changes_in(["a=1=2", "b="], ["a", "b"]) == {"a": "1=2", "b": ""}
    with pytest.raises(ContinualError, match="says no value"):
        changes_in(["a"], ["a"])
    with pytest.raises(ContinualError, match="no feature is called 'prise'") as caught:
        changes_in(["prise=1"], ["age", "price"])
    assert "'price'" in caught.value.remedy


def test_page_and_command_say_why_the_new_model_differs(twice):
    found = json.loads(twice.path("data/work/evaluate/explanation.json").read_text())
    said = twice.continual("explain")
    assert f"Of {found['rows']:,} events" in said.out and "present model" in said.out
    assert "note" not in [one["column"] for one in found["effects"]], "a text has no levels"
    texts = [value for flip in found["flips"] for name, value in flip["moved_by"] if name == "note"]
    assert not any(texts), "texts of events do not stand on the page"
    page = twice.path("data/work/report/report.html").read_text()
    assert "Why the new model answers otherwise" in page
    rows = pd.read_parquet(twice.path("data/work/compose/evaluation.parquet"))
    event = rows["event_id"].iloc[0]
    said = twice.continual("explain", event, "--set", "amount=1.5")
    assert f"Event {event}:" in said.out and "With amount 1.5 it would be" in said.out
    assert (
        "did you mean 'amount'?"
        in twice.continual("explain", event, "--set", "amuont=1", code=1).err
    )
