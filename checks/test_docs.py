"The site of `make docs`: built off the network, complete, and with no link that leads nowhere."

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
OFFLINE = """
import socket, sys
def refuse(*_, **__):
    raise OSError("a build of the site must not use the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


class Page(HTMLParser):
    "Anchors, links and loaded resources of a page."

    def __init__(self, text: str):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors |= {named[k] for k in ("id", "name") if named.get(k)}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if named.get(LOADED.get(tag, "")):
            self.loaded.append(named[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-c", OFFLINE, "-q", "-W", "-E", "-c", "docs", ".", str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def pages(site):
    "Pages of the book; those of the reports are checked where they are made."
    paths = [p for p in site.rglob("*.html") if "reports" not in p.relative_to(site).parts]
    return {path: Page(path.read_text()) for path in paths}


def test_every_notebook_has_a_page_and_stands_in_the_contents(site, pages):
    numbered = (ROOT / "nbs").glob("*/**/*.ipynb")
    names = [
        p.relative_to(ROOT / "nbs").with_suffix(".html").as_posix()
        for p in numbered
        if "reports" not in p.parts and ".ipynb_checkpoints" not in p.parts
    ]
    assert len(names) > 90
    listed = set(pages[site / "nbs/contents.html"].links)
    assert [n for n in names if not (site / "nbs" / n).exists() or n not in listed] == []


def test_every_public_name_has_an_anchor(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    missing = []
    for path in (ROOT / "continual_nb").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        said = re.search(r"^__all__ = (\[.*?\])$", path.read_text(), re.M | re.S)
        names = ast.literal_eval(said[1]) if said else []
        missing += [f"{module}.{n}" for n in names if f"{module}.{n}" not in anchors]
    assert missing == []


def test_every_internal_link_and_anchor_resolves(site, pages):
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = target.exists()
            if found and parts.fragment and target in pages:
                found = unquote(parts.fragment) in pages[target].anchors
            broken += [] if found else [f"{path.relative_to(site)} -> {link}"]
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site, pages):
    away = [
        (path.name, where)
        for path, page in pages.items()
        for where in page.loaded
        if re.match(r"(https?:)?//", where)
    ]
    styles = [
        (path.name, found)
        for path in site.rglob("*.css")
        for found in re.findall(
            r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]+)", path.read_text()
        )
    ]
    assert away == [] and styles == []
