"""Where what arrives is handed on at once, to standard output, a FIFO or a device; or, held back, at the end.

What was handed on lies on no disk of ours. So that a delivery whose receipt was lost is not handed on again
by the next process, a note of it stays in the home (``HandedOn``).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from selo.agents.bodies import Offer
from selo.agents.content import Ladder, Summary
from selo.agents.errors import CannotBeginAnew
from selo.agents.hold import HoldSink
from selo.agents.memory import HandedOn
from selo.agents.sinks import Sink
from selo.agents.storage.base import Held, ResumableSink
from selo.agents.storage.staged import too_long
from selo.config.errors import FileFault


class DirectSink(ResumableSink):
    """Hands on to ``inner``, what is longer than ``limit`` bytes not beyond them.

    ``hold``: all of it is held back until its end is known to be good, so many bytes at most. What another
    process handed on, as ``handed_on`` has it, is not taken again.
    """

    def __init__(
        self,
        inner: Sink,
        *,
        hold: int | None = None,
        limit: int | None = None,
        handed_on: HandedOn | None = None,
    ) -> None:
        self._hold = HoldSink(inner, limit=hold) if hold is not None else None
        self._inner: Sink = inner if self._hold is None else self._hold
        self._limit = limit
        self._handed_on = handed_on
        self._taken = 0
        self._offer: Offer | None = None
        self._summary: Summary | None = None

    @property
    def hands_on(self) -> bool:
        """See ``Sink.hands_on``."""
        return self._inner.hands_on

    @property
    def target(self) -> str:
        return "the stream"

    @property
    def places(self) -> tuple[str, ...]:
        return ()

    @property
    def durable(self) -> bool:
        return False

    @property
    def keeps(self) -> bool:
        return False

    @property
    def log(self) -> None:
        return None

    def open(self, offer: Offer) -> Held:
        """See ``Sink.open``."""
        self._offer = offer
        known = self._handed_on.recall(offer) if self._handed_on is not None else None
        if known is None:
            self._inner.open(offer)
        else:
            self._inner.discard()
        return Held(Ladder(), known)

    def go_on(self, position: int) -> None:
        """See ``ResumableSink.go_on``.

        Raises:
            CannotBeginAnew: what came before is out of our hands.
        """
        if position == self._taken:
            return
        if self._hold is None or self.hands_on:
            raise CannotBeginAnew(self._taken)
        self._hold.begin_anew()
        self._taken = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``Sink.write``; nothing beyond the limit passes."""
        self._taken += len(data)
        if self._limit is not None and self._taken > self._limit:
            raise too_long("the stream", self._limit)
        self._inner.write(data)

    def seal(self, summary: Summary) -> None:
        self._summary = summary

    def commit(self) -> str | None:
        target = self._inner.commit()
        if self._handed_on is not None and self._offer is not None and self._summary is not None:
            with suppress(FileFault):  # it is handed on, whatever becomes of the note
                self._handed_on.note(self._offer, replace(self._summary, target=target))
        return target

    def forget(self) -> None:
        if self._handed_on is not None and self._offer is not None:
            self._handed_on.forget(self._offer)

    def suspend(self) -> None:
        """Nothing of it can be taken up by another process."""
        self.discard()

    def discard(self) -> None:
        self._inner.discard()
