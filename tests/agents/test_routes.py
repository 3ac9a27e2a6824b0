"""The listener of an end that is connected from the start."""

from __future__ import annotations

import pytest

from selo.agents.routes import FRAME_MAX, OneLegListener
from selo.transport import PipeLeg, pipe_pair
from selo.transport.base import LegClosed


def test_the_one_leg_is_handed_out_once() -> None:
    """The first accept yields the leg, every later one says that nobody else can come."""
    near, far = pipe_pair()
    leg, other = PipeLeg(near, max_frame=FRAME_MAX), PipeLeg(far, max_frame=FRAME_MAX)
    listener = OneLegListener(leg, "pipe:")
    try:
        assert listener.address == "pipe:"
        listener.wake()
        assert listener.accept(0.0) is leg
        for _ in range(2):
            with pytest.raises(LegClosed):
                listener.accept(0.0)
        assert listener.take_refusals() == []
    finally:
        listener.close()
        listener.close()
        other.close()


def test_closing_the_listener_closes_its_leg() -> None:
    """Handed out or not, the leg is closed, and the other end learns of it."""
    for taken in (False, True):
        near, far = pipe_pair()
        leg, other = PipeLeg(near, max_frame=FRAME_MAX), PipeLeg(far, max_frame=FRAME_MAX)
        listener = OneLegListener(leg, "pipe:")
        if taken:
            assert listener.accept(1.0) is leg
        listener.close()
        assert other.wait(20.0).readable
        with pytest.raises(LegClosed):
            other.try_receive()
        other.close()
