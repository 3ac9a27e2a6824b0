import json
import os
import stat

import pytest

from selo.config.errors import (
    Exposed,
    FileDamaged,
    ManyRefused,
    NameRefused,
    NoIdentity,
    NoRotation,
    NoSenders,
    NoSuchPeer,
    OwnIdentity,
    PeerAlreadyPinned,
    PeerExists,
    RotationUnfinished,
)
from selo.config.home import Home
from selo.config.policy import AS_SETTINGS, PeerPolicy
from selo.config.trust import TrustStore


@pytest.fixture
def store(home):
    """The trust store of alice: empty."""
    return TrustStore(home)


@pytest.fixture
def identities(make_home):
    """The public identities of three others."""
    return [make_home(name).load_public_identity()[0] for name in ("bob", "carol", "dave")]


def test_what_was_added_is_found_again(store, identities):
    """A pinned peer is found by its name and by its fingerprint, with its rights, by a new store too."""
    store.add("bob", identities[0], may_send=True)
    store.add("Carol", identities[1])
    again = TrustStore(store._home)
    assert again.names() == ["Carol", "bob"]
    bob = again.get("bob")
    assert (bob.name, bob.may_send, bob.identity) == ("bob", True, identities[0])
    assert again.get("Carol").may_send is False
    assert again.by_fingerprint() == {peer.fingerprint: peer for peer in again.peers()}


def test_the_store_is_private(store, identities, home):
    """Its folder has mode 0700 and its files 0600, whatever the umask, and no draft stays."""
    previous = os.umask(0)
    try:
        store.add("bob", identities[0])
    finally:
        os.umask(previous)
    assert stat.S_IMODE(home.peers_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.peers_folder / "bob.json").stat().st_mode) == 0o600
    assert os.listdir(home.peers_folder) == ["bob.json"]


@pytest.mark.parametrize("name", ["../bob", "a/b", ".bob", "", "b\0b", "x" * 65], ids=ascii)
def test_a_peers_name_never_leaves_the_folder(name, store, identities, home):
    """A name that could be a path is refused for adding, and finds nothing elsewhere."""
    with pytest.raises(NameRefused):
        store.add(name, identities[0])
    assert not home.peers_folder.exists()
    for act in (store.get, store.remove):
        with pytest.raises(NoSuchPeer):
            act(name)


def test_a_pinned_identity_is_never_replaced(store, identities):
    """A name that is taken keeps its identity: a changed key is a decision, not an update."""
    store.add("bob", identities[0])
    with pytest.raises(PeerExists) as refused:
        store.add("bob", identities[1])
    assert "rotate bob FILE" in refused.value.hint
    assert store.get("bob").identity == identities[0]


def test_a_name_taken_meanwhile_is_not_replaced(store, identities, monkeypatch):
    """Of two that add the same name at once, one fails."""
    store.add("bob", identities[0])
    monkeypatch.setattr(TrustStore, "names", lambda self: [])
    with pytest.raises(PeerExists):
        store.add("bob", identities[1])
    monkeypatch.undo()
    assert store.get("bob").identity == identities[0]


def test_names_that_differ_in_capitals_only_are_refused(store, identities):
    """`Bob` beside `bob` would mislead people, and be one file on some systems."""
    store.add("bob", identities[0])
    with pytest.raises(PeerExists, match="capitals"):
        store.add("BoB", identities[1])


def test_names_are_exact(store, identities):
    """A peer is found under its own name to the letter only, also where the file system would not care."""
    store.add("bob", identities[0])
    with pytest.raises(NoSuchPeer):
        store.get("Bob")


def test_one_identity_has_one_name(store, identities):
    """The same fingerprint under a second name is refused, and the error tells the first."""
    store.add("bob", identities[0])
    with pytest.raises(PeerAlreadyPinned) as refused:
        store.add("robert", identities[0], may_send=True)
    assert refused.value.existing == "bob"
    assert store.names() == ["bob"]


def test_our_own_identity_is_refused(store, home):
    """Somebody who trusts themselves took the wrong file."""
    with pytest.raises(OwnIdentity):
        store.add("me", home.load_public_identity()[0])


def test_removing_forgets(store, identities):
    """A removed peer is gone, and its name and identity are free again."""
    store.add("bob", identities[0])
    store.remove("bob")
    assert store.peers() == []
    store.add("robert", identities[0])


def test_an_unknown_name_tells_the_known_ones(store, identities):
    """Whoever mistypes a name sees those there are."""
    store.add("carol", identities[1])
    store.add("bob", identities[0])
    for act in (store.get, store.remove, lambda name: store.senders([name])):
        with pytest.raises(NoSuchPeer) as refused:
            act("dave")
        assert refused.value.hint == "known peers: bob, carol"
        assert refused.value.exit_status == 2


class TestSenders:
    """Who may deliver to us."""

    @pytest.fixture(autouse=True)
    def peers(self, store, identities):
        """bob may send, carol and dave may not."""
        store.add("bob", identities[0], may_send=True)
        store.add("carol", identities[1])
        store.add("dave", identities[2])

    @pytest.mark.parametrize("names", [None, [], ()])
    def test_those_that_may_send_are_the_senders(self, store, identities, names):
        """With nobody named, exactly the peers added with may_send."""
        assert store.senders(names) == {identities[0].fingerprint: store.get("bob")}

    def test_named_peers_are_the_only_senders(self, store):
        """Names stand instead of the lasting permission for this run: they let in, and they leave out."""
        assert {peer.name for peer in store.senders(["carol", "dave"]).values()} == {"carol", "dave"}

    @pytest.mark.parametrize("data", [b"", b"{", b"[]"])
    def test_another_peers_damaged_file_stops_nobody(self, store, identities, home, data):
        """Where peers are named, only their files are read."""
        (home.peers_folder / "carol.json").write_bytes(data)
        assert set(store.senders(["bob"])) == {identities[0].fingerprint}
        for names in (["bob", "carol"], None):
            with pytest.raises(FileDamaged, match="carol.json"):
                store.senders(names)

    def test_one_unknown_name_is_an_error(self, store):
        """A mistyped name is not left out silently."""
        with pytest.raises(NoSuchPeer):
            store.senders(["bob", "cnarol"])

    def test_without_senders_nothing_starts(self, store):
        """When nobody may send, the error says how to allow somebody."""
        store.remove("bob")
        with pytest.raises(NoSenders) as refused:
            store.senders()
        assert "--from" in refused.value.hint
        assert "selo trust allow NAME" in refused.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry | {"version": 2},
        lambda entry: entry | {"version": True},
        lambda entry: entry | {"version": 1.0},
        lambda entry: entry | {"may_send": "no"},
        lambda entry: entry | {"may_send": 1},
        lambda entry: entry | {"may_send": None},
        lambda entry: entry | {"identity": ""},
        lambda entry: entry | {"identity": None},
        lambda entry: entry | {"identity": entry["identity"].replace("A", "B", 1)},
        lambda entry: entry | {"more": 1},
        lambda entry: entry | {"policy": {"more": 1}},
        lambda entry: {key: value for key, value in entry.items() if key != "may_send"},
        lambda entry: [entry],
        lambda entry: None,
    ],
)
def test_a_damaged_peer_file_trusts_nobody(change, store, identities, home):
    """Anything but the one form of a peer's file is an error that names it; the peer can still be removed."""
    store.add("bob", identities[0], may_send=True)
    path = home.peers_folder / "bob.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    for act in (store.peers, store.senders, store.by_fingerprint, lambda: store.get("bob")):
        with pytest.raises(FileDamaged, match="bob.json"):
            act()
    store.remove("bob")
    assert store.names() == []


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 60000, b'{"may_send": false, "may_send": true}'])
def test_a_peer_file_that_is_no_json_trusts_nobody(data, store, identities, home):
    """Cut files, endless nesting and a right given twice are refused alike."""
    store.add("bob", identities[0])
    (home.peers_folder / "bob.json").write_bytes(data)
    with pytest.raises(FileDamaged):
        store.peers()


def test_a_right_given_twice_is_refused(store, identities, home):
    """A second `may_send` in an otherwise good file does not win silently."""
    store.add("bob", identities[0])
    path = home.peers_folder / "bob.json"
    path.write_text(path.read_text().replace('"may_send"', '"may_send": false, "may_send"', 1))
    with pytest.raises(FileDamaged, match="twice"):
        store.get("bob")


def test_other_files_in_the_folder_are_no_peers(store, identities, home):
    """The draft of a cut write, and whatever has no name of a peer, is ignored."""
    store.add("bob", identities[0])
    for name in (".bob.json.x7", ".eve.json", "notes.txt", "a b.json"):
        (home.peers_folder / name).write_bytes(b"")
    assert store.names() == ["bob"]


@pytest.mark.parametrize("method", ["names", "peers", "by_fingerprint", "senders"])
def test_a_store_that_others_can_reach_is_refused(method, store, home):
    """Whoever can write in the home decides whom we trust."""
    home.path.chmod(0o770)
    with pytest.raises(Exposed):
        getattr(store, method)()


def test_without_an_identity_nobody_is_trusted(tmp_path, identities):
    """The store belongs to an identity: without a home the error says how to make one."""
    store = TrustStore(Home(tmp_path / "none"))
    for act in (store.names, lambda: store.add("bob", identities[0])):
        with pytest.raises(NoIdentity):
            act()


def test_a_rotating_peer_is_known_by_both_identities(store, identities):
    """The newest first; both deliver and both are found, until the rotation is finished."""
    old, new, _ = identities
    store.add("bob", old, may_send=True)
    bob = store.rotate("bob", new)
    assert (bob.identity, bob.older, bob.may_send) == (new, (old,), True)
    assert set(store.senders()) == set(store.by_fingerprint()) == {old.fingerprint, new.fingerprint}
    assert set(store.senders(["bob"])) == {old.fingerprint, new.fingerprint}
    assert store.finish_rotation("bob").identities == (new,)
    assert set(store.senders()) == {new.fingerprint}


def test_a_rotation_can_be_taken_back(store, identities):
    """The words differed: the newest goes, and the one before is the peer's again."""
    old, new, _ = identities
    store.add("bob", old, may_send=True)
    store.rotate("bob", new)
    bob = store.cancel_rotation("bob")
    assert bob == store.get("bob")
    assert (bob.identities, bob.may_send) == ((old,), True)
    with pytest.raises(NoRotation, match="one identity only"):
        store.cancel_rotation("bob")


def test_who_is_removed_while_the_list_is_read_is_left_out(store, identities):
    """A file that is gone since it was listed is no peer, and no error."""
    store.add("bob", identities[0], may_send=True)
    (store._home.peers_folder / "gone.json").symlink_to("/nonexistent")
    assert [peer.name for peer in store.peers()] == ["bob"]
    assert set(store.senders()) == {identities[0].fingerprint}


def test_an_identity_is_pinned_once(store, identities):
    """Not again as the next one of the same or of another peer, and ours not at all."""
    old, new, other = identities
    store.add("bob", old)
    store.add("carol", other)
    store.rotate("bob", new)
    for name, identity in (("bob", new), ("bob", old), ("bob", other), ("carol", old)):
        with pytest.raises(PeerAlreadyPinned):
            store.rotate(name, identity)
    for identity in (old, new):
        with pytest.raises(PeerAlreadyPinned):
            store.add("dave", identity)
    with pytest.raises(OwnIdentity):
        store.rotate("bob", store._home.load_public_identity()[0])
    with pytest.raises(NoSuchPeer):
        store.rotate("nobody", new)


def test_rotations_do_not_pile_up(store, make_home):
    """More than three older identities mean that somebody forgot to finish."""
    store.add("bob", make_home("bob0").load_public_identity()[0])
    for n in range(3):
        store.rotate("bob", make_home(f"bob{n + 1}").load_public_identity()[0])
    with pytest.raises(RotationUnfinished) as refused:
        store.rotate("bob", make_home("bob4").load_public_identity()[0])
    assert "--finish" in refused.value.hint


def test_a_right_can_be_given_and_taken(store, identities):
    """Nothing else changes, also while the peer rotates."""
    store.add("bob", identities[0])
    store.rotate("bob", identities[1])
    before = store.get("bob")
    assert store.set_may_send("bob", True).may_send is True
    assert store.get("bob").identities == before.identities
    assert store.set_may_send("bob", False) == before


def test_what_a_peer_may_deliver_is_kept(store, identities):
    """A policy stays through every other change, and goes when it is replaced by none."""
    policy = PeerPolicy(folders=False, max_bytes=1 << 30)
    store.add("bob", identities[0])
    assert store.set_policy("bob", policy).policy == policy
    store.set_may_send("bob", True)
    store.rotate("bob", identities[1])
    store.finish_rotation("bob")
    store.rename("bob", "robert")
    assert store.get("robert").policy == policy
    assert store.senders()[identities[1].fingerprint].policy == policy
    assert store.set_policy("robert", AS_SETTINGS) == store.get("robert")
    assert store.get("robert").policy == AS_SETTINGS
    with pytest.raises(NoSuchPeer):
        store.set_policy("bob", policy)


@pytest.mark.parametrize("new", ["robert", "Bob", "BOB"])
def test_a_peer_can_be_renamed(new, store, identities):
    """Also to the same name in other capitals; rights and identities stay."""
    store.add("bob", identities[0], may_send=True)
    store.rotate("bob", identities[1])
    before = store.get("bob")
    renamed = store.rename("bob", new)
    assert store.names() == [new]
    assert store.get(new) == renamed
    assert (renamed.identities, renamed.may_send) == (before.identities, True)


def test_a_name_is_not_taken_from_another(store, identities):
    """A name that is taken, or no name, changes nothing."""
    store.add("bob", identities[0])
    store.add("carol", identities[1])
    for new, error in (
        ("carol", PeerExists),
        ("Carol", PeerExists),
        ("../x", NameRefused),
        ("", NameRefused),
    ):
        with pytest.raises(error):
            store.rename("bob", new)
    with pytest.raises(NoSuchPeer):
        store.rename("nobody", "somebody")
    assert store.names() == ["bob", "carol"]


def test_many_are_pinned_at_once(store, identities):
    """All of them; who is known so already stays as it is."""
    store.add("bob", identities[0], may_send=True)
    added = store.add_all(dict(zip(["bob", "carol", "dave"], identities, strict=True)))
    assert [peer.name for peer in added] == ["carol", "dave"]
    assert store.names() == ["bob", "carol", "dave"]
    assert store.get("bob").may_send
    assert store.add_all({"bob": identities[0]}) == []


def test_of_many_all_or_none(store, identities):
    """One that cannot be pinned keeps the others out, and each is told with its reason."""
    bob, carol, dave = identities
    store.add("bob", bob)
    cases = [
        {"bob": carol, "dave": dave},
        {"robert": bob, "dave": dave},
        {"me": store._home.load_public_identity()[0], "dave": dave},
        {"../x": carol, "dave": dave},
        {"carol": carol, "Carol": dave},
        {"carol": carol, "carolina": carol},
    ]
    for case in cases:
        with pytest.raises(ManyRefused) as refused:
            store.add_all(case)
        assert len(refused.value.reasons) == 1
        assert store.names() == ["bob"]
