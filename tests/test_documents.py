"The documents: short where a newcomer reads, and naming only what is there."

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_readme_is_for_a_newcomer():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_document_names_only_files_that_are_there(name):
    text = (ROOT / name).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"`((?:nbs|tests|checks|benchmarks)/[\w./]+)`", text)
    assert [path for path in (*links, *named) if not (ROOT / path).exists()] == []


def test_the_license_is_the_one_that_is_declared():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
