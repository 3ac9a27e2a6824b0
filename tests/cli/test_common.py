import pytest

from selo.agents.cli import common
from selo.agents.cli.common import Context
from selo.agents.cli.passphrase import read_passphrase
from selo.config.errors import FileFault, PassphraseFileRefused
from selo.config.home import Home
from selo.config.settings import load_settings
from selo.crypto.errors import PassphraseNeeded
from tests.cli.lines import event_of


@pytest.fixture
def make_context(tmp_path):
    """Makes contexts over a home that need not exist."""

    def make(passphrase_file=None, **manner):
        settings = load_settings(None, {}, {"passphrase_file": passphrase_file})
        return Context(home=Home(tmp_path / "home"), settings=settings, **manner)

    return make


@pytest.mark.parametrize(
    ("data", "passphrase"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\nsecond line\n", b"secret"),
        (b" two words \n", b" two words "),
        (b"\xff\x00\n", b"\xff\x00"),
    ],
)
def test_the_passphrase_is_the_first_line(data, passphrase, tmp_path):
    """Bytes as they are, without the line end."""
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    assert read_passphrase(path) == passphrase


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\nsecret"])
def test_an_empty_passphrase_is_refused(data, tmp_path):
    """An empty first line would protect nothing."""
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    with pytest.raises(PassphraseFileRefused):
        read_passphrase(path)


def test_a_missing_passphrase_file_is_a_sentence(tmp_path):
    """Its path is named."""
    with pytest.raises(FileFault, match="passphrase: no such file"):
        read_passphrase(tmp_path / "passphrase")


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_passphrase_that_others_can_read_is_warned_about(mode, warned, tmp_path, make_context, capsys):
    """It is still used: the person may know better."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"secret\n")
    path.chmod(mode)
    assert make_context(str(path)).passphrase() == b"secret"
    assert ("chmod 600" in capsys.readouterr().err) == warned


def test_a_passphrase_file_may_vanish_once_it_was_read(tmp_path, make_context, monkeypatch, capsys):
    """As the end of a pipe is: what others could read of it is asked afterwards, and then nothing."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"secret\n")

    def read_and_remove(path):
        data = read_passphrase(path)
        path.unlink()
        return data

    monkeypatch.setattr(common, "read_passphrase", read_and_remove)
    assert make_context(str(path)).passphrase() == b"secret"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("passphrase", [b"secret", None])
def test_a_passphrase_that_is_not_needed_is_warned_about(passphrase, tmp_path, make_context, capsys):
    """Whoever gives one believes the identity to be encrypted; when it is not, it is told so."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"secret\n")
    path.chmod(0o600)
    context = make_context(str(path))
    made = context.home.create_identity(passphrase=passphrase)
    assert context.load_identity().fingerprint == made.fingerprint
    warning = "selo: warning: the identity is not encrypted; the passphrase was not needed\n"
    assert capsys.readouterr().err == ("" if passphrase else warning)


def test_without_a_file_there_is_no_passphrase(make_context):
    """Nothing is asked for."""
    assert make_context().passphrase() is None


def test_an_encrypted_identity_says_how_to_give_the_passphrase(make_context):
    """The error of the crypto room gets the hint that only the command line can know."""
    context = make_context()
    context.home.create_identity(passphrase=b"secret")
    with pytest.raises(PassphraseNeeded) as needed:
        context.load_identity()
    assert "--passphrase-file" in needed.value.hint
    assert "SELO_PASSPHRASE_FILE" in needed.value.hint


def test_a_result_goes_to_one_place(make_context, capsys):
    """Text on standard output, or with --json one event on standard error; --quiet silences neither."""
    make_context(quiet=True).result("words", "thing", value=1)
    assert capsys.readouterr() == ("words\n", "")
    make_context(json=True).result("words", "thing", value=1)
    output, error = capsys.readouterr()
    assert output == ""
    assert event_of(error) == {"event": "thing", "value": 1}


@pytest.mark.parametrize("manner", ["quiet", "json"])
def test_notes_are_for_people(manner, make_context, capsys):
    """A note is on standard error, and nowhere with --quiet or --json."""
    make_context().note("try this")
    assert capsys.readouterr() == ("", "try this\n")
    make_context(**{manner: True}).note("try this")
    assert capsys.readouterr() == ("", "")


def test_a_warning_is_one_line(make_context, capsys):
    """With --json it is an event; with --quiet it is silent; hostile text in it is escaped."""
    make_context().warn("odd \x1b[2J")
    assert capsys.readouterr() == ("", "selo: warning: odd \\x1b[2J\n")
    make_context(json=True).warn("odd")
    assert event_of(capsys.readouterr().err) == {"event": "warning", "message": "odd"}
    for json_too in (False, True):
        make_context(quiet=True, json=json_too).warn("odd")
        assert capsys.readouterr() == ("", "")
