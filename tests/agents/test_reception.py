"""What becomes of a delivery when its session ends, and of one that is held when somebody else's does."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from selo.agents import events
from selo.agents.bodies import Abort, AbortCode, Kind, Offer
from selo.agents.errors import DeliveryCut, PeerLost, SinkFault
from selo.agents.meeting_errors import NobodyCame, OnlyStrangersCame
from selo.agents.reception import Unfinished
from selo.agents.sinks import CallableSink, FileSink
from selo.agents.storage.base import StorageRules
from selo.agents.writer import Writer
from selo.config.settings import Settings
from selo.crypto.records import RecordType
from selo.errors import Interrupted, SeloError, TrustError
from tests.agents.rogue import Rogue

DATA = os.urandom(1000)
STREAM = Offer(Kind.STREAM, "log", None, delivery=b"d" * 16)
WINDOW = 900.0
DELIVERED = events.Delivered("alice", 5, 1, "ab" * 32, 0.25, None, "not sent")


def cut_delivery(delivered: events.Delivered | None = None, failure: SeloError | None = None) -> Unfinished:
    """A delivery that is held, or stored, and whose sink may have failed since."""
    writer = Writer(CallableSink(lambda _data: None), wake=lambda: None)
    writer.failure = failure
    return Unfinished(DeliveryCut("Receiver", PeerLost(10.0), 0), delivered, writer, WINDOW)


ENDS = [
    NobodyCame(1.0),
    OnlyStrangersCame(1.0, 1),
    PeerLost(1.0),
    TrustError("no"),
    Interrupted(signal.SIGINT),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_stored_is_stored_whatever_ends_the_waiting(end: SeloError) -> None:
    """Only the receipt was missing: that is no failure of the delivery."""
    assert cut_delivery(DELIVERED).give_up(end) is DELIVERED
    assert cut_delivery(DELIVERED, SinkFault("x", "y")).give_up(end) is DELIVERED


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_a_disk_that_failed_meanwhile_is_told(end: SeloError) -> None:
    """And not called a cut that could be gone on from."""
    failure = SinkFault("the file", "no space left on device")
    with pytest.raises(SinkFault) as caught:
        cut_delivery(failure=failure).give_up(end)
    assert caught.value is failure


@pytest.mark.parametrize(
    ("end", "raised", "tried"),
    [
        (ENDS[0], DeliveryCut, WINDOW),
        (ENDS[1], DeliveryCut, WINDOW),
        (ENDS[2], DeliveryCut, 0.0),
        (ENDS[3], TrustError, None),
        (ENDS[4], Interrupted, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_waiting_ends_with_its_own_reason(
    end: SeloError, raised: type[SeloError], tried: float | None
) -> None:
    """That its time is over is said only where that is so."""
    with pytest.raises(raised) as caught:
        cut_delivery().give_up(end)
    if isinstance(caught.value, DeliveryCut):
        assert caught.value.tried == tried
    else:
        assert caught.value is end


def half(rogue: Rogue) -> None:
    """Half of the delivery, and gone."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA[:500])
    rogue.take(RecordType.ACK)


def rest(rogue: Rogue) -> None:
    """What is missing, and the receipt."""
    answer = rogue.begin(STREAM, None)
    if DATA[answer.held :]:
        rogue.send(RecordType.DATA, DATA[answer.held :])
    rogue.send_final(blake3(DATA).digest())
    rogue.take_receipt()


def all_but_the_receipt(rogue: Rogue) -> None:
    """The whole, and gone before it is confirmed."""
    rogue.begin(STREAM)
    rogue.send(RecordType.DATA, DATA)
    rogue.send_final(blake3(DATA).digest())
    rogue.take(RecordType.RECEIPT)


def gives_up(rogue: Rogue) -> None:
    """ABORT before OPEN."""
    rogue.send(RecordType.ABORT, Abort(AbortCode.INTERRUPTED, "no").pack())


def converses(rogue: Rogue) -> None:
    """Another kind of session."""
    rogue.send(RecordType.OPEN, Offer(Kind.CONVERSATION, None, None).pack())
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.SINK


def says_nothing(rogue: Rogue) -> None:
    """No OPEN in time."""
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL


def breaks_the_rules(rogue: Rogue) -> None:
    """An OPEN that is none."""
    rogue.send(RecordType.OPEN, b"\x93\x07\xc0\xc0")
    assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.PROTOCOL


@pytest.mark.parametrize("first", [half, all_but_the_receipt], ids=lambda script: script.__name__)
@pytest.mark.parametrize(
    "between", [gives_up, converses, says_nothing, breaks_the_rules], ids=lambda script: script.__name__
)
def test_security_no_other_session_ends_a_delivery_that_is_held(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path, first, between
) -> None:
    """Whatever a trusted peer does that brings nothing: who was cut goes on afterwards."""
    side = receive_from_rogues(
        [(parties.emitter, first), (parties.stranger, between), (parties.emitter, rest)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        replace(lasting, handshake_deadline=0.5, first_message_deadline=0.5, close_grace=0.5),
    )
    assert side.error is None
    assert (tmp_path / "file").read_bytes() == DATA
    assert side.outcome.peer == "alice"


def test_who_changes_their_mind_and_does_not_come_back_is_not_waited_for(
    receive_from_rogues, parties, lasting: Settings, tmp_path: Path
) -> None:
    """After ABORT 6 for a source that has changed nothing is held; the waiting has an end all the same."""

    def otherwise(rogue: Rogue) -> None:
        assert rogue.begin(STREAM, 0).complete
        assert Abort.unpack(rogue.take(RecordType.ABORT).plaintext).code is AbortCode.LATER

    side = receive_from_rogues(
        [(parties.emitter, all_but_the_receipt), (parties.emitter, otherwise)],
        lambda: FileSink(tmp_path / "file", StorageRules()),
        replace(lasting, resume_window=1.0),
    )
    assert side.error is None, "it is stored, and that is told"
    assert (tmp_path / "file").read_bytes() == DATA
