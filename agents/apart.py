"""Work in a thread of its own, out of the reach of KeyboardInterrupt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from selo.agents.stop import HEARING, Stop

T = TypeVar("T")


def apart(work: Callable[[], T], stop: Stop) -> T:
    """Do ``work`` in a thread of its own, wait for it, and return what it returns.

    In the main thread of a program KeyboardInterrupt strikes between any two instructions: after a record
    took its number and before it left, so that the other side would see a gap and no reason; or in a
    destructor, which swallows it. While the work is done elsewhere, nothing but this wait can be struck.

    Args:
        work: ends soon after a request to ``stop``.
        stop: requested when KeyboardInterrupt came.

    Raises:
        BaseException: what ``work`` raised.
        KeyboardInterrupt: it came, and the work has ended since; or it came twice, and the work may go on.
    """
    results: list[T] = []
    failures: list[BaseException] = []
    # A bare lock: an interrupted ``Thread.join`` takes the thread for ended, and an interrupted Condition can
    # stay locked.
    over = threading.Lock()
    over.acquire()

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            over.release()

    def wait() -> None:
        while not (results or failures):
            over.acquire(timeout=HEARING)

    try:
        threading.Thread(target=body, name="selo-call", daemon=True).start()
        wait()
    except KeyboardInterrupt:
        stop.request()
        wait()
        raise
    if results:
        return results[0]
    raise failures.pop()  # not kept in a frame of its own traceback: that would keep open what it has open
