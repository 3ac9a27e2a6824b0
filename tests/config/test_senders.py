"""Who may deliver, in a run that goes on while the trust store changes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from selo.config.errors import Exposed, FileDamaged, NoSenders, NoSuchPeer
from selo.config.policy import PeerPolicy
from selo.config.senders import Senders
from selo.config.trust import TrustStore

CHANGES: dict[str, Callable[[TrustStore], object]] = {
    "removed": lambda store: store.remove("bob"),
    "denied": lambda store: store.set_may_send("bob", False),
    "renamed": lambda store: store.rename("bob", "robert"),
    "another policy": lambda store: store.set_policy("bob", PeerPolicy(max_items=7)),
    "another one may send": lambda store: store.set_may_send("carol", True),
}


@pytest.fixture(name="store")
def _store(home, make_home):
    """Bob may send, carol may not; dave is nobody yet."""
    store = TrustStore(home)
    for name in ("bob", "carol"):
        store.add(name, make_home(name).load_public_identity()[0], may_send=name == "bob")
    return store


@pytest.mark.parametrize("changes", [*itertools.permutations(CHANGES, 2)], ids="-".join)
def test_security_every_change_of_the_store_counts_from_the_next_handshake(changes, store):
    """What it says is what the store says at that moment, after one change and after the next."""
    senders = Senders(store, None)
    assert senders() == store.senders()
    for change in changes:
        try:
            CHANGES[change](store)
        except NoSuchPeer:
            continue  # the one before has left no bob
        try:
            expected = store.senders()
        except NoSenders:
            expected = {}
        assert senders() == expected
        assert senders() == expected


def test_who_is_added_may_send_at_once(store, make_home):
    """Also where nobody was left before."""
    senders = Senders(store, None)
    store.remove("bob")
    assert senders() == {}
    dave = store.add("dave", make_home("dave").load_public_identity()[0], may_send=True)
    assert senders() == {dave.fingerprint: dave}


def test_both_identities_of_a_rotation_count(store, make_home):
    """Until it is finished."""
    senders = Senders(store, None)
    old, new = store.get("bob").identity, make_home("new").load_public_identity()[0]
    store.rotate("bob", new)
    assert set(senders()) == {old.fingerprint, new.fingerprint}
    store.finish_rotation("bob")
    assert set(senders()) == {new.fingerprint}


def test_the_named_ones_only(store):
    """Whoever was named may send without --may-send; of a name that is gone there is nobody, and no error."""
    senders = Senders(store, ["carol"])
    carol = store.get("carol")
    assert senders() == {carol.fingerprint: carol}
    store.remove("carol")
    assert senders() == {}
    with pytest.raises(NoSuchPeer):
        Senders(store, ["carol"])
    store.set_may_send("bob", False)
    with pytest.raises(NoSenders):
        Senders(store, None)


def test_one_who_is_gone_takes_nobody_along(store):
    """Of several that were named, those who are still there may send, whatever became of the others."""
    senders = Senders(store, ["bob", "carol"])
    bob, carol = store.get("bob"), store.get("carol")
    store.remove("carol")
    assert senders() == {bob.fingerprint: bob}
    store.rename("bob", "robert")
    assert senders() == {}
    store.rename("robert", "bob")
    store.add("carol", carol.identity)
    assert set(senders()) == {bob.fingerprint, carol.fingerprint}


def test_a_look_that_tells_nothing_is_followed_by_a_reading(store, monkeypatch):
    """A file went while the folder was looked at: twice the same nothing is not no change."""
    senders = Senders(store, None)
    monkeypatch.setattr(TrustStore, "stamp", lambda _store: None)
    assert len(senders()) == 1
    store.remove("bob")
    assert senders() == {}


def test_the_store_is_read_only_where_it_has_changed(store, monkeypatch):
    """A stranger who knocks costs no more than a look at the folder."""
    senders = Senders(store, None)
    monkeypatch.setattr(TrustStore, "senders", lambda *_: pytest.fail("read again"))
    for _ in range(3):
        assert len(senders()) == 1


def test_security_a_store_that_cannot_be_read_lets_nobody_in(store, home):
    """And the error comes at every handshake, until it is mended; then all is as before."""
    senders = Senders(store, None)
    before = senders()
    path = home.peers_folder / "carol.json"
    good = path.read_bytes()
    path.write_bytes(good[:-2])
    for _ in range(2):
        with pytest.raises(FileDamaged):
            senders()
    path.write_bytes(good)
    assert senders() == before
    aside = path.with_name("aside")
    path.rename(aside)
    path.write_bytes(good[:-2])
    with pytest.raises(FileDamaged):
        senders()
    aside.replace(path)  # the very file that was there: all looks as before
    assert senders() == before
    os.chmod(home.path, 0o755)
    with pytest.raises(Exposed):
        senders()
    os.chmod(home.path, 0o700)
    assert senders() == before
