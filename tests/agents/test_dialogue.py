"""Messages in parts, both ways, against a peer that keeps to the rules and one that breaks each of them."""

from __future__ import annotations

import threading

import pytest
from blake3 import blake3

from selo.agents.bodies import Abort, AbortCode, Ack, Kind, Offer
from selo.agents.dialogue import OFFER
from selo.agents.errors import DigestMismatch, MessageTooLong, PeerFailed, PeerMisbehaved, WrongKind
from selo.agents.sinks import CallableSink
from selo.crypto.handshake import Role
from selo.crypto.records import RecordType
from selo.transport.base import LegClosed

BOTH = pytest.mark.parametrize("role", Role)


def open_first(rogue, role: Role) -> None:
    """Exchange the OPENs as the other side of a real one in ``role``."""
    if role is Role.EMITTER:
        assert rogue.receive().type is RecordType.OPEN
        rogue.send(RecordType.OPEN, OFFER.pack())
    else:
        rogue.send(RecordType.OPEN, OFFER.pack())
        assert rogue.receive().type is RecordType.OPEN


def next_of(rogue, wanted: RecordType) -> bytes:
    """The plaintext of the next record of that type; ACKs before it are passed over."""
    while (record := rogue.receive()).type is not wanted:
        assert record.type is RecordType.ACK, record
    return bytes(record.plaintext)


def abort_of(rogue) -> Abort:
    """The ABORT that comes next."""
    return Abort.unpack(next_of(rogue, RecordType.ABORT))


@BOTH
def test_messages_arrive_as_they_were_sent(role, talk_to_rogue) -> None:
    """In one part or many, empty ones too; and the end is agreed on, the Receiver's RECEIPT last."""
    parts = [b"\1one", b"\0t", b"\0w", b"\1o", b"\1", b"\0three", b"\1"]
    heard = []

    def honest(rogue) -> None:
        open_first(rogue, role)
        assert next_of(rogue, RecordType.DATA) == b"\1from the program"
        for part in parts:
            rogue.send(RecordType.DATA, part)
        rogue.send_final(blake3(b"".join(parts)).digest())
        final = next_of(rogue, RecordType.FINAL)
        if role is Role.EMITTER:
            heard.append(next_of(rogue, RecordType.RECEIPT))
            rogue.send(RecordType.RECEIPT, final)
        else:
            rogue.send(RecordType.RECEIPT, final)
            heard.append(next_of(rogue, RecordType.RECEIPT))

    def program(mailbox) -> None:
        mailbox.put(b"from the program")
        mailbox.finish()
        taken.append(mailbox)

    taken: list = []
    messages = []

    def take(mailbox) -> None:
        program(mailbox)
        threading.Thread(
            target=lambda: messages.extend(iter(lambda: mailbox.take(10), None)), daemon=True
        ).start()

    talker = talk_to_rogue(role, honest, take)
    assert talker.error is None
    assert messages == [b"one", b"two", b"", b"three"]
    assert heard[0][-32:] == blake3(b"".join(parts)).digest()


@BOTH
@pytest.mark.parametrize("offer", [Offer(Kind.STREAM, None, None), Offer(Kind.FILE, "a", 1)])
def test_a_delivery_is_refused_where_a_conversation_is_awaited(role, offer, talk_to_rogue) -> None:
    """ABORT 2 with a reason that the other side's person understands."""
    told = []

    def script(rogue) -> None:
        if role is Role.EMITTER:
            rogue.receive()
        rogue.send(RecordType.OPEN, offer.pack())
        told.append(abort_of(rogue))

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, WrongKind)
    assert told[0].code is AbortCode.SINK
    assert "takes a conversation" in told[0].text


def test_a_conversation_is_refused_where_a_delivery_is_awaited(receive_from_rogue) -> None:
    """The Receiver of a delivery answers ABORT 2 and writes nothing."""
    told, written = [], []

    def script(rogue) -> None:
        rogue.send(RecordType.OPEN, OFFER.pack())
        told.append(abort_of(rogue))

    side = receive_from_rogue(script, CallableSink(written.append))
    assert isinstance(side.error, WrongKind)
    assert side.status == 1
    assert told[0].code is AbortCode.SINK
    assert written == []


BROKEN = {
    "an empty part that is not the last": [b"\0"],
    "another value of last": [b"\2abc"],
    "another value of last, alone": [b"\xff"],
}


@BOTH
@pytest.mark.parametrize("parts", BROKEN.values(), ids=BROKEN)
def test_security_a_part_that_is_none_ends_the_conversation(role, parts, talk_to_rogue) -> None:
    """Told with ABORT 4; the program gets nothing of it."""
    told = []

    def script(rogue) -> None:
        open_first(rogue, role)
        for part in parts:
            rogue.send(RecordType.DATA, part)
        told.append(abort_of(rogue))

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, PeerMisbehaved)
    assert told[0].code is AbortCode.PROTOCOL
    with pytest.raises(PeerMisbehaved):
        talker.mailbox.take(0)


@BOTH
def test_security_a_message_without_end_is_bounded(role, talk_to_rogue) -> None:
    """More than message_max (1,000 bytes here) in however many parts is refused with ABORT 2."""
    told = []

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send(RecordType.DATA, b"\1" + bytes(1000))
        for _ in range(11):
            rogue.send(RecordType.DATA, b"\0" + bytes(91))
        told.append(abort_of(rogue))

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, MessageTooLong)
    assert talker.mailbox.take(0) == bytes(1000)
    assert told[0].code is AbortCode.SINK
    assert "1,000" in told[0].text


@BOTH
def test_security_a_message_cut_by_final_is_not_taken(role, talk_to_rogue) -> None:
    """FINAL in the middle of a message breaks the protocol, though every tag verifies."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send(RecordType.DATA, b"\0half")
        rogue.send_final(blake3(b"\0half").digest())
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, PeerMisbehaved)


@BOTH
def test_security_a_digest_that_differs_is_no_end(role, talk_to_rogue) -> None:
    """The other side's digest over what it said must be ours over what we heard."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send(RecordType.DATA, b"\1all")
        rogue.send_final(bytes(32))
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, DigestMismatch)


@BOTH
@pytest.mark.parametrize("kind", [RecordType.ACK, RecordType.RECEIPT])
def test_security_an_answer_to_nothing(role, kind, talk_to_rogue) -> None:
    """RECEIPT before our FINAL, and an ACK of what was never sent, break the protocol."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send(kind, Ack(99, 0).pack() if kind is RecordType.ACK else bytes(80))
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, PeerMisbehaved)


@pytest.mark.parametrize("kind", [RecordType.ACK, RecordType.RECEIPT])
def test_security_an_answer_before_any_open(kind, talk_to_rogue) -> None:
    """An Emitter's ACK or RECEIPT as its first record answers nothing."""

    def script(rogue) -> None:
        rogue.send(kind, Ack(0, 0).pack() if kind is RecordType.ACK else bytes(80))
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(Role.RECEIVER, script)
    assert isinstance(talker.error, PeerMisbehaved)
    assert "before OPEN" in str(talker.error)


@BOTH
def test_security_a_receipt_that_differs_is_no_end(role, talk_to_rogue) -> None:
    """Only our own FINAL, byte for byte, says that all we said was taken."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send_final(blake3(b"").digest())
        final = bytearray(next_of(rogue, RecordType.FINAL))
        final[-1] ^= 1
        if role is Role.EMITTER:
            next_of(rogue, RecordType.RECEIPT)
        rogue.send(RecordType.RECEIPT, bytes(final))
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(role, script, lambda mailbox: mailbox.finish())
    assert isinstance(talker.error, DigestMismatch)


def test_security_the_receivers_receipt_comes_last(talk_to_rogue) -> None:
    """A Receiver that sends its RECEIPT before the Emitter's breaks the order that lets the Emitter close."""

    def script(rogue) -> None:
        open_first(rogue, Role.EMITTER)
        rogue.send(RecordType.RECEIPT, next_of(rogue, RecordType.FINAL))
        assert abort_of(rogue).code is AbortCode.PROTOCOL

    talker = talk_to_rogue(Role.EMITTER, script, lambda mailbox: mailbox.finish())
    assert isinstance(talker.error, PeerMisbehaved)


def test_the_receiver_holds_its_receipt_back(talk_to_rogue) -> None:
    """A real Receiver answers the Emitter's FINAL only after the Emitter's RECEIPT."""

    def script(rogue) -> None:
        open_first(rogue, Role.RECEIVER)
        rogue.send_final(blake3(b"").digest())
        final = next_of(rogue, RecordType.FINAL)
        assert not rogue.hears(0.2)
        rogue.send(RecordType.RECEIPT, final)
        assert rogue.receive().type is RecordType.RECEIPT

    talker = talk_to_rogue(Role.RECEIVER, script, lambda mailbox: mailbox.finish())
    assert talker.error is None


@BOTH
def test_no_receipt_before_the_program_took_everything(role, talk_to_rogue) -> None:
    """A RECEIPT means that the program has every message: one that waits holds it back."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.send(RecordType.DATA, b"\1m")
        rogue.send_final(blake3(b"\1m").digest())
        final = next_of(rogue, RecordType.FINAL)
        if role is Role.RECEIVER:
            rogue.send(RecordType.RECEIPT, final)
        rogue.pause(0.3)  # what came would have been dropped, and the session's end with it
        rogue.send(RecordType.ABORT, Abort(AbortCode.INTERNAL, "enough").pack())
        with pytest.raises(LegClosed):
            next_of(rogue, RecordType.RECEIPT)

    talker = talk_to_rogue(role, script, lambda mailbox: mailbox.finish())
    assert isinstance(talker.error, PeerFailed)
    assert not talker.dialogue._receipted


@BOTH
def test_security_data_beyond_the_window(role, talk_to_rogue) -> None:
    """A program that takes nothing is not flooded: records beyond the window break the protocol."""

    def script(rogue) -> None:
        open_first(rogue, role)
        rogue.until_closed(lambda: (rogue.send(RecordType.DATA, b"\1x"), rogue.pause(0.0)))

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, PeerMisbehaved)
    assert "window" in str(talker.error)


@pytest.mark.parametrize("role", Role)
def test_security_a_peer_that_never_opens_is_given_up(role, talk_to_rogue) -> None:
    """PINGs alone do not hold the place."""

    def script(rogue) -> None:
        rogue.until_closed(lambda: (rogue.send(RecordType.PING), rogue.pause(0.05)))

    talker = talk_to_rogue(role, script)
    assert isinstance(talker.error, PeerMisbehaved)
    assert "no OPEN" in str(talker.error)
