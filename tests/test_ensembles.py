"Ensembles: what is chosen, what is kept, and what a refit trains again."

import numpy as np
import pandas as pd
import pytest
from test_models import DATA, world

from continual_nb.core.calibration import recalibrated
from continual_nb.core.ensembles import KEPT, WeightedClassifier, _losses, best_subset
from continual_nb.core.files import ContinualError
from continual_nb.core.metrics import CLIP, losses
from continual_nb.core.models import (
    Model,
    Predictions,
    chosen_of,
    entrants,
    fit_named,
    load,
    predict,
)
from continual_nb.core.params import NamedCode, Train
from continual_nb.training.train import train

TASKS = {
    "two classes": {"task": "classification", "classes": ("no", "yes")},
    "three classes": {"task": "classification", "classes": ("a", "b", "c")},
    "numbers": {"task": "regression"},
}


def numbers(n, seed=0, wave=False):
    "A table of two numbers; a line gives the label, or a wave that no line can follow."
    draw = np.random.default_rng(seed)
    x = draw.uniform(-3, 3, (n, 2))
    signal = 3 * np.sin(3 * x[:, 0]) if wave else 1.5 * x[:, 0]
    label = np.where(signal + draw.logistic(size=n) > 0, "yes", "no")
    time = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", unit="us")
    return pd.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "label": pd.Series(label, dtype="str"), "event_time": time}
    )


PLAIN = DATA.model_copy(update={"categorical": (), "text": (), "slices": ()})


def trained(rows, data=PLAIN, /, **args):
    settings = Train(models=[NamedCode(name="ensemble", args=args)])
    return fit_named(data, settings, settings.models[0], rows)


@pytest.mark.parametrize("kind", TASKS)
def test_the_answer_is_the_mean_of_the_members_that_were_chosen(kind):
    data = DATA.model_copy(update={"task": TASKS[kind]["task"]})
    rows = world(400, data=data, **TASKS[kind])
    settings = Train(models=["ensemble"], iterations=15)
    made = fit_named(data, settings, settings.models[0], rows)
    alone = [
        fit_named(data, settings, member, rows.sort_values("event_time", kind="stable"))
        for member in entrants(settings.models[0])
        if member.title in made.chosen
    ]
    assert len(alone) > 1
    said = [predict(model, rows, data) for model in alone]
    mean = predict(load(made.content, made.hash), rows, data)
    if data.task == "regression":
        assert np.allclose(mean.answer, np.mean([s.answer for s in said], axis=0))
    else:
        assert np.allclose(mean.proba, np.mean([s.proba for s in said], axis=0))
    corrected = recalibrated(made, rows, data)
    assert len(predict(load(corrected.content, corrected.hash), rows, data).answer) == len(rows)


def test_order_of_the_rows_changes_no_byte():
    rows = numbers(500)
    shuffled = rows.sample(frac=1, random_state=3)
    assert trained(rows).content == trained(shuffled).content


def test_trees_alone_where_no_line_can_follow():
    assert "linear" not in trained(numbers(4000, wave=True)).chosen


def test_the_first_two_hold_where_rows_are_too_few_to_compare():
    found = trained(numbers(100))  # 25 rows are held out
    assert found.chosen == ("linear", "small trees") and found.inner == {}


def test_a_subset_that_is_better_by_chance_is_not_chosen():
    "Of equal members one is taken for better in at most one of three worlds; of seven in a row, the smallest always wins."
    draw = np.random.default_rng(5)
    changed = 0
    for _ in range(300):
        shared = draw.normal(size=200)
        losses = {(name,): shared + draw.normal(0, 0.5, 200) for name in "abc"}
        changed += best_subset(losses, ("a",)) != ("a",)
    assert 0.1 < changed / 300 < 0.35


def test_a_member_that_is_better_is_found():
    draw = np.random.default_rng(6)
    losses = {("a",): draw.normal(1, 0.3, 400), ("b",): draw.normal(0.9, 0.3, 400)}
    assert best_subset(losses, ("a",)) == ("b",)


def test_training_again_without_a_choice_gives_the_same_model():
    settings, seen = Train(models=["ensemble"]), set()
    for rows in (numbers(100), numbers(4000, wave=True)):
        made = fit_named(PLAIN, settings, settings.models[0], rows)
        kept = chosen_of(settings.models[0], made.chosen)
        again = fit_named(PLAIN, settings, kept, rows)
        assert again.hash == made.hash and again.chosen == made.chosen
        assert kept.title == "ensemble"
        seen.add(made.chosen)
    assert len(seen) == 2


def test_what_holds_at_first_bounds_what_a_choice_can_cost():
    settings, rows = Train(models=["ensemble"]), numbers(4000, wave=True)
    made = fit_named(PLAIN, settings, settings.models[0], rows)
    assert "linear" not in made.chosen and made.pipeline.weights["linear"] == KEPT / 2
    later = numbers(2000, seed=1)  # a line, all at once
    lost = lambda one: losses(PLAIN, later["label"], predict(one, later, PLAIN))
    alone = {n: lost(Model.of(m)) for n, m in made.pipeline.members.items()}
    for name in ("linear", "small trees"):
        assert (lost(made) - alone[name]).max() <= np.log(2 / KEPT) + 1e-9
    shares = {n: w for n, w in made.pipeline.weights.items() if n in made.chosen}
    whole = WeightedClassifier(
        {n: made.pipeline.members[n] for n in made.chosen},
        dict.fromkeys(made.chosen, 1 / len(made.chosen)),
    )
    assert sum(shares.values()) >= 1 - KEPT
    assert (lost(made) - lost(Model.of(whole))).max() <= -np.log(1 - KEPT) + 1e-9
    assert (lost(made) - lost(Model.of(whole))).mean() < 0, "a world that is unlike those before"


def test_a_choice_that_names_no_member_is_refused():
    named = NamedCode(name="ensemble", args={"chosen": ["lines"]})
    with pytest.raises(ContinualError, match="no member 'lines'"):
        fit_named(PLAIN, Train(models=[named]), named, numbers(100))


def test_the_card_says_what_was_chosen_and_by_which_losses():
    rows = numbers(600).assign(window="2024-01", event_id=lambda d: d.index.astype(str))
    training, models = train(PLAIN, Train(models=["ensemble"]), {"all": rows})
    card = training.challengers[0]
    assert card.chosen == models[card.hash].chosen and len(card.inner) == 7
    assert " + ".join(card.chosen) in training.section().details[0].rows[0][2]


def test_members_are_compared_by_the_losses_of_the_loop():
    draw = np.random.default_rng(2)
    label, said = draw.choice(["no", "yes"], 50), draw.dirichlet([1, 1], 50)
    said[0] = (1.0, 0.0) if label[0] == "yes" else (0.0, 1.0)
    told = Predictions(np.array(["no", "yes"])[said.argmax(axis=1)], said, ("no", "yes"))
    mine = _losses(said, np.array(["no", "yes"]), label)
    assert np.allclose(mine, losses(PLAIN, pd.Series(label, dtype="str"), told), atol=2 * CLIP)
    number = PLAIN.model_copy(update={"task": "regression"})
    far, known = draw.normal(size=50), pd.Series(draw.normal(size=50))
    apart = losses(number, known, Predictions(far, None, ()))
    assert np.allclose(_losses(far, None, known.to_numpy()), apart)


def test_weights_reach_the_members():
    rows = numbers(600)
    late = rows.assign(sample_weight=np.where(rows["label"] == "yes", 9.0, 1.0))
    plain, weighed = trained(rows), trained(late)
    share = lambda model: predict(model, rows, PLAIN).proba[:, 1].mean()
    assert share(weighed) > share(plain) + 0.1


def test_a_column_that_was_empty_until_lately_stops_nothing():
    rows = numbers(600)
    rows.loc[: len(rows) * 0.8, "b"] = np.nan
    assert np.isfinite(predict(trained(rows), rows, PLAIN).proba).all()


def test_a_member_of_others_is_asked_behind_the_same_door():
    found = trained(numbers(400), of=["sklearn.ensemble:ExtraTreesClassifier", "linear"])
    assert found.chosen == ("ExtraTreesClassifier", "linear") or len(found.chosen) == 1


@pytest.mark.parametrize(
    "args, word",
    [
        ({"of": ["linear", "bosting"]}, "boosting"),
        ({"of": []}, "members"),
        ({"of": ["linear", "linear"]}, "label"),
        ({"of": ["ensemble"]}, "member of an ensemble"),
        ({"held_out": 2}, "held_out"),
        ({"held_out": "half"}, "held_out"),
        ({"rows": 0}, "rows"),
        ({"off": 1}, "'of'"),
    ],
)
def test_wrong_arguments_are_named(args, word):
    with pytest.raises(ContinualError) as error:
        trained(numbers(100), **args)
    assert word in str(error.value)
