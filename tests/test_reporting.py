"""The iteration report: the same bytes every time, one self-contained page, and no word of the data taken for markup."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from continual_nb.core.files import ContinualError, folder_hashes, write_bytes, write_json

HERE = Path(__file__).parent
STANDINS = HERE / "standins"
HOSTILE = '<script>alert(1)</script> | `x`\n# y *z* & "q" שלום \u202eevil'
LONG = "a_very_long_column_name_" * 12


def make(project: Path, number=3, text="carrier", answer="pending", **outcome) -> Path:
    """A small project in which one iteration has run; `text` is put wherever text from data can come."""
    write_bytes(
        project / "params.yaml",
        json.dumps(
            {
                "project": "flights",
                "data": {
                    "source": "flights",
                    "time": "t",
                    "label": "late",
                    "numeric": ["dep_delay"],
                },
                "report": {
                    "title": "Late flights",
                    "question": "Which flights will arrive late, an hour before they leave?",
                },
            }
        ),
    )
    write_bytes(
        project / "data/iteration.yaml",
        f"number: {number}\nwindow: 2013-0{number}\nas_of: 2013-04-01T00:00:00+00:00\n"
        "start: 2013-03-01T00:00:00+00:00\nend: 2013-04-01T00:00:00+00:00\n"
        f"previous: iter/{number - 1:03}-2013-0{number - 1}\n",
    )
    write_bytes(
        project / "data/code.yaml",
        "stages: {}\nlibraries: {numpy: 2.4.0, pandas: 3.1.1, scikit-learn: 1.9.1}\n",
    )
    columns = [
        [text, 0.21, 0.17, 0.26],
        ["dep_delay", 0.14, 0.11, 0.18],
        ["distance", 0.04, 0.0, 0.08],
        ["origin", 0.01, 0.0, 0.05],
    ]
    incidents = [
        dict(
            kind="features",
            severity="look",
            title=f"{text} moved",
            sentence=f"{text} has left the reference: 0.21 (0.17 to 0.26).",
        ),
        dict(
            kind="performance",
            severity="harm",
            title="The model lost skill",
            sentence="It is worse than at acceptance by 0.03 per event (0.01 to 0.05).",
        ),
    ]
    work = project / "data/work"
    write_json(work / "ingest/ingested.json", {"rows": 27004})
    write_json(
        work / "monitor/monitoring.json",
        dict(
            answer="watched",
            rows=27004,
            mature=18200,
            columns=columns,
            incidents=incidents,
            performance=dict(loss=0.5123, loss_low=0.495, loss_high=0.529, skill=0.124),
        ),
    )
    write_json(
        work / "decide/proposal.json",
        dict(action="improve", cause=f"The loss has risen where {text} changed."),
    )
    write_json(work / "compose/composition.json", {"rows": 81204})
    write_json(work / "train/training.json", {"answer": "trained"})
    write_json(
        work / "evaluate/evaluation.json",
        {
            "answer": "promote",
            "reason": "refit_recent is better than the champion: 0.012 less loss per event (0.006 to 0.018).",
        },
    )
    write_json(
        project / "data/work/promote/outcome.json",
        dict(
            answer=answer,
            verdict=f"The challenger refit_recent is proposed to replace the champion, because {text} changed.",
            champion="3f2ab81c9d" * 6 + "aaaa",
            evidence={"params.yaml": "ab" * 32, "data/work/compose/queue.parquet": ""},
            asked="Sign or refuse: shall refit_recent take over from 1 April?",
            worth="0.012 less loss per flight (95 % interval 0.006 to 0.018): about 970 a month at the stated cost of 0.20.",
            unchecked=[
                "How the model does on cancelled flights: they have no label.",
                "Slice carrier=OO: 12 rows are too few to judge.",
            ],
        )
        | outcome,
    )
    write_json(
        project / "data/work/promote/impact.json",
        {
            "in_words": f"2 updates so far saved about 900 against having stopped with {text} (between 300 and 1,500)."
        },
    )
    write_json(project / "data/work/promote/hindsight.json", {})
    write_json(project / "data/work/promote/trust.json", {"score": 62.5})
    return project


@pytest.fixture(scope="module")
def standins():
    """Put the stand-ins in the place of the parts, here and in every kernel, for this module only."""
    spec = importlib.util.spec_from_file_location("standins", STANDINS / "sitecustomize.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from continual_nb.reporting.record import parts

    names = [part.__module__ for part in parts().values()]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, None)  # remembers what stood there
        module.install()
        patch.setenv("CONTINUAL_STANDINS", "1")
        patch.setenv(
            "PYTHONPATH",
            os.pathsep.join(filter(None, (str(STANDINS), os.environ.get("PYTHONPATH")))),
        )
        yield


@pytest.fixture(scope="module")
def written(standins, tmp_path_factory):
    """A report over text that tries everything."""
    from continual_nb.reporting import page

    project = make(tmp_path_factory.mktemp("hostile"), text=HOSTILE + LONG)
    page.write(project, project / "out")
    return project / "out"


class Reader(HTMLParser):
    """Collect the tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def self_contained(text: str) -> None:
    """Assert that a page needs nothing but itself, and lets nothing run."""
    reader = Reader(text)
    assert len(text.encode()) < 300_000
    assert not {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "audio",
        "video",
        "svg",
    } & {tag for tag, _ in reader.tags}
    for tag, attrs in reader.tags:
        assert not [
            name for name in attrs if name.startswith("on") or name in ("style", "srcset")
        ], (tag, attrs)
        for name in ("src", "href", "action", "poster", "data"):
            value = attrs.get(name) or ""
            assert not re.match(r"(\w+:)?//|javascript:|file:", value), value
            assert value.startswith("data:image/png;base64,") if name == "src" and value else True
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "url(" not in style and "@import" not in style
    policy = next(
        attrs["content"]
        for attrs in reader.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "img-src data:" in policy and "script" not in policy
    assert (
        reader.all("html")[0]["lang"] == "en"
        and len(reader.all("h1")) == 1
        and len(reader.all("main")) == 1
    )
    assert len(reader.all("header")) == 1 and len(reader.all("footer")) == 1
    assert reader.all("img") and all(len(attrs.get("alt", "")) > 20 for attrs in reader.all("img"))


def test_the_page_is_one_self_contained_file(written):
    self_contained((written / "report.html").read_text())


def test_text_from_data_stays_text(written):
    page = (written / "report.html").read_text()
    assert "\u202e" not in page  # a mark that would turn the rest of the sentence about
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; | `x`" in page
    summary = (written / "summary.md").read_text()
    assert len(summary.splitlines()) == 5
    assert (
        r"\<script\>alert(1)\</script\> \| \`x\` \# y \*z\*" in summary
        and "\u202e" not in summary
        and "<" not in summary.replace("\\<", "")
    )
    assert HOSTILE in json.loads((written / "summary.json").read_text())["verdict"]


def test_the_page_shows_no_code_and_no_trace_of_the_run(written, tmp_path):
    page = (written / "report.html").read_text()
    for word in ("Record.load", "record.", "In [", "import ", "papermill", "Traceback"):
        assert word not in re.sub(r"<style>.*?</style>", "", page, flags=re.S), word
    for path in written.iterdir():
        text = path.read_text()
        for trace in (
            "/tmp",
            "/home",
            "/root",
            str(Path.cwd()),
            str(written),
            "duration",
            "start_time",
            "injected",
            sys.prefix,
        ):
            assert trace not in text, (path.name, trace)
        assert not re.search(r"20(1[4-9]|[2-9]\d)-\d\d-\d\d", text), (
            path.name
        )  # the only times are those of the data


def test_the_notebook_can_be_run_again_by_hand(written):
    import nbformat

    notebook = nbformat.read(written / "report.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells][3:] == [
        "head",
        "objective",
        "ingested",
        "monitoring",
        "proposal",
        "composition",
        "training",
        "evaluation",
        "explanation",
        "outcome",
        "impact",
        "hindsight",
        "trust",
        "feedback",
        "earlier",
        "provenance",
    ]
    assert notebook.cells[1].metadata.tags == ["parameters"]


def test_the_first_screen_says_what_is_asked(written):
    page = (written / "report.html").read_text()
    head = page[page.index("<header>") : page.index("<main")]
    for words in (
        "Late flights",
        "Which flights will",
        "Pending",
        "Asked of you",
        "Anybody on the team: approve or reject with a reason, by 1 May 2013",
        "Why",
        "Worth",
        "970 a month",
        "What was not checked",
        "12 rows are too few",
        "0.512",
        "between 0.495 and 0.529",
        "12%",
        "27,004",
        "1 harmful, 1 to inspect",
    ):
        assert words in head, words
    assert (
        re.search(r"[0-9a-f]{64}", page[page.index('id="provenance"') :])
        and "scikit-learn" in page
        and "iter/002-2013-02" in page
    )


def test_the_same_files_give_the_same_bytes(written, tmp_path, standins):
    """In another folder, in another process, with another hash seed and another working directory."""
    project = make(tmp_path / "else where" / "project", text=HOSTILE + LONG)
    code = "import sys; from pathlib import Path; from continual_nb.reporting import page; page.write(Path(), Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "data/work/.report-tmp"],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "42", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr == ""
    assert folder_hashes(project / "data/work/.report-tmp") == folder_hashes(written)


def test_the_package_may_lie_in_a_zip_file(written, tmp_path, standins):
    """The kernel runs the same copy of the package as the stage that starts it."""
    shutil.make_archive(tmp_path / "code", "zip", HERE.parent, "continual_nb")
    project = make(tmp_path / "project", text=HOSTILE + LONG)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('continual_nb')];"
        "import sitecustomize; sitecustomize.install();"
        "from continual_nb.reporting import page; assert '.zip' in page.__file__; page.write(Path(), Path('out'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "code.zip")],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert folder_hashes(project / "out") == folder_hashes(written)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(
        w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for w, c in zip((0.2126, 0.7152, 0.0722), parts)
    )


def test_text_can_be_read_in_light_and_dark():
    """Contrast of at least 4.5 to 1 for every text colour on every ground that it stands on."""
    from continual_nb.reporting.page import template

    light, dark = template("style.css").split("@media (prefers-color-scheme: dark)")
    for style in (light, dark.partition("figure img")[0]):
        root, *chips = re.findall(r"\{([^{}]*--[^{}]*)\}", style)
        base = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", root))
        assert len(chips) == 7
        for chip in [root, *chips]:
            colours = base | dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", chip))
            for text, ground in (
                ("ink", "paper"),
                ("ink", "wash"),
                ("soft", "paper"),
                ("link", "paper"),
                ("link", "wash"),
                ("tone", "card"),
                ("tone", "wash"),
            ):
                bright, dim = sorted(
                    (luminance(colours[text]), luminance(colours[ground])), reverse=True
                )
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground, colours)


def test_a_cell_that_fails_is_named_and_kept(standins, tmp_path):
    from continual_nb.reporting import page

    project = make(tmp_path / "project")
    broken = json.loads(page.template("iteration.ipynb"))
    broken["cells"][4]["source"] = "raise ValueError('the figure has no data')"
    with pytest.raises(ContinualError, match=r"the figure has no data") as caught:
        page.write(project, project / "out", notebook=json.dumps(broken))
    assert "ValueError" in str(caught.value) and "report-failed.ipynb" in caught.value.args[0]
    assert (project / "data/work/report-failed.ipynb").exists() and not (project / "out").exists()


def test_a_kernel_that_dies_is_an_answer(standins, tmp_path):
    from continual_nb.reporting import page

    dying = json.loads(page.template("iteration.ipynb"))
    dying["cells"][4]["source"] = "import os; os._exit(9)"
    with pytest.raises(ContinualError, match="stopped before its end"):
        page.execute(json.dumps(dying), {"project": "."}, tmp_path, tmp_path / "failed.ipynb")


def test_an_unfinished_iteration_has_no_page(standins, tmp_path):
    from continual_nb.reporting import page

    project = make(tmp_path / "project")
    (project / "data/work/evaluate/evaluation.json").unlink()
    with pytest.raises(ContinualError, match="evaluation.json is missing") as caught:
        page.write(project, project / "out")
    assert caught.value.code == 5


def test_a_broken_file_is_named(standins, tmp_path):
    from continual_nb.reporting import page

    project = make(tmp_path / "project")
    (project / "data/work/monitor/monitoring.json").write_text("{\n")
    with pytest.raises(ContinualError, match=r"monitoring.json is not JSON \(line 2") as caught:
        page.write(project, project / "out")
    assert caught.value.code == 5 and not (project / "out").exists()


def test_the_notebook_speaks_in_an_empty_folder(tmp_path):
    from continual_nb.reporting import page

    executed = page.execute(
        page.template("iteration.ipynb"), {"project": "."}, tmp_path, tmp_path / "failed.ipynb"
    )
    assert (
        "no finished iteration" in json.dumps(executed) and not (tmp_path / "failed.ipynb").exists()
    )


def test_the_template_is_the_notebook_that_people_edit():
    """The package's copy is `continual_nb.reporting.page.blank` of nbs/reports/iteration.ipynb."""
    from continual_nb.reporting.page import blank, template

    assert template("iteration.ipynb") == blank(
        json.loads((HERE.parent / "nbs/reports/iteration.ipynb").read_text())
    )


@pytest.mark.parametrize(
    "answer", ["pending", "promoted", "kept", "rolled back", "deferred", "stale"]
)
def test_every_answer_has_its_word(standins, tmp_path, answer):
    from continual_nb.reporting.record import Record, head_html

    record = Record.load(make(tmp_path, answer=answer, by="Ada", asked=""))
    shown = head_html(record.head)
    assert (
        f'class="verdict {answer.replace(" ", "-")}"' in shown
        and f">{answer.capitalize()}<" in shown
    )
    assert (
        "Ada (name unverified)" in shown
        and "(name unverified)" not in head_html(record.head.model_copy(update={"verified": True}))
        and ("<dt>Asked of you</dt><dd>Nothing.</dd>" in shown)
        == (answer in ("promoted", "kept", "rolled back"))
    )


def test_what_updates_have_been_worth_is_on_the_first_screen_and_in_the_index(standins, tmp_path):
    from continual_nb.reporting import site
    from continual_nb.reporting.record import Record, head_html

    record = Record.load(make(tmp_path, answer="kept"))
    assert (
        "<dt>Worth so far</dt><dd>2 updates so far saved about 900" in head_html(record.head)
        and record.summary.trust == 62.5
    )
    write_json(tmp_path / "reports/003-2013-03/summary.json", record.summary.to_dict())
    site.write(tmp_path / "reports", "Late flights")
    index = (tmp_path / "reports/index.html").read_text()
    assert "2 updates so far saved about 900" in index and "62 of 100" in index


class Part:
    "A part of the record of which a sentence reads a few fields."

    def __init__(self, **fields):
        self.__dict__.update(fields)


@pytest.mark.parametrize("answer", ["kept", "promoted", "pending", "deferred", "stale", "refused"])
@pytest.mark.parametrize("means", ["none", "look", "retrain", "recalibrate", "label more"])
@pytest.mark.parametrize("do", ["keep", "promote", "rollback", "refresh"])
def test_a_headline_has_twelve_words_at_most(answer, means, do):
    from continual_nb.reporting.record import headline

    outcome = Part(recommendation=Part(do=do), previous="a", champion="a")
    told = headline(answer, Part(means=means), Part(answer="keep"), outcome)
    assert 3 <= len(told.split()) <= 12 and told[0].isupper() and told[-1] in ".?"


@pytest.mark.parametrize(
    ("verdict", "told"), [("pass", "no update is proven better yet"), ("fail", "too few events")]
)
def test_a_headline_says_whether_events_or_proof_are_lacking(verdict, told):
    from continual_nb.reporting.record import headline

    outcome = Part(recommendation=Part(do="keep"), previous="a", champion="a")
    gates = {"b": (Part(name="enough events", verdict=verdict),)}
    found = Part(answer="not enough data", gates=gates)
    assert told in headline("kept", Part(means="retrain"), found, outcome)


@pytest.mark.parametrize("name", ["short", "age of the aircraft (years)"])
def test_a_legend_stands_within_its_figure(name):
    from continual_nb.core.pictures import axes, legend

    figure, ax = axes()
    ax.barh([name], [1])
    for key in ("inconclusive", "stable", "matters from 0.1"):
        ax.plot([], [], "o-", label=key)
    legend(ax)
    figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1


def test_what_is_asked_names_a_person_and_a_date():
    from continual_nb.core.params import Params
    from continual_nb.reporting.record import asked_of

    about = {"source": "f", "time": "t", "label": "late", "numeric": ["x"]}
    params = Params(data=about, promote={"approvers": ["Ada", "Grace"]})
    march = {"window": "2013-03"}
    told = asked_of("pending", Part(means="retrain"), params, march)
    assert told.startswith("Ada or Grace: approve or reject") and "by 1 May 2013" in told
    assert "label 40 events" in asked_of("kept", Part(means="label more", labels=40), params, march)
    assert asked_of("kept", Part(means="none"), params, march) == ""
    assert "before the next iteration" in asked_of("stale", Part(means="none"), params, {})


def test_worth_and_errors_are_in_the_units_of_the_reader():
    from continual_nb.core.params import Data
    from continual_nb.reporting.record import ahead_rows, errors_in_words

    never = Part(name="never", windows=4, net=400.0, net_low=-40.0, net_high=840.0)
    assert ahead_rows((never,), "€") == (
        (("against never updating", "€100 (−€10 to €210)", "€400 (−€40 to €840)"),),
        4,
    )
    about = Data(source="f", time="t", label="late", positive="1", numeric=("x",))
    found, right = errors_in_words(about, {"recall": 0.412, "precision": 0.63})
    assert found == ("It finds", "41 of 100", "events with late = 1") and right[1] == "63 of 100"
    (none,) = errors_in_words(about, {"recall": 0.0, "precision": None})
    assert none[1:] == ("0 of 100", "events with late = 1: it predicts none")
    assert errors_in_words(about, {"median_error": 12.04})[0][1] == "12.0"
    assert errors_in_words(about, {}) == []


def test_a_model_worse_than_a_constant_is_the_headline_and_what_is_asked_comes_first():
    from continual_nb.reporting.page import to_markdown
    from continual_nb.reporting.record import Head, Summary, head_html

    head = Head(
        title="Late",
        number=3,
        answer="kept",
        alarming=True,
        headline="The model in production is worse than a constant answer.",
        verdict="Approved by Ada: keep the present model.",
        now="Train again.",
        incidents=(("harm", "<b>"), ("look", "temp moved")),
    )
    shown = head_html(head)
    assert 'class="verdict alarming"' in shown and "<h1>The model in production is worse" in shown
    assert "<dt>What can be done</dt><dd>Train again." in shown
    assert '<li class="harm">&lt;b&gt;</li><li class="look">temp moved</li>' in shown
    lines = to_markdown(head, Summary(number=3, alerts={"harm": 1, "look": 1})).splitlines()
    assert len(lines) == 5 and lines[0] == "- **Asked of you:** Nothing."


def test_forms_without_their_package_name_the_pip_line(monkeypatch):
    from continual_nb.interfaces.signing import widget_library

    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ContinualError, match="ipywidgets") as caught:
        widget_library()
    assert "continual_nb[lab]" in caught.value.args[0]


def test_no_data_has_its_word(standins, tmp_path):
    from continual_nb.reporting.record import Record

    project = make(tmp_path, answer="kept")
    write_json(
        project / "data/work/monitor/monitoring.json",
        dict(answer="no data", rows=0, mature=0, performance=None, incidents=[]),
    )
    record = Record.load(project)
    assert record.head.answer == record.summary.answer == "no data" and record.summary.loss is None


def seal(project: Path, answers) -> Path:
    """Sealed summaries, without pages."""
    from continual_nb.reporting.record import Record, summaries

    for number, answer in enumerate(answers, 1):
        record = Record.load(
            make(
                project,
                number=number,
                answer=answer,
                text=HOSTILE,
                by="Ada",
                asked="",
                champion=str(number // 3) * 64,
            )
        )
        assert [one.number for one in record.earlier.records] == list(range(1, number))
        write_json(
            project / f"reports/{number:03}-2013-0{number}/summary.json", record.summary.to_dict()
        )
    return project / "reports"


def test_the_index_lists_all_iterations_newest_first(standins, tmp_path):
    from continual_nb.reporting import site

    reports = seal(tmp_path, ["promoted", "kept", "rolled back", "deferred"])
    site.write(reports, "Late <flights>")
    text = (reports / "index.html").read_text()
    self_contained(text)
    assert "<script" not in text and "Late &lt;flights&gt;" in text
    links = [
        attrs["href"] for attrs in Reader(text).all("a") if attrs["href"].endswith("report.html")
    ]
    assert (
        links[1:] == [f"{n:03}-2013-0{n}/report.html" for n in (4, 3, 2, 1)]
        and links[0] == links[1]
    )
    assert "The model changed after 2013-03." in text
    once = (reports / "index.html").read_bytes()
    shutil.copytree(reports, tmp_path / "copy")
    site.write(tmp_path / "copy", "Late <flights>")
    assert (tmp_path / "copy/index.html").read_bytes() == once


def test_the_index_of_nothing(tmp_path):
    from continual_nb.reporting import site

    site.write(tmp_path / "reports", "Late flights")
    assert "No iteration has been sealed yet" in (tmp_path / "reports/index.html").read_text()


def test_the_parts_have_the_fields_that_the_report_reads():
    """The stand-ins may not drift from the real parts."""
    wanted = {
        "continual_nb.monitoring.result:Monitoring": {
            "answer",
            "rows",
            "mature",
            "performance",
            "incidents",
        },
        "continual_nb.policy.result:Proposal": {"action", "cause"},
        "continual_nb.evaluation.result:Evaluation": {"answer", "reason"},
        "continual_nb.decisions.result:Outcome": {
            "answer",
            "verdict",
            "asked",
            "worth",
            "by",
            "verified",
            "reason",
            "champion",
            "unchecked",
            "automatic",
            "evidence",
        },
        "continual_nb.decisions.trust:Trust": {"score"},
    }
    code = (
        "import json; from continual_nb.reporting.record import parts;"
        "print(json.dumps({name: [f'{part.__module__}:{part.__name__}', part.file, *part.model_fields]"
        " for name, part in parts().items()}))"
    )
    from continual_nb.core.table import RESULTS

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "CONTINUAL_STANDINS"},
    )
    assert done.returncode == 0, done.stderr
    known = json.loads(done.stdout)
    assert list(known) == list(RESULTS)
    assert wanted.keys() <= {spelled for spelled, *_ in known.values()}
    for name, (spelled, file, *fields) in known.items():
        assert Path(RESULTS[name]).name == file
        assert wanted.get(spelled, set()) <= set(fields), spelled
