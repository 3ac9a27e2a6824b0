"""Who connects, who listens, how long, and what counts as a no."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from selo.agents import events
from selo.agents.emitter import Emitter
from selo.agents.meeting import Connecting, Listening, Part, Terms
from selo.agents.meeting_errors import NobodyCame, NotReached, OnlyStrangersCame, WrongListener
from selo.agents.receiver import Receiver
from selo.agents.routes import dial, listen_on
from selo.agents.sinks import CallableSink
from selo.agents.sources import BytesSource
from selo.agents.stop import Stop
from selo.config.trust import Peer
from selo.crypto.handshake import Role
from selo.errors import Interrupted

ADDRESS = "tcp://127.0.0.1:0"


@pytest.fixture
def meet(parties, settings):
    """Runs a whole delivery, whoever binds and whatever identities are pinned; gives what happened."""

    def run(binder: str, *, receiver_of_emitter: Peer, emitter_of_receiver: Peer, patience: float = 5.0):
        told: dict[str, list[events.Event]] = {"Emitter": [], "Receiver": []}
        errors: dict[str, Exception] = {}
        received = bytearray()
        brief = replace(settings, emit_wait=patience, receive_wait=patience)
        owner = parties.emitter if binder == "Emitter" else parties.receiver
        listener = listen_on(ADDRESS, own_fingerprint=owner.fingerprint, settings=brief)

        def terms(role: str) -> Terms:
            return Terms(settings=brief, stop=Stop(), report=told[role].append)

        def meeting(role: str, peer: Peer):
            if role == binder:
                return Listening(listener, (peer.name,))
            return Connecting(listener.address, peer, dial(listener.address, brief))

        receiving = Receiver(
            identity=parties.receiver,
            senders=lambda: {
                each.fingerprint: receiver_of_emitter for each in receiver_of_emitter.identities
            },
            make_sink=lambda _sender: CallableSink(received.extend),
            terms=terms("Receiver"),
        )
        emitting = Emitter(
            identity=parties.emitter,
            peer=emitter_of_receiver,
            source=BytesSource(b"data"),
            terms=terms("Emitter"),
        )

        def work(role, agent, peer):
            try:
                agent.run(meeting(role, peer))
            except Exception as error:
                errors[role] = error

        threads = [
            threading.Thread(target=work, args=("Receiver", receiving, receiver_of_emitter)),
            threading.Thread(target=work, args=("Emitter", emitting, emitter_of_receiver)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        listener.close()
        return errors, bytes(received), told

    return run


@pytest.mark.parametrize("binder", ["Emitter", "Receiver"])
def test_either_side_may_bind(binder, meet, parties) -> None:
    """Role and socket are independent; both sides report the session, the binding one where it listens."""
    errors, received, told = meet(
        binder,
        receiver_of_emitter=Peer("alice", True, parties.emitter.public),
        emitter_of_receiver=Peer("bob", False, parties.receiver.public),
    )
    assert errors == {}
    assert received == b"data"
    for role in told:
        listened = [event for event in told[role] if isinstance(event, events.Listening)]
        assert bool(listened) is (role == binder)
        assert [event for event in told[role] if isinstance(event, events.Established)]


@pytest.mark.parametrize("binder", ["Emitter", "Receiver"])
@pytest.mark.parametrize("newest", ["theirs now", "theirs soon"])
def test_a_peer_with_two_pinned_identities_is_met_under_either(binder, newest, meet, parties) -> None:
    """While a peer rotates its identity, whoever has pinned both meets it before and after the change."""
    old, new = parties.stranger.public, parties.emitter.public
    pair = (new, (old,)) if newest == "theirs now" else (old, (new,))
    sender = Peer("alice", True, *pair)
    errors, received, _ = meet(
        binder,
        receiver_of_emitter=sender,
        emitter_of_receiver=Peer("bob", False, parties.receiver.public),
    )
    assert errors == {}
    assert received == b"data"


@pytest.mark.parametrize("newest", ["theirs now", "theirs soon"])
def test_an_emitter_reaches_a_receiver_that_rotates(newest, meet, parties) -> None:
    """The gate of a listener answers to one identity: the Emitter tries each that it has pinned."""
    old, new = parties.stranger.public, parties.receiver.public
    pair = (new, (old,)) if newest == "theirs now" else (old, (new,))
    errors, received, _ = meet(
        "Receiver",
        receiver_of_emitter=Peer("alice", True, parties.emitter.public),
        emitter_of_receiver=Peer("bob", False, *pair),
    )
    assert errors == {}
    assert received == b"data"


def test_security_a_receiver_that_connects_takes_nothing_from_another_emitter(meet, parties) -> None:
    """Whoever listens there and is not the pinned Emitter is refused, and so is its data; status 3."""
    errors, received, _ = meet(
        "Emitter",
        receiver_of_emitter=Peer("alice", True, parties.stranger.public),
        emitter_of_receiver=Peer("bob", False, parties.receiver.public),
        patience=1.0,
    )
    assert isinstance(errors["Receiver"], WrongListener)
    assert errors["Receiver"].exit_status == 3
    assert received == b""


@pytest.mark.parametrize("older", [0, 1])
def test_no_leg_of_a_failed_attempt_stays_open(older, parties, settings) -> None:
    """Whoever refused us, and however many identities were tried: every connection is closed."""
    listener = listen_on(ADDRESS, own_fingerprint=parties.emitter.fingerprint, settings=settings)
    legs = []
    dialling = dial(listener.address, settings)

    def remembered(identity, attempt):
        legs.append(dialling(identity, attempt))
        return legs[-1]

    peer = Peer("bob", False, parties.receiver.public, (parties.stranger.public,) * older)
    try:
        with pytest.raises(WrongListener):
            Connecting(listener.address, peer, remembered).establish(
                part(parties, 5.0, lambda link, _: link.receive("an answer", link.deadline(5.0))),
                Terms(settings=settings, stop=Stop()),
            )
    finally:
        listener.close()
    assert len(legs) == 1 + older
    assert all(leg.closed for leg in legs)


def test_security_an_emitter_that_binds_sends_nothing_to_another_receiver(meet, parties) -> None:
    """A stranger that knows the Emitter's fingerprint passes the gate and gets an M1, and no more."""
    errors, received, told = meet(
        "Emitter",
        receiver_of_emitter=Peer("alice", True, parties.emitter.public),
        emitter_of_receiver=Peer("bob", False, parties.stranger.public),
        patience=1.0,
    )
    assert received == b""
    assert isinstance(errors["Receiver"], WrongListener)
    assert errors["Emitter"].exit_status in (3, 5)
    assert not [event for event in told["Emitter"] if isinstance(event, events.PeerVerified)]


def part(parties, wait: float, handshake=None) -> Part:
    return Part(
        role=Role.EMITTER, fingerprint=parties.emitter.fingerprint, wait=wait, handshake=handshake or never
    )


def never(*_):
    raise AssertionError("there was nobody to shake hands with")


def test_nobody_came(parties, settings) -> None:
    """A listener's time is over: it says whom it awaited, with 5."""
    listener = listen_on(ADDRESS, own_fingerprint=parties.emitter.fingerprint, settings=settings)
    try:
        with pytest.raises(NobodyCame, match="no Receiver came within 0.2 s") as ended:
            Listening(listener, ("bob",)).establish(part(parties, 0.2), Terms(settings=settings, stop=Stop()))
    finally:
        listener.close()
    assert ended.value.exit_status == 5


def test_only_strangers_came(parties, settings) -> None:
    """Somebody came with a ticket for another identity: the same end, with 3."""
    listener = listen_on(ADDRESS, own_fingerprint=parties.emitter.fingerprint, settings=settings)
    leg = dial(listener.address, settings)(parties.stranger.public, 0)
    try:
        with pytest.raises(OnlyStrangersCame, match="no trusted Receiver came") as ended:
            Listening(listener, ("bob",)).establish(part(parties, 1.5), Terms(settings=settings, stop=Stop()))
    finally:
        leg.close()
        listener.close()
    assert ended.value.exit_status == 3


def test_nobody_there(parties, settings) -> None:
    """A connecting side tries again until its time is over, and reports why it waits."""
    told: list[events.Event] = []
    bob = Peer("bob", False, parties.receiver.public)
    terms = Terms(settings=settings, stop=Stop(), report=told.append)
    with pytest.raises(NotReached, match="nobody listens there"):
        Connecting("tcp://127.0.0.1:1", bob, dial("tcp://127.0.0.1:1", settings)).establish(
            Part(
                role=Role.EMITTER,
                fingerprint=parties.emitter.fingerprint,
                wait=0.5,
                handshake=lambda link, _: link.receive("an answer", link.deadline(5.0)),
            ),
            terms,
        )
    assert len([event for event in told if isinstance(event, events.Waiting)]) > 1


@pytest.mark.parametrize("side", ["connecting", "listening"])
def test_a_meeting_can_be_interrupted(side, parties, settings) -> None:
    """A request to stop ends a wait without end at once."""
    stop = Stop()
    terms = Terms(settings=settings, stop=stop, report=lambda event: stop.request(2))
    endless = replace(
        part(parties, 0.0, lambda link, _: link.receive("an answer", link.deadline(5.0))), wait=None
    )
    listener = listen_on(ADDRESS, own_fingerprint=parties.emitter.fingerprint, settings=settings)
    bob = Peer("bob", False, parties.receiver.public)
    meeting = Listening(listener, ("bob",))
    if side == "connecting":
        meeting = Connecting("tcp://127.0.0.1:1", bob, dial("tcp://127.0.0.1:1", settings))
    try:
        with pytest.raises(Interrupted):
            meeting.establish(endless, terms)
    finally:
        listener.close()
