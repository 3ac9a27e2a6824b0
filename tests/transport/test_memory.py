"""The tap: what the tests' wire can do to frames."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from selo.transport import memory_pair
from selo.transport.base import FrameRefused

from .wires import receive_rest


def sent_through(tap: object, frames: Iterable[bytes]) -> list[bytes]:
    """What arrives at the other end of a tapped wire."""
    one, two = memory_pair(max_frame=10, tap=tap)  # type: ignore[arg-type]
    for frame in frames:
        assert one.try_send(frame)
    one.close()
    try:
        return receive_rest(two)
    finally:
        two.close()


def test_a_tap_may_lose_double_change_and_reorder() -> None:
    """What it returns arrives, in its order, and nothing else."""
    held: list[bytes] = []

    def reorder(_direction: int, frame: bytes) -> list[bytes]:
        held.append(frame)
        return [held.pop(), held.pop()] if len(held) == 2 else []

    frames = [b"1", b"2", b"3", b"4"]
    assert sent_through(None, frames) == frames
    assert sent_through(lambda _, frame: [] if frame == b"2" else [frame], frames) == [b"1", b"3", b"4"]
    assert sent_through(lambda _, frame: [frame, frame], frames[:1]) == [b"1", b"1"]
    assert sent_through(lambda _, frame: [frame + b"!"], frames[:1]) == [b"1!"]
    assert sent_through(reorder, frames) == [b"2", b"1", b"4", b"3"]


def test_a_tap_knows_the_direction() -> None:
    """0 from the first end to the second, 1 back."""
    seen: list[tuple[int, bytes]] = []
    one, two = memory_pair(max_frame=10, tap=lambda *what: seen.append(what) or [])  # type: ignore[func-returns-value]
    one.try_send(b"there")
    two.try_send(b"back")
    assert seen == [(0, b"there"), (1, b"back")]
    one.close()
    two.close()


@pytest.mark.parametrize("frame", [b"", bytes(11)])
def test_security_impossible_frames_end_the_leg(frame: bytes) -> None:
    """What a tap makes is refused like what a transport would refuse, for good."""
    one, two = memory_pair(max_frame=10, tap=lambda *_: [b"ok", frame, b"ok"])
    one.try_send(b"x")
    assert two.try_receive() == b"ok"
    for _ in range(2):
        with pytest.raises(FrameRefused):
            two.try_receive()
    one.close()
    two.close()


def test_capacity_counts_frames() -> None:
    """Room for so many in each direction, and again when one was taken."""
    one, two = memory_pair(max_frame=10, capacity=3)
    assert [one.try_send(b"x") for _ in range(5)] == [True, True, True, False, False]
    assert two.try_send(b"y")
    assert two.try_receive() == b"x"
    assert one.wait(1.0, want_write=True).writable
    assert one.try_send(b"x")
    assert not one.try_send(b"x")
    one.close()
    two.close()
