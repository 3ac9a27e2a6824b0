"""The grammar of what moves data: receive, emit, demo.

The flags that are settings have the settings' names as their ``dest`` (config/settings.py), so a parsed
line needs no translation.
"""

from __future__ import annotations

from selo.agents.cli.grammar import (
    Commands,
    Parser,
    add_command,
    add_passphrase_file,
    add_setting,
    add_switch,
)


def add_receive(commands: Commands, general: Parser) -> None:
    """`selo receive`."""
    parser = add_command(
        commands,
        general,
        "receive",
        "wait for a delivery and store it",
        "Ends after one delivery from a peer that may send, or goes on (--forever). Strangers\n"
        "are turned away and reported. A delivery appears under its name only when all of it\n"
        "has arrived and verified; of one that was cut the rest is waited for. A stream to\n"
        "standard output is verified record by record, so use `set -o pipefail` in scripts.",
        "selo receive --bind tcp://0.0.0.0:7800 --from alice --into inbox",
    )
    add_setting(
        parser, "--bind", "receive_bind", "URL", "where to listen (tcp://127.0.0.1:7800: this machine only)"
    )
    add_setting(
        parser,
        "--connect",
        "receive_connect",
        "URL",
        "where an Emitter listens, instead of listening for it",
    )
    parser.add_argument(
        "--from",
        dest="receive_from",
        metavar="NAME",
        action="append",
        help="who may deliver in this run, and nobody else, whether or not it --may-send otherwise; "
        "can be repeated",
    )
    add_setting(parser, "--wait", "receive_wait", "DURATION", "give up after 30s, 10m, 1h ... (never)")
    add_switch(parser, "--forever", "receive_forever", "take one delivery after another")
    add_setting(parser, "--exec", "receive_exec", "CMD", "run CMD, without a shell, after each delivery")
    _add_target(parser)
    _add_admission(parser)
    _add_resumption(parser)
    add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def _add_target(parser: Parser) -> None:
    """Where a delivery goes, and how."""
    add_setting(
        parser, "--into", "receive_into", "DIR", "store under the name that the sender gives, in DIR (.)"
    )
    output = parser.add_mutually_exclusive_group()
    add_setting(output, "--output", "receive_output", "FILE", "store under this name")
    output.add_argument(
        "standard_output", metavar="-", nargs="?", choices=["-"], help="write to standard output"
    )
    taken = parser.add_mutually_exclusive_group()
    add_switch(
        taken,
        "--overwrite",
        "receive_overwrite",
        "replace what has the name, a folder wholly (refuse)",
        "replace",
    )
    add_switch(taken, "--rename", "receive_overwrite", "store as `name (2)` if the name is taken", "rename")
    add_switch(
        parser,
        "--hold",
        "receive_hold",
        "hold a stream back until its end is known to be good, then hand it on; it takes disk",
    )
    parser.add_argument("--hold-limit", metavar="SIZE", help="the disk that a held delivery may take (16GiB)")


def _add_admission(parser: Parser) -> None:
    """What is taken; for one peer `selo trust policy` may say otherwise."""
    add_setting(
        parser, "--names", "receive_names", "RULE", "the names that are taken: plain, portable, any (plain)"
    )
    add_switch(parser, "--no-folders", "receive_folders", "take single files and streams only", said=False)
    add_setting(parser, "--max-bytes", "receive_max_bytes", "SIZE", "the largest delivery (unlimited)")
    add_setting(parser, "--max-items", "receive_max_items", "N", "the most items in one (unlimited)")
    add_setting(parser, "--keep-free", "receive_keep_free", "SIZE", "leave so much of the disk free (0)")
    add_setting(parser, "--rate", "receive_rate", "RATE", "take no more than 10MB/s ... (unlimited)")


def _add_resumption(parser: Parser) -> None:
    """What is done about cuts, of the line and of the power."""
    add_setting(
        parser, "--resume-window", "resume_window", "DURATION", "wait so long for the rest after a cut (15m)"
    )
    add_setting(
        parser, "--keep-partial", "keep_partial", "DURATION", "keep what was cut for a later run (7d)"
    )
    add_switch(
        parser, "--no-fsync", "receive_no_fsync", "do not wait for the disk; a power cut may take deliveries"
    )


def add_emit(commands: Commands, general: Parser) -> None:
    """`selo emit`."""
    parser = add_command(
        commands,
        general,
        "emit",
        "send files and folders, or one stream",
        "Exit status 0 means that the other side has stored all of it and said so under its key.\n"
        "After a cut it goes on where it was.",
        "tar c src | selo emit --to bob --connect tcp://bob.example:7800 --as src.tar -",
    )
    add_setting(parser, "--to", "emit_to", "NAME", "the peer; whoever else answers is refused")
    add_setting(parser, "--connect", "emit_connect", "URL", "where it listens, as in tcp://host:7800")
    add_setting(parser, "--bind", "emit_bind", "URL", "where to listen for it, instead of connecting")
    _add_content(parser)
    add_setting(parser, "--wait", "emit_wait", "DURATION", "keep trying to connect for so long (30s)")
    add_setting(
        parser, "--retry-for", "retry_for", "DURATION", "after a cut, try so long to go on; 0: never (10m)"
    )
    add_setting(
        parser, "--resume-buffer", "resume_buffer", "SIZE", "keep so much of a stream to repeat it (32MiB)"
    )
    add_setting(parser, "--rate", "emit_rate", "RATE", "send no more than 10MB/s ... (unlimited)")
    parser.add_argument(
        "--record-size", metavar="SIZE", help="plaintext of one record, 32 bytes to 1MiB (1MiB)"
    )
    add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")


def _add_content(parser: Parser) -> None:
    """What is sent, and what is kept of that."""
    parser.mixes = True
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="files and folders; - or nothing: standard input"
    )
    parser.add_argument(
        "--as", dest="stream_name", metavar="NAME", help="the name to suggest to the other side"
    )
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out of folders what matches, as in .gitignore; can be repeated",
    )
    parser.add_argument(
        "--ignore-file",
        dest="ignore_files",
        metavar="NAME",
        action="append",
        default=[],
        help="files of this name hold such patterns for their folder; can be repeated",
    )
    parser.add_argument(
        "--receipt", metavar="FILE", help="write the signed receipt to FILE (see selo receipt)"
    )
    add_setting(
        parser, "--digest", "emit_digest", "DIGEST", "of each item in the receipt: blake3, sha256 (blake3)"
    )


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
