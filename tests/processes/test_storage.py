"""What becomes of a delivery where it is stored: full, read-only, vanishing places; names, links, FIFOs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes.manners import BRISK_AND_FINAL

MIB = 1 << 20


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder to deliver into, in a folder where nothing else is."""
    path = tmp_path / "outside" / "inbox"
    path.mkdir(parents=True)
    return path


def parcel(tmp_path: Path, size: int) -> Path:
    """A file to send."""
    path = tmp_path / "parcel"
    path.write_bytes(os.urandom(size))
    return path


def begin(emitter, receiver, data: bytes = b"the beginning\n") -> None:
    """Send the first bytes of a stream, which stays open; the Receiver's sink has them afterwards."""
    emitter.child.stdin.write(data)
    emitter.child.stdin.flush()
    emitter.wait_for("progress")
    assert receiver.named("opened")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


class TestPlaces:
    """Disks that are full, read-only or gone: 1 and a sentence on both sides, and nothing left behind."""

    def test_disk_that_becomes_full(self, receive, emit, mounted) -> None:
        """A stream of unknown length finds no more room in the middle."""
        folder = mounted()
        receiver = receive("--into", folder)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        begin(emitter, receiver, bytes(MIB // 2))
        with suppress(BrokenPipeError):  # how the source learns of it
            while True:
                emitter.child.stdin.write(bytes(MIB // 2))
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "no space left" in emitter.message and "no space left" in receiver.message
        assert str(folder) in receiver.message and str(folder) not in emitter.message
        # Nobody can bring the rest of a stream whose process has ended: its part would only fill the disk.
        assert contents(folder) == {}
        assert "go on" not in receiver.named("error")[0].get("hint", "")

    def test_disk_that_becomes_full_under_a_file(self, receive, emit, mounted, tmp_path: Path) -> None:
        """Room can be made, and what came is good: the same commands go on."""
        folder = mounted()
        receiver = receive("--into", folder)
        emitter = emit(receiver, parcel(tmp_path, MIB * 3 // 4), "--rate", "200kB/s")
        receiver.wait_for("progress")
        with suppress(OSError), (folder / "other").open("wb", buffering=0) as other:
            while True:
                other.write(bytes(4096))
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "go on" in receiver.named("error")[0]["hint"]
        assert any(name.endswith(".part/data") for name in contents(folder))

    def test_disk_that_is_too_small(self, receive, emit, mounted, tmp_path: Path) -> None:
        """A file that says how long it is is refused before any of it is written."""
        folder = mounted()
        receiver = receive("--into", folder)
        emitter = emit(receiver, parcel(tmp_path, 2 * MIB))
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "not enough room" in emitter.message
        assert "2,097,152 bytes" in receiver.message and "free" in receiver.message
        assert emitter.named("progress") == receiver.named("progress") == []
        assert contents(folder) == {}

    def test_disk_that_is_large_enough(self, receive, emit, mounted, tmp_path: Path) -> None:
        """The same disk takes what fits."""
        folder = mounted()
        file = parcel(tmp_path, MIB // 2)
        receiver = receive("--into", folder)
        assert (emit(receiver, file).end(), receiver.end()) == (0, 0)
        assert contents(folder) == {"parcel": file.read_bytes()}

    def test_read_only_disk(self, receive, emit, mounted, tmp_path: Path) -> None:
        """The Receiver says so when it starts, and to the Emitter."""
        folder = mounted("ro")
        receiver = receive("--into", folder)
        emitter = emit(receiver, parcel(tmp_path, 1000))
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "cannot be written" in receiver.named("warning")[0]["message"]
        assert "read-only" in emitter.message and "read-only" in receiver.message
        assert contents(folder) == {}

    def test_folder_that_vanishes(self, receive, emit, inbox: Path) -> None:
        """The folder is removed while a stream is open."""
        receiver = receive("--into", inbox)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        begin(emitter, receiver)
        shutil.rmtree(inbox)
        emitter.child.stdin.close()
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "taken away" in emitter.message and "taken away" in receiver.message
        assert str(inbox) in receiver.message and str(inbox) not in emitter.message
        assert not inbox.exists()

    def test_killed_receiver(self, receive, emit, inbox: Path) -> None:
        """SIGKILL leaves nothing under the final name, and nothing that is in the next one's way."""
        receiver = receive("--into", inbox)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE, settings=BRISK_AND_FINAL)
        begin(emitter, receiver)
        receiver.kill()
        assert emitter.end() == 4
        assert not (inbox / "stream").exists()
        receiver = receive("--into", inbox)
        assert (emit(receiver, "-", "--as", "stream").end(), receiver.end()) == (0, 0)
        assert (inbox / "stream").read_bytes() == b""


class TestOverwriting:
    """--overwrite replaces in one step, at the end."""

    @pytest.fixture(params=["--into", "--output"])
    def target(self, request, inbox: Path) -> tuple[Path, tuple[object, ...]]:
        """A file that is there already, and the arguments that allow to replace it."""
        path = inbox / "stream"
        path.write_text("old")
        where = inbox if request.param == "--into" else path
        return path, (request.param, where, "--overwrite")

    def test_old_content_until_the_end(self, receive, emit, target) -> None:
        """As long as the stream is open the old file is there, whole; then the new one is."""
        path, arguments = target
        receiver = receive(*arguments)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        begin(emitter, receiver)
        assert path.read_text() == "old"
        emitter.child.stdin.close()
        assert (emitter.end(), receiver.end()) == (0, 0)
        assert contents(path.parent) == {"stream": b"the beginning\n"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_old_content_when_it_fails(self, receive, emit, target) -> None:
        """The Emitter is killed: the old file is as it was, and nothing else is there."""
        path, arguments = target
        receiver = receive(*arguments, settings=BRISK_AND_FINAL)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        begin(emitter, receiver)
        emitter.kill()
        assert receiver.end() == 4
        assert contents(path.parent) == {"stream": b"old"}


class TestFifo:
    """A FIFO as the target is written to directly, and stays a FIFO."""

    @pytest.fixture
    def fifo(self, inbox: Path) -> Path:
        """A FIFO."""
        os.mkfifo(inbox / "fifo")
        return inbox / "fifo"

    def test_reader_gets_all(self, receive, emit, fifo: Path, tmp_path: Path) -> None:
        """Its reader gets the content, exactly, and its end."""
        file = parcel(tmp_path, 3 * MIB + 1)
        receiver = receive("--output", fifo)
        emitter = emit(receiver, file)
        assert fifo.read_bytes() == file.read_bytes()
        assert (emitter.end(), receiver.end()) == (0, 0)
        assert stat.S_ISFIFO(fifo.stat().st_mode)

    def test_reader_that_leaves(self, receive, emit, fifo: Path, tmp_path: Path) -> None:
        """Its reader goes in the middle: 1 on both sides."""
        receiver = receive("--output", fifo)
        emitter = emit(receiver, parcel(tmp_path, 3 * MIB))
        with fifo.open("rb") as reader:
            reader.read(1000)
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "ended" in emitter.message and "ended" in receiver.message

    def test_nobody_reads_and_the_emitter_leaves(self, receive, emit, fifo: Path, tmp_path: Path) -> None:
        """A Receiver that waits for a reader ends all the same when the session is cut."""
        receiver = receive("--output", fifo, settings=BRISK_AND_FINAL)
        emitter = emit(receiver, "-", stdin=subprocess.PIPE)
        receiver.wait_for("opened")
        emitter.kill()
        assert receiver.end() == 4


GOOD_NAMES = [
    "with spaces  inside.txt",
    "Žluťoučký kůň 日本語 🐟 e\u0301",
    "$(touch pwned); `x` & | > * ? ~ # 'quotes\" %s%n{}",
    "2024-05-01T12:30:00.log",
    "x" * 255,
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_arrive_as_they_are(receive, emit, inbox: Path, tmp_path: Path, name: str) -> None:
    """The name of the file that is sent is the name of the file that arrives, to the byte."""
    (tmp_path / name).write_text(name)
    receiver = receive("--into", inbox)
    assert (emit(receiver, tmp_path / name).end(), receiver.end()) == (0, 0)
    assert [os.fsencode(path.name) for path in inbox.iterdir()] == [name.encode()]
    assert (inbox / name).read_text() == name


HOSTILE_NAMES = [
    "../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "..",
    ".hidden",
    "-rf",
    "line\nbreak",
    "\x1b[2J",
    "txt.\u202eexe",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_security_hostile_names_write_nothing(receive, emit, inbox: Path, name: str) -> None:
    """A name that is no plain file's name is refused: 1 and a printable sentence on both sides, no file."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, "-", f"--as={name}")
    assert (emitter.end(), receiver.end()) == (1, 1)
    for process in (emitter, receiver):
        assert "the name was refused" in process.message
        assert process.message.isprintable()
    assert list(inbox.parent.rglob("*")) == [inbox]
    assert not Path("/etc/x").exists()


@pytest.mark.parametrize("name", ["x" * 300, ""])
def test_names_that_the_protocol_cannot_say_leave_nobody(receive, emit, inbox: Path, name: str) -> None:
    """The Emitter refuses them itself and calls nobody: the Receiver waits on."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, "-", f"--as={name}")
    assert emitter.end() == 1
    assert "255" in emitter.message
    receiver.kill(15)
    assert receiver.end() == 143
    assert receiver.named("connected") == []


class TestLinks:
    """A symbolic link at the target."""

    @pytest.fixture(params=["to a file", "to nothing"])
    def link(self, request, inbox: Path) -> tuple[Path, Path]:
        """A link under the name that will be delivered, and what it points to, elsewhere."""
        elsewhere = inbox.parent / "precious"
        if request.param == "to a file":
            elsewhere.write_text("old")
        (inbox / "parcel").symlink_to(elsewhere)
        return inbox / "parcel", elsewhere

    def test_security_a_link_in_the_folder_is_not_followed(
        self, receive, emit, inbox: Path, link, tmp_path: Path
    ) -> None:
        """A delivery does not leave its folder through it: refused, or with --overwrite replaced."""
        path, elsewhere = link
        before = elsewhere.read_text() if elsewhere.exists() else None
        file = parcel(tmp_path, 1000)
        receiver = receive("--into", inbox)
        emitter = emit(receiver, file)
        assert (emitter.end(), receiver.end()) == (1, 1)
        assert "exists" in emitter.message
        assert path.is_symlink()
        receiver = receive("--into", inbox, "--overwrite")
        assert (emit(receiver, file).end(), receiver.end()) == (0, 0)
        assert not path.is_symlink()
        assert contents(inbox) == {"parcel": file.read_bytes()}
        assert (elsewhere.read_text() if elsewhere.exists() else None) == before

    def test_a_link_that_the_user_names_is_followed(self, receive, emit, link, tmp_path: Path) -> None:
        """--output is the user's own word: the file that the link means is written, if there is one."""
        path, elsewhere = link
        file, there = parcel(tmp_path, 1000), elsewhere.exists()
        receiver = receive("--output", path, "--overwrite")
        assert (emit(receiver, file).end(), receiver.end()) == ((0, 0) if there else (1, 1))
        assert path.is_symlink()
        assert elsewhere.exists() == there
        assert not there or elsewhere.read_bytes() == file.read_bytes()


def test_target_that_appears_meanwhile_is_kept(receive, emit, inbox: Path) -> None:
    """Somebody else makes a file of that name while the stream is open: it stays, and both sides fail."""
    receiver = receive("--into", inbox)
    emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
    begin(emitter, receiver)
    (inbox / "stream").write_text("theirs")
    emitter.child.stdin.close()
    assert (emitter.end(), receiver.end()) == (1, 1)
    assert "exists" in emitter.message and "exists" in receiver.message
    assert contents(inbox) == {"stream": b"theirs"}


def test_two_receivers_may_share_a_folder(receive, emit, inbox: Path, tmp_path: Path) -> None:
    """Two deliveries of one name at the same time: one gets it, the other is told, and neither is torn."""
    receivers = [receive("--into", inbox) for _ in range(2)]
    emitters = [emit(receiver, "-", "--as", "same", stdin=subprocess.PIPE) for receiver in receivers]
    for number, (emitter, receiver) in enumerate(zip(emitters, receivers, strict=True)):
        begin(emitter, receiver, bytes([number]) * 1000)
    for emitter in emitters:
        emitter.child.stdin.close()
    ends = [(emitter.end(), receiver.end()) for emitter, receiver in zip(emitters, receivers, strict=True)]
    assert sorted(ends) == [(0, 0), (1, 1)]
    assert contents(inbox) == {"same": bytes([ends.index((0, 0))]) * 1000}
