"Before the first model the data are watched too, and absurd values are not written down as normal."

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.exact import fold
from continual_nb.core.expectations import far_outside, infer
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Data, Params
from continual_nb.loop.expect import left_out


def weather(change=lambda d: d, months: int = 6, n: int = 300) -> pd.DataFrame:
    "Months in which nothing can be learned, so that no model is ever accepted."
    r, made = np.random.default_rng(4), []
    for m in range(months):
        start = pd.Timestamp(2022, 1, 1) + pd.DateOffset(months=m)
        d = pd.DataFrame({"heat": r.normal(283, 9, n), "rain": r.gamma(0.3, 2, n)})
        d["wind"], d["y"] = r.normal(size=n), r.integers(0, 2, n)
        d["t"] = start + pd.to_timedelta(np.sort(r.random(n)) * 27, unit="D")
        made.append(change(d) if m == months - 1 else d)
    return pd.concat(made, ignore_index=True)


DATA = {"source": "-", "time": "t", "label": "y", "label_delay": "3d"}
DATA |= {"numeric": ["heat", "rain", "wind"]}
PARAMS = Params.model_validate({"project": "w", "windows": {"every": "month"}, "data": DATA})


def turns(change=lambda d: d):
    return fold(PARAMS, delivered(weather(change), PARAMS.data))


def test_gaps_and_drift_are_told_without_a_model():
    broken = lambda d: d.assign(
        wind=d["wind"].where(np.arange(len(d)) % 2 > 0), heat=d["heat"] + 30
    )
    last = turns(broken)[-1]
    assert last.outcome.champion is None and last.monitoring.answer == "watched"
    found = {(i.kind, i.severity): set(i.columns) for i in last.monitoring.incidents}
    assert "wind" in found[("quality", "look")] and "heat" in found[("features", "note")]
    assert last.proposal.means == "first model"  # a makeshift reference forbids nothing


def test_nothing_happens_and_nothing_is_said():
    made = turns()
    assert not [i.title for turn in made for i in turn.monitoring.incidents]
    assert made[1].monitoring.answer == "no reference"  # one window alone is none


def test_absurd_values_are_left_out_of_a_range_and_listed():
    frame = weather()
    frame.loc[[3, 700, 1200], "heat"] = 0.0
    frame.loc[40, "rain"] = 9831.3
    suite = infer(frame, Data(**DATA), frame["t"].dt.strftime("%Y-%m"))
    kwargs = {one.column: one.kwargs for one in suite.expectations if "between" in one.type}
    assert kwargs["heat"]["min_value"] > 150 and kwargs["rain"]["max_value"] < 100
    assert kwargs["rain"]["min_value"] == 0.0
    listed = left_out(suite)
    assert len(listed) == 2 and "0 in row 4, 0 in row 701, 0 in row 1,201" in listed[0]
    assert "9831.3 in row 41" in listed[1]


@pytest.mark.parametrize("n", [50, 600, 20_000])
def test_ordinary_tails_stay_inside(n):
    r = np.random.default_rng(n)
    for draw in (r.normal, r.random, r.exponential, r.logistic):
        assert not any(far_outside(pd.Series(draw(size=n))).any() for _ in range(20))
    heavy = [far_outside(pd.Series(np.exp(r.normal(size=n)))).any() for _ in range(40)]
    assert sum(heavy) <= 4
    assert not far_outside(pd.Series(np.arange(n) % 2)).any()
    assert not far_outside(pd.Series(np.ones(n))).any()


def test_the_makeshift_reference_has_other_cells_in_every_window():
    "Levels that come month by month: counts of one window are not those of the next."
    frame = weather().assign(
        kind=lambda d: (d["t"].dt.month * 3 + np.arange(len(d)) % 3).astype(str)
    )
    wider = DATA | {"categorical": ["kind"]}
    params = Params.model_validate({**PARAMS.model_dump(), "data": wider})
    made = fold(params, delivered(frame, params.data))
    assert [turn.monitoring.answer for turn in made[2:]] == ["watched"] * 4
