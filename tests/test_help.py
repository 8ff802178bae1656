"The list of commands, as a newcomer reads it at 80 columns."

import re

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
