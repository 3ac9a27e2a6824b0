"""A Receiver that we pinned and that lies: what it says it has, has consumed, has stored and has signed.

Each test breaks one rule and nothing else, so that it fails where that rule is not looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Ack, Answer, Mark, Offer
from selo.agents.content import ContentHash, Summary
from selo.agents.errors import (
    DeliveryCut,
    DigestMismatch,
    ReceiptUnsigned,
)
from selo.agents.listing import whole_as_item
from selo.agents.receipting import statement_of
from selo.agents.sources import BytesSource, Source
from selo.crypto import receipts
from selo.crypto.established import Established, Role
from selo.crypto.receipts import Statement
from selo.crypto.records import RecordType, Totals
from selo.transport.base import LegClosed

from .liar import Liar
from .stage import PATIENCE, Script, Stage, settings_for
from .tap import DATA

DIGEST = blake3(DATA).digest()


@pytest.fixture(scope="module")
def stage() -> Stage:
    """Two identities, and their handshake."""
    return Stage()


class Waiting(BytesSource):
    """Bytes that are read when they are let, or in the end."""

    def __init__(self, *, first: bool) -> None:
        super().__init__(DATA)
        self._first = first
        self._let = threading.Event()

    def blocks(self, block_size: int) -> Iterator[bytes | bytearray | memoryview]:
        if not self._first:
            yield from super().blocks(block_size)
        self._let.wait(PATIENCE)
        if self._first:
            yield from super().blocks(block_size)

    def cancel(self) -> None:
        self._let.set()


def lying_receiver(stage: Stage, script: Script, source: Source | None = None) -> DeliveryCut:
    """How an Emitter ends whose Receiver lies."""
    outcome = stage.against(Role.RECEIVER, [script], settings_for(window_records=64), source)
    assert isinstance(outcome.emitter, DeliveryCut), outcome.emitter
    assert outcome.emitter.exit_status == 4
    return outcome.emitter


def statement(stage: Stage, established: Established, offer: Offer) -> Statement:
    """The true one."""
    content = ContentHash()
    content.update(DATA)
    log = whole_as_item(offer, len(DATA), content)
    summary = Summary(len(DATA), DIGEST, log.count, log.size, log.hash, durable=False, target=None)
    return statement_of(established, stage.bob.public, offer, summary, time=1)


SAYS: dict[str, RecordType] = {"ACK": RecordType.ACK, "DATA": RecordType.DATA, "RECEIPT": RecordType.RECEIPT}


def say(liar: Liar, kind: RecordType) -> None:
    """A record of a kind, well formed."""
    liar.send(kind, Ack(1, 0).pack() if kind is RecordType.ACK else bytes(80))


@pytest.mark.parametrize(
    ("kind", "answered"),
    [("ACK", False), ("RECEIPT", False), ("ACK", True), ("DATA", True), ("RECEIPT", True)],
)
def test_security_nothing_before_the_place_was_settled(stage: Stage, kind: str, answered: bool) -> None:
    """What is acknowledged or receipted is so from a place on, before our answer (where the opener itself
    refuses DATA) and after it."""

    def hasty(liar: Liar, _established: Established) -> None:
        liar.receive()
        if answered:
            liar.send(RecordType.OPEN, Answer((Mark(16, blake3(DATA[:16]).digest()),)).pack())
        say(liar, SAYS[kind])
        assert liar.told().code is AbortCode.PROTOCOL

    error = lying_receiver(stage, hasty, Waiting(first=True))
    assert f"{kind} before the delivery's place was settled" in str(error.cause)
    assert not error.outcome_unknown


@pytest.mark.parametrize("kind", ["DATA", "RECEIPT"])
def test_security_no_receipt_before_final(stage: Stage, kind: str) -> None:
    """A Receiver cannot have stored what was not all sent."""

    def hasty(liar: Liar, _established: Established) -> None:
        liar.welcome(Answer())
        liar.receive()
        say(liar, SAYS[kind])
        while (record := liar.receive()).type is RecordType.DATA:
            pass
        assert Abort.unpack(record.plaintext).code is AbortCode.PROTOCOL

    error = lying_receiver(stage, hasty, Waiting(first=False))
    assert f"{kind} before FINAL" in str(error.cause)


@pytest.mark.parametrize(
    "ack",
    [[(9, 0)], [(1 << 40, 0)], [(2, len(DATA) + 1)], [(3, 0), (2, 0)], [(2, 8), (2, 7)]],
    ids=["next record", "far record", "bytes never sent", "records back", "bytes back"],
)
def test_security_acks_claim_what_was_sent(stage: Stage, ack: list[tuple[int, int]]) -> None:
    """Nothing is taken for consumed that was not sent, and nothing is taken back."""

    def lying(liar: Liar, _established: Established) -> None:
        liar.welcome(Answer())
        for _ in range(6):
            liar.receive()
        for next_seq, durable in ack:
            liar.send(RecordType.ACK, Ack(next_seq, durable).pack())
        assert liar.told().code is AbortCode.PROTOCOL

    error = lying_receiver(stage, lying, Waiting(first=False))
    assert "ACK goes back or claims" in str(error.cause)


def signed(change: Callable[[Statement], Statement]) -> Callable[[Stage, Statement], bytes]:
    """A statement that is not the true one, well signed."""
    return lambda stage, true: receipts.attest(stage.bob, change(true)).pack()


OTHER = bytes(range(32))
FORGED: dict[str, Callable[[Stage, Statement], bytes]] = {
    "another Emitter": signed(lambda true: replace(true, emitter=OTHER)),
    "another session": signed(lambda true: replace(true, transcript=OTHER)),
    "another delivery": signed(lambda true: replace(true, delivery=OTHER[:16])),
    "another kind": signed(lambda true: replace(true, kind=3)),
    "other digests": signed(lambda true: replace(true, sha256=not true.sha256)),
    "more items": signed(lambda true: replace(true, items=true.items + 1)),
    "fewer bytes of items": signed(lambda true: replace(true, items_bytes=true.items_bytes - 1)),
    "another length": signed(lambda true: replace(true, length=true.length + 1)),
    "another content": signed(lambda true: replace(true, blake3=OTHER)),
    "another list": signed(lambda true: replace(true, items_hash=OTHER)),
    "another signer": lambda stage, true: receipts.attest(
        stage.alice, replace(true, receiver=stage.alice.fingerprint)
    ).pack(),
    "another time": lambda stage, true: _moved(receipts.attest(stage.bob, true), time=2).pack(),
    "durable": lambda stage, true: _moved(receipts.attest(stage.bob, true), durable=True).pack(),
    "no signature": lambda stage, true: receipts.Attestation(False, False, 1, bytes(64)).pack(),
    "cut": lambda stage, true: receipts.attest(stage.bob, true).pack()[:-1],
    "longer": lambda stage, true: receipts.attest(stage.bob, true).pack() + b"\0",
}


def _moved(attestation: receipts.Attestation, **changes: Any) -> receipts.Attestation:
    return replace(attestation, **changes)


@pytest.mark.parametrize("forged", FORGED)
def test_security_the_statement_is_about_this_delivery(stage: Stage, forged: str) -> None:
    """A RECEIPT that is right does not make up for a statement that is not the Receiver's about all of it."""

    def lying(liar: Liar, established: Established) -> None:
        offer, final = liar.take_all()
        liar.send(RecordType.DATA, FORGED[forged](stage, statement(stage, established, offer)))
        with suppress(LegClosed):
            liar.send(RecordType.RECEIPT, final)
        assert liar.told().code is AbortCode.PROTOCOL

    error = lying_receiver(stage, lying)
    assert isinstance(error.cause, ReceiptUnsigned)
    assert error.outcome_unknown


@pytest.mark.parametrize("count", [0, 1, 2])
def test_security_one_statement(stage: Stage, count: int) -> None:
    """A RECEIPT without a statement is none, with two neither; with one, all is well."""

    def sending(liar: Liar, established: Established) -> None:
        offer, final = liar.take_all()
        for _ in range(count):
            true = statement(stage, established, offer)
            liar.send(RecordType.DATA, receipts.attest(stage.bob, true).pack())
        liar.send(RecordType.RECEIPT, final)
        liar.receive()

    outcome = stage.against(Role.RECEIVER, [sending], settings_for(window_records=64))
    if count == 1:
        assert isinstance(outcome.emitter, events.Delivered)
        return
    assert isinstance(outcome.emitter, DeliveryCut)
    rule = "a second statement" if count else "RECEIPT without a signed statement"
    assert rule in str(outcome.emitter.cause)


@pytest.mark.parametrize("position", range(80))
def test_security_the_receipt_is_the_final(stage: Stage, position: int) -> None:
    """With any byte of it changed it is no receipt, though the statement is true."""

    def lying(liar: Liar, established: Established) -> None:
        offer, final = liar.take_all()
        true = statement(stage, established, offer)
        liar.send(RecordType.DATA, receipts.attest(stage.bob, true).pack())
        wrong = bytearray(final)
        wrong[position] ^= 1
        liar.send(RecordType.RECEIPT, bytes(wrong))
        assert liar.told().code is AbortCode.PROTOCOL

    error = lying_receiver(stage, lying)
    assert isinstance(error.cause, DigestMismatch)
    assert error.outcome_unknown


HALF = len(DATA) // 2


HALVES = Mark(HALF, blake3(DATA[:HALF]).digest())


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("marks", "place", "place_if_complete"),
    [
        ((), 0, 0),
        ((HALVES,), HALF, 0),
        ((Mark(HALF, OTHER),), 0, 0),
        ((HALVES, Mark(len(DATA), OTHER)), HALF, HALF),
        ((HALVES, Mark(1 << 40, OTHER)), HALF, HALF),
        ((Mark(1 << 40, DIGEST),), 0, 0),
    ],
    ids=["nothing", "half", "another half", "another end", "more than there is", "only more"],
)
def test_security_only_what_is_equal_is_left_out(
    stage: Stage, marks: tuple[Mark, ...], place: int, place_if_complete: int, complete: bool
) -> None:
    """Whatever a Receiver says that it has, the Emitter goes on from where its own bytes are the same."""

    def claiming(liar: Liar, _established: Established) -> None:
        _, said = liar.welcome(Answer(marks, complete))
        assert said == (place_if_complete if complete else place)
        rest = bytearray()
        while (record := liar.receive()).type is RecordType.DATA:
            rest += record.plaintext
        assert rest == DATA[said:]
        assert Totals.unpack(record.plaintext).digest == DIGEST

    assert lying_receiver(stage, claiming).outcome_unknown


@pytest.mark.parametrize("opened", [False, True], ids=["before its answer", "after its answer"])
def test_final_that_left_once_leaves_the_outcome_unknown(stage: Stage, opened: bool) -> None:
    """The Receiver may have stored what it had all of, until it says itself that it has not."""

    def all_of_it(liar: Liar, _established: Established) -> None:
        liar.welcome(Answer())
        while (record := liar.receive()).type is RecordType.DATA:
            liar.send(RecordType.ACK, Ack(record.seq + 1, 0).pack())

    def nothing(liar: Liar, _established: Established) -> None:
        liar.receive()
        if opened:
            liar.send(RecordType.OPEN, Answer().pack())
            while liar.receive().type is not RecordType.DATA:
                pass

    settings = settings_for(retry_for=0.3)  # a window of one record: no second FINAL yet
    outcome = stage.against(Role.RECEIVER, [all_of_it, nothing], settings)
    assert isinstance(outcome.emitter, DeliveryCut)
    assert outcome.emitter.outcome_unknown == (not opened), outcome.emitter


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (Answer((HALVES,)), HALF),
        (Answer((Mark(HALF, OTHER),)), 0),
        (Answer((HALVES,), complete=True), 0),
        (Answer((Mark(len(DATA), DIGEST),), complete=True), len(DATA)),
        (Answer((Mark(len(DATA), OTHER),), complete=True), 0),
    ],
    ids=["half", "another half", "half as all", "all", "another all"],
)
def test_security_only_what_is_equal_is_left_out_again(stage: Stage, answer: Answer, place: int) -> None:
    """The same of a Receiver that comes back, where what was sent is still at hand."""

    def all_of_it(liar: Liar, _established: Established) -> None:
        liar.take_all()

    def claiming(liar: Liar, _established: Established) -> None:
        said.append(liar.welcome(answer)[1])

    said: list[int] = []
    settings = settings_for(window_records=64, retry_for=0.1)
    stage.against(Role.RECEIVER, [all_of_it, claiming], settings)
    assert said == [place]


def test_security_no_final_from_a_receiver(stage: Stage) -> None:
    """Its direction brings an answer and a statement, and has no end of its own."""

    def lying(liar: Liar, _established: Established) -> None:
        liar.take_all()
        liar.send_final(bytes(32))
        assert liar.told().code is AbortCode.PROTOCOL

    assert "FINAL is not for this direction" in str(lying_receiver(stage, lying).cause)
