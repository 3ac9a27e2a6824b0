"""The grammar of identities and trust."""

from __future__ import annotations

from selo.agents.cli.grammar import Commands, Parser, add_command, add_passphrase_file


def add_keygen(commands: Commands, general: Parser) -> None:
    """`selo keygen`."""
    parser = add_command(
        commands,
        general,
        "keygen",
        "make this machine's identity",
        "Like ssh-keygen: a private identity that stays here, and a public one for your\n"
        "peers. An identity that exists is never overwritten.",
        "selo keygen --name alice",
    )
    parser.add_argument("--name", metavar="NAME", help="how your peers may call you (a suggestion to them)")
    add_passphrase_file(parser, "encrypt the private identity under the first line of F")


def add_id(commands: Commands, general: Parser) -> None:
    """`selo id`."""
    parser = add_command(
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
    add_passphrase_file(parser, "needed only where identity.pub was lost")


def add_trust(commands: Commands, general: Parser) -> None:
    """`selo trust`."""
    trust = add_command(
        commands,
        general,
        "trust",
        "keep the list of peers",
        "Like known_hosts and authorized_keys in one: a peer in the list can be sent to,\n"
        "and one added with --may-send can deliver here.",
        "selo trust add bob bob.id",
    )
    actions = trust.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    add = add_command(
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
    add_command(actions, general, "list", "list all peers", "One line a peer.", "selo trust list")
    show = add_command(
        actions,
        general,
        "show",
        "show one peer",
        "With its whole fingerprint and its words.",
        "selo trust show bob",
    )
    show.add_argument("name", metavar="NAME")
    remove = add_command(
        actions,
        general,
        "remove",
        "forget a peer",
        "It can then neither send nor be sent to.",
        "selo trust remove bob",
    )
    remove.add_argument("name", metavar="NAME")
