"""The grammar of what moves data: receive, emit, demo.

The flags that are settings have the settings' names as their ``dest`` (config/settings.py), so a parsed
line needs no translation.
"""

from __future__ import annotations

from selo.agents.cli.grammar import Commands, Parser, add_command, add_passphrase_file


def add_receive(commands: Commands, general: Parser) -> None:
    """`selo receive`."""
    parser = add_command(
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
        dest="receive_bind",
        metavar="URL",
        help="where to listen (tcp://127.0.0.1:7800: this machine only)",
    )
    parser.add_argument(
        "--connect",
        dest="receive_connect",
        metavar="URL",
        help="where an Emitter listens, instead of listening for it",
    )
    parser.add_argument(
        "--from",
        dest="receive_from",
        metavar="NAME",
        action="append",
        help="who may deliver in this run, and nobody else, whether or not it --may-send otherwise; "
        "can be repeated",
    )
    parser.add_argument(
        "--wait", dest="receive_wait", metavar="DURATION", help="give up after 30s, 10m, 1h ... (never)"
    )
    _add_target(parser)
    add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def _add_target(parser: Parser) -> None:
    """Where a delivery goes, and how."""
    parser.add_argument(
        "--into",
        dest="receive_into",
        metavar="DIR",
        help="store under the name that the sender gives, in DIR (.)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--output", dest="receive_output", metavar="FILE", help="store under this name")
    output.add_argument(
        "standard_output", metavar="-", nargs="?", choices=["-"], help="write to standard output"
    )
    parser.add_argument(
        "--overwrite",
        dest="receive_overwrite",
        action="store_const",
        const=True,
        help="replace a file that exists",
    )
    parser.add_argument(
        "--hold",
        dest="receive_hold",
        action="store_const",
        const=True,
        help="hold a stream back until its end is known to be good, then hand it on; it takes disk",
    )
    parser.add_argument("--hold-limit", metavar="SIZE", help="the disk that a held delivery may take (16GiB)")


def add_emit(commands: Commands, general: Parser) -> None:
    """`selo emit`."""
    parser = add_command(
        commands,
        general,
        "emit",
        "send one file or one stream",
        "Exit status 0 means that the other side has stored all of it and said so under its key.",
        "tar c src | selo emit --to bob --connect tcp://bob.example:7800 --as src.tar -",
    )
    parser.add_argument(
        "--to", dest="emit_to", metavar="NAME", help="the peer; whoever else answers is refused"
    )
    parser.add_argument(
        "--connect", dest="emit_connect", metavar="URL", help="where it listens, as in tcp://host:7800"
    )
    parser.add_argument(
        "--bind", dest="emit_bind", metavar="URL", help="where to listen for it, instead of connecting"
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
    add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def add_demo(commands: Commands, general: Parser) -> None:
    """`selo demo`."""
    parser = add_command(
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
