"Signing, steering and labelling with the mouse: by the widgets alone, and by hand in a real JupyterLab."

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from browser import chromium, violations
from loop import Loop

pytest.importorskip("ipywidgets")


def decision(loop: Loop) -> dict:
    from continual_nb.core.params import read_yaml

    return read_yaml(loop.path("data/decision.yaml"))


def filled(desk, name="Ada", reason="The new model pays for itself."):
    desk.name.value, desk.reason.value = name, reason
    return desk


@pytest.fixture
def at(copy, turned, monkeypatch):
    "A project whose decision is pending, and a desk over it."
    from continual_nb.interfaces.signing import desk

    loop = copy(turned)
    for key, value in loop.environment().items():
        monkeypatch.setenv(key, value)
    return loop, lambda: desk(loop.root)


def test_the_desk_shows_the_evidence_and_waits_for_a_name_and_a_reason(at):
    loop, desk = at
    one = desk()
    for words in (
        "Proposed:",
        "Asked of you",
        "Why",
        "Worth",
        "enough events",
        "What was not checked",
        "The decision is pending",
        "Evidence <code>",
    ):
        assert words in one.seen.value, words
    assert one.approve.disabled and one.reject.disabled and one.steer.disabled and one.seal.disabled
    one.name.value = "Ada"
    assert one.approve.disabled and "name unverified" in one.identity.value
    one.reason.value = "   "
    assert one.approve.disabled
    one.reason.value = "It pays."
    assert not one.approve.disabled and not one.reject.disabled and not one.steer.disabled


def test_a_click_writes_what_the_command_writes(at, copy, turned):
    loop, desk = at
    one = filled(desk())
    one.minutes.value = 7
    one.approve.click()
    twin = copy(turned, "twin")
    twin.continual(
        "sign",
        "approve",
        "--by",
        "Ada",
        "--reason",
        "The new model pays for itself.",
        "--minutes",
        "7",
    )
    here, there = decision(loop), decision(twin)
    assert (
        {**here, "signed_at": ""} == {**there, "signed_at": ""}
        and here["minutes"] == 7
        and here["page"]
    )
    assert (
        "Ada (name unverified) signed" in one.seen.value
        and "Signed: approve" in one.told.value
        and one.kind == "signed"
    )
    assert desk().kind == "signed", "the file is the state: a new desk says the same"


def test_moved_evidence_is_refused_in_words(at):
    loop, desk = at
    one = filled(desk())
    loop.path("params.yaml").write_text(
        loop.path("params.yaml").read_text().replace("horizon: 3", "horizon: 4")
    )
    one.approve.click()
    assert (
        decision(loop)["verdict"] == "pending"
        and "has changed since it was drawn here (params.yaml)" in one.told.value
    )
    assert one.kind == "stale" and "must run again" in one.seen.value
    one.approve.click()
    assert decision(loop)["verdict"] == "pending" and "Not done" in one.told.value


def test_a_signature_on_other_evidence_is_named(at):
    loop, desk = at
    filled(desk()).approve.click()
    path = loop.path("data/work/evaluate/evaluation.json")
    path.write_text(path.read_text() + "\n")
    one = desk()
    assert (
        one.kind == "stale"
        and "on other evidence than what is here now: data/work/evaluate/evaluation.json changed"
        in one.seen.value
    )


def test_approvers_are_a_list_and_steering_needs_a_reason_too(at):
    loop, desk = at
    text = loop.path("params.yaml").read_text()
    loop.path("params.yaml").write_text(re.sub(r"approvers: \[\]", "approvers: [Ada, Grace]", text))
    one = desk()
    assert [value for _, value in one.name.options] == ["", "Ada", "Grace"]
    filled(one, "Grace", "The carriers have a new timetable.")
    one.action.value = "inspect"
    one.steer.click()
    from continual_nb.core.params import read_yaml

    steer = read_yaml(loop.path("data/steer.yaml"))
    assert (steer["action"], steer["by"], steer["reason"]) == (
        "inspect",
        "Grace",
        "The carriers have a new timetable.",
    )
    assert "Run the pipeline" in one.told.value


def test_text_from_people_is_no_markup(at):
    loop, desk = at
    one = filled(desk(), "<b>Eve</b>", "<script>alert(1)</script> `x`")
    assert (
        "<b>" not in one.identity.value.replace("<b>Eve", "!")
        or "&lt;b&gt;Eve" in one.identity.value
    )
    one.approve.click()
    assert (
        "<script>" not in one.seen.value
        and "&lt;script&gt;" in one.seen.value
        and "&lt;b&gt;Eve" in one.seen.value
    )


@contextmanager
def jupyter(loop: Loop):
    "JupyterLab over a project, on a loopback port of its own; yields its address with the token."
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, home = secrets.token_hex(16), loop.home / "jupyter"
    places = {
        name: str(home / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
    }
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={loop.root}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    log = (loop.home / "jupyter.log").open("w")
    server = subprocess.Popen(
        words,
        cwd=loop.root,
        env=loop.environment(**places),
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None and time.monotonic() < end, (
                loop.home / "jupyter.log"
            ).read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/desk.ipynb?token={token}&reset"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(8)
        except (
            subprocess.TimeoutExpired
        ):  # it waits for its kernel, which ends by itself when the server is gone
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        log.close()


@contextmanager
def pictured(driver, where):
    "Keep a picture of what was on the screen when something failed, and name it."
    try:
        yield
    except Exception as error:
        driver.save_screenshot(str(where))
        raise AssertionError(f"{type(error).__name__}; the screen is kept in {where}") from error


def notebook(source: str) -> str:
    "A notebook of one cell."
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": "desk",
                    "metadata": {},
                    "source": source,
                    "execution_count": None,
                    "outputs": [],
                }
            ],
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


class Lab:
    "A person at JupyterLab: looks, waits, clicks and types."

    def __init__(self, driver):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver = driver
        self.wait = WebDriverWait(
            driver, 90, poll_frequency=0.2, ignored_exceptions=(StaleElementReferenceException,)
        ).until

    def found(self, css, text=""):
        "The first part on the screen that holds this text, looked for anew; None as long as there is none."
        from selenium.webdriver.common.by import By

        return next(
            (
                part
                for part in self.driver.find_elements(By.CSS_SELECTOR, css)
                if text in part.text and part.is_displayed()
            ),
            None,
        )

    def seen(self, css, text=""):
        return self.wait(lambda _: self.found(css, text))

    def does(self, act):
        "Do something that works as soon as the page has settled."
        from selenium.common.exceptions import WebDriverException

        def tried(_):
            try:
                act()
                return True
            except WebDriverException:
                return False

        self.wait(tried)

    def write(self, css, text):
        self.does(lambda: self.found(css).clear() or self.found(css).send_keys(text))

    def click(self, text):
        "Press a button by its words, once it can be pressed."
        self.wait(
            lambda _: (part := self.found("button.jupyter-button", text)) and part.is_enabled()
        )
        self.does(lambda: self.found("button.jupyter-button", text).click())

    def run_cell(self, address):
        "Open the notebook and run its cell as soon as a kernel is there to run it, until it has run."
        from selenium.webdriver.common.keys import Keys

        def ran(_):
            if (
                self.driver.execute_script(
                    "return document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"
                )
                != "idle"
            ):
                return False
            if dialog := self.found(
                ".jp-Dialog button.jp-mod-accept"
            ):  # it asks for a kernel where the keys came before it had one
                dialog.click()
                return False
            if not re.search(r"\[\d+\]", self.found(".jp-CodeCell .jp-InputPrompt").text):
                self.found(".jp-Notebook .jp-CodeCell .cm-content").click()
                self.driver.switch_to.active_element.send_keys(Keys.CONTROL, Keys.ENTER)
                return False
            return True

        self.driver.get(address)
        self.seen(".jp-Notebook .jp-CodeCell .cm-content")
        self.wait(ran)

    def restart(self):
        "Restart the kernel and run all cells."
        self.does(
            lambda: self.found(
                "[data-command='notebook:restart-run-all'], [data-command='runmenu:restart-and-run-all']"
            ).click()
        )
        self.does(lambda: self.found(".jp-Dialog button.jp-mod-accept").click())
        self.wait(lambda _: self.found(".jp-Dialog") is None)
        self.wait(lambda _: re.search(r"\[1\]", self.found(".jp-CodeCell .jp-InputPrompt").text))


def test_a_person_signs_in_jupyterlab(copy, turned):
    "Open the notebook, run the cell, type, click Approve; restart the kernel, run again, see what is on disk."
    loop = copy(turned)
    loop.path("desk.ipynb").write_text(
        notebook("from continual_nb.interfaces.signing import desk\n\ndesk()")
    )
    with (
        jupyter(loop) as address,
        chromium(1400, 1400) as driver,
        pictured(driver, loop.home / "jupyter.png"),
    ):
        lab = Lab(driver)
        lab.run_cell(address)
        assert (
            lab.seen(".cnb .stand").text
            == "The decision is pending. Nothing changes until somebody signs."
        )
        assert (
            not lab.seen("button.jupyter-button", "Approve").is_enabled()
            and "Proposed:" in lab.found(".cnb h2").text
        )
        assert violations(driver, ".jp-OutputArea-output .jupyter-widgets") == []
        lab.write(".widget-text input", "Ada Lovelace")
        lab.write(".widget-textarea textarea", "The gates passed.")
        lab.wait(lambda _: lab.found("button.jupyter-button", "Approve").is_enabled())
        assert decision(loop)["verdict"] == "pending", "nothing is written before the click"
        words = lab.found("button.jupyter-button", "Approve").text
        assert "into production" in words and lab.found("button.jupyter-button", "Defer: keep")
        assert lab.seen("a", "Read the whole page")
        lab.click("Approve")
        lab.seen(
            ".cnb .stand.signed",
            "Ada Lovelace (name unverified) signed “approve”: The gates passed.",
        )
        kept = decision(loop)
        assert (
            (kept["verdict"], kept["by"], kept["reason"])
            == ("approve", "Ada Lovelace", "The gates passed.")
            and len(kept["evidence"]) >= 8
            and kept["page"]
        )

        lab.restart()
        lab.seen(".cnb .stand.signed", "Ada Lovelace (name unverified) signed")
        lab.seen("button.jupyter-button", "Seal")
        assert decision(loop) == kept


def test_an_expert_labels_in_jupyterlab(copy, approved):
    "Give the name, answer three events with mouse and keyboard, restart the kernel: the desk goes on at the fourth."
    import pandas as pd
    from selenium.webdriver.common.keys import Keys

    loop = copy(approved)
    loop.path("desk.ipynb").write_text(
        notebook("from continual_nb.interfaces.labelling import labelling\n\nlabelling()")
    )

    def said():
        frame = pd.read_csv(
            loop.path("data/labels/001-2024-01.csv"), dtype="str", keep_default_na=False
        )
        return list(zip(frame["label"], frame["by"]))[:4]

    with (
        jupyter(loop) as address,
        chromium(1400, 1400) as driver,
        pictured(driver, loop.home / "jupyter.png"),
    ):
        lab = Lab(driver)

        def at(number):
            lab.seen(".cnb h3", f"Event {number} of")
            time.sleep(0.6)  # a person reads; what is clicked at once counts for the event before

        lab.run_cell(address)
        at(1)
        lab.seen(".cnb.event", "drawn at random")
        assert not lab.found("button.jupyter-button", "Cannot tell").is_enabled()
        lab.write(".widget-text input", "Ada Lovelace")
        lab.seen(".cnb.place", "(name unverified)")
        lab.click("1")
        at(2)
        assert said() == [("1", "Ada Lovelace"), ("", ""), ("", ""), ("", "")]
        assert violations(driver, ".jp-OutputArea-output .jupyter-widgets") == []
        driver.save_screenshot(str(loop.home / "labelling.png"))
        assert driver.switch_to.active_element.text == "1", "the focus stays on the button"
        driver.switch_to.active_element.send_keys(Keys.SHIFT, Keys.TAB)
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        at(3)
        lab.click("Cannot tell")
        at(4)
        three = [("1", "Ada Lovelace"), ("0", "Ada Lovelace"), ("", "Ada Lovelace"), ("", "")]
        assert said() == three
        form = lab.seen(".cnb-labelling")
        form.send_keys(Keys.ARROW_LEFT)
        at(3)
        form.send_keys("2")  # the second class
        at(4)
        assert said()[2] == ("1", "Ada Lovelace")
        form.send_keys(Keys.ARROW_LEFT)
        at(3)
        form.send_keys("0")
        at(4)
        assert said() == three
        lab.restart()
        at(4)
        words = lab.seen(".cnb.queue p", "2 of ").text
        assert said() == three and "1 cannot tell" in words
        assert lab.found(".cnb.queue .bar").get_attribute("aria-label") == words


def test_a_slice_is_looked_at_and_marked_with_the_mouse(copy, turned, monkeypatch):
    from continual_nb import curating
    from continual_nb.core.files import ContinualError
    from continual_nb.loop.marks import mark_facts, marks_now
    from continual_nb.loop.project import Project

    loop = copy(turned)
    for key, value in loop.environment().items():
        monkeypatch.setenv(key, value)
    one, project = curating(loop.root), Project(loop.root)
    one.window.value, one.column.value = "(all)", "region"
    one.value.value = "north"
    assert "What recipes made of it" in one.shown.value or "No training set" in one.shown.value
    assert "<img" in one.shown.value and "Hellinger distance" in one.shown.value
    assert len(one.part) and set(one.part["region"]) == {"north"}
    assert one.chosen.disabled and one.whole.disabled
    one.name.value, one.reason.value = "Ana", "the sensor stood still"
    row = one.rows.options[0][1]
    one.rows.value = (row,)
    one.mark.value = "exclude"
    one.chosen.click()
    assert "1 rows are marked exclude" in one.told.value and "[exclude]" in one.rows.options[0][0]
    one.mark.value = "golden"
    one.whole.click()
    assert len(marks_now(project)) == len(one.part)
    one.mark.value = "undo"
    one.whole.click()
    assert marks_now(project).empty and len(mark_facts(project)) == 2 * len(one.part) + 1
    one.mark.value = "relabel"
    one.rows.value = (row,)
    assert one.whole.disabled, "one label for a whole slice is no answer"
    one.chosen.click()
    assert "Not marked: relabel names no label" in one.told.value
    one.label.value = "1"
    one.chosen.click()
    assert marks_now(project)[["event_id", "mark", "label"]].values.tolist() == [
        [row, "relabel", "1"]
    ]
    with pytest.raises(ContinualError, match="has no rows yet"):
        loop.path("data/work/ingest/ingested.json").unlink()
        curating(loop.root)
