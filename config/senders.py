"""Who may deliver to us, as the trust store says at every moment of a long run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from selo.config.errors import NoSenders, NoSuchPeer
from selo.config.peer import Peer
from selo.config.trust import TrustStore


class Senders:
    """The peers that may deliver, by fingerprint; the named ones, where ``names`` holds any.

    Asked at every handshake, so it reads the store again only where a file of it has changed: a stranger who
    knocks costs one look at the folder.

    Raises:
        NoSuchPeer: a name that nobody has.
        NoSenders: nobody may.
        SeloError: see ``TrustStore``.
    """

    def __init__(self, store: TrustStore, names: Sequence[str] | None) -> None:
        self._store = store
        self._names = names
        self._stamp = store.stamp()
        self._known: Mapping[bytes, Peer] = store.senders(names)

    def __call__(self) -> Mapping[bytes, Peer]:
        """Who may deliver now: nobody, where all who might have were removed.

        Raises:
            SeloError: see ``TrustStore``; what it said before counts no longer.
        """
        stamp = self._store.stamp()  # before it is read: what changes meanwhile is seen the next time
        if stamp is None or stamp != self._stamp:
            # Nor may the old stamp count again where the reading fails: a file can be put back as it was.
            self._known, self._stamp = {}, None
            with suppress(NoSenders, NoSuchPeer):
                self._known = self._read()
            self._stamp = stamp
        return self._known

    def _read(self) -> Mapping[bytes, Peer]:
        """Of the named ones those who are still there: one who was removed takes nobody else along."""
        if not self._names:
            return self._store.senders()
        there = set(self._store.names())
        left = [name for name in self._names if name in there]
        return self._store.senders(left) if left else {}
