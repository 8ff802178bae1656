"A real page as its readers meet it: words before numbers, nothing twice, and what people did is counted."

import re


def test_a_real_page_speaks_to_its_reader(turned):
    """No mathematics, no hash without need, nothing said twice; what was found is no gap."""
    page = turned.path("data/work/report/report.html").read_text()
    head = page[page.index("<header>") : page.index("<main")]
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    assert not re.search(r"\b[0-9a-f]{8,}\b", re.sub(r"<[^>]+>", " ", head)), (
        "the first screen names no hash"
    )
    assert "uncalibrated" not in words and "p-value" not in words and ">p<" not in page
    for name, digest in turned.json("data/work/promote/outcome.json")["evidence"].items():
        assert page.count(digest) == 1, f"{name} is listed once"
    unchecked = head[head.index("What was not checked") :] if "What was not checked" in head else ""
    assert not any(gate in unchecked for gate in ("better than", "enough events"))
    assert page.count("<details>") >= 6 and all(
        table.count("<tr>") <= 8
        for table in re.findall(
            r"<table>.*?</table>", re.sub(r"<details>.*?</details>", "", page, flags=re.S), re.S
        )
    )
    assert "the model trained on" in head, "a model is called by what it was trained on"
    assert len((turned.path("data/work/report/summary.md")).read_text().splitlines()) <= 15
    summary = turned.json("data/work/report/summary.json")
    assert (summary["person"], summary["steered"], summary["edits"], summary["minutes"]) == (
        False,
        False,
        None,
        None,
    )


def test_what_people_did_is_counted(copy, sealed):
    """A changed parameter, an overruled policy, a signature with its minutes: all in the next summary."""
    loop = copy(sealed)
    loop.continual("open")
    loop.set(horizon="5")
    loop.continual("steer", "inspect", "--by", "Grace", "--reason", "The regions were cut anew.")
    loop.dvc("repro", "evaluate")
    loop.continual(
        "sign", "approve", "--by", "Ada", "--reason", "Nothing else to do.", "--minutes", "12.5"
    )
    loop.dvc("repro")
    summary = loop.json("data/work/report/summary.json")
    assert (summary["person"], summary["steered"], summary["edits"], summary["minutes"]) == (
        True,
        True,
        ["decide.horizon"],
        12.5,
    )
    page = loop.path("data/work/report/report.html").read_text()
    assert "Grace chose “inspect”" in page and "12.5" in page


def test_what_nobody_has_written_is_not_published():
    from continual_nb.loop.init import template
    from continual_nb.reporting.people import PLACEHOLDER, without_placeholders

    raw = template("objective.md")
    shown = without_placeholders(raw)
    assert PLACEHOLDER in raw and PLACEHOLDER not in shown and "## Who decides" in shown
    assert "## What impact means" not in shown
    assert without_placeholders("# A\n\n## B\n\ntext") == "# A\n\n## B\n\ntext"


def test_the_menu_names_the_rule_that_chose():
    from continual_nb.policy.result import Option, Proposal, Rule

    rules = tuple(
        Rule(question=f"{word}?", answer=word, because=f"because {word}") for word in ("no", "yes")
    )
    menu = tuple(
        Option(means=means, because="own", chosen=means == "retrain")
        for means in ("none", "retrain")
    )
    about = {"action": "improve", "policy": "improve", "means": "retrain", "cause": "A schedule."}
    rows = Proposal(**about, rules=rules, menu=menu).section().tables[0].rows
    assert [row[1] for row in rows] == ["own", "chosen: because yes"]
