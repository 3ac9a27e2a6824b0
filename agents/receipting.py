"""The statement that a Receiver signs, put together alike on both sides (crypto/receipts.py)."""

from __future__ import annotations

from selo.agents.bodies import Offer
from selo.agents.content import Summary
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import PublicIdentity
from selo.crypto.receipts import Statement


def statement_of(
    established: Established, own: PublicIdentity, offer: Offer, stored: Summary, *, time: int
) -> Statement:
    """What the Receiver of this session says of a delivery; ``offer`` has the name that its Emitter gave.

    ``time`` is in seconds since 1970. The Emitter, who does not know how the delivery was stored, puts in
    what it has sent, and takes the rest from what was signed (``receipts.check``).
    """
    peer = established.peer.fingerprint
    ours_is_emitter = established.role is Role.EMITTER
    return Statement(
        suite=established.suite,
        emitter=own.fingerprint if ours_is_emitter else peer,
        receiver=peer if ours_is_emitter else own.fingerprint,
        transcript=established.transcript,
        delivery=offer.delivery,
        kind=int(offer.kind),
        durable=stored.durable,
        sha256=offer.sha256,
        time=time,
        items=stored.items,
        items_bytes=stored.items_bytes,
        length=stored.length,
        blake3=stored.blake3,
        items_hash=stored.items_hash,
    )
