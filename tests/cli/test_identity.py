import pytest

from selo.agents.cli.main import main
from selo.agents.cli.words import fingerprint_digits, fingerprint_words
from selo.config.home import Home
from selo.crypto.identity import PublicIdentity
from tests.cli.lines import event_of


def test_keygen_shows_what_peers_compare(tmp_path, capsys):
    """The fingerprint and the words of the identity that was made, and what to do next."""
    assert main(["--home", str(tmp_path / "h"), "keygen", "--name", "alice"]) == 0
    fingerprint = Home(tmp_path / "h").load_identity().fingerprint
    output, error = capsys.readouterr()
    assert fingerprint_digits(fingerprint) in output
    assert fingerprint_words(fingerprint) in output
    assert "alice" in output
    assert "selo id --export" in error
    assert "selo trust add" in error


def test_keygen_refuses_to_overwrite(home, capsys):
    """A second keygen ends with 2 and leaves the identity as it was."""
    before = home.identity_file.read_bytes()
    assert main(["--home", str(home.path), "keygen"]) == 2
    assert "already an identity" in capsys.readouterr().err
    assert home.identity_file.read_bytes() == before


def test_keygen_encrypts_under_the_passphrase(tmp_path, capsys):
    """With a passphrase file, the private identity opens with its first line only."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(b"open sesame\n")
    passphrase.chmod(0o600)
    home = Home(tmp_path / "h")
    assert main(["--home", str(home.path), "keygen", "--passphrase-file", str(passphrase)]) == 0
    assert home.load_identity(b"open sesame").public == home.load_public_identity()[0]
    capsys.readouterr()


@pytest.mark.parametrize("data", [b"", b"\nsecret\n"])
def test_keygen_with_an_empty_passphrase_makes_nothing(data, tmp_path, capsys):
    """An empty passphrase file is refused, not taken for "no passphrase"."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(data)
    assert main(["--home", str(tmp_path / "h"), "keygen", "--passphrase-file", str(passphrase)]) == 2
    assert "empty first line" in capsys.readouterr().err
    assert not (tmp_path / "h").exists()


def test_id_shows_the_identity(home, capsys):
    """Name, file, fingerprint and words on standard output."""
    assert main(["--home", str(home.path), "id"]) == 0
    public, _ = home.load_public_identity()
    output = capsys.readouterr().out
    for part in ("alice", str(home.public_identity_file), fingerprint_digits(public.fingerprint)):
        assert part in output
    assert fingerprint_words(public.fingerprint) in output


@pytest.mark.parametrize("manner", [[], ["--json"], ["--quiet"], ["--verbose"]])
def test_id_export_writes_the_public_identity_and_nothing_else(manner, home, capsys):
    """Standard output is exactly the file that a peer imports, whatever the manner."""
    assert main(["--home", str(home.path), "id", "--export", *manner]) == 0
    output, error = capsys.readouterr()
    assert output == home.public_identity_file.read_text()
    assert PublicIdentity.from_text(output) == (home.load_public_identity()[0], "alice")
    assert error == ""


@pytest.mark.parametrize(("command", "event"), [("keygen", "identity-created"), ("id", "identity")])
def test_json_holds_the_same(command, event, tmp_path, capsys):
    """With --json one object on standard error holds everything, and standard output nothing."""
    home = Home(tmp_path / "h")
    if command == "id":
        home.create_identity(name="alice")
    options = ["--name", "alice"] if command == "keygen" else []
    assert main(["--home", str(home.path), command, *options, "--json"]) == 0
    output, error = capsys.readouterr()
    assert output == ""
    fingerprint = home.load_identity().fingerprint
    assert event_of(error) == {
        "event": event,
        "name": "alice",
        "file": str(home.public_identity_file),
        "fingerprint": fingerprint.hex(),
        "words": fingerprint_words(fingerprint),
    }


def test_id_without_an_identity_says_how_to_make_one(tmp_path, capsys):
    """A sentence, a hint and 2."""
    assert main(["--home", str(tmp_path / "none"), "id"]) == 2
    assert "hint: make one with `selo keygen`" in capsys.readouterr().err
