"One set of expressions, three engines: pandas, DuckDB and PySpark count the same; skipped only where there is no Java."

import shutil

import duckdb
import numpy as np
import pandas as pd
import pytest

from continual_nb.core.params import Data, Monitor
from continual_nb.monitoring.profiles.engine import counted
from continual_nb.monitoring.detectors.fit import fit_reference
from continual_nb.monitoring.profiles.profile import BUCKETS, counts

DATA = Data(source="-", time="t", label="y", numeric=("x", "few"), categorical=("c", "city"))


def rows(n, seed):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(n) < 0.3, 0, rng.normal(size=n))
    x[rng.random(n) < 0.1] = np.nan
    x[:2] = np.inf, -np.inf
    return pd.DataFrame(
        {
            "x": x,
            "few": rng.integers(0, 4, n).astype(float),
            "c": pd.Series(rng.choice(["u", "v", "ä", "", None], n), dtype="str"),
            "city": pd.Series(rng.integers(0, 400, n)).astype("str"),
            "label": "1",
            "window": "w",
        }
    )


@pytest.fixture(scope="module")
def spark():
    if not shutil.which("java"):
        pytest.skip("there is no Java")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


def test_pandas_duckdb_and_spark_count_the_same(spark, tmp_path):
    known = fit_reference(DATA, Monitor(), rows(3000, 1), 1).columns[:4]
    window = rows(4000, 2).drop(columns=["label", "window"])
    here = {c.column: counts(c, window[c.column]).tolist() for c in known}
    assert known[3].buckets == BUCKETS and sum(here["x"]) == 4000
    window.to_parquet(tmp_path / "w.parquet")
    there = spark.read.parquet(str(tmp_path / "w.parquet"))
    assert counted(there, known) == here
    assert counted(duckdb.sql(f"SELECT * FROM read_parquet('{tmp_path}/w.parquet')"), known) == here
    assert counted(window, known) == here
