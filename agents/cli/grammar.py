"""What the command line's grammar is made of: the parser, a command, the options that all commands share.

Nothing heavy is imported here: `selo --help` is quick.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, TypeAlias

from selo.errors import UsageError


class BadCommandLine(UsageError):
    """A command line that is none of ours; ``command`` is the one whose help to read."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message, command)
        self.message = message
        self.hint = f"`{command} --help` shows how"

    def __str__(self) -> str:
        return self.message


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours."""

    mixes = False
    """Whether its operands may stand anywhere among the options, as in `selo emit one --to bob two`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse, which reads one run of operands only unless it is asked otherwise."""
        if not self.mixes or "--" in (args or ()):  # what follows `--` it would take for options then
            return super().parse_known_args(args, namespace)
        self.mixes = False
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixes = True

    def error(self, message: str) -> NoReturn:
        raise BadCommandLine(message, self.prog)


Container: TypeAlias = argparse._ActionsContainer
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def general_options() -> Parser:
    """The options that stand before or after the sub-command.

    Defaults are suppressed: a sub-command's default would undo what stood before it.
    """
    parser = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("general options")
    group.add_argument(
        "--home", metavar="DIR", help="where identity and peers live (SELO_HOME, else ~/.selo)"
    )
    group.add_argument(
        "--suite", metavar="SUITE", help="the set of algorithms; both sides choose the same: classic"
    )
    group.add_argument(
        "--json",
        action="store_const",
        const=True,
        help="report as JSON, one object a line, on standard error",
    )
    group.add_argument(
        "--quiet", action="store_const", const=True, help="errors and results only, no warnings"
    )
    group.add_argument("--verbose", action="store_const", const=True, help="say more about what happens")
    return parser


def add_command(
    commands: Commands, general: Parser, name: str, summary: str, detail: str, example: str
) -> Parser:
    """A sub-command with the general options, its help in the house's form."""
    parser: Parser = commands.add_parser(
        name,
        parents=[general],
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.\n\n{detail}",
        epilog=f"example:\n  {example}",
    )
    return parser


def add_setting(parser: Container, flag: str, setting: str, metavar: str, help_text: str) -> None:
    """An option that says the value of a setting."""
    parser.add_argument(flag, dest=setting, metavar=metavar, help=help_text)


def add_switch(parser: Container, flag: str, setting: str, help_text: str, said: object = True) -> None:
    """An option without a value that says ``said`` of a setting."""
    parser.add_argument(flag, dest=setting, action="store_const", const=said, help=help_text)


def add_passphrase_file(parser: Parser, help_text: str) -> None:
    """The option that names a file with a passphrase."""
    parser.add_argument("--passphrase-file", metavar="F", help=f"{help_text} (SELO_PASSPHRASE_FILE)")
