"""Readers' comments: chained, never lost, in the ledger from the next repro on, and on the next page."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def ledger(loop) -> list[dict]:
    return [
        json.loads(line)
        for line in loop.path("data/state/out/ledger.jsonl").read_text().splitlines()
    ]


def said(loop) -> list[dict]:
    return [json.loads(line) for line in loop.path("data/feedback.jsonl").read_text().splitlines()]


def test_feedback_on_an_open_iteration_is_heard_at_once(copy, turned):
    loop = copy(turned)
    loop.continual("feedback", "--by", "Grace", "--text", "Say what an error costs.")
    stale = {
        name for name in json.loads(loop.dvc("status", "--json").out) if not name.endswith(".dvc")
    }
    assert stale == {"promote"}, "the evidence is not touched"
    loop.dvc("repro")
    entry = next(one for one in ledger(loop) if one["kind"] == "feedback")
    assert (entry["by"], entry["verified"], entry["text"], entry["about"], entry["iteration"]) == (
        "Grace",
        False,
        "Say what an error costs.",
        1,
        1,
    )
    page = loop.path("data/work/report/report.html").read_text()
    assert (
        "Say what an error costs." in page
        and "Grace (name unverified)" in page
        and loop.json("data/work/report/summary.json")["feedback"] == 1
    )
    loop.dvc("repro")
    assert sum(one["kind"] == "feedback" for one in ledger(loop)) == 1


def test_feedback_on_a_sealed_iteration_leaves_it_alone_and_shows_in_the_next(copy, sealed):
    loop = copy(sealed)
    loop.continual(
        "feedback", "--by", "continual", "--text", "Look at the south.", "--iteration", "001"
    )
    assert json.loads(loop.dvc("status", "--json").out or "{}") == {}, (
        "a sealed iteration does not become stale"
    )
    loop.continual("verify")
    loop.continual("open")
    loop.continual("run", "--until", "2024-02")
    entry = [one for one in ledger(loop) if one["kind"] == "feedback"]
    assert [(one["about"], one["iteration"], one["verified"]) for one in entry] == [(1, 2, False)]
    page = (next(loop.path("reports").glob("002-*")) / "report.html").read_text()
    assert (
        "Look at the south." in page
        and "Look at the south."
        not in (next(loop.path("reports").glob("001-*")) / "report.html").read_text()
    )
    assert (
        loop.git("status", "--porcelain", "--", "data/feedback.jsonl", "data/heard.yaml").strip()
        == ""
    ), "Git keeps it"
    loop.continual("verify")


def test_nameless_words_and_unknown_iterations_are_refused(copy, turned):
    loop = copy(turned)
    assert (
        "needs a name and a text"
        in loop.continual("feedback", "--by", " ", "--text", "x", code=1).err
    )
    assert (
        "there is no iteration '7'"
        in loop.continual("feedback", "--by", "Ada", "--text", "x", "--iteration", "7", code=1).err
    )
    assert (
        "characters" in loop.continual("feedback", "--by", "Ada", "--text", "x" * 5000, code=1).err
    )
    assert said(loop) == []


def test_a_changed_word_breaks_the_chain(copy, turned):
    loop = copy(turned)
    for text in ("first", "second"):
        loop.continual("feedback", "--by", "Ada", "--text", text)
    path = loop.path("data/feedback.jsonl")
    path.write_text(path.read_text().replace("first", "forged"))
    assert (
        "chain is broken"
        in loop.continual("feedback", "--by", "Ada", "--text", "third", code=5).err
    )
    assert loop.dvc("repro", code=None).code != 0


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(min_size=1, max_size=60).filter(str.strip), max_size=5))
def test_any_text_is_kept_as_it_was_said(texts):
    from continual_nb.core.ledger import append, from_text, to_text
    from continual_nb.reporting.people import Voices

    chain = ()
    for text in texts:
        chain = append(
            chain,
            kind="feedback",
            about=1,
            iteration=2,
            window=None,
            by="Ada",
            verified=True,
            text=text,
            said_at="2024-01-01T00:00:00+00:00",
        )
    assert [one["text"] for one in from_text(to_text(chain))] == texts
    assert [
        row[3] for table in Voices(number=2, entries=chain).section().tables for row in table.rows
    ] == texts
    assert len(Voices(number=2, entries=chain).new) == len(texts)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("# T\n\nOne. Two.", "One."),
        ("", ""),
        ("# only a title", ""),
        ("**Why?** because", "Why?"),
        ("a\nb", "a b"),
        ("1. one\n\nThen. x", "Then."),
    ],
)
def test_the_first_sentence_of_an_objective(text, first):
    from continual_nb.reporting.people import first_sentence

    assert first_sentence(text) == first


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_markdown_of_anybody_runs_nothing(text):
    from html.parser import HTMLParser

    from continual_nb.reporting.page import TAGS
    from continual_nb.reporting.people import Objective, markdown

    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, [name for name, _ in attrs]))

    for hostile in (
        text,
        f"[x](javascript:{text})",
        f"<script>{text}</script>",
        f"![{text}](http://x)",
        f"# {text}\n\n```\n{text}\n```",
    ):
        Reader().feed(markdown(hostile))
        Objective(text=hostile).section()
    assert not [tag for tag, _ in seen if tag not in TAGS], seen
    assert not [
        names
        for _, names in seen
        if [name for name in names if name.startswith("on") or name in ("href", "src", "style")]
    ]


def test_edited_parameters_are_counted_by_their_leaves():
    from continual_nb.reporting.people import edited

    before = {"decide": {"horizon": 3, "costs": {"update": 150}}, "promote": {"approvers": []}}
    after = {
        "decide": {"horizon": 2, "costs": {"update": 150, "review": 40}},
        "promote": {"approvers": ["Ada"]},
    }
    assert (
        edited(before, after) == ("decide.costs.review", "decide.horizon", "promote.approvers")
        and edited(after, after) == ()
    )


def test_the_ledger_keeps_its_own_words_apart_from_those_of_its_entries(approved):
    "The chain's hash once overwrote the champion before; hindsight reads it."
    from continual_nb.core.ledger import append

    decided = [one for one in ledger(approved) if one["kind"] == "decision"][-1]
    outcome = approved.json("data/work/promote/outcome.json")
    assert (decided["previous"], decided["champion"]) == (
        outcome["previous"],
        outcome["champion"],
    ) and len(decided["chain"]) == 64
    with pytest.raises(ValueError, match="chain's own word"):
        append((), kind="x", chain="y")
