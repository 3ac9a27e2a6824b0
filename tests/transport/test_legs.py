"""What every leg promises, over every transport."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from selo.errors import MisuseError
from selo.transport import PipeLeg, pipe_pair
from selo.transport.base import Leg, LegClosed, Listener, Ready

from .wires import (
    MAX_FRAME,
    PATIENCE,
    await_that,
    await_usable,
    carry,
    meet,
    receive,
    receive_rest,
    send,
    start_peer,
    ticket,
)

Joined = tuple[Leg, Leg]

EDGES = [size for edge in (1 << 8, 8 << 10, 1 << 16, 1 << 20) for size in (edge - 1, edge, edge + 1)]


def numbered(sizes: list[int]) -> list[bytes]:
    """Frames of these sizes, each different from its neighbours."""
    return [bytes([number % 251]) * size for number, size in enumerate(sizes)]


@pytest.mark.parametrize("backwards", [False, True], ids=["there", "back"])
def test_frames_of_every_size_arrive_whole_and_in_order(legs: Joined, backwards: bool) -> None:
    """Sizes 1 to 70 and around every boundary of the code, in both directions."""
    sender, receiver = reversed(legs) if backwards else legs
    frames = numbered([*range(1, 71), *EDGES, MAX_FRAME])
    assert carry(sender, receiver, frames) == frames


def test_frames_may_be_any_kind_of_bytes(legs: Joined) -> None:
    """bytes, bytearray and memoryview are sent alike, small ones and those sent from where they lie."""
    one, two = legs
    for size in (10, 100_000):
        data = os.urandom(size)
        for frame in (data, bytearray(data), memoryview(bytearray(data)), memoryview(data)):
            send(one, frame)
            assert receive(two) == data


def test_both_directions_at_once(legs: Joined) -> None:
    """Two threads, one for each leg, send and receive at the same time; nothing is lost or mixed up."""
    frames = numbered([100_000, 1, 5000] * 60)
    got: dict[int, list[bytes]] = {0: [], 1: []}

    def run(side: int) -> None:
        leg, todo = legs[side], list(frames)
        until = time.monotonic() + PATIENCE
        while (todo or len(got[side]) < len(frames)) and time.monotonic() < until:
            while todo and leg.try_send(todo[0]):
                todo.pop(0)
            while (frame := leg.try_receive()) is not None:
                got[side].append(bytes(frame))
            leg.wait(0.1, want_write=bool(todo))

    threads = [threading.Thread(target=run, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {0: frames, 1: frames}


@pytest.mark.parametrize("kind", ["pipe", "memory"])
def test_back_pressure(legs: Joined) -> None:
    """While nobody reads, try_send says False after a bounded number of bytes; then everything arrives."""
    sender, receiver = legs
    frames = numbered([100_000] * 1000)
    sent = 0
    # The pipe's helper threads move some of it on: only room that stays away is back-pressure.
    while sent < len(frames) and sender.wait(0.3, want_write=True).writable:
        while sent < len(frames) and sender.try_send(frames[sent]):
            sent += 1
    assert 0 < sent < 200
    arrived = [receive(receiver) for _ in range(sent)]
    assert arrived == frames[:sent]
    assert carry(sender, receiver, [b"more"]) == [b"more"]


class TestWaiting:
    """``wait`` comes back for the reasons it gives, and for no other."""

    def test_nothing_happens(self, legs: Joined) -> None:
        """All false when the time is over."""
        assert legs[0].wait(0.01) == Ready(False, False, False)

    def test_room(self, legs: Joined) -> None:
        """With ``want_write`` a leg with room is writable at once; without, nobody is told."""
        assert legs[0].wait(PATIENCE, want_write=True) == Ready(False, True, False)

    def test_a_frame(self, legs: Joined) -> None:
        """A frame makes readable, as often as asked, until it is taken."""
        one, two = legs
        send(one, b"x")
        assert two.wait(PATIENCE).readable
        assert two.wait(PATIENCE).readable
        assert receive(two) == b"x"
        assert not two.wait(0.01).readable

    def test_wake_from_another_thread(self, legs: Joined) -> None:
        """A wake ends the wait that sleeps, once."""
        thread = threading.Timer(0.05, legs[0].wake)
        thread.start()
        assert legs[0].wait(PATIENCE) == Ready(False, False, True)
        assert legs[0].wait(0.01) == Ready(False, False, False)
        thread.join()

    def test_wake_before_wait(self, legs: Joined) -> None:
        """A wake is kept for the next wait; many are one."""
        for _ in range(100_000):
            legs[0].wake()
        assert legs[0].wait(PATIENCE).woken
        assert not legs[0].wait(0.01).woken

    def test_wake_from_a_signal_handler(self, legs: Joined) -> None:
        """A handler that runs while the same thread waits ends its wait."""
        before = signal.signal(signal.SIGALRM, lambda *_: legs[0].wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert legs[0].wait(PATIENCE).woken
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class TestTheEnd:
    """Closing, from either end."""

    def test_the_other_end_is_told(self, legs: Joined) -> None:
        """After a close the other end's wait comes back readable, and each of its calls raises LegClosed."""
        one, two = legs
        one.close()
        assert two.wait(PATIENCE).readable
        assert receive_rest(two) == []
        for _ in range(2):
            with pytest.raises(LegClosed):
                two.try_receive()
            with pytest.raises(LegClosed):
                two.try_send(b"x")

    def test_a_sender_that_never_reads_is_told(self, legs: Joined) -> None:
        """try_send alone finds out that nobody is there any more."""
        one, two = legs
        one.close()
        with pytest.raises(LegClosed):
            await_that(lambda: two.try_send(b"x") and two.wait(0.01) and False)

    def test_our_own_close(self, legs: Joined) -> None:
        """A closed leg says so; closing and waking it again does nothing."""
        leg = legs[0]
        leg.close()
        leg.close()
        leg.wake()
        assert leg.wait(PATIENCE) == Ready(True, False, False)
        with pytest.raises(LegClosed, match="this end"):
            leg.try_receive()
        with pytest.raises(LegClosed, match="this end"):
            leg.try_send(b"x")

    def test_wake_after_close_writes_into_no_other_file(self, legs: Joined) -> None:
        """Descriptors that come after a close get nothing from a late wake."""
        legs[0].close()
        pipes = [os.pipe() for _ in range(8)]
        legs[0].wake()
        for reader, writer in pipes:
            os.close(writer)
            assert os.read(reader, 1) == b""
            os.close(reader)


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1])
def test_a_frame_that_may_not_be_sent(legs: Joined, length: int) -> None:
    """Empty and too long frames are the caller's mistake; the leg stays usable."""
    one, two = legs
    with pytest.raises(MisuseError):
        one.try_send(bytes(length))
    send(one, b"x")
    assert receive(two) == b"x"


Peer = tuple[Leg, "subprocess.Popen[str]"]


@pytest.fixture(params=["tcp", "ipc", "pipe"])
def peer(request: pytest.FixtureRequest, make_listener: Callable[..., Listener]) -> Iterator[Peer]:
    """A leg, and the process at its other end."""
    if request.param == "pipe":
        ours, theirs = pipe_pair()
        process = start_peer("pipe", str(theirs.fileno()), pass_fds=(theirs.fileno(),))
        theirs.close()
        leg: Leg = PipeLeg(ours, max_frame=MAX_FRAME)
    else:
        listener = make_listener(request.param)
        process = start_peer(listener.address, ticket().hex())
        accepted = listener.accept(PATIENCE)
        assert accepted is not None
        leg = accepted
    for _ in range(2):
        send(leg, b"turn")
        assert receive(leg) == b"turn"
    yield leg, process
    process.kill()
    process.communicate()
    leg.close()


def test_a_killed_peer_is_noticed(peer: Peer) -> None:
    """SIGKILL at the other end ends the leg."""
    leg, process = peer
    process.kill()
    assert receive_rest(leg) == []


def test_a_stopped_peer_makes_back_pressure(peer: Peer) -> None:
    """While the other process is stopped, a bounded number of frames is taken; then all of them arrive."""
    leg, process = peer
    os.kill(process.pid, signal.SIGSTOP)
    digest, count = hashlib.blake2b(), 0
    while leg.wait(0.5, want_write=True).writable:
        frame = count.to_bytes(4, "big") * 25_000
        while leg.try_send(frame):
            digest.update(frame)
            count += 1
            frame = count.to_bytes(4, "big") * 25_000
        assert count < 1000
    os.kill(process.pid, signal.SIGCONT)
    send(leg, b"end")
    assert receive(leg) == f"{count} {digest.hexdigest()}".encode()


@pytest.mark.parametrize(("kind", "cycles"), [("tcp", 200), ("ipc", 50), ("pipe", 100), ("memory", 100)])
def test_nothing_leaks(
    kind: str, cycles: int, join: Callable[[str], Joined], make_listener: Callable[..., Listener]
) -> None:
    """Descriptors and threads are the same after many connections as after a few."""
    listener = make_listener(kind) if kind in ("tcp", "ipc") else None

    def cycle() -> None:
        one, two = meet(listener) if listener else join(kind)
        send(one, b"x")
        assert receive(two) == b"x"
        one.close()
        two.close()

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    cycle()
    before = held()
    for _ in range(cycles):
        cycle()
    # libzmq closes the descriptors of a socket a moment after the socket.
    await_that(lambda: held() <= before)
    assert held()[1] == before[1]


def test_a_leg_that_connects_is_not_writable_before_it_is_let_in(
    make_listener: Callable[..., Listener],
) -> None:
    """try_send is False at first, then the first frame is one that the session meant for this peer."""
    from selo.transport import connect

    listener = make_listener("tcp")
    leg = connect(listener.address, ticket(), max_frame=MAX_FRAME)
    assert not leg.try_send(b"too early")
    accepted = listener.accept(PATIENCE)
    assert accepted is not None
    await_usable(leg)
    send(leg, b"first")
    assert receive(accepted) == b"first"
    leg.close()
