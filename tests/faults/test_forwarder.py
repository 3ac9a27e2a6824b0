"""The link of the tests: it does what they say, and sees what passes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from selo.crypto.records import RecordType
from selo.transport.frames import new_record_frame, pack_handshake

from ..transport import zmtp
from .forwarder import DOWN, UP, Forwarder
from .wire import Seen, Wire

SOON = 0.2
"""Seconds in which something that must not happen has its chance."""


@pytest.fixture
def ends() -> Iterator[tuple[Forwarder, socket.socket, socket.socket]]:
    """A forwarder with a connection through it: the connecting end and the listening one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        forwarder = Forwarder()
        forwarder.target = listener.getsockname()
        host, port = forwarder.address.removeprefix("tcp://").split(":")
        near = socket.create_connection((host, int(port)), timeout=10)
        far, _ = listener.accept()
        far.settimeout(10)
        yield forwarder, near, far
        near.close()
        far.close()
        forwarder.close()


def record(kind: RecordType, length: int) -> bytes:
    """A record as it travels, sealed by nobody."""
    frame = new_record_frame(length)
    frame.header[:] = struct.pack(">IBxxxQ", length + 32, kind, 7)
    return zmtp.message(bytes(frame.buffer))


STREAM = b"".join(
    (
        zmtp.greeting(),
        zmtp.hello(b"selo/1", bytes(48)),
        zmtp.command(b"READY", zmtp.metadata()),
        zmtp.message(pack_handshake(bytes(493))),
        zmtp.message(pack_handshake(bytes(81))),
        record(RecordType.OPEN, 40),
        record(RecordType.DATA, 100),
        record(RecordType.DATA, 70_000),
        record(RecordType.PING, 0),
        record(RecordType.FINAL, 56),
    )
)
KINDS = [
    *(("command", 0), ("command", 0), ("handshake", 0), ("handshake", 0)),
    *(("OPEN", 40), ("DATA", 100), ("DATA", 70_000), ("PING", 0), ("FINAL", 56)),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, len(STREAM)])
def test_frames_are_seen_however_they_are_cut(size: int) -> None:
    """Kinds, lengths and ends are the same for pieces of every size, and each frame begins before it ends."""
    wire, seen, ends = Wire(), [], []
    for start in range(0, len(STREAM), size):
        for each in wire.feed(STREAM[start : start + size]):
            seen.append(each)
            ends.append(start + each.end)
    assert [(each.kind, each.length) for each in seen if each.begun] == KINDS
    assert [(each.kind, each.length) for each in seen if not each.begun] == KINDS
    assert [each.begun for each in seen] == [True, False] * len(KINDS)
    assert ends == sorted(ends) and ends[-1] == len(STREAM)
    assert wire.data == 70_100


def test_record_types_are_those_of_the_protocol() -> None:
    """Every type that a record can have is told by its name."""
    for kind in RecordType:
        if kind is not RecordType.HANDSHAKE:
            wire = Wire()
            list(wire.feed(zmtp.greeting()))
            assert [each.kind for each in wire.feed(record(kind, 3))] == [kind.name] * 2


def test_bytes_go_both_ways_and_ends_too(ends) -> None:
    """What one end says the other hears, and that it ended."""
    forwarder, near, far = ends
    near.sendall(b"question")
    assert far.recv(100) == b"question"
    far.sendall(b"answer")
    far.close()
    assert (near.recv(100), near.recv(100)) == (b"answer", b"")
    assert (forwarder.counts.up, forwarder.counts.down, forwarder.counts.connections) == (8, 6, 1)


def test_down_keeps_everything_and_up_brings_it(ends) -> None:
    """Nothing passes and nobody is told; later all of it does."""
    forwarder, near, far = ends
    forwarder.down()
    near.sendall(b"kept")
    far.settimeout(SOON)
    with pytest.raises(TimeoutError):
        far.recv(100)
    forwarder.up()
    far.settimeout(10)
    assert far.recv(100) == b"kept"


def test_reset_is_told_to_both(ends) -> None:
    """Both ends get a reset."""
    forwarder, near, far = ends
    near.sendall(b"x")
    assert far.recv(1) == b"x"
    forwarder.reset()
    for each in (near, far):
        with pytest.raises(ConnectionResetError):
            each.recv(1)


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_one_bit_is_turned(ends, direction: str) -> None:
    """Exactly one, once, in that direction."""
    forwarder, near, far = ends
    one, other = (near, far) if direction == UP else (far, near)
    forwarder.corrupt(direction)
    for turned in (1, 0):
        one.sendall(bytes(1000))
        received = b""
        while len(received) < 1000:
            received += other.recv(1000)
        assert int.from_bytes(received, "big").bit_count() == turned


def test_a_strike_comes_in_time(ends) -> None:
    """What is called at a frame's end is done before anything after that frame passes."""
    forwarder, near, far = ends
    called = threading.Event()

    def watch(direction: str, seen: Seen):
        return called.set if (direction, seen.kind, seen.begun) == (UP, "OPEN", False) else None

    forwarder.watch = watch
    before = STREAM[: STREAM.index(record(RecordType.DATA, 100))]
    near.sendall(STREAM)
    received = b""
    while len(received) <= len(before):
        received += far.recv(1)
        assert called.is_set() or len(received) <= len(before)
    assert received[: len(before)] == before
