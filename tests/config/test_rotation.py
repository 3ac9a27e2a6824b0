"""Another passphrase, another identity: and whatever a crash leaves behind, the home loads."""

import os

import pytest

from selo.config import files, rotation
from selo.config.errors import FileDamaged, NoIdentity, NoRotation, RotationUnderWay
from selo.config.home import Home
from selo.config.rotation import (
    cancel_rotation,
    change_passphrase,
    finish_rotation,
    load_next_public_identity,
    start_rotation,
)
from selo.crypto.errors import MalformedIdentity, PassphraseNeeded, WrongPassphrase


@pytest.mark.parametrize(("old", "new"), [(None, b"new"), (b"old", b"new"), (b"old", None), (None, None)])
def test_a_passphrase_changes_and_the_identity_does_not(old, new, tmp_path):
    """Set, changed, removed: the file opens under the new one only, and holds the same keys."""
    home = Home(tmp_path / "h")
    identity = home.create_identity(name="alice", passphrase=old)
    change_passphrase(home, home.load_identity(old), new)
    assert home.load_identity(new).public == identity.public
    assert home.load_public_identity() == (identity.public, "alice")
    assert home.identity_file.stat().st_mode & 0o777 == 0o600
    if new:
        with pytest.raises(PassphraseNeeded):
            home.load_identity()
        if old:
            with pytest.raises(WrongPassphrase):
                home.load_identity(old)


def test_an_empty_passphrase_changes_nothing(home):
    """It would protect nothing."""
    before = home.identity_file.read_bytes()
    with pytest.raises(MalformedIdentity):
        change_passphrase(home, home.load_identity(), b"")
    assert home.identity_file.read_bytes() == before


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_a_rotation_from_beginning_to_end(passphrase, tmp_path):
    """Until the end nothing has changed; then the next one is the identity, and the old one is kept."""
    home = Home(tmp_path / "h")
    before = home.create_identity(name="alice", passphrase=passphrase)
    public = start_rotation(home, passphrase)
    assert public != before.public
    assert load_next_public_identity(home) == (public, "alice")
    assert home.load_identity(passphrase).public == before.public
    assert finish_rotation(home, passphrase) == public
    assert home.load_identity(passphrase).public == public
    assert home.load_public_identity() == (public, "alice")
    assert sorted(os.listdir(home.path)) == ["identity", "identity.old", "identity.pub"]
    home.old_identity_file.rename(home.identity_file)
    home.public_identity_file.unlink()
    assert home.load_identity(passphrase).public == before.public
    assert {path.stat().st_mode & 0o777 for path in home.path.iterdir()} == {0o600}


def test_a_rotation_is_started_once(home):
    """A second start would take from the peers what they pinned."""
    public = start_rotation(home, None)
    with pytest.raises(RotationUnderWay):
        start_rotation(home, None)
    assert load_next_public_identity(home)[0] == public


def test_a_rotation_can_be_cancelled(home):
    """Nothing is left of it."""
    before = sorted(os.listdir(home.path))
    start_rotation(home, None)
    cancel_rotation(home)
    assert sorted(os.listdir(home.path)) == before


@pytest.mark.parametrize("step", [finish_rotation, cancel_rotation, load_next_public_identity])
def test_without_a_start_there_is_nothing_to_go_on_with(step, home):
    """The error says how to start."""
    with pytest.raises(NoRotation, match="no next identity"):
        step(home)


def test_without_an_identity_there_is_nothing_to_rotate(tmp_path):
    """An empty home is told as everywhere."""
    with pytest.raises(NoIdentity):
        start_rotation(Home(tmp_path / "h"), None)


def test_security_a_public_half_of_another_is_not_believed(home, make_home):
    """A stale identity.next.pub, as a cut rotation could leave it, never becomes ours; a start drops it."""
    stale = make_home("other").public_identity_file.read_bytes()
    home.next_public_identity_file.write_bytes(stale)
    public = start_rotation(home, None)
    assert load_next_public_identity(home)[0] == public
    home.next_public_identity_file.write_bytes(stale)
    before = home.load_identity().public
    with pytest.raises(FileDamaged):
        finish_rotation(home)
    assert home.load_identity().public == home.load_public_identity()[0] == before


def test_nobody_changes_to_an_identity_that_he_cannot_open(tmp_path):
    """The last step asks for the passphrase of the next one, while the present one still works."""
    home = Home(tmp_path / "h")
    home.create_identity(passphrase=b"secret")
    public = start_rotation(home, b"secret")
    for passphrase, error in ((None, PassphraseNeeded), (b"wrong", WrongPassphrase)):
        with pytest.raises(error):
            finish_rotation(home, passphrase)
    assert finish_rotation(home, b"secret") == public


class Crash(Exception):
    """The power is cut."""


OPERATIONS = ("write_new_file", "write_file", "rename_file", "remove_file")


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("step", ["start", "finish", "cancel"])
def test_security_after_a_crash_anywhere_the_home_loads(step, after, make_home, monkeypatch):
    """Before or after each file operation of each step: one of the two identities loads, whole, and the
    step (or a new start) can be done then."""
    points = 0
    while True:
        home = make_home(f"home-{step}-{after}-{points}")
        before = home.load_identity().public
        following = start_rotation(home, None) if step != "start" else None
        left = [points]

        def crashing(name, left=left):
            real = getattr(files, name)

            def run(*arguments):
                left[0] -= 1
                if left[0] < 0 and not after:
                    raise Crash
                result = real(*arguments)
                if left[0] < 0:
                    raise Crash
                return result

            return run

        with monkeypatch.context() as patch:
            for name in OPERATIONS:
                patch.setattr(rotation, name, crashing(name))
            try:
                act(step, home)
            except Crash:
                pass
            else:
                break
        loaded = home.load_identity().public
        assert loaded in (before, following)
        assert home.load_public_identity()[0] == loaded
        complete(step, home)
        points += 1
    assert points >= 2


def act(step: str, home: Home) -> None:
    """One step of a rotation."""
    {"start": lambda: start_rotation(home, None), "finish": lambda: finish_rotation(home)}.get(
        step, lambda: cancel_rotation(home)
    )()


def complete(step: str, home: Home) -> None:
    """Go on after the crash: again, or with a rotation from the start if this one is over."""
    try:
        act(step, home)
    except (RotationUnderWay, NoRotation):
        if step == "start":
            cancel_rotation(home)
    if step != "start" or not home.next_identity_file.exists():
        start_rotation(home, None)
    public = finish_rotation(home)
    assert home.load_identity().public == public
    assert home.load_public_identity()[0] == public


def test_a_cut_finish_can_be_done_again(make_home, monkeypatch):
    """Cut before its last step, --finish brings the public half, with its name, to its place."""
    home = make_home("alice")
    public = start_rotation(home, None)
    real = rotation.rename_file

    def cut(path, new_path):
        if path == home.next_public_identity_file:
            raise Crash
        real(path, new_path)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "rename_file", cut)
        with pytest.raises(Crash):
            finish_rotation(home)
    assert home.load_identity().public == public
    assert finish_rotation(home) == public
    assert home.load_public_identity() == (public, "alice")
    with pytest.raises(NoRotation):
        finish_rotation(home)


def test_a_stale_public_half_finishes_nothing(home, make_home):
    """One that belongs to nothing is dropped, and the identity stays."""
    before = home.load_identity().public
    for stale in (make_home("other").public_identity_file.read_bytes(), b"nothing"):
        home.next_public_identity_file.write_bytes(stale)
        with pytest.raises(NoRotation):
            finish_rotation(home)
        assert home.load_identity().public == before
        assert home.load_public_identity() == (before, "alice")


def test_a_lost_identity_can_be_replaced_by_the_next(home):
    """The present one is gone, the next one is there: --finish still makes a whole home."""
    public = start_rotation(home, None)
    home.identity_file.unlink()
    assert finish_rotation(home) == public
    assert home.load_identity().public == public
