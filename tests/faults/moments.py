"""When a fault strikes."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from .forwarder import DOWN, UP
from .wire import Seen

Trigger = Callable[[str, Seen], bool]
"""Told of every frame, in order, until it says that this is the moment."""


class Moment(StrEnum):
    """The moments of a session that differ in what each side knows and has on its disk."""

    HANDSHAKE = "in the handshake"
    OPENING = "at the OPEN"
    FIRST = "at the first record"
    MIDDLE = "in the middle"
    LAST = "at the last record"
    BEFORE_RECEIPT = "between FINAL and RECEIPT"
    AFTER_RECEIPT = "after the RECEIPT"
    CONFIRMED = "after the last ACK"


def trigger(moment: Moment, total: int) -> Trigger:
    """The trigger for a moment of the next session; ``total``: bytes of the whole delivery.

    Where nothing is left to be sent as DATA, the FINAL is the moment.
    """
    sent = 0
    receipted = False

    def data(direction: str, seen: Seen, after: int) -> bool:
        nonlocal sent
        if direction != UP or not seen.begun:
            return False
        if seen.kind == "DATA":
            sent += seen.length
            return sent >= after
        return seen.kind == "FINAL"

    def strikes(direction: str, seen: Seen) -> bool:
        nonlocal receipted
        receipted = receipted or (direction == DOWN and seen.kind == "RECEIPT")
        match moment:
            case Moment.HANDSHAKE:
                return direction == UP and seen.kind == "handshake" and seen.begun
            case Moment.OPENING:
                return direction == UP and seen.kind == "OPEN" and seen.begun
            case Moment.FIRST:
                return data(direction, seen, 0)
            case Moment.MIDDLE:
                return data(direction, seen, total // 2)
            case Moment.LAST:
                return data(direction, seen, total)
            case Moment.BEFORE_RECEIPT:
                return direction == UP and seen.kind == "FINAL" and not seen.begun
            case Moment.AFTER_RECEIPT:
                return direction == DOWN and seen.kind == "RECEIPT" and not seen.begun
            case Moment.CONFIRMED:
                return receipted and direction == UP and seen.kind == "ACK" and not seen.begun

    return strikes


def after_bytes(amount: int) -> Trigger:
    """When, counted from now, frames with so many bytes of plaintext have begun going up."""
    passed = 0

    def strikes(direction: str, seen: Seen) -> bool:
        nonlocal passed
        if direction == UP and seen.begun:
            passed += seen.length
        return direction == UP and passed >= amount

    return strikes
