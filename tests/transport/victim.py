"""A listener in a process of its own: ``victim.py MODE``.

Prints its address, then ``in`` and ``out WHY COUNT`` for every leg. In mode ``read`` it
reads a leg at once, in mode ``sleep`` only after a line on its standard input, in mode
``watch`` it only waits for the leg to end.
"""

from __future__ import annotations

import sys

from selo.errors import SeloError
from selo.transport import listen
from selo.transport.base import Gate, Leg

MAX_FRAME = (1 << 20) + 57


def main(mode: str) -> None:
    spent: set[bytes] = set()
    gate = Gate(lambda ticket: ticket.startswith(b"good") and ticket not in spent, spent.add)
    listener = listen("tcp://127.0.0.1:0", gate, max_frame=MAX_FRAME)
    print(listener.address, flush=True)
    while True:
        leg = listener.accept(60.0)
        if leg is None:
            return
        print("in", flush=True)
        if mode == "sleep":
            sys.stdin.readline()
        why, count = _use(leg, mode)
        print("out", why, count, flush=True)
        leg.close()


def _use(leg: Leg, mode: str) -> tuple[str, int]:
    count = 0
    try:
        while True:
            leg.wait(60.0)
            while mode != "watch" and leg.try_receive() is not None:
                count += 1
            if mode == "watch":
                leg.try_send(b"still there?")
    except SeloError as error:
        return type(error).__name__, count


if __name__ == "__main__":
    main(*sys.argv[1:])
