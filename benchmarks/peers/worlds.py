"""The data of the comparison, from numpy and pandas alone, so that every peer makes the same."""

import numpy as np
import pandas as pd


def synth(
    n: int, rng, coded: bool = False, x0: float = 0.0, r: float = 0.6, rare: float = 0.01
) -> pd.DataFrame:
    "Twenty numeric columns (normal, lognormal, uniform, Poisson) and ten categorical ones of 2 to 100 levels."
    made = {f"x{i}": rng.normal(size=n) for i in range(10)}
    made["x0"] = made["x0"] + x0
    made["x2"] = r * made["x1"] + np.sqrt(1 - r**2) * made["x2"]
    made |= {f"x{10 + i}": rng.lognormal(size=n) for i in range(4)} | {
        f"x{14 + i}": rng.uniform(size=n) for i in range(3)
    }
    made |= {f"x{17 + i}": rng.poisson(1 + 3 * i, n).astype(float) for i in range(3)}
    for i, k in enumerate((2, 3, 4, 6, 8, 12, 20, 30, 50, 100)):
        shares = 1 / np.arange(1, k + 1)
        if i == 0:
            shares = np.array([1 - rare, rare])
        made[f"c{i}"] = pd.Categorical.from_codes(
            rng.choice(k, n, p=shares / shares.sum()).astype(np.int16), [f"l{j}" for j in range(k)]
        )
    frame = pd.DataFrame(made)
    return frame if coded else frame.astype({f"c{i}": "str" for i in range(10)})
