"""The handshake over a leg: deadlines, frames out of place, and who is told what."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from selo.agents import events
from selo.agents.establish import (
    HANDSHAKE_FRAME_MAX,
    HandshakeLink,
    establish_as_emitter,
    establish_as_receiver,
)
from selo.agents.meeting_errors import HandshakeTimeout
from selo.agents.routes import FRAME_MAX
from selo.agents.stop import Stop
from selo.config.trust import Peer
from selo.crypto.errors import HandshakeError, IncompatiblePeer, UnknownPeer
from selo.crypto.suites import CLASSIC
from selo.errors import Interrupted
from selo.transport import memory_pair
from selo.transport.base import FrameRefused, LegClosed
from selo.transport.frames import new_record_frame, pack_handshake


class Ends:
    """Both ends of a wire in memory, and the handshake from each."""

    def __init__(self, parties, settings) -> None:
        self.near, self.far = memory_pair(max_frame=FRAME_MAX)
        self.stop = Stop()
        self.told: list[events.Event] = []
        self.settings = replace(settings, first_message_deadline=0.3, handshake_deadline=0.4)
        self._parties = parties

    def emitter(self, identity=None):
        """The Emitter's handshake."""
        bob = self._parties.receiver.public
        link = HandshakeLink(self.near, self.settings, self.stop, self.told.append)
        identity = identity or self._parties.emitter
        return establish_as_emitter(link, identity=identity, peer=bob, name="bob", suite=CLASSIC)

    def receiver(self):
        """The Receiver's handshake."""
        alice = Peer("alice", may_send=True, identity=self._parties.emitter.public)
        link = HandshakeLink(self.far, self.settings, self.stop, self.told.append)
        senders = {alice.fingerprint: alice}
        return establish_as_receiver(link, identity=self._parties.receiver, senders=senders, suite=CLASSIC)


@pytest.fixture
def ends(parties, settings) -> Ends:
    """A fresh wire."""
    return Ends(parties, settings)


def in_background(work):
    """Run ``work`` beside the test; its error is not this test's business."""

    def body():
        with suppress(Exception):
            work()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def test_both_sides_agree_on_one_session(ends) -> None:
    """One transcript, each other's identities."""
    results = []
    thread = in_background(lambda: results.append(ends.receiver()))
    emitter = ends.emitter()
    thread.join()
    assert results[0].transcript == emitter.transcript
    assert results[0].export("test", b"", 32) == emitter.export("test", b"", 32)


@pytest.mark.parametrize("side", ["emitter", "receiver"])
def test_silence_ends_at_the_deadline(ends, side: str) -> None:
    """A side that never hears from the other gives up by itself."""
    with pytest.raises(HandshakeTimeout):
        getattr(ends, side)()


@pytest.mark.parametrize("side", ["emitter", "receiver"])
def test_stop_ends_a_handshake_at_once(ends, side: str) -> None:
    """A request to stop does not wait for the deadline."""
    ends.settings = replace(ends.settings, first_message_deadline=60.0, handshake_deadline=60.0)
    threading.Timer(0.1, ends.stop.request).start()
    with pytest.raises(Interrupted):
        getattr(ends, side)()


@pytest.mark.parametrize(
    "frame",
    [
        bytes(new_record_frame(10).buffer),
        b"garbage",
        b"\x93\x00\xc4\x00\xc4\x01",
        pack_handshake(bytes(HANDSHAKE_FRAME_MAX)),
    ],
    ids=["record", "garbage", "cut frame", "too long"],
)
@pytest.mark.parametrize("side", ["emitter", "receiver"])
def test_security_only_handshake_frames_before_the_end(ends, side: str, frame: bytes) -> None:
    """A record, garbage or an oversize frame before M4 ends the attempt."""
    (ends.far if side == "emitter" else ends.near).try_send(frame)
    with pytest.raises(FrameRefused):
        getattr(ends, side)()


@pytest.mark.parametrize("side", ["emitter", "receiver"])
def test_security_garbage_message_ends_the_attempt(ends, side: str) -> None:
    """A well-framed message that is none is refused, and nothing is reported as verified."""
    (ends.far if side == "emitter" else ends.near).try_send(pack_handshake(b"\x02" + bytes(580)))
    with pytest.raises(HandshakeError):
        getattr(ends, side)()
    assert not [event for event in ends.told if isinstance(event, events.PeerVerified)]


def test_other_suite_is_named(ends) -> None:
    """The Receiver's report names the version and suite that were asked for."""
    ends.near.try_send(pack_handshake(b"\x01SELO\r\n\x1a\n\x00\x01\x00\x07" + bytes(100)))
    with pytest.raises(IncompatiblePeer, match="7"):
        ends.receiver()


def test_security_unknown_emitter_gets_no_m4(ends, parties) -> None:
    """The Receiver names the fingerprint in its own report; the Emitter hears nothing."""
    caught = []

    def receive():
        try:
            ends.receiver()
        except UnknownPeer as error:
            caught.append(error)
        finally:
            ends.far.close()

    thread = in_background(receive)
    with pytest.raises(LegClosed):
        ends.emitter(parties.stranger)
    thread.join()
    assert caught[0].fingerprint == parties.stranger.fingerprint


def test_a_first_frame_may_come_before_the_news_of_its_connection(parties, settings) -> None:
    """A leg that has M1 to read, and does not know yet that it may be written to, loses nothing."""
    near, far = memory_pair(max_frame=FRAME_MAX)
    assert near.try_send(pack_handshake(b"the first message"))
    looks = []

    class Late:
        """The far leg, whose first look knows of the frame alone."""

        def wait(self, timeout, *, want_write=False):
            ready = far.wait(timeout, want_write=want_write)
            looks.append(ready)
            return ready._replace(writable=ready.writable and len(looks) > 1)

        def __getattr__(self, name):
            return getattr(far, name)

    link = HandshakeLink(Late(), settings, Stop(), lambda _event: None)
    link.connect()
    assert link.receive("a first message", link.deadline(1.0)) == b"the first message"
