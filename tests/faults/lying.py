"""An Emitter that lies, and the Receiver that meets it: what the tests of both have in common."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from blake3 import blake3

from selo.agents.bodies import Answer, Kind, Offer
from selo.agents.errors import (
    DeliveryCut,
    PeerMisbehaved,
)
from selo.agents.sinks import CallableSink, Sink
from selo.crypto.established import Role
from selo.crypto.records import RecordType
from selo.errors import SeloError
from selo.transport.base import LegClosed

from .liar import Liar
from .stage import PATIENCE, Outcome, Script, Stage, settings_for
from .tap import DATA

DELIVERY = os.urandom(16)
STREAM = Offer(Kind.STREAM, None, None, DELIVERY)
FILE = Offer(Kind.FILE, "file", len(DATA), DELIVERY)
EMPTY = blake3().digest()
DIGEST = blake3(DATA).digest()


class Gated(CallableSink):
    """A program that takes what comes when it is let."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.may_write, self.may_commit = threading.Event(), threading.Event()
        self.may_write.set()
        self.may_commit.set()
        super().__init__(self._take)

    def _take(self, data: bytes) -> None:
        self.may_write.wait(PATIENCE)
        self.taken.extend(data)

    def commit(self) -> str | None:
        self.may_commit.wait(PATIENCE)
        return super().commit()


def lying_emitter(
    stage: Stage, *scripts: Callable[[Liar], object], sink: Sink | None = None, **changes: float
) -> Outcome:
    """A Receiver whose Emitter lies, in one session after another; its window is 64 records."""
    plays = [_without_keys(script) for script in scripts]
    return stage.against(Role.EMITTER, plays, settings_for(window_records=64, **changes), sink=sink)


def _without_keys(script: Callable[[Liar], object]) -> Script:
    return lambda liar, _established: script(liar)


def caught(outcome: Outcome, rule: str, kind: type[SeloError] = PeerMisbehaved) -> None:
    """The Receiver gave up because of that rule, and nothing is stored."""
    receiver = outcome.receiver
    assert isinstance(receiver, DeliveryCut), receiver
    assert isinstance(receiver.cause, kind), receiver.cause
    assert rule in str(receiver.cause)
    assert receiver.exit_status == 4
    assert outcome.stored == 0


def deliver(liar: Liar, digest: bytes = DIGEST) -> None:
    """All up to FINAL, of a delivery that is new."""
    assert liar.begin(STREAM) == Answer()
    liar.place()
    liar.send(RecordType.DATA, DATA)
    liar.send_final(digest)


def unconfirmed(liar: Liar) -> int:
    """A delivery that is stored, and whose receipt is lost; the number of the RECEIPT."""
    deliver(liar)
    while (record := liar.receive()).type is not RecordType.RECEIPT:
        pass
    return record.seq


def confirmed(liar: Liar) -> None:
    """A delivery from its beginning to its end."""
    liar.place(len(DATA), next_seq=unconfirmed(liar) + 1)
    with suppress(LegClosed):
        liar.receive()


def beginning(liar: Liar, offer: Offer = STREAM) -> None:
    """A third of a delivery, and no more."""
    liar.begin(offer)
    liar.place()
    liar.send(RecordType.DATA, DATA[:32])
    liar.take_ack()
