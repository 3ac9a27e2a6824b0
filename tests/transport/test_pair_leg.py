"""What somebody who was let in, or who says so, can do to us: nothing but end his own leg."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from selo.transport.base import FrameRefused, Leg, LegClosed, Listener
from selo.transport.inflow import bytes_received

from . import zmtp
from .wires import MAX_FRAME, PATIENCE, await_that, meet, receive, receive_rest, send, ticket

VICTIM = Path(__file__).with_name("victim.py")
MIB = 1 << 20

Admitted = tuple[socket.socket, Leg]


@pytest.fixture(params=["tcp", "ipc"])
def admitted(request: pytest.FixtureRequest, make_listener: Callable[..., Listener]) -> Iterator[Admitted]:
    """A raw connection that was let in, and the leg that it became."""
    listener = make_listener(request.param)
    raw = zmtp.admitted(listener.address, ticket())
    leg = listener.accept(PATIENCE)
    assert leg is not None
    yield raw, leg
    leg.close()
    raw.close()


class TestFrames:
    """What may arrive, byte for byte."""

    def test_everything_that_arrived_is_read_before_the_end(self, admitted: Admitted) -> None:
        """A peer that sends and leaves at once is heard to its last frame."""
        raw, leg = admitted
        frames = [bytes([number]) * (1 + number * 40) for number in range(40)]
        raw.sendall(b"".join(map(zmtp.message, frames)))
        raw.close()
        assert receive_rest(leg) == frames

    @pytest.mark.parametrize("before", [0, 1, 3])
    def test_security_a_message_of_two_parts_ends_the_leg(self, admitted: Admitted, before: int) -> None:
        """The frames before it are good; after it nothing is, not even what would be."""
        raw, leg = admitted
        raw.sendall(zmtp.message(b"ok") * before)
        raw.sendall(zmtp.message(b"a", zmtp.MORE) + zmtp.message(b"b") + zmtp.message(b"ok"))
        for _ in range(before):
            assert receive(leg) == b"ok"
        for _ in range(2):
            with pytest.raises(FrameRefused, match="several parts"):
                receive(leg)
        with pytest.raises(FrameRefused):
            leg.try_send(b"x")

    def test_security_an_empty_message_ends_the_leg(self, admitted: Admitted) -> None:
        """No frame is empty."""
        raw, leg = admitted
        raw.sendall(zmtp.message(b"") + zmtp.message(b"ok"))
        for _ in range(2):
            with pytest.raises(FrameRefused, match="empty"):
                receive(leg)

    def test_security_a_frame_over_the_limit_ends_the_leg(self, admitted: Admitted) -> None:
        """One byte more than the limit is not read; the longest frame is."""
        raw, leg = admitted
        raw.sendall(zmtp.message(b"1") + zmtp.message(b"2"))
        assert [receive(leg), receive(leg)] == [b"1", b"2"]
        raw.sendall(zmtp.message(bytes(MAX_FRAME)))
        assert receive(leg) == bytes(MAX_FRAME)
        with suppress(OSError):
            raw.sendall(zmtp.message(bytes(MAX_FRAME + 1)))
        with pytest.raises(LegClosed):
            receive(leg)

    def test_a_large_frame_is_not_copied(self, admitted: Admitted) -> None:
        """It comes as a view that may be decrypted in place; a small one as bytes that pin nothing else."""
        raw, leg = admitted
        raw.sendall(zmtp.message(b"1") + zmtp.message(b"2"))
        assert [receive(leg), receive(leg)] == [b"1", b"2"]
        raw.sendall(zmtp.message(bytes(8191)) + zmtp.message(bytes(8192)))
        await_that(lambda: leg.wait(1.0).readable)
        small = leg.try_receive()
        await_that(lambda: leg.wait(1.0).readable)
        large = leg.try_receive()
        assert isinstance(small, bytes)
        assert isinstance(large, memoryview)
        large[0] = 1


def test_the_end_is_told_after_a_moment(make_listener: Callable[..., Listener]) -> None:
    """News of the end may overtake the last frames between libzmq's threads: the leg is not over at once."""
    one, two = meet(make_listener())
    link = two._link  # type: ignore[attr-defined]
    link.ended = True
    assert two.try_receive() is None
    assert not two.try_send(b"x")
    with pytest.raises(LegClosed):
        receive(two)
    one.close()


class Victim:
    """A listener in a process of its own."""

    def __init__(self, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIM), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.address = self.says()

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def hears(self) -> None:
        """End its sleep."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    @property
    def resident(self) -> int:
        """Bytes of memory that it has now."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """The most that it ever had."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"{name}:\s+(\d+) kB", text)
        assert match is not None, "the process is gone"
        return int(match[1]) << 10


@pytest.fixture
def start_victim() -> Iterator[Callable[[str], Victim]]:
    """Starts listeners in processes of their own."""
    started: list[Victim] = []

    def start(mode: str) -> Victim:
        started.append(Victim(mode))
        return started[-1]

    yield start
    for victim in started:
        victim.process.kill()
        victim.process.communicate()


@pytest.mark.parametrize("ttl", [0, 1])
def test_security_no_peer_can_abort_the_process(start_victim: Callable[[str], Victim], ttl: int) -> None:
    """A peer sends more frames than are read, ZMTP PINGs among them, and resets its connection.

    With a bound on received frames, libzmq 4.3.5 aborts when the frames are read afterwards.
    """
    victim = start_victim("sleep")
    raw = zmtp.admitted(victim.address, ticket())
    assert victim.says() == "in"
    ping = zmtp.command(b"PING", ttl.to_bytes(2, "big"))
    raw.sendall((zmtp.message(b"twenty bytes at most") * 5 + ping) * 400)
    # Its PONGs say that libzmq has read at least some of it.
    assert raw.recv(1)
    zmtp.reset(raw)
    victim.hears()
    assert victim.says().startswith("out LegClosed")
    again = _soon(lambda: zmtp.admitted(victim.address, ticket()))
    assert victim.says() == "in"
    again.close()


@pytest.mark.parametrize("size", [0, 40, MIB - 100], ids=["empty", "small", "large"])
def test_security_an_endless_message_ends_its_leg(start_victim: Callable[[str], Victim], size: int) -> None:
    """Parts without an end, from a peer with a ticket, are cut off before they fill the memory."""
    victim = start_victim("read")
    before = victim.resident
    raw = zmtp.admitted(victim.address, ticket())
    assert victim.says() == "in"
    part = zmtp.message(bytes(size), zmtp.MORE)
    parts = part * max(1, MIB // len(part))
    sent = 0
    with raw, suppress(OSError):
        while sent < 2048 * MIB:
            raw.sendall(parts)
            sent += len(parts)
    assert victim.says() == "out FrameRefused 0"
    assert victim.peak - before < 600 * MIB
    assert sent < 2048 * MIB


def test_security_frames_that_nobody_reads_end_the_leg(
    make_listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leg whose peer sends on and on while nothing is read is given up at its bound."""
    listener = make_listener(max_ahead=4 * MIB)
    one, two = meet(listener)
    for _ in range(2):
        send(one, b"x")
        assert receive(two) == b"x"

    def refused() -> bool:
        with suppress(LegClosed):
            one.try_send(bytes(100_000))
        two.wait(0.0)
        try:
            two.try_send(b"x")
        except FrameRefused as error:
            return str(4 * MIB) in str(error)
        return False

    await_that(refused)
    one.close()


def test_security_before_two_frames_were_read_little_may_wait(make_listener: Callable[..., Listener]) -> None:
    """The bound is low until two frames were taken, and does not count what was."""
    listener = make_listener()
    raw = zmtp.admitted(listener.address, ticket())
    leg = listener.accept(PATIENCE)
    assert leg is not None
    for _ in range(2):
        raw.sendall(zmtp.message(bytes(60_000)))
        assert len(receive(leg)) == 60_000
    raw.sendall(zmtp.message(bytes(60_000)) * 10)
    assert [len(receive(leg)) for _ in range(10)] == [60_000] * 10
    leg.close()
    raw.close()

    assert listener.accept(0) is None  # binds the address again
    raw = _soon(lambda: zmtp.admitted(listener.address, ticket()))
    leg = listener.accept(PATIENCE)
    assert leg is not None
    raw.sendall(zmtp.message(bytes(30_000)) * 3)
    with pytest.raises(FrameRefused, match="unread bytes"):
        await_that(lambda: leg.wait(0.05).readable and leg.try_send(b"x") and False)
    raw.close()


def _soon(make: Callable[[], socket.socket]) -> socket.socket:
    """A connection, after as many attempts as it takes: a listener is away for a moment after each leg."""
    made: list[socket.socket] = []

    def attempt() -> bool:
        with suppress(OSError):
            made.append(make())
        return bool(made)

    await_that(attempt)
    return made[0]


HOLDERS = {
    "silent": b"",
    "greeting": zmtp.greeting(),
    "zmtp 1.0": b"\x01\x00",
    "zmtp 2.0": zmtp.SIGNATURE + b"\x01",
    "announces 2^62": zmtp.greeting() + b"\x06" + (1 << 62).to_bytes(8, "big"),
    "announces 1 MiB": zmtp.greeting() + b"\x06" + MIB.to_bytes(8, "big"),
    "sends 1 MiB": zmtp.greeting() + b"\x06" + MIB.to_bytes(8, "big") + b"\x05HELLO" + bytes(MIB - 7),
    "endless parts": zmtp.greeting() + zmtp.message(b"x", zmtp.MORE) * 100_000,
    "endless large parts": zmtp.greeting() + zmtp.message(bytes(MIB - 100), zmtp.MORE) * 8,
}


@pytest.mark.parametrize("words", HOLDERS.values(), ids=HOLDERS)
def test_security_a_stranger_costs_less_than_two_mebibytes(
    start_victim: Callable[[str], Victim], words: bytes
) -> None:
    """Forty strangers at once, each with what a listener might be made to hold for him."""
    victim = start_victim("read")
    zmtp.admitted(victim.address, ticket()).close()
    assert victim.says() == "in"
    assert victim.says().startswith("out")
    before = victim.resident
    strangers = []
    for _ in range(40):
        stranger = _soon(lambda: zmtp.dial(victim.address))
        stranger.settimeout(0.5)
        strangers.append(stranger)
        with suppress(OSError):
            stranger.sendall(words)
    assert victim.peak - before < 40 * 2 * MIB
    for stranger in strangers:
        stranger.close()


def test_the_kernel_counts_what_came_in() -> None:
    """bytes_received follows a connection, and knows nothing about what is none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        two, _ = server.accept()
    assert bytes_received(two.fileno()) == 0
    one.sendall(bytes(1000))
    await_that(lambda: bytes_received(two.fileno()) == 1000)
    assert len(two.recv(1000, socket.MSG_WAITALL)) == 1000
    assert bytes_received(two.fileno()) == 1000
    number = two.fileno()
    one.close()
    two.close()
    assert bytes_received(number) is None
    unix, other = socket.socketpair()
    assert bytes_received(unix.fileno()) is None
    unix.close()
    other.close()
