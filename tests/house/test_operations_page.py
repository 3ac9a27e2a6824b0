"""The operator's page says only what the program takes."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields

import pytest

from selo.agents.cli.parser import parse_command_line
from selo.agents.hook import VARIABLES
from selo.config.catalogue import CATALOGUE
from selo.config.home import Home
from selo.config.policy import PeerPolicy
from selo.config.settings import load_settings


@pytest.fixture(scope="module")
def page(root):
    """The text."""
    return (root / "docs" / "operations.md").read_text()


def command_lines(text):
    """Every `selo ...` of the blocks for a shell and of the tables, up to a pipe or a redirection."""
    blocks = re.findall(r"```(?:console|bash|ini)\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(selo [^`]+)`", text)
    return [
        match.split("|")[0].split(">")[0].strip()
        for part in (*blocks, *inline)
        for match in re.findall(
            r"(?:^|\$ |\| |=/opt/selo/bin/|PASSPHRASE_FILE=\S+ |if )(selo .*)", part, re.M
        )
    ]


def test_every_command_of_the_page_can_be_typed(page):
    """The grammar takes each line as it stands; there are many."""
    lines = command_lines(page)
    assert len(lines) > 30
    for line in lines:
        words = shlex.split(line.split(" || ")[0])[1:]
        if words != ["trust", "rotate"]:
            assert parse_command_line(words).command, line


def test_every_setting_of_the_page_is_one(page, tmp_path):
    """The example of a config.toml loads, and the variables exist."""
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    home = Home(tmp_path)
    tmp_path.chmod(0o700)
    home.settings_file.write_text(toml)
    settings = load_settings(home)
    assert set(tomllib.loads(toml)) <= set(CATALOGUE)
    assert settings.receive_from == ("alice",)
    assert settings.receive_forever
    variables = {setting.variable for setting in CATALOGUE.values()} | {"SELO_HOME"}
    assert set(re.findall(r"SELO_[A-Z0-9_]+", page)) - {*VARIABLES} <= variables


def test_every_variable_of_a_hook_is_on_the_page(page):
    """Whoever writes a command for --exec finds all that it is told."""
    assert {*re.findall(r"`(SELO_DELIVERY_[A-Z0-9_]+)`", page)} == {*VARIABLES}


def test_every_option_of_a_policy_is_on_the_page(page):
    """The table has one line for each field."""
    options = {f"--{field.name.replace('_', '-')}" for field in fields(PeerPolicy)}
    assert {*re.findall(r"^\| `(--[a-z-]+) ", page, re.M)} == options
