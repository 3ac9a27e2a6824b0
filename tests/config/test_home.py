import os
import pwd
import stat

import pytest

from selo.config.errors import (
    Exposed,
    FileDamaged,
    FileFault,
    IdentityExists,
    NameRefused,
    NoIdentity,
    SettingRefused,
)
from selo.config.home import Home, checked_peer_name, is_name
from selo.crypto.errors import PassphraseNeeded, WrongPassphrase

GOOD_NAMES = ["a", "A", "7", "alice", "alice-2", "a.b_c-d", "x" * 64, "a..b"]
BAD_NAMES = [
    "",
    ".",
    "..",
    ".a",
    "-a",
    "_a",
    "a/b",
    "../a",
    "a\\b",
    "a b",
    "a\n",
    "a\0",
    "ä",
    "\u0430",
    "x" * 65,
    "a:b",
]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_is_taken_as_it_is(name):
    """Letters, digits, and after the first `.`, `_` and `-`: 1 to 64 of them."""
    assert is_name(name)
    assert checked_peer_name(name) == name


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_name_is_never_a_path(name):
    """Nothing that leaves a folder, hides a file, looks like an option or like another name is a name."""
    assert not is_name(name)
    with pytest.raises(NameRefused):
        checked_peer_name(name)


def test_the_flag_names_the_home_before_the_environment():
    """--home, then SELO_HOME, then ~/.selo; an empty one counts as not given."""
    environ = {"SELO_HOME": "/from/environment"}
    assert str(Home.locate("/from/flag", environ).path) == "/from/flag"
    assert str(Home.locate(None, environ).path) == "/from/environment"
    assert str(Home.locate(None, {"SELO_HOME": ""}).path) == os.path.expanduser("~/.selo")
    assert str(Home.locate("~/other", {}).path) == os.path.expanduser("~/other")


@pytest.mark.parametrize("text", ["~nosuchuser/x", "~nosuchuser", "/a\0b"], ids=ascii)
def test_a_home_that_cannot_be_a_path_is_named_with_its_place(text):
    """The folder of a user who does not exist, and a zero byte, are a sentence that says where."""
    for flag, environ, source in ((text, {}, "--home"), (None, {"SELO_HOME": text}, "SELO_HOME")):
        with pytest.raises(SettingRefused, match=f"^{source}: expected a path") as refused:
            Home.locate(flag, environ)
        assert refused.value.exit_status == 2


def test_a_user_without_a_folder_needs_a_home(monkeypatch):
    """Where not even `~` is known, as in some containers, the default is refused likewise."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    with pytest.raises(SettingRefused, match="^the home: expected a path .*, not '~/.selo'"):
        Home.locate(None, {})


def test_a_new_identity_is_private(tmp_path):
    """keygen makes a folder of mode 0700 with files of mode 0600, whatever the umask."""
    home = Home(tmp_path / "deep" / "home")
    previous = os.umask(0)
    try:
        home.create_identity(name="alice")
    finally:
        os.umask(previous)
    assert mode_of(home.path) == 0o700
    assert {path.name: mode_of(path) for path in home.path.iterdir()} == {
        "identity": 0o600,
        "identity.pub": 0o600,
    }


def test_what_was_made_can_be_loaded(tmp_path):
    """The private and the public file hold the identity that was made, and the name."""
    home = Home(tmp_path / "home")
    made = home.create_identity(name="alice")
    assert home.load_identity().fingerprint == made.fingerprint
    public, name = home.load_public_identity()
    assert (public.fingerprint, name) == (made.fingerprint, "alice")


def test_two_identities_differ(make_home):
    """Nothing but chance decides what an identity is."""
    assert make_home("a").load_identity().fingerprint != make_home("b").load_identity().fingerprint


def test_a_passphrase_is_needed_where_one_was_given(tmp_path):
    """Without it and with another one the private identity does not open, and the public one does."""
    home = Home(tmp_path / "home")
    made = home.create_identity(passphrase=b"open sesame")
    with pytest.raises(PassphraseNeeded):
        home.load_identity()
    with pytest.raises(WrongPassphrase):
        home.load_identity(b"open barley")
    assert home.load_identity(b"open sesame").fingerprint == made.fingerprint
    assert home.load_public_identity()[0].fingerprint == made.fingerprint


def test_an_identity_is_never_overwritten(home):
    """A second keygen fails and leaves both files as they were."""
    before = {path: path.read_bytes() for path in home.path.iterdir()}
    with pytest.raises(IdentityExists) as refused:
        home.create_identity(name="mallory")
    assert refused.value.exit_status == 2
    assert {path: path.read_bytes() for path in home.path.iterdir()} == before


def test_a_bad_name_makes_nothing(tmp_path):
    """An identity with a name that cannot be one is refused before anything is written."""
    home = Home(tmp_path / "home")
    with pytest.raises(NameRefused):
        home.create_identity(name="../alice")
    assert not home.path.exists()


@pytest.mark.parametrize("bits", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040], ids=lambda bits: f"{bits:03o}")
@pytest.mark.parametrize("act", [Home.load_identity, Home.load_public_identity, Home.create_identity])
def test_a_home_that_others_can_reach_is_refused(act, bits, home):
    """Every bit for group or others is enough, for reading and for making; the hint mends it."""
    home.path.chmod(0o700 | bits)
    with pytest.raises(Exposed) as exposed:
        act(home)
    assert exposed.value.hint == f"chmod 700 {home.path}"


def test_a_private_identity_that_others_can_read_is_refused(home):
    """Also inside a private home: the file may have been copied there with an open mode."""
    home.identity_file.chmod(0o640)
    with pytest.raises(Exposed) as exposed:
        home.load_identity()
    assert exposed.value.hint == f"chmod 600 {home.identity_file}"


@pytest.mark.parametrize("act", [Home.load_identity, Home.load_public_identity, Home.require_private])
def test_a_missing_home_is_a_sentence(act, tmp_path):
    """Without a home there is no identity, and the hint says how to make one."""
    with pytest.raises(NoIdentity) as missing:
        act(Home(tmp_path / "none"))
    assert "keygen" in missing.value.hint


@pytest.mark.parametrize("act", [Home.load_identity, Home.load_public_identity])
def test_an_empty_home_is_a_sentence(act, tmp_path):
    """A folder without an identity in it says the same."""
    tmp_path.chmod(0o700)
    with pytest.raises(NoIdentity):
        act(Home(tmp_path))


def test_a_home_that_is_a_file_is_refused(tmp_path):
    """keygen does not trip over a file of that name."""
    path = tmp_path / "home"
    path.write_bytes(b"")
    with pytest.raises(FileFault):
        Home(path).create_identity()


def test_a_lost_public_identity_is_made_again(home):
    """identity.pub can be made from the private identity; only the name is gone."""
    fingerprint = home.load_identity().fingerprint
    home.public_identity_file.unlink()
    for _ in range(2):
        public, name = home.load_public_identity()
        assert (public.fingerprint, name) == (fingerprint, None)
    assert mode_of(home.public_identity_file) == 0o600


@pytest.mark.parametrize("data", [b"", b"\xff", b"-----BEGIN SELO PUBLIC IDENTITY-----\n"])
def test_a_damaged_private_identity_is_told_with_its_path(data, home):
    """Something else in `identity` is a sentence that names the file."""
    home.identity_file.write_bytes(data)
    with pytest.raises(FileDamaged) as damaged:
        home.load_identity()
    assert str(damaged.value).startswith(f"{home.identity_file} is damaged: ")
    assert damaged.value.exit_status == 1


@pytest.mark.parametrize("act", [Home.load_identity, Home.load_public_identity])
@pytest.mark.parametrize("data", [b"", b"\xff", b"-----BEGIN SELO PUBLIC IDENTITY-----\n"])
def test_a_damaged_public_identity_is_told_with_its_path(data, act, home):
    """Something else in `identity.pub` is a sentence that names the file and the remedy, which helps."""
    fingerprint = home.load_identity().fingerprint
    home.public_identity_file.write_bytes(data)
    with pytest.raises(FileDamaged) as damaged:
        act(home)
    assert str(damaged.value).startswith(f"{home.public_identity_file} is damaged: ")
    assert damaged.value.hint.startswith(f"remove {home.public_identity_file};")
    home.public_identity_file.unlink()
    assert act(home)
    assert home.load_public_identity()[0].fingerprint == fingerprint


def test_security_a_public_identity_that_is_not_ours_is_refused(home, make_home):
    """With another one's `identity.pub`, `selo id --export` would hand out a key that we do not hold."""
    home.public_identity_file.write_bytes(make_home("stale").public_identity_file.read_bytes())
    with pytest.raises(FileDamaged, match="identity.pub is damaged: it does not belong to"):
        home.load_identity()


def test_the_name_in_a_public_identity_is_free(home):
    """Another suggestion, or line ends of another system, are still our own public identity."""
    text = home.public_identity_file.read_text()
    home.public_identity_file.write_text(text.replace("Name: alice", "Name: Alice.2").replace("\n", "\r\n"))
    assert home.load_identity().fingerprint == home.load_public_identity()[0].fingerprint
