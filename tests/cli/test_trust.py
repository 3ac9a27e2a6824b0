import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents.cli.main import main
from selo.agents.cli.words import fingerprint_words
from selo.config.policy import AS_SETTINGS, UNLIMITED, Names, Overwrite, PeerPolicy
from selo.config.trust import TrustStore
from tests.cli.lines import event_of


@pytest.fixture
def trust(home):
    """Runs `selo trust ...` in alice's home."""
    return lambda *words: main(["--home", str(home.path), "trust", *words])


@pytest.fixture
def bob(make_home):
    """The home of bob, who trusts nobody yet."""
    return make_home("bob")


@pytest.fixture
def bob_file(bob):
    """What bob's `selo id --export` wrote."""
    return str(bob.public_identity_file)


def test_add_pins_what_the_file_holds(trust, home, bob, bob_file, capsys):
    """The peer is in the store under our name, and its words are shown with the advice to compare them."""
    assert trust("add", "bobby", bob_file) == 0
    peer = TrustStore(home).get("bobby")
    assert (peer.fingerprint, peer.may_send) == (bob.load_identity().fingerprint, False)
    output = capsys.readouterr().out
    assert fingerprint_words(peer.fingerprint) in output
    assert "Compare" in output
    assert "calls itself bob" in output


def test_only_may_send_lets_a_peer_deliver(trust, home, bob_file):
    """The right to deliver is given by the flag alone."""
    assert trust("add", "bob", bob_file, "--may-send") == 0
    assert TrustStore(home).get("bob").may_send is True


@pytest.mark.parametrize("words", [["add", "bob"], ["add", "bob", "-"]])
def test_add_reads_standard_input(words, trust, home, bob, bob_file, monkeypatch, capsys):
    """Without a file, or with `-`, the identity comes through a pipe, and nothing is asked."""
    with open(bob_file) as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert trust(*words) == 0
    assert TrustStore(home).get("bob").fingerprint == bob.load_identity().fingerprint
    assert capsys.readouterr().err == ""


def test_add_asks_on_a_terminal(trust, bob_file, monkeypatch, capsys):
    """Somebody who would otherwise wait before a silent terminal is told what to paste."""
    with open(bob_file) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
        assert trust("add", "bob") == 0
    assert "paste the public identity, end with Ctrl-D" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"hello\n",
        b"-----BEGIN SELO PUBLIC IDENTITY-----\n\n-----END SELO PUBLIC IDENTITY-----\n",
    ],
)
def test_add_refuses_what_is_no_public_identity(data, trust, home, tmp_path, capsys):
    """Any other file is a sentence that names it, and nobody is trusted."""
    path = tmp_path / "file"
    path.write_bytes(data)
    assert trust("add", "bob", str(path)) == 2
    assert f"selo: {path} holds no public identity" in capsys.readouterr().err
    assert TrustStore(home).names() == []


def test_add_refuses_a_private_identity(trust, bob, home, capsys):
    """Somebody who sends the wrong one of the two files is told so before it is stored anywhere."""
    assert trust("add", "bob", str(bob.identity_file)) == 2
    assert "no public identity" in capsys.readouterr().err
    assert TrustStore(home).names() == []


@pytest.mark.parametrize("place", ["none", ""])
def test_add_of_a_file_that_cannot_be_read_is_a_local_fault(place, trust, tmp_path, capsys):
    """A missing file and a folder end with 1 and their path."""
    assert trust("add", "bob", str(tmp_path / place)) == 1
    assert f"selo: cannot read {tmp_path / place}" in capsys.readouterr().err


def test_a_name_that_a_file_suggests_cannot_reach_the_terminal(trust, bob, tmp_path, capsys):
    """A suggested name is refused or escaped; no control character of a file is ever printed."""
    path = tmp_path / "hostile.id"
    path.write_text(bob.load_public_identity()[0].to_text("bob").replace("Name: bob", "Name: \x1b[2Jbob"))
    trust("add", "bob", str(path))
    assert "\x1b" not in "".join(capsys.readouterr())


def test_list_shows_one_line_a_peer(trust, make_home, bob_file, capsys):
    """Name, right and the beginning of the fingerprint, sorted by name; nothing for nobody."""
    assert trust("list") == 0
    output, error = capsys.readouterr()
    assert output == ""
    assert "trust add" in error
    carol = make_home("carol")
    trust("add", "bob", bob_file, "--may-send")
    trust("add", "al", str(carol.public_identity_file))
    capsys.readouterr()
    assert trust("list") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split("  ")[0].strip() == "al"
    assert "may not send" in first
    assert carol.load_identity().fingerprint.hex()[:16] in first
    assert second.startswith("bob  may send")


def test_show_tells_all_of_one_peer(trust, bob, bob_file, capsys):
    """The whole fingerprint, the words and the right."""
    trust("add", "bob", bob_file)
    capsys.readouterr()
    assert trust("show", "bob") == 0
    output = capsys.readouterr().out
    fingerprint = bob.load_identity().fingerprint
    assert fingerprint.hex() in output.replace(" ", "")
    assert fingerprint_words(fingerprint) in output
    assert "may not send" in output


def test_remove_forgets(trust, home, bob_file, capsys):
    """A removed peer is no longer known, and removing it again is an error."""
    trust("add", "bob", bob_file)
    assert trust("remove", "bob") == 0
    assert TrustStore(home).names() == []
    assert trust("remove", "bob") == 2
    capsys.readouterr()


@pytest.mark.parametrize("action", ["show", "remove", "policy"])
def test_an_unknown_peer_tells_the_known_ones(action, trust, bob_file, capsys):
    """The hint helps whoever mistyped."""
    trust("add", "bob", bob_file)
    capsys.readouterr()
    assert trust(action, "bod") == 2
    assert "hint: known peers: bob" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "event"),
    [
        (["add", "bob", "FILE", "--may-send"], "peer-added"),
        (["list"], "peer"),
        (["show", "bob"], "peer"),
        (["remove", "bob"], "peer-removed"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else words,
)
def test_json_is_one_event_a_line(words, event, trust, bob, bob_file, capsys):
    """With --json each result is one object on standard error, and standard output is empty."""
    if words[0] != "add":
        trust("add", "bob", bob_file, "--may-send")
        capsys.readouterr()
    assert trust(*[bob_file if word == "FILE" else word for word in words], "--json") == 0
    output, error = capsys.readouterr()
    assert output == ""
    told = event_of(error)
    assert (told["event"], told["name"]) == (event, "bob")
    if event != "peer-removed":
        assert told["may_send"] is True
        assert told["fingerprint"] == bob.load_identity().fingerprint.hex()


# What an option of `trust policy` takes: two texts each, and what they mean; then what it refuses.
POLICY = {
    "into": [("/srv/bob", Path("/srv/bob")), ("~/bob", Path("/home/alice/bob"))],
    "folders": [("no", False), ("yes", True)],
    "max_bytes": [("10GiB", 10 << 30), ("unlimited", UNLIMITED)],
    "max_items": [("1000", 1000), ("unlimited", UNLIMITED)],
    "keep_free": [("1GiB", 1 << 30), ("0", 0)],
    "names": [("portable", Names.PORTABLE), ("any", Names.ANY)],
    "overwrite": [("rename", Overwrite.RENAME), ("replace", Overwrite.REPLACE)],
    "rate": [("1MB/s", 10**6), ("unlimited", UNLIMITED)],
}
REFUSED = {
    "into": ["~nosuchuser/x"],
    "max_bytes": ["-1", "0", "1MB", "forever"],
    "max_items": ["0", "1.5", "1KiB"],
    "keep_free": ["unlimited", "1kB"],
    "names": ["none", "Plain"],
    "overwrite": ["sometimes"],
    "rate": ["0", "1MB", "999B/s"],
}


def option(name):
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, *each) for name, both in POLICY.items() for each in both]
)
def test_a_policy_is_said_and_kept(name, text, value, trust, home, bob_file, monkeypatch, capsys):
    """Each option sets its field and no other; what holds is shown, with whose it is."""
    monkeypatch.setenv("HOME", "/home/alice")
    trust("add", "bob", bob_file)
    capsys.readouterr()
    assert trust("policy", "bob", option(name), text) == 0
    assert TrustStore(home).get("bob").policy == PeerPolicy(**{name: value})
    output, error = capsys.readouterr()
    assert "next session" in error
    lines = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert list(lines) == list(POLICY)
    shown = str(value) if name == "into" else text.replace("0", "0 bytes") if text == "0" else text
    assert lines.pop(name).split("  ")[0] == shown
    assert {line.split("  ")[-1] for line in lines.values()} == {"as the settings say"}


def test_fields_of_a_policy_add_up_until_they_are_cleared(trust, home, bob_file):
    """What is not said stays; --clear forgets, and can be followed by something new at once."""
    trust("add", "bob", bob_file, "--may-send")
    trust("policy", "bob", "--folders", "no")
    trust("policy", "bob", "--max-bytes", "1GiB", "--names", "any")
    bob = TrustStore(home).get("bob")
    assert bob.policy == PeerPolicy(folders=False, max_bytes=1 << 30, names=Names.ANY)
    assert trust("policy", "bob", "--clear", "--rate", "1MB/s") == 0
    assert TrustStore(home).get("bob").policy == PeerPolicy(rate=10**6)
    assert trust("policy", "bob", "--clear") == 0
    assert TrustStore(home).get("bob") == replace(bob, policy=AS_SETTINGS)


def test_a_folder_of_a_policy_is_absolute(trust, home, bob_file, tmp_path, monkeypatch, capsys):
    """Where the service is started later does not matter; one that is missing is warned of now."""
    trust("add", "bob", bob_file)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box").mkdir()
    capsys.readouterr()
    trust("policy", "bob", "--into", "box")
    assert TrustStore(home).get("bob").policy.into == tmp_path / "box"
    assert "warning" not in capsys.readouterr().err
    trust("policy", "bob", "--into", "x/../none")
    assert TrustStore(home).get("bob").policy.into == tmp_path / "none"
    assert f"there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts]
)
def test_a_policy_that_cannot_be_meant_changes_nothing(name, text, trust, home, bob_file, capsys):
    """Each option names what it expected, and what was said with it is not kept either."""
    trust("add", "bob", bob_file)
    capsys.readouterr()
    assert trust("policy", "bob", "--clear", "--folders", "no", option(name), text) == 2
    assert f"selo: {option(name)}: expected " in capsys.readouterr().err
    assert TrustStore(home).get("bob").policy == AS_SETTINGS


def test_a_policy_can_be_looked_at(trust, home, bob_file, capsys):
    """Without an option nothing is written; what the settings say is shown where nothing else is said."""
    home.settings_file.write_text('receive_max_items = 7\nreceive_into = "/box"\n')
    trust("add", "bob", bob_file)
    file = home.peers_folder / "bob.json"
    before = file.stat().st_ino
    capsys.readouterr()
    assert trust("policy", "bob") == 0
    output, error = capsys.readouterr()
    assert error == ""
    lines = [line.split(maxsplit=2) for line in output.splitlines()]
    assert ["max_items", "7", "as the settings say"] in lines
    assert ["into", "/box", "as the settings say"] in lines
    assert file.stat().st_ino == before


def test_a_policy_is_an_event(trust, bob_file, capsys):
    """What was said, and what holds: plain values, null where there is no limit."""
    trust("add", "bob", bob_file)
    trust("policy", "bob", "--into", "/", "--rate", "unlimited")
    capsys.readouterr()
    assert trust("policy", "bob", "--json") == 0
    event = event_of(capsys.readouterr().err)
    assert (event["event"], event["name"]) == ("peer-policy", "bob")
    assert event["policy"] == {"into": "/", "rate": UNLIMITED}
    assert event["holds"] == {
        "into": "/",
        "folders": True,
        "max_bytes": None,
        "max_items": None,
        "keep_free": 0,
        "names": "plain",
        "overwrite": "never",
        "rate": None,
    }


def test_show_tells_what_was_said_of_a_peer(trust, bob_file, capsys):
    """One line with its policy, and none where it has none."""
    trust("add", "bob", bob_file)
    capsys.readouterr()
    trust("show", "bob")
    assert "policy" not in capsys.readouterr().out
    trust("policy", "bob", "--folders", "no", "--max-bytes", "1GiB")
    capsys.readouterr()
    trust("show", "bob")
    assert "policy       folders no, max_bytes 1GiB\n" in capsys.readouterr().out
    trust("show", "bob", "--json")
    assert event_of(capsys.readouterr().err)["policy"] == {"folders": False, "max_bytes": 1 << 30}


def test_reading_standard_input_is_bounded(trust, monkeypatch, capsys):
    """An endless stream is not read to its end."""

    class Endless(io.RawIOBase):
        count = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = b"A" * len(buffer)
            Endless.count += len(buffer)
            return len(buffer)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    assert trust("add", "bob") == 2
    assert Endless.count < 1 << 20
    assert "no public identity" in capsys.readouterr().err
