"The certificate: whole blocks move with all that belongs to them, counts are rates with intervals, planted changes are found."

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.backtest.certificate import (
    Plant,
    block_length,
    block_order,
    certificate,
    planted,
    reordered,
    usable_windows,
)
from continual_nb.cli.main import cli
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Data, Params, Train, Windows


def sold(windows: int, rows: int, every: str = "month", seed: int = 0, region=(0.4, 0.4)):
    "Parameters, and orders in whose windows the share of a region goes from one to another."
    rng, n = np.random.default_rng(seed), windows * rows
    ends = {"month": pd.DateOffset(months=windows), "week": pd.DateOffset(weeks=windows)}
    start = pd.Timestamp("2024-01-01")
    times = start + (start + ends.get(every, ends["week"]) - start) * (np.arange(n) / n)
    north = rng.random(n) < np.where(np.arange(n) < n / 2, *region)
    price = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-2 * price - north))
    frame = pd.DataFrame(
        {
            "when": times,
            "price": price,
            "region": np.where(north, "north", "south"),
            "returned": (rng.random(n) < chance).astype(int),
        }
    )
    about = {"time": "when", "label": "returned", "label_delay": "30h"}
    data = Data(source="x", numeric=("price",), categorical=("region",), **about)
    params = Params(
        project="x", data=data, windows=Windows(every=every), train=Train(models="linear")
    )
    return params, frame


@pytest.mark.parametrize("every", ["month", "week", "50rows"])
def test_rows_move_with_all_that_belongs_to_them(every):
    params, frame = sold(9, 60, every)
    delivery = delivered(frame, params.data)
    cadence, window, names = usable_windows(params, delivery)
    chosen = [names[k] for k in np.random.default_rng(1).permutation(len(names))]
    moved = reordered(delivery, params.data, cadence, window, chosen)
    same = [c for c in moved.frame if c.startswith("feature") or c == "label"]
    sides = [d.frame.set_index("event_id").sort_index() for d in (delivery, moved)]
    before, after = sides[0].loc[sides[1].index], sides[1]
    pd.testing.assert_frame_equal(before[same], after[same])
    delay = lambda side: side["label_time"] - side["event_time"]
    assert (delay(before) == delay(after)).all()
    if every != "50rows":
        now = cadence.names(after["event_time"])
        held = dict(
            zip(before.index, window.set_axis(delivery.frame["event_id"]).loc[before.index])
        )
        place = dict(zip(chosen, sorted(names)))
        assert all(place[held[i]] == now[i] for i in now.index)
        clock = lambda side: side["event_time"] - side["event_time"].dt.floor("D")
        assert (clock(before) == clock(after)).all()


@given(st.integers(2, 60), st.integers(1, 9), st.integers(0, 99))
def test_blocks_are_shuffled_whole(n, length, seed):
    order = block_order(n, length, np.random.default_rng(seed))
    assert sorted(order) == list(range(n))
    assert (np.diff(order) != 1).sum() <= n // length + 1  # one joint between two blocks at most


def test_blocks_are_longer_where_windows_depend_on_each_other():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(60, 5))
    assert block_length(noise) == 1 < block_length(np.cumsum(noise, axis=0)) <= 10


@settings(max_examples=10)
@given(st.floats(0.05, 1), st.integers(0, 99))
def test_a_planted_change_is_as_large_as_it_is_called(size, seed):
    params, frame = sold(8, 200, seed=seed)
    delivery = delivered(frame, params.data)
    cadence, window, names = usable_windows(params, delivery)
    since = cadence.window(names[4]).start
    later = (delivery.frame["event_time"] >= since).to_numpy()
    about = (
        params.data,
        Plant("number", size, "price"),
        since,
        window,
        np.random.default_rng(seed),
    )
    moved = planted(delivery, *about).frame["feature price"] - delivery.frame["feature price"]
    assert (moved[~later] == 0).all()
    assert moved[later].to_numpy() == pytest.approx(size * delivery.frame["feature price"].std())
    about = (params.data, Plant("skill", size), since, window, np.random.default_rng(seed))
    labels = planted(delivery, *about).frame["label"]
    assert (labels == delivery.frame["label"])[~later].all()
    shares = [(part == "1").groupby(window).mean() for part in (labels, delivery.frame["label"])]
    pd.testing.assert_series_equal(*shares)  # the labels' distribution stays as it is


def test_the_loop_is_certified_on_a_small_project_and_true_order_shows_what_happened():
    params, frame = sold(10, 300, region=(0.2, 0.8))
    delivery = delivered(frame, params.data)
    found = certificate(params, delivery, orders=2, seed=3)
    assert found.answer != "not enough data" and found.years > 0.5 and found.used == 10
    every = found.shuffled[0]
    assert every.calls == sum(c.calls for c in found.shuffled[1:])
    assert every.low <= every.rate <= every.high and every.share == params.monitor.budget
    largest = {c.kind: c for c in reversed(found.caught)}
    assert largest["skill"].reported == 2 and largest["skill"].lost > 0.3
    assert largest["number"].reported == largest["number"].planted
    shown = found.section()
    assert "season and trend removed" in shown.lead and len(shown.pictures) == 3
    assert all(p.alt for p in shown.pictures)


def test_the_same_seed_gives_the_same_certificate():
    params, frame = sold(8, 60)
    delivery = delivered(frame, params.data)
    first, again = (certificate(params, delivery, orders=1, seed=3) for _ in range(2))
    assert first == again and first.years > 0


def test_too_little_history_is_said_on_the_command_line(tmp_path, monkeypatch):
    params, frame = sold(5, 60)
    frame.to_csv(tmp_path / "orders.csv", index=False)
    monkeypatch.chdir(tmp_path)
    made = "init shop --data orders.csv --time when --label returned --every month".split()
    for argument in (made, ["certificate", "--json"]):
        answer = CliRunner().invoke(cli, argument)
        assert answer.exit_code == 0, answer.output
        monkeypatch.chdir(tmp_path / "shop")
    told = json.loads(answer.stdout)
    assert told["answer"] == "not enough data" and "5 windows" in told["reason"]
