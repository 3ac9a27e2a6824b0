"""Admission tickets for the gate (docs/PROTOCOL.md, section 5).

They control who may knock and authenticate nobody: without a Receiver secret,
all that a ticket takes is a fingerprint, which is public.
"""

from __future__ import annotations

from typing import Final

from selo.crypto.limits import SPENT_TICKETS, TICKET_LENGTH, TICKET_NONCE_LENGTH, ZERO_SECRET
from selo.crypto.primitives import equal, hmac_sha256
from selo.crypto.schedule import label
from selo.errors import MisuseError


def make_ticket(fingerprint: bytes, nonce: bytes, secret: bytes = ZERO_SECRET) -> bytes:
    """The ticket (48 bytes) to show to the binding side with this fingerprint.

    ``nonce`` is 16 fresh random bytes for every attempt; ``secret`` the Receiver secret (32 bytes).

    Raises:
        MisuseError: the nonce has another length.
    """
    if len(nonce) != TICKET_NONCE_LENGTH:
        raise MisuseError(f"a ticket's nonce has {TICKET_NONCE_LENGTH} bytes")
    return nonce + hmac_sha256(_ticket_key(fingerprint, secret), nonce)


class TicketGate:
    """Knows the tickets made for one fingerprint, and which were spent (the last ``capacity`` of them).

    Not for several threads: it belongs to its listener's.
    """

    def __init__(
        self, fingerprint: bytes, secret: bytes = ZERO_SECRET, capacity: int = SPENT_TICKETS
    ) -> None:
        self._key: Final = _ticket_key(fingerprint, secret)
        self._capacity: Final = capacity
        self._spent: dict[bytes, None] = {}

    def check(self, ticket: bytes) -> bool:
        """Whether the ticket is good: its length, its MAC (constant time), and not spent. Changes nothing."""
        if len(ticket) != TICKET_LENGTH:
            return False
        nonce, tag = ticket[:TICKET_NONCE_LENGTH], ticket[TICKET_NONCE_LENGTH:]
        return equal(hmac_sha256(self._key, nonce), tag) and nonce not in self._spent

    def spend(self, ticket: bytes) -> None:
        """Refuse this ticket from now on; the oldest one spent is forgotten when memory is full.

        Raises:
            MisuseError: ``check`` does not hold for it, so its bearer must not have been let in.
        """
        if not self.check(ticket):
            raise MisuseError("a ticket that is not good was spent")
        while len(self._spent) >= self._capacity:
            del self._spent[next(iter(self._spent))]
        self._spent[ticket[:TICKET_NONCE_LENGTH]] = None


def _ticket_key(fingerprint: bytes, secret: bytes) -> bytes:
    return hmac_sha256(secret, label("ticket") + fingerprint)
