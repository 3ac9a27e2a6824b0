"""What the tests of storage share: small deliveries, how to make them, how to cut them, what is left."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.storage import (
    durable,
    growing,
    handles,
    journal,
    placing,
    removing,
    staged,
    staged_file,
    staged_tree,
    staging,
    sweep,
)
from selo.agents.storage.base import Held, ResumableSink, StorageRules
from selo.agents.storage.staged_file import StagedFile
from selo.agents.storage.staged_tree import StagedTree
from selo.agents.trees.entries import Entry, EntryType
from selo.config.policy import Overwrite

FOLDER, FILE, LINK = EntryType
NEVER, RENAME, REPLACE = Overwrite

DELIVERY = bytes(range(16))
MTIME = 1_234_567_890_000_000_000

CONTENT = b"a small file, and yet it has a beginning, a middle and an end"
FILE_OFFER = Offer(Kind.FILE, "name.bin", len(CONTENT), DELIVERY, mode=0o640, mtime=MTIME)
STREAM_OFFER = Offer(Kind.STREAM, "name.bin", None, DELIVERY)


def rules(**changes: Any) -> StorageRules:
    """Those of the tests: no waiting for disks, and a umask that does not depend on where they run."""
    return StorageRules(**{"fsync": False, "umask": 0o022, **changes})


def tree(*items: tuple[Any, ...]) -> bytes:
    """The bytes of a tree: (depth, name, FOLDER | content of a file | "target of a link"[, mode])."""
    parts = []
    for depth, name, what, *rest in items:
        mode = rest[0] if rest else (0o755 if what is FOLDER else 0o644)
        if what is FOLDER:
            parts.append(Entry(FOLDER, depth, name, mode, MTIME).pack())
        elif isinstance(what, str):
            parts.append(Entry(LINK, depth, name, 0o777, MTIME, target=what.encode()).pack())
        else:
            parts += [Entry(FILE, depth, name, mode, MTIME, len(what)).pack(), what]
    return b"".join(parts)


TREE = tree(
    (0, b"top", FOLDER),
    (1, b"a", b"first"),
    (1, b"closed", FOLDER, 0o555),
    (2, b"deep", FOLDER),
    (3, b"b", b"second file"),
    (1, b"empty", b""),
    (1, b"link", "closed/deep/b"),
    (1, b"nothing", FOLDER),
    (1, b"z", b"last", 0o400),
)
THREE = tree((0, b"a", b"first"), (0, b"b", FOLDER), (1, b"x", b"content"), (0, b"c.txt", b"third"))
SEVERAL = Offer(Kind.TREE, None, None, DELIVERY)
STORED_THREE = {"a": b"first", "b": FOLDER, "b/x": b"content", "c.txt": b"third"}
OLD_THREE = {"a": b"old a", "b": FOLDER, "b/old": b"old b", "c.txt": b"old c"}


def plant_old_three(folder: Path) -> None:
    """Something else under each name of ``THREE``."""
    for name, what in OLD_THREE.items():
        (folder / name).mkdir() if what is FOLDER else (folder / name).write_bytes(what)


def contents(folder: Path) -> dict[str, Any]:
    """What is below a folder, without modes and times."""
    return {name: what for name, (what, *_) in look(folder).items()}


TREE_OFFER = Offer(Kind.TREE, "top", len(TREE), DELIVERY, items=9)


def sink_for(folder: Path, offer: Offer, **changes: Any) -> ResumableSink:
    """A sink for what is offered, with the tests' rules."""
    if offer.kind is Kind.TREE:
        return StagedTree(folder, rules(**changes), now=lambda: 0.0)
    return StagedFile(folder, rules(**changes), sender="alice", now=lambda: 0.0)


def opened(sink: ResumableSink, offer: Offer) -> Held:
    """Open a sink of ours: it always says what it holds."""
    held = sink.open(offer)
    assert held is not None
    return held


def summary_of(sink: ResumableSink, data: bytes) -> Summary:
    """What the writer would say of a whole delivery."""
    log = sink.log
    count, size, digest = (log.count, log.size, log.hash) if log is not None else (1, len(data), bytes(32))
    return Summary(len(data), blake3(data).digest(), count, size, digest, durable=True, target=None)


def finish(sink: ResumableSink, data: bytes, start: int = 0, step: int = 1 << 20) -> str | None:
    """Write the rest from ``start`` on, and commit."""
    for place in range(start, len(data), step):
        sink.write(data[place : min(place + step, len(data))])
    sink.seal(summary_of(sink, data))
    return sink.commit()


def deliver(folder: Path, offer: Offer, data: bytes, *, step: int = 1 << 20, **changes: Any) -> str | None:
    """A whole delivery from where it can be taken up; one that fails is discarded, as the writer does."""
    sink = sink_for(folder, offer, **changes)
    try:
        held = opened(sink, offer)
        if held.complete is not None:
            target = held.complete.target
        else:
            marks = held.ladder.marks()
            good = [m.position for m in marks if blake3(data[: m.position]).digest() == m.digest]
            place = good[-1] if good else 0
            sink.go_on(place)
            target = finish(sink, data, place, step=step)
    except BaseException:
        sink.discard()
        raise
    sink.forget()
    return target


def kill(sink: ResumableSink) -> None:
    """What the end of the process does: descriptors and locks go, and nothing is put in order."""
    sink._handles.close_all()


class System:
    """The ``os`` module as the modules of storage see it, with renameat2; ``on_call`` is asked before a call.

    It raises what the call is to raise; of a write it may return how many bytes are taken at most.
    """

    WATCHED = re.findall(
        r"\w+",
        """open close write read pread fsync ftruncate lseek utime fchmod chmod mkdir rmdir unlink
        rename replace link symlink readlink renameat2 lstat fstat fstatvfs listdir scandir""",
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch, on_call: Callable[[str], int | None]) -> None:
        self.calls: list[str] = []
        self._on_call = on_call
        renameat2 = placing.rename_with
        for module in MODULES:
            monkeypatch.setattr(module, "os", self, raising=False)
        monkeypatch.setattr(
            placing, "rename_with", lambda *args: self._call("renameat2", renameat2, args, {})
        )

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *args, **kw: self._call(name, real, args, kw)) if name in self.WATCHED else real

    def _call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
        self.calls.append(name)
        try:
            most = self._on_call(name)
        except BaseException:
            if name == "close":  # the descriptor is gone also when close fails
                real(*args, **kw)
            raise
        if name == "write" and most is not None:
            args = (args[0], memoryview(args[1])[:most])
        return real(*args, **kw)


MODULES = [
    durable,
    growing,
    handles,
    journal,
    placing,
    removing,
    staged,
    staged_file,
    staged_tree,
    staging,
    sweep,
]


class Crash(BaseException):
    """The power goes: nothing that was to come after comes."""


def crash_at(number: int, folder: Path, offer: Offer, data: bytes, linkless: bool, **changes: Any) -> bool:
    """A delivery during which the process dies before a call, counted from 0; whether it came so far."""
    died = False

    def on_call(name: str) -> None:
        nonlocal died
        if died or len(system.calls) > number:
            died = True
            raise Crash
        if linkless and name == "renameat2":
            raise OSError(errno.ENOSYS, "no such call")

    with pytest.MonkeyPatch.context() as patch:
        system = System(patch, on_call)
        sink = sink_for(folder, offer, **changes)
        try:
            opened(sink, offer)
            sink.go_on(0)
            finish(sink, data, step=11)
        except Crash:
            pass
        died = True
    kill(sink)
    return len(system.calls) > number


def look(folder: Path) -> dict[str, Any]:
    """All that is below a folder, without staging folders: what each is, its mode, its time."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".selo-"):
            continue
        status = path.lstat()
        what: Any = FOLDER
        if stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        elif not stat.S_ISDIR(status.st_mode):
            what = stat.filemode(status.st_mode)
        found[name] = (what, stat.S_IMODE(status.st_mode), status.st_mtime_ns)
    return found


STORED_FILE = {"name.bin": (CONTENT, 0o640, MTIME)}
STORED_TREE = {
    "top": (FOLDER, 0o755, MTIME),
    "top/a": (b"first", 0o644, MTIME),
    "top/closed": (FOLDER, 0o555, MTIME),
    "top/closed/deep": (FOLDER, 0o755, MTIME),
    "top/closed/deep/b": (b"second file", 0o644, MTIME),
    "top/empty": (b"", 0o644, MTIME),
    "top/link": ("closed/deep/b", 0o777, MTIME),
    "top/nothing": (FOLDER, 0o755, MTIME),
    "top/z": (b"last", 0o400, MTIME),
}

DELIVERIES = {
    "file": (FILE_OFFER, CONTENT, STORED_FILE),
    "tree": (TREE_OFFER, TREE, STORED_TREE),
}


def partials(folder: Path) -> list[Path]:
    """The staging folders that are there."""
    return [path for path in folder.iterdir() if path.name.startswith(".selo-")]


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A new folder, in memory where there is such a file system: these are tests of thousands of files."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Not as root, to whom nothing is forbidden; the folder is nobody's meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
