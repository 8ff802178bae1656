"""Figures about composing: `python benchmarks/composition.py [quality|estimates|incident|duplicates|apart|scale|recipes|decide]`, all without a word.

quality    ten in a hundred labels of real sets are turned around; precision and recall of what is listed, with intervals, beside cleanlab
           (`pip install cleanlab`) on the same out-of-fold predictions
estimates  2,000 draws by doubt and as many uniform ones: bias, spread and coverage of the weighted mean
incident   flights of one carrier in a hundred go wrong: how many labels each query needs to show ten of them, beside a draw at random,
           and whether the loss of the window that its answers tell stays unbiased (2,000 draws)
duplicates 100 planted near-duplicates in each of 100 tables: how many are found, and how many rows of the rest go with them
apart      100 tables with a planted near-duplicate and a planted entity on both sides, and 100 coarse ones with none: found, and falsely left out
scale      a million rows composed by the default recipes: seconds, memory, and whether composing again gives the same bytes
recipes    the tournament on the flights that the project brings: what each recipe loses
decide     two models of electricity and occupancy (`FOLDER=...` holds NAME/NAME.parquet): labels that decide between them for a margin,
           beside a draw at random and all labels, and how often the verdict is that of all labels
"""

import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from continual_nb.composition.apart import alike_rows, kept_apart
from continual_nb.composition.deciding import (
    deciding_probabilities,
    estimated_gain,
    expected_gains,
    gains_by_class,
    labels_needed,
)
from continual_nb.composition.label_quality import doubtful_labels, out_of_fold
from continual_nb.composition.queries import draw_events, inclusion_probabilities, weighted_mean
from continual_nb.composition.recipes import take_steps
from continual_nb.composition.samplers import Context
from continual_nb.composition.selection import QueryContext, disagreement, margin, slices, uniform
from continual_nb.core.metrics import losses
from continual_nb.core.models import estimator, fit, predict
from continual_nb.core.params import Compose, Data, Params, Step, Train


def _sets():
    "Three real sets that come with scikit-learn, as rows with labels."
    from sklearn import datasets

    for load in (datasets.load_breast_cancer, datasets.load_digits, datasets.load_wine):
        found = load()
        names = [f"x{k}" for k in range(found.data.shape[1])]
        rows = pd.DataFrame(found.data, columns=names)
        rows["label"] = found.target.astype(str)
        yield load.__name__[5:], rows, Data(source="-", time="t", label="y", numeric=tuple(names))


def _wilson(hits: int, n: int) -> str:
    "A share with its interval of 95 % (Wilson 1927)."
    if not n:
        return "-"
    p, z = hits / n, 1.96
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    return f"{p:.2f} ({centre - half:.2f} to {centre + half:.2f})"


def quality() -> None:
    for name, rows, data in _sets():
        rng, classes = np.random.default_rng(3), sorted(rows["label"].unique())
        wrong = rng.random(len(rows)) < 0.1
        other = [rng.choice([c for c in classes if c != label]) for label in rows["label"]]
        noisy = rows.assign(label=np.where(wrong, other, rows["label"]))
        linear = lambda taken: fit(estimator(data, Train(model="linear")), taken, data)
        proba, names = out_of_fold(noisy, data, linear)
        ours = np.zeros(len(rows), bool)
        ours[doubtful_labels(noisy["label"].to_numpy(), proba, names)["row"]] = True
        found = {"ours": ours}
        try:
            from cleanlab.filter import find_label_issues

            code = pd.Index(names).get_indexer(pd.Index(noisy["label"]))
            found["cleanlab"] = find_label_issues(code, proba)
        except ImportError:
            print("cleanlab is not installed")
        for who, listed in found.items():
            precision = _wilson(int((listed & wrong).sum()), int(listed.sum()))
            recall = _wilson(int((listed & wrong).sum()), int(wrong.sum()))
            print(
                f"{name:>14} {who:>8}: precision {precision}, recall {recall}, {listed.sum()} listed"
            )


def estimates() -> None:
    rng = np.random.default_rng(5)
    hard = rng.beta(0.5, 3, 2000)
    loss = (rng.random(2000) < hard).astype(float)
    for name, score in {"uniform": np.ones(2000), "by doubt": np.sqrt(hard)}.items():
        chance = inclusion_probabilities(score, 150)
        draws = (draw_events(chance, rng) for _ in range(2000))
        made = [weighted_mean(loss[at], chance[at], 2000) for at in draws]
        means = np.array([one.mean for one in made])
        held = np.mean([one.low <= loss.mean() <= one.high for one in made])
        bias, error = means.mean() - loss.mean(), means.std() / np.sqrt(2000)
        print(
            f"{name:>9}: bias {bias:+.5f} (se {error:.5f}), spread {means.std():.4f}, coverage {held:.3f}"
        )


def _broken_slice(seed: int):
    "Flights of a month of which one carrier's labels turned around; models of the month before, and of half of this one."
    from continual_nb.core.ingest import delivered
    from continual_nb.core.sources import load

    root = Path(__file__).parent.parent
    params = Params.load(root / "params.yaml")
    data = params.data
    frame = delivered(load(data.source, root), data).frame
    named = {f"feature {name}": name for name in data.features}
    rows = frame.rename(columns=named)[["event_id", "event_time", "label", *data.features]]
    rows = rows[rows["label"].notna().to_numpy()]
    parts = [
        rows[rows["event_time"].between(f"2013-{m:02d}-01", f"2013-{m + 1:02d}-01").to_numpy()]
        for m in (6, 7)
    ]
    before, now = (part.sample(8000, random_state=seed) for part in parts)
    now = now.sort_values("event_time", kind="stable").reset_index(drop=True)
    hit = (now["carrier"] == "VX").to_numpy()
    turned = now["label"].map({"0": "1", "1": "0"})
    now = now.assign(label=now["label"].mask(hit, turned))
    linear = lambda part: fit(estimator(data, Train()), part, data)
    return data, now.iloc[4000:], hit[4000:], linear(before), linear(now.iloc[:4000])


def incident() -> None:
    k, found = 200, {}
    for seed in range(3):
        data, pool, hit, champion, challenger = _broken_slice(seed)
        data = data.model_copy(update={"slices": ("carrier",)})
        context = QueryContext(data, seed, champion, challenger)
        wrong = losses(data, pool["label"], predict(champion, pool, data))
        rng = np.random.default_rng(seed)
        for query in (uniform, margin, disagreement, slices):
            chance = query(pool.drop(columns="label"), context, k)["probability"].to_numpy()
            told = [
                weighted_mean(wrong[at], chance[at], len(pool)).mean
                for at in (draw_events(chance, rng) for _ in range(2000))
            ]
            bias, error = np.mean(told) - wrong.mean(), np.std(told) / np.sqrt(2000)
            line = 10 * k / chance[hit].sum(), bias / error, np.std(told)
            found.setdefault(query.__name__, []).append(line)
        print(f"seed {seed}: {hit.sum()} of {len(pool):,} events are of the slice")
    base = np.mean([line[0] for line in found["uniform"]])
    for name, lines in found.items():
        labels, bias, spread = np.mean(lines, axis=0)
        print(
            f"{name:>13}: {labels:.0f} labels until ten are of the slice ({base / labels:.1f} times fewer than "
            f"at random); mean loss off by {bias:+.1f} standard errors, spread {spread:.4f}"
        )


def _table(n: int, seed: int, columns: int = 6) -> tuple[pd.DataFrame, Data]:
    rng = np.random.default_rng(seed)
    names = [f"x{k}" for k in range(columns)]
    when = pd.Series(pd.date_range("2015-01-01", periods=n, freq="3min", tz="UTC").as_unit("us"))
    rows = pd.DataFrame(rng.normal(size=(n, columns)), columns=names)
    rows["event_id"] = pd.array([f"e{k}" for k in range(n)], dtype="str")
    rows["event_time"], rows["window"] = when, when.dt.strftime("%Y-%m")
    rows["label"] = np.where(rows["x0"] + rng.normal(size=n) > 0, "1", "0")
    return rows, Data(source="-", time="t", label="y", numeric=tuple(names))


def duplicates() -> None:
    found = extra = of = 0
    for seed in range(100):
        rows, data = _table(2000, seed)
        copy = rows.iloc[:100].assign(event_id=[f"c{k}" for k in range(100)])
        copy[list(data.numeric)] *= 1 + 1e-7
        both = pd.concat([rows, copy], ignore_index=True)
        steps = (Step.model_validate({"near_duplicates": {"digits": 4}}),)
        gone = set(
            take_steps(steps, both, Context(data, both["event_time"].max(), both)).refused[
                "event_id"
            ]
        )
        planted = {f"e{k}" for k in range(100)}
        found, extra, of = found + len(gone & planted), extra + len(gone - planted), of + 1900
    print(f"near-duplicates found: {found} of 10000; rows of the rest: {extra} of {of}")


def _sides(seed: int, digits: int | None) -> tuple[pd.DataFrame, pd.DataFrame, Data]:
    "Two parts of a table, each row of an entity of its own; rounded to so many digits."
    rows, data = _table(2500, seed, columns=4)
    names = list(data.numeric)
    rows[names] = rows[names] if digits is None else rows[names].round(digits)
    rows["entity_key"] = [f"u{k}" for k in range(len(rows))]
    test = rows.iloc[2000:].reset_index(drop=True)
    return rows.iloc[:2000].reset_index(drop=True), test, data.model_copy(update={"entity": "who"})


def apart() -> None:
    found = people = extra = 0
    for seed in range(100):
        train, test, data = _sides(seed, None)
        names = list(data.numeric)
        train.loc[5, names] = test.loc[9, names].to_numpy(float) * (1 + 1e-7)
        train.loc[8, "entity_key"] = test.loc[3, "entity_key"]
        twins, shared = kept_apart(train, test, data, 0.1).left.values()
        found, people = found + ("e5" in twins), people + ("e8" in shared)
        extra += len(twins | shared) - ("e5" in twins) - ("e8" in shared)
    print(f"planted: {found} of 100 near-duplicates, {people} of 100 entities, {extra} other rows")
    for digits in (0, 1, 2):
        gone = [alike_rows(*_sides(seed, digits)) for seed in range(100)]
        share, natural = np.mean([(one.hit.mean(), one.natural) for one in gone], axis=0)
        print(
            f"{digits} decimals: {share:.3%} of rows falsely left out, {natural:.1%} repeat by nature"
        )


def scale() -> None:
    rows, data = _table(1_000_000, 1)
    context = Context(data, rows["event_time"].iloc[-1], rows.tail(1000))
    held = rows.memory_usage(deep=True).sum() / 1e6
    for name, steps in Compose().recipes.items():
        begun, before = (
            time.process_time(),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        )
        taken = take_steps(steps, rows, context)
        spent = time.process_time() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - before
        again = take_steps(steps, rows.copy(), context).rows
        same = taken.rows.to_parquet() == again.to_parquet()
        print(
            f"{name}: {len(taken.rows):,} of {len(rows):,} rows, {spent:.1f} s, {peak:.0f} MB above "
            f"the data ({held:.0f} MB); composed again: {'the same bytes' if same else 'OTHER BYTES'}"
        )


def recipes() -> None:
    from continual_nb.backtest.matrix import history
    from continual_nb.composition.tournament import tournament
    from continual_nb.core.ingest import delivered
    from continual_nb.core.sources import load

    root = Path(__file__).parent.parent
    params = Params.load(root / "params.yaml")
    raw = delivered(load(params.data.source, root), params.data)
    known, final = history(params, raw, "2013-08")
    rows = pd.concat(final, ignore_index=True)
    mature = known[-1].ingested.maturity.moment
    more = {"decayed": ["all", "decay", "cap"], "importance": ["last_windows", "importance"]}
    compose = params.compose.model_copy(
        update={
            "recipes": Compose(recipes={**params.compose.model_dump()["recipes"], **more}).recipes
        }
    )
    fit_rows = lambda taken: fit(estimator(params.data, params.train), taken, params.data)
    print("\n".join(tournament(params.data, compose, rows, mature, fit_rows).lines()))


def _streams():
    "Real events in order of time, with their label: name, rows, data."
    folder = Path(os.environ.get("FOLDER", "."))
    known = {
        "electricity": ("timestamp", "label", ["period", "nswprice", "nswdemand", "vicprice"]),
        "occupancy_detection": ("date", "Occupancy", ["Temperature", "Humidity", "CO2"]),
    }
    for name, (time_, label, columns) in known.items():
        path = folder / name / f"{name}.parquet"
        if not path.exists():
            print(f"{name}: there is no {path}")
            continue
        rows = pd.read_parquet(path).sort_values(time_, kind="stable", ignore_index=True)
        rows = rows[columns].assign(label=rows[label].astype("str"), event_time=rows[time_])
        yield name, rows, Data(source="-", time="t", label="y", numeric=tuple(columns))


def _verdict(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "open"


def decide() -> None:
    for name, rows, data in _streams():
        cut = [rows.iloc[at].reset_index(drop=True) for at in np.array_split(range(len(rows)), 8)]
        parts = [part for part in cut if part["label"].nunique() > 1]
        models = [fit(estimator(data, Train()), part, data) for part in parts[:-1]]
        for margin in (0.05, 0.1, 0.2):
            told = []
            for k in range(2, len(parts)):
                both = [predict(model, parts[k], data) for model in models[k - 2 : k]]
                told += _decided(data, parts[k], both, margin, k)
            _say_decided(name, margin, told)


def _decided(data: Data, pool: pd.DataFrame, both, margin: float, seed: int) -> list[tuple]:
    "Labels by what they decide, at random and all; verdict of each of 200 draws and of all labels."
    gains, chance = gains_by_class(data, *both)
    mean, spread = expected_gains(gains, chance)
    need = labels_needed(mean, spread, margin)
    true = losses(data, pool["label"], both[0]) - losses(data, pool["label"], both[1])
    if need.labels is None:
        return []
    half = 1.96 * true.std() / np.sqrt(len(true))
    whole = _verdict(true.mean() - half, true.mean() + half)
    probability, rng = deciding_probabilities(spread, need.labels), np.random.default_rng(seed)
    made = []
    for _ in range(200):
        drawn = draw_events(probability, rng)
        one = estimated_gain(true[drawn], drawn, mean, probability)
        made.append(_verdict(one.low, one.high))
    same = np.mean([one == whole for one in made])
    contrary = np.mean([{one, whole} == {"better", "worse"} for one in made])
    return [(need.labels, need.uniform, len(pool), abs(true.mean()) >= margin, same, contrary)]


def _say_decided(name: str, margin: float, told: list[tuple]) -> None:
    if not told:
        print(f"{name} margin {margin}: no window has enough events")
        return
    labels, at_random, everything, large, same, contrary = map(np.array, zip(*told))
    over = f"{same[large].mean():.3f} where the gain is over the margin" if large.any() else ""
    print(
        f"{name} margin {margin}: {len(told)} windows, {labels.sum():,} labels that decide, "
        f"{at_random.sum():,} at random, {everything.sum():,} in all; same verdict as all labels "
        f"{same.mean():.3f} ({over}), the contrary {contrary.mean():.3f}"
    )


if __name__ == "__main__":
    first = ("quality", "estimates", "incident", "duplicates")
    words = (*first, "apart", "scale", "recipes", "decide")
    for word in sys.argv[1:] or words:
        print(f"-- {word}")
        globals()[word]()
