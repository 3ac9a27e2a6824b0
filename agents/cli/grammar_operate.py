"""The grammar of what keeps an installation in order: config, doctor."""

from __future__ import annotations

from selo.agents.cli.grammar import Commands, Parser, add_command, add_passphrase_file


def add_config(commands: Commands, general: Parser) -> None:
    """`selo config`."""
    parser = add_command(
        commands,
        general,
        "config",
        "show every setting, and where its value comes from",
        "Settings come from defaults, config.toml in the home, SELO_* variables and flags; the\n"
        "later one decides. With NAMEs: those alone, with their ranges, reasons and ways to set them.",
        "selo config record_size",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="a setting, as config.toml has it")
    parser.add_argument(
        "--example", action="store_true", help="write a config.toml to edit, every setting in a comment"
    )


def add_doctor(commands: Commands, general: Parser) -> None:
    """`selo doctor`."""
    parser = add_command(
        commands,
        general,
        "doctor",
        "look at everything that Selo stands on, and say how to mend it",
        "Libraries, algorithms, home, identity, peers, settings, port, ZeroMQ and disks; with\n"
        "--connect also the path to a peer: its name, TCP, the greeting and, with --to, the gate.\n"
        "No handshake is begun there; the peer's `receive` reports a stranger who left.\n\n"
        "Each line is ok, note, warn or FAIL; below it stands the command that mends it.\n"
        "The exit status is 1 when there is a FAIL; notes and warnings alone leave it at 0.",
        "selo doctor --connect tcp://bob.example:7800 --to bob",
    )
    parser.add_argument(
        "--connect", dest="peer_url", metavar="URL", help="where a peer listens: look at the path there"
    )
    parser.add_argument("--to", dest="peer_name", metavar="NAME", help="the peer who should listen there")
    add_passphrase_file(parser, "try the first line of F as the passphrase of the private identity")
