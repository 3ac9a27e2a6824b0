"""What the other end of a pipe can do to us."""

from __future__ import annotations

import os
import pickle
import struct
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from selo.transport import PipeLeg, pipe_pair
from selo.transport.base import FrameRefused, LegClosed

from .wires import await_that, receive, receive_rest

MAX = 1000

Half = tuple[Connection, PipeLeg]


@pytest.fixture
def half() -> Iterator[Half]:
    """A bare connection, and the leg at its other end."""
    bare, theirs = pipe_pair()
    leg = PipeLeg(theirs, max_frame=MAX)
    yield bare, leg
    leg.close()
    bare.close()


def test_everything_that_arrived_is_read_before_the_end(half: Half) -> None:
    """A peer that sends and leaves at once is heard to its last frame."""
    bare, leg = half
    frames = [bytes([number]) * (number + 1) for number in range(100)]
    for frame in frames:
        bare.send_bytes(frame)
    bare.close()
    assert receive_rest(leg) == frames


@pytest.mark.parametrize("length", [MAX + 1, 1 << 30, (1 << 31) - 1])
def test_security_an_announced_length_is_not_believed(half: Half, length: int) -> None:
    """A frame that is announced as too long ends the leg before a byte of it was sent."""
    bare, leg = half
    bare.send_bytes(b"ok")
    os.write(bare.fileno(), struct.pack("!i", length))
    assert receive(leg) == b"ok"
    for _ in range(2):
        with pytest.raises(FrameRefused, match="longer than 1000"):
            receive(leg)


def test_security_a_long_announced_length_is_not_believed(half: Half) -> None:
    """The same for the announcement with 64 bits."""
    bare, leg = half
    os.write(bare.fileno(), struct.pack("!i", -1) + struct.pack("!Q", 1 << 62))
    with pytest.raises(FrameRefused):
        receive(leg)


def test_security_an_empty_message_ends_the_leg(half: Half) -> None:
    """No frame is empty."""
    bare, leg = half
    bare.send_bytes(b"")
    with pytest.raises(FrameRefused, match="empty"):
        receive(leg)


def test_an_end_in_the_middle_of_a_frame_is_an_end(half: Half) -> None:
    """Half a frame is never handed out."""
    bare, leg = half
    os.write(bare.fileno(), struct.pack("!i", 100) + bytes(50))
    bare.close()
    with pytest.raises(LegClosed):
        receive(leg)


class _Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("/nonexistent/selo-was-here",)


def test_security_nothing_is_unpickled(half: Half) -> None:
    """A pickle is bytes like any others."""
    bare, leg = half
    bare.send(_Trap())
    assert receive(leg) == pickle.dumps(_Trap(), protocol=pickle.DEFAULT_PROTOCOL)


def test_close_does_not_wait_for_a_peer_that_stalls(half: Half) -> None:
    """Both helper threads hang in the middle of a frame; close ends them."""
    bare, leg = half
    os.write(bare.fileno(), struct.pack("!i", 100) + bytes(50))
    await_that(lambda: not leg.try_send(bytes(MAX)))
    leg.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("selo-pipe")]


def test_security_a_peer_cannot_fill_our_memory() -> None:
    """What was read and not taken is bounded by bytes, and tiny frames count for what they cost."""
    bare, theirs = pipe_pair()
    leg = PipeLeg(theirs, max_frame=MAX, queue_bytes=10_000)
    sent = 0

    def flood() -> None:
        nonlocal sent
        try:
            while True:
                bare.send_bytes(b"x")
                sent += 1
        except OSError:
            pass

    thread = threading.Thread(target=flood)
    thread.start()
    before = -1

    def stuck() -> bool:
        nonlocal before
        before, was = sent, before
        threading.Event().wait(0.1)
        return before == was > 0

    await_that(stuck)
    held = len(leg._arrived._frames)
    assert 0 < held < 10_000 // 256 + 2
    leg.close()
    thread.join()
    bare.close()
