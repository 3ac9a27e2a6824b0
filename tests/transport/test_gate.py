"""Strangers at the gate: none reaches the pipe, none keeps a legitimate peer out, none costs much."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import zmq

from selo.transport import connect, listen
from selo.transport.base import Gate, GateBusy, GateRefused, Leg, Listener, Refusal
from selo.transport.gate import BUSY, LEFT, MANY, NO_GOOD_TICKET, OTHER_PROGRAM, STALLED, Place, Refusals

from . import zmtp
from .wires import GOOD, MAX_FRAME, PATIENCE, Tickets, await_that, await_usable, meet, receive, send, ticket

ACCEPTED, GONE = zmq.EVENT_ACCEPTED, zmq.EVENT_DISCONNECTED
SUCCEEDED = (zmq.EVENT_HANDSHAKE_SUCCEEDED, 0)

JUNK = zmtp.message(b"junk") * 3

STRANGERS: dict[str, bytes] = {
    "silent": b"",
    "garbage": bytes(range(256)) * 4,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a greeting": zmtp.greeting()[:40],
    "zmtp 1.0": b"\x01\x00" + b"\x05\x00junk",
    "zmtp 2.0": zmtp.SIGNATURE + b"\x01\x00\x00\x00" + JUNK,
    "null": zmtp.greeting(b"NULL") + zmtp.command(b"READY", zmtp.metadata()) + JUNK,
    "curve": zmtp.greeting(b"CURVE") + zmtp.command(b"HELLO", bytes(194)) + JUNK,
    "no hello": zmtp.greeting() + zmtp.command(b"INITIATE", zmtp.metadata()) + JUNK,
    "only messages": zmtp.greeting() + JUNK,
    "other user": zmtp.greeting() + zmtp.hello(b"admin", GOOD + b"other user"),
    "no user": zmtp.greeting() + zmtp.hello(b"", GOOD + b"no user"),
    "bad ticket": zmtp.greeting() + zmtp.hello(b"selo/1", b"bad"),
    "no ticket": zmtp.greeting() + zmtp.hello(b"selo/1", b""),
    "bad ticket and on": zmtp.greeting()
    + zmtp.hello(b"selo/1", b"bad")
    + zmtp.command(b"INITIATE", zmtp.metadata())
    + JUNK,
    "ping": zmtp.greeting() + zmtp.command(b"PING", b"\0\1"),
    "huge command": zmtp.greeting() + b"\x06" + (1 << 62).to_bytes(8, "big"),
    "huge message": zmtp.greeting() + b"\x02" + (1 << 40).to_bytes(8, "big"),
    "endless parts": zmtp.greeting() + zmtp.message(b"x", zmtp.MORE) * 10_000,
}


def knock(address: str, words: bytes) -> socket.socket:
    """Connect and say it."""
    stranger = zmtp.dial(address)
    with suppress(OSError):  # refused in the middle of a sentence
        stranger.sendall(words)
    return stranger


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
@pytest.mark.parametrize("words", STRANGERS.values(), ids=STRANGERS)
def test_security_no_stranger_reaches_the_pipe(
    make_listener: Callable[..., Listener], kind: str, words: bytes
) -> None:
    """A stranger is never accepted; a peer with a ticket gets in beside it, and only it is heard."""
    listener = make_listener(kind)
    with knock(listener.address, words):
        assert listener.accept(0.05) is None
        leg, accepted = meet(listener)
        send(leg, b"mine")
        assert receive(accepted) == b"mine"
        assert not accepted.wait(0.01).readable
        leg.close()


def test_every_stranger_is_put_out_and_reported(make_listener: Callable[..., Listener]) -> None:
    """All of them are gone within the time for a handshake, and each was counted once, with its reason.

    But for one who does not wait for the answer: he is refused for his ticket and put out for his manners.
    """
    listener = make_listener()
    polite = [words for name, words in STRANGERS.items() if name != "bad ticket and on"]
    strangers = [knock(listener.address, words) for words in polite]
    for stranger in strangers:
        assert zmtp.ends(stranger)
        stranger.close()
    reported: dict[str, int] = {}

    def all_reported() -> bool:
        for refusal in listener.take_refusals():
            reported[refusal.reason] = reported.get(refusal.reason, 0) + refusal.count
        return sum(reported.values()) >= len(polite)

    await_that(all_reported)
    assert sum(reported.values()) == len(polite)
    assert set(reported) == {OTHER_PROGRAM, LEFT, NO_GOOD_TICKET}


class TestAnswers:
    """What the connecting side is told."""

    def test_400(self, make_listener: Callable[..., Listener]) -> None:
        """A bad ticket ends the attempt for good."""
        listener = make_listener()
        leg = connect(listener.address, b"bad", max_frame=MAX_FRAME)
        for call in (leg.try_receive, lambda: leg.try_send(b"x")):
            with pytest.raises(GateRefused, match="refused our admission ticket"):
                await_that(lambda call=call: leg.wait(1.0).readable and call())
        leg.close()
        assert listener.take_refusals() == [Refusal("127.0.0.1", NO_GOOD_TICKET, untrusted=True)]

    def test_500_spends_no_ticket(self, make_listener: Callable[..., Listener]) -> None:
        """Who comes to a taken place may come again with the same ticket, and is not told 400 by then."""
        listener = make_listener()
        first, accepted = meet(listener)
        mine = ticket()
        second = connect(listener.address, mine, max_frame=MAX_FRAME)
        with pytest.raises(GateBusy):
            await_that(lambda: second.wait(1.0).readable and second.try_receive())
        assert listener.take_refusals() == [Refusal("127.0.0.1", BUSY)]
        for leg in (second, first, accepted):
            leg.close()
        second, _ = meet(listener, lambda: connect(listener.address, mine, max_frame=MAX_FRAME))
        second.close()

    def test_a_bad_ticket_at_a_taken_place_is_400(self, make_listener: Callable[..., Listener]) -> None:
        """The ticket is looked at before the place: busy is told only to those who may know."""
        listener = make_listener()
        first, _ = meet(listener)
        second = connect(listener.address, b"bad", max_frame=MAX_FRAME)
        with pytest.raises(GateRefused):
            await_that(lambda: second.wait(1.0).readable and second.try_receive())
        second.close()
        first.close()

    def test_security_a_spent_ticket_is_refused(self, make_listener: Callable[..., Listener]) -> None:
        """A ticket that won a place wins no second one."""
        listener = make_listener()
        mine = ticket()
        first, accepted = meet(listener, lambda: connect(listener.address, mine, max_frame=MAX_FRAME))
        first.close()
        accepted.close()
        with pytest.raises(GateRefused):
            meet(listener, lambda: connect(listener.address, mine, max_frame=MAX_FRAME))


class TestTheGatesOwner:
    """When the gate's callbacks are called, and what happens when they fail."""

    def test_security_order_of_checks(self) -> None:
        """The ticket of a wrong user is never looked at; only who gets the place spends a ticket."""
        asked: list[bytes] = []
        spent: list[bytes] = []
        gate = Gate(lambda shown: not asked.append(shown) and shown != b"bad", spent.append)  # type: ignore[func-returns-value]
        listener = listen("tcp://127.0.0.1:0", gate, max_frame=MAX_FRAME)
        bad_ticket = zmtp.greeting() + zmtp.hello(b"selo/1", b"bad")
        strangers = [
            knock(listener.address, words)
            for words in (STRANGERS["other user"], STRANGERS["null"], bad_ticket)
        ]
        for stranger in strangers:
            assert zmtp.ends(stranger)
            stranger.close()
        assert (asked, spent) == ([b"bad"], [])
        first = zmtp.admitted(listener.address, b"one")
        with pytest.raises(ConnectionError):
            zmtp.admitted(listener.address, b"two")
        assert (asked, spent) == ([b"bad", b"one", b"two"], [b"one"])
        first.close()
        listener.close()

    def test_security_a_broken_gate_lets_nobody_in(self) -> None:
        """If the check raises, its bearer and everybody after it is refused, and accept raises it."""
        broken = [True]

        def check(_ticket: bytes) -> bool:
            if broken.pop() if broken else False:
                raise ZeroDivisionError("the caller's own")
            return True

        listener = listen("tcp://127.0.0.1:0", Gate(check, lambda _: None), max_frame=MAX_FRAME)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                zmtp.admitted(listener.address, ticket())
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                listener.accept(PATIENCE)
        listener.close()


@pytest.fixture
def hammered(make_listener: Callable[..., Listener]) -> Iterator[Listener]:
    """A listener at which five strangers knock without a pause."""
    listener = make_listener(admission_deadline=1.0)
    stop = threading.Event()

    def hammer(words: bytes, patience: float) -> None:
        while not stop.is_set():
            with suppress(OSError), knock(listener.address, words) as stranger:
                zmtp.ends(stranger, patience)

    kinds = (
        ("null", 0.5),
        ("zmtp 1.0", 0.5),
        ("bad ticket and on", 0.2),
        ("silent", 0.3),
        ("endless parts", 0.5),
    )
    threads = [threading.Thread(target=hammer, args=(STRANGERS[name], patience)) for name, patience in kinds]
    for thread in threads:
        thread.start()
    yield listener
    stop.set()
    for thread in threads:
        thread.join()


def test_security_strangers_keep_nobody_out(hammered: Listener) -> None:
    """Ten peers with tickets get in one after the other, are heard, and their ends are noticed."""
    started = time.monotonic()
    for number in range(10):
        leg, accepted = meet(hammered)
        send(leg, b"%d" % number)
        assert receive(accepted) == b"%d" % number
        leg.close()
        await_that(lambda accepted=accepted: _is_closed(accepted))
        accepted.close()
    assert time.monotonic() - started < PATIENCE


def test_security_strangers_end_no_leg(hammered: Listener) -> None:
    """While strangers come and go, a leg that has not said anything yet, and one that has, stays."""
    leg, accepted = meet(hammered)
    refused = 0

    def many_refused() -> bool:
        nonlocal refused
        assert not accepted.wait(0.01).readable
        refused += sum(refusal.count for refusal in hammered.take_refusals())
        return refused >= 50

    await_that(many_refused)
    send(leg, b"still here")
    assert receive(accepted) == b"still here"
    refused = 0
    await_that(many_refused)
    send(accepted, b"so am I")
    assert receive(leg) == b"so am I"
    leg.close()


def _is_closed(leg: Leg) -> bool:
    from selo.transport.base import LegClosed

    leg.wait(1.0)
    try:
        leg.try_receive()
    except LegClosed:
        return True
    return False


def test_security_junk_stops_nothing_while_nobody_looks(make_listener: Callable[..., Listener]) -> None:
    """Thousands of connections while the program is busy elsewhere: more than libzmq queues events for."""
    listener = make_listener()
    for number in range(3000):
        stranger = zmtp.dial(listener.address)
        if number % 3 == 0:
            stranger.sendall(b"junk")
        zmtp.reset(stranger) if number % 2 else stranger.close()
    leg, accepted = meet(listener)
    send(leg, b"in")
    assert receive(accepted) == b"in"
    leg.close()
    assert len(listener.take_refusals()) < 10


def test_the_end_of_a_silent_leg_is_noticed_among_strangers(make_listener: Callable[..., Listener]) -> None:
    """A peer that leaves before it said a word is told apart from strangers who came first and stay."""
    listener = make_listener()
    strangers = [knock(listener.address, zmtp.greeting()) for _ in range(3)]
    for stranger in strangers:
        zmtp.read_exactly(stranger, 64)
    raw = zmtp.admitted(listener.address, ticket())
    accepted = listener.accept(PATIENCE)
    assert accepted is not None
    raw.close()
    await_that(lambda: _is_closed(accepted))
    for stranger in strangers:
        stranger.close()


def test_security_a_ticket_holder_who_stalls_delays_the_next_by_no_more_than_the_deadline(
    make_listener: Callable[..., Listener],
) -> None:
    """Somebody spends a ticket and never finishes the handshake: the place is free after the deadline."""
    listener = make_listener(admission_deadline=0.5)
    staller = zmtp.dial(listener.address)
    staller.sendall(zmtp.greeting())
    zmtp.read_exactly(staller, 64)
    staller.sendall(zmtp.hello(b"selo/1", ticket()))
    zmtp.expect(staller, b"WELCOME")
    leg, accepted = meet(listener)
    send(leg, b"in")
    assert receive(accepted) == b"in"
    refusals = listener.take_refusals()
    assert [each.count for each in refusals if each.reason == STALLED] == [1]
    # Too late now: his connection belonged to the socket that was given up.
    with suppress(OSError):
        staller.sendall(zmtp.command(b"INITIATE", zmtp.metadata()) + JUNK)
    assert zmtp.ends(staller)
    assert not accepted.wait(0.01).readable
    leg.close()
    staller.close()


class TestWhoseConnectionEnded:
    """libzmq's events name descriptors, but do not say which of them was let in."""

    def follow(self, *events: tuple[int, int]) -> Place:
        """A place that was taken, after these events."""
        place = Place(b"selo-1", Refusals(), lambda: None)
        assert place.take("192.0.2.7")
        for event in events:
            place.on_event(*event)
        return place

    def test_a_stranger_who_was_there_before(self) -> None:
        """His end is not ours; ours is, even before we know it by name."""
        place = self.follow((ACCEPTED, 5), (ACCEPTED, 6), SUCCEEDED, (GONE, 5))
        assert not place.ended
        place.on_event(GONE, 6)
        assert place.ended

    def test_a_stranger_who_came_later(self) -> None:
        """He cannot have been let in."""
        place = self.follow((ACCEPTED, 6), SUCCEEDED, (ACCEPTED, 5), (GONE, 5))
        assert not place.ended
        place.on_event(GONE, 6)
        assert place.ended

    def test_known_by_its_first_frame(self) -> None:
        """From then on strangers who stay do not delay the news of its end."""
        place = self.follow((ACCEPTED, 5), (ACCEPTED, 6), SUCCEEDED)
        place.identify(6)
        assert list(place.connections()) == [6]
        place.on_event(GONE, 6)
        assert place.ended

    def test_known_after_its_end(self) -> None:
        """The first frame may be read when its connection is gone already."""
        place = self.follow((ACCEPTED, 5), (ACCEPTED, 6), SUCCEEDED, (GONE, 6), (ACCEPTED, 6))
        assert not place.ended
        place.identify(6)
        assert place.ended

    def test_a_number_that_was_a_strangers(self) -> None:
        """Descriptors are used again: a stranger's end before ours began means nothing."""
        place = self.follow((ACCEPTED, 6), (GONE, 6), (ACCEPTED, 6), SUCCEEDED)
        place.identify(6)
        assert not place.ended


def test_refusals_are_merged_and_bounded() -> None:
    """Equal ones are counted; beyond a bound, other peers are counted together."""
    refusals = Refusals()
    for number in range(1000):
        refusals.add(f"192.0.2.{number % 200}", BUSY)
        refusals.add("::1", NO_GOOD_TICKET)
    taken = refusals.take()
    assert len(taken) <= 66
    assert sum(refusal.count for refusal in taken) == 2000
    assert Refusal("::1", NO_GOOD_TICKET, 1000, untrusted=True) in taken
    assert any(refusal.peer_address == MANY for refusal in taken)
    assert refusals.take() == []


def test_the_place_is_taken_without_anybody_accepting(make_listener: Callable[..., Listener]) -> None:
    """The gate works from the moment listen() returned: who was let in is there when accept is called."""
    listener = make_listener()
    leg = connect(listener.address, ticket(), max_frame=MAX_FRAME)
    await_usable(leg)
    send(leg, b"early")
    accepted = listener.accept(PATIENCE)
    assert accepted is not None
    assert receive(accepted) == b"early"
    leg.close()


def test_tickets_double() -> None:
    """The double that these tests use for a gate is one: a good ticket is good once."""
    tickets = Tickets()
    assert tickets.gate.check(GOOD)
    tickets.gate.spend(GOOD)
    assert not tickets.gate.check(GOOD)
    assert not tickets.gate.check(b"bad")
