"Features of one's own: as-of honest or refused, and the same in training, in replay and in serving."

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop import begun, events, signed

from continual_nb.core.doors import in_project
from continual_nb.core.features import ask_feature, check_honest, in_order, with_features
from continual_nb.core.files import ContinualError, read_parquet
from continual_nb.core.params import Data, Params
from continual_nb.loop.code import stage_pins
from continual_nb.loop.deployed import served_rows
from continual_nb.loop.lookback import _history
from continual_nb.loop.project import Project

OWN = """
import pandas as pd


def lags(events, as_of, rows=3):
    "Mean amount of the last orders of the region, and the share of bad ones that was known."
    before = events.groupby("region")["amount"].shift(1)
    rolled = before.groupby(events["region"]).rolling(rows, min_periods=1).mean()
    told = events[["label_time", "bad"]].dropna().sort_values("label_time", kind="stable")
    told["bad_share"] = told["bad"].astype("float64").expanding().mean()
    known = pd.merge_asof(
        events[["event_time"]], told[["label_time", "bad_share"]],
        left_on="event_time", right_on="label_time",
    )
    return pd.DataFrame(
        {
            "amount_before": rolled.reset_index(0, drop=True).reindex(events.index),
            "bad_share": known["bad_share"].to_numpy(),
        },
        index=events.index,
    )
"""
DATA = Data(source="x", time="when", label="bad", id="id", label_time="known", numeric=("amount",))
DISHONEST = {
    "the next row": lambda e, as_of: pd.DataFrame({"f": e["amount"].shift(-1)}),
    "a mean over all time": lambda e, as_of: pd.DataFrame({"f": e["amount"] - e["amount"].mean()}),
    "a centred window": lambda e, as_of: pd.DataFrame({"f": e["amount"].rolling(5, center=True).mean()}),
    "a rank": lambda e, as_of: pd.DataFrame({"f": e["amount"].rank()}),
    "labels to come": lambda e, as_of: pd.DataFrame({"f": e["bad"].astype("float64").shift(1).expanding().mean()}),
    "its own label": lambda e, as_of: pd.DataFrame({"f": e["bad"].astype("float64")}),
    "the moment": lambda e, as_of: pd.DataFrame({"f": (as_of - e["event_time"]).dt.days}),
}  # fmt: skip


@pytest.mark.parametrize("kind", DISHONEST)
def test_a_feature_that_uses_the_future_is_refused(kind):
    ordered = in_order(events(2, 60), DATA)
    made = ask_feature(DISHONEST[kind], ordered, kind)
    with pytest.raises(ContinualError, match=f"{kind}: f of .* changes with what became known"):
        check_honest(DISHONEST[kind], ordered, made, DATA, kind)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/own.py").write_text(OWN)
    with in_project(tmp_path, time_limit=60):
        yield tmp_path


@given(st.integers(5, 110), st.floats(-1e3, 1e3))
def test_a_planted_future_row_changes_no_feature(n, amount):
    space: dict = {}
    exec(OWN, space)
    frame = events(2, 60).sort_values("when", kind="stable", ignore_index=True)
    planted = frame.iloc[[n]].assign(id="planted", amount=amount, bad=1, known=frame["known"].max())
    planted["when"] = frame["when"].iloc[n] + pd.Timedelta(seconds=1)
    both = in_order(pd.concat([frame, planted], ignore_index=True), DATA)
    before = ask_feature(space["lags"], in_order(frame, DATA), "lags").iloc[: n + 1]
    after = ask_feature(space["lags"], both, "lags").loc[before.index]
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "returned NoneType, which is no pandas frame"),
        ("return pd.DataFrame({'f': [1]})", "returned 1 rows with another index"),
        ("return events.assign(amount=0.0)", "changes the column 'amount' of the source"),
        ("return events['amuont']", "KeyError"),
        ("import os; os._exit(3)", "ended its process without an answer"),
    ],
)
def test_a_bad_answer_is_named(project, body, said):
    path = project / "extensions/bad.py"
    path.write_text(f"import pandas as pd\n\n\ndef f(events, as_of):\n    {body}\n")
    data = Data.model_validate(DATA.model_dump() | {"features": ["extensions.bad:f"]})
    with pytest.raises(ContinualError, match=said) as caught:
        with_features(events(1, 40), data, project)
    assert caught.value.remedy


def test_its_arguments_come_from_params_and_its_file_is_pinned(project):
    named = [{"name": "extensions.own:lags", "args": {"rows": 1}}]
    data = Data.model_validate(DATA.model_dump() | {"features": named})
    assert data.model_dump()["features"][0]["args"] == {"rows": 1}
    made = with_features(events(1, 40), data, project)
    ordered = made.sort_values("when", kind="stable")
    last = ordered.groupby("region")["amount"].shift(1)
    np.testing.assert_allclose(ordered["amount_before"], last)
    windows = {"every": "month"}
    pinned = stage_pins(
        Params.model_validate({"data": data.model_dump(), "windows": windows}), project
    )
    assert list(pinned) == ["snapshot"] and "extensions/own.py" in pinned["snapshot"]


def test_training_replay_and_serving_see_the_same(tmp_path):
    loop = begun(tmp_path)
    loop.path("extensions").mkdir()
    loop.path("extensions/own.py").write_text(OWN)
    loop.set(numeric="[amount, age, amount_before, bad_share]", features="[extensions.own:lags]")
    loop.continual("refresh")
    loop.dvc("repro", "ingest")
    names = ["amount_before", "bad_share"]
    store = pd.concat(map(read_parquet, loop.path("data/work/ingest").rglob("events.parquet")))
    store = store.set_index("event_id")[names]
    assert len(store) == 300 and store.notna().sum().min() > 250

    project = Project(loop.root)
    params = project.params()
    replayed = _history(project)[0].frame.set_index("event_id")
    replayed = replayed[[f"feature {name}" for name in names]].set_axis(names, axis=1)
    pd.testing.assert_frame_equal(store, replayed.loc[store.index], check_dtype=False)

    rows = events().query("'2024-01-20' <= when < '2024-02-01'").drop(columns=["bad", "known"])
    with in_project(loop.root, 60):
        served = served_rows(rows, params.data, loop.root).set_index("id")[names]
    pd.testing.assert_frame_equal(
        served, store.loc[served.index], check_dtype=False, check_names=False
    )

    signed(loop)
    loop.continual("seal")
    rows.to_parquet(tmp_path / "new.parquet", index=False)
    said = loop.continual("predict", str(tmp_path / "new.parquet"))
    assert f"{len(rows)} rows scored" in said.out
    assert "features.py" in loop.continual("export", tmp_path / "served").out
    rows = rows.head(20)
    rows.to_csv(tmp_path / "new.csv", index=False)
    rows.to_parquet(tmp_path / "new.parquet", index=False)
    for script, given in (
        ("features.py", ["new.csv", loop.source, "with.csv"]),
        ("example.py", ["with.csv"]),
    ):
        run = [sys.executable, tmp_path / "served" / script, *given]
        there = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
        assert there.returncode == 0, there.stderr
    loop.continual("predict", str(tmp_path / "new.parquet"), "--out", str(tmp_path / "out.csv"))
    here = pd.read_csv(tmp_path / "out.csv")["probability of 1"]
    shown = [float(line.split()[-1]) for line in there.stdout.strip().splitlines()[1:]]
    np.testing.assert_allclose(shown, here, atol=1e-5)
    checked = loop.continual("expect", "check", str(tmp_path / "new.parquet"), code=None)
    assert "amount_before" not in checked.err
    loop.path("extensions/own.py").write_text(OWN.replace("shift(1)", "shift(-1)"))
    said = loop.continual("open", code=1).err
    assert "amount_before of" in said and "changes with what became known after" in said
