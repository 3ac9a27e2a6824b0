"""Sinks on real file systems, pipes and devices, and with every system call failing in turn."""

from __future__ import annotations

import errno
import gc
import os
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selo.agents import sinks
from selo.agents.bodies import Kind, Offer
from selo.agents.errors import SinkFault, TargetExists
from selo.agents.sinks import CallableSink, DescriptorSink, FileSink, FolderSink, Sink

PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""

DATA = os.urandom(1000)
OFFER = Offer(Kind.FILE, "name.bin", len(DATA))


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    """Committed or discarded, a sink leaves no descriptor open."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    if len(os.listdir("/proc/self/fd")) > before:
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before, "descriptors leaked"


def file_sink(folder: Path, *, overwrite: bool = False) -> Sink:
    return FileSink(folder / "name.bin", overwrite=overwrite)


def folder_sink(folder: Path, *, overwrite: bool = False) -> Sink:
    return FolderSink(folder, sender="alice", overwrite=overwrite)


MakeSink = Callable[..., Sink]
each_sink = pytest.mark.parametrize("make", [file_sink, folder_sink])
each_policy = pytest.mark.parametrize("overwrite", [False, True], ids=["keep", "overwrite"])


def store(sink: Sink, data: bytes = DATA, offer: Offer = OFFER) -> str | None:
    """A whole delivery, in two writes; a failed one is discarded, as ``Writer`` does."""
    try:
        sink.open(offer)
        sink.write(data[: len(data) // 2])
        sink.write(memoryview(data)[len(data) // 2 :])
        return sink.commit()
    except SinkFault:
        sink.discard()
        raise


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# Regular files


@each_sink
@each_policy
@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1 << 20])
def test_a_delivery_is_stored_whole(make: MakeSink, overwrite: bool, size: int, tmp_path: Path) -> None:
    """After commit the file has its name and its bytes, and nothing else is in the folder."""
    data = os.urandom(size)
    target = store(make(tmp_path, overwrite=overwrite), data)
    assert target == str(tmp_path / "name.bin")
    assert files_in(tmp_path) == ["name.bin"]
    assert (tmp_path / "name.bin").read_bytes() == data


@each_sink
@each_policy
def test_security_nothing_is_under_the_final_name_before_commit(
    make: MakeSink, overwrite: bool, tmp_path: Path
) -> None:
    """Opened and written, a delivery is under a hidden name only; discarded, it is nowhere."""
    sink = make(tmp_path, overwrite=overwrite)
    sink.open(OFFER)
    sink.write(DATA)
    (partial,) = files_in(tmp_path)
    assert partial.startswith(".selo-")
    sink.discard()
    assert files_in(tmp_path) == []
    sink.discard()


@each_sink
@each_policy
def test_discard_keeps_what_was_there_before(make: MakeSink, overwrite: bool, tmp_path: Path) -> None:
    """A delivery that is given up, at whatever stage, leaves an older file alone."""
    (tmp_path / "name.bin").write_bytes(b"old")
    for stage in range(3):
        sink = make(tmp_path, overwrite=overwrite)
        if stage > 0:
            if not overwrite:
                with pytest.raises(TargetExists):
                    sink.open(OFFER)
            else:
                sink.open(OFFER)
                for _ in range(stage - 1):
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
@each_policy
def test_security_new_files_are_for_their_owner_alone(
    make: MakeSink, overwrite: bool, tmp_path: Path
) -> None:
    """Mode 0600 whatever the umask, before and after commit, also where a wider file was replaced."""
    if overwrite:
        (tmp_path / "name.bin").touch()
        (tmp_path / "name.bin").chmod(0o666)
    before = os.umask(0)
    try:
        sink = make(tmp_path, overwrite=overwrite)
        sink.open(OFFER)
        (partial,) = (path for path in tmp_path.iterdir() if path.name.startswith(".selo-"))
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        sink.write(DATA)
        sink.commit()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "name.bin").stat().st_mode) == 0o600


@each_sink
def test_security_an_existing_target_is_refused_before_any_data(make: MakeSink, tmp_path: Path) -> None:
    """Without leave to overwrite, open refuses, and says how to allow it."""
    (tmp_path / "name.bin").write_bytes(b"old")
    with pytest.raises(TargetExists) as caught:
        make(tmp_path).open(OFFER)
    assert "--overwrite" in caught.value.hint
    assert str(tmp_path) not in caught.value.for_peer
    assert (tmp_path / "name.bin").read_bytes() == b"old"
    assert files_in(tmp_path) == ["name.bin"]


def appear_as_file(path: Path) -> None:
    path.write_bytes(b"appeared")


def appear_as_link(path: Path) -> None:
    path.symlink_to(path.with_name("victim"))


def appear_as_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def appear_as_fifo(path: Path) -> None:
    os.mkfifo(path)


def appear_as_folder(path: Path) -> None:
    path.mkdir()


APPEARANCES = [appear_as_file, appear_as_link, appear_as_dangling_link, appear_as_fifo, appear_as_folder]


@each_sink
@pytest.mark.parametrize("linkless", [False, True], ids=["links", "no links"])
@pytest.mark.parametrize("appear", APPEARANCES)
def test_security_a_target_that_appears_meanwhile_is_not_replaced(
    make: MakeSink,
    appear: Callable[[Path], None],
    linkless: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever takes the name between open and commit keeps it, and a link there is not followed."""
    (tmp_path / "victim").write_bytes(b"victim")
    if linkless:
        monkeypatch.setattr(sinks, "os", _System(refused={"link": errno.EPERM}))
    sink = make(tmp_path)
    sink.open(OFFER)
    sink.write(DATA)
    appear(tmp_path / "name.bin")
    before = os.lstat(tmp_path / "name.bin")
    with pytest.raises(TargetExists):
        sink.commit()
    sink.discard()
    assert os.lstat(tmp_path / "name.bin").st_ino == before.st_ino
    assert files_in(tmp_path) == ["name.bin", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"victim"


@each_sink
@pytest.mark.parametrize("appear", [each for each in APPEARANCES if each is not appear_as_folder])
def test_security_overwrite_replaces_what_appears_and_follows_no_link(
    make: MakeSink, appear: Callable[[Path], None], tmp_path: Path
) -> None:
    """With leave, the name itself is taken over; what a planted link points at is not touched."""
    (tmp_path / "victim").write_bytes(b"victim")
    sink = make(tmp_path, overwrite=True)
    sink.open(OFFER)
    sink.write(DATA)
    appear(tmp_path / "name.bin")
    sink.commit()
    assert stat.S_ISREG(os.lstat(tmp_path / "name.bin").st_mode)
    assert (tmp_path / "name.bin").read_bytes() == DATA
    assert (tmp_path / "victim").read_bytes() == b"victim"
    assert files_in(tmp_path) == ["name.bin", "victim"]


@each_sink
def test_a_folder_that_appears_is_never_replaced(make: MakeSink, tmp_path: Path) -> None:
    """Not even with leave to overwrite."""
    sink = make(tmp_path, overwrite=True)
    sink.open(OFFER)
    sink.write(DATA)
    (tmp_path / "name.bin").mkdir()
    with pytest.raises(SinkFault, match="is a directory"):
        sink.commit()
    sink.discard()
    assert files_in(tmp_path) == ["name.bin"]


@each_sink
def test_overwrite_leaves_readers_of_the_old_file_alone(make: MakeSink, tmp_path: Path) -> None:
    """The new file takes the name; whoever has the old one open goes on reading the old one."""
    (tmp_path / "name.bin").write_bytes(b"old")
    with (tmp_path / "name.bin").open("rb") as reader:
        store(make(tmp_path, overwrite=True))
        assert reader.read() == b"old"
    assert (tmp_path / "name.bin").read_bytes() == DATA


@each_sink
@each_policy
def test_a_target_that_is_a_folder_is_refused(make: MakeSink, overwrite: bool, tmp_path: Path) -> None:
    """At once, and the folder stays."""
    (tmp_path / "name.bin").mkdir()
    with pytest.raises(SinkFault, match="it is a folder"):
        store(make(tmp_path, overwrite=overwrite))
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
            make(tmp_path).open(Offer(Kind.FILE, "name.bin", size))
    assert files_in(tmp_path) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; only root can have one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "none", str(folder)]
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
def test_a_full_disk_leaves_nothing_behind(make: MakeSink, overwrite: bool, tiny_disk: Path) -> None:
    """A stream that fills the disk ends with its words, and frees what it took."""
    if overwrite:
        (tiny_disk / "name.bin").write_bytes(b"old")
    with pytest.raises(SinkFault, match="no space left"):
        store(make(tiny_disk, overwrite=overwrite), bytes(1 << 17), Offer(Kind.STREAM, "name.bin", None))
    assert files_in(tiny_disk) == (["name.bin"] if overwrite else [])
    store(make(tiny_disk, overwrite=overwrite), bytes(1 << 15))
    assert (tiny_disk / "name.bin").read_bytes() == bytes(1 << 15)


# Names


@each_policy
@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "..", ".hidden", "a/b", "a\\b", "C:x", "a\0b", "a\nb", "\x1b[2J", "a\u202eb"]
)
def test_security_hostile_names_are_refused(name: str, overwrite: bool, tmp_path: Path) -> None:
    """What is no plain name makes no file, in the folder or anywhere else."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    with pytest.raises(SinkFault, match="refused"):
        store(folder_sink(folder, overwrite=overwrite), offer=Offer(Kind.FILE, name, len(DATA)))
    assert files_in(folder) == []
    assert files_in(tmp_path) == ["inbox"]


def test_a_path_that_the_user_chose_ignores_the_peers_name(tmp_path: Path) -> None:
    """With --output, what the Emitter calls it does not matter, however hostile."""
    sink = FileSink(tmp_path / "mine")
    store(sink, offer=Offer(Kind.FILE, "../../etc/passwd", len(DATA)))
    assert files_in(tmp_path) == ["mine"]


def test_a_stream_without_a_name_is_called_after_its_sender_and_the_time(tmp_path: Path) -> None:
    """In UTC; the clock is the caller's. Two of one second are two files, whatever may be replaced."""
    names = ["alice-20240102-030405", "alice-20240102-030405-2", "alice-20240102-030405-3"]
    for name in names:
        sink = FolderSink(tmp_path, sender="alice", overwrite=True, now=lambda: 1_704_164_645.9)
        assert store(sink, offer=Offer(Kind.STREAM, None, None)) == str(tmp_path / name)
    assert files_in(tmp_path) == names


# Symbolic links


@pytest.mark.parametrize("dangling", [False, True], ids=["to a file", "dangling"])
def test_a_link_that_the_user_names_is_followed(dangling: bool, tmp_path: Path) -> None:
    """--output LINK writes where the link points, and the link stays a link."""
    (tmp_path / "there").mkdir()
    (tmp_path / "second").symlink_to("there/data.bin")
    (tmp_path / "first").symlink_to("second")
    if not dangling:
        (tmp_path / "there" / "data.bin").write_bytes(b"old")
        with pytest.raises(TargetExists):
            store(FileSink(tmp_path / "first"))
    target = store(FileSink(tmp_path / "first", overwrite=not dangling))
    assert target == os.path.realpath(tmp_path / "there" / "data.bin")
    assert (tmp_path / "there" / "data.bin").read_bytes() == DATA
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert files_in(tmp_path / "there") == ["data.bin"]


@each_policy
@pytest.mark.parametrize("plant", [appear_as_link, appear_as_dangling_link])
def test_security_a_planted_link_in_a_folder_is_never_followed(
    plant: Callable[[Path], None], overwrite: bool, tmp_path: Path
) -> None:
    """A link under the name that a peer suggests is refused; with leave it is replaced itself."""
    (tmp_path / "victim").write_bytes(b"victim")
    plant(tmp_path / "name.bin")
    if overwrite:
        store(folder_sink(tmp_path, overwrite=True))
        assert not (tmp_path / "name.bin").is_symlink()
        assert (tmp_path / "name.bin").read_bytes() == DATA
    else:
        with pytest.raises(TargetExists):
            store(folder_sink(tmp_path))
        assert (tmp_path / "name.bin").is_symlink()
    assert files_in(tmp_path) == ["name.bin", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"victim"


@each_sink
@pytest.mark.parametrize("plant", APPEARANCES)
def test_security_a_planted_temporary_name_is_refused(
    make: MakeSink, plant: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even who guessed the temporary name cannot have us write through what is there, nor lose it."""
    monkeypatch.setattr(sinks.secrets, "token_hex", lambda _length: "guessed")
    (tmp_path / "victim").write_bytes(b"victim")
    plant(tmp_path / ".selo-guessed.part")
    with pytest.raises(SinkFault):
        store(make(tmp_path))
    assert files_in(tmp_path) == [".selo-guessed.part", "victim"]
    assert (tmp_path / "victim").read_bytes() == b"victim"


# Every system call


@dataclass
class _System:
    """The ``os`` module as ``sinks`` sees it, in which calls can fail, fall short, and be watched."""

    refused: dict[str, int] = field(default_factory=dict)
    """Calls that always fail, and with what."""
    failing: range = range(0)
    """The numbers of the calls that fail, counted from 0."""
    error: int = errno.EIO
    before: Callable[[str], None] = lambda _call: None
    longest_write: int | None = None
    calls: list[str] = field(default_factory=list)

    WATCHED = ("lstat", "statvfs", "open", "write", "fsync", "close", "link", "unlink", "replace", "rename")

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *args, **kw: self._call(name, real, args, kw)) if name in self.WATCHED else real

    def _call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
        self.before(name)
        number = len(self.calls)
        self.calls.append(name)
        code = self.error if number in self.failing else self.refused.get(name)
        if code is not None:
            if name == "close":  # the descriptor is gone also when close fails
                real(*args, **kw)
            raise OSError(code, os.strerror(code), "/a/local/path")
        if name == "write" and self.longest_write is not None:
            args = (args[0], memoryview(args[1])[: self.longest_write])
        return real(*args, **kw)


LINKS = {"links": {}, "no links": {"link": errno.EPERM}}
each_disk = pytest.mark.parametrize("refused", LINKS.values(), ids=LINKS)
EXPECTED_CALLS = ["lstat", "statvfs", "open", "open", "write", "write", "fsync", "close"]
NAMING_CALLS = {
    ("links", False): ["link", "unlink"],
    ("no links", False): ["link", "rename"],
    ("links", True): ["replace"],
    ("no links", True): ["replace"],
}


def calls_of(kind: str, overwrite: bool) -> list[str]:
    """The system calls of one delivery, in order."""
    return [*EXPECTED_CALLS, *NAMING_CALLS[kind, overwrite], "fsync", "close"]


@each_sink
@each_policy
@pytest.mark.parametrize("kind", LINKS)
def test_the_steps_are_in_the_order_that_survives_a_power_cut(
    make: MakeSink, overwrite: bool, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are synced before they get their name, and the name is synced before commit returns."""
    system = _System(refused=LINKS[kind])
    monkeypatch.setattr(sinks, "os", system)
    store(make(tmp_path, overwrite=overwrite))
    assert system.calls == calls_of(kind, overwrite)


FAILURES = [
    pytest.param(
        kind, old is not None, old, number, id=f"{kind}-{'over old' if old else 'new'}-{number}-{call}"
    )
    for kind in LINKS
    for old in (None, b"old")
    for number, call in enumerate(calls_of(kind, old is not None))
]


@each_sink
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize(("kind", "overwrite", "old", "number"), FAILURES)
def test_security_whatever_call_fails_the_file_is_whole_or_not_there(
    make: MakeSink,
    kind: str,
    overwrite: bool,
    old: bytes | None,
    number: int,
    lasting: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call fails, once or from then on: a SinkFault, and the name holds all, or what was there."""
    name = tmp_path / "name.bin"
    if old is not None:
        name.write_bytes(old)
    first = calls_of(kind, overwrite)[number]
    system = _System(
        refused=LINKS[kind],
        failing=range(number, 99 if lasting else number + 1),
        error=errno.EIO if first != "link" else errno.EACCES,
    )
    monkeypatch.setattr(sinks, "os", system)
    with pytest.raises(SinkFault) as caught:
        store(make(tmp_path, overwrite=overwrite))
    assert "/a/local/path" not in caught.value.for_peer
    assert (name.read_bytes() if name.exists() else None) in (old, DATA)
    if not lasting:
        assert files_in(tmp_path) == (["name.bin"] if name.exists() else [])
    partial = [path for path in tmp_path.iterdir() if path != name]
    assert all(path.name.startswith(".selo-") for path in partial)


@each_sink
@each_policy
@each_disk
def test_security_at_every_moment_the_name_holds_all_or_what_was_there(
    make: MakeSink,
    overwrite: bool,
    refused: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looked at before every single system call, the final name never shows a part."""
    name = tmp_path / "name.bin"
    old = b"old" if overwrite else None
    if old is not None:
        name.write_bytes(old)
    seen: list[bytes | None] = []
    system = _System(
        refused=refused, before=lambda _call: seen.append(name.read_bytes() if name.exists() else None)
    )
    monkeypatch.setattr(sinks, "os", system)
    store(make(tmp_path, overwrite=overwrite))
    named = seen.index(DATA)
    assert set(seen[:named]) == {old}
    assert set(seen[named:]) == {DATA}
    assert "fsync" in system.calls[:named]


@each_sink
@pytest.mark.parametrize("longest", [1, 7, 499])
def test_short_writes_are_completed(
    make: MakeSink, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system takes less than it was given, the rest follows."""
    monkeypatch.setattr(sinks, "os", _System(longest_write=longest))
    store(make(tmp_path))
    assert (tmp_path / "name.bin").read_bytes() == DATA


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS])
@each_sink
def test_a_disk_without_hard_links_will_do(
    make: MakeSink, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever such a file system says of link, the delivery is stored all the same."""
    monkeypatch.setattr(sinks, "os", _System(refused={"link": error}))
    store(make(tmp_path))
    assert files_in(tmp_path) == ["name.bin"]
    assert (tmp_path / "name.bin").read_bytes() == DATA


@each_sink
def test_a_folder_that_cannot_be_synced_will_do(
    make: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems refuse to sync a folder with EINVAL: that is no failure."""
    system = _System(error=errno.EINVAL, failing=range(10, 11))
    monkeypatch.setattr(sinks, "os", system)
    store(make(tmp_path))
    assert system.calls[10] == "fsync"
    assert files_in(tmp_path) == ["name.bin"]


@each_sink
def test_discard_from_another_thread_removes_the_file_and_leaves_the_descriptor(
    make: MakeSink, tmp_path: Path
) -> None:
    """Where a write hangs, its descriptor is not closed under it: the number could become another file's."""
    sink = make(tmp_path)
    sink.open(OFFER)
    other = threading.Thread(target=sink.discard)
    other.start()
    other.join()
    assert files_in(tmp_path) == []
    sink.write(DATA)  # the write that hung goes on, into the file that has no name any more
    with pytest.raises(SinkFault):
        sink.commit()
    sink.discard()
    assert files_in(tmp_path) == []


# What is no regular file


def test_a_device_is_written_directly() -> None:
    """/dev/null swallows it, is named in the report, and is a device afterwards, with --overwrite too."""
    for overwrite in (False, True):
        assert store(FileSink("/dev/null", overwrite=overwrite)) == "/dev/null"
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
    monkeypatch.setattr(sinks, "os", _System(refused={"fsync": errno.EIO}))
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
