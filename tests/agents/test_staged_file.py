"""A file or stream in its staging folder: cut at every byte, damaged, overtaken, finished."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.errors import PeerMisbehaved, SinkFault, TargetExists
from selo.agents.storage import staged
from selo.agents.storage.base import BeingReceived
from selo.agents.storage.durable import PAGE
from selo.agents.storage.staged_file import StagedFile
from selo.config.policy import Names
from tests.agents.storing import (
    CONTENT,
    DELIVERY,
    FILE_OFFER,
    MTIME,
    NEVER,
    RENAME,
    REPLACE,
    STORED_FILE,
    STREAM_OFFER,
    deliver,
    finish,
    kill,
    look,
    memory_folder,
    opened,
    partials,
    rules,
    sink_for,
    summary_of,
)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def test_a_file_is_stored_with_its_mode_and_time(folder: Path) -> None:
    """Content, permission bits without those of the umask, and time; and nothing is left beside it."""
    target = deliver(folder, FILE_OFFER, CONTENT, fsync=True)
    assert target == str(folder / "name.bin")
    assert look(folder) == STORED_FILE
    assert partials(folder) == []


@pytest.mark.parametrize(("mode", "umask"), [(0o7777, 0o022), (0o666, 0o077), (0o000, 0), (0o444, 0o777)])
def test_security_modes_never_say_more_than_the_umask_allows(mode: int, umask: int, folder: Path) -> None:
    """No set-user-id, no bit of the umask; and the owner can always read what arrived."""
    deliver(folder, replace(FILE_OFFER, mode=mode), CONTENT, umask=umask)
    got = stat.S_IMODE((folder / "name.bin").stat().st_mode)
    assert got == mode & 0o777 & ~umask | 0o400


def test_security_without_a_mode_a_file_is_its_owners_alone(folder: Path) -> None:
    """A stream brings none: 0600, whatever the umask."""
    deliver(folder, STREAM_OFFER, CONTENT, umask=0)
    assert stat.S_IMODE((folder / "name.bin").stat().st_mode) == 0o600


@pytest.mark.parametrize("offer", [FILE_OFFER, STREAM_OFFER], ids=["file", "stream"])
@pytest.mark.parametrize("cut", [kill, StagedFile.suspend], ids=["killed", "suspended"])
@pytest.mark.parametrize("length", range(len(CONTENT) + 1))
def test_a_delivery_cut_at_every_byte_goes_on(
    length: int, cut: Callable[[StagedFile], None], offer: Offer, folder: Path
) -> None:
    """What is there is found again, its marks are true digests, and each of them leads to the same file."""
    marks = None
    while marks is None or marks:
        sink = sink_for(folder, offer)
        opened(sink, offer)
        sink.go_on(0)
        sink.write(CONTENT[:length])
        cut(sink)
        sink = sink_for(folder, offer)
        ladder = opened(sink, offer).ladder
        found = ladder.marks()
        assert [mark.digest for mark in found] == [
            blake3(CONTENT[: mark.position]).digest() for mark in found
        ]
        assert (found[-1].position if found else 0) == length
        marks = [*found] if marks is None else marks
        place = marks.pop().position if marks else 0
        sink.go_on(place)
        assert finish(sink, CONTENT, place, step=7) == str(folder / "name.bin")
        sink.forget()
        assert (folder / "name.bin").read_bytes() == CONTENT
        assert partials(folder) == []
        (folder / "name.bin").unlink()


def test_a_place_that_was_not_offered_is_refused(folder: Path) -> None:
    """Only marks and the beginning can be gone on from."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.write(CONTENT[:10])
    kill(sink)
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    with pytest.raises(PeerMisbehaved):
        sink.go_on(11)
    sink.discard()
    assert partials(folder) == []


def cut_at(folder: Path, length: int, offer: Offer = FILE_OFFER) -> Path:
    """A delivery that was cut; returns its staging folder."""
    sink = sink_for(folder, offer)
    opened(sink, offer)
    sink.write(CONTENT[:length])
    sink.suspend()
    (staging,) = partials(folder)
    return staging


def taken_up(folder: Path, offer: Offer = FILE_OFFER) -> int:
    """Take a delivery up as an Emitter would, and finish it; returns the place that was gone on from."""
    sink = sink_for(folder, offer)
    marks = opened(sink, offer).ladder.marks()
    good = [m.position for m in marks if blake3(CONTENT[: m.position]).digest() == m.digest]
    place = good[-1] if good else 0
    sink.go_on(place)
    finish(sink, CONTENT, place)
    sink.forget()
    assert (folder / "name.bin").read_bytes() == CONTENT
    assert partials(folder) == []
    return place


@pytest.mark.parametrize("place", range(40))
def test_security_an_altered_byte_is_found_by_the_marks(place: int, folder: Path) -> None:
    """Wherever what is kept was damaged: no mark behind it is true, and the file becomes whole."""
    data = cut_at(folder, 40) / "data"
    raw = bytearray(data.read_bytes())
    raw[place] ^= 1
    data.write_bytes(raw)
    assert taken_up(folder) <= place


@pytest.mark.parametrize("length", range(41))
def test_security_a_shortened_file_is_as_long_as_it_is(length: int, folder: Path) -> None:
    """What a power cut took off the end comes again."""
    os.truncate(cut_at(folder, 40) / "data", length)
    assert taken_up(folder) == length


@pytest.mark.parametrize("more", [1, 10, 1000])
def test_security_what_is_too_long_is_cut(more: int, folder: Path) -> None:
    """Bytes that were not of this delivery are not in the file."""
    for length in (40, len(CONTENT)):
        data = cut_at(folder, length) / "data"
        data.write_bytes(data.read_bytes() + bytes(more))
        assert taken_up(folder) == length
        (folder / "name.bin").unlink()


def gone(path: Path) -> None:
    path.unlink()


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("../victim")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["data", "state.json"])
@pytest.mark.parametrize("plant", [gone, a_link, a_folder, a_fifo])
def test_security_what_was_put_in_place_of_our_files_is_not_used(
    plant: Callable[[Path], None], name: str, folder: Path
) -> None:
    """A link, folder, FIFO or nothing where data or state should be: it begins anew, and follows no link."""
    (folder / "victim").write_bytes(b"victim")
    plant(cut_at(folder, 40) / name)
    assert taken_up(folder) == 0
    assert (folder / "victim").read_bytes() == b"victim"


def test_every_truncation_and_every_altered_byte_of_the_state_costs_a_restart(folder: Path) -> None:
    """A state that is not exactly as it was written says nothing; the file becomes whole all the same."""
    whole = (cut_at(folder, 40) / "state.json").read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for state in damaged:
        (folder / "name.bin").unlink(missing_ok=True)
        (cut_at(folder, 40) / "state.json").write_bytes(state)
        assert taken_up(folder) == 0


OTHERS = {
    "name": replace(FILE_OFFER, name="other.bin"),
    "size": replace(FILE_OFFER, size=len(CONTENT) + 1),
    "mtime": replace(FILE_OFFER, mtime=0),
    "kind": STREAM_OFFER,
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_was_left_of_another_offer_is_not_used(other: Offer, folder: Path) -> None:
    """The same delivery number with another name, size, time or kind begins anew."""
    cut_at(folder, 40, other)
    assert taken_up(folder) == 0


def test_another_delivery_is_another_one(folder: Path) -> None:
    """Two deliveries of one file that were cut do not touch each other."""
    cut_at(folder, 40)
    assert deliver(folder, replace(FILE_OFFER, delivery=bytes(16)), CONTENT) == str(folder / "name.bin")
    assert len(partials(folder)) == 1


def test_two_at_once_is_one_too_many(folder: Path) -> None:
    """While one holds a delivery another one is refused, and harms nothing; then it can be taken up."""
    first = sink_for(folder, FILE_OFFER)
    opened(first, FILE_OFFER)
    first.write(CONTENT[:9])
    second = sink_for(folder, FILE_OFFER)
    with pytest.raises(BeingReceived):
        second.open(FILE_OFFER)
    second.discard()
    second.suspend()
    first.write(CONTENT[9:20])
    first.suspend()
    assert taken_up(folder) == 20


# Names


def plant_nothing(_path: Path) -> None:
    """Nothing has the name."""


def plant_file(path: Path) -> None:
    path.write_bytes(b"old")


def plant_folder(path: Path) -> None:
    path.mkdir()
    (path / "old").write_bytes(b"old")


def plant_link(path: Path) -> None:
    path.symlink_to("victim")


def plant_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def plant_folder_link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


PLANTS = [plant_file, plant_folder, plant_link, plant_dangling, plant_folder_link]


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before", "meanwhile"])
@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("overwrite", [NEVER, RENAME, REPLACE])
def test_security_what_has_the_name_is_kept_or_replaced_as_a_whole(
    overwrite: str, plant: Callable[[Path], None], meanwhile: bool, folder: Path
) -> None:
    """Every mode and every kind, there before or put there while data came; no link is followed."""
    (folder / "victim").write_bytes(b"victim")
    name = folder / "name.bin"
    if not meanwhile:
        plant(name)
    before = look(folder)

    def attempt() -> str | None:
        nonlocal before
        sink = sink_for(folder, FILE_OFFER, overwrite=overwrite)
        try:
            opened(sink, FILE_OFFER)
            if meanwhile:
                plant(name)
                before = look(folder)
            target = finish(sink, CONTENT)
            sink.forget()
            return target
        finally:
            sink.discard()

    refused = overwrite == NEVER or (overwrite == REPLACE and plant is plant_folder)
    if refused:
        with pytest.raises(SinkFault, match="it is a folder" if plant is plant_folder else "exists already"):
            attempt()
        assert look(folder) == before
    elif overwrite == RENAME:
        assert attempt() == str(folder / "name (2).bin")
        assert look(folder) == {**before, "name (2).bin": STORED_FILE["name.bin"]}
    else:
        assert attempt() == str(name)
        assert look(folder) == {**before, **STORED_FILE}
    assert partials(folder) == []


def test_security_a_target_that_appears_between_seal_and_commit_is_kept(folder: Path) -> None:
    """The last moment: the name is taken after everything was looked at."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.write(CONTENT)
    sink.seal(summary_of(sink, CONTENT))
    (folder / "name.bin").write_bytes(b"faster")
    with pytest.raises(TargetExists):
        sink.commit()
    sink.discard()
    assert (folder / "name.bin").read_bytes() == b"faster"
    assert partials(folder) == []


def test_a_free_name_that_is_taken_at_the_last_moment_is_followed_by_the_next(folder: Path) -> None:
    """With rename nobody loses anything, and what is reported is where it is."""
    sink = sink_for(folder, FILE_OFFER, overwrite=RENAME)
    opened(sink, FILE_OFFER)
    sink.write(CONTENT)
    sink.seal(summary_of(sink, CONTENT))
    for taken in ("name.bin", "name (2).bin"):
        (folder / taken).write_bytes(b"faster")
    assert sink.commit() == str(folder / "name (3).bin")
    again = opened(sink_for(folder, FILE_OFFER, overwrite=RENAME), FILE_OFFER)
    assert again.complete is not None and again.complete.target == str(folder / "name (3).bin")


def test_streams_without_a_name_of_one_second_are_two_files(folder: Path) -> None:
    """Sender, time, number; replace does not mean that a made-up name takes over anything."""
    offers = [Offer(Kind.STREAM, None, None, bytes([n] * 16)) for n in range(3)]
    names = [deliver(folder, offer, CONTENT, overwrite=REPLACE) for offer in offers]
    stem = str(folder / "alice-19700101-000000")
    assert names == [stem, f"{stem}-2", f"{stem}-3"]


BAD_NAMES = [
    "..",
    ".",
    "/etc/passwd",
    "../up",
    "a/b",
    "a\0b",
    ".hidden",
    "-option",
    "a\nb",
    "C:x",
    "\u202ename",
]
RESERVED = ["NUL", "con.txt", "time 12:30", "a?", "dot.", "LPT1"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
@pytest.mark.parametrize("rule", [Names.PLAIN, Names.PORTABLE])
def test_security_a_name_that_leads_elsewhere_is_refused(name: str, rule: Names, folder: Path) -> None:
    """At open, before anything is made."""
    with pytest.raises(SinkFault, match="refused"):
        sink_for(folder, FILE_OFFER, names=rule).open(replace(FILE_OFFER, name=name))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", BAD_NAMES[:8], ids=ascii)
def test_security_any_name_is_still_one_in_the_folder(name: str, folder: Path) -> None:
    """`any` lets pass what can be seen or not, and nothing that climbs, hides or looks like an option."""
    with pytest.raises(SinkFault, match="refused"):
        sink_for(folder, FILE_OFFER, names=Names.ANY).open(replace(FILE_OFFER, name=name))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused_where_names_are_to_be_portable(name: str, folder: Path) -> None:
    """And are names like others where they are not."""
    with pytest.raises(SinkFault, match="refused"):
        sink_for(folder, FILE_OFFER, names=Names.PORTABLE).open(replace(FILE_OFFER, name=name))
    assert deliver(folder, replace(FILE_OFFER, name=name), CONTENT) == str(folder / name)


# Limits


def test_limits_are_looked_at_in_the_offer_and_while_it_comes(folder: Path) -> None:
    """A file that says it is too long is refused at once, a stream when it is."""
    with pytest.raises(SinkFault, match="longer than the 10 bytes"):
        sink_for(folder, FILE_OFFER, max_bytes=10).open(FILE_OFFER)
    sink = sink_for(folder, STREAM_OFFER, max_bytes=10)
    opened(sink, STREAM_OFFER)
    sink.write(b"0123456789")
    with pytest.raises(SinkFault, match="longer than the 10 bytes"):
        sink.write(b"x")
    sink.discard()
    assert list(folder.iterdir()) == []


def test_what_must_stay_free_is_looked_at_first_and_on_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is too full refuses at open; one that fills up meanwhile ends a stream."""
    with pytest.raises(SinkFault, match="left free"):
        sink_for(folder, STREAM_OFFER, keep_free=1 << 62).open(STREAM_OFFER)
    with pytest.raises(SinkFault, match="are free"):
        sink_for(folder, FILE_OFFER).open(replace(FILE_OFFER, size=1 << 62))
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(staged, "LOOK_AFTER", 10)
    sink = sink_for(folder, STREAM_OFFER, keep_free=1)
    opened(sink, STREAM_OFFER)
    sink.write(CONTENT[:10])
    sink._rules = rules(keep_free=1 << 62)
    with pytest.raises(SinkFault, match="left free"):
        sink.write(CONTENT[10:])
    sink.discard()


def test_what_is_here_already_needs_no_room(folder: Path) -> None:
    """A delivery that is nearly whole goes on, on a disk that could not hold it twice."""
    volume = os.statvfs(folder)
    offer = replace(FILE_OFFER, size=len(CONTENT) + volume.f_bavail * volume.f_frsize * 2)
    with pytest.raises(SinkFault, match="are free"):
        sink_for(folder, offer).open(offer)
    assert partials(folder) == []
    assert cut_at(folder, 40).exists()
    assert taken_up(folder) == 40


# Sparse files

SPARSE = bytes(3 * PAGE) + b"x" * 100 + bytes(3 * PAGE) + b"y" + bytes(2 * PAGE)
SPARSE_OFFER = replace(FILE_OFFER, size=len(SPARSE), sparse=True)


@pytest.mark.parametrize("step", [PAGE - 1, PAGE, 5000, len(SPARSE)])
@pytest.mark.parametrize("cut", range(0, len(SPARSE), 1000))
def test_zeros_of_a_sparse_file_take_no_room(cut: int, step: int, folder: Path) -> None:
    """Wherever it was cut, in a hole too, and whatever pieces it comes in: its bytes, in few blocks."""
    sink = sink_for(folder, SPARSE_OFFER)
    opened(sink, SPARSE_OFFER)
    for at in range(0, cut, step):
        sink.write(SPARSE[at : min(at + step, cut)])
    kill(sink)
    deliver(folder, SPARSE_OFFER, SPARSE, step=step)
    target = folder / "name.bin"
    assert target.read_bytes() == SPARSE
    assert target.stat().st_blocks * 512 <= 4 * PAGE
    assert target.stat().st_mtime_ns == MTIME


def test_how_long_a_sparse_file_is_does_not_say_what_room_it_needs(folder: Path) -> None:
    """An image of a disk that is larger than ours can have a place here."""
    volume = os.statvfs(folder)
    offer = replace(FILE_OFFER, size=volume.f_blocks * volume.f_frsize * 2, sparse=True)
    with pytest.raises(SinkFault, match="are free"):
        sink_for(folder, offer).open(replace(offer, sparse=False))
    sink = sink_for(folder, offer)
    opened(sink, offer)
    sink.discard()


# The end


def test_what_is_stored_is_remembered_until_it_is_forgotten(folder: Path) -> None:
    """A receipt that was lost is given again, also when the file was taken away; then nothing is left."""
    sink = sink_for(folder, FILE_OFFER, fsync=True)
    opened(sink, FILE_OFFER)
    finish(sink, CONTENT)
    sink.discard()
    (folder / "name.bin").rename(folder / "taken")
    again = sink_for(folder, FILE_OFFER, fsync=True)
    complete = opened(again, FILE_OFFER).complete
    assert complete == replace(summary_of(sink, CONTENT), target=str(folder / "name.bin"))
    again.forget()
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_security_what_is_not_synced_is_not_called_durable(folder: Path) -> None:
    """Whatever the writer put into its summary."""
    sink = sink_for(folder, FILE_OFFER, fsync=False)
    opened(sink, FILE_OFFER)
    finish(sink, CONTENT)
    complete = opened(sink_for(folder, FILE_OFFER), FILE_OFFER).complete
    assert complete is not None and not complete.durable and not sink.durable


@pytest.mark.parametrize("end", [StagedFile.suspend, StagedFile.discard])
def test_without_keep_nothing_is_left_of_a_cut(end: Callable[[StagedFile], None], folder: Path) -> None:
    """And a name that cannot be guessed is used."""
    sink = StagedFile(folder, rules(keep=False))
    opened(sink, FILE_OFFER)
    sink.write(CONTENT[:5])
    (staging,) = partials(folder)
    assert DELIVERY.hex() not in staging.name and not sink.keeps
    end(sink)
    end(sink)
    assert list(folder.iterdir()) == []


def test_discard_removes_what_was_suspended(folder: Path) -> None:
    """Whoever gave up for now may give up for good."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.write(CONTENT[:5])
    sink.suspend()
    assert len(partials(folder)) == 1
    sink.discard()
    assert list(folder.iterdir()) == []


def test_nothing_is_kept_of_what_had_not_begun(folder: Path) -> None:
    """A cut before the first byte leaves no folder behind."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.suspend()
    assert list(folder.iterdir()) == []


def test_a_file_that_begins_anew_in_one_run(folder: Path) -> None:
    """go_on(0) at any time drops what came."""
    sink = sink_for(folder, FILE_OFFER)
    opened(sink, FILE_OFFER)
    sink.write(b"something else, and longer than the file that comes then" * 9)
    sink.go_on(0)
    finish(sink, CONTENT)
    sink.forget()
    assert look(folder) == STORED_FILE
    assert (folder / "name.bin").stat().st_mtime_ns == MTIME
