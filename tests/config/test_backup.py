"""A home in one file: brought back whole, or not at all."""

import json
import os

import pytest

from selo.config.backup import BACKUP_MAX, Backup, make_backup
from selo.config.errors import BackupRefused, FileFault, HomeNotEmpty
from selo.config.home import Home
from selo.config.trust import TrustStore
from selo.crypto.errors import PassphraseNeeded, WrongPassphrase


@pytest.fixture
def full_home(home, make_home):
    """Alice's home with two peers, one of them rotating."""
    store = TrustStore(home)
    store.add("bob", make_home("bob").load_public_identity()[0], may_send=True)
    store.add("Carol", make_home("carol").load_public_identity()[0])
    store.rotate("Carol", make_home("carol2").load_public_identity()[0])
    return home


@pytest.mark.parametrize("passphrase", [None, b"secret"])
@pytest.mark.parametrize("there", ["nothing", "an empty folder", "nothing above it"])
def test_a_home_is_brought_back(passphrase, there, full_home, tmp_path):
    """Identity, name and peers, private to their owner; encrypted if the backup was."""
    data = make_backup(full_home, full_home.load_identity(), passphrase)
    home = Home(tmp_path / "above" / "back" if there == "nothing above it" else tmp_path / "back")
    if there == "an empty folder":
        home.path.mkdir(mode=0o755)
    Backup("a", data).restore(home, passphrase)
    assert home.load_identity(passphrase).public == full_home.load_identity().public
    assert home.load_public_identity() == full_home.load_public_identity()
    assert TrustStore(home).peers() == TrustStore(full_home).peers()
    assert home.path.stat().st_mode & 0o777 == 0o700
    if passphrase:
        with pytest.raises(PassphraseNeeded):
            home.load_identity()
    assert sorted(os.listdir(home.path.parent)) == sorted(
        {"back"} if there == "nothing above it" else {"back", "alice", "bob", "carol", "carol2"}
    )


def test_a_lost_public_half_is_no_obstacle(full_home, tmp_path):
    """The private one holds it; only the suggested name is gone."""
    identity = full_home.load_identity()
    full_home.public_identity_file.unlink()
    Backup("a", make_backup(full_home, identity, b"secret")).restore(Home(tmp_path / "back"), b"secret")
    assert Home(tmp_path / "back").load_public_identity()[0] == identity.public


def test_nothing_is_restored_over_something(full_home, tmp_path):
    """A home with anything in it is left as it is."""
    data = make_backup(full_home, full_home.load_identity(), None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.toml").write_text("")
    for home in (full_home, Home(other)):
        before = sorted(os.listdir(home.path))
        with pytest.raises(HomeNotEmpty):
            Backup("a", data).restore(home, None)
        assert sorted(os.listdir(home.path)) == before


@pytest.mark.parametrize(("given", "error"), [(None, PassphraseNeeded), (b"wrong", WrongPassphrase)])
def test_without_its_passphrase_nothing_is_restored(given, error, full_home, tmp_path):
    """What cannot be opened was not verified: the home is not begun."""
    data = make_backup(full_home, full_home.load_identity(), b"secret")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(error):
        Backup("a", data).restore(Home(tmp_path / "back"), given)
    assert sorted(os.listdir(tmp_path)) == before


def damage(entry):
    """Backups that are none, each with one thing wrong; the last ones show only when restored."""
    yield b""
    yield b"[]"
    yield b"[" * 100_000
    yield b"\xff"
    for key in entry:
        yield {name: value for name, value in entry.items() if name != key}
    yield entry | {"more": 1}
    yield entry | {"selo": "peers"}
    yield entry | {"version": 2}
    yield entry | {"version": True}
    for key in ("identity", "public"):
        yield entry | {key: 5}
        yield entry | {key: ""}
        yield entry | {key: entry[key].replace("A", "B", 1)}
    yield entry | {"peers": []}
    bob = entry["peers"]["bob"]
    yield entry | {"peers": {"../bob": bob}}
    yield entry | {"peers": {".bob": bob}}
    yield entry | {"peers": {"bob": bob, "BOB": bob}}
    yield entry | {"peers": {"bob": 5}}
    yield entry | {"peers": {"bob": bob | {"may_send": 1}}}
    yield entry | {"public": bob["identity"]}
    yield entry | {"identity": "\ud800"}
    yield entry | {"peers": {"bob": bob, "robert": bob}}
    yield entry | {"peers": {"me": bob | {"identity": entry["public"]}}}
    yield json.dumps(entry).replace('"may_send": true', '"may_send": false, "may_send": true').encode()


def test_security_a_damaged_backup_restores_nothing(full_home, tmp_path):
    """Everything is verified before the first file is written, names of peers first of all."""
    entry = json.loads(make_backup(full_home, full_home.load_identity(), None))
    before = sorted(os.listdir(tmp_path))
    cases = list(damage(entry))
    for wrong in cases:
        data = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
        with pytest.raises(BackupRefused):
            Backup("a", data).restore(Home(tmp_path / "back"), None)
    assert sorted(os.listdir(tmp_path)) == before
    assert len(cases) > 20


def test_a_backup_without_end_is_refused():
    """Nobody's pipe fills our memory."""
    with pytest.raises(BackupRefused, match="longer"):
        Backup("a", b" " * (BACKUP_MAX + 1))


def test_a_place_that_cannot_be_written_is_a_fault(full_home, tmp_path):
    """The home's own place is a file, or below one."""
    data = make_backup(full_home, full_home.load_identity(), None)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileFault):
            Backup("a", data).restore(Home(place), None)
    assert (tmp_path / "file").read_text() == "x"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".file-")]
