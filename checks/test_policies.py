"Policies in worlds whose change is known: gradual, abrupt, recurring, and covariates only; 60 windows each, from seeds."

import os
from functools import lru_cache

import numpy as np
import pytest

from continual_nb.backtest.matrix import Cohort, Matrix, assemble
from continual_nb.backtest.policies import oracle, tables, usual, walk
from continual_nb.core.params import Costs, Debt, Decide, Evaluate, Monitor, Trigger

T, N, WIDTH, SEEDS = 60, 400, 10, range(12)
WORLDS = ("gradual", "abrupt", "recurring", "covariate")


def stream(kind: str, rng) -> tuple[np.ndarray, np.ndarray]:
    "Rows (T, N, 10) and labels (T, N) of a logistic world whose weights, or whose rows, move."
    weights, b = np.zeros((T, WIDTH)), rng.standard_normal(WIDTH)
    for t in range(T):
        if kind == "gradual":
            b = b + 0.1 * rng.standard_normal(WIDTH)
        if kind == "abrupt" and t in (20, 38, 47):
            b = b + 1.2 * rng.standard_normal(WIDTH) * (rng.random(WIDTH) < 0.4)
        if kind == "recurring":
            b = np.where((t // 8) % 2 == 0, 1, -1) * np.r_[np.ones(2), np.zeros(WIDTH - 2)] * 0.9 + np.r_[0, 0, np.ones(WIDTH - 2)] * 0.6
        weights[t] = b
    x = rng.standard_normal((T, N, WIDTH))
    if kind == "covariate":
        x += np.linspace(0, 2.0, T)[:, None, None] * np.r_[1, np.zeros(WIDTH - 1)]
    return x, (rng.random((T, N)) < 1 / (1 + np.exp(-np.einsum("tnd,td->tn", x, weights)))).astype(int)


@lru_cache(maxsize=None)
def world(kind: str, seed: int) -> Matrix:
    "The matrix of a logistic regression on the six newest windows; the newest half of each window is kept for the comparison."
    from sklearn.linear_model import LogisticRegression

    x, y = stream(kind, np.random.default_rng(100 + seed))
    half, day = np.arange(N) >= N // 2, np.arange(N) * 32 // N
    log_loss = lambda label, p: -np.where(label == 1, np.log(p), np.log(1 - p))
    base = lambda label, keep: np.where(keep, log_loss(label, label[keep].mean()), 0.0)
    whole = np.ones(N, bool)
    cohorts = [Cohort(f"w{t:02d}", N, day, whole, t, {t: half}, {"window": base(y[t], whole), "seen": base(y[t], whole), f"evaluation {t}": base(y[t], half)}) for t in range(T)]
    models = []
    for i in range(3, T):
        before = slice(max(i - 6, 0), i)
        rows, labels = np.vstack([x[before].reshape(-1, WIDTH), x[i][~half]]), np.concatenate([y[before].ravel(), y[i][~half]])
        said = LogisticRegression().fit(rows, labels).predict_proba(x[i:].reshape(-1, WIDTH))[:, 1].clip(1e-6, 1 - 1e-6).reshape(T - i, N)
        models.append((i, "six", f"m{i}", {j: log_loss(y[j], said[j - i]) for j in range(i, T)}))
    return assemble(cohorts, np.arange(T), models)


def decide(cost: float) -> Decide:
    "Money in units of loss per event and window, as in the research: an update costs `cost`."
    return Decide(costs=Costs(loss=1 / N, update=cost, review=0.0))


def replayed(kind: str, cost: float) -> dict[str, tuple[float, float]]:
    "Mean regret and mean number of attempts of every policy over the seeds."
    fixed = {f"every {k}": t for k, t in ((k, usual((k,))[f"every {k} windows"]) for k in (2, 3, 4, 6, 8, 12, 16, 24))}
    policies = {**usual(()), **fixed}
    found = {name: [] for name in policies}
    for seed in SEEDS:
        matrix, form = world(kind, seed), decide(cost)
        look = tables(matrix, form, Monitor(), Evaluate())
        best = oracle(matrix, look, form)[0].sum()
        made = walk(matrix, look, form, list(policies.values()))
        for k, name in enumerate(policies):
            found[name].append((made.money[k].sum() - best, made.attempts[k].sum(), best))
    return {name: tuple(np.mean(rows, axis=0)) for name, rows in found.items()}


if __name__ == "__main__":
    for kind in WORLDS:
        for cost in (0.05, 0.2, 0.6):
            found = replayed(kind, cost)
            print(kind, cost, "oracle %.2f" % found["never"][2], ", ".join(f"{n} {r:.2f} ({a:.0f})" for n, (r, a, _) in sorted(found.items(), key=lambda p: p[1][0])))
