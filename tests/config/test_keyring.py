"""What programs load from a home."""

from __future__ import annotations

import pytest

from selo.config.errors import NoIdentity, NoSenders, NoSuchPeer
from selo.config.home import Home
from selo.config.keyring import load_identity, load_peer, load_senders
from selo.config.trust import Peer, TrustStore
from selo.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    """A home with an identity, who may be sent to by bob only; carol is pinned too."""
    home = tmp_path / "home"
    load_identity(home, create=True)
    for name, may_send in (("bob", True), ("carol", False)):
        other = load_identity(tmp_path / name, create=True)
        TrustStore(Home.locate(str(home), {})).add(name, other.public, may_send=may_send)
    return home


def test_an_identity_is_made_once_and_only_when_asked(tmp_path):
    """Without `create` there is none; with it the same one is found again."""
    with pytest.raises(NoIdentity):
        load_identity(tmp_path / "home")
    made = load_identity(tmp_path / "home", create=True)
    assert load_identity(tmp_path / "home", create=True).fingerprint == made.fingerprint
    assert load_identity(tmp_path / "home").fingerprint == made.fingerprint


def test_a_passphrase_guards_what_was_made_under_it(tmp_path):
    """An identity made under a passphrase loads with it, and with no other and none it is a UsageError."""
    made = load_identity(tmp_path / "home", create=True, passphrase=b"right")
    assert load_identity(tmp_path / "home", passphrase=b"right").fingerprint == made.fingerprint
    for wrong in (b"wrong", None):
        with pytest.raises(UsageError):
            load_identity(tmp_path / "home", passphrase=wrong, create=True)


def test_the_variable_names_the_home(folder, monkeypatch):
    """Without a folder it is SELO_HOME's."""
    monkeypatch.setenv("SELO_HOME", str(folder))
    assert load_identity().fingerprint == load_identity(folder).fingerprint
    assert load_peer("bob") == load_peer("bob", folder)


def test_peers_are_found_by_name(folder):
    """A pinned peer is found, another name is an error."""
    assert load_peer("carol", folder).name == "carol"
    with pytest.raises(NoSuchPeer):
        load_peer("dave", folder)


def test_senders_are_those_who_may_or_those_who_are_named(folder):
    """Without names only who may send; a name brings whoever has it."""
    assert [peer.name for peer in load_senders(home=folder)] == ["bob"]
    assert [peer.name for peer in load_senders(["carol"], folder)] == ["carol"]
    with pytest.raises(NoSuchPeer):
        load_senders(["dave"], folder)


def test_nobody_who_may_send_is_an_error(tmp_path):
    """An empty trust store has no senders, and that is said."""
    load_identity(tmp_path / "home", create=True)
    with pytest.raises(NoSenders):
        load_senders(home=tmp_path / "home")


def test_a_peer_can_be_made_of_its_text(tmp_path):
    """`Peer.from_text` pins exactly the identity that was written out, and refuses anything else."""
    identity = load_identity(tmp_path / "home", create=True)
    peer = Peer.from_text("alice", identity.public.to_text("another"))
    assert (peer.name, peer.may_send, peer.fingerprint) == ("alice", False, identity.fingerprint)
    for name, text in (("../x", identity.public.to_text(None)), ("alice", "nonsense")):
        with pytest.raises(UsageError):
            Peer.from_text(name, text)
