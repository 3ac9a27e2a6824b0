"""How the ends meet: fresh tickets, the gate, and the one leg that is there already."""

from __future__ import annotations

import pytest

from selo.agents import routes
from selo.agents.meeting import Listening
from selo.agents.meeting_errors import OnePeerToConnectTo
from selo.agents.routes import FRAME_MAX, OneLegListener, dial, listen_on, meeting
from selo.config.trust import Peer
from selo.crypto.limits import MAX_PLAINTEXT
from selo.errors import MisuseError
from selo.transport import memory_pair
from selo.transport.base import GateRefused, LegClosed
from selo.transport.frames import new_record_frame


def test_largest_frame_is_the_largest_record() -> None:
    """FRAME_MAX is exactly what a full record takes."""
    assert len(new_record_frame(MAX_PLAINTEXT).buffer) == FRAME_MAX


def test_security_every_attempt_shows_a_fresh_ticket(monkeypatch, parties, settings) -> None:
    """No two attempts share a nonce: a ticket that was overheard is spent."""
    shown = []
    monkeypatch.setattr(routes, "connect_leg", lambda _url, ticket, **_: shown.append(ticket))
    attempt = dial("tcp://127.0.0.1:1", settings)
    for count in range(100):
        attempt(parties.receiver.public, count)
    assert len({ticket[:16] for ticket in shown}) == 100


def test_security_ticket_for_another_listener_is_refused(parties, settings) -> None:
    """The gate of a listener takes tickets made for its own fingerprint only."""
    listener = listen_on("tcp://127.0.0.1:0", own_fingerprint=parties.receiver.fingerprint, settings=settings)
    leg = dial(listener.address, settings)(parties.stranger.public, 0)
    try:
        leg.wait(10.0)
        with pytest.raises(GateRefused):
            leg.try_receive()
    finally:
        leg.close()
        listener.close()


def test_one_address_is_one_peer(parties, settings) -> None:
    """Who connects names one peer; with several the error names them: only one can be listening there."""
    peers = [
        Peer(name, True, each.public) for name, each in (("bob", parties.receiver), ("al", parties.emitter))
    ]
    with (
        pytest.raises(OnePeerToConnectTo, match="al, bob") as refused,
        meeting(connect="tcp://h:1", bind=None, identity=parties.stranger, peers=peers, settings=settings),
    ):
        pass
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("address", [None, "tcp://127.0.0.1:1"])
def test_a_meeting_has_one_place(address, parties, settings) -> None:
    """Neither an address to bind nor one to connect to, or both, is the calling program's mistake."""
    with (
        pytest.raises(MisuseError),
        meeting(connect=address, bind=address, identity=parties.emitter, peers=[], settings=settings),
    ):
        pass


def test_a_listener_ends_with_its_meeting(parties, settings) -> None:
    """After the block the address is free again, whether or not anybody came."""
    address = "tcp://127.0.0.1:0"
    peers = [Peer("bob", True, parties.receiver.public)]
    for _ in range(3):
        with meeting(
            connect=None, bind=address, identity=parties.emitter, peers=peers, settings=settings
        ) as at:
            assert isinstance(at, Listening)
            address = at.address


def test_one_leg_listener_hands_its_leg_out_once() -> None:
    """Nobody else can come: the second accept says so instead of waiting for ever."""
    near, far = memory_pair(max_frame=FRAME_MAX)
    listener = OneLegListener(far, "memory:")
    assert listener.accept(0.0) is far
    with pytest.raises(LegClosed):
        listener.accept(0.0)
    listener.close()
    with pytest.raises(LegClosed):
        near.try_receive()
