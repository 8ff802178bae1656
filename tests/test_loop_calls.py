"Who is called by the whole loop: each part of the budget is kept, one cause asks once, and harm is told from any matured window."

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from continual_nb.monitoring.budget import PARTS
from continual_nb.monitoring.diagnosis.incidents import harm, tickets
from continual_nb.monitoring.diagnosis.levels import (
    Cohort,
    Level,
    Levels,
    heard,
    risen,
    steady,
    succeeded,
    updated,
)

_spec = importlib.util.spec_from_file_location(
    "loop", Path(__file__).parents[1] / "benchmarks/loop.py"
)
loop = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loop)
BUDGET = {"tolerance": 0.02, "level": PARTS["harm"] / 12, "threshold": 12 / PARTS["risk"]}


def cohort(k: int, level: float, se: float, rows: int = 400, events: int = 400) -> Cohort:
    "A window at a level."
    about = {"window": f"{2000 + k // 12}-{k % 12 + 1:02d}", "rows": rows, "events": events}
    return Cohort(**about, level=level, se=se, df=27, constant=0.69, unfair=0.001)


def years(draw, n: int, tries: int, rise: float = 0.0, at: int = 99, windows: int = 30):
    "Rings of one model: accepted as the best of several on half a window, then watched."
    from scipy.special import ndtri

    first, se = 1.1 / np.sqrt(n / 2), 1.1 / np.sqrt(n)
    lucky = 0.85 + draw.normal(0, first, tries).min()
    lucky += float(ndtri((tries - 0.375) / (tries + 0.25))) * first
    known, rings = Levels(model="m", first=(lucky, first)), []
    for k in range(windows):
        one = cohort(k, 0.85 + rise * (k >= at) + draw.normal(0, se), se)
        ring, known = heard(updated(known, [one]), {one.window}, bool(rings), **BUDGET)
        rings += [(k, ring.rule)] if ring else []
    return rings


@pytest.mark.parametrize("n", [200, 400, 2000])
def test_harm_and_risk_keep_their_share_though_the_best_of_several_was_accepted(n):
    draw = np.random.default_rng(n)
    found = [years(draw, n, tries) for tries in (1, 2, 8) for _ in range(40)]  # 300 years
    over = lambda *rules: sum(rule in rules for rings in found for _, rule in rings) / 300
    assert over("window") <= 1.2 * PARTS["harm"] and over("windows", "constant") <= PARTS["risk"]


@pytest.mark.parametrize(("n", "rise", "most"), [(400, 0.1, 4), (2000, 0.1, 0), (2000, 0.05, 5)])
def test_a_rise_is_called_soon_and_not_again(n, rise, most):
    draw = np.random.default_rng(7)
    found = [years(draw, n, 4, rise, at=12) for _ in range(40)]
    delays = [next((k - 12 for k, _ in rings if k >= 12), 99) for rings in found]
    assert np.median(delays) <= most
    assert np.mean([sum(k >= 12 for k, _ in rings) for rings in found]) <= 1.4


def unequal(draw, spread: float, every: int, rise: float = 0.0, at: int = 99, windows: int = 60):
    "Rings for which a person is called: windows are of unequal difficulty, and models follow each other."
    easy, se = draw.normal(0.8, spread, windows), 0.03
    known, called = Levels(model="0", first=(easy[0], se)), []
    for k in range(1, windows):
        one = cohort(k, easy[k] + rise * (k >= at) + draw.normal(0, se), se)
        ring, known = heard(updated(known, [one]), {one.window}, False, **BUDGET)
        called += [(k, ring.rule)] if ring and ring.calibrated and ring.rule != "constant" else []
        if k % every == 0:
            known = succeeded(known, Level(easy[k] + draw.normal(0, se), se), f"{k}", 1, 400)
    return called


@pytest.mark.parametrize("spread", [0.1, 0.3])
@pytest.mark.parametrize("every", [1, 4])
def test_windows_that_always_differ_call_nobody_however_often_the_model_changes(spread, every):
    draw = np.random.default_rng(int(100 * spread) + every)
    found = [unequal(draw, spread, every) for _ in range(60)]  # 300 years
    assert sum(map(len, found)) / 300 <= PARTS["harm"] + PARTS["risk"]


def test_a_loss_beyond_what_ordinary_windows_differ_by_is_called_though_the_model_is_new():
    draw = np.random.default_rng(5)
    found = [unequal(draw, 0.05, 4, rise=0.4, at=22, windows=24) for _ in range(40)]
    assert sum(any(k == 22 for k, _ in called) for called in found) >= 36


def test_before_six_windows_harm_is_told_and_tried_and_nobody_is_called():
    known = Levels(model="m", first=(0.8, 0.03))
    ring, _ = heard(updated(known, [cohort(0, 1.1, 0.03)]), {"2000-01"}, False, **BUDGET)
    incident = harm(ring, 0.02)
    (told,), _ = tickets([incident], [], set(), "2000-01")
    assert (told.severity, told.grade, told.proven_now) == ("note", "harm", True)
    assert "nobody is called" in told.sentence


def test_it_rings_again_only_if_it_gets_worse_still():
    known, rings = Levels(model="m", first=(0.8, 0.03)), []
    for k, level in enumerate([0.8] * 4 + [0.9] * 12 + [1.0] * 6):
        one = cohort(k, level, 0.02)
        ring, known = heard(updated(known, [one]), {one.window}, False, **BUDGET)
        rings += [k] if ring else []
    assert rings == [4, 16] and steady(known).value == pytest.approx(0.8, abs=0.01)


def test_worse_than_a_constant_is_harm_whatever_it_was_accepted_with():
    known, rings = Levels(model="m", first=(1.2, 0.05)), []
    for k in range(10):
        one = cohort(k, 1.2, 0.05)
        ring, known = heard(updated(known, [one]), {one.window}, bool(rings), **BUDGET)
        rings += [(ring.rule, k)] if ring else []
    assert len(rings) == 1 and rings[0][0] == "constant" and rings[0][1] <= 2


def test_a_lucky_acceptance_with_a_small_spread_is_no_truth():
    known, rings = Levels(model="m", first=(0.5, 0.08), luck=1.2, rows=90), []
    for k in range(12):
        one = cohort(k, 0.86, 0.12, rows=180)
        ring, known = heard(updated(known, [one]), {one.window}, bool(rings), **BUDGET)
        rings += [k] if ring else []
    assert rings == [] and steady(known).value > 0.8


def test_harm_comes_with_its_date_from_labels_that_come_late():
    known = updated(Levels(model="m", first=(0.8, 0.03)), [cohort(k, 0.8, 0.03) for k in range(4)])
    _, known = heard(known, {c.window for c in known.cohorts}, False, **BUDGET)
    early = cohort(4, 0.84, 0.08, rows=40)  # a tenth of its labels, and no news
    ring, known = heard(updated(known, [early]), {early.window}, False, **BUDGET)
    assert ring is None and known.cohorts[-1].looked == pytest.approx(0.1)
    late = cohort(4, 1.0, 0.03)
    ring, known = heard(updated(known, [late]), {late.window}, False, **BUDGET)
    assert (ring.rule, ring.window) == ("window", "2000-05") and known.cohorts == ()


def test_the_evidence_has_mean_one_where_nothing_rises():
    draw = np.random.default_rng(3)
    last = [risen(draw.normal(0, 0.05, 2), np.full(2, 0.05**2))[0] for _ in range(20_000)]
    assert np.mean(last) == pytest.approx(1, abs=0.05)


def test_nothing_happens_and_nobody_is_called():
    told = loop.measured("null", 3, 400, 16)
    assert sum(told[part] for part in (*PARTS, "quality")) <= 1 and told["rang twice"] == 0
    assert told["inspect"] <= 1


def test_inputs_that_move_and_stay_ask_once_and_renew_the_reference():
    told = loop.measured("covariate", 1, 400, 18)
    assert 1 <= told["after"] <= 2 and told["inspect"] <= 1
    assert told["refreshed"] == 1 and told["first call"] <= 1


def test_a_break_is_called_at_once_leads_to_an_attempt_and_is_not_repeated():
    told = loop.measured("break", 2, 400, 16)
    assert told["first harm"] == 0 and told["harm after"] <= 3
    assert told["first update"] <= 1 and told["inspect"] == 0
