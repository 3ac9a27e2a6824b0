"""The statement of a receipt: put together alike on both sides of a real session."""

from __future__ import annotations

import dataclasses

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.agents.receipting import statement_of
from selo.crypto import receipts
from selo.crypto.handshake import Established, Role
from selo.crypto.suites import CLASSIC

OFFER = Offer(Kind.FILE, "report.pdf", 5, b"d" * 16, None, 0o640, 1, sha256=True)
SUMMARY = Summary(5, blake3(b"hello").digest(), 1, 5, b"i" * 32, True, "/home/bob/report.pdf")


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of a session, what a statement is about."""

    suite: object
    role: Role
    peer: object
    transcript: bytes


@pytest.fixture
def ends(parties) -> tuple[Established, Established]:
    """One session, as its Emitter and its Receiver know it."""
    transcript = bytes(range(32))
    return (
        Facts(CLASSIC, Role.EMITTER, parties.receiver.public, transcript),
        Facts(CLASSIC, Role.RECEIVER, parties.emitter.public, transcript),
    )


def test_both_sides_say_the_same(ends, parties) -> None:
    """Who emitted, who received, in which session, what: one statement, made from either side's facts."""
    at_emitter = statement_of(ends[0], parties.emitter.public, OFFER, SUMMARY, time=7)
    at_receiver = statement_of(ends[1], parties.receiver.public, OFFER, SUMMARY, time=7)
    assert at_emitter == at_receiver
    assert at_emitter.emitter == parties.emitter.fingerprint
    assert at_emitter.receiver == parties.receiver.fingerprint


def test_the_statement_holds_everything(ends, parties) -> None:
    """Every field has what the session, the offer and the summary say, under the Emitter's name for it."""
    statement = statement_of(ends[1], parties.receiver.public, OFFER, SUMMARY, time=7)
    assert (statement.suite, statement.transcript) == (CLASSIC, bytes(range(32)))
    assert (statement.delivery, statement.kind, statement.sha256) == (OFFER.delivery, 1, True)
    assert (statement.items, statement.items_bytes, statement.items_hash) == (1, 5, SUMMARY.items_hash)
    assert (statement.length, statement.blake3) == (5, SUMMARY.blake3)
    assert (statement.durable, statement.time) == (True, 7)


@pytest.mark.parametrize("durable", [False, True])
def test_what_the_emitter_cannot_know_it_takes_from_the_signature(ends, parties, durable: bool) -> None:
    """Whether it is durable, and when it was stored: signed, and taken over."""
    stored = dataclasses.replace(SUMMARY, durable=durable)
    signed = statement_of(ends[1], parties.receiver.public, OFFER, stored, time=99)
    attestation = receipts.attest(parties.receiver, signed)
    sent = dataclasses.replace(SUMMARY, durable=False, target=None)
    expected = statement_of(ends[0], parties.emitter.public, OFFER, sent, time=attestation.time)
    assert receipts.check(parties.receiver.public, expected, attestation) == signed


CHANGES = {
    "another delivery": (dataclasses.replace(OFFER, delivery=bytes(16)), SUMMARY),
    "another kind": (dataclasses.replace(OFFER, kind=Kind.STREAM), SUMMARY),
    "no SHA-256": (dataclasses.replace(OFFER, sha256=False), SUMMARY),
    "another length": (OFFER, dataclasses.replace(SUMMARY, length=6)),
    "another content": (OFFER, dataclasses.replace(SUMMARY, blake3=bytes(32))),
    "other items": (OFFER, dataclasses.replace(SUMMARY, items_hash=bytes(32))),
    "more items": (OFFER, dataclasses.replace(SUMMARY, items=2)),
    "larger items": (OFFER, dataclasses.replace(SUMMARY, items_bytes=6)),
}


@pytest.mark.parametrize(("offer", "summary"), CHANGES.values(), ids=CHANGES)
def test_security_what_differs_does_not_verify(ends, parties, offer: Offer, summary: Summary) -> None:
    """A Receiver that signs something else than what was sent has signed nothing."""
    signed = statement_of(ends[1], parties.receiver.public, offer, summary, time=7)
    attestation = receipts.attest(parties.receiver, signed)
    expected = statement_of(ends[0], parties.emitter.public, OFFER, SUMMARY, time=7)
    assert receipts.check(parties.receiver.public, expected, attestation) is None


def test_security_another_session_does_not_verify(ends, parties) -> None:
    """A statement of one session is none of another one, though everything else is the same."""
    signed = statement_of(ends[1], parties.receiver.public, OFFER, SUMMARY, time=7)
    attestation = receipts.attest(parties.receiver, signed)
    other = dataclasses.replace(ends[0], transcript=bytes(32))
    expected = statement_of(other, parties.emitter.public, OFFER, SUMMARY, time=7)
    assert receipts.check(parties.receiver.public, expected, attestation) is None
