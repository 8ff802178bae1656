"A share of events is read by a second person, blind; agreement has intervals that hold."

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continual_nb.composition.labels import FACT, agreement, cohen_kappa, second_readings
from continual_nb.core.files import ContinualError
from continual_nb.core.windows import Cadence
from continual_nb.loop.labels import answers, label_facts, record_facts
from continual_nb.loop.project import Project
from continual_nb.loop.queue import fill_in


def facts_of(**people) -> pd.DataFrame:
    "What people said of events e0, e1, ...; None: nothing."
    rows = [
        (f"e{k}", value, name, "2024-01-01", "person")
        for name, values in people.items()
        for k, value in enumerate(values)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=FACT)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.floats(0, 1), st.floats(0, 1))
def test_who_is_read_twice_depends_on_id_and_seed_alone(seed, one, other):
    ids = [f"order {k}" for k in range(3000)]
    mixed = ids[::-1]
    drawn = {share: dict(zip(ids, second_readings(ids, share, seed))) for share in (one, other)}
    assert drawn[one] == dict(zip(mixed, second_readings(mixed, one, seed)))
    small, large = sorted((one, other))
    assert all(drawn[large][name] for name in ids if drawn[small][name])
    spread = 5 * np.sqrt(one * (1 - one) / 3000) + 1e-9
    assert abs(np.mean(list(drawn[one].values())) - one) <= spread


def test_intervals_of_agreement_hold_what_they_promise():
    rng, hits, kappas = np.random.default_rng(3), [], []
    for _ in range(300):
        true = rng.random(120) < 0.4
        a, b = (np.where(rng.random(120) < 0.15, ~true, true) for _ in range(2))
        found = agreement(facts_of(Ana=a.astype(str), Ben=b.astype(str)), resamples=200)
        # both err alike: they agree with .85^2 + .15^2, and say yes in .85 * .4 + .15 * .6
        yes = 0.85 * 0.4 + 0.15 * 0.6
        chance = yes**2 + (1 - yes) ** 2
        truth = (0.85**2 + 0.15**2 - chance) / (1 - chance)
        hits.append(found.overall.low <= truth <= found.overall.high)
        pair = found.pairs["Ana and Ben"]
        kappas.append(pair.low <= truth <= pair.high)
        assert pair.value == pytest.approx(cohen_kappa(a, b), abs=1e-6)
    assert 0.90 <= np.mean(hits) <= 0.985 and 0.90 <= np.mean(kappas) <= 0.985


def test_perfect_agreement_on_a_few_events_is_not_certain():
    few, many = (["a", "b"] * n for n in (10, 500))
    small, large = (agreement(facts_of(Ana=said, Ben=said)).overall for said in (few, many))
    assert small.value == large.value == 1 and small.high == 1
    assert small.low == pytest.approx(1 - (1 - 0.025 ** (1 / 20)) / 0.5, abs=0.03)
    assert 0.98 < large.low < 1


def test_agreement_by_labeller_and_slice_finds_who_and_where():
    rng = np.random.default_rng(5)
    true = rng.choice(["late", "fine"], 600)
    north = np.arange(600) < 300
    careless = np.where(rng.random(600) < 0.5, rng.choice(["late", "fine"], 600), true)
    said = facts_of(
        Ana=np.where(north, true, careless),
        Ben=[*true[:400], *[None] * 200],
        Cyd=[*[None] * 400, *true[400:]],
    )
    slices = pd.DataFrame(
        {"event_id": [f"e{k}" for k in range(600)], "desk": np.where(north, "north", "south")}
    )
    found = agreement(said, slices=slices)
    assert found.by_slice["desk=north"].value == 1
    assert found.by_slice["desk=south"].high < found.by_slice["desk=north"].low
    assert found.by_labeller["Cyd"].high < found.by_labeller["Ben"].low
    few = agreement(said.head(5), slices=slices)
    assert few.overall.events == 0 and few.by_slice == few.by_labeller == {}


@pytest.fixture
def desk(tmp_path):
    "Ana has answered three events, of which two are read a second time."
    folder = tmp_path / "data/labels"
    (folder / "second").mkdir(parents=True)
    lines = "event_id,label,by\ne1,late,Ana\ne2,fine,Ana\ne3,late,Ana\n"
    (folder / "001-2024-01.csv").write_text(lines)
    return Project(tmp_path), folder / "second/001-2024-01.csv"


def known(project) -> dict[str, str]:
    from continual_nb.core.params import Data

    data = Data(source="-", time="t", label="y", numeric=("x",))
    return answers(project, data, Cadence("month")).set_index("event_id")["label"].to_dict()


def test_a_second_reading_confirms_or_holds_back_and_nobody_reads_twice(desk):
    project, second = desk
    second.write_text("event_id,label,by\ne1,late,Ben\ne2,late,Ben\n")
    assert record_facts(project) == 5 and record_facts(project) == 0
    assert known(project) == {"e1": "late", "e3": "late"}, "of e2 a third person decides"
    second.write_text("event_id,label,by\ne1,fine,Ana\ne2,late,\n")
    assert record_facts(project) == 0, "neither the same person nor a nameless one is a second"
    assert set(label_facts(project)["by"]) == {"Ana", "Ben"}


def test_the_form_refuses_the_person_who_gave_the_first_answer(desk):
    _, second = desk
    second.write_text("event_id,label,by\ne1,,\ne2,,\n")
    with pytest.raises(ContinualError, match="Ana has given the first answer for event e1"):
        fill_in(second, "e1", "late", "Ana", ("fine", "late"), ("", ""))
    fill_in(second, "e1", "late", "Ben", ("fine", "late"), ("", ""))
    assert "e1,late,Ben" in second.read_text()


def test_a_project_asks_a_share_twice_and_measures_agreement(approved, copy):
    loop = copy(approved)
    text = loop.path("params.yaml").read_text()
    form = text.replace("double_share: 0.0", "double_share: 0.5")
    loop.path("params.yaml").write_text(form)
    assert form != text
    said = loop.continual("labels").out
    assert "data/labels/second/001-2024-01.csv" in said and "labelling(second=True)" in said
    main, second = (loop.path(f"data/labels{x}/001-2024-01.csv") for x in ("", "/second"))
    read = lambda path: pd.read_csv(path, dtype="str", keep_default_na=False)
    first, again = read(main), read(second)
    assert 0 < len(again) < len(first) and set(again["event_id"]) <= set(first["event_id"])
    first[["label", "by"]] = "1", "Ana"
    first.to_csv(main, index=False)
    loop.continual("labels")
    blind = read(second)
    assert (blind["label"] == "").all() and (blind["by"] == "").all()
    blind["label"], blind["by"] = "1", "Ben"
    blind.loc[0, "label"] = "0"
    blind.loc[1, "by"] = "Ana"
    blind.to_csv(second, index=False)
    loop.continual("labels")
    waiting = read(main).iloc[0]
    assert (waiting["event_id"], waiting["label"]) == (blind["event_id"][0], "")
    names = read(second).set_index("event_id")["by"][blind["event_id"]]
    assert names.tolist() == ["Ben", "", *["Ben"] * (len(blind) - 2)]
    status = loop.continual("labels", "status").out
    assert f"second readings: {len(blind)} asked for, 1 open" in status
    assert f"on {len(blind) - 1} events" in status
    tasks = loop.continual("labels", "export", "--to", "label-studio", "--second").out
    assert "1 tasks for Label Studio" in tasks and "001-2024-01-second.json" in tasks
