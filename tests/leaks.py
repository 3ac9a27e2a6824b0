"""What a test may not leave behind for those that follow it in the same process."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = 10.0
"""Seconds that a thread whose work is over may still take to end, on a machine that stalls."""


def descriptors(*, collect: bool = True) -> int:
    """How many descriptors this process has open.

    Those that only garbage holds go first: what an earlier test dropped would else be closed between
    two counts. ``collect=False`` for a count in a loop, after one without it.
    """
    if collect:
        gc.collect()
    return len(os.listdir("/dev/fd"))


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """What is opened within is closed, or garbage, at the end."""
    before = descriptors(collect=False)
    yield
    if descriptors(collect=False) > before:  # the many tests that leave nothing are spared a collection
        assert descriptors() <= before, "descriptors leaked"


@contextmanager
def process_as_it_was() -> Iterator[None]:
    """What is within leaves no thread of Selo's, no handler of a signal and no other current folder."""
    threads, handlers, folder = _threads(), _handlers(), os.getcwd()
    yield
    until = time.monotonic() + ENDING
    while (left := _threads() - threads) and time.monotonic() < until:
        time.sleep(0.005)
    assert not left, "threads are left"
    assert _handlers() == handlers, "a signal's handler is left"
    assert os.getcwd() == folder, "the current folder is another"


def _threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("selo-")}


def _handlers() -> list[object]:
    return [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)]
