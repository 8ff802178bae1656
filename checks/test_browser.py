"The pages in a real browser: accessible in light and dark, on a phone, by keyboard and on paper; nothing is fetched, nothing runs."

import pytest
from browser import chromium, look_as, violations

HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def report(turned, tmp_path_factory) -> str:
    "The report of a real iteration whose decision is pending, with an objective that tries to run something."
    loop = turned.copy(tmp_path_factory.mktemp("report") / "copy")
    loop.path("objective.md").write_text(
        f"# Why this exists\n\nBad orders are found early. {HOSTILE}\n\n## Who decides\n\n- [Ada](javascript:alert(1))\n- Grace\n"
    )
    loop.continual("feedback", "--by", "Grace", "--text", f"Say what an error costs. {HOSTILE}")
    loop.dvc("repro")
    return loop.path("data/work/report/report.html").as_uri()


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> str:
    "An index of two years of iterations."
    from continual_nb.core.files import write_json
    from continual_nb.reporting import site
    from continual_nb.reporting.record import Summary

    reports = tmp_path_factory.mktemp("site")
    for n in range(24):
        window = f"20{12 + n // 12}-{n % 12 + 1:02d}"
        one = Summary(
            number=n + 1,
            window=window,
            as_of=f"{window}-28T00:00:00+00:00",
            action="improve",
            answer=("promoted", "kept", "kept", "deferred")[n % 4],
            verdict=f"Approved by Ada: keep the present model. {HOSTILE}",
            worth="About 280 per window.",
            by="Ada",
            verified=n % 3 == 0,
            champion=f"{n // 4}" * 64,
            metric="log loss",
            loss=0.5 + n % 5 / 50,
            loss_low=0.45,
            loss_high=0.62,
            alerts={"harm": n % 7 == 0, "look": n % 2, "note": 1},
            rows=27000 + n,
            person=n < 6,
            steered=n == 3,
            edits=("decide.horizon",) if n < 5 else (),
            minutes=12.0 if n < 3 else None,
        )
        write_json(reports / f"{n + 1:03d}-{window}/summary.json", one.to_dict())
    site.write(reports, "Late flights")
    return (reports / "index.html").as_uri()


@pytest.fixture(params=["report", "index"])
def page(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(browser, page, width, dark):
    look_as(browser, width, dark)
    browser.get(page)
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert violations(browser) == []
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    ), "the page scrolls sideways"
    ground = browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (sum(ground) < 200) == dark


def test_nothing_is_fetched_and_nothing_runs(browser, page):
    look_as(browser)
    browser.get_log("browser")
    browser.get(page)
    assert (
        browser.execute_script(
            "return performance.getEntriesByType('resource').filter(part => !part.name.startsWith('data:')).map(part => part.name)"
        )
        == []
    )
    assert browser.execute_script(
        "return window.hit === undefined && document.scripts.length === 0"
    )
    assert [line["message"] for line in browser.get_log("browser")] == []
    assert "window.hit" in browser.find_element("tag name", "body").get_attribute("textContent"), (
        "text from people is shown as text"
    )


def test_the_first_screen_has_what_is_asked_why_worth_and_what_was_not_checked(browser, report):
    look_as(browser)
    browser.get(report)
    ends = browser.execute_script(
        "return ['.question', '.verdict', '.numbers', '.unchecked'].map(name => document.querySelector(name).getBoundingClientRect().bottom)"
    )
    assert max(ends) <= 900, ends
    verdict = browser.find_element("css selector", ".verdict").text
    assert "Proposed:" in verdict and all(
        word in verdict for word in ("Asked of you", "Why", "Worth")
    )
    assert browser.find_element("css selector", ".question").text.startswith(
        "Bad orders are found early."
    )
    assert (
        "Grace (name unverified)" in browser.find_element("id", "feedback").text
        and "javascript:" not in browser.page_source
    )


def test_tables_are_folded_until_a_key_opens_them_and_open_on_paper(browser, report):
    from selenium.webdriver.common.keys import Keys

    look_as(browser)
    browser.get(report)
    table = "return document.querySelector('#provenance details table').checkVisibility()"
    assert len(
        browser.find_elements("css selector", "details:not([open])")
    ) >= 6 and not browser.execute_script(table)
    summary = browser.find_element("css selector", "#provenance summary")
    summary.send_keys(Keys.ENTER)
    assert browser.execute_script(table)
    summary.send_keys(Keys.ENTER)
    assert not browser.execute_script(table)
    look_as(browser, media="print")
    assert browser.execute_script(table), "paper has no folds"
    look_as(browser)


def test_the_keyboard_comes_first_to_the_content(browser, page):
    from selenium.webdriver.common.keys import Keys

    look_as(browser)
    browser.get(page)
    browser.find_element("tag name", "body").send_keys(Keys.TAB)
    assert browser.execute_script("return document.activeElement.className") == "skip"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "main"


def test_a_window_is_found_in_the_index(browser, index):
    look_as(browser)
    browser.get(index)
    browser.execute_script(
        "document.querySelectorAll('nav details').forEach(part => part.open = true)"
    )
    browser.find_element("link text", "2012-05").click()
    row = browser.find_element("css selector", "tr:target")
    assert "2012-05" in row.text and browser.execute_script(
        "const box = arguments[0].getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight",
        row,
    )
    assert (
        row.find_element("tag name", "a").get_attribute("href").endswith("005-2012-05/report.html")
    )
    said = browser.find_element("id", "life").text
    assert (
        ": fewer." in said and "36 minutes of signers are recorded, in 3 of 24 iterations" in said
    )
