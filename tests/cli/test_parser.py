import io
import itertools
import sys
from dataclasses import fields

import pytest

from selo.agents.cli.parser import BadCommandLine, parse_command_line
from selo.config.catalogue import CATALOGUE
from selo.config.policy import PeerPolicy

EMIT = ["emit", "--to", "bob", "--connect", "tcp://h:1"]
COMMANDS = {
    "keygen": ["keygen"],
    "id": ["id"],
    "trust list": ["trust", "list"],
    "trust rename": ["trust", "rename", "bob", "robert"],
    "trust rotate": ["trust", "rotate", "bob", "file"],
    "trust import": ["trust", "import", "folder"],
    "trust allow": ["trust", "allow", "bob"],
    "trust deny": ["trust", "deny", "bob"],
    "trust policy": ["trust", "policy", "bob"],
    "receipt show": ["receipt", "show", "file"],
    "receipt verify": ["receipt", "verify", "file"],
    "passphrase": ["passphrase"],
    "backup": ["backup", "file"],
    "restore": ["restore", "file"],
    "rotate": ["rotate", "--start"],
    "trust add": ["trust", "add", "bob"],
    "trust show": ["trust", "show", "bob"],
    "trust remove": ["trust", "remove", "bob"],
    "receive": ["receive"],
    "emit": [*EMIT, "file"],
    "demo": ["demo"],
    "config": ["config"],
    "doctor": ["doctor"],
}
GENERAL = {
    "home": (["--home", "/h"], "/h"),
    "suite": (["--suite", "classic"], "classic"),
    "json": (["--json"], True),
    "quiet": (["--quiet"], True),
    "verbose": (["--verbose"], True),
}


@pytest.mark.parametrize(("command", "option"), [*itertools.product(COMMANDS, GENERAL)])
def test_general_options_stand_before_or_after_the_command(command, option):
    """Every general option means the same in every place; without it the default holds."""
    words, value = GENERAL[option]
    line = COMMANDS[command]
    places = [[*line[:cut], *words, *line[cut:]] for cut in (0, len(line))]
    places += [[*line[:1], *words, *line[1:]]]
    for argv in places:
        assert getattr(parse_command_line(argv), option) == value
    assert getattr(parse_command_line(line), option) is None


OPERANDS = {
    "emit": (["emit"], "paths", [["--to", "bob"], ["--exclude", "*.o"], ["--quiet"]]),
    "receipt verify": (["receipt", "verify", "receipt"], "paths", [["--identity", "file"], ["--json"]]),
}


@pytest.mark.parametrize("command", OPERANDS)
def test_operands_stand_anywhere_among_the_options(command):
    """In every order of two operands and some options the line means the same."""
    words, name, options = OPERANDS[command]
    expected = parse_command_line([*words, "one", "two", *itertools.chain(*options)])
    assert getattr(expected, name) == ["one", "two"]
    for order in itertools.permutations([["one"], ["two"], *options]):
        if order.index(["one"]) < order.index(["two"]):
            assert parse_command_line([*words, *itertools.chain(*order)]) == expected


def test_after_two_dashes_everything_is_an_operand():
    """A file may be called like an option."""
    assert parse_command_line(["emit", "--to", "bob", "--", "--json", "-x"]).paths == ["--json", "-x"]
    assert parse_command_line(["receipt", "verify", "--", "-r", "-f"]).paths == ["-f"]
    with pytest.raises(BadCommandLine, match="not on both sides"):
        parse_command_line(["emit", "a", "--to", "bob", "--", "-x"])


@pytest.mark.parametrize(
    ("line", "unknown", "command"),
    [
        (["emit", "a", "-x", "p", "b"], "-x", "selo emit"),
        (["trust", "remove", "a", "b", "c"], "b c", "selo trust"),
    ],
)
def test_what_is_unknown_is_named_alone(line, unknown, command):
    """Neither what stands behind it nor a command whose help would not tell."""
    with pytest.raises(BadCommandLine) as caught:
        parse_command_line(line)
    assert str(caught.value) == f"unrecognized arguments: {unknown}"
    assert caught.value.hint == f"`{command} --help` shows how"


def test_the_option_after_the_command_wins():
    """Given twice, the later one counts."""
    assert parse_command_line(["--home", "a", "id", "--home", "b"]).home == "b"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["unknown"],
        ["trust"],
        ["trust", "unknown"],
        ["trust", "add"],
        ["trust", "show"],
        ["trust", "list", "bob"],
        [*EMIT, "file", "-"],
        [*EMIT, "-", "-"],
        [*EMIT, "--as", "name", "file", "other"],
        [*EMIT, "--exclude", "*.o", "-"],
        [*EMIT, "--ignore-file", ".gitignore", "-"],
        ["receive", "--overwrite", "--rename"],
        ["receive", "--folders"],
        ["trust", "policy"],
        ["trust", "policy", "bob", "--folders", "maybe"],
        ["receipt"],
        ["receipt", "show"],
        ["receipt", "show", "file", "other"],
        ["receipt", "verify"],
        ["receive", "file"],
        ["receive", "--output", "a", "-"],
        ["config", "--example", "suite"],
        ["demo", "--transport", "smoke"],
        ["doctor", "--to", "bob"],
        ["id", "--unknown"],
        ["id", "--exp"],
        ["--home"],
    ],
    ids=" ".join,
)
def test_a_line_that_cannot_be_meant_is_refused_with_a_hint(argv):
    """Unknown or missing words, contradictions and abbreviations are a sentence and the help to read."""
    with pytest.raises(BadCommandLine) as refused:
        parse_command_line(argv)
    assert refused.value.exit_status == 2
    assert refused.value.hint.startswith("`selo")
    assert refused.value.hint.endswith("--help` shows how")


@pytest.mark.parametrize(
    ("argv", "into", "output"),
    [
        ([], None, None),
        (["--into", "box"], "box", None),
        (["--output", "file"], None, "file"),
        (["--output", "-"], None, "-"),
        (["-"], None, "-"),
    ],
)
def test_a_dash_is_an_output(argv, into, output):
    """`receive -` says the same as `--output -`; what the line does not say is None."""
    arguments = parse_command_line(["receive", *argv])
    assert (arguments.receive_into, arguments.receive_output) == (into, output)


def test_senders_add_up():
    """--from may be repeated; without it there is no list."""
    assert parse_command_line(["receive", "--from", "a", "--from", "b"]).receive_from == ["a", "b"]
    assert parse_command_line(["receive"]).receive_from is None


# What a line says for each setting that has a flag.
SAID = {
    "suite": ("classic", "classic"),
    "passphrase_file": ("f", "f"),
    "json": (None, True),
    "quiet": (None, True),
    "verbose": (None, True),
    "receive_bind": ("tcp://*:1", "tcp://*:1"),
    "receive_connect": ("tcp://h:1", "tcp://h:1"),
    "receive_from": ("alice", ["alice"]),
    "receive_into": ("box", "box"),
    "receive_output": ("file", "file"),
    "receive_overwrite": (None, "replace"),
    "receive_names": ("any", "any"),
    "receive_folders": (None, False),
    "receive_max_bytes": ("1GiB", "1GiB"),
    "receive_max_items": ("5", "5"),
    "receive_keep_free": ("1GiB", "1GiB"),
    "receive_rate": ("1MB/s", "1MB/s"),
    "receive_no_fsync": (None, True),
    "receive_hold": (None, True),
    "hold_limit": ("1MiB", "1MiB"),
    "receive_wait": ("5s", "5s"),
    "resume_window": ("5m", "5m"),
    "keep_partial": ("1d", "1d"),
    "receive_forever": (None, True),
    "receive_exec": ("run it", "run it"),
    "emit_to": ("bob", "bob"),
    "emit_connect": ("tcp://h:1", "tcp://h:1"),
    "emit_bind": ("tcp://*:1", "tcp://*:1"),
    "emit_wait": ("5s", "5s"),
    "retry_for": ("1h", "1h"),
    "resume_buffer": ("1MiB", "1MiB"),
    "emit_rate": ("1MB/s", "1MB/s"),
    "emit_digest": ("sha256", "sha256"),
    "record_size": ("32", "32"),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_flags_have_the_names_of_their_settings(name):
    """The flag that a setting names exists, and what it says is found under the setting's name."""
    option = CATALOGUE[name].option
    assert bool(option) == (name in SAID)
    if not option:
        return
    said, value = SAID[name]
    words = option.split() if len(option.split()) == 2 else ["receive", option]
    arguments = parse_command_line(
        [*words, *([said] if said else []), *(["-"] if words[0] == "emit" else [])]
    )
    assert getattr(arguments, name) == value


def test_what_is_no_setting_keeps_its_name():
    """emit has paths, the name to suggest, what to leave out, and where the receipt goes."""
    emitted = parse_command_line([*EMIT, "--as", "n", "-"])
    assert (emitted.paths, emitted.stream_name) == (["-"], "n")
    assert (emitted.exclude, emitted.ignore_files, emitted.receipt) == ([], [], None)
    words = ["--exclude", "*.o", "--exclude", "/tmp", "--ignore-file", ".gitignore", "--receipt", "r"]
    emitted = parse_command_line([*EMIT, *words, "one", "two"])
    assert emitted.paths == ["one", "two"]
    assert emitted.exclude == ["*.o", "/tmp"]
    assert (emitted.ignore_files, emitted.receipt) == ([".gitignore"], "r")


def test_a_receipt_goes_into_a_file():
    """`-` would be taken for standard output by most, and for a file of that name by us."""
    with pytest.raises(BadCommandLine, match="into a file"):
        parse_command_line([*EMIT, "--receipt", "-", "file"])
    assert parse_command_line([*EMIT, "--receipt", "./-", "file"]).receipt == "./-"


def test_lists_of_one_line_are_not_those_of_the_next():
    """What was left out once is not left out of the delivery after."""
    parse_command_line([*EMIT, "--exclude", "a", "--ignore-file", "b", "file"])
    emitted = parse_command_line([*EMIT, "file"])
    assert (emitted.exclude, emitted.ignore_files) == ([], [])


def test_a_name_that_is_taken_can_be_met_in_two_ways():
    """--overwrite and --rename say the same setting; without them nothing is said."""
    for words, said in ((["--overwrite"], "replace"), (["--rename"], "rename"), ([], None)):
        assert parse_command_line(["receive", *words]).receive_overwrite == said


def test_a_policy_is_said_field_by_field():
    """Each option has the name of its field; what the line does not say is None."""
    words = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(PeerPolicy)}
    silent = parse_command_line(["trust", "policy", "bob"])
    assert (silent.name, silent.clear) == ("bob", False)
    assert {getattr(silent, name) for name in words} == {None}
    for name, option in words.items():
        arguments = parse_command_line(["trust", "policy", "bob", option, "yes", "--clear"])
        assert {each: getattr(arguments, each) for each in words} == dict.fromkeys(words) | {name: "yes"}
        assert arguments.clear


def test_a_receipt_is_shown_or_verified():
    """`verify` takes the files that were delivered, and who should have signed."""
    shown = parse_command_line(["receipt", "show", "r"])
    assert (shown.action, shown.file) == ("show", "r")
    verified = parse_command_line(["receipt", "verify", "r", "one", "two", "--identity", "bob.id"])
    assert (verified.action, verified.file, verified.identity) == ("verify", "r", "bob.id")
    assert verified.paths == ["one", "two"]
    verified = parse_command_line(["receipt", "verify", "r"])
    assert (verified.paths, verified.identity) == ([], None)


def test_a_stream_needs_no_name(monkeypatch):
    """emit without PATH reads what is piped in, and `-` always does."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert parse_command_line(EMIT).paths == ["-"]
    assert parse_command_line([*EMIT, "-"]).paths == ["-"]
    assert parse_command_line([*EMIT, "file"]).paths == ["file"]


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_types_a_delivery_by_accident(terminal, monkeypatch):
    """emit without PATH refuses a terminal, and a standard input that is closed."""
    stdin = io.StringIO()
    stdin.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", stdin if terminal else None)
    with pytest.raises(BadCommandLine, match="nothing to send"):
        parse_command_line(EMIT)
    assert parse_command_line([*EMIT, "-"]).paths == ["-"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_an_example(command, capsys):
    """--help ends with a line to type, for the program and for every command."""
    with pytest.raises(SystemExit) as end:
        parse_command_line([*command.split(), "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"\n  selo {command}".rstrip() in text.replace("tar c src | ", "").split("example", 1)[1]
    assert "general options" in text
