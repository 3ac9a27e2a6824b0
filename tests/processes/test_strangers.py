"""Strangers on the port of a running `selo receive`: none gets in, keeps others out, or costs much."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from selo.config.home import Home
from selo.config.trust import TrustStore
from selo.crypto.admission import make_ticket
from selo.crypto.handshake import emitter_hello
from selo.crypto.identity import PublicIdentity
from selo.transport.frames import new_record_frame, pack_handshake

from ..transport import zmtp

PATIENCE = 20.0
MIB = 1 << 20

LARGEST_FRAME = MIB + 57
"""What the Receiver's sockets take at all; who announces more is put out."""

STAY = 0.15
"""Seconds that one of a crowd stays silent before it leaves and comes back."""

JUNK = zmtp.message(b"junk") * 3
GREETING = zmtp.greeting()

# What strangers say, given a good ticket of which they make no good use.
STRANGERS: dict[str, list[Callable[[bytes], bytes]]] = {
    "silent": [lambda _: b"", lambda _: GREETING],
    "other programs": [
        lambda _: bytes(range(256)) * 4,
        lambda _: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda _: b"\x1b]0;owned\x07\x1b[2J" * 20,
    ],
    "other zmtp": [
        lambda _: b"\x01\x00" + b"\x05\x00junk",
        lambda _: zmtp.SIGNATURE + b"\x01\x00\x00\x00" + JUNK,
        lambda _: zmtp.greeting(b"NULL") + zmtp.command(b"READY", zmtp.metadata()) + JUNK,
        lambda _: GREETING + JUNK,
    ],
    "too much": [
        lambda _: GREETING + b"\x06" + (1 << 62).to_bytes(8, "big"),
        lambda _: GREETING + b"\x02" + (1 << 40).to_bytes(8, "big"),
        lambda _: GREETING + zmtp.message(b"x", zmtp.MORE) * 50_000,
    ],
    "not bob's": [
        lambda ticket: GREETING + zmtp.hello(b"selo/1", ticket[:-1] + bytes([ticket[-1] ^ 1])),
        lambda ticket: GREETING + zmtp.hello(b"selo/1", ticket[:-1]),
        lambda ticket: GREETING + zmtp.hello(b"admin", ticket),
    ],
}


@pytest.fixture
def bob(homes) -> PublicIdentity:
    """What everybody may know of bob."""
    return TrustStore(Home(homes.alice)).get("bob").identity


@pytest.fixture
def ticket(bob) -> Callable[[], bytes]:
    """Makes good tickets for bob's gate."""
    return lambda: make_ticket(bob.fingerprint, os.urandom(16))


@pytest.fixture
def hello(homes, bob) -> Callable[[], bytes]:
    """Makes valid first messages (M1) of mallory's, as frames."""
    mallory = Home(homes.mallory).load_identity(None)

    def make() -> bytes:
        m1, _ = emitter_hello(
            identity=mallory, peer=bob, nonce=os.urandom(32), exponent=b"\x80" + os.urandom(39)
        )
        return pack_handshake(m1)

    return make


@pytest.fixture
def parcel(tmp_path: Path) -> Path:
    """A file to deliver."""
    path = tmp_path / "parcel"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty folder to deliver into."""
    path = tmp_path / "inbox"
    path.mkdir()
    return path


def assert_delivers(receiver, emitter, parcel: Path, inbox: Path) -> None:
    """The delivery succeeds, and nothing but the parcel was written."""
    assert (emitter.end(), receiver.end()) == (0, 0), (emitter.events[-1], receiver.events[-1])
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"parcel": parcel.read_bytes()}


def patiently(action: Callable[[], socket.socket]) -> socket.socket:
    """Do it again while the place is taken, or its address being bound again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except OSError:
            assert time.monotonic() < deadline, "the place was never free"
            time.sleep(0.005)


def knock(address: str) -> socket.socket:
    """Connect, and say nothing yet."""
    return patiently(lambda: zmtp.dial(address))


def enter(address: str, ticket: Callable[[], bytes]) -> socket.socket:
    """Go through the gate."""
    return patiently(lambda: zmtp.admitted(address, ticket()))


@contextmanager
def crowd(address: str, words: Iterable[Callable[[], bytes]]) -> Iterator[None]:
    """Two strangers for each of the words: they connect, say it, stay a moment, and come back at once."""
    over = threading.Event()

    def keep_coming(say: Callable[[], bytes]) -> None:
        while not over.wait(0.001):
            with suppress(OSError), zmtp.dial(address) as stranger:
                stranger.settimeout(STAY)
                stranger.sendall(say())
                while stranger.recv(4096):
                    pass

    visitors = [threading.Thread(target=keep_coming, args=(say,)) for say in words for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    try:
        yield
    finally:
        over.set()
        for visitor in visitors:
            visitor.join(PATIENCE)


@pytest.mark.parametrize("words", STRANGERS.values(), ids=STRANGERS)
def test_security_a_crowd_of_strangers_changes_nothing(
    receive, emit, ticket, parcel: Path, inbox: Path, words: list[Callable[[bytes], bytes]]
) -> None:
    """While they keep coming, a delivery arrives, soon and exactly; they are reported and write nothing."""
    receiver = receive("--into", inbox)
    with crowd(receiver.address, [lambda say=say: say(ticket()) for say in words]):
        receiver.wait_for("refused")
        emitter = emit(receiver, parcel)
        assert_delivers(receiver, emitter, parcel, inbox)
    assert emitter.named("delivered")[0]["seconds"] < 5.0
    for refused in receiver.named("refused"):
        # Where somebody came from who is gone already, the system does not tell.
        assert refused["peer_address"] in ("127.0.0.1", "an unknown address")
        assert refused["reason"].isprintable()


def test_security_ticket_holders_who_talk_nonsense_are_put_out(
    receive, emit, ticket, hello, parcel: Path, inbox: Path
) -> None:
    """One after another is refused for what it said, and the next finds the Receiver as it was."""
    record = bytes(new_record_frame(100).buffer)
    spoilt = bytearray(hello())
    spoilt[-1] ^= 1
    nonsense = [
        (zmtp.message(b"junk"), "it starts like no frame"),
        (zmtp.message(b""), "it is empty"),
        (zmtp.message(record), "a record before the handshake was over"),
        (zmtp.message(pack_handshake(bytes(4096))), "at most 4096"),
        (zmtp.message(bytes(LARGEST_FRAME)), ""),  # which bound notices first is open
        (zmtp.message(hello(), zmtp.MORE) + zmtp.message(b"x"), "several parts"),
        (b"\x02" + (LARGEST_FRAME + 1).to_bytes(8, "big"), "closed the connection"),
        (zmtp.message(bytes(spoilt)), "did not authenticate"),
        (zmtp.message(hello()) * 2, "not a handshake message of Selo (M3"),
        (zmtp.message(hello()) + zmtp.message(b"junk"), "it starts like no frame"),
    ]
    receiver = receive("--into", inbox)
    for words, reason in nonsense:
        with enter(receiver.address, ticket) as stranger:
            with suppress(OSError):  # put out in the middle of the sentence
                stranger.sendall(words)
            # Where the place was taken a moment ago, that is told too.
            while (told := receiver.wait_for("refused")["reason"]) == "came while another peer was here":
                pass
            assert reason in told, words[:50]
            assert zmtp.ends(stranger)
    assert list(inbox.iterdir()) == []
    assert_delivers(receiver, emit(receiver, parcel), parcel, inbox)


class TestTheOnePlace:
    """Who holds a ticket and stalls keeps the place for one handshake deadline, from the gate's yes on."""

    FIRST_MESSAGE = 2.0
    HANDSHAKE = 2.5
    SLACK = 1.5  # seconds, for a busy machine: less than what a deadline that begins anew would add
    NEARLY = 0.9

    @pytest.fixture(params=["after WELCOME", "after READY", "after M1", "as slowly as can be"])
    def stalls(self, request, ticket, hello) -> Callable[[str], socket.socket]:
        """Takes the place and stalls."""

        def stall(address: str) -> socket.socket:
            stranger = zmtp.dial(address)
            stranger.sendall(GREETING)
            zmtp.read_exactly(stranger, 64)
            stranger.sendall(zmtp.hello(b"selo/1", ticket()))
            zmtp.expect(stranger, b"WELCOME")
            slowly = request.param == "as slowly as can be"
            steps = [zmtp.command(b"INITIATE", zmtp.metadata()), zmtp.message(hello())]
            taken = {"after WELCOME": 0, "after READY": 1}.get(request.param, 2)
            threading.Thread(target=self._say, args=(stranger, steps[:taken], slowly)).start()
            return stranger

        return stall

    def _say(self, stranger: socket.socket, steps: list[bytes], slowly: bool) -> None:
        for step in steps:
            if slowly:
                time.sleep(self.NEARLY * self.FIRST_MESSAGE)
            with suppress(OSError):
                stranger.sendall(step)

    def test_security_one_who_stalls_delays_by_one_handshake_deadline(
        self, receive, emit, stalls, parcel: Path, inbox: Path
    ) -> None:
        """The place is free one deadline after the stranger was let in, at the latest, for whoever comes."""
        deadlines = {
            "first_message_deadline": f"{self.FIRST_MESSAGE}s",
            "handshake_deadline": f"{self.HANDSHAKE}s",
        }
        receiver = receive("--into", inbox, settings=deadlines)
        let_in = time.monotonic()
        with stalls(receiver.address):
            receiver.wait_for("refused")
            assert time.monotonic() - let_in < self.HANDSHAKE + self.SLACK
            assert_delivers(receiver, emit(receiver, parcel), parcel, inbox)


# Memory


def memory(receiver, what: str) -> int:
    """Bytes: ``VmRSS``, or ``VmHWM`` (its peak)."""
    status = Path(f"/proc/{receiver.child.pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


@contextmanager
def watched(receiver) -> Iterator[list[int]]:
    """What the block costs the Receiver at its peak, in bytes; in the list when the block is over."""
    Path(f"/proc/{receiver.child.pid}/clear_refs").write_text("5")  # the peak so far is forgotten
    before, cost = memory(receiver, "VmRSS"), []
    yield cost
    assert receiver.child.poll() is None
    cost.append(memory(receiver, "VmHWM") - before)


@pytest.fixture
def warm(receive, ticket) -> Callable[..., object]:
    """Starts a Receiver that has refused somebody before: what that loads is no stranger's cost."""

    def start(**options: object):
        receiver = receive("-", **options)
        with enter(receiver.address, ticket) as stranger:
            stranger.sendall(zmtp.message(b"junk"))
            receiver.wait_for("refused")
        return receiver

    return start


def push(address: str, words: bytes, *, strangers: int, seconds: float) -> None:
    """Many strangers at once, each saying as much as it is let; who is put out comes back."""
    sockets: list[socket.socket | None] = [None] * strangers
    said = [0] * strangers
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for number, stranger in enumerate(sockets):
            try:
                if stranger is None:
                    sockets[number], said[number] = zmtp.dial(address), 0
                    sockets[number].setblocking(False)
                elif said[number] < len(words):
                    said[number] += stranger.send(words[said[number] : said[number] + (64 << 10)])
            except BlockingIOError:
                pass
            except OSError:
                if stranger is not None:
                    stranger.close()
                sockets[number] = None
    for stranger in sockets:
        if stranger is not None:
            stranger.close()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            b"\x06" + LARGEST_FRAME.to_bytes(8, "big") + bytes(LARGEST_FRAME - 1), id="1 MiB command"
        ),
        pytest.param(b"\x06" + (8 * MIB).to_bytes(8, "big") + bytes(8 * MIB - 1), id="8 MiB command"),
        pytest.param(zmtp.message(b"", zmtp.MORE) * (4 * MIB), id="endless parts"),
    ],
)
def test_security_a_stranger_costs_less_than_2_mib(warm, words: bytes) -> None:
    """Forty without a ticket, each sending all that it is let for longer than it is let."""
    receiver = warm()
    with watched(receiver) as cost:
        push(receiver.address, GREETING + words, strangers=40, seconds=1.5)
    assert cost[0] < 40 * 2 * MIB, f"{cost[0] / 40 / MIB:.1f} MiB a stranger"


@pytest.mark.parametrize("companions", [0, 1])
@pytest.mark.parametrize("first", ["at once", "after M1"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(zmtp.message(b"", zmtp.MORE) * (MIB // 2), id="empty parts"),
        pytest.param(zmtp.message(bytes(MIB), zmtp.MORE), id="1 MiB parts"),
        pytest.param(b"\x06" + MIB.to_bytes(8, "big") + bytes(MIB), id="1 MiB command"),
    ],
)
def test_security_a_ticket_holder_is_cut_off(
    warm, ticket, hello, words: bytes, first: str, companions: int
) -> None:
    """Let in, it says all that it can without an end, and comes back as often as it is put out.

    What comes in between two looks of the leg's thread is the cost: a few MiB, tens on a busy machine, and
    not the gigabyte that fits into a deadline. A companion who says nothing makes it unclear, for a while,
    whose connection was let in.
    """
    receiver = warm(settings={"first_message_deadline": "200ms", "handshake_deadline": "400ms"})
    with ExitStack() as others, watched(receiver) as cost:
        for _ in range(companions):
            others.enter_context(knock(receiver.address))
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            with enter(receiver.address, ticket) as stranger, suppress(OSError):
                stranger.settimeout(0.5)
                if first == "after M1":
                    stranger.sendall(zmtp.message(hello()))
                while True:
                    stranger.sendall(words)
    assert cost[0] < 128 * MIB, f"{cost[0] / MIB:.1f} MiB"


# Descriptors


class TestDescriptors:
    """More connections than the Receiver may have files open: strangers without a ticket cannot end it, or
    a delivery."""

    DESCRIPTORS = 64

    @contextmanager
    def besieged(self, receiver) -> Iterator[None]:
        """Silent strangers take every descriptor that there is."""
        resource.prlimit(receiver.child.pid, resource.RLIMIT_NOFILE, (self.DESCRIPTORS, self.DESCRIPTORS))
        with ExitStack() as strangers:
            for _ in range(2 * self.DESCRIPTORS - 8):
                strangers.enter_context(zmtp.dial(receiver.address))
            taken, deadline = Path(f"/proc/{receiver.child.pid}/fd"), time.monotonic() + 0.5
            while len(list(taken.iterdir())) < self.DESCRIPTORS and time.monotonic() < deadline:
                time.sleep(0.005)
            yield

    def test_the_receiver_outlives_it(self, receive, emit, parcel: Path, inbox: Path) -> None:
        """It stays up, and the Emitter who came meanwhile gets in after the strangers have gone."""
        receiver = receive("--into", inbox)
        with self.besieged(receiver):
            emitter = emit(receiver, parcel)
            time.sleep(0.5)  # it may have to wait where nothing tells of it: in the system's queue
        assert_delivers(receiver, emitter, parcel, inbox)

    def test_security_who_is_let_in_meanwhile_does_not_end_it(
        self, receive, emit, ticket, parcel: Path, inbox: Path
    ) -> None:
        """Somebody connected before them and shows a ticket now: the Receiver has no descriptor to spare."""
        receiver = receive("--into", inbox)
        with zmtp.dial(receiver.address) as early:
            early.sendall(GREETING)
            zmtp.read_exactly(early, 64)
            with self.besieged(receiver), suppress(OSError):
                early.sendall(zmtp.hello(b"selo/1", ticket()))
                zmtp.expect(early, b"WELCOME")
                early.sendall(zmtp.command(b"INITIATE", zmtp.metadata()))
                zmtp.ends(early, 0.5)
        assert_delivers(receiver, emit(receiver, parcel, "--wait", "10s"), parcel, inbox)

    def test_security_a_delivery_under_way_is_stored(self, receive, emit, inbox: Path) -> None:
        """They come while a stream is open: it is stored nevertheless, and both sides know it."""
        receiver = receive("--into", inbox)
        emitter = emit(receiver, "-", "--as", "stream", stdin=subprocess.PIPE)
        emitter.child.stdin.write(b"the beginning, ")
        emitter.child.stdin.flush()
        emitter.wait_for("progress")
        with self.besieged(receiver):
            emitter.child.stdin.write(b"the end")
            emitter.child.stdin.close()
            assert (emitter.end(), receiver.end()) == (0, 0), receiver.message
        assert (inbox / "stream").read_bytes() == b"the beginning, the end"
