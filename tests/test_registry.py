"Which model was in production when, by whose signature: read from the sealed records and nothing else."

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continual_nb.core.files import ContinualError
from continual_nb.core.params import read_yaml
from continual_nb.loop.registry import Registry, moment_in, projects_beside, stays_in

BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)


def recorded(place, models: list[str | None], deployed: str | None = None):
    "Sealed records in which one model after the other is in production; None: there is none yet."
    before = deployed
    for number, model in enumerate(models, 1):
        folder = place / f"{number:03d}-w{number}/evidence"
        folder.mkdir(parents=True)
        after = model or before
        told = dict(previous=before, champion=after, by=f"signer {number}", answer="promoted")
        (folder / "outcome.json").write_text(json.dumps(told))
        signed = (BEGIN + timedelta(days=number)).isoformat()
        (folder / "decision.yaml").write_text(f'signed_at: "{signed}"\n')
        before = after
    return place


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12), st.sampled_from([None, "d"]))
def test_every_day_has_the_model_that_was_signed_last(tmp_path_factory, models, deployed):
    found = Registry(
        project="p", stays=stays_in(recorded(tmp_path_factory.mktemp("r"), models, deployed))
    )
    inside = deployed
    for number in range(1, len(models) + 1):
        before = found.on(BEGIN + timedelta(days=number, seconds=-1))
        if models:
            assert (before.model if before else None) == inside
        inside = models[number - 1] or inside
        after = found.on(BEGIN + timedelta(days=number))
        assert (after.model if after else None) == inside
    assert all(a.until == b.since for a, b in zip(found.stays, found.stays[1:]))
    assert all(a.model != b.model for a, b in zip(found.stays, found.stays[1:]))
    if found.stays:
        assert found.stays[-1].until is None and found.place(found.stays[-1].model) == "production"
        assert found.lines()[0].startswith("production")


def test_records_come_in_the_order_of_their_numbers(tmp_path):
    recorded(tmp_path, ["a"])
    (tmp_path / "001-w1").rename(tmp_path / "999-w1")
    recorded(tmp_path, ["a", "b"])
    (tmp_path / "002-w2").rename(tmp_path / "1000-w2")
    assert [stay.iteration for stay in stays_in(tmp_path)][-1] == "1000-w2"


def test_a_day_means_its_end_and_other_words_are_named():
    assert moment_in("2024-03-15").hour == 23 and moment_in("2024-03-15T12:00").hour == 12
    assert moment_in("2024-03-15T12:00+02:00").utcoffset() == timedelta(hours=2)
    with pytest.raises(ContinualError, match="'yesterday' is no day") as caught:
        moment_in("yesterday")
    assert "2024-03-15" in caught.value.remedy


def test_the_command_names_models_and_signatures(twice):
    said = twice.continual("models").out
    state = twice.json("data/state/out/state.json")
    assert said.startswith(f"production  {state['champion'][:12]}  signed by ")
    assert "iteration 002-2024-02" in said and "now" in said
    for name in ("001-2024-01", "002-2024-02"):
        evidence = twice.path(f"reports/{name}/evidence")
        model = json.loads((evidence / "outcome.json").read_text())["champion"]
        signed = read_yaml(evidence / "decision.yaml")["signed_at"]
        assert f"{model[:12]}  " in said and f"in iteration {name}" in said
    on = twice.continual("models", "--on", signed).out
    assert model[:12] in on and "in iteration 002-2024-02" in on
    assert "no model yet" in twice.continual("models", "--on", "2023-12-31", code=2).out
    assert "is no day" in twice.continual("models", "--on", "soon", code=1).err
    every = twice.continual("models", "--all").out
    assert every.startswith("[") and model[:12] in every
    assert twice.root in projects_beside(twice.root)
