"""The grammar of identities and trust."""

from __future__ import annotations

from selo.agents.cli.grammar import Commands, Parser, add_command, add_passphrase_file, add_setting


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
    parser.add_argument(
        "--passphrase", action="store_true", help="ask for a passphrase to encrypt the private identity under"
    )
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
    parser.add_argument("--next", action="store_true", help="the one that `selo rotate --start` made")
    add_passphrase_file(parser, "needed only where the public file was lost")


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
    _add_changes(actions, general)


def _add_changes(actions: Commands, general: Parser) -> None:
    rename = add_command(
        actions,
        general,
        "rename",
        "call a peer otherwise",
        "Only here: names are ours.",
        "selo trust rename bob robert",
    )
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new_name", metavar="NEW", help="the new name")
    rotate = add_command(
        actions,
        general,
        "rotate",
        "pin a peer's next identity beside the present one",
        "Both are taken until --finish, so the peer may change over when it likes. Compare\n"
        "the words, as with `selo trust add`.",
        "selo trust rotate alice alice-next.id",
    )
    rotate.add_argument("name", metavar="NAME")
    which = rotate.add_mutually_exclusive_group()
    which.add_argument("file", metavar="FILE", nargs="?", help="its next public identity; -: standard input")
    which.add_argument("--finish", action="store_true", help="forget all identities but the newest")
    which.add_argument("--cancel", action="store_true", help="forget the newest: the words differ")
    many = add_command(
        actions,
        general,
        "import",
        "pin many peers at once",
        "Each file is pinned under its own name without the ending; of a folder, every *.id.\n"
        "All of them or, if one cannot be, none. Who is known so already is left alone.",
        "selo trust import peers/",
    )
    many.add_argument("files", metavar="FILE", nargs="+", help="public identities, or folders of them")
    many.add_argument("--may-send", action="store_true", help="let them deliver to this machine")
    for name, summary in (
        ("allow", "let a peer deliver to this machine"),
        ("deny", "let a peer no longer deliver"),
    ):
        change = add_command(
            actions, general, name, summary, "It can be sent to either way.", f"selo trust {name} bob"
        )
        change.add_argument("name", metavar="NAME")
    _add_policy(actions, general)


def _add_policy(actions: Commands, general: Parser) -> None:
    policy = add_command(
        actions,
        general,
        "policy",
        "show or say what a peer may deliver",
        "What is said of a peer comes before the settings and flags of `selo receive`; what is\n"
        "not said is as they say. Without options: shows what holds.",
        "selo trust policy alice --into inbox/alice --max-bytes 10GiB",
    )
    policy.add_argument("name", metavar="NAME")
    add_setting(policy, "--into", "into", "DIR", "its deliveries go into DIR")
    policy.add_argument("--folders", choices=["yes", "no"], help="whether it may send folders")
    add_setting(policy, "--max-bytes", "max_bytes", "SIZE", "the largest delivery, or unlimited")
    add_setting(policy, "--max-items", "max_items", "N", "the most items in one, or unlimited")
    add_setting(policy, "--keep-free", "keep_free", "SIZE", "leave so much of the disk free")
    add_setting(policy, "--names", "names", "RULE", "the names that are taken: plain, portable, any")
    add_setting(policy, "--overwrite", "overwrite", "HOW", "if a name is taken: never, rename, replace")
    add_setting(policy, "--rate", "rate", "RATE", "take no more than 10MB/s ..., or unlimited")
    policy.add_argument("--clear", action="store_true", help="forget first what was said before")


def add_passphrase(commands: Commands, general: Parser) -> None:
    """`selo passphrase`."""
    parser = add_command(
        commands,
        general,
        "passphrase",
        "change, set or remove the passphrase of the identity",
        "Asks at the terminal for what no file gives. The identity itself stays as it is.",
        "selo passphrase",
    )
    add_passphrase_file(parser, "the present passphrase is the first line of F")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--new-passphrase-file", metavar="F", help="the new one is the first line of F")
    which.add_argument("--remove", action="store_true", help="leave the identity without one")


def add_backup(commands: Commands, general: Parser) -> None:
    """`selo backup` and `selo restore`."""
    parser = add_command(
        commands,
        general,
        "backup",
        "write identity and peers into one file",
        "Encrypted under the identity's passphrase, or under one that is asked for. config.toml is\n"
        "not in it. A file that exists is never overwritten.",
        "selo backup alice.backup",
    )
    parser.add_argument("file", metavar="FILE", help="where to; -: standard output")
    parser.add_argument(
        "--plain", action="store_true", help="without encryption: whoever reads it has the key"
    )
    add_passphrase_file(parser, "the passphrase, of the identity and for the backup, is the first line of F")
    parser = add_command(
        commands,
        general,
        "restore",
        "make a home out of a backup",
        "Into a home that is missing or empty. Nothing is there before all of it was verified.",
        "selo restore alice.backup",
    )
    parser.add_argument("file", metavar="FILE", help="the backup; -: standard input")
    add_passphrase_file(parser, "the passphrase of the backup is the first line of F")


def add_rotate(commands: Commands, general: Parser) -> None:
    """`selo rotate`."""
    parser = add_command(
        commands,
        general,
        "rotate",
        "replace this machine's identity, without a day on which nothing works",
        "First --start, which makes the next identity and changes nothing else. Give that one to\n"
        "your peers (selo id --next --export), who pin it beside the present one (selo trust\n"
        "rotate). When all have it, --finish puts it in its place.",
        "selo rotate --start",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--start", action="store_true", help="make the next identity")
    which.add_argument("--finish", action="store_true", help="put it in the place of the present one")
    which.add_argument("--cancel", action="store_true", help="forget it")
    add_passphrase_file(parser, "the passphrase of the private identity is the first line of F")
