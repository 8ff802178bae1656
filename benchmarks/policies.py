"""What replaying policies costs, and how near regret debt comes to the best period that hindsight picks.

Prints JSON lines: seconds for N policies over 60 windows once the matrix stands, against one policy in the same run; and for each world and price the regret of the default policy over that of the best fixed period, on seeds that its
settings were not chosen on. Run it with the project's environment:  python benchmarks/policies.py [--policies N] [--seeds N]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "checks"))

import test_policies as worlds  # noqa: E402

from continual_nb.backtest.policies import oracle, tables, usual, walk  # noqa: E402
from continual_nb.core.params import (
    Amount,
    Combined,
    Debt,
    Evaluate,
    Monitor,
    Performance,
    Schedule,
    Trigger,
)  # noqa: E402


def tell(**line) -> None:
    print(
        json.dumps(
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in line.items()
            }
        ),
        flush=True,
    )


def timed(act) -> tuple[float, object]:
    began = time.perf_counter()
    made = act()
    return time.perf_counter() - began, made


def many(count: int) -> list[Trigger]:
    "Policies of five kinds, no two alike."
    kinds = (
        lambda k: Debt(factor=0.2 + k / 5000),
        lambda k: Schedule(every=2 + k % 20),
        lambda k: Performance(level=k / 50_000),
        lambda k: Amount(count=200 + k),
        lambda k: Performance(of="loss", rule="quantile", level=0.5 + k / 20_001),
    )
    made = []
    for k in range(count):
        first, second = kinds[k % 5](k), kinds[(k + 1 + k // 5 % 4) % 5](k)
        made.append(
            Trigger(
                when="both",
                cool_down=k % 3,
                rules={
                    "one": first,
                    "two": second,
                    "both": Combined(of=("one", "two"), need="all" if k % 2 else "any"),
                },
            )
        )
    return made


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--policies", type=int, default=10_000)
    words.add_argument("--seeds", type=int, default=12, help="worlds of each kind")
    words.add_argument("--first", type=int, default=0, help="seed of the first one")
    said = words.parse_args()
    matrix, form = worlds.world("gradual", 0), worlds.decide(worlds.REFERENCE)
    looking, look = timed(lambda: tables(matrix, form, Monitor(), Evaluate()))
    alone, _ = timed(lambda: walk(matrix, look, form, many(1)))
    together, made = timed(lambda: walk(matrix, look, form, many(said.policies)))
    best, _ = timed(lambda: oracle(matrix, look, form))
    tell(
        what="replay",
        policies=said.policies,
        windows=worlds.T,
        seconds=together,
        tables_seconds=looking,
        oracle_seconds=best,
        one_policy_seconds=alone,
        cheaper_per_policy=alone * said.policies / together,
        distinct_courses=len({row.tobytes() for row in made.attempts}),
    )
    for kind in worlds.WORLDS:
        for cost in (0.05, 0.2, 0.6):
            found = worlds.replayed(kind, cost, range(said.first, said.first + said.seeds))
            period = min(
                (name for name in found if name.startswith("every")),
                key=lambda name: found[name][0],
            )
            debt, fixed = found["regret debt"], found[period]
            tell(
                what="regret",
                world=kind,
                cost=cost,
                best_period=period,
                debt_over_best_period=float(debt[0] / fixed[0]),
                cost_over_best_period=float((debt[0] + debt[2]) / (fixed[0] + fixed[2])),
                debt=float(debt[0]),
                period=float(fixed[0]),
                attempts=float(debt[1]),
                never_over_best_period=float(found["never"][0] / fixed[0]),
                always_over_best_period=float(found["always"][0] / fixed[0]),
            )


if __name__ == "__main__":
    main()
