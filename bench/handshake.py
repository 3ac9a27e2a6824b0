"""CPU milliseconds of the handshake, each side's, both in one process: prints `emitter receiver` per line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from selo.crypto.handshake import SessionLimits, emitter_hello, receiver_start
from selo.crypto.identity import Identity
from selo.crypto.limits import ZERO_SECRET

LIMITS = SessionLimits(max_plaintext=1 << 20, window_records=4096, window_bytes=16 << 20)


def main(rounds: int) -> None:
    """One handshake a round, between the same two identities, with fresh nonces and exponents."""
    emitter, receiver = Identity.generate(os.urandom), Identity.generate(os.urandom)
    for _ in range(rounds):
        spent = {"emitter": 0.0, "receiver": 0.0}

        def timed(side: str, step: Callable[..., Any], *words: Any, **named: Any) -> Any:
            started = time.process_time()
            result = step(*words, **named)
            spent[side] += time.process_time() - started  # noqa: B023 (called in this round only)
            return result

        fresh = [{"nonce": os.urandom(32), "exponent": os.urandom(40), "secret": ZERO_SECRET} for _ in "ER"]
        m1, expect_m2 = timed("emitter", emitter_hello, identity=emitter, peer=receiver.public, **fresh[0])
        known = {emitter.fingerprint: emitter.public}
        expect_m1 = timed(
            "receiver", receiver_start, identity=receiver, authorised=known, limits=LIMITS, **fresh[1]
        )
        m2, expect_m3 = timed("receiver", expect_m1.receive, m1)
        m3, expect_m4 = timed("emitter", expect_m2.receive, m2)
        m4, _ = timed("receiver", expect_m3.receive, m3)
        timed("emitter", expect_m4.receive, m4)
        print(f"{spent['emitter'] * 1000:.3f} {spent['receiver'] * 1000:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
