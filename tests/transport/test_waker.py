"""Waking: nothing is lost, nothing is told twice, nothing is written into foreign files."""

from __future__ import annotations

import os
import threading
import time

from selo.transport.waker import Waker, milliseconds


def test_take_tells_a_wake_once() -> None:
    """However many wakes, and not at all after a poke."""
    waker = Waker()
    waker.poke()
    assert not waker.take()
    waker.wake()
    waker.wake()
    assert waker.take()
    assert not waker.take()
    waker.close()


def test_no_wake_is_lost() -> None:
    """A thread wakes after each take has answered; every one of them is seen, and none is invented."""
    waker = Waker()
    seen = threading.Semaphore(0)
    rounds = 3000

    def wake() -> None:
        for _ in range(rounds):
            waker.wake()
            seen.acquire()

    thread = threading.Thread(target=wake)
    thread.start()
    count = 0
    until = time.monotonic() + 30
    while count < rounds and time.monotonic() < until:
        waker.sleep(1.0)
        if waker.take():
            count += 1
            seen.release()
    thread.join()
    assert count == rounds
    assert not waker.take()
    waker.close()


def test_a_full_pipe_is_enough() -> None:
    """More pokes than a pipe holds neither block nor lose the wake that follows."""
    waker = Waker()
    for _ in range(200_000):
        waker.poke()
    waker.wake()
    assert waker.take()
    waker.close()


def test_closed() -> None:
    """Everything is harmless after close, and its descriptors' numbers belong to others."""
    waker = Waker()
    waker.close()
    waker.close()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    waker.wake()
    waker.poke()
    waker.sleep(60.0)
    assert not waker.take()
    assert waker.fileno() == -1
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_milliseconds_round_up() -> None:
    """Part of a millisecond is slept, not spun away; what is past is now; an age is bounded."""
    assert [milliseconds(s) for s in (-1.0, 0.0, 0.0001, 0.001, 0.0011, 1.0)] == [0, 0, 1, 1, 2, 1000]
    assert milliseconds(float("inf")) == 3_600_000
