"""`selo config`: every setting, its value, and where that came from."""

from __future__ import annotations

import json
import os
import textwrap
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import fields

from selo.agents.cli.common import Context
from selo.agents.cli.streams import write_output
from selo.agents.cli.terminal import printable
from selo.config.catalogue import CATALOGUE, Setting, nearest
from selo.config.errors import UnknownSetting
from selo.config.settings import Loaded, Settings, load

_WIDTH = 98
_HEAD = """\
# Settings of Selo: this file is config.toml in the home folder (~/.selo, SELO_HOME, --home).
# A setting counts once the # before it is removed; each shows its default. Empty text: not set.
# A variable SELO_NAME of the environment comes before this file, and a flag before both.
"""


def run(arguments: Namespace, context: Context) -> int:
    """Show the settings, or write an example of the file.

    Raises:
        UnknownSetting: a NAME that no setting has.
        UsageError, LocalFault: see ``load`` and ``write_output``.
    """
    if arguments.example:
        write_output(example(), end="")
        return 0
    for name in arguments.names:
        if name not in CATALOGUE:
            raise UnknownSetting("selo config", name, nearest(name, CATALOGUE))
    loaded = load(context.home, os.environ, flags_of(arguments))
    if context.json:
        _events(arguments.names or CATALOGUE, loaded, context)
    elif arguments.names:
        write_output("\n\n".join(_explained(CATALOGUE[name], loaded) for name in arguments.names))
    else:
        write_output(_table(loaded, context))
    return 0


def flags_of(arguments: Namespace) -> dict[str, object]:
    """What the line says about settings, by their names; None where it says nothing."""
    return {field.name: getattr(arguments, field.name, None) for field in fields(Settings)}


def example() -> str:
    """A config.toml with every setting and its default in a comment, and how to write it."""
    return _HEAD + "".join(f"\n{_commented(setting)}" for setting in CATALOGUE.values())


def _commented(setting: Setting) -> str:
    default = setting.default
    if default == () or (default is None and not setting.endless):
        value = '""'
    elif isinstance(default, bool) or (setting.unit in ("records", "items") and default is not None):
        value = setting.show(default)
    else:
        value = json.dumps(setting.in_words(default))
    others = ", ".join(setting.ways[:-1])
    words = [setting.reason, f"{setting.expected}; also {others}"]
    lines = [line for text in words for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in lines) + f"#{setting.name} = {value}\n"


def _table(loaded: Loaded, context: Context) -> str:
    rows = [
        (setting.name, _value(setting, loaded), str(loaded.origins[setting.name]))
        for setting in CATALOGUE.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows]
    there = "" if loaded.has_file else " (there is none)"
    return "\n".join([*lines, "", f"settings file: {printable(str(context.home.settings_file))}{there}"])


def _value(setting: Setting, loaded: Loaded) -> str:
    return printable(setting.in_words(getattr(loaded.settings, setting.name)))


def _explained(setting: Setting, loaded: Loaded) -> str:
    rows = (
        ("value", _value(setting, loaded)),
        ("from", str(loaded.origins[setting.name])),
        ("default", setting.in_words(setting.default)),
        ("unit", setting.unit),
        ("expected", setting.expected),
        ("reason", setting.reason),
        ("set by", ", ".join(setting.ways)),
    )
    return "\n".join([setting.name, *(f"  {title:<8}  {text}" for title, text in rows if text)])


def _events(names: Iterable[str], loaded: Loaded, context: Context) -> None:
    for name in names:
        setting, value = CATALOGUE[name], getattr(loaded.settings, name)
        context.result(
            "",
            "setting",
            name=name,
            value=value if isinstance(value, int | float | tuple | None) else str(value),
            shown=setting.in_words(value),
            origin=str(loaded.origins[name]),
            unit=setting.unit or None,
            expected=setting.expected,
            reason=setting.reason,
            set_by=setting.ways,
        )
    context.result("", "settings-file", file=str(context.home.settings_file), exists=loaded.has_file)
