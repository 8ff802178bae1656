"Triggers, the walk through the matrix, the oracle, hindsight, trust, impact: what must hold whatever the history."

import itertools
import json
import math
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.backtest.exact import fold
from continual_nb.backtest.matrix import Cohort, assemble, build, mean_and_se
from continual_nb.backtest.policies import (
    TODAY,
    ahead_of_today,
    as_change,
    compared,
    from_file,
    gap,
    oracle,
    ranks,
    tables,
    usual,
    walk,
)
from continual_nb.backtest.trials import with_changes
from continual_nb.core.earlier import with_schema
from continual_nb.core.files import ContinualError
from continual_nb.core.ingest import delivered
from continual_nb.core.metrics import interval_of_mean
from continual_nb.core.params import (
    Amount,
    Backtest,
    Combined,
    Compose,
    Costs,
    Data,
    Debt,
    Decide,
    Drift,
    Evaluate,
    Latency,
    Mandate,
    Monitor,
    Params,
    Performance,
    Schedule,
    Train,
    Trigger,
    Windows,
    parse,
    render,
)
from continual_nb.decisions.hindsight import (
    as_diff,
    by_iteration,
    brought,
    corrections,
    hindsight,
    missed,
    scored,
)
from continual_nb.decisions.impact import impact
from continual_nb.decisions.recommend import Recommendation, automatic
from continual_nb.decisions.trust import level_of, needed, standing, trust, trusted
from continual_nb.policy.triggers import Stack, blank

RULES = [
    Debt(),
    Debt(factor=2, sure=0),
    Schedule(every=3),
    Amount(count=500),
    Amount(count=800, of="rows"),
    Latency(price=0.01),
    Drift(),
    Drift(role="target", least=2),
    Performance(),
    Performance(of="loss", rule="rolling", level=0.05),
    Performance(of="loss", rule="quantile", level=0.7, windows=2),
    Performance(rule="quantile", level=0.5, windows=1),
]


def known(draw, n: int, k: int = 5):
    "Random evidence for n replays."
    some = lambda shape: np.where(draw.random(shape) < 0.2, np.nan, draw.normal(size=shape))
    return blank(
        n,
        k,
        number=draw.integers(1, 20, n).astype(float),
        since=draw.integers(1, 9, n).astype(float),
        rows=draw.integers(0, 1500, n).astype(float),
        labels=draw.integers(0, 900, n).astype(float),
        waited=draw.integers(0, 9000, n).astype(float),
        drifted=draw.integers(0, 4, (n, 3)),
        loss=some(n),
        skill_loss=some(n),
        excess=some(n),
        proven=draw.random(n) < 0.3,
        owed=10 * draw.random(n),
        lost=40 * draw.normal(size=n),
        unsure=10 * draw.random(n),
        events=np.full(n, 100.0),
        losses=some((n, k)),
        excesses=some((n, k + 1)),
        acted=draw.random((n, k)) < 0.3,
        price=1.0,
        cost=20.0,
        horizon=2,
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_many_triggers_at_once_say_what_each_says_alone(seed):
    draw, n = np.random.default_rng(seed), 25
    made = []
    for _ in range(n):
        names = [f"r{k}" for k in draw.choice(len(RULES), 3, replace=False)]
        rules = {name: RULES[int(name[1:])] for name in names}
        rules["pair"] = Combined(of=tuple(names[:2]), need=str(draw.choice(["any", "all", "most"])))
        rules["deep"] = Combined(of=("pair", names[2]), need=int(draw.integers(1, 3)))
        made.append(
            Trigger(
                when=str(draw.choice([*rules, "never"])),
                rules=rules,
                cool_down=int(draw.integers(0, 3)),
                warm_up=int(draw.integers(0, 4)),
                budget=int(draw.integers(1, 4)),
                budget_windows=int(draw.integers(2, 7)),
            )
        )
    e = known(draw, n)
    together = Stack(made).fires(e)
    assert together.tolist() == [
        bool(Stack([trigger]).fires(e.take(np.array([k])))[0]) for k, trigger in enumerate(made)
    ]


def test_missing_evidence_never_starts_an_update():
    for rule in RULES:
        if rule.kind in ("debt", "performance", "forecast"):
            assert not Stack([Trigger(when="r", rules={"r": rule})]).fires(blank(1, 3, cost=10.0))[
                0
            ], rule


def test_a_budget_counts_windows_and_lets_go_again():
    trigger = Trigger(when="r", rules={"r": Schedule(every=1)}, budget=2, budget_windows=4)
    fires = lambda acted: bool(
        Stack([trigger]).fires(blank(1, len(acted), since=1.0, acted=np.array([acted], bool)))[0]
    )
    assert not fires([1, 1, 0]) and fires([1, 0, 1, 0, 0]) and fires([])


@pytest.mark.parametrize(
    "bad, said",
    [
        ({"rules": {"a": {"kind": "combined", "of": ["b"]}}, "when": "a"}, "not written before it"),
        ({"when": "dept"}, "did you mean 'debt'"),
        ({"rules": {"debt": {"kind": "debt", "facto": 2}}}, "did you mean 'factor'"),
        ({"rules": {"debt": {"kind": "combined", "of": [], "need": 1}}}, "needs 1 of 0"),
    ],
)
def test_a_trigger_that_makes_no_sense_is_named(bad, said):
    with pytest.raises(ContinualError, match=said):
        parse(
            {
                "data": {"source": "-", "time": "t", "label": "y", "numeric": ["a"]},
                "decide": {"trigger": bad},
            }
        )


def test_params_with_every_kind_of_rule_survive_a_round_trip():
    from ruamel.yaml import YAML

    rules = {f"r{k}": rule for k, rule in enumerate(RULES)} | {
        "all": Combined(of=("r0", "r2"), need="all")
    }
    params = parse(
        {"data": {"source": "-", "time": "t", "label": "y", "numeric": ["a"]}}
    ).model_copy(update={"decide": Decide(trigger=Trigger(when="all", rules=rules))})
    assert parse(YAML(typ="safe").load(render(params))) == params


# -- the matrix --------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), groups=st.integers(8, 40))
def test_intervals_from_sums_are_the_intervals_from_rows(seed, groups):
    draw = np.random.default_rng(seed)
    day = np.concatenate([np.arange(groups), draw.integers(0, groups, 200)])
    values = draw.gamma(1, 1, len(day))
    found = interval_of_mean(values, day)
    mean, se, df = mean_and_se(np.bincount(day, values), np.bincount(day).astype(float))
    assert np.allclose((mean, se, df), (found.mean, found.se, found.df))


def little(T: int, seed: int, recipes: int = 1):
    draw = np.random.default_rng(seed)
    day, yes = np.repeat(np.arange(20), 5), np.ones(100, bool)
    cohorts = [
        Cohort(
            f"w{t:02d}",
            100,
            day,
            yes,
            t,
            {t: yes},
            {part: np.full(100, 0.9) for part in ("window", "seen", f"evaluation {t}")},
        )
        for t in range(T)
    ]
    models = [
        (
            i,
            f"r{r}",
            f"m{i}{r}",
            {
                j: 0.3
                + 0.05 * abs(j - i) * draw.random()
                + 0.05 * draw.random()
                + 0.1 * draw.normal(size=100)
                for j in range(i, T)
            },
        )
        for i in range(T)
        for r in range(recipes)
    ]
    return assemble(cohorts, np.arange(T), models)


FORM = Decide(costs=Costs(loss=1.0, update=4.0, review=1.0, rollout=0.5))


def every_schedule(matrix, look, wait):
    best, T = math.inf, len(matrix.windows)
    options = [[-1, *np.flatnonzero(matrix.made == t)] for t in range(look.begin + 1, T)]
    for plan in itertools.product(*options):
        champion, pending, serves, cost = look.champion, -1, -1, 0.0
        for t, change in zip(range(look.begin + 1, T), plan):
            champion, pending = (
                (pending, -1) if pending >= 0 and serves <= t else (champion, pending)
            )
            cost += look.pay[champion, t]
            if change >= 0 and pending < 0:
                pending, serves, cost = change, t + 1 + wait, cost + FORM.costs.change
        best = min(best, cost)
    return best


@pytest.mark.parametrize("seed, wait", [*itertools.product(range(3), (0, 1, 2))])
def test_the_oracle_is_the_cheapest_of_all_schedules(seed, wait):
    matrix = little(7, seed, recipes=2)
    look = tables(matrix, FORM, Monitor(), Evaluate(min_rows=10))
    assert math.isclose(
        oracle(matrix, look, FORM, wait)[0].sum(), every_schedule(matrix, look, wait)
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), wait=st.integers(0, 3))
def test_no_policy_beats_the_oracle(seed, wait):
    matrix, draw = little(16, seed), np.random.default_rng(seed)
    look = tables(matrix, FORM, Monitor(), Evaluate(min_rows=10))
    some = [
        Trigger(when="r", rules={"r": RULES[k]}, cool_down=int(draw.integers(0, 4)))
        for k in draw.integers(0, len(RULES), 12)
    ]
    made = walk(matrix, look, FORM, [*usual().values(), *some], wait)
    assert (made.money.sum(axis=1) >= oracle(matrix, look, FORM, wait)[0].sum() - 1e-9).all()


def test_a_model_serves_only_after_its_review():
    matrix = little(14, 3)
    look = tables(matrix, FORM, Monitor(), Evaluate(min_rows=10))
    always = [usual()["always"]]
    for wait in (0, 2):
        made = walk(matrix, look, FORM, always, wait)
        for t in np.flatnonzero(made.promoted[0][:-1]):
            changes = [s for s in range(t + 1, 14) if made.serving[0, s] != made.serving[0, t]]
            assert not changes or changes[0] == t + 1 + wait


def test_policies_whose_intervals_overlap_share_a_rank():
    assert ranks(
        np.array([1.0, 2.0, 3.0, 9.0]),
        np.array([0.0, 1.5, 2.6, 8.0]),
        np.array([2.5, 3.0, 4.0, 10.0]),
    ).tolist() == [1, 1, 3, 4]


# -- the same history, fast and exact ----------------------------------------------------------------


def orders(
    turn: bool = True, delay: str = "12h", seed: int = 11, weeks: int = 10
) -> tuple[Params, object]:
    "Weeks of orders; in the fifth the sign of the effect turns around."
    draw, n = np.random.default_rng(seed), weeks * 500
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=n, freq=pd.Timedelta(weeks=weeks) / n),
            "price": draw.normal(size=n),
            "shop": draw.choice(["north", "south"], n),
        }
    )
    effect = np.where(np.arange(n) < 4 * 500, 1.5, -1.5 if turn else 1.5)
    frame["returned"] = (draw.random(n) < 1 / (1 + np.exp(-effect * frame.price))).astype(int)
    params = Params(
        project="orders",
        data=Data(
            source="orders",
            time="when",
            label="returned",
            label_delay=delay,
            numeric=("price",),
            categorical=("shop",),
        ),
        windows=Windows(every="week"),
        decide=Decide(recalibrate=None, costs=Costs(loss=1.0, update=20, review=5)),
        train=Train(models=["linear"]),
        compose=Compose(recipes={"all": ["all"], "recent": [{"last_windows": {"windows": 1}}]}),
        backtest=Backtest(engine="threading"),
    )
    return params, delivered(frame, params.data)


@pytest.mark.parametrize("delay", ["12h", "9d"])
def test_the_fast_walk_takes_the_steps_of_the_exact_fold(delay):
    params, source = orders(delay=delay)
    plain = {"train": params.train.model_copy(update={"refit": False})}
    plain |= {"decide": params.decide.model_copy(update={"gains": None})}
    params = params.model_copy(update=plain)
    matrix, turns = build(params, source), fold(params, source)
    assert {card.hash for t in turns for card in t.training.challengers} <= set(matrix.hash)
    found = gap(matrix, params, turns)
    assert found.same_actions == found.same_champions == found.windows and found.differ == ()
    assert found.largest is None or found.largest < 1e-9
    if delay == "12h":
        assert math.isclose(found.fast, found.exact, rel_tol=1e-9)


def test_the_first_model_has_to_beat_what_its_own_labels_would_have_answered():
    "A constant answer that only the evaluation rows know is hindsight: where the share of outcomes moves, it is hard to beat."
    draw, n, weeks = np.random.default_rng(3), 500, 6
    week = np.arange(weeks * n) // n
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=weeks * n, freq=pd.Timedelta(weeks=1) / n),
            "price": draw.normal(size=weeks * n),
            "shop": draw.choice(["north", "south"], weeks * n),
        }
    )
    half = np.arange(weeks * n) % n >= n // 2
    frame["returned"] = (
        draw.random(weeks * n)
        < 1 / (1 + np.exp(-(frame.price - 1.5 + np.where(half & (week == 0), 1.2, 0.0))))
    ).astype(int)
    params, source = orders(weeks=weeks)[0], delivered(frame, orders(weeks=weeks)[0].data)
    decide = params.decide.model_copy(update={"gains": None})  # which the fast walk does not know
    params = params.model_copy(update={"decide": decide})
    found = gap(build(params, source), params, turns := fold(params, source))
    assert found.answers[0][2] == "promoted" and found.same_champions == found.windows, turns[
        0
    ].evaluation.reason


def test_a_gap_is_explained():
    "Corrections depend on the path, so the fast walk does not know them; the gap says so."
    draw, weeks, n = np.random.default_rng(5), 8, 500
    week = np.arange(weeks * n) // n
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=weeks * n, freq=pd.Timedelta(weeks=1) / n),
            "price": draw.normal(size=weeks * n),
            "shop": draw.choice(["north", "south"], weeks * n),
        }
    )
    frame["returned"] = (
        draw.random(weeks * n)
        < 1 / (1 + np.exp(1 - 1.5 * frame.price - np.where(week >= 4, 2.0, 0)))
    ).astype(int)
    params, source = orders(weeks=weeks)[0], delivered(frame, orders(weeks=weeks)[0].data)
    dear = params.decide.costs.model_copy(update={"update": 150.0})
    decide = params.decide.model_copy(update={"recalibrate": 0.5, "costs": dear})
    params = params.model_copy(update={"decide": decide})
    found = gap(build(params, source), params, fold(params, source))
    assert any("corrects answers" in why for *_, why in found.differ) and not any(
        why == "not explained" for *_, why in found.differ
    )
    assert found.exact != found.fast


def test_labels_that_are_not_mature_are_not_seen():
    params, source = orders(delay="9d")
    matrix = build(params, source, drift=False)
    assert all(first == -1 or first > t for t, first in enumerate(matrix.first))
    early = build(orders(delay="12h")[0], orders(delay="12h")[1], drift=False)
    assert [first for first in early.first if first >= 0] == [
        t for t, first in enumerate(early.first) if first >= 0
    ]


def test_two_local_workers_give_the_same_matrix():
    params, source = orders(weeks=6)
    two = params.model_copy(update={"backtest": Backtest(engine="loky", workers=2)})
    here, there = build(params, source), build(two, source)
    assert here.hash == there.hash and np.array_equal(here.pe(), there.pe(), equal_nan=True)
    assert np.array_equal(here.drifted, there.drifted)


@pytest.mark.parametrize(
    "engine, said",
    [("laki", "joblib knows no engine"), *([] if find_spec("ray") else [("ray", "not installed")])],
)
def test_an_engine_that_is_not_there_is_named(engine, said):
    params, source = orders(weeks=5)
    with pytest.raises(ContinualError, match=said):
        build(params.model_copy(update={"backtest": Backtest(engine=engine)}), source, drift=False)


def test_a_backtest_tells_its_story(tmp_path):
    params, source = orders()
    (tmp_path / "quarterly.yaml").write_text(
        "when: old\nrules:\n  old: {kind: schedule, every: 3}\n"
    )
    (tmp_path / "broken.yaml").write_text("when: old\nrules:\n  old: {kind: schedule, evry: 3}\n")
    result = compared(
        build(params, source),
        params,
        {
            TODAY: params.decide.trigger,
            **usual((2,)),
            "quarterly": from_file(tmp_path / "quarterly.yaml"),
        },
    )
    never, today = (next(p for p in result.policies if p.name == name) for name in ("never", TODAY))
    assert (
        today.cost < never.cost
        and today.promoted >= 1
        and all(p.regret >= 0 for p in result.policies)
    )
    assert (
        result.policies[0].rank == 1
        and "oracle" in result.plot().alt
        and TODAY in result.plot().alt
    )
    assert json.loads(result.to_json())["chosen"] == result.chosen
    with pytest.raises(ContinualError, match="broken.yaml.*evry"):
        from_file(tmp_path / "broken.yaml")


# -- hindsight, trust, impact ------------------------------------------------------------------------

PARAMS = parse(
    {
        "project": "p",
        "data": {"source": "-", "time": "t", "label": "y", "numeric": ["a"]},
        "decide": {"horizon": 2, "costs": {"loss": 1.0, "update": 50, "review": 5}},
        "promote": {"mandate": {"trust": "earned", "for_people": 0}},
    }
)


def told(
    iteration,
    answer="kept",
    champion="a",
    previous="a",
    ghosts=(),
    gains=(),
    excess=None,
    alerts=(),
    action="continue",
    spread=0.02,
    automatic=False,
    page="p",
    reason=None,
    minutes=5,
    se=0.005,
):
    "Four entries of one iteration."
    about, around = (
        {"iteration": iteration, "window": f"w{iteration:03d}"},
        (None, None) if excess is None else (excess - spread, excess + spread),
    )
    return [
        {
            **about,
            "kind": "seen",
            "alerts": list(alerts),
            "events": 1000,
            "mature": 900,
            "excess": excess,
            "excess_low": around[0],
            "excess_high": around[1],
        },
        {
            **about,
            "kind": "proposal",
            "action": action,
            "policy": action,
            "gain": None,
            "steered_by": "",
            "steer_reason": "",
            "debt": 0,
            "means": "none",
        },
        {
            **about,
            "kind": "evaluation",
            "answer": "skipped",
            "candidate": None,
            "cohort": f"w{iteration:03d}",
            "rows": 500,
            "gains": list(gains),
            "ghosts": [dict(challenger=g, gain=v, se=se) for g, v in ghosts],
            "fresh": None,
            "owed": 0,
        },
        {
            **about,
            "kind": "decision",
            "answer": answer,
            "by": "Ada",
            "automatic": automatic,
            "champion": champion,
            "previous": previous,
            "page": page,
            "minutes": minutes,
            "verified": True,
            "reason": reason or f"looked at {iteration}",
        },
    ]


def promotions(n: int, true: float, promised: float, draw, automatic=False, noise=0.004) -> tuple:
    "n promotions, each promised and each followed by one iteration that measures it."
    entries, champion = told(1, "promoted", "m0", None), "m0"
    for k in range(1, n + 1):
        new = f"m{k}"
        entries += told(
            2 * k,
            "promoted",
            new,
            champion,
            gains=[
                {
                    "challenger": new,
                    "gain": promised + draw.normal(0, noise),
                    "low": 0.0,
                    "high": 0.1,
                    "se": noise,
                }
            ],
            action="improve",
            automatic=automatic,
        )
        entries += told(
            2 * k + 1,
            champion=new,
            previous=new,
            ghosts=[(champion, -true + draw.normal(0, noise))],
        )
        champion = new
    return tuple(entries)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_planted_optimism_is_found_and_corrected(share):
    ledger = promotions(12, 0.04 * share, 0.04, np.random.default_rng(int(share * 10)))
    found = {one.key: one.proposed for one in corrections(ledger, PARAMS)}
    assert abs(found["decide.shrink"] - share) < 0.1
    accepted = PARAMS.model_copy(
        update={"decide": PARAMS.decide.model_copy(update={"shrink": found["decide.shrink"]})}
    )
    assert corrections(ledger, accepted) == ()
    diff = as_diff(corrections(ledger, PARAMS), render(PARAMS))
    assert f"+  shrink: {found['decide.shrink']}" in diff and diff.count("\n-  ") == 1


def test_promises_that_hold_are_left_alone():
    held = PARAMS.model_copy(update={"decide": PARAMS.decide.model_copy(update={"shrink": 1.0})})
    assert (
        corrections(promotions(15, 0.04, 0.04, np.random.default_rng(1), noise=0.001), held) == ()
    )


def test_a_noisy_monitor_is_demoted_and_a_loud_loss_never():
    quiet = [
        {"kind": kind, "severity": "look", "title": "-", "columns": []}
        for kind in ("features", "performance")
    ]
    ledger = tuple(sum([told(k, excess=-0.05, alerts=quiet) for k in range(1, 16)], []))
    assert [one.key for one in corrections(ledger, PARAMS)] == ["monitor.min_effect"]
    right = tuple(sum([told(k, excess=0.05, alerts=quiet) for k in range(1, 16)], []))
    assert corrections(right, PARAMS) == ()


def test_doing_nothing_is_scored_too():
    ledger = tuple(
        sum(
            [
                told(1, excess=0.0),
                told(2, excess=0.09),
                told(3, excess=0.09),
                told(4, excess=0.0),
                told(5, excess=0.0),
                told(6, excess=0.0),
            ],
            [],
        )
    )
    looked = scored(ledger, PARAMS)
    assert [one.verdict for one in looked[:4]] == ["right", "wrong", "right", "right"] and looked[
        -1
    ].verdict == "too early"


def test_harm_without_an_alert_is_missed_whoever_muted_it():
    loud = [{"kind": "performance", "severity": "harm", "title": "-", "columns": []}]
    assert missed(tuple(told(1, excess=0.1, alerts=loud) + told(2, excess=0.1)))[:2] == (2, 1)


def test_the_ladder_is_the_one_of_the_beta_binomial():
    assert [needed(level, 0, 0) for level in ("pre-approved", "shadow", "automatic")] == [
        10,
        21,
        44,
    ]
    assert [needed(level, 0, 1) for level in ("pre-approved", "shadow", "automatic")] == [
        16,
        36,
        75,
    ]
    assert [level_of(n, 0) for n in (9, 10, 20, 21, 43, 44)] == [
        "propose",
        "pre-approved",
        "pre-approved",
        "shadow",
        "shadow",
        "automatic",
    ]


def test_trust_is_earned_by_people_withdrawn_by_harm_and_honoured_by_the_signer():
    draw = np.random.default_rng(2)
    earned = promotions(45, 0.03, 0.03, draw)
    assert trusted(earned, PARAMS, 99) == {"promote"}
    assert trusted(promotions(45, 0.03, 0.03, draw, automatic=True), PARAMS, 99) == frozenset()
    last = max(e["iteration"] for e in earned)
    harmful = (
        *earned,
        *told(last + 1, "promoted", "bad", "m45", action="improve", automatic=True),
        *told(last + 2, champion="bad", previous="bad", ghosts=[("m45", 0.08)]),
    )
    assert (
        standing(scored(harmful, PARAMS))[0].level == "propose"
        and trusted(harmful, PARAMS, 99) == frozenset()
    )
    advice = Recommendation(do="promote", model="m9", sentence="-")
    sign = lambda ledger: (
        automatic(
            advice, Mandate(trust="earned"), "m8", {}, "", trusted(ledger, PARAMS, 99)
        ).verdict
    )
    assert (
        sign(earned),
        sign(harmful),
        automatic(advice, Mandate(), "m8", {}, "", None).verdict,
    ) == ("approve", "defer", "approve")


def test_a_share_of_the_decisions_stays_with_people():
    earned = promotions(45, 0.03, 0.03, np.random.default_rng(2))
    some = PARAMS.model_copy(
        update={
            "promote": PARAMS.promote.model_copy(
                update={"mandate": Mandate(trust="earned", for_people=0.3)}
            )
        }
    )
    kept = sum(trusted(earned, some, k) == frozenset() for k in range(100, 300))
    assert 40 <= kept <= 80


LOUD = [{"kind": "performance", "severity": "harm", "title": "-", "columns": []}]


@pytest.mark.parametrize(
    "sabotage, said",
    [
        (dict(excess=0.09, alerts=()), "raised no alert"),
        (dict(excess=0.0, page=None, reason="ok"), "without looking"),
        (dict(excess=0.0, minutes=0.2), "without looking"),
        (dict(excess=None), "quality was not known"),
    ],
)
def test_sabotage_makes_trust_fall_for_the_stated_reason(sabotage, said):
    good = sum(
        [
            told(k, excess=0.09 if k % 5 == 0 else -0.05, alerts=LOUD if k % 5 == 0 else ())
            for k in range(1, 16)
        ],
        [],
    )
    bad = sum([told(k, **sabotage) for k in range(16, 20)], [])
    before, after = trust(tuple(good), PARAMS), trust(tuple(good + bad), PARAMS)
    assert after.score < before.score - 3 and any(said in reason for reason in after.reasons)


def test_approving_harm_makes_trust_fall_for_that_reason():
    good, bad = promotions(12, 0.03, 0.03, np.random.default_rng(4)), []
    champion, at = "m12", 26
    for k in range(3):
        bad += told(at + 2 * k, "promoted", f"h{k}", champion, action="improve") + told(
            at + 2 * k + 1, champion=f"h{k}", previous=f"h{k}", ghosts=[(champion, 0.06)]
        )
        champion = f"h{k}"
    falls = [trust((*good, *bad[: 4 * n]), PARAMS) for n in (0, 2, 4, 6)]
    assert falls[0].score > falls[1].score > falls[2].score > falls[3].score
    assert any("did harm" in reason for reason in falls[3].reasons)


def test_impacts_add_up_to_the_frozen_first_model():
    ledger = promotions(5, 0.02, 0.02, np.random.default_rng(7))
    found = impact(ledger, PARAMS)
    assert math.isclose(found.money, sum(u.money for u in found.updates), abs_tol=1e-6)
    for update, at in zip(found.updates, range(1, len(found.updates) + 1)):
        turns = by_iteration(ledger)
        here = next(
            k for k, t in enumerate(turns) if t["decision"]["iteration"] == update.iteration
        )
        gain, _, rows = brought(turns, here, update.old, update.new)
        assert math.isclose(update.gain, gain, abs_tol=1e-9) and update.windows == rows // 500


def test_without_change_the_intervals_of_impact_cover_zero():
    covered = total = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        entries, champion, former = told(1, "promoted", "m0", None), "m0", []
        for k in range(1, 13):
            ghosts = [(g, draw.normal(0, 0.005)) for g in former]
            if k == 3:
                former, champion = [champion], "m1"
                entries += told(k + 1, "promoted", "m1", "m0", action="improve")
            else:
                entries += told(k + 1, champion=champion, previous=champion, ghosts=ghosts)
        found = impact(tuple(entries), PARAMS)
        covered, total = covered + (found.money_low <= 0 <= found.money_high), total + 1
    assert covered / total >= 0.88


def test_hindsight_survives_a_ledger_of_before():
    "Entries written before ghosts and excess were kept."
    old = [
        {
            k: v
            for k, v in entry.items()
            if k
            not in (
                "ghosts",
                "cohort",
                "rows",
                "excess",
                "excess_low",
                "excess_high",
                "events",
                "fresh",
                "owed",
            )
        }
        for entry in told(1, "promoted", "a", None) + told(2)
    ]
    found = hindsight(tuple(old), PARAMS)
    assert (
        len(found.decisions) == 2
        and impact(tuple(old), PARAMS).updates == ()
        and trust(tuple(old), PARAMS).judged == 0
    )


def test_a_break_after_a_decision_is_not_held_against_it():
    calm = sum([told(k, excess=0.0) for k in range(1, 4)], [])
    broken = sum([told(k, excess=0.2) for k in range(4, 8)], [])
    looked = scored(tuple(calm + broken), PARAMS)
    assert [one.verdict for one in looked[:3]] == ["right"] * 3 and looked[3].verdict == "wrong"
    assert looked[2].realised == 0


def test_trust_is_silent_until_ten_decisions_have_been_judged():
    for n in (5, 9, 14, 20):
        found = trust(tuple(sum([told(k, excess=-0.05) for k in range(1, n + 1)], [])), PARAMS)
        assert (found.score is None) == (found.judged < 10) and found.decisions == n
        assert f"{found.judged} of {n}" in found.section().lead


# -- a policy to propose -----------------------------------------------------------------------------


def never_updated(turn: bool) -> tuple[Params, object]:
    "Orders with cheap updates under a policy that never tries one."
    params, source = orders(turn, weeks=14)
    costs = Costs(loss=1.0, update=5, review=5)
    about = {"trigger": Trigger(when="never"), "costs": costs, "gains": None}
    decide = params.decide.model_copy(update=about)
    recipes = Compose(recipes={"recent": [{"last_windows": {"windows": 1}}]})
    return params.model_copy(update={"decide": decide, "compose": recipes}), source


@pytest.mark.parametrize("turn", [True, False])
def test_a_policy_is_proposed_only_if_exact_replays_prove_it_on_the_second_half(turn):
    params, source = never_updated(turn)
    matrix = build(params, source)
    known = {TODAY: params.decide.trigger, **usual()}
    found = compared(matrix, params, known)
    offer = ahead_of_today(matrix, params, found, known, lambda form: fold(form, source))
    if not turn:  # an update buys nothing here
        assert offer.answer in ("today's policy", "not proven"), offer
        return
    assert offer.answer == "ahead" and offer.low > 0 and offer.changes[1] > offer.changes[0] == 1
    change = as_change(offer.policy, known[offer.policy], params.decide.trigger)
    after = with_changes(params, {"decide": {"trigger": change}}).decide.trigger
    rule = after.rules[after.when]
    assert rule == known[offer.policy].rules[known[offer.policy].when]
    assert "both replayed exactly" in offer.sentence


def test_too_short_a_history_proposes_no_policy():
    params, source = orders(weeks=6)
    known = {TODAY: params.decide.trigger, **usual()}
    matrix = build(params, source)
    offer = ahead_of_today(matrix, params, compared(matrix, params, known), known, None)
    assert offer.answer == "not enough data" and "at least 6" in offer.sentence


def test_every_usual_policy_can_be_written_into_params():
    for name, policy in usual().items():
        change = as_change(name, policy, Trigger())
        after = with_changes(PARAMS, {"decide": {"trigger": change}}).decide.trigger
        assert after.when == change["when"] and after.warm_up == policy.warm_up


# -- the commands ------------------------------------------------------------------------------------


def test_the_backtest_command_proposes_or_says_why_not(twice):
    found = json.loads(twice.continual("backtest", "--propose", "--json").out)
    assert found["answer"] == "not enough data" and found["diff"] == ""
    refused = twice.continual("backtest", "--propose", "--exact", code=None)
    assert refused.code and "leave out --exact" in refused.out + refused.err


def test_the_ledger_command_looks_back_and_changes_nothing(twice):
    before = twice.bytes("data")
    looked = json.loads(twice.continual("ledger", "--json").out)
    assert [one["iteration"] for one in looked["hindsight"]["decisions"]] == [1, 2]
    assert (
        looked["impact"]["first"]
        and looked["trust"]["score"] is None  # two decisions are no record
        and looked["trust"]["standing"][0]["right"] == 0
    )  # replayed decisions earn nothing
    assert "no change of params.yaml" in twice.continual("ledger", "--propose").out
    said = twice.continual("ledger").out
    assert "Earlier decisions in hindsight" in said and "Track record" in said
    assert twice.bytes("data") == before


def test_what_promote_writes_is_what_the_ledger_command_shows(twice):
    looked = json.loads(twice.continual("ledger", "--json").out)
    for name in ("hindsight", "impact", "trust"):
        assert twice.json(f"data/work/promote/{name}.json") == with_schema(looked[name])


def test_the_backtest_command(twice, tmp_path):
    policy = tmp_path / "slow.yaml"
    policy.write_text("when: old\nrules:\n  old: {kind: schedule, every: 2}\n")
    said = twice.continual(
        "backtest",
        "--policy",
        str(policy),
        "--exact",
        "--json",
        "--html",
        str(tmp_path / "backtest.html"),
    )
    found = json.loads(said.out)
    assert {"slow", "never", "always", TODAY} <= {p["name"] for p in found["policies"]}
    assert found["gap"]["windows"] == 4 and all(
        why != "not explained" for *_, why in found["gap"]["differ"]
    ), found["gap"]
    page = (tmp_path / "backtest.html").read_text()
    assert (
        "When should we have updated?" in page
        and "data:image/png" in page
        and "http" not in page.split("</head>")[1]
    )
