"""Sources over real files, pipes and devices."""

from __future__ import annotations

import array
import gc
import os
import resource
import socket
import tempfile
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.bodies import Kind, Offer
from selo.agents.errors import SourceFault
from selo.agents.sources import BytesSource, DescriptorSource, FileSource, IterableSource, Source, open_source
from tests.leaks import no_descriptor_left

BLOCK = 64
PATIENCE = 20.0
"""Seconds after which what should have come is missing; nothing waits that long when all is well."""

SIZES = [0, 1, 31, 32, 33, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]
T = TypeVar("T")


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    """Whatever a test did with a source, when the source is gone its descriptors are."""
    with no_descriptor_left():
        yield


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; the test may close the writing one."""
    readable, writable = os.pipe()
    yield readable, writable
    os.close(readable)
    with suppress(OSError):
        os.close(writable)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three blocks."""
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(3 * BLOCK))
    return path


def read_all(source: Source, block_size: int = BLOCK) -> bytes:
    """All bytes of a source; every block has a legal length."""
    blocks = [bytes(block) for block in source.blocks(block_size)]
    assert all(1 <= len(block) <= block_size for block in blocks)
    return b"".join(blocks)


def in_time(work: Callable[[], T]) -> T:
    """``work()``, in a thread that may hang: then the test fails instead."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]
    return results[0]


# Bytes and iterables


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_exactly(size: int) -> None:
    """Bytes of any length come whole, as a stream of that size or as a file."""
    data = os.urandom(size)
    assert read_all(BytesSource(data)) == data
    assert BytesSource(data).offer == Offer(Kind.STREAM, None, size)
    assert BytesSource(data, "d.bin").offer == Offer(Kind.FILE, "d.bin", size)


@given(st.lists(st.binary(max_size=3 * BLOCK), max_size=6))
def test_an_iterable_comes_exactly(chunks: list[bytes]) -> None:
    """Chunks of any length, empty ones among them, come whole and in order, of any type of bytes."""
    kinds = [bytes, bytearray, memoryview]
    mixed = [kinds[number % 3](chunk) for number, chunk in enumerate(chunks)]
    source = IterableSource(mixed)
    assert source.offer == Offer(Kind.STREAM, None, None)
    assert read_all(source) == b"".join(chunks)


def test_a_generator_may_reuse_its_buffer() -> None:
    """Blocks that wait to be sent do not change when the generator fills its one buffer again."""

    def generate() -> Iterator[bytearray]:
        buffer = bytearray(BLOCK)
        for number in range(5):
            buffer[:] = bytes([number]) * BLOCK
            yield buffer

    blocks = list(IterableSource(generate()).blocks(BLOCK))
    assert [bytes(block) for block in blocks] == [bytes([number]) * BLOCK for number in range(5)]


def test_a_chunk_of_wider_items_comes_as_its_bytes() -> None:
    """An array of numbers counts in bytes, not in items."""
    numbers = array.array("I", range(100))
    assert read_all(IterableSource([memoryview(numbers)])) == numbers.tobytes()


@pytest.mark.parametrize("chunks", [b"abc", [3], ["text"], [None], [[1, 2]]])
def test_chunks_that_are_no_bytes_are_refused(chunks: object) -> None:
    """An iterable of ints (which bytes are) does not become zeros, nor text a guess at its encoding."""
    with pytest.raises(SourceFault, match="where bytes are due"):
        read_all(IterableSource(chunks))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyError, StopIteration, SourceFault])
def test_an_error_in_the_iterable_is_a_source_fault(error: type[Exception]) -> None:
    """What came before it comes; then the fault, which names the error's type and keeps it as its cause."""

    def generate() -> Iterator[bytes]:
        yield b"before"
        raise error("/a/local/path", "secret")

    blocks = IterableSource(generate()).blocks(BLOCK)
    assert bytes(next(blocks)) == b"before"
    with pytest.raises(SourceFault) as caught:
        next(blocks)
    assert caught.value.__cause__ is not None
    assert "secret" not in caught.value.for_peer


# Names

NO_NAMES = ["", "n" * 256, "é" * 128, "\udcff.txt"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_the_protocol_cannot_say_is_refused_at_once(
    name: str, file: Path, pipe: tuple[int, int]
) -> None:
    """No session is opened for a delivery whose OPEN could not be written."""
    makers: list[Callable[[], Source]] = [
        lambda: BytesSource(b"", name),
        lambda: IterableSource([], name),
        lambda: FileSource(file, name),
        lambda: DescriptorSource(pipe[0], name),
        lambda: open_source(str(file), name),
        lambda: open_source(os.devnull, name),
    ]
    for make in makers:
        with pytest.raises(SourceFault, match="UTF-8") as caught:
            make()
        assert "--as" in caught.value.hint


def test_a_file_whose_name_is_no_utf8_can_be_sent_under_another(tmp_path: Path) -> None:
    """File systems hold names that are not UTF-8: the fault says so, and a name of our own helps."""
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(path, "wb") as written:
        written.write(b"data")
    with pytest.raises(SourceFault):
        open_source(os.fsdecode(path))
    source = open_source(os.fsdecode(path), "café.txt")
    source.offer.pack()
    assert read_all(source) == b"data"


# Files


@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_exactly(tmp_path: Path, size: int) -> None:
    """A file of any length comes whole, under its own name and size, with its mode and time."""
    path = tmp_path / "a file.bin"
    path.write_bytes(data := os.urandom(size))
    os.chmod(path, 0o640)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    source = open_source(str(path))
    assert isinstance(source, FileSource)
    assert source.offer == Offer(Kind.FILE, "a file.bin", size, mode=0o640, mtime=1_234_567_890_123_456_789)
    assert read_all(source) == data


def test_a_file_can_be_sent_under_another_name(file: Path) -> None:
    """The name suggested to the other side is the caller's, where there is one."""
    assert FileSource(file, "other.bin").offer.name == "other.bin"
    assert open_source(str(file), "other.bin").offer.name == "other.bin"


def test_a_sparse_file_is_marked(tmp_path: Path) -> None:
    """One that saves a page on its disk; its zeros are read like any bytes."""
    path = tmp_path / "image"
    with path.open("wb") as image:
        image.truncate(1 << 20)
        image.seek(1 << 19)
        image.write(b"data")
    os.sync()  # some file systems count blocks when they are written
    source = open_source(str(path))
    assert source.offer.sparse
    assert read_all(source) == path.read_bytes()
    path.write_bytes(os.urandom(1 << 16))
    os.sync()
    assert not open_source(str(path)).offer.sparse


def test_a_symbolic_link_is_followed(file: Path, tmp_path: Path) -> None:
    """The link's own name, the target's bytes."""
    (tmp_path / "link").symlink_to(file)
    source = open_source(str(tmp_path / "link"))
    status = os.stat(file)
    assert source.offer == Offer(
        Kind.FILE, "link", 3 * BLOCK, mode=status.st_mode & 0o7777, mtime=status.st_mtime_ns
    )
    assert read_all(source) == file.read_bytes()


def shrink(path: Path) -> None:
    os.truncate(path, BLOCK + 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as written:
        written.write(b"more")


def rewrite(path: Path) -> None:
    """Other bytes of the same length, in place, at another time."""
    with path.open("r+b") as written:
        written.write(b"other")
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def touch(path: Path) -> None:
    """Only the time of the last change changes."""
    os.utime(path, ns=(0, 1_000_000_000))


@pytest.mark.parametrize("change", [shrink, empty, grow, rewrite, touch])
@pytest.mark.parametrize("blocks_before", range(5))
def test_a_file_that_changes_while_it_is_read_fails(
    file: Path, change: Callable[[Path], None], blocks_before: int
) -> None:
    """Changed before the first block, between any two or after the last, the source fails."""
    source = FileSource(file)
    blocks = source.blocks(50)  # the fourth and last is not full
    given = [next(blocks) for _ in range(blocks_before)]
    change(file)
    cut = change in (shrink, empty) and blocks_before < 4
    with pytest.raises(SourceFault, match="shrank" if cut else "changed") as caught:
        given.extend(blocks)
    assert sum(map(len, given)) <= 3 * BLOCK, "more than was offered"
    assert "- <" in caught.value.hint
    assert str(file) not in caught.value.for_peer


def rewrite_secretly(path: Path) -> None:
    """Other bytes of the same length, and the time of the last change put back."""
    before = path.stat()
    with path.open("r+b") as written:
        written.write(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def give_another_mode(path: Path) -> None:
    path.chmod(0o640 if path.stat().st_mode & 0o777 != 0o640 else 0o600)


def give_another_name(path: Path) -> None:
    os.link(path, path.with_name("linked"))
    path.rename(path.with_name("renamed"))


def read_with(file: Path, blocks_before: int, change: Callable[[Path], None]) -> bytes:
    """What a file gives that is changed after so many blocks, at another time than it was written."""
    source = FileSource(file)
    blocks = source.blocks(50)
    given = [next(blocks) for _ in range(blocks_before)]
    wait_for_another_ctime(file)
    change(file)
    given.extend(blocks)
    return b"".join(given)


def wait_for_another_ctime(file: Path) -> None:
    """Until the clock of the file system has moved on: it goes in steps of some milliseconds."""
    probe = file.with_name("probe")
    probe.touch()
    while probe.stat().st_ctime_ns <= file.stat().st_ctime_ns:
        probe.chmod(0o600)
    probe.unlink()


@pytest.mark.parametrize("blocks_before", range(1, 5))
def test_security_a_change_whose_time_was_put_back_is_seen(file: Path, blocks_before: int) -> None:
    """Nobody can put back ctime: a mixture of two states is not sent as one."""
    with pytest.raises(SourceFault, match="changed"):
        read_with(file, blocks_before, rewrite_secretly)


@pytest.mark.parametrize("change", [give_another_mode, give_another_name, Path.unlink])
@pytest.mark.parametrize("blocks_before", range(5))
def test_a_file_that_gets_another_name_or_mode_comes_as_it_is(
    file: Path, change: Callable[[Path], None], blocks_before: int
) -> None:
    """Its ctime is another one, its bytes are not: it is read once more, and taken."""
    data = file.read_bytes()
    assert read_with(file, blocks_before, change) == data


def test_an_empty_file_that_grows_fails(tmp_path: Path) -> None:
    """Also where there was nothing to read."""
    path = tmp_path / "empty"
    path.touch()
    source = FileSource(path)
    grow(path)
    with pytest.raises(SourceFault):
        read_all(source)


def test_a_file_that_is_replaced_comes_as_it_was(file: Path, tmp_path: Path) -> None:
    """Renaming another file over it, or removing it, is no change of the file that was opened."""
    data = file.read_bytes()
    source = FileSource(file)
    (tmp_path / "new").write_bytes(b"new")
    os.replace(tmp_path / "new", file)
    assert read_all(source) == data


def test_a_file_that_holds_more_than_its_size_is_not_cut() -> None:
    """Files of /proc say that they are empty: such a file fails rather than arrive as nothing."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("this system has no /proc")
    with pytest.raises(SourceFault, match="more than its size"):
        read_all(FileSource("/proc/self/status"))


def redirected(file: Path) -> DescriptorSource:
    """A file after `<` in a shell."""
    return DescriptorSource(os.open(file, os.O_RDONLY), owned=True)


AGAIN = {
    "bytes": lambda file: BytesSource(file.read_bytes()),
    "a file": FileSource,
    "a redirected file": redirected,
}


@pytest.mark.parametrize("make", AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("blocks", range(5))
def test_what_is_restartable_gives_the_same_again(
    make: Callable[[Path], Source], blocks: int, file: Path
) -> None:
    """From its beginning, after any number of blocks, and after its end; as often as is asked."""
    source = make(file)
    assert source.restartable
    assert source.log is None
    for _ in range(3):
        for _ in zip(range(blocks), source.blocks(BLOCK), strict=False):
            pass
        assert read_all(source) == file.read_bytes()


@pytest.mark.parametrize("skipped", [0, 7])
@pytest.mark.parametrize("blocks", range(4))
def test_security_a_redirected_file_that_shrinks_is_no_whole_one(
    file: Path, skipped: int, blocks: int
) -> None:
    """It gives less than was offered: that is an error and not its end, at whatever moment it happens."""
    with file.open("rb") as opened:
        opened.seek(skipped)
        source = DescriptorSource(os.dup(opened.fileno()), owned=True)
        reading = source.blocks(BLOCK)
        given = [next(reading) for _ in range(min(blocks, 2))]
        os.truncate(file, 2 * BLOCK + skipped + (blocks == 3))
        with pytest.raises(SourceFault, match=f" {BLOCK - skipped - (blocks == 3)} bytes are missing"):
            given.extend(reading)


def test_a_redirected_file_that_grows_comes_as_far_as_it_goes(file: Path) -> None:
    """As of a stream its size is information only."""
    with file.open("rb") as opened:
        source = DescriptorSource(os.dup(opened.fileno()), owned=True)
        grow(file)
        assert read_all(source) == file.read_bytes()


def test_a_redirected_file_is_read_again_from_where_it_stood(file: Path) -> None:
    """What a program before us in the shell has read is not ours, the second time neither."""
    source = redirected(file)
    os.lseek(source._descriptor, 7, os.SEEK_SET)
    source = DescriptorSource(os.dup(source._descriptor), owned=True)
    for _ in range(2):
        assert read_all(source) == file.read_bytes()[7:]


@pytest.mark.parametrize("change", ["written", "replaced"])
def test_security_a_file_that_changed_is_not_read_again_as_the_same(file: Path, change: str) -> None:
    """Between two readings, too, it must not be written to; one that was renamed over it is another file."""
    source = FileSource(file)
    before = read_all(source)
    if change == "written":
        file.write_bytes(b"x" * len(before))
        os.utime(file, ns=(1, 1))
        with pytest.raises(SourceFault, match="changed"):
            read_all(source)
    else:
        (file.parent / "new").write_bytes(b"new")
        os.replace(file.parent / "new", file)
        assert read_all(source) == before


def test_streams_are_not_restartable() -> None:
    """A pipe and an iterable give what they give once."""
    readable, writable = os.pipe()
    os.close(writable)
    assert not DescriptorSource(readable, owned=True).restartable
    assert not IterableSource([b"x"]).restartable


def test_files_that_are_not_read_to_their_end_are_closed(file: Path) -> None:
    """Never read, read in part, and refused: no descriptor stays open (see the fixture)."""
    FileSource(file)
    next(FileSource(file).blocks(BLOCK))
    with pytest.raises(SourceFault):
        FileSource(file, "")


@pytest.mark.parametrize("make", [FileSource, open_source])
def test_what_cannot_be_opened_costs_no_session(make: Callable[[str], Source], tmp_path: Path) -> None:
    """A missing file, a folder, a way through a file and a loop of links fail at once."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in {
        tmp_path / "missing": "no such file",
        tmp_path: "it is a folder",
        tmp_path / "file" / "x": "not a directory",
        tmp_path / "loop": "symbolic links",
        tmp_path / ("n" * 256): "name too long",
    }.items():
        with pytest.raises(SourceFault, match=reason) as caught:
            make(str(path))
        assert str(tmp_path) not in caught.value.for_peer
        assert caught.value.exit_status == 1


@pytest.mark.parametrize("make", [FileSource, open_source])
def test_a_file_without_permission_fails(make: Callable[[str], Source]) -> None:
    """What this user may not read is a source fault."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "secret")
        path.touch(mode=0o000)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root
            os.seteuid(65534)
        try:
            with pytest.raises(SourceFault, match="permission denied"):
                make(str(path))
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_is_no_file(path: str) -> None:
    """What has no size is not sent as a file of zero bytes; as a stream it is."""
    with pytest.raises(SourceFault, match="no regular file"):
        FileSource(path)
    assert open_source(path).offer == Offer(Kind.STREAM, Path(path).name, None)


def test_devices_are_streams() -> None:
    """/dev/null is an empty one, and /dev/zero gives as much as is taken."""
    assert read_all(open_source("/dev/null")) == b""
    assert bytes(next(open_source("/dev/zero").blocks(BLOCK))) == bytes(BLOCK)


# Descriptors


def test_a_few_bytes_leave_at_once(pipe: tuple[int, int]) -> None:
    """Live input is not kept back until a block is full: the writer is still there."""
    readable, writable = pipe
    source = DescriptorSource(readable, "live")
    assert source.offer == Offer(Kind.STREAM, "live", None)
    blocks = source.blocks(1 << 16)
    for said in (b"a", b"few bytes", b"\n"):
        os.write(writable, said)
        assert bytes(in_time(lambda: next(blocks))) == said


def test_a_pipe_comes_exactly_until_its_end(pipe: tuple[int, int]) -> None:
    """Everything written before the writer closed comes, then the stream ends in order."""
    readable, writable = pipe
    data = os.urandom(300_000)

    def write() -> None:
        with open(writable, "wb", closefd=True) as end:
            end.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    assert in_time(lambda: read_all(DescriptorSource(readable), 1 << 16)) == data
    writer.join()


def test_a_busy_writers_portions_are_joined(pipe: tuple[int, int]) -> None:
    """What is there when a block is read travels in one record, not in one per write."""
    readable, writable = pipe
    for number in range(20):
        os.write(writable, bytes([number]) * 10)
    block = in_time(lambda: next(DescriptorSource(readable).blocks(1 << 16)))
    assert len(block) == 200


def test_portions_that_come_one_by_one_are_joined() -> None:
    """Also where the system hands out one message for each read."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for number in range(20):
            theirs.send(bytes([number]) * 10)
        blocks = DescriptorSource(ours.fileno()).blocks(1 << 16)
        assert len(in_time(lambda: next(blocks))) == 200
        theirs.send(b"later")
        assert bytes(in_time(lambda: next(blocks))) == b"later"
        theirs.shutdown(socket.SHUT_WR)
        assert in_time(lambda: list(blocks)) == []


def test_a_joined_block_is_never_too_long(pipe: tuple[int, int]) -> None:
    """However much waits, a block has its size at most, and nothing is lost between two."""
    readable, writable = pipe
    os.write(writable, data := os.urandom(10 * BLOCK + 7))
    os.close(writable)
    assert in_time(lambda: read_all(DescriptorSource(readable))) == data


def test_portions_are_joined_up_to_the_block_only() -> None:
    """A large portion behind a small one does not make the block too long."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for length in (10, BLOCK):
            theirs.send(bytes(length))
        assert len(in_time(lambda: next(DescriptorSource(ours.fileno()).blocks(BLOCK)))) == BLOCK


def test_an_end_right_behind_the_bytes_loses_none(pipe: tuple[int, int]) -> None:
    """Bytes and end found together: the bytes come first."""
    readable, writable = pipe
    os.write(writable, b"last words")
    os.close(writable)
    assert in_time(lambda: read_all(DescriptorSource(readable))) == b"last words"


def test_an_empty_pipe_is_an_empty_stream(pipe: tuple[int, int]) -> None:
    """A writer that closes without a word made a stream of zero bytes."""
    readable, writable = pipe
    os.close(writable)
    assert in_time(lambda: read_all(DescriptorSource(readable))) == b""


def test_cancel_ends_a_read_that_waits(pipe: tuple[int, int]) -> None:
    """It fails and does not end in order: what came is not all there was."""
    readable, writable = pipe
    source = DescriptorSource(readable)
    blocks = source.blocks(BLOCK)
    os.write(writable, b"first")
    assert bytes(next(blocks)) == b"first"
    timer = threading.Timer(0.05, source.cancel)
    timer.start()
    with pytest.raises(SourceFault, match="cancelled"):
        in_time(lambda: next(blocks))
    timer.join()


def test_cancel_before_and_after_reading_is_harmless(pipe: tuple[int, int]) -> None:
    """Any thread may cancel at any time, and more than once."""
    readable, writable = pipe
    source = DescriptorSource(readable)
    source.cancel()
    source.cancel()
    os.write(writable, b"there is something to read")
    with pytest.raises(SourceFault, match="cancelled"):
        in_time(lambda: read_all(source))
    source.cancel()
    for other in (BytesSource(b"x"), IterableSource([b"x"])):
        other.cancel()
        assert read_all(other) == b"x"


@pytest.mark.parametrize("skipped", [0, 1, 3 * BLOCK - 1, 3 * BLOCK, 4 * BLOCK])
def test_a_redirected_file_knows_its_size(file: Path, skipped: int) -> None:
    """`selo emit - < file`: the size is what is left from where the file stands."""
    with file.open("rb") as opened:
        os.lseek(opened.fileno(), skipped, os.SEEK_SET)
        source = DescriptorSource(opened.fileno())
        data = file.read_bytes()[skipped:]
        assert source.offer == Offer(Kind.STREAM, None, len(data))
        assert read_all(source) == data


def test_a_descriptor_that_is_not_open_fails_at_once() -> None:
    """`selo emit - <&-` is told so, and does not read what has got the number since."""
    readable, writable = os.pipe()
    os.close(readable)
    os.close(writable)
    with pytest.raises(SourceFault, match="bad file descriptor"):
        DescriptorSource(readable)


def test_a_descriptor_that_cannot_be_read_fails(file: Path, tmp_path: Path) -> None:
    """A folder, and a file that is open for writing only."""
    for path, flags, reason in (
        (tmp_path, os.O_RDONLY, "is a directory"),
        (file, os.O_WRONLY, "bad file descriptor"),
    ):
        descriptor = os.open(path, flags)
        try:
            with pytest.raises(SourceFault, match=reason):
                in_time(lambda fd=descriptor: read_all(DescriptorSource(fd)))
        finally:
            os.close(descriptor)


def test_a_descriptor_that_is_not_owned_stays_open(pipe: tuple[int, int]) -> None:
    """Standard input is not ours to close; what ``open_source`` opened is (see the fixture)."""
    os.close(pipe[1])
    read_all(DescriptorSource(pipe[0]))
    gc.collect()
    os.fstat(pipe[0])


def test_a_terminal_can_be_a_source() -> None:
    """Bytes typed at a terminal leave at once."""
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        blocks = DescriptorSource(slave).blocks(BLOCK)
        os.write(master, b"typed")
        assert bytes(in_time(lambda: next(blocks))) == b"typed"
    finally:
        os.close(master)
        os.close(slave)


def test_a_fifo_is_opened_without_its_writer(tmp_path: Path) -> None:
    """Opening does not wait, where no signal could end it; reading does, and a writer may come later."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = in_time(lambda: open_source(str(fifo)))
    assert source.offer == Offer(Kind.STREAM, "fifo", None)

    def write() -> None:
        with fifo.open("wb") as end:
            end.write(b"from the other side")

    timer = threading.Timer(0.05, write)
    timer.start()
    assert in_time(lambda: read_all(source)) == b"from the other side"
    timer.join()


def test_a_fifo_without_a_writer_can_be_cancelled(tmp_path: Path) -> None:
    """Nobody ever writes: cancel ends the wait."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = in_time(lambda: open_source(str(fifo)))
    timer = threading.Timer(0.05, source.cancel)
    timer.start()
    with pytest.raises(SourceFault, match="cancelled"):
        in_time(lambda: read_all(source))
    timer.join()


def test_a_fifo_is_no_file(tmp_path: Path) -> None:
    """A FIFO taken for a file would arrive as zero bytes."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceFault, match="no regular file"):
        in_time(lambda: FileSource(tmp_path / "fifo"))


def test_a_process_with_many_descriptors_can_read(pipe: tuple[int, int]) -> None:
    """Numbers above the 1,024 that select() takes are fine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this process may not open that many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    opened = [os.dup(pipe[0]) for _ in range(1100)]
    try:
        os.write(pipe[1], b"x")
        assert bytes(in_time(lambda: next(DescriptorSource(opened[-1]).blocks(BLOCK)))) == b"x"
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
