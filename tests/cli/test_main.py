import subprocess
import sys

import pytest

from selo import __version__, errors
from selo.agents.cli import identity
from selo.agents.cli.main import main
from selo.agents.errors import InternalFault
from tests.cli.lines import event_of

ERRORS = {
    errors.UsageError: 2,
    errors.LocalFault: 1,
    errors.PeerFault: 1,
    errors.TrustError: 3,
    errors.SessionError: 4,
    errors.UnreachableError: 5,
    errors.MisuseError: 1,
}


@pytest.fixture
def fail_with(monkeypatch):
    """Makes `selo id` raise an error, as any command may."""

    def install(error):
        def handler(arguments, context):
            raise error

        monkeypatch.setattr(identity, "show", handler)

    return install


def run_selo(*words, **options):
    """The program in a process of its own, as `python -m selo`, outside the repository."""
    return subprocess.run(
        [sys.executable, "-m", "selo", *words], capture_output=True, text=True, cwd="/", timeout=60, **options
    )


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_its_exit_status(kind, fail_with, capsys):
    """docs/PROTOCOL.md, section 12."""
    fail_with(kind("it went wrong"))
    assert main(["id"]) == ERRORS[kind]
    assert capsys.readouterr() == ("", "selo: it went wrong\n")


@pytest.mark.parametrize("number", [1, 2, 15])
def test_a_signal_has_its_exit_status(number, fail_with, capsys):
    """129 after SIGHUP, 130 after SIGINT, 143 after SIGTERM."""
    fail_with(errors.Interrupted(number))
    assert main(["id"]) == 128 + number
    capsys.readouterr()


def test_an_interrupt_anywhere_has_its_exit_status(fail_with, capsys):
    """Ctrl-C before the agents listen for signals is no traceback."""
    fail_with(KeyboardInterrupt())
    assert main(["id"]) == 130
    assert capsys.readouterr().err == "selo: interrupted\n"


def test_hints_follow_the_words(fail_with, capsys):
    """Each line of a hint is a line that says so."""
    error = errors.UsageError("it went wrong")
    error.hint = "first\nsecond"
    fail_with(error)
    assert main(["id"]) == 2
    assert capsys.readouterr().err == "selo: it went wrong\nhint: first\nhint: second\n"


def test_an_error_is_one_object_with_json(fail_with, capsys):
    """Status, words and hint in one line, before or after the command."""
    error = errors.TrustError("it went wrong")
    error.hint = "do this"
    fail_with(error)
    for argv in (["--json", "id"], ["id", "--json"]):
        assert main(argv) == 3
        told = event_of(capsys.readouterr().err)
        assert told == {"event": "error", "status": 3, "message": "it went wrong", "hint": "do this"}


def test_a_bad_command_line_is_one_object_with_json(capsys):
    """Also a line that does not parse honours --json."""
    assert main(["--json", "receive", "--nonsense"]) == 2
    assert event_of(capsys.readouterr().err)["status"] == 2


def test_only_an_option_asks_for_json(capsys):
    """After `--` stands the name of a file, which may be `--json` or `--verbose`."""
    line = ["emit", "--to", "bob", "--connect", "tcp://h:1", "--nonsense", "--", "--json"]
    assert main(line) == 2
    assert capsys.readouterr().err.startswith("selo: ")
    assert main(["--json", *line]) == 2
    assert event_of(capsys.readouterr().err)["event"] == "error"


def test_a_peers_text_in_an_error_is_escaped(fail_with, capsys):
    """What a peer said may be in an error's words or hint; it never reaches the terminal as it is."""
    error = errors.SessionError("it said \x1b[2J\r\n\u202e")
    error.hint = "\x07"
    fail_with(error)
    assert main(["id"]) == 4
    assert capsys.readouterr().err == "selo: it said \\x1b[2J\\x0d\\x0a\\u202e\nhint: \\x07\n"


def test_an_unforeseen_error_is_a_sentence(fail_with, capsys):
    """No traceback, but the request to report it."""
    fail_with(KeyError("x\x1b"))
    assert main(["id"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("selo: this is a bug in Selo; please report it: KeyError: ")
    assert "Traceback" not in error
    assert "hint: --verbose" in error


def test_an_unforeseen_error_shows_its_place_with_verbose(fail_with, capsys):
    """--verbose adds the traceback: no line of it can pass for one of ours, and its text is escaped."""
    fail_with(ValueError("x\x1b\nselo: delivered"))
    assert main(["id", "--verbose"]) == 1
    *place, words, hint = capsys.readouterr().err.splitlines()
    assert place[0] == "| Traceback (most recent call last):"
    assert all(line.startswith("| ") and "\x1b" not in line for line in place)
    assert words.startswith("selo: this is a bug")
    assert hint.startswith("hint: ")


def test_a_traceback_is_part_of_the_object_with_json(fail_with, capsys):
    """With --json there is no line beside the object; without --verbose no traceback in it."""
    fail_with(ValueError("odd"))
    assert main(["id", "--verbose", "--json"]) == 1
    told = event_of(capsys.readouterr().err)
    assert told["traceback"].startswith("Traceback (most recent call last):\n")
    assert told["traceback"].endswith("ValueError: odd\n")
    assert main(["id", "--json"]) == 1
    assert "traceback" not in event_of(capsys.readouterr().err)


def test_a_fault_that_a_thread_met_shows_its_place_too(fail_with, capsys):
    """An agent's own InternalFault is told like any other unforeseen error."""
    fail_with(InternalFault(KeyError("x")))
    assert main(["id", "--verbose"]) == 1
    error = capsys.readouterr().err
    assert "| KeyError: 'x'" in error
    assert "selo: this is a bug in Selo; please report it: KeyError: 'x'\n" in error


@pytest.mark.parametrize(
    "words", [["--home", "~nosuchuser/x", "id"], ["id", "--passphrase-file", "~nosuchuser/f"]]
)
def test_the_folder_of_nobody_is_a_usage_error(words, capsys):
    """`~nosuchuser` is no bug of ours, wherever a path is read."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "expected a path" in error
    assert "bug" not in error


def test_main_never_raises(fail_with, capsys):
    """--help and --version end as a status as well."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"selo {__version__}\n"
    assert main(["--help"]) == 0
    capsys.readouterr()
    assert main([]) == 2
    capsys.readouterr()


def test_a_bad_setting_is_a_usage_error(tmp_path, monkeypatch, capsys):
    """Whatever the command: flags, environment and file are read before anything is done."""
    monkeypatch.setenv("SELO_IDLE_LIMIT", "soon")
    assert main(["--home", str(tmp_path / "h"), "keygen"]) == 2
    assert "selo: SELO_IDLE_LIMIT: expected" in capsys.readouterr().err
    assert not (tmp_path / "h").exists()
    monkeypatch.undo()
    assert main(["receive", "--wait", "soon"]) == 2
    assert "selo: --wait: expected" in capsys.readouterr().err


def test_the_home_of_the_environment_is_used(home, monkeypatch, capsys):
    """SELO_HOME counts where --home is not given."""
    monkeypatch.setenv("SELO_HOME", str(home.path))
    assert main(["id"]) == 0
    assert "alice" in capsys.readouterr().out


def test_the_module_is_the_program():
    """`python -m selo` does what `selo` does, and hands its status on."""
    assert run_selo("--version").stdout == f"selo {__version__}\n"
    assert run_selo("nonsense").returncode == 2


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["receive", "--help"], ["nonsense"]])
def test_nothing_heavy_is_loaded_for_nothing(words):
    """Neither cryptography nor ZeroMQ, msgpack, rich or the word list is loaded where none is used."""
    code = (
        "import sys\nfrom selo.agents.cli.main import main\nmain(sys.argv[1:])\n"
        "heavy = {'cryptography', 'zmq', 'msgpack', 'rich', 'mnemonic', 'blake3', 'selo.crypto'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert process.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("place", ["variable", "file"])
def test_the_manner_can_be_a_setting(place, home, fail_with, monkeypatch, capsys):
    """SELO_JSON, or json in the file, makes an error an object as --json does, and verbose adds its place."""
    if place == "variable":
        monkeypatch.setenv("SELO_JSON", "1")
        monkeypatch.setenv("SELO_VERBOSE", "yes")
    else:
        home.settings_file.write_text("json = true\nverbose = true\n")
    fail_with(ValueError("odd"))
    assert main(["--home", str(home.path), "id"]) == 1
    told = event_of(capsys.readouterr().err)
    assert told["event"] == "error"
    assert told["traceback"].endswith("ValueError: odd\n")


def test_the_environment_can_ask_for_json(monkeypatch, capsys):
    """SELO_JSON counts also where the line does not parse; a value that is none does not."""
    for value, is_object in (("on", True), ("off", False), ("maybe", False), ("", False)):
        monkeypatch.setenv("SELO_JSON", value)
        assert main(["nonsense"]) == 2
        assert capsys.readouterr().err.startswith("{") == is_object


def test_a_variable_that_sets_nothing_is_warned_of(home, monkeypatch, capsys):
    """A misspelt variable is no error; --quiet leaves the warning out."""
    monkeypatch.setenv("SELO_IDLE_LIMT", "5s")
    assert main(["--home", str(home.path), "id"]) == 0
    words = "selo: warning: SELO_IDLE_LIMT sets nothing; did you mean SELO_IDLE_LIMIT?\n"
    assert capsys.readouterr().err == words
    assert main(["--home", str(home.path), "id", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words",
    [
        ["--quiet", "id", "--verbose"],
        ["receive", "--into", "a", "--output", "b"],
        ["receive", "--into", "a", "-"],
        ["receive", "--overwrite", "-"],
        ["receive", "--hold", "--into", "a"],
        ["receive", "--bind", "tcp://*:1", "--connect", "tcp://h:1"],
        ["emit", "--to", "bob", "--bind", "tcp://*:1", "--connect", "tcp://h:1", "-"],
    ],
    ids=" ".join,
)
def test_a_line_must_not_contradict_itself(words, capsys):
    """Two flags that cannot both be meant are named, whatever the order."""
    assert main(words) == 2
    assert " contradicts --" in capsys.readouterr().err
