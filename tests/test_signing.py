"The signing form says what each verdict does, and a person may leave the question open."

import pytest


@pytest.fixture
def loop(turned, copy, monkeypatch):
    loop = copy(turned)
    loop.git("config", "user.name", "Ada Lovelace")
    for key, value in loop.environment().items():
        monkeypatch.setenv(key, value)
    return loop


def test_the_form_says_what_each_button_does(loop, monkeypatch):
    pytest.importorskip("ipywidgets")
    from continual_nb.interfaces.signing import desk

    monkeypatch.chdir(loop.root)
    form = desk()
    model = form.approve.description.split()[3]
    assert form.approve.description == f"Approve: put model {model} into production"
    assert (form.reject.description, form.defer.description) == (
        "Reject: keep no model",
        "Defer: keep no model, decide later",
    )
    assert form.name.value == "Ada Lovelace" and "name unverified" in form.identity.value
    seen = form.seen.value
    assert -1 < seen.index("Incidents") < seen.index("Why")
    (link,) = form.page.outputs
    assert 'href="data/work/report/report.html"' in link["data"]["text/html"]
    form.reason.value = "Not before the fair."
    form.defer.click()
    assert "Ada Lovelace (name unverified) signed “defer”" in form.seen.value


def test_a_person_may_leave_the_question_open(loop):
    said = loop.continual("sign", "defer", "--reason", "Not before the fair.").out
    assert "signed: defer by Ada Lovelace" in said
    loop.dvc("repro")
    loop.continual("seal")
    (page,) = loop.path("reports").glob("*/report.html")
    text = page.read_text()
    assert "deferred it, and the present model stays." in text
    assert "Left to a person" in text and 'href="../index.html"' in text
