"""The grammar of the command line. Nothing heavy is imported here: `selo --help` is quick.

The flags that are settings have the settings' names as their ``dest``
(config/settings.py), so a parsed line needs no translation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from selo import __version__
from selo.errors import UsageError


class BadCommandLine(UsageError):
    """A command line that is none of ours; ``command`` is the one whose help to read."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message, command)
        self.message = message
        self.hint = f"`{command} --help` shows how"

    def __str__(self) -> str:
        return self.message


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise BadCommandLine(message, self.prog)


_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def parse_command_line(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed line. ``command`` names the sub-command, for `trust` ``action`` names its own.

    receive has ``senders``, ``overwrite`` and exactly one of ``into`` and ``output`` (`-`: standard
    output); emit has ``to``, ``connect``, ``path`` (`-`: standard input) and ``stream_name``.

    Raises:
        BadCommandLine: it cannot be meant.
        SystemExit: --help or --version was asked for and answered.
    """
    arguments = _make_parser().parse_args(argv)
    if arguments.quiet and arguments.verbose:
        raise BadCommandLine("--quiet and --verbose contradict each other", "selo")
    if arguments.command == "receive":
        _settle_target(arguments)
    if arguments.command == "emit":
        _settle_source(arguments)
    return arguments


def _settle_target(arguments: argparse.Namespace) -> None:
    if arguments.standard_output is not None:
        arguments.output = arguments.standard_output
    if arguments.output is None and arguments.into is None:
        arguments.into = "."
    if arguments.overwrite and arguments.output == "-":
        raise BadCommandLine("--overwrite means nothing for standard output", "selo receive")


def _settle_source(arguments: argparse.Namespace) -> None:
    if arguments.path is not None:
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise BadCommandLine("nothing to send: name a file, or pipe a stream in", "selo emit")
    arguments.path = "-"


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="selo",
        parents=[_general_options()],
        description="Deliver files and streams from one machine to another, authenticated and encrypted.\n\n"
        "Both machines make an identity (keygen), exchange their public identities\n"
        "(id --export, trust add), and then one receives while the other emits.",
        epilog="example, on the machine that receives and then on the one that sends:\n"
        "  selo receive --bind tcp://0.0.0.0:7800 --from alice --into inbox\n"
        "  selo emit --to bob --connect tcp://bob.example:7800 report.pdf",
    )
    parser.add_argument("--version", action="version", version=f"selo {__version__}")
    parser.set_defaults(home=None, suite=None, json=False, quiet=False, verbose=False)
    general = _general_options()  # its own: the defaults above are now those of the other one
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    _add_keygen(commands, general)
    _add_id(commands, general)
    _add_trust(commands, general)
    _add_receive(commands, general)
    _add_emit(commands, general)
    _add_demo(commands, general)
    return parser


def _general_options() -> _Parser:
    """The options that stand before or after the sub-command.

    Defaults are suppressed: a sub-command's default would undo what stood before it.
    """
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("general options")
    group.add_argument(
        "--home", metavar="DIR", help="where identity and peers live (SELO_HOME, else ~/.selo)"
    )
    group.add_argument(
        "--suite", metavar="SUITE", help="the set of algorithms; both sides choose the same: classic"
    )
    group.add_argument(
        "--json", action="store_true", help="report as JSON, one object a line, on standard error"
    )
    group.add_argument("--quiet", action="store_true", help="errors and results only, no warnings")
    group.add_argument("--verbose", action="store_true", help="say more about what happens")
    return parser


def _add_command(
    commands: _Commands, general: _Parser, name: str, summary: str, detail: str, example: str
) -> _Parser:
    parser: _Parser = commands.add_parser(
        name,
        parents=[general],
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.\n\n{detail}",
        epilog=f"example:\n  {example}",
    )
    return parser


def _add_keygen(commands: _Commands, general: _Parser) -> None:
    parser = _add_command(
        commands,
        general,
        "keygen",
        "make this machine's identity",
        "Like ssh-keygen: a private identity that stays here, and a public one for your\n"
        "peers. An identity that exists is never overwritten.",
        "selo keygen --name alice",
    )
    parser.add_argument("--name", metavar="NAME", help="how your peers may call you (a suggestion to them)")
    _add_passphrase_file(parser, "encrypt the private identity under the first line of F")


def _add_id(commands: _Commands, general: _Parser) -> None:
    parser = _add_command(
        commands,
        general,
        "id",
        "show this machine's public identity",
        "The fingerprint is what your peers compare; --export writes what they import.",
        "selo id --export > alice.id",
    )
    parser.add_argument(
        "--export", action="store_true", help="write the public identity itself, and nothing else"
    )
    _add_passphrase_file(parser, "needed only where identity.pub was lost")


def _add_trust(commands: _Commands, general: _Parser) -> None:
    trust = _add_command(
        commands,
        general,
        "trust",
        "keep the list of peers",
        "Like known_hosts and authorized_keys in one: a peer in the list can be sent to,\n"
        "and one added with --may-send can deliver here.",
        "selo trust add bob bob.id",
    )
    actions = trust.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    add = _add_command(
        actions,
        general,
        "add",
        "pin a peer's public identity under a name",
        "Compare the words that it shows with those of `selo id` on the peer's machine,\n"
        "by telephone or in person: whoever could change the file could change it for their own.",
        "selo trust add alice alice.id --may-send",
    )
    add.add_argument("name", metavar="NAME", help="what you call the peer")
    add.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="its public identity; -: standard input"
    )
    add.add_argument("--may-send", action="store_true", help="let it deliver to this machine")
    _add_command(actions, general, "list", "list all peers", "One line a peer.", "selo trust list")
    show = _add_command(
        actions,
        general,
        "show",
        "show one peer",
        "With its whole fingerprint and its words.",
        "selo trust show bob",
    )
    show.add_argument("name", metavar="NAME")
    remove = _add_command(
        actions,
        general,
        "remove",
        "forget a peer",
        "It can then neither send nor be sent to.",
        "selo trust remove bob",
    )
    remove.add_argument("name", metavar="NAME")


def _add_receive(commands: _Commands, general: _Parser) -> None:
    parser = _add_command(
        commands,
        general,
        "receive",
        "wait for one delivery and store it",
        "Ends after one delivery from a peer that may send. Strangers are turned away and\n"
        "reported. A delivery appears under its name only when all of it has arrived and\n"
        "verified; a stream to standard output is verified record by record, so use\n"
        "`set -o pipefail` in scripts.",
        "selo receive --bind tcp://0.0.0.0:7800 --from alice --into inbox",
    )
    parser.add_argument(
        "--bind",
        dest="listen",
        metavar="URL",
        help="where to listen (tcp://127.0.0.1:7800: this machine only)",
    )
    parser.add_argument(
        "--from",
        dest="senders",
        metavar="NAME",
        action="append",
        help="who may deliver in this run, and nobody else, whether or not it --may-send otherwise; "
        "can be repeated",
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--into", metavar="DIR", help="store under the name that the sender gives, in DIR (.)"
    )
    target.add_argument("--output", metavar="FILE", help="store under this name")
    target.add_argument(
        "standard_output", metavar="-", nargs="?", choices=["-"], help="write to standard output"
    )
    parser.add_argument(
        "--wait", dest="receive_wait", metavar="DURATION", help="give up after 30s, 10m, 1h ... (never)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    _add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def _add_emit(commands: _Commands, general: _Parser) -> None:
    parser = _add_command(
        commands,
        general,
        "emit",
        "send one file or one stream",
        "Exit status 0 means that the other side has stored all of it and said so under its key.",
        "tar c src | selo emit --to bob --connect tcp://bob.example:7800 --as src.tar -",
    )
    parser.add_argument(
        "--to", metavar="NAME", required=True, help="the peer; whoever else answers is refused"
    )
    parser.add_argument(
        "--connect", metavar="URL", required=True, help="where it listens, as in tcp://host:7800"
    )
    parser.add_argument("path", metavar="PATH", nargs="?", help="the file; - or nothing: standard input")
    parser.add_argument(
        "--as", dest="stream_name", metavar="NAME", help="the name to suggest to the other side"
    )
    parser.add_argument(
        "--wait", dest="emit_wait", metavar="DURATION", help="keep trying to connect for so long (30s)"
    )
    parser.add_argument(
        "--record-size", metavar="SIZE", help="plaintext of one record, 32 bytes to 1MiB (1MiB)"
    )
    _add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def _add_demo(commands: _Commands, general: _Parser) -> None:
    parser = _add_command(
        commands,
        general,
        "demo",
        "watch two agents on this machine do all of it",
        "Makes two throw-away identities in a temporary folder; your own home is not touched.",
        "selo demo --transport pair",
    )
    parser.add_argument(
        "--transport",
        choices=["pair", "pipe"],
        default="pair",
        help="a ZeroMQ PAIR socket, or a pipe between two processes",
    )


def _add_passphrase_file(parser: _Parser, help_text: str) -> None:
    parser.add_argument("--passphrase-file", metavar="F", help=f"{help_text} (SELO_PASSPHRASE_FILE)")
