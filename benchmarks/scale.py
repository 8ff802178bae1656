"""Profile Parquet that does not fit in memory: `python benchmarks/scale.py [MILLION_ROWS ...]`. Prints JSON lines; files go to a temporary folder."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = 10
MADE = 10_000_000  # rows per file


def make(folder: Path, millions: int) -> Path:
    "Write ten columns: six normal, one with ties, one with missing values, two categorical."
    import duckdb

    with duckdb.connect(
        config={"memory_limit": "2GB", "threads": 2, "temp_directory": str(folder)}
    ) as connection:
        connection.execute("SELECT setseed(0.5)")
        normal = "sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random())"
        columns = [f"{normal} AS x{i}" for i in range(6)] + [
            "floor(random() * random() * 12)::DOUBLE AS few",
            f"CASE WHEN random() < 0.05 THEN NULL ELSE {normal} END AS gaps",
            "'l' || floor(random() * random() * 8)::INT AS level",
            "'city' || floor(random() * random() * random() * 400)::INT AS city",
        ]
        for part in range(-(-millions * 1_000_000 // MADE)):
            rows = min(MADE, millions * 1_000_000 - part * MADE)
            connection.execute(
                f"COPY (SELECT {', '.join(columns)} FROM range({rows})) TO '{folder}/{part}.parquet' (FORMAT parquet)"
            )
    return folder


def profile(folder: Path) -> None:
    "In a process of its own: reference from 200,000 rows, then one pass by DuckDB within 2 GB."
    import pandas as pd
    import pyarrow.parquet as parquet

    from continual_nb.core.params import Data, Monitor
    from continual_nb.monitoring.profiles.engine import parquet_profile
    from continual_nb.monitoring.profiles.profile import column_profile
    from continual_nb.monitoring.profiles.reference import Profile

    sample = next(parquet.ParquetFile(folder / "0.parquet").iter_batches(200_000)).to_pandas()
    kinds = {name: "categorical" if name in ("level", "city") else "numeric" for name in sample}
    reference = Profile(
        windows=("reference",),
        iteration=0,
        rows=len(sample),
        columns=tuple(
            column_profile(sample[name], kind, None, Monitor()) for name, kind in kinds.items()
        ),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = parquet_profile(folder / "*.parquet", reference, "now", memory="2GB")
    seconds = time.perf_counter() - start
    size = sum(f.stat().st_size for f in folder.glob("*.parquet"))
    print(
        json.dumps(
            {
                "part": "scale",
                "rows": found.rows,
                "columns": len(found.columns),
                "seconds": round(seconds, 2),
                "parquet_gb": round(size / 1e9, 2),
                "memory_limit_gb": 2,
                "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
                "rss_before_gb": round(before / 1e6, 2),
                "seconds_per_10_million": round(seconds / found.rows * 1e7, 2),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--profile"]:
        profile(Path(sys.argv[2]))
    else:
        for millions in map(int, sys.argv[1:] or ["10", "20"]):
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), millions)
                subprocess.run([sys.executable, __file__, "--profile", folder], check=True)
