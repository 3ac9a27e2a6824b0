"""What an agent tells its caller while it works: one frozen value per event.

``as_json`` is the form of ``--json``: a name and plain values; bytes become
hexadecimal. Times are seconds, sizes are bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from selo.agents.bodies import Offer
from selo.crypto.items import Item, ItemType
from selo.errors import SeloError


@dataclass(frozen=True)
class Event:
    """The root of all events; ``name`` is what ``--json`` calls it."""

    name: ClassVar[str] = "event"

    def as_json(self) -> dict[str, Any]:
        """The event as one JSON object."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {key: value.hex() if isinstance(value, bytes) else value for key, value in values.items()}
        return {"event": self.name, **plain}


Report = Callable[[Event], None]


@dataclass(frozen=True)
class Listening(Event):
    """We can be reached at ``address`` by ``peers``, and by nobody else."""

    name: ClassVar[str] = "listening"
    address: str
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Waiting(Event):
    """The connecting side tries again; ``reason`` is why the last attempt failed."""

    name: ClassVar[str] = "waiting"
    address: str
    reason: str


@dataclass(frozen=True)
class Refused(Event):
    """Somebody was turned away, at the gate or in the handshake; nothing was written."""

    name: ClassVar[str] = "refused"
    peer_address: str
    reason: str
    count: int


@dataclass(frozen=True)
class Connected(Event):
    """A leg is up; nobody is authenticated yet."""

    name: ClassVar[str] = "connected"
    peer_address: str


@dataclass(frozen=True)
class PeerVerified(Event):
    """The peer's signature verified under the pinned key."""

    name: ClassVar[str] = "authenticated"
    role: str
    peer: str
    fingerprint: bytes


@dataclass(frozen=True)
class KeysConfirmed(Event):
    """Both sides hold the same Diffie-Hellman keys: the MAC under them verified."""

    name: ClassVar[str] = "keys-confirmed"
    role: str


@dataclass(frozen=True)
class Established(Event):
    """The session's traffic keys are in force."""

    name: ClassVar[str] = "established"
    suite: str
    transcript: bytes


@dataclass(frozen=True)
class Opened(Event):
    """A delivery begins, ``direction`` ("to" or "from") ``peer``.

    ``label`` is what the Emitter calls it: hostile text to a Receiver.
    """

    name: ClassVar[str] = "opened"
    direction: str
    peer: str
    kind: str
    label: str | None
    size: int | None

    @classmethod
    def of(cls, offer: Offer, direction: str, peer: str) -> Opened:
        """The event for an offer that was sent or arrived."""
        return cls(direction, peer, offer.kind.name.lower(), offer.name, offer.size)


@dataclass(frozen=True)
class Progress(Event):
    """``done`` bytes of ``total`` (None: not known) are acknowledged, or stored."""

    name: ClassVar[str] = "progress"
    done: int
    total: int | None


@dataclass(frozen=True)
class Delivered(Event):
    """The delivery is stored, out of ``records`` DATA records.

    ``places`` are all final names of a Receiver's, of which ``target`` is the one, or the folder.
    ``earlier``: by an earlier session, which may be long ago: this one was about the receipt alone.
    ``receipt`` is "verified" for an Emitter, "sent" or "not sent" for a Receiver.
    """

    name: ClassVar[str] = "delivered"
    peer: str
    bytes: int
    records: int
    blake3: str
    seconds: float
    target: str | None
    receipt: str
    places: tuple[str, ...] = ()
    items: int = 1
    earlier: bool = False
    delivery: str = ""
    durable: bool = False


@dataclass(frozen=True)
class ItemStarted(Event):
    """A file of a tree begins; ``path`` is hostile text to a Receiver."""

    name: ClassVar[str] = "item-started"
    path: str
    size: int

    @classmethod
    def of(cls, path: bytes, size: int) -> ItemStarted:
        """The event for a file that begins."""
        return cls(os.fsdecode(path), size)


@dataclass(frozen=True)
class ItemDone(Event):
    """One item of a tree was read (Emitter) or written (Receiver); ``path`` is hostile text to a Receiver."""

    name: ClassVar[str] = "item-done"
    kind: str
    path: str
    size: int
    blake3: str | None

    @classmethod
    def of(cls, item: Item) -> ItemDone:
        """The event for an item."""
        digest = item.blake3.hex() if item.type is ItemType.FILE else None
        return cls(item.type.name.lower(), os.fsdecode(item.path), item.size, digest)


@dataclass(frozen=True)
class Resumed(Event):
    """The delivery goes on at ``offset``; ``held`` bytes of it were there.

    Where ``offset`` is less, the source was changed or what was there is damaged. ``complete``: all of it was
    stored before, and only the receipt is missing.
    """

    name: ClassVar[str] = "resumed"
    offset: int
    held: int
    complete: bool


@dataclass(frozen=True)
class Lost(Event):
    """The session was lost; for ``seconds`` (None: without end) the delivery can be taken up again."""

    name: ClassVar[str] = "lost"
    reason: str
    seconds: float | None


@dataclass(frozen=True)
class Failed(Event):
    """The delivery failed; ``code`` is the exit status that belongs to the reason."""

    name: ClassVar[str] = "failed"
    code: int
    kind: str
    reason: str

    @classmethod
    def of(cls, error: SeloError) -> Failed:
        """The event for an error."""
        return cls(error.exit_status, type(error).__name__, str(error))


def ignore(_event: Event) -> None:
    """A ``Report`` for callers who do not want to know."""


class Throttle:
    """Lets one ``Progress`` through in ``interval`` seconds."""

    def __init__(
        self, report: Report, *, interval: float = 0.2, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._interval = interval
        self._clock = clock
        self._next = 0.0

    def progress(self, done: int, total: int | None) -> None:
        """Report it, unless one was reported just now."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._interval
            self._report(Progress(done, total))
