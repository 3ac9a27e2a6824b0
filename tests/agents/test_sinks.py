"""Sinks on real file systems, pipes and devices: which one a delivery gets, and how it ends there.

How a staged file or tree is cut, damaged and taken up again is in test_staged.py and its like.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.errors import SinkFault, TargetExists
from selo.agents.sinks import (
    TO_BE_FINISHED,
    CallableSink,
    DescriptorSink,
    FileSink,
    FolderSink,
    Sink,
)
from selo.agents.storage import durable
from selo.agents.storage.base import ResumableSink, StorageRules
from selo.config.policy import Overwrite
from selo.crypto.items import Item
from tests.agents.storing import STORED_TREE, TREE, TREE_OFFER, look
from tests.leaks import no_descriptor_left

PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""

DATA = os.urandom(1000)
DELIVERY = bytes(range(16))
OFFER = Offer(Kind.FILE, "name.bin", len(DATA), DELIVERY)
STREAM = Offer(Kind.STREAM, "name.bin", None, DELIVERY)


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    """Committed or discarded, a sink leaves no descriptor open."""
    with no_descriptor_left():
        yield


def file_sink(folder: Path, rules: StorageRules = TO_BE_FINISHED) -> ResumableSink:
    return FileSink(folder / "name.bin", rules)


def folder_sink(folder: Path, rules: StorageRules = TO_BE_FINISHED) -> ResumableSink:
    return FolderSink(folder, rules, sender="alice")


MakeSink = Callable[..., ResumableSink]
each_sink = pytest.mark.parametrize("make", [file_sink, folder_sink])
each_policy = pytest.mark.parametrize("overwrite", Overwrite)


def ruled(overwrite: Overwrite = Overwrite.NEVER, **changes: object) -> StorageRules:
    """Rules of a delivery that is not kept when it is cut."""
    return StorageRules(**{"overwrite": overwrite, "keep": False, **changes})  # type: ignore[arg-type]


def summary(data: bytes) -> Summary:
    """What the writer says of a whole delivery of one item."""
    return Summary(len(data), blake3(data).digest(), 1, len(data), bytes(32), durable=True, target=None)


def store(sink: Sink, data: bytes = DATA, offer: Offer = OFFER) -> str | None:
    """A whole delivery, in two writes; a failed one is discarded, as ``Writer`` does."""
    try:
        held = sink.open(offer)
        if held is not None and isinstance(sink, ResumableSink):
            sink.go_on(0)
        sink.write(data[: len(data) // 2])
        sink.write(memoryview(data)[len(data) // 2 :])
        if held is not None and isinstance(sink, ResumableSink):
            sink.seal(summary(data))
        target = sink.commit()
        if held is not None and isinstance(sink, ResumableSink):
            sink.forget()
        return target
    except SinkFault:
        sink.discard()
        raise


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# Regular files


@each_sink
@each_policy
@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1 << 20])
def test_a_delivery_is_stored_whole(make: MakeSink, overwrite: Overwrite, size: int, tmp_path: Path) -> None:
    """After commit the file has its name and its bytes, and nothing else is in the folder."""
    data = os.urandom(size)
    target = store(make(tmp_path, ruled(overwrite)), data)
    assert target == str(tmp_path / "name.bin")
    assert files_in(tmp_path) == ["name.bin"]
    assert (tmp_path / "name.bin").read_bytes() == data


@each_sink
@each_policy
def test_security_nothing_is_under_the_final_name_before_commit(
    make: MakeSink, overwrite: Overwrite, tmp_path: Path
) -> None:
    """Opened and written, a delivery is under a hidden name only; discarded, it is nowhere."""
    sink = make(tmp_path, ruled(overwrite))
    sink.open(OFFER)
    sink.go_on(0)
    sink.write(DATA)
    (partial,) = files_in(tmp_path)
    assert partial.startswith(".selo-")
    assert not sink.hands_on
    sink.seal(summary(DATA))
    assert files_in(tmp_path) == [partial]
    sink.discard()
    assert files_in(tmp_path) == []
    sink.discard()


@each_sink
@pytest.mark.parametrize("stage", range(3))
def test_discard_keeps_what_was_there_before(make: MakeSink, stage: int, tmp_path: Path) -> None:
    """A delivery that is given up, at whatever stage, leaves the file alone that it was to replace."""
    (tmp_path / "name.bin").write_bytes(b"old")
    sink = make(tmp_path, ruled(Overwrite.REPLACE))
    if stage > 0:
        sink.open(OFFER)
    if stage > 1:
        sink.write(DATA)
    sink.discard()
    assert files_in(tmp_path) == ["name.bin"]
    assert (tmp_path / "name.bin").read_bytes() == b"old"


@each_sink
def test_discard_after_commit_does_nothing(make: MakeSink, tmp_path: Path) -> None:
    """What is stored stays stored."""
    sink = make(tmp_path)
    store(sink)
    sink.discard()
    assert (tmp_path / "name.bin").read_bytes() == DATA


@each_sink
def test_what_was_suspended_is_gone_on_with(make: MakeSink, tmp_path: Path) -> None:
    """A sink of another process finds what is there, through the same door, and says what can be kept."""
    first = make(tmp_path, ruled(keep=True))
    first.open(OFFER)
    first.go_on(0)
    first.write(DATA[:400])
    assert first.keeps and first.log is None
    first.suspend()
    second = make(tmp_path, ruled(keep=True))
    held = second.open(OFFER)
    assert held is not None and held.complete is None
    assert held.ladder.marks()[-1].position == 400
    second.go_on(400)
    second.write(DATA[400:])
    second.seal(summary(DATA))
    assert second.durable and second.target == str(tmp_path / "name.bin")
    assert second.commit() == str(tmp_path / "name.bin")
    third = make(tmp_path, ruled(keep=True))
    again = third.open(OFFER)
    assert again is not None and again.complete is not None
    third.forget()
    assert files_in(tmp_path) == ["name.bin"]
    assert (tmp_path / "name.bin").read_bytes() == DATA


@each_sink
@each_policy
def test_security_a_stream_is_for_its_owner_alone(
    make: MakeSink, overwrite: Overwrite, tmp_path: Path
) -> None:
    """Mode 0600 whatever the umask, before and after commit, also where a wider file was replaced."""
    if overwrite is Overwrite.REPLACE:
        (tmp_path / "name.bin").touch()
        (tmp_path / "name.bin").chmod(0o666)
    before = os.umask(0)
    try:
        sink = make(tmp_path, ruled(overwrite))
        sink.open(STREAM)
        sink.go_on(0)
        (partial,) = (path for path in tmp_path.iterdir() if path.name.startswith(".selo-"))
        assert stat.S_IMODE(partial.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in partial.iterdir()} == {0o600}
        sink.write(DATA)
        sink.seal(summary(DATA))
        sink.commit()
        sink.forget()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "name.bin").stat().st_mode) == 0o600


@each_sink
def test_security_an_existing_target_is_refused_before_any_data(make: MakeSink, tmp_path: Path) -> None:
    """Without leave to overwrite, open refuses, and says how to allow it."""
    (tmp_path / "name.bin").write_bytes(b"old")
    sink = make(tmp_path)
    with pytest.raises(TargetExists) as caught:
        sink.open(OFFER)
    sink.discard()
    assert "--overwrite" in caught.value.hint
    assert str(tmp_path) not in caught.value.for_peer
    assert (tmp_path / "name.bin").read_bytes() == b"old"
    assert files_in(tmp_path) == ["name.bin"]


@each_sink
def test_with_rename_the_next_name_is_taken(make: MakeSink, tmp_path: Path) -> None:
    """What is there stays, also where the path was the user's own."""
    (tmp_path / "name.bin").write_bytes(b"old")
    assert store(make(tmp_path, ruled(Overwrite.RENAME))) == str(tmp_path / "name (2).bin")
    assert (tmp_path / "name.bin").read_bytes() == b"old"
    assert files_in(tmp_path) == ["name (2).bin", "name.bin"]


@each_sink
def test_overwrite_leaves_readers_of_the_old_file_alone(make: MakeSink, tmp_path: Path) -> None:
    """The new file takes the name; whoever has the old one open goes on reading the old one."""
    (tmp_path / "name.bin").write_bytes(b"old")
    with (tmp_path / "name.bin").open("rb") as reader:
        store(make(tmp_path, ruled(Overwrite.REPLACE)))
        assert reader.read() == b"old"
    assert (tmp_path / "name.bin").read_bytes() == DATA


@each_sink
@pytest.mark.parametrize("overwrite", [Overwrite.NEVER, Overwrite.REPLACE])
def test_a_target_that_is_a_folder_is_refused(make: MakeSink, overwrite: Overwrite, tmp_path: Path) -> None:
    """At once, and the folder stays."""
    (tmp_path / "name.bin").mkdir()
    with pytest.raises(SinkFault, match="it is a folder"):
        store(make(tmp_path, ruled(overwrite)))
    assert files_in(tmp_path) == ["name.bin"]


@each_sink
def test_a_folder_that_is_missing_or_none_is_refused(make: MakeSink, tmp_path: Path) -> None:
    """The target's folder has to be there, and to be a folder; we make none."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for folder in ("missing", "file", "loop"):
        with pytest.raises(SinkFault) as caught:
            store(make(tmp_path / folder))
        assert str(tmp_path) not in caught.value.for_peer
    assert files_in(tmp_path) == ["file", "loop"]


@each_sink
def test_a_folder_without_permission_is_refused(make: MakeSink) -> None:
    """A read-only folder is found out at open, before any data comes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root
            os.seteuid(65534)
        try:
            with pytest.raises(SinkFault, match="permission denied"):
                make(folder).open(OFFER)
        finally:
            os.seteuid(user)
        assert files_in(folder) == []


@each_sink
def test_a_delivery_larger_than_the_disk_is_refused_at_once(make: MakeSink, tmp_path: Path) -> None:
    """A size that does not fit is refused before the data comes, whatever number a peer names."""
    for size in (1 << 62, (1 << 64) - 1):
        with pytest.raises(SinkFault, match="are free"):
            make(tmp_path).open(Offer(Kind.FILE, "name.bin", size, DELIVERY))
    assert files_in(tmp_path) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; only root can have one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=12", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tiny file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@each_sink
@each_policy
def test_a_full_disk_leaves_nothing_behind(make: MakeSink, overwrite: Overwrite, tiny_disk: Path) -> None:
    """A stream that fills the disk ends with its words, and frees what it took."""
    before = ["name.bin"] if overwrite is Overwrite.REPLACE else []
    for name in before:
        (tiny_disk / name).write_bytes(b"old")
    with pytest.raises(SinkFault, match="no space left"):
        store(make(tiny_disk, ruled(overwrite)), bytes(1 << 17), STREAM)
    assert files_in(tiny_disk) == before
    store(make(tiny_disk, ruled(overwrite)), bytes(1 << 14))
    assert (tiny_disk / "name.bin").read_bytes() == bytes(1 << 14)


# Names


@each_policy
@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "..", ".hidden", "a/b", "a\\b", "C:x", "a\0b", "a\nb", "\x1b[2J", "a\u202eb"]
)
def test_security_hostile_names_are_refused(name: str, overwrite: Overwrite, tmp_path: Path) -> None:
    """What is no plain name makes no file, in the folder or anywhere else."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    with pytest.raises(SinkFault, match="refused"):
        store(folder_sink(folder, ruled(overwrite)), offer=Offer(Kind.FILE, name, len(DATA), DELIVERY))
    assert files_in(folder) == []
    assert files_in(tmp_path) == ["inbox"]


def test_a_path_that_the_user_chose_ignores_the_peers_name(tmp_path: Path) -> None:
    """With --output, what the Emitter calls it does not matter, however hostile."""
    sink = FileSink(tmp_path / "mine")
    store(sink, offer=Offer(Kind.FILE, "../../etc/passwd", len(DATA), DELIVERY))
    assert files_in(tmp_path) == ["mine"]


def test_a_stream_without_a_name_is_called_after_its_sender_and_the_time(tmp_path: Path) -> None:
    """In UTC; the clock is the caller's. Two of one second are two files, whatever may be replaced."""
    names = ["alice-20240102-030405", "alice-20240102-030405-2", "alice-20240102-030405-3"]
    for number, name in enumerate(names):
        sink = FolderSink(tmp_path, ruled(Overwrite.REPLACE), sender="alice", now=lambda: 1_704_164_645.9)
        offer = Offer(Kind.STREAM, None, None, bytes([number] * 16))
        assert store(sink, offer=offer) == str(tmp_path / name)
    assert files_in(tmp_path) == names


# Trees


def test_a_folder_takes_a_tree_and_tells_its_items(tmp_path: Path) -> None:
    """What arrives is the tree; each item is told once, in its order."""
    told: list[Item] = []
    sink = FolderSink(tmp_path, ruled(umask=0o022), sender="alice", on_item=told.append)
    sink.open(TREE_OFFER)
    sink.go_on(0)
    sink.write(TREE)
    assert sink.log is not None
    sink.seal(
        Summary(len(TREE), blake3(TREE).digest(), sink.log.count, sink.log.size, sink.log.hash, True, None)
    )
    assert sink.commit() == str(tmp_path / "top")
    sink.forget()
    assert look(tmp_path) == STORED_TREE
    assert len(told) == len({item.path for item in told}) == len(STORED_TREE)
    assert files_in(tmp_path) == ["top"]


@pytest.mark.parametrize("what", ["file", "device", "descriptor", "callable"])
def test_a_place_for_one_thing_takes_no_tree(what: str, tmp_path: Path) -> None:
    """Refused before its data, with the way that takes it; the peer hears no path of ours."""
    sinks: dict[str, Sink] = {
        "file": file_sink(tmp_path),
        "device": FileSink("/dev/null"),
        "descriptor": DescriptorSink(1),
        "callable": CallableSink(print),
    }
    with pytest.raises(SinkFault, match="a folder, or several files, came") as caught:
        sinks[what].open(TREE_OFFER)
    sinks[what].discard()
    assert "--into" in caught.value.hint
    assert "/" not in caught.value.for_peer
    assert files_in(tmp_path) == []


# Symbolic links


def test_a_link_that_the_user_names_is_followed(tmp_path: Path) -> None:
    """--output LINK writes where the link points, and the link stays a link."""
    (tmp_path / "there").mkdir()
    (tmp_path / "second").symlink_to("there/data.bin")
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "there" / "data.bin").write_bytes(b"old")
    with pytest.raises(TargetExists):
        store(FileSink(tmp_path / "first"))
    target = store(FileSink(tmp_path / "first", ruled(Overwrite.REPLACE)))
    assert target == os.path.realpath(tmp_path / "there" / "data.bin")
    assert (tmp_path / "there" / "data.bin").read_bytes() == DATA
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert files_in(tmp_path / "there") == ["data.bin"]


@each_policy
@pytest.mark.parametrize("leads_to", ["nowhere", "second", "itself"])
def test_security_nothing_is_made_through_a_link_to_nothing(
    leads_to: str, overwrite: Overwrite, tmp_path: Path
) -> None:
    """Whoever planted it would choose where the delivery goes: refused, as `cp` does, and nothing appears."""
    (tmp_path / "second").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "out").symlink_to(leads_to)
    before = files_in(tmp_path)
    with pytest.raises(SinkFault, match="link to nothing") as caught:
        store(FileSink(tmp_path / "out", ruled(overwrite)))
    assert caught.value.hint and "/" not in caught.value.for_peer
    assert files_in(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o755])
@pytest.mark.parametrize("what", ["link", "link to a link", "fifo", "link to a fifo"])
def test_security_what_others_plant_where_all_can_write_gets_nothing(
    what: str, mode: int, tmp_path: Path
) -> None:
    """A link or FIFO of another user, in /tmp say, is refused; in a folder that is ours alone we put it."""
    folder, mine = tmp_path / "all", tmp_path / "mine"
    folder.mkdir()
    os.chmod(folder, mode)
    (tmp_path / "victim").write_bytes(b"victim")
    planted = folder / "out"
    if "fifo" in what:
        os.mkfifo(planted)
    else:
        planted.symlink_to(tmp_path / "victim")
    os.lchown(planted, 12345, 12345)
    mine.symlink_to(planted)
    sink = FileSink(mine if "to a" in what else planted, ruled(Overwrite.REPLACE))
    # Not of the link: where links are protected the system itself does not follow this one.
    reader = os.open(planted if "fifo" in what else os.devnull, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if mode == 0o755:
            store(sink)
        else:
            with pytest.raises(SinkFault, match="somebody else"):
                store(sink)
            assert (tmp_path / "victim").read_bytes() == b"victim"
            assert "fifo" not in what or os.read(reader, 1) == b""
    finally:
        os.close(reader)


@pytest.mark.parametrize("overwrite", Overwrite)
def test_security_a_fifo_that_appears_later_gets_nothing(overwrite: Overwrite, tmp_path: Path) -> None:
    """What a path is, is settled when the sink is made: one that was free stays a place for a file."""
    sink = FileSink(tmp_path / "out", ruled(overwrite))
    os.mkfifo(tmp_path / "out")
    reader = os.open(tmp_path / "out", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(TargetExists):
        store(sink)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_file_where_a_fifo_was_is_not_written_into(tmp_path: Path) -> None:
    """As it comes, without an end that was looked at: it stays as it is."""
    os.mkfifo(tmp_path / "out")
    sink = FileSink(tmp_path / "out")
    (tmp_path / "out").unlink()
    (tmp_path / "out").write_bytes(b"theirs")
    with pytest.raises(TargetExists):
        store(sink)
    assert (tmp_path / "out").read_bytes() == b"theirs"


@each_policy
@pytest.mark.parametrize("points_to", ["victim", "nowhere"])
def test_security_a_planted_link_in_a_folder_is_never_followed(
    points_to: str, overwrite: Overwrite, tmp_path: Path
) -> None:
    """A link under the name that a peer suggests is refused, passed by, or replaced itself."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    (tmp_path / "victim").write_bytes(b"victim")
    (folder / "name.bin").symlink_to(tmp_path / points_to)
    if overwrite is Overwrite.NEVER:
        with pytest.raises(TargetExists):
            store(folder_sink(folder))
    else:
        target = store(folder_sink(folder, ruled(overwrite)))
        assert target is not None
        assert not Path(target).is_symlink()
        assert Path(target).read_bytes() == DATA
    assert (folder / "name.bin").is_symlink() == (overwrite is not Overwrite.REPLACE)
    assert files_in(tmp_path) == ["inbox", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"victim"


# What is no regular file


def test_a_device_is_written_directly() -> None:
    """/dev/null swallows it, is named in the report, and is a device afterwards, with --overwrite too."""
    for overwrite in Overwrite:
        sink = FileSink("/dev/null", ruled(overwrite))
        assert sink.open(OFFER) is None
        assert sink.hands_on
        sink.discard()
        assert store(FileSink("/dev/null", ruled(overwrite))) == "/dev/null"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_device_is_a_fault() -> None:
    """/dev/full says what a full disk says."""
    with pytest.raises(SinkFault, match="no space left"):
        store(FileSink("/dev/full"))


def test_a_fifo_is_written_directly_and_closed(tmp_path: Path) -> None:
    """Its reader gets every byte, and the end when the delivery is committed."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    assert store(FileSink(fifo)) == str(fifo)
    reader.join(PATIENCE)
    assert read == [DATA]
    assert files_in(tmp_path) == ["fifo"]


def test_a_fifo_whose_reader_leaves_is_a_fault(tmp_path: Path) -> None:
    """No SIGPIPE, no raw error: a SinkFault with its words, and the FIFO stays."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = FileSink(fifo)
    sink.open(OFFER)
    sink.write(b"first")
    os.close(reader)
    with pytest.raises(SinkFault, match="has ended"):
        sink.write(b"second")
    sink.discard()
    sink.discard()
    assert files_in(tmp_path) == ["fifo"]


def test_a_link_to_a_fifo_or_device_is_followed(tmp_path: Path) -> None:
    """Only what it leads to matters."""
    (tmp_path / "null").symlink_to("/dev/null")
    store(FileSink(tmp_path / "null"))
    assert (tmp_path / "null").is_symlink()


def test_a_pipe_by_its_descriptors_path_can_be_written() -> None:
    """/dev/fd/N and /dev/stdout, as in `--output >(gzip > file)`: such a path has no real one."""
    if not os.path.exists("/dev/fd"):
        pytest.skip("this system has no /dev/fd")
    readable, writable = os.pipe()
    try:
        path = f"/dev/fd/{writable}"
        assert store(FileSink(path)) == path
        assert os.read(readable, 2 * len(DATA)) == DATA
    finally:
        os.close(readable)
        os.close(writable)


# Descriptors and callables


def make_pipe(_folder: Path) -> tuple[int, int]:
    return os.pipe()


def make_file(folder: Path) -> tuple[int, int]:
    path = folder / "redirected"
    return os.open(path, os.O_RDONLY | os.O_CREAT), os.open(path, os.O_WRONLY)


def make_terminal(_folder: Path) -> tuple[int, int]:
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    return master, slave


def make_socket(_folder: Path) -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.parametrize("make_ends", [make_pipe, make_file, make_terminal, make_socket])
def test_standard_output_may_be_anything(
    make_ends: Callable[[Path], tuple[int, int]], tmp_path: Path
) -> None:
    """A pipe, a redirected file, a terminal and a socket take every byte and stay open: they are not ours."""
    reading, writing = make_ends(tmp_path)
    try:
        sink = DescriptorSink(writing)
        assert store(sink) is None
        sink.discard()
        arrived = b""
        while len(arrived) < len(DATA):  # a terminal hands it on in pieces
            arrived += os.read(reading, 2 * len(DATA))
        assert arrived == DATA
        os.fstat(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_closed_reader_is_a_fault_with_words() -> None:
    """`selo receive --output - | head`: the SinkFault says who has gone."""
    readable, writable = os.pipe()
    os.close(readable)
    try:
        with pytest.raises(SinkFault, match="cannot write standard output: the program that reads it"):
            store(DescriptorSink(writable))
    finally:
        os.close(writable)


def test_a_full_device_behind_standard_output_is_a_fault() -> None:
    """`selo receive --output - > /dev/full` does not end well."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(SinkFault, match="no space left"):
            store(DescriptorSink(full))
    finally:
        os.close(full)


def test_a_sync_that_fails_behind_standard_output_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a redirected file cannot be synced, nothing is receipted."""
    descriptor = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durable.os, "fsync", refuse)
    try:
        with pytest.raises(SinkFault, match="input/output error"):
            store(DescriptorSink(descriptor))
    finally:
        os.close(descriptor)


def test_a_callable_gets_every_block_as_bytes_of_its_own() -> None:
    """What it keeps does not change when our buffers are used again."""
    kept: list[bytes] = []
    sink = CallableSink(kept.append)
    sink.open(OFFER)
    buffer = bytearray(b"first")
    for data in (buffer, memoryview(b"second"), b"third"):
        sink.write(data)
        buffer[:] = b"XXXXX"
    assert sink.commit() is None
    sink.discard()
    assert kept == [b"first", b"second", b"third"]
    assert all(type(block) is bytes for block in kept)


@pytest.mark.parametrize("error", [RuntimeError, OSError, BrokenPipeError, KeyError])
def test_an_error_in_the_callable_is_a_sink_fault(error: type[Exception]) -> None:
    """The peer hears the error's type and none of its words."""

    def fail(_data: bytes) -> None:
        raise error("/a/local/path")

    with pytest.raises(SinkFault, match=error.__name__) as caught:
        store(CallableSink(fail))
    assert "/a/local/path" not in caught.value.for_peer
    assert isinstance(caught.value.__cause__, error)


def test_a_callable_that_asks_to_exit_is_a_sink_fault() -> None:
    """The thread is not its own to end."""
    with pytest.raises(SinkFault, match="SystemExit"):
        store(CallableSink(lambda _data: sys.exit(3)))


def test_a_fifo_is_closed_by_the_thread_that_opened_it_alone(tmp_path: Path) -> None:
    """Where a write hangs, its descriptor is not closed under it: the number could become another file's."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = FileSink(fifo)
    sink.open(OFFER)
    other = threading.Thread(target=sink.discard)
    other.start()
    other.join()
    sink.write(DATA)
    assert os.read(reader, 2 * len(DATA)) == DATA
    sink.discard()
    assert os.read(reader, 1) == b""
    os.close(reader)


@each_sink
def test_a_sink_that_was_never_opened_can_be_given_up(make: MakeSink, tmp_path: Path) -> None:
    """A session that ends before its OPEN discards whatever there is."""
    sink = make(tmp_path)
    assert not sink.hands_on
    sink.discard()
    assert files_in(tmp_path) == []


def test_non_blocking_output_is_waited_for() -> None:
    """Somebody who shares our standard output may have made it non-blocking: no byte is lost for it."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    data = os.urandom(300_000)
    arrived = bytearray()

    def read() -> None:
        while len(arrived) < len(data):
            arrived.extend(os.read(readable, 1 << 16))

    reader = threading.Thread(target=read)
    try:
        sink = DescriptorSink(writable)
        sink.open(OFFER)
        reader.start()
        sink.write(data)
        reader.join()
        assert arrived == data
    finally:
        os.close(readable)
        os.close(writable)
