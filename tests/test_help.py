"The list of commands, as a newcomer reads it at 80 columns."

import re

import click
import pytest
from click.testing import CliRunner

from continual_nb.cli.main import GROUPS, cli


def test_every_command_stands_once_under_who_needs_it_when_and_no_line_is_cut_off():
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    listed = [name for lines in GROUPS.values() for name in lines]
    assert sorted(listed) == sorted(cli.commands)
    assert [m for m in re.findall(r"^  ([a-z]+)  ", shown, re.M)] == listed
    lines = [line for line in shown.splitlines() if line.startswith("  ")]
    assert all(len(line) <= 80 and not line.endswith("...") for line in lines)
    assert [title for title in GROUPS if f"\n{title}:\n" in shown] == list(GROUPS)


def commands(group=cli, before=()):
    "Every command with its words, those of groups too."
    for name, one in group.commands.items():
        yield (*before, name)
        if isinstance(one, click.Group):
            yield from commands(one, (*before, name))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_help_of_every_command_fits_80_columns_and_names_what_it_takes(words):
    shown = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).output
    options = re.findall(r"^  -.*$", shown, re.M)
    assert max(map(len, shown.splitlines())) <= 80 and options
    assert not [line for line in options if re.search(r" FLOAT\b", line)]
    wide = [line for line in options if len(line.rstrip()) > 34 and "  " not in line.strip()]
    assert not wide, "an option and what it takes stand on the line of their help"
