"""The man pages: selo(1) and one page for each command, in man(7)."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from grammar_tree import Command, command_tree

from selo import __version__
from selo.config.catalogue import CATALOGUE, NOTHING, Setting
from selo.config.home import HOME_VARIABLE, Home

README = Path(__file__).resolve().parents[1] / "README.md"
MANUAL = "Selo manual"
_HOME = Home(Path("~/.selo"))
FILES = (
    (_HOME.path, f"the home; {HOME_VARIABLE} or --home names another one"),
    (_HOME.identity_file, "the private identity"),
    (_HOME.public_identity_file, "the public identity, with the name that it suggests for itself"),
    (_HOME.peers_folder / "NAME.json", "a pinned peer; `selo trust` keeps these"),
    (_HOME.settings_file, "settings, where somebody wrote some; `selo config --example` writes one to edit"),
)


def man_pages() -> dict[str, str]:
    """The text of every page, by its path in docs/."""
    selo = command_tree()
    names = [_page_name(command) for command in (selo, *selo.actions)]
    pages = [_main_page(selo), *map(_command_page, selo.actions)]
    return {
        f"man/{name}.1": f"{_title(name)}{page}{_see_also(name, names)}"
        for name, page in zip(names, pages, strict=True)
    }


def _page_name(command: Command) -> str:
    return "-".join(("selo", *command.path))


def _title(name: str) -> str:
    # Without a date: a page is the same whenever it is made.
    return f'.\\" Made by docs/make_manual.py.\n.TH {name.upper()} 1 "" "selo {__version__}" "{MANUAL}"\n'


def _main_page(selo: Command) -> str:
    usage = [r"\fBselo\fR [\fIgeneral options\fR] \fICOMMAND\fR [\fIargument\fR ...]"]
    usage += [rf"\fBselo\fR [{_option(action)}]" for action in selo.own]
    description = selo.parser.description or ""
    commands = [
        _item(rf"\fB{_escaped(_page_name(each))}\fR(1)", f"`selo {each.path[0]}`: {each.summary}")
        for each in selo.actions
    ]
    return "".join(
        (
            _section("NAME", _filled("selo - deliver files and streams, authenticated and encrypted")),
            _section("SYNOPSIS", _usages(usage)),
            _section("DESCRIPTION", _prose(description)),
            _section("COMMANDS", "".join(commands)),
            _section(
                "OPTIONS",
                _filled("The general options stand before or after the command."),
                _items(selo, [*selo.help, *selo.general, *selo.own]),
            ),
            _section("EXIT STATUS", _exit_statuses()),
            _section("ENVIRONMENT", _environment()),
            _section("FILES", "".join(_item(rf"\fI{_escaped(str(path))}\fR", text) for path, text in FILES)),
            _section("EXAMPLES", _prose(_capitalised(selo.parser.epilog or ""))),
        )
    )


def _command_page(command: Command) -> str:
    name = _page_name(command)
    last = [each for each in command.walk() if not each.actions]
    arguments = "".join(_about_action(each) for each in last if each is not command)
    options = _items(command, command.own)
    return "".join(
        (
            _section("NAME", _filled(f"{name} - {command.summary}")),
            _section("SYNOPSIS", _usages(_usage(each) for each in last)),
            _section("DESCRIPTION", _prose(command.parser.description or "")),
            _section("ACTIONS", arguments) if arguments else "",
            _section("OPTIONS", options, _filled("The general options and --help: see selo(1).")),
            _section("EXIT STATUS", _filled("See selo(1).")),
            _section("EXAMPLES", _prose("\n".join(_examples(command)))),
        )
    )


def _about_action(command: Command) -> str:
    heading = f'.SS "{_escaped(" ".join(("selo", *command.path)))}"\n'
    prose = _prose(command.parser.description or "").removeprefix(".PP\n")
    return heading + prose + _items(command, command.own)


def _examples(command: Command) -> list[str]:
    lines = [line for each in command.walk() for line in (each.parser.epilog or "").splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith("  ")))


def _see_also(name: str, names: Iterable[str]) -> str:
    others = [rf"\fB{_escaped(each)}\fR(1)" for each in names if each != name]
    return _section("SEE ALSO", ",\n".join(others) + "\n")


def _exit_statuses() -> str:
    table = re.search(r"^\| exit status \|.*\n\|[-|]+\n((?:\|.*\n)+)", README.read_text(), re.MULTILINE)
    assert table, "the README has no table of exit statuses"
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table[1], re.MULTILINE)
    return "".join(_item(rf"\fB{status}\fR", words) for status, words in rows)


def _environment() -> str:
    home = f"the home folder; {_HOME.path} where it is not set"
    settings = "".join(_item(rf"\fB{each.variable}\fR", _about_setting(each)) for each in CATALOGUE.values())
    return (
        _filled(
            "A setting comes from its option, else from its variable, else from config.toml, where its name "
            "is that of the variable in lower case without SELO_, else it has its default."
        )
        + _item(rf"\fB{HOME_VARIABLE}\fR", home)
        + settings
    )


def _about_setting(setting: Setting) -> str:
    default = setting.in_words(setting.default)
    shown = "none" if default == NOTHING else f"`{default}`"
    option = f" Option: `{setting.option}`." if setting.option else ""
    return f"{_capitalised(setting.reason)}. Expected: {setting.expected}. Default: {shown}.{option}"


def _usage(command: Command) -> str:
    """The synopsis of one command, in roff."""
    exclusive = {
        id(action): group
        for group in command.parser._mutually_exclusive_groups
        for action in group._group_actions
    }
    words = [rf"\fB{' '.join(('selo', *command.path))}\fR"]
    for action in command.own:
        group = exclusive.get(id(action))
        if group is None:
            word, required = _repeated(action), _is_required(action)
        elif action is group._group_actions[0]:
            word, required = " | ".join(map(_repeated, group._group_actions)), group.required
        else:
            continue
        words.append(word if required else f"[{word}]")
    return " ".join((*words, r"[\fIgeneral options\fR]"))


def _is_required(action: argparse.Action) -> bool:
    return action.required if action.option_strings else action.nargs not in ("?", "*")


def _repeated(action: argparse.Action) -> str:
    many = isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+")
    return _option(action) + (" ..." if many else "")


def _option(action: argparse.Action) -> str:
    """An option with its value, or an argument, in roff."""
    strings = ", ".join(rf"\fB{_escaped(each)}\fR" for each in action.option_strings)
    if action.nargs == 0:
        return strings
    return f"{strings} {_value(action)}".strip()


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        font = "I" if action.metavar.isalpha() else "B"
        return rf"\f{font}{_escaped(action.metavar)}\fR"
    assert action.choices, f"{action.dest} has neither a metavar nor choices"
    return "|".join(rf"\fB{_escaped(str(each))}\fR" for each in action.choices)


def _items(command: Command, actions: Iterable[argparse.Action]) -> str:
    return "".join(_item(_option(action), command.help_of(action)) for action in actions)


def _usages(usages: Iterable[str]) -> str:
    """Synopses, each with its second line indented under its first argument."""
    return "".join(f".HP\n{_wrapped(usage)}" for usage in usages)


def _section(title: str, *parts: str) -> str:
    return f".SH {title}\n" + "".join(parts).removeprefix(".PP\n")


def _item(tag: str, text: str) -> str:
    return f".TP\n{tag}\n" + (_wrapped(_marked(text)) if text else "\\&\n")


def _filled(text: str) -> str:
    return f".PP\n{_wrapped(_marked(text))}"


def _prose(text: str) -> str:
    """Paragraphs as they are written for --help: what is indented stays as it is."""
    parts = []
    for paragraph in re.split(r"\n\n+", text):
        for block in re.findall(r"(?:^(?!  ).*\n?)+|(?:^  .*\n?)+", paragraph, re.MULTILINE):
            parts.append(_code(block) if block.startswith("  ") else _filled(" ".join(block.split())))
    return "".join(parts)


def _code(block: str) -> str:
    lines = [_guarded(_escaped(line[2:]).replace("'", r"\(aq")) for line in block.splitlines()]
    return ".PP\n.nf\n.RS 4\n" + "".join(f"{line}\n" for line in lines) + ".RE\n.fi\n"


def _wrapped(roff: str) -> str:
    lines = textwrap.wrap(roff, 78, break_on_hyphens=False, break_long_words=False)
    return "".join(f"{_guarded(line)}\n" for line in lines)


def _guarded(line: str) -> str:
    """A line that begins with a control character is text all the same."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _marked(text: str) -> str:
    """Prose in roff; what stands in backquotes is bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", _escaped(text))


def _escaped(text: str) -> str:
    for character, roff in (("\\", r"\e"), ("-", r"\-"), ("~", r"\(ti"), ("^", r"\(ha")):
        text = text.replace(character, roff)
    return text


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
