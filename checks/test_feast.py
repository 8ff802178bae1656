"Features of a Feast repository: its own join, in its own environment, beside the join of the table that the repository rests on."

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from continual_nb.core.doors import in_project
from continual_nb.core.feature_tables import FeastFeatures, FeatureTable
from continual_nb.core.features import with_features
from continual_nb.core.files import ContinualError
from continual_nb.core.params import Data

FEAST = Path(__file__).parents[1] / ".feast"  # made by `make check`
STORE = """
project: shop
provider: local
registry: registry.db
online_store: null
entity_key_serialization_version: 3
"""
VIEWS = """
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Float64, String

source = FileSource(
    path="balances.parquet", timestamp_field="measured", created_timestamp_column="loaded"
)
customer = Entity(name="customer", join_keys=["customer"])
balances = FeatureView(
    name="balances", entities=[customer], ttl=timedelta(days=20), source=source,
    schema=[Field(name="balance", dtype=Float64), Field(name="grade", dtype=String)],
)
"""
START = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project with a Feast repository over 400 values of 20 customers; a third come late, some twice."
    root = tmp_path_factory.mktemp("project")
    (root / ".feast").symlink_to(FEAST)
    repo = root / "shop"
    repo.mkdir()
    draw = np.random.default_rng(4)
    days = draw.integers(0, 60, 400)
    delay = np.where(draw.random(400) < 0.3, draw.integers(1, 30, 400), 0)
    table = pd.DataFrame(
        {
            "customer": [f"c{k}" for k in draw.integers(0, 20, 400)],
            "measured": START + pd.to_timedelta(days, unit="D"),
            "loaded": START + pd.to_timedelta(days + delay, unit="D"),
            "balance": draw.normal(size=400),
            "grade": draw.choice(["good", "fair"], 400),
        }
    ).drop_duplicates(["customer", "measured", "loaded"])
    pd.concat([table, table.head(20)]).to_parquet(repo / "balances.parquet", index=False)
    (repo / "feature_store.yaml").write_text(STORE)
    (repo / "views.py").write_text(VIEWS)
    subprocess.run([FEAST / "bin/feast", "apply"], cwd=repo, check=True, capture_output=True)
    with in_project(root, time_limit=300):
        yield root


def orders() -> pd.DataFrame:
    draw = np.random.default_rng(9)
    return pd.DataFrame(
        {
            "id": [f"o{k}" for k in range(300)],
            "customer": [f"c{k}" for k in draw.integers(0, 22, 300)],
            "when": START + pd.to_timedelta(np.sort(draw.integers(0, 80 * 24, 300)), unit="h"),
            "late": draw.integers(0, 2, 300),
        }
    )


FROM_FEAST = {
    "name": "feast",
    "args": {"repo": "shop", "features": ["balances:balance", "balances:grade"]},
}
FROM_TABLE = {
    "name": "table",
    "args": {
        "file": "shop/balances.parquet",
        "entity": "customer",
        "time": "measured",
        "created": "loaded",
        "max_age": "20d",
    },
}


def made(project, entry) -> pd.DataFrame:
    data = Data(
        source="x", time="when", label="late", id="id", numeric=("balance",), features=[entry]
    )
    return with_features(orders(), data, project)


def test_feast_and_the_table_give_the_same(project):
    feast, table = made(project, FROM_FEAST), made(project, FROM_TABLE)
    pd.testing.assert_frame_equal(feast, table, check_dtype=False)
    assert 150 < feast["balance"].notna().sum() < 300


def test_a_planted_value_changes_no_byte(project):
    before = made(project, FROM_FEAST)
    path = project / "shop/balances.parquet"
    kept = path.read_bytes()
    end = START + pd.Timedelta(days=100)
    planted = pd.read_parquet(path).groupby("customer").tail(1).assign(balance=1e9)
    future, late = planted.assign(measured=end, loaded=end), planted.assign(loaded=end)
    pd.concat([pd.read_parquet(path), future, late]).to_parquet(path, index=False)
    after = made(project, FROM_FEAST)
    path.write_bytes(kept)
    assert before.to_parquet() == after.to_parquet()


def test_a_corrected_value_replaces_what_it_corrects(project):
    "Feast's own join of these rows gives many of the values that were replaced (57 of 60 with 0.67.0)."
    path = project / "shop/balances.parquet"
    kept = path.read_bytes()
    names, at = [f"d{k}" for k in range(60)], START + pd.Timedelta(days=5)
    first = pd.DataFrame({"customer": names, "measured": at, "loaded": at, "balance": 1.0})
    second = first.assign(loaded=at + pd.Timedelta(days=2), balance=2.0)
    pd.concat([second, first]).assign(grade="fair").to_parquet(path, index=False)
    events = [at + pd.Timedelta(days=day) for day in (1, 3)]
    rows = pd.DataFrame({"customer": names * 2, "event_time": np.repeat(events, 60)})
    joined = FeastFeatures("shop", ["balances:balance"]).add(rows, events[1])
    path.write_bytes(kept)
    assert joined["balance"].tolist() == [1.0] * 60 + [2.0] * 60


def test_what_is_wrong_is_named(project):
    rows = orders().assign(event_time=lambda r: r["when"])
    asked = [
        (["debts:sum"], {}, "Feast could not answer: .*debts"),
        (["balances:sum"], {}, "the view balances has no feature 'sum'; it has balance, grade"),
        (["balances:balance"], {"python": "/usr/bin/python3"}, "has no Feast"),
    ]
    for features, args, said in asked:
        with pytest.raises(ContinualError, match=said) as caught:
            FeastFeatures("shop", features, **args).add(rows, START)
        assert caught.value.remedy
    with pytest.raises(ContinualError, match="customer.*a key of the view balances of shop"):
        nobody = rows.drop(columns="customer")
        FeastFeatures("shop", ["balances:balance"]).add(nobody, START)
