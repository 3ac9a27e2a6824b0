"""A delivery as an iterator: its blocks as they arrive, and an end that is the authenticated one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType

from selo.agents import events
from selo.agents.bodies import Offer
from selo.agents.errors import SinkFault
from selo.agents.facts import SessionFacts
from selo.agents.meeting import Meeting
from selo.agents.receiver import Receiver
from selo.agents.sinks import refuse_tree
from selo.agents.stop import join, wait_for
from selo.errors import MisuseError

BLOCKS_AHEAD = 4
"""Blocks that wait for the program: the next one is there when it comes back from the last."""


class Stream:
    """The blocks of one delivery, in order; made by ``open_stream``.

    Each block is authentic when it is handed out, but only the end says that they are all: the
    iteration stops when the Emitter's FINAL has verified and the Emitter was sent its receipt.
    If the session is cut before that, the iteration raises. Leaving the ``with`` block before the
    end gives the delivery up, and the Emitter is told.
    """

    def __init__(self, receiver: Receiver, place: Meeting, end: ExitStack, passage: Passage) -> None:
        self._receiver = receiver
        self._place = place
        self._end = end
        self._passage = passage
        self._thread = threading.Thread(target=self._run, name="selo-stream", daemon=True)
        self.delivered: events.Delivered | None = None
        """What was delivered, once the iteration has stopped."""
        self._thread.start()

    @property
    def offer(self) -> Offer:
        """What the Emitter calls the delivery, and its size in bytes if that is known; waits for it.

        The name is the Emitter's word: it is no path.

        Raises:
            SeloError: the delivery failed before it began.
        """
        return self._passage.offer()

    @property
    def session(self) -> SessionFacts:
        """The facts of the session; waits for it.

        Raises:
            SeloError: there was none.
        """
        return self._passage.facts()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next block of 1 byte to 1 MiB, or several small ones joined.

        Raises:
            StopIteration: that was all of it, authentic and receipted.
            SessionError: the session was cut or tampered with: what came before is not the whole.
            UnreachableError, TrustError: nobody came in time.
            PeerFault: the Emitter's source failed.
        """
        block = self._passage.take()
        if block is None:
            raise StopIteration
        return block

    def close(self) -> None:
        """Give up what has not arrived; nothing after the end. The Emitter is told."""
        self._passage.give_up()
        if not self._passage.ended:
            self._receiver.terms.stop.request()
        join(self._thread)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            with self._end:
                self.delivered = self._receiver.run(self._place)
        except (
            BaseException
        ) as error:  # of a callback of the program as well: it is raised where that iterates
            failure = error
        if isinstance(failure, StopIteration):  # or it would pass for the end of the iteration
            failure = RuntimeError("a callback raised StopIteration")
        self._passage.end(failure)


class Passage:
    """A sink that hands every block to a program that takes them one by one (see ``Sink``)."""

    hands_on = True

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._offer: Offer | None = None
        self._facts: SessionFacts | None = None
        self._whole = False
        self._drained = False
        self._given_up = False
        self._discarded = False
        self._over = False
        self._failure: BaseException | None = None

    # The session's side

    def on_session(self, facts: SessionFacts) -> None:
        """There is a session."""
        with self._condition:
            self._facts = facts
            self._condition.notify_all()

    def open(self, offer: Offer) -> None:
        """See ``Sink.open``."""
        refuse_tree(offer, "the stream")
        with self._condition:
            self._offer = offer
            self._condition.notify_all()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``Sink.write``; waits until the program has come close."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or len(self._blocks) < BLOCKS_AHEAD)
            self._check()
            self._blocks.append(bytes(data))
            self._condition.notify_all()

    def commit(self) -> str | None:
        """See ``Sink.commit``; waits until the program has taken the last block and asks for more."""
        with self._condition:
            self._whole = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._stopped or self._drained)
            self._check()
        return None

    def discard(self) -> None:
        """See ``Sink.discard``: what the program took, it has; it learns of the end from the error."""
        with self._condition:
            self._discarded = True
            self._condition.notify_all()

    @property
    def _stopped(self) -> bool:
        return self._given_up or self._discarded

    def _check(self) -> None:
        if self._stopped:
            raise SinkFault("the stream", "the program that reads it has given up")

    def end(self, failure: BaseException | None) -> None:
        """Nothing more comes."""
        with self._condition:
            self._over, self._failure = True, failure
            self._condition.notify_all()

    # The program's side

    @property
    def ended(self) -> bool:
        """Whether the delivery is over, one way or the other."""
        with self._condition:
            return self._over

    def take(self) -> bytes | None:
        """The next block, or None at the authenticated end."""
        with self._condition:
            if self._given_up:
                raise MisuseError("a stream that was closed")
            wait_for(self._condition, lambda: self._blocks or self._whole or self._over or self._given_up)
            if not self._blocks and not self._given_up:
                self._drained = True
                self._condition.notify_all()
                wait_for(self._condition, lambda: self._over)
                self._raise_failure()
                return None
            if self._given_up:  # by another thread, while this one waited: no end in order
                raise MisuseError("a stream that was closed")
            block = self._blocks.popleft()
            self._condition.notify_all()
            return block

    def offer(self) -> Offer:
        """What the delivery is, once that is known."""
        with self._condition:
            wait_for(self._condition, lambda: self._offer is not None or self._over)
            if self._offer is None:
                self._raise_failure()
            assert self._offer is not None
            return self._offer

    def facts(self) -> SessionFacts:
        """The session's facts, once there is one."""
        with self._condition:
            wait_for(self._condition, lambda: self._facts is not None or self._over)
            if self._facts is None:
                self._raise_failure()
            assert self._facts is not None
            return self._facts

    def give_up(self) -> None:
        """The program takes no more."""
        with self._condition:
            self._given_up = True
            self._condition.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
