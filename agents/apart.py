"""Work in a thread of its own, out of the reach of what signal handlers raise."""

from __future__ import annotations

import _thread
import contextvars
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from selo.agents.stop import HEARING, IMPATIENCE, Stop

T = TypeVar("T")


def apart(work: Callable[[], T], stop: Stop) -> T:
    """Do ``work`` in a thread of its own, wait for it, and return what it returns.

    KeyboardInterrupt, and whatever else a signal's handler raises, strikes the main thread almost anywhere:
    after a record took its number and before it left, so that the other side would see a gap and no reason;
    or in a destructor, which swallows it. While the work is done elsewhere, nothing but this wait is struck.

    Args:
        work: ends soon after a request to ``stop``; sees the caller's context variables.
        stop: requested when something struck.

    Raises:
        BaseException: what ``work`` raised.
        KeyboardInterrupt, or what another handler raised: the work was asked to end, and has ended. Only
            where a second one strikes more than ``IMPATIENCE`` seconds later, it may still go on.
    """
    results: list[T] = []
    failures: list[BaseException] = []
    # A bare lock: an interrupted ``Thread.join`` takes the thread for ended, and an interrupted Condition can
    # stay locked.
    over = threading.Lock()
    over.acquire()
    context = contextvars.copy_context()
    claim = threading.Lock()  # of the work when it begins, or of whatever strikes before

    def body() -> None:
        if not claim.acquire(blocking=False):
            return
        try:
            results.append(context.run(work))
        except BaseException as error:
            failures.append(error)
        finally:
            over.release()

    def begin() -> None:
        try:
            threading.Thread(target=body, name="selo-call", daemon=True).start()
        except RuntimeError as error:  # of too many threads
            failures.append(error)

    def wait() -> None:
        while not (results or failures):
            over.acquire(timeout=HEARING)

    try:
        # `Thread.start` falls to pieces when it is struck, so it is left to a thread that cannot be.
        _thread.start_new_thread(begin, ())
        wait()
    except BaseException:
        _patiently(stop.request)
        if not claim.acquire(blocking=False):
            _patiently(wait)
        failures.clear()  # whose frames would keep open what they have open
        raise
    if results:
        return results[0]
    raise failures.pop()


def begin_apart(begin: Callable[[Stop, ExitStack], T], give_up: Callable[[T], object], stop: Stop) -> T:
    """Begin something in the same way that goes on when this has returned.

    Args:
        begin: is given a part of ``stop``, and a stack for all that its result is to close when it ends.
        give_up: ends a result that the caller never gets, because something struck.
        stop: as for ``apart``; but what strikes requests only its part.

    Raises:
        BaseException: as ``apart``; what was entered into the stack is closed.
    """
    begun: list[T] = []
    end = ExitStack()
    part = end.enter_context(stop.inner())
    try:
        apart(lambda: begun.append(begin(part, end)), part)
        return begun[0]
    except BaseException:
        if begun:
            give_up(begun[0])
        else:
            end.close()
        raise


def _patiently(step: Callable[[], None]) -> None:
    """Do it to its end, whatever strikes in the first moments.

    Who leans on Ctrl-C does not mean the other side not to be told.
    """
    until = time.monotonic() + IMPATIENCE
    while True:
        try:
            return step()
        except BaseException:
            if time.monotonic() > until:
                raise
