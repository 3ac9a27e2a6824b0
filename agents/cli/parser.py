"""The command line as a whole: one parser out of the parts of its grammar, and what argparse cannot say.

Nothing heavy is imported here: `selo --help` is quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from selo import __version__
from selo.agents.cli.grammar import BadCommandLine, Parser, general_options
from selo.agents.cli.grammar_deliver import add_demo, add_emit, add_receive
from selo.agents.cli.grammar_identity import (
    add_backup,
    add_id,
    add_keygen,
    add_passphrase,
    add_rotate,
    add_trust,
)
from selo.agents.cli.grammar_operate import add_config, add_doctor
from selo.agents.cli.grammar_receipt import add_receipt

__all__ = ["BadCommandLine", "make_parser", "parse_command_line"]

STANDARD_INPUT = "-"


def parse_command_line(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed line. ``command`` names the sub-command, for `trust` and `receipt` ``action`` names its own.

    What is a setting stands under the setting's name, None where the line does not say it. Besides, emit
    has ``paths`` (`-` alone: standard input), ``stream_name``, ``exclude``, ``ignore_files`` and ``receipt``.

    Raises:
        BadCommandLine: it cannot be meant.
        SystemExit: --help or --version was asked for and answered.
    """
    arguments: argparse.Namespace
    arguments, unknown = make_parser().parse_known_args(argv)
    if "--" in unknown:
        raise BadCommandLine(
            "operands stand before `--` or behind it, not on both sides", f"selo {arguments.command}"
        )
    if unknown:
        options = [word for word in unknown if word.startswith("-")]  # their values are not to blame
        raise BadCommandLine(
            f"unrecognized arguments: {' '.join(options or unknown)}", f"selo {arguments.command}"
        )
    if arguments.command == "receive" and arguments.standard_output is not None:
        arguments.receive_output = arguments.standard_output
    if arguments.command == "emit":
        _settle_source(arguments)
    if arguments.command == "doctor" and arguments.peer_name and not arguments.peer_url:
        raise BadCommandLine("--to NAME says who should be at --connect URL", "selo doctor")
    if arguments.command == "config" and arguments.example and arguments.names:
        raise BadCommandLine("--example writes all settings, and takes no NAME", "selo config")
    return arguments


def _settle_source(arguments: argparse.Namespace) -> None:
    if arguments.receipt == "-":  # for those who mean standard output, and would find a file of that name
        raise BadCommandLine("the receipt goes into a file, which - is none; ./- is", "selo emit")
    if not arguments.paths:
        if sys.stdin is None or sys.stdin.isatty():
            raise BadCommandLine("nothing to send: name a file or folder, or pipe a stream in", "selo emit")
        arguments.paths = [STANDARD_INPUT]
    alone = len(arguments.paths) == 1
    if STANDARD_INPUT not in arguments.paths:
        if not alone and arguments.stream_name is not None:
            raise BadCommandLine("--as names one thing, and here are several", "selo emit")
    elif not alone:
        raise BadCommandLine("standard input is sent alone, without files", "selo emit")
    elif arguments.exclude or arguments.ignore_files:
        raise BadCommandLine("--exclude and --ignore-file choose in folders, not in a stream", "selo emit")


def make_parser() -> Parser:
    """The grammar of `selo`; completions and man pages are made from it as well."""
    parser = Parser(
        prog="selo",
        parents=[general_options()],
        description="Deliver files and streams from one machine to another, authenticated and encrypted.\n\n"
        "Both machines make an identity (keygen), exchange their public identities\n"
        "(id --export, trust add), and then one receives while the other emits.",
        epilog="example, on the machine that receives and then on the one that sends:\n"
        "  selo receive --bind tcp://0.0.0.0:7800 --from alice --into inbox\n"
        "  selo emit --to bob --connect tcp://bob.example:7800 report.pdf",
    )
    parser.add_argument("--version", action="version", version=f"selo {__version__}")
    parser.set_defaults(home=None, suite=None, json=None, quiet=None, verbose=None)
    general = general_options()  # its own: the defaults above are now those of the other one
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    add_keygen(commands, general)
    add_id(commands, general)
    add_trust(commands, general)
    add_passphrase(commands, general)
    add_backup(commands, general)
    add_rotate(commands, general)
    add_receive(commands, general)
    add_emit(commands, general)
    add_receipt(commands, general)
    add_demo(commands, general)
    add_config(commands, general)
    add_doctor(commands, general)
    return parser
