"""What files and trees have in common: a crash at every single call, ends from another thread, locks."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selo.agents.bodies import Offer
from selo.agents.errors import SinkFault
from selo.agents.storage import naming, staged, staging
from selo.agents.storage.base import BeingReceived
from selo.agents.storage.placing import Place
from selo.agents.storage.state import State
from tests.agents.storing import (
    CONTENT,
    DELIVERIES,
    FILE_OFFER,
    NEVER,
    RENAME,
    REPLACE,
    STORED_FILE,
    TREE,
    TREE_OFFER,
    Crash,
    System,
    crash_at,
    deliver,
    finish,
    kill,
    look,
    memory_folder,
    opened,
    partials,
    sink_for,
    summary_of,
)
from tests.leaks import descriptors

each_delivery = pytest.mark.parametrize(("offer", "data", "stored"), DELIVERIES.values(), ids=DELIVERIES)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.mark.parametrize("linkless", [False, True], ids=["renameat2", "without"])
@pytest.mark.parametrize("overwrite", [NEVER, RENAME, REPLACE])
@each_delivery
def test_security_a_crash_before_every_call_loses_nothing_and_delivers_nothing_twice(
    offer: Offer, data: bytes, stored: dict[str, Any], overwrite: Any, linkless: bool, folder: Path
) -> None:
    """Under the final name is never a part; taken up, the delivery is there once, and nothing else is."""
    old = {REPLACE: b"old"}.get(overwrite)
    number, more = 0, True
    while more:
        place = folder / str(number)
        place.mkdir()
        name = place / next(iter(stored))
        if old is not None and "top" in stored:
            name.mkdir()
        elif old is not None:
            name.write_bytes(old)
        before = look(place)
        more = crash_at(number, place, offer, data, linkless, overwrite=overwrite)
        after = look(place)
        # Where two folders cannot change places in one step, the name is free for a moment.
        assert after in (before, stored) or (linkless and overwrite == REPLACE and not after), number
        if after == stored:
            again = sink_for(place, offer, overwrite=overwrite)
            assert opened(again, offer).complete is not None, number
        deliver(place, offer, data, overwrite=overwrite)
        assert look(place) == stored, number
        assert partials(place) == [], number
        number += 1
    assert number > 30


@each_delivery
def test_the_steps_are_in_the_order_that_survives_a_power_cut(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is synced, then the state with the names, which are given and synced, then the state."""
    system = System(monkeypatch, lambda _name: None)
    sink = sink_for(tmp_path, offer, fsync=True)
    opened(sink, offer)
    finish(sink, data)
    steps = [call for call in system.calls if call in ("fsync", "replace", "renameat2")]
    things = 1 if "top" not in stored else len(stored) + 1  # all but the link, the late mode, and `items`
    content = ["fsync"] * things
    state = ["fsync", "replace", "fsync"]
    assert steps == ["replace", *content, *state, "renameat2", "fsync", *state]


@each_delivery
def test_security_another_process_that_holds_it_is_not_disturbed(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """The lock holds between processes, and ends with the one that had it, however it ends."""
    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    sink.write(data[:30])
    kill(sink)
    (staging,) = partials(tmp_path)
    code = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(staging)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdin is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(BeingReceived, match="another process"):
        sink_for(tmp_path, offer).open(offer)
    other.kill()
    other.wait()
    other.stdout.close()
    other.stdin.close()
    deliver(tmp_path, offer, data)
    assert look(tmp_path) == stored


@each_delivery
def test_where_folders_cannot_be_locked_nothing_is_taken_up_and_all_is_stored(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS: two sessions could fill one folder, so each has its own, and a cut leaves nothing."""

    def refuse(_number: int, _how: int) -> None:
        raise OSError(errno.EBADF, "bad descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    sinks = [sink_for(tmp_path, offer) for _ in range(2)]
    for sink in sinks:
        opened(sink, offer)
        assert not sink.keeps
    sinks[0].write(data[:20])
    sinks[0].suspend()
    assert len(partials(tmp_path)) == 1
    finish(sinks[1], data)
    assert look(tmp_path) == stored
    assert partials(tmp_path) == []


@each_delivery
def test_discard_from_another_thread_removes_what_is_there_and_leaves_the_descriptors(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """Where a write hangs, its descriptor is not closed under it: the number could become another file's."""
    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    sink.write(data[:60])
    before = descriptors()
    for end in (sink.suspend, sink.discard):
        other = threading.Thread(target=end)
        other.start()
        other.join()
        assert descriptors() == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SinkFault):
        finish(sink, data, 60)
    sink.discard()
    assert descriptors() < before
    assert list(tmp_path.iterdir()) == []


@each_delivery
def test_forget_from_another_thread(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """The session's thread learns that the Emitter has its receipt; the writer's has ended by then."""
    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    finish(sink, data)
    assert len(partials(tmp_path)) == 1
    other = threading.Thread(target=sink.forget)
    other.start()
    other.join()
    assert look(tmp_path) == stored
    assert partials(tmp_path) == []


@pytest.mark.parametrize("what", ["file", "link", "dangling"])
def test_security_a_planted_staging_folder_is_refused(what: str, tmp_path: Path) -> None:
    """Something else under the name of ours: nothing is written through it, and it stays."""
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / staging.staging_name(FILE_OFFER.delivery)
    if what == "file":
        place.write_bytes(b"planted")
    else:
        place.symlink_to("elsewhere" if what == "link" else "nowhere")
    with pytest.raises(SinkFault, match="directory|symbolic"):
        sink_for(tmp_path, FILE_OFFER).open(FILE_OFFER)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert os.path.lexists(place)
    assert len(list(tmp_path.iterdir())) == 2


def test_security_another_users_staging_folder_is_refused(tmp_path: Path) -> None:
    """What somebody else put there, to have it taken for ours, is not opened as ours."""
    place = tmp_path / staging.staging_name(FILE_OFFER.delivery)
    place.mkdir(0o777)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(place, 65534, 65534)
    with pytest.raises(SinkFault, match="another user"):
        sink_for(tmp_path, FILE_OFFER).open(FILE_OFFER)
    assert list(place.iterdir()) == []


@each_delivery
def test_security_a_staging_folder_that_is_replaced_meanwhile_is_not_followed(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """The folder that was opened is the one that is used, whatever has its name now."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    into = tmp_path / "into"
    into.mkdir()
    sink = sink_for(into, offer)
    opened(sink, offer)
    sink.write(data[:30])
    (staging,) = partials(into)
    staging.rename(into / "moved")
    staging.symlink_to(elsewhere)
    finish(sink, data, 30)
    sink.forget()
    assert list(elsewhere.iterdir()) == []
    assert {**look(into / "moved"), **stored}.items() >= stored.items()
    assert all((into / name).exists() for name in stored)


def test_a_failed_sync_of_the_folder_is_a_fault_and_the_file_is_whole(tmp_path: Path) -> None:
    """Only making it durable failed: the delivery is not receipted, and found when it is tried again."""
    with pytest.MonkeyPatch.context() as patch:
        named = False

        def on_call(name: str) -> None:
            nonlocal named
            named = named or name == "renameat2"
            if named and name == "fsync":
                raise OSError(errno.EIO, "input/output error")

        System(patch, on_call)
        with pytest.raises(SinkFault, match="input/output"):
            deliver(tmp_path, FILE_OFFER, CONTENT, fsync=True)
    assert look(tmp_path) == STORED_FILE
    assert deliver(tmp_path, FILE_OFFER, CONTENT, fsync=True) == str(tmp_path / "name.bin")
    assert look(tmp_path) == STORED_FILE
    assert partials(tmp_path) == []


def give_names_and_die(folder: Path, offer: Offer, data: bytes, **changes: Any) -> None:
    """A delivery whose process ends when all has its name, and nothing more is done."""
    sink = sink_for(folder, offer, **changes)
    opened(sink, offer)

    def die(*, durable: bool) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink, "_end_placing", die)
        with pytest.raises(Crash):
            finish(sink, data)
    kill(sink)


@pytest.mark.parametrize("restarted", [False, True])
@each_delivery
def test_security_names_that_are_found_are_durable_only_after_a_start_of_the_machine(
    offer: Offer,
    data: bytes,
    stored: dict[str, Any],
    restarted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sync of who gave them may have failed, and after that every sync succeeds."""
    give_names_and_die(tmp_path, offer, data, fsync=True)
    if restarted:
        monkeypatch.setattr(staged, "boot_id", lambda: "another")
    for _ in range(2):  # and it stays so
        complete = opened(sink_for(tmp_path, offer, fsync=True), offer).complete
        assert complete is not None and complete.durable is restarted
    assert look(tmp_path) == stored


@each_delivery
def test_security_what_is_nowhere_is_not_stored(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """Not in the staging folder, as after it was named, and not named: as a power cut may leave it."""
    give_names_and_die(tmp_path, offer, data, fsync=True)
    name = next(iter(stored))
    (tmp_path / name).rename(tmp_path / "gone")
    again = sink_for(tmp_path, offer)
    assert opened(again, offer).complete is None
    again.discard()
    deliver(tmp_path, offer, data)
    assert {path: what for path, what in look(tmp_path).items() if not path.startswith("gone")} == stored


@each_delivery
def test_security_what_was_sealed_and_taken_away_is_not_stored(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing had a name yet: it comes again."""
    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    sink.write(data)
    sink.seal(summary_of(sink, data))
    kill(sink)
    (staging,) = partials(tmp_path)
    (staging / ("data" if offer is FILE_OFFER else "items/top")).rename(tmp_path / "gone")
    assert opened(sink_for(tmp_path, offer), offer).complete is None


@pytest.mark.parametrize("fsync", [False, True])
@each_delivery
def test_security_without_sync_nothing_is_believed_after_a_start_of_the_machine(
    offer: Offer,
    data: bytes,
    stored: dict[str, Any],
    fsync: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A power cut may keep the state and lose what it tells of."""
    sink = sink_for(tmp_path, offer, fsync=fsync)
    opened(sink, offer)
    finish(sink, data)
    assert opened(sink_for(tmp_path, offer), offer).complete is not None
    monkeypatch.setattr(staged, "boot_id", lambda: "another")
    again = sink_for(tmp_path, offer, overwrite=REPLACE)
    assert (opened(again, offer).complete is not None) is fsync
    again.suspend()
    deliver(tmp_path, offer, data, overwrite=REPLACE)
    assert look(tmp_path) == stored


@each_delivery
def test_where_only_the_last_state_cannot_be_written_nothing_has_failed(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are there, and tell who asks again."""
    real = staging.Staging.save

    def save(self: staging.Staging, state: State, *, durable: bool) -> None:
        if state.placed:
            raise OSError(errno.ENOSPC, "no space left")
        real(self, state, durable=durable)

    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    with monkeypatch.context() as patch:
        patch.setattr(staging.Staging, "save", save)
        finish(sink, data)
    assert opened(sink_for(tmp_path, offer), offer).complete is not None
    assert look(tmp_path) == stored


@each_delivery
def test_what_is_taken_up_is_read_from_the_disk(
    offer: Offer, data: bytes, stored: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is only in memory may be what could not be written, and is not what will be there."""
    sink = sink_for(tmp_path, offer)
    opened(sink, offer)
    sink.write(data)
    kill(sink)
    (part,) = partials(tmp_path)
    asked: set[int] = set()
    monkeypatch.setattr(os, "posix_fadvise", lambda number, *_rest: asked.add(os.fstat(number).st_ino))
    opened(sink_for(tmp_path, offer), offer)
    files = [path for path in part.rglob("*") if path.is_file() and not path.is_symlink()]
    content = {
        path.stat().st_ino for path in files if path.name not in ("state.json", "state.new", "journal")
    }
    assert content and asked == content


@pytest.mark.parametrize("name", ["photo", "replaced-0"])
def test_security_a_folder_with_something_else_in_it_is_not_taken_for_a_part(
    name: str, tmp_path: Path
) -> None:
    """Somebody called it so, or it lost its state: what it holds stays, and the delivery is refused."""
    place = tmp_path / staging.staging_name(FILE_OFFER.delivery)
    (place / name).mkdir(parents=True)
    with pytest.raises(SinkFault, match="not of this delivery"):
        deliver(tmp_path, FILE_OFFER, CONTENT)
    assert [path.name for path in place.iterdir()] == [name]


def test_a_delivery_is_given_up_while_its_names_are_being_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another thread, while the disk hangs: what lies aside at that moment is not removed."""
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "old").touch()
    sink = sink_for(tmp_path, TREE_OFFER, overwrite=REPLACE)
    opened(sink, TREE_OFFER)
    real = naming.move_over

    def hang(*places: Place) -> None:
        other = threading.Thread(target=sink.discard)
        other.start()
        other.join()
        real(*places)

    monkeypatch.setattr(naming, "move_over", hang)
    finish(sink, TREE)
    assert "top/closed/deep/b" in look(tmp_path)
    sink.forget()
    assert partials(tmp_path) == []
