"""The other end of a leg, in a process of its own: ``peer.py pipe FD`` or ``peer.py ADDRESS TICKET``.

Takes two turns, then counts and hashes what it receives until a frame ``end``, answers
with ``count digest``, and stays until it is killed or the leg ends.
"""

from __future__ import annotations

import hashlib
import sys
from multiprocessing.connection import Connection

from selo.transport import PipeLeg, connect
from selo.transport.base import Leg, LegClosed

MAX_FRAME = (1 << 20) + 57


def main(kind: str, argument: str) -> None:
    leg = _leg(kind, argument)
    for _ in range(2):
        _send(leg, _receive(leg))
    count, digest = 0, hashlib.blake2b()
    while (frame := _receive(leg)) != b"end":
        count += 1
        digest.update(frame)
    _send(leg, f"{count} {digest.hexdigest()}".encode())
    try:
        while True:
            _receive(leg)
    except LegClosed:
        leg.close()


def _leg(kind: str, argument: str) -> Leg:
    if kind == "pipe":
        return PipeLeg(Connection(int(argument)), max_frame=MAX_FRAME)
    return connect(kind, bytes.fromhex(argument), max_frame=MAX_FRAME)


def _send(leg: Leg, frame: bytes) -> None:
    while not leg.try_send(frame):
        leg.wait(1.0, want_write=True)


def _receive(leg: Leg) -> bytes:
    while (frame := leg.try_receive()) is None:
        leg.wait(1.0)
    return bytes(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
