"""Detectors of one's own: in the same budget and the same incidents, once the reference is quiet for them."""

import functools

import numpy as np
import pandas as pd
import pytest
from stations import extensions_in

from continual_nb.core.doors import in_project
from continual_nb.core.files import ContinualError
from continual_nb.core.metrics import measure
from continual_nb.core.models import estimator, fit, predict
from continual_nb.core.params import Data, Monitor, Train, parse
from continual_nb.loop.code import stage_pins
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.detectors.own import INVALID, calibration
from continual_nb.monitoring.monitor import RowsBefore, monitor
from continual_nb.monitoring.profiles.profile import column_profile

DATA = Data(source="-", time="event_time", label="late", numeric=("rain", "wind"))
NOW = pd.Timestamp("2024-01-01", tz="UTC")
OWN = """
import numpy as np
from scipy.stats import norm
from continual_nb.monitoring.detectors.own import Detection


class Order:
    "Whether neighbours in time are alike, as they were."

    def __init__(self, bad="", columns=("rain",)):
        self.bad, self.columns = bad, tuple(columns)

    def link(self, rows):
        x = rows["rain"].to_numpy()
        return np.corrcoef(x[1:], x[:-1])[0, 1]

    def fit(self, reference):
        if self.bad == "fit":
            raise RuntimeError("nothing to learn")
        self.before_, self.rows_ = self.link(reference), len(reference)
        return self

    def score(self, window):
        while self.bad == "loop":
            pass
        if self.bad == "score":
            raise RuntimeError("no idea")
        far = self.link(window) - self.before_
        p = 2 * norm.sf(abs(far) / np.sqrt(1 / len(window) + 1 / self.rows_))
        p = {"nan": np.nan, "over": 1.5, "negative": -0.1, "always": 0.0}.get(self.bad, p)
        if self.bad == "random":
            p = np.random.default_rng().random()
        if self.bad == "number":
            return p
        columns = ("rian",) if self.bad == "column" else self.columns
        return Detection(p, far, columns, f"neighbours are linked by {far:.2f} more")
"""


def month(k: int, n: int = 700, linked: float = 0.0) -> pd.DataFrame:
    "One month; `linked` neighbours have like rain, which changes no distribution."
    rng = np.random.default_rng(k)
    start = pd.Timestamp("2023-01-01", tz="UTC") + pd.DateOffset(months=k)
    times = start + pd.to_timedelta(np.sort(rng.uniform(0, 28 * 86400, n)), "s")
    rain = rng.normal(size=n)
    order = np.argsort(linked * np.sin(np.arange(n) / 20) + rng.normal(size=n))
    ranked = np.empty(n)
    ranked[order] = np.sort(rain)
    made = pd.DataFrame(
        {
            "event_id": [f"{k}-{i}" for i in range(n)],
            "event_time": times.as_unit("us"),
            "window": f"{start:%Y-%m}",
            "rain": ranked if linked else rain,
            "wind": rng.normal(size=n),
        }
    )
    made["label"] = np.where(rng.random(n) < 1 / (1 + np.exp(-made["wind"])), "1", "0")
    return made.assign(label_time=made["event_time"])


@functools.cache
def known() -> dict:
    history = pd.concat([month(k) for k in range(6)], ignore_index=True)
    champion = fit(estimator(DATA, Train(models=["linear"])), history, DATA)
    seventh = month(6)
    said = predict(champion, seventh, DATA)
    settings = Monitor()
    return {
        "max_missing_jump": 0.1,
        "iteration": 8,
        "window": "2023-08",
        "as_of": NOW,
        "earlier": seventh[:0],
        "mature_before": NOW,
        "reference": fit_reference(DATA, settings, history, 1),
        "champion": champion,
        "accepted": measure(DATA, seventh, said),
        "prediction_reference": column_profile(
            said.score(DATA), "numeric", None, settings, "prediction"
        ),
        "recorded": (),
        "findings": (),
        "reference_rows": RowsBefore(lambda: history, lambda: history[:0]),
    }


def settings(**args) -> Monitor:
    own = {"name": "extensions.own:Order", "args": args, "label": "order"}
    return Monitor(detectors=["columns", "joint", "contents", own])


def look(rows: pd.DataFrame, with_: Monitor | None = None, **other):
    return monitor(DATA, with_ or settings(), rows=rows, **(known() | other))


@pytest.fixture
def project(tmp_path):
    with extensions_in(tmp_path, own=OWN) as folder:
        yield folder


def test_it_sees_what_the_built_in_ones_cannot_and_asks_once(project):
    rows = month(7, linked=1.5)
    assert not [i for i in look(rows, Monitor()).incidents if i.kind == "features"]
    made = look(rows)
    assert "detector:order" in made.alarm.carried
    [incident] = [i for i in made.incidents if i.kind == "features"]
    assert incident.rule == "detector:order" and incident.columns == ("rain",)
    assert "neighbours are linked" in incident.sentence
    assert "The detector order rings." in made.section().lead
    again = look(month(8, linked=1.5), window="2023-09", memory=made.memory)
    [same] = [i for i in again.incidents if i.kind == "features"]
    assert same.since == "2023-08" and same.seen == 2 and same.severity == "note"
    assert "detector:order" not in again.alarm.by, "what is open spends no budget"
    memory, names = again.memory, iter(["2023-10", "2023-11", "2023-12"])
    quiet = (month(k) for k in range(20, 60))
    calm = [rows for rows in quiet if look(rows).own[0].verdict == "stable"][:2]
    for rows in calm:
        memory = look(rows, window=next(names), memory=memory).memory
    assert not [e for e in memory["open"] if e["incident"]["rule"] == "detector:order"]


def test_a_detector_that_always_fires_spends_nothing(project):
    rows = month(7)
    made, without = look(rows, settings(bad="always")), look(rows, Monitor())
    assert made.own[0].verdict == "not testable" and made.own[0].checked == 6
    assert made.alarm == without.alarm
    [finding] = [f for f in made.findings if f.rule == "detector switched off"]
    assert "order is switched off: it is not quiet on the reference" in finding.sentence
    assert [i.severity for i in made.incidents if i.rule == finding.rule] == ["note"]


def test_quiet_windows_stay_quiet(project):
    found = [look(month(100 + k)) for k in range(25)]
    assert all(made.own[0].checked == 6 and not made.own[0].failed for made in found)
    loud = sum(any(i.kind == "features" for i in made.incidents) for made in found)
    assert loud <= 2


def test_one_cause_is_one_incident(project):
    shifted = month(7, linked=1.5).assign(rain=lambda rows: rows["rain"] + 1)
    made = look(shifted)
    assert made.own[0].verdict == "drifted"
    assert [i.columns for i in made.incidents if i.kind == "features"] == [("rain",)]
    broken = month(7, linked=1.5).assign(rain=3.0)
    made = look(broken)
    assert [i.kind for i in made.incidents if "rain" in i.columns] == ["quality"]


def test_a_change_that_names_no_column_is_told_of_all(project):
    made = look(month(7, linked=1.5), settings(columns=[]))
    [incident] = [i for i in made.incidents if i.kind == "features"]
    assert incident.columns == () and incident.title == "The detector order found a change"
    again = look(month(8, linked=1.5), settings(columns=[]), window="2023-09", memory=made.memory)
    assert [i.severity for i in again.incidents if i.kind == "features"] == ["note"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("fit", "RuntimeError: nothing to learn (extensions/own.py, line"),
        ("score", "RuntimeError: no idea"),
        ("nan", "p_value nan"),
        ("over", "the p-value 1.5"),
        ("negative", "the p-value -0.1"),
        ("number", "which is no Detection"),
        ("column", "the column 'rian', which is no feature"),
        ("random", "answers otherwise when asked again"),
    ],
)
def test_a_bad_answer_is_named_and_the_window_is_still_monitored(project, bad, words):
    made = look(month(7), settings(bad=bad))
    [finding] = [f for f in made.findings if f.rule == "detector switched off"]
    assert words in finding.sentence and made.answer == "watched"
    assert made.alarm == look(month(7), Monitor()).alarm


def test_one_that_never_answers_is_no_answer(project):
    with in_project(project, time_limit=0.5), pytest.raises(ContinualError, match="not answered"):
        look(month(7), settings(bad="loop"))


def test_a_name_that_does_not_resolve_stops_the_stage_with_its_neighbour(project):
    wrong = Monitor(detectors=["columns", "extensions.own:Ordre"])
    with pytest.raises(ContinualError, match="no 'Ordre'") as caught:
        look(month(7), wrong)
    assert "'Order'" in caught.value.remedy
    form = {"data": {"source": "-", "time": "t", "label": "y", "numeric": ["x"]}}
    for names, words in (
        (["columns", "jont"], "did you mean 'joint'"),
        (["joint"], "columns cannot be left out"),
        (["columns", {"name": "joint", "args": {"a": 1}}], "joint takes no arguments"),
    ):
        with pytest.raises(ContinualError, match=words):
            parse({**form, "monitor": {"detectors": names}})


def test_a_built_in_detector_can_be_left_out(project):
    made = look(month(7), Monitor(detectors=["columns"]))
    assert made.joint is None and "joint" not in made.alarm.by
    assert any("joint and contents switched off" in said for said in made.unchecked)
    assert look(month(7), Monitor()).joint is not None


def test_few_rows_ask_no_detector(project):
    made = look(month(7)[:12])
    assert made.own[0].verdict == "not testable" and not made.own[0].failed
    assert any("12 rows are too few" in said for said in made.unchecked)


def test_fair_p_values_are_believed_and_small_ones_are_not():
    rng = np.random.default_rng(0)
    for n in (1, 2, 6, 12):
        fair = np.mean([calibration(rng.uniform(size=n)) <= INVALID for _ in range(4000)])
        assert fair < 2 * INVALID
    assert calibration([0.03, 0.04]) <= INVALID < calibration([0.03, 0.4])
    assert calibration([1e-6, 0.5, 0.6, 0.7, 0.8, 0.9]) <= INVALID, "one that is far too small"
    assert calibration([]) == 1


def test_a_detector_is_pinned_for_the_stage_that_runs_it(project):
    form = {"data": {"source": "-", "time": "t", "label": "y", "numeric": ["x"]}}
    form["monitor"] = {"detectors": ["columns", "extensions.own:Order"]}
    assert list(stage_pins(parse(form), project)) == ["monitor"]


def test_a_project_with_a_detector_of_its_own(opened, copy):
    loop = copy(opened)
    loop.path("extensions").mkdir()
    loop.path("extensions/own.py").write_text(OWN.replace("rain", "age"))
    name = '[columns, {name: "extensions.own:Order", args: {bad: %s, columns: [age]}}]'
    loop.set(detectors=name % "fair")
    loop.continual("refresh")
    loop.dvc("repro", "monitor")
    found = loop.json("data/work/monitor/monitoring.json")
    [said] = found["own"]
    assert said["name"] == "Order" and said["checked"] == 2 and not said["failed"]
    assert found["joint"] is None and "detector:Order" in found["memory"]["evidence"]
    assert "Order" in loop.continual("doors").out
    loop.set(detectors=name % "loop", time_limit="1")
    loop.continual("refresh")
    assert "had not answered after 1 seconds" in loop.continual("stage", "monitor", code=1).err
