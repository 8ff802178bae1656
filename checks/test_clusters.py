"The matrix of the backtest on real local clusters of two workers, each a process of its own (extras `dask` and `ray`)."

import numpy as np
import pandas as pd
import pytest

from continual_nb.backtest.matrix import build
from continual_nb.core.ingest import delivered
from continual_nb.core.params import Backtest, Compose, Costs, Data, Decide, Params, Train, Windows


def orders(weeks: int = 6) -> tuple[Params, object]:
    draw, n = np.random.default_rng(11), weeks * 500
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=n, freq=pd.Timedelta(weeks=weeks) / n),
            "price": draw.normal(size=n),
            "shop": draw.choice(["north", "south"], n),
        }
    )
    frame["returned"] = (draw.random(n) < 1 / (1 + np.exp(-frame.price))).astype(int)
    params = Params(
        project="orders",
        data=Data(
            source="orders",
            time="when",
            label="returned",
            label_delay="12h",
            numeric=("price",),
            categorical=("shop",),
        ),
        windows=Windows(every="week"),
        decide=Decide(costs=Costs(loss=1.0)),
        train=Train(models=["linear"]),
        compose=Compose(recipes={"all": ["all"], "recent": [{"last_windows": {"windows": 1}}]}),
        backtest=Backtest(engine="threading", workers=1),
    )
    return params, delivered(frame, params.data)


def on(params: Params, **engine) -> Params:
    return params.model_copy(update={"backtest": Backtest(**engine)})


def same(here, there) -> None:
    assert here.hash == there.hash and np.array_equal(here.drifted, there.drifted)
    for part in here.loss:
        assert np.array_equal(here.loss[part], there.loss[part], equal_nan=True)


def test_a_cluster_that_params_yaml_asks_for_gives_the_same_matrix():
    pytest.importorskip("distributed")
    params, source = orders()
    same(build(params, source), build(on(params, engine="dask", workers=2), source))


def test_a_cluster_of_ones_own_is_used_and_both_workers_work():
    distributed = pytest.importorskip("distributed")
    params, source = orders()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = client.run(lambda dask_worker: dask_worker.state.executed_count)
        there = build(
            on(params, engine="dask", scheduler=cluster.scheduler_address, workers=-1), source
        )
        done = {
            name: count - before[name]
            for name, count in client.run(
                lambda dask_worker: dask_worker.state.executed_count
            ).items()
        }
    assert len(done) == 2 and min(done.values()) > 0, done
    same(build(params, source), there)


def test_ray_gives_the_same_matrix_and_is_left_as_it_was_found(monkeypatch):
    ray = pytest.importorskip(
        "ray", reason="the extra `ray` is not installed: pip install -e .[ray]"
    )
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    params, source = orders()
    here = build(params, source)
    same(here, build(on(params, engine="ray", workers=2), source))
    assert not ray.is_initialized(), (
        "a cluster that was started for the backtest is stopped after it"
    )
    ray.init(num_cpus=2, log_to_driver=False)
    same(here, build(on(params, engine="ray", workers=2), source))
    assert ray.is_initialized() and ray.cluster_resources()["CPU"] == 2
    ray.shutdown()
