import io
import sys

import pytest

from selo.agents.cli.main import main
from selo.agents.cli.words import fingerprint_digits, fingerprint_words
from selo.config.home import Home
from selo.config.rotation import load_next_public_identity
from selo.config.trust import TrustStore
from selo.crypto.errors import PassphraseNeeded, WrongPassphrase
from selo.crypto.identity import PublicIdentity
from tests.cli.lines import event_of


@pytest.fixture
def run(home):
    """Runs `selo ...` in alice's home."""
    return lambda *words: main(["--home", str(home.path), *map(str, words)])


@pytest.fixture
def secret(tmp_path):
    """Makes files with a passphrase in them."""

    def make(text):
        path = tmp_path / f"{text}.passphrase"
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return path

    return make


@pytest.fixture
def encrypted(home, run, secret, capsys):
    """Alice's home, encrypted under `first`; and the file with that."""
    assert run("passphrase", "--new-passphrase-file", secret("first")) == 0
    capsys.readouterr()
    return secret("first")


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_passphrase_is_set_changed_and_removed(home, run, secret, capsys):
    """Each opens the identity alone, in turn; identity and public file stay the same."""
    public, fingerprint = home.public_identity_file.read_bytes(), home.load_identity().fingerprint
    for words, done, opens in (
        (["--new-passphrase-file", secret("one")], "set", b"one"),
        (
            ["--passphrase-file", secret("one"), "--new-passphrase-file", secret("two")],
            "changed",
            b"two",
        ),
        (["--passphrase-file", secret("two"), "--remove"], "removed", None),
        (["--remove"], "none before and none now", None),
    ):
        assert run("passphrase", *words) == 0
        assert capsys.readouterr() == (f"passphrase {done}\n", "")
        assert home.load_identity(opens).fingerprint == fingerprint
        if opens is not None:
            with pytest.raises(PassphraseNeeded):
                home.load_identity()
            with pytest.raises(WrongPassphrase):
                home.load_identity(b"other")
    assert home.public_identity_file.read_bytes() == public


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--new-passphrase-file", "NEW"], "it needs its passphrase"),
        (["--remove"], "it needs its passphrase"),
        (["--passphrase-file", "WRONG", "--remove"], "wrong passphrase"),
        (["--passphrase-file", "WRONG", "--new-passphrase-file", "NEW"], "wrong passphrase"),
        (["--passphrase-file", "FIRST", "--new-passphrase-file", "EMPTY"], "empty first line"),
        (["--passphrase-file", "FIRST"], "there is no terminal"),
        (["--passphrase-file", "FIRST", "--remove", "--new-passphrase-file", "NEW"], "not allowed with"),
    ],
)
def test_security_what_cannot_be_meant_changes_no_passphrase(
    words, said, home, encrypted, run, secret, capsys
):
    """Without the present one, or without a new one, the file stays as it is, byte by byte."""
    given = {"FIRST": encrypted, "NEW": secret("new"), "WRONG": secret("wrong"), "EMPTY": secret("")}
    before = home.identity_file.read_bytes()
    assert run("passphrase", *[given.get(word, word) for word in words]) == 2
    assert said in capsys.readouterr().err
    assert home.identity_file.read_bytes() == before


def test_other_identities_keep_their_passphrases_and_it_is_said(home, run, secret, capsys):
    """While it is rotated, and after: whoever changes a passphrase hears which files it does not reach."""
    assert run("rotate", "--start") == 0
    capsys.readouterr()
    before = home.next_identity_file.read_bytes()
    assert run("passphrase", "--new-passphrase-file", secret("one")) == 0
    assert "selo: warning: the next identity keeps" in capsys.readouterr().err
    assert home.next_identity_file.read_bytes() == before
    assert run("rotate", "--finish") == 0
    capsys.readouterr()
    before = home.old_identity_file.read_bytes()
    assert run("passphrase", "--new-passphrase-file", secret("two")) == 0
    assert f"selo: warning: {home.old_identity_file} keeps" in capsys.readouterr().err
    assert home.old_identity_file.read_bytes() == before


@pytest.mark.parametrize("way", ["file", "standard streams"])
def test_a_home_goes_into_a_backup_and_comes_back(
    way, home, make_home, encrypted, run, tmp_path, capsys, monkeypatch
):
    """Identity, name, peers and rights; through a file or through pipes; under the identity's passphrase."""
    TrustStore(home).add("bob", make_home("bob").load_identity().public, may_send=True)
    file = tmp_path / "alice.backup" if way == "file" else "-"
    assert run("backup", file, "--passphrase-file", encrypted) == 0
    output, _ = capsys.readouterr()
    if way == "file":
        assert output == f"wrote {file}, encrypted\n"
        assert file.stat().st_mode & 0o777 == 0o600
    else:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(output.encode())))
    back = Home(tmp_path / "back")
    assert main(["--home", str(back.path), "restore", str(file), "--passphrase-file", str(encrypted)]) == 0
    fingerprint = home.load_identity(b"first").fingerprint
    assert back.load_identity(b"first").fingerprint == fingerprint
    identity = home.identity_file.relative_to(home.path)  # encrypted anew, with a salt of its own
    assert files(back.path).keys() == files(home.path).keys()
    assert {path for path, data in files(back.path).items() if data != files(home.path)[path]} == {identity}
    output, _ = capsys.readouterr()
    for part in ("restored alice", str(back.path), "peers        bob", fingerprint_words(fingerprint)):
        assert part in output


def test_a_plain_backup_is_said_to_be_one(home, run, encrypted, tmp_path, capsys):
    """It needs no passphrase to be restored, and whoever wrote it was told to take care."""
    file = tmp_path / "plain"
    assert run("backup", file, "--plain", "--passphrase-file", encrypted) == 0
    assert "NOT encrypted" in capsys.readouterr().out
    back = Home(tmp_path / "back")
    assert main(["--home", str(back.path), "restore", str(file)]) == 0
    assert back.load_identity().fingerprint == home.load_identity(b"first").fingerprint
    capsys.readouterr()


def test_security_a_backup_without_a_passphrase_has_to_be_asked_for(run, tmp_path, capsys):
    """Where nobody can be asked for one, only --plain writes a key that lies open."""
    assert run("backup", tmp_path / "file") == 2
    assert "there is no terminal" in capsys.readouterr().err
    assert not (tmp_path / "file").exists()


def test_no_file_is_written_over(home, run, encrypted, tmp_path, capsys):
    """The backup of last year is not today's to replace."""
    file = tmp_path / "file"
    file.write_text("kept")
    assert run("backup", file, "--passphrase-file", encrypted) == 2
    assert f"selo: {file} exists already\nhint: write it under another name\n" == capsys.readouterr().err
    assert file.read_text() == "kept"


def test_a_plain_backup_is_not_shown_on_a_screen(run, monkeypatch, capsys):
    """A private key scrolls into no terminal's memory."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run("backup", "-", "--plain") == 2
    output, error = capsys.readouterr()
    assert (output, "standard output is a terminal" in error) == ("", True)


@pytest.mark.parametrize("given", [None, "wrong"])
def test_security_a_backup_is_not_restored_without_its_passphrase(
    given, run, encrypted, secret, tmp_path, capsys
):
    """Nothing is there afterwards."""
    assert run("backup", tmp_path / "file", "--passphrase-file", encrypted) == 0
    options = ["--passphrase-file", str(secret(given))] if given else []
    assert main(["--home", str(tmp_path / "back"), "restore", str(tmp_path / "file"), *options]) == 2
    assert "passphrase" in capsys.readouterr().err
    assert not (tmp_path / "back").exists()


def test_restore_leaves_a_home_alone(home, run, encrypted, tmp_path, capsys):
    """Into a home with an identity nothing is restored."""
    assert run("backup", tmp_path / "file", "--passphrase-file", encrypted) == 0
    before = files(home.path)
    assert run("restore", tmp_path / "file", "--passphrase-file", encrypted) == 2
    assert "is not empty" in capsys.readouterr().err
    assert files(home.path) == before


def test_restore_of_a_file_that_is_not_there_is_a_local_fault(tmp_path, capsys):
    """With its path."""
    assert main(["--home", str(tmp_path / "h"), "restore", str(tmp_path / "none")]) == 1
    assert f"cannot read {tmp_path / 'none'}" in capsys.readouterr().err


@pytest.mark.parametrize("passphrase", [None, "first"])
def test_a_rotation_is_told_step_by_step(passphrase, home, run, secret, capsys):
    """Each step shows the words to compare and says what peers have to do; the export is the next one's."""
    options = []
    if passphrase:
        assert run("passphrase", "--new-passphrase-file", secret(passphrase)) == 0
        options = ["--passphrase-file", secret(passphrase)]
        capsys.readouterr()
    before = home.load_public_identity()[0].fingerprint
    assert run("rotate", "--start", *options) == 0
    output, error = capsys.readouterr()
    upcoming = load_next_public_identity(home)[0].fingerprint
    assert fingerprint_words(upcoming) in output
    for advice in ("selo id --next --export > alice-next.id", "selo trust rotate alice alice-next.id"):
        assert advice in error
    assert home.load_public_identity()[0].fingerprint == before
    assert run("id", "--next", "--export") == 0
    exported = PublicIdentity.from_text(capsys.readouterr().out)
    assert (exported[0].fingerprint, exported[1]) == (upcoming, "alice")
    assert run("id", "--next") == 0
    assert fingerprint_digits(upcoming) in capsys.readouterr().out
    assert run("rotate", "--finish", *options) == 0
    output, _ = capsys.readouterr()
    assert str(home.old_identity_file) in output
    assert fingerprint_words(upcoming) in output
    assert home.load_identity(passphrase and passphrase.encode()).fingerprint == upcoming


def test_a_rotation_is_started_once_and_can_be_dropped(home, run, capsys):
    """A second --start is refused before anything is asked; --cancel leaves the home as it was."""
    before = files(home.path)
    assert run("rotate", "--start") == 0
    begun = files(home.path)
    assert run("rotate", "--start") == 2
    assert "selo rotate --cancel" in capsys.readouterr().err
    assert files(home.path) == begun
    assert run("rotate", "--cancel") == 0
    assert files(home.path) == before
    assert "forgotten" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["rotate", "--finish"], ["rotate", "--cancel"], ["id", "--next"]])
def test_without_a_start_there_is_no_next_identity(words, run, capsys):
    """The hint says how to begin."""
    assert run(*words) == 2
    assert "hint: start one with `selo rotate --start`" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--passphrase-file", "WRONG"]])
def test_security_nobody_finishes_what_he_cannot_open(options, home, encrypted, run, secret, capsys):
    """Without the next identity's passphrase the present one stays."""
    assert run("rotate", "--start", "--passphrase-file", encrypted) == 0
    before = files(home.path)
    assert run("rotate", "--finish", *[secret("wrong") if word == "WRONG" else word for word in options]) == 2
    assert "passphrase" in capsys.readouterr().err
    assert files(home.path) == before


@pytest.mark.parametrize(
    ("words", "event", "keys"),
    [
        (["passphrase", "--remove"], "passphrase-changed", {"encrypted"}),
        (["backup", "FILE", "--plain"], "backup", {"file", "encrypted"}),
        (["restore", "FILE"], "restored", {"name", "home", "fingerprint", "words", "peers"}),
        (["rotate", "--start"], "rotation-started", {"fingerprint", "words"}),
        (["rotate", "--finish"], "rotation-finished", {"fingerprint", "words"}),
        (["rotate", "--cancel"], "rotation-cancelled", set()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_json_is_one_event(words, event, keys, home, run, tmp_path, capsys):
    """With --json each result is one object on standard error, and standard output is empty."""
    if words[0] == "restore":
        assert run("backup", tmp_path / "FILE", "--plain") == 0
        words = ["--home", tmp_path / "back", *words]
    if words[-1] in ("--finish", "--cancel"):
        assert run("rotate", "--start") == 0
    capsys.readouterr()
    assert run("--json", *[tmp_path / word if word == "FILE" else word for word in words]) == 0
    output, error = capsys.readouterr()
    assert output == ""
    told = event_of(error)
    assert (told.pop("event"), set(told)) == (event, keys)
