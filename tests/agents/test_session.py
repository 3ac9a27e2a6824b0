"""The session against an adversary who owns the wire, and against silence."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from selo.agents.bodies import AbortCode
from selo.agents.errors import (
    BeginAnew,
    DigestMismatch,
    HeldForAnother,
    InternalFault,
    PeerMisbehaved,
    ReceiptUnsigned,
    RefusedByPolicy,
    SinkFault,
    SourceFault,
    TargetExists,
    WrongKind,
)
from selo.agents.session import abort_for
from selo.agents.sources import BytesSource
from selo.agents.storage.base import BeingReceived
from selo.config.errors import FileFault
from selo.config.settings import Settings
from selo.crypto.handshake import Role
from selo.errors import Interrupted

DATA = os.urandom(1000)
RECORD_SIZE = 256

Tap = Callable[[object, bytes], list[bytes]]


class OnFrame:
    """Lets all frames of one sender pass but the one of a given number, which ``act`` replaces."""

    def __init__(self, number: int, act: Callable[[bytes], list[bytes]], sender: int) -> None:
        self._number = number
        self._act = act
        self._sender = sender
        self._senders: list[object] = []
        self._count = 0
        self.struck = False

    def __call__(self, direction: object, frame: bytes) -> list[bytes]:
        if direction not in self._senders:
            self._senders.append(direction)  # the Emitter speaks first
        if self._senders.index(direction) != self._sender:
            return [frame]
        self._count += 1
        if self._count - 1 != self._number:
            return [frame]
        self.struck = True
        return self._act(bytes(frame))


def flip(position: int) -> Callable[[bytes], list[bytes]]:
    """One bit of the byte at ``position`` (from the end if negative) changed."""

    def act(frame: bytes) -> list[bytes]:
        changed = bytearray(frame)
        changed[position] ^= 1
        return [bytes(changed)]

    return act


STRIKES: dict[str, Callable[[bytes], list[bytes]]] = {
    "dropped": lambda frame: [],
    "doubled": lambda frame: [frame, frame],
    "cut by one byte": lambda frame: [frame[:-1]],
    "one byte longer": lambda frame: [frame + b"\0"],
    "emptied": lambda frame: [b""],
    "preceded by garbage": lambda frame: [b"garbage", frame],
    "first byte changed": flip(0),
    "kind changed": flip(1),
    "header changed": flip(6),
    "middle changed": flip(30),
    "tag changed": flip(-1),
}

# M1, M3, OPEN, ACK, 4 DATA, FINAL, ACK leave the Emitter; M2, M4, OPEN, ACKs, DATA, RECEIPT the Receiver.
EMITTER_FRAMES = 10
RECEIVER_FRAMES = 6


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    """Deadlines short enough that a test of silence does not take long."""
    return replace(
        settings,
        record_size=RECORD_SIZE,
        first_message_deadline=0.5,
        handshake_deadline=0.5,
        idle_limit=0.8,
        ping_interval=30.0,
        emit_wait=0.7,
        receive_wait=0.7,
        close_grace=0.3,
    )


@pytest.mark.parametrize("strike", STRIKES)
@pytest.mark.parametrize(
    ("sender", "number"),
    [(0, number) for number in range(EMITTER_FRAMES)] + [(1, number) for number in range(RECEIVER_FRAMES)],
)
def test_security_no_tampering_with_any_frame_goes_unnoticed(
    memory_wire, deliver, brisk: Settings, sender: int, number: int, strike: str
) -> None:
    """Whatever is done to any one frame: nobody hangs, and the Emitter reports success only if the
    Receiver stored exactly what was sent."""
    tap = OnFrame(number, STRIKES[strike], sender)
    run = deliver(memory_wire(tap), BytesSource(DATA), emitter_settings=brisk, receiver_settings=brisk)
    if not tap.struck:
        assert number >= 2, "the frame to be struck was never sent"
        return  # ACKs may be joined: there were fewer frames this time
    assert DATA.startswith(run.received), "bytes that were never sent reached the sink"
    if run.receiver.outcome is not None:
        assert run.received == DATA, "the Receiver took a cut stream for a whole one"
    if run.emitter.error is None:
        # It had its receipt: what was struck is its own last ACK, or the RECEIPT came twice.
        last = (sender, number) == (0, EMITTER_FRAMES - 1)
        assert last or (sender, strike) == (1, "doubled"), (
            "the Emitter took a tampered session for a good one"
        )
        assert run.receiver.outcome is not None


@pytest.mark.parametrize("number", range(2, EMITTER_FRAMES - 2))
def test_security_swapped_records_are_refused(memory_wire, deliver, brisk: Settings, number: int) -> None:
    """Two neighbouring records in the wrong order end the session."""
    held: list[bytes] = []

    class Swap(OnFrame):
        def __call__(self, direction: object, frame: bytes) -> list[bytes]:
            passed = super().__call__(direction, frame)
            if held and passed == [frame] and self._senders.index(direction) == 0:
                return [frame, held.pop()]
            return passed

    def hold(frame: bytes) -> list[bytes]:
        held.append(frame)
        return []

    run = deliver(
        memory_wire(Swap(number, hold, 0)), BytesSource(DATA), emitter_settings=brisk, receiver_settings=brisk
    )
    assert run.emitter.error is not None and run.receiver.error is not None
    assert run.receiver.status == 4
    assert DATA.startswith(run.received)


TOLD = [
    (SourceFault("/home/alice/x", "it shrank"), AbortCode.SOURCE, AbortCode.SOURCE),
    (SinkFault("/home/bob/x", "no space left"), AbortCode.SINK, AbortCode.SINK),
    (TargetExists("/home/bob/x"), AbortCode.SINK, AbortCode.SINK),
    (RefusedByPolicy("alice", "too much"), AbortCode.SINK, AbortCode.SINK),
    (WrongKind("a delivery", "a conversation"), AbortCode.SINK, AbortCode.SINK),
    (BeingReceived("/home/bob/x"), AbortCode.LATER, AbortCode.LATER),
    (HeldForAnother("alice"), AbortCode.LATER, AbortCode.LATER),
    (BeginAnew(), AbortCode.LATER, AbortCode.LATER),
    (Interrupted(signal.SIGINT), AbortCode.INTERRUPTED, AbortCode.INTERRUPTED),
    (Interrupted(signal.SIGHUP), AbortCode.INTERRUPTED, AbortCode.INTERRUPTED),
    (Interrupted(signal.SIGTERM), AbortCode.LATER, AbortCode.INTERRUPTED),
    (KeyboardInterrupt(), AbortCode.INTERRUPTED, AbortCode.INTERRUPTED),
    (PeerMisbehaved("a rule"), AbortCode.PROTOCOL, AbortCode.PROTOCOL),
    (DigestMismatch(), AbortCode.PROTOCOL, AbortCode.PROTOCOL),
    (ReceiptUnsigned(), AbortCode.PROTOCOL, AbortCode.PROTOCOL),
    (FileFault("write", Path("/home/alice/r"), "full"), AbortCode.INTERNAL, AbortCode.INTERNAL),
    (InternalFault(ValueError("/home/bob/x")), AbortCode.INTERNAL, AbortCode.INTERNAL),
    (ValueError("/home/bob/x"), AbortCode.INTERNAL, AbortCode.INTERNAL),
]


@pytest.mark.parametrize(("error", "to_emitter", "to_receiver"), TOLD, ids=lambda each: type(each).__name__)
def test_security_the_other_side_is_told_whose_fault_it_was_and_no_path(
    error: BaseException, to_emitter: AbortCode, to_receiver: AbortCode
) -> None:
    """A service that is stopped may come back; nothing of our disk is the other side's business."""
    for peer, code in ((Role.EMITTER, to_emitter), (Role.RECEIVER, to_receiver)):
        abort = abort_for(error, peer)
        assert abort.code is code
        assert abort.text and "/home" not in abort.text
