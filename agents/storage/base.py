"""What the places of a delivery have in common: a sink that can take up again what a cut left behind.

A ``ResumableSink`` is used by one thread from ``open`` to ``commit``, ``suspend`` or ``discard``. Its system
errors leave as ``SinkFault``. Nothing is under its final name before ``commit``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from selo.agents.bodies import Offer
from selo.agents.content import Ladder, Summary
from selo.agents.errors import SinkFault
from selo.config.policy import Names, Overwrite
from selo.crypto.items import ItemLog


@dataclass(frozen=True)
class Held:
    """What is here of a delivery: places with the hash of all before them, or, stored before, the whole."""

    ladder: Ladder
    complete: Summary | None = None


@dataclass(frozen=True)
class StorageRules:
    """How deliveries are stored.

    ``fsync``: what is committed survives a power cut. ``keep``: what a cut left is kept to be taken up again.
    ``keep_free`` (bytes) stays free on the disk. ``max_bytes`` is a delivery's, ``max_items`` a tree's number
    of entries. ``umask`` takes bits from the modes that a delivery brings; None: that of this process.
    """

    overwrite: Overwrite = Overwrite.NEVER
    names: Names = Names.PLAIN
    fsync: bool = True
    keep: bool = True
    keep_free: int = 0
    max_bytes: int | None = None
    max_items: int | None = None
    umask: int | None = None


class ResumableSink(ABC):
    """A sink (agents/sinks.py) whose deliveries may come in several sessions."""

    @property
    def hands_on(self) -> bool:
        """See ``Sink.hands_on``: all that is written can be called back until ``commit``."""
        return False

    @property
    @abstractmethod
    def target(self) -> str:
        """Where the delivery goes, in words for messages; known once opened."""

    @property
    @abstractmethod
    def places(self) -> tuple[str, ...]:
        """The final names that were given, known from ``seal`` on, or when it was stored before."""

    @property
    @abstractmethod
    def durable(self) -> bool:
        """Whether what is committed survives a power cut."""

    @property
    @abstractmethod
    def keeps(self) -> bool:
        """Whether ``suspend`` leaves something that another process can take up."""

    @property
    @abstractmethod
    def log(self) -> ItemLog | None:
        """The items so far, those before ``go_on`` included; None where the delivery is one item."""

    @abstractmethod
    def open(self, offer: Offer) -> Held | None:
        """Prepare for the delivery and read again what is here of it, or refuse it.

        Returns:
            what is here; None from a sink that turns out to be none that can be taken up.

        Raises:
            BeingReceived: it is being received at this moment.
            TargetExists: its place is taken, and may not be.
            SinkFault: there is no place for it.
        """

    @abstractmethod
    def go_on(self, position: int) -> None:
        """Keep the first ``position`` bytes, which is one of the marks held, or 0, and drop the rest.

        Raises:
            PeerMisbehaved: it is none of them.
            SinkFault: the system refused.
        """

    @abstractmethod
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take all of ``data``, the next bytes of the delivery.

        Raises:
            PeerMisbehaved: a tree breaks the rules of its format.
            SinkFault: not all of it could be written, or it is more than is taken.
        """

    @abstractmethod
    def seal(self, summary: Summary) -> None:
        """Everything arrived and its digest agrees: from here on the delivery can only be finished.

        ``durable`` and ``target`` of the summary are filled in here.

        Raises:
            PeerMisbehaved: a tree ends in the middle of an entry.
            TargetExists: its place was taken meanwhile.
            SinkFault: it could not be made durable.
        """

    @abstractmethod
    def commit(self) -> str | None:
        """Give what was sealed its final name; returns where it is.

        Raises:
            TargetExists: its place was taken meanwhile.
            SinkFault: it could not; under the final name is nothing, or what was there before, or
                (if only making that durable failed) the whole delivery.
        """

    @abstractmethod
    def forget(self) -> None:
        """The Emitter has its receipt: nothing needs to be known of this delivery any more."""

    @abstractmethod
    def suspend(self) -> None:
        """Let go of everything; what is on disk can be taken up again by ``open`` of the same delivery."""

    @abstractmethod
    def discard(self) -> None:
        """Remove everything of it, also what was suspended; does nothing after ``commit``. May be called
        twice, at any time, and from another thread while the sink's own hangs."""


class BeingReceived(SinkFault):
    """Another session, of this process or another one, holds what is here of this delivery."""

    def __init__(self, target: str) -> None:
        super().__init__(target, "another process is receiving it")
        self.args = (target,)


@contextmanager
def faults(target: str) -> Iterator[None]:
    """Errors of the system leave as ``SinkFault`` that names ``target``."""
    try:
        yield
    except OSError as error:
        raise SinkFault.from_os(target, error) from error
