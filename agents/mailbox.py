"""What lies between a program and the thread of its conversation: messages to send, messages to take.

The program's threads ``put`` and ``take``; the session's thread fetches and delivers and
never waits here. ``wake`` makes it look.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from selo.agents.errors import NothingCame
from selo.agents.stop import wait_for
from selo.errors import MisuseError, SeloError

PER_MESSAGE = 64
"""Bytes that a message is charged beside its own: empty ones take memory as well."""


class Mailbox:
    """Messages both ways, bounded by bytes on the way out and by the window on the way in."""

    def __init__(self, *, outgoing_bytes: int, wake: Callable[[], None]) -> None:
        self._outgoing_bytes = outgoing_bytes
        self._wake = wake
        self._condition = threading.Condition()
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._no_more_to_say = False
        self._inbox: deque[tuple[bytes, int]] = deque()
        self._taken_parts = 0
        self._no_more_to_hear = False
        self._takers = 0
        self._over = False
        self._failure: BaseException | None = None

    # The program's side

    def put(self, message: bytes) -> None:
        """Line a message up; waits while too many bytes wait already.

        Raises:
            MisuseError: ``finish`` was called.
            SeloError: the conversation failed.
        """
        with self._condition:
            # One message may always wait, however long: or it could never be sent at all.
            wait_for(
                self._condition,
                lambda: (
                    self._over
                    or self._no_more_to_say
                    or not self._outbox
                    or self._outbox_bytes + _charge(message) <= self._outgoing_bytes
                ),
            )
            self._raise_failure()
            if self._no_more_to_say or self._over:
                raise MisuseError("a message after the end of this side of the conversation")
            self._outbox.append(message)
            self._outbox_bytes += _charge(message)
        self._wake()

    def take(self, timeout: float | None) -> bytes | None:
        """The next message, or None when the other side has no more; waits ``timeout`` seconds at most.

        Raises:
            NothingCame: no message came in time.
            SeloError: the conversation failed, and all that came before was taken.
        """
        with self._condition:
            self._takers += 1
            try:
                if not wait_for(
                    self._condition, lambda: self._inbox or self._no_more_to_hear or self._over, timeout
                ):
                    raise NothingCame(timeout or 0.0)
            finally:
                self._takers -= 1
                self._condition.notify_all()  # who waits for the end looks at the takers
            if not self._inbox:
                if not self._no_more_to_hear:
                    self._raise_failure()
                return None
            message, parts = self._inbox.popleft()
            self._taken_parts += parts
        self._wake()
        return message

    def finish(self) -> None:
        """No more messages will be put."""
        with self._condition:
            self._no_more_to_say = True
            self._condition.notify_all()
        self._wake()

    def wait_until_over(self) -> int:
        """Wait for the end of the conversation, or until messages lie here that nobody is waiting for.

        Returns:
            how many those are.

        Raises:
            SeloError: the conversation failed.
        """
        with self._condition:
            wait_for(self._condition, lambda: self._over or (self._inbox and not self._takers))
            self._raise_failure()
            return len(self._inbox)

    # The session's side

    def fetch(self) -> bytes | None:
        """The next message to send, or None when there is none now."""
        with self._condition:
            if not self._outbox:
                return None
            message = self._outbox.popleft()
            self._outbox_bytes -= _charge(message)
            self._condition.notify_all()
            return message

    @property
    def nothing_more_to_send(self) -> bool:
        """Whether ``finish`` was called and everything was fetched."""
        with self._condition:
            return self._no_more_to_say and not self._outbox

    def deliver(self, message: bytes, parts: int) -> None:
        """A message has arrived in so many parts."""
        with self._condition:
            self._inbox.append((message, parts))
            self._condition.notify_all()

    def nothing_more_comes(self) -> None:
        """The other side's FINAL verified."""
        with self._condition:
            self._no_more_to_hear = True
            self._condition.notify_all()

    def consumed_parts(self, unfinished: int) -> int:
        """How many parts are consumed, when ``unfinished`` ones of a message without an end have come."""
        with self._condition:
            ahead = self._inbox[0][1] - 1 if self._inbox else unfinished
            return self._taken_parts + ahead

    @property
    def all_taken(self) -> bool:
        """Whether no message waits for the program."""
        with self._condition:
            return not self._inbox

    def end(self, failure: BaseException | None) -> None:
        """The conversation is over, in order or by ``failure``."""
        with self._condition:
            self._over, self._failure = True, failure
            self._condition.notify_all()

    def _raise_failure(self) -> None:
        if isinstance(self._failure, SeloError):
            # The same error may end several threads: each raises a traceback of its own.
            raise self._failure.with_traceback(None)
        if self._failure is not None:
            raise self._failure


def _charge(message: bytes) -> int:
    return len(message) + PER_MESSAGE
