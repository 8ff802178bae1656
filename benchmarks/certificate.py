"""How often does the loop call a person on real data if nothing drifts, and what does it catch? One certificate per stream.

python benchmarks/certificate.py [STREAM ...] [--data FOLDER] [--orders N] [--seed N] [--rows N]
STREAM: as in benchmarks/worth.py: flights, files NAME/NAME.parquet in FOLDER, and worlds of benchmarks/loop.py as null:SEED

Prints what `continual certificate` prints, with parameters as `continual init` guesses them, and its seconds. --rows keeps a seeded sample of
so many rows of a stream.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import worth  # noqa: E402

from continual_nb.backtest.certificate import certificate  # noqa: E402
from continual_nb.core.ingest import delivered  # noqa: E402
from continual_nb.loop.lookback import said  # noqa: E402


def main():
    "Print a certificate per stream."
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    streams = ("electricity", "bike_sharing", "parking_birmingham", "flights")
    asked.add_argument("streams", nargs="*", default=streams, metavar="STREAM")
    asked.add_argument("--data", type=Path, default=Path("data"))
    asked.add_argument("--orders", type=int)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--rows", type=int)
    given = asked.parse_args()
    for name in given.streams:
        params, raw = worth.stream(name, given.data)
        if given.rows and len(raw) > given.rows:
            raw = raw.sample(given.rows, random_state=given.seed).sort_index()
        began = time.perf_counter()
        found = certificate(params, delivered(raw, params.data), given.orders, given.seed)
        seconds = time.perf_counter() - began
        print(
            f"{name}: {len(raw):,} rows, {seconds:.0f} s\n", *said(found), "", sep="\n", flush=True
        )


if __name__ == "__main__":
    main()
