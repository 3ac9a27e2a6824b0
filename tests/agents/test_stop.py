"""A request to end: from signal handlers, threads and late-comers."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from selo.agents.stop import Stop, join, stop_on_signals, wait_for
from selo.errors import Interrupted
from tests.agents.bell import ctrl_c_that_wakes_nobody
from tests.leaks import descriptors

LONG = 60.0
"""Seconds of a sleep that must be cut short; nothing waits that long when all is well."""


HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Those that stay for the last words of a process are not for the tests that follow."""
    before = {number: signal.getsignal(number) for number in HEEDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sleep_with_its_own_exit_status(number: signal.Signals) -> None:
    """A real signal during ``sleep`` raises Interrupted there, with 128 + its number."""
    started = time.monotonic()
    with stop_on_signals() as stop:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        with pytest.raises(Interrupted) as caught:
            stop.sleep(LONG)
        timer.join()
    assert time.monotonic() - started < LONG / 2
    assert caught.value.signal_number == number
    assert caught.value.exit_status == 128 + number


@pytest.mark.parametrize("waits", ["for a condition", "for a thread", "asleep"])
def test_a_signal_that_comes_just_before_a_wait_is_heard(waits: str) -> None:
    """Python looks for signals between two instructions: after the last of them none would end the wait."""
    condition, over = threading.Condition(), threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with ctrl_c_that_wakes_nobody(), condition:
        if waits == "for a condition":
            wait_for(condition, over.is_set)
        elif waits == "for a thread":
            join(thread)
        else:
            Stop().sleep(LONG)
    over.set()
    with condition:
        wait_for(condition, over.is_set)
    join(thread)
    assert not thread.is_alive()


class Struck(threading.Condition):
    """One whose waits end without the lock, as where a signal comes while they take it again."""

    def wait(self, timeout: float | None = None) -> bool:
        """Ctrl-C."""
        self.release()
        raise KeyboardInterrupt


def test_a_wait_that_is_struck_has_its_lock() -> None:
    """Its block would else end with an error of the lock's, instead of Ctrl-C's."""
    for condition in (Struck(), threading.Condition()):
        with pytest.raises(KeyboardInterrupt), condition:
            wait_for(condition, raising_interrupt if type(condition) is threading.Condition else bool)
        with pytest.raises(RuntimeError):
            condition.notify()  # and has it no longer


def raising_interrupt() -> bool:
    """Struck while the lock was held."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.7])
def test_a_wait_is_over_in_time(seconds: float) -> None:
    """Neither before nor much later, also where it takes several looks."""
    condition, started = threading.Condition(), time.monotonic()
    with condition:
        assert not wait_for(condition, bool, seconds)
        assert wait_for(condition, lambda: True, seconds)
    assert seconds <= time.monotonic() - started < LONG / 2


def test_a_thread_ends_a_sleep() -> None:
    """A request from another thread does the same; without a number it counts as SIGINT."""
    stop = Stop()
    timer = threading.Timer(0.05, stop.request)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Interrupted) as caught:
        stop.sleep(LONG)
    timer.join()
    assert time.monotonic() - started < LONG / 2
    assert caught.value.exit_status == 130


def test_a_request_before_the_sleep_counts() -> None:
    """There is no moment at which a request could be missed."""
    stop = Stop()
    stop.request(signal.SIGTERM)
    with pytest.raises(Interrupted):
        stop.sleep(LONG)


def test_without_a_request_nothing_is_raised() -> None:
    """Sleeping for no time, negative time or a moment, and checking, are quiet."""
    stop = Stop()
    stop.check()
    for seconds in (0.0, -1.0, 0.01):
        stop.sleep(seconds)


def test_a_sleep_without_a_request_lasts_its_time() -> None:
    """It is a sleep: not over at once."""
    started = time.monotonic()
    Stop().sleep(0.05)
    assert time.monotonic() - started >= 0.05


def test_the_first_request_counts() -> None:
    """The status is that of the first signal, and more of them than a pipe holds change nothing."""
    stop = Stop()
    stop.request(signal.SIGTERM)
    for _ in range(1 << 17):
        stop.request(signal.SIGINT)
    for _ in range(2):
        with pytest.raises(Interrupted) as caught:
            stop.check()
        assert caught.value.exit_status == 143


def test_a_request_calls_the_wakers_of_open_blocks_only() -> None:
    """``waking`` lasts as long as its block, also when blocks are nested or end with an error."""
    stop, woken = Stop(), []
    with stop.waking(lambda: woken.append("outer")):
        with pytest.raises(RuntimeError), stop.waking(lambda: woken.append("ended")):
            raise RuntimeError
        with stop.waking(lambda: woken.append("inner")):
            stop.request()
            assert woken == ["outer", "inner"]
        stop.request()
        assert woken == ["outer", "inner", "outer"]
    stop.request()
    assert woken == ["outer", "inner", "outer"]


def test_a_signal_calls_the_waker() -> None:
    """What waits in a leg's ``wait`` is woken from the handler itself."""
    woken = threading.Event()
    with stop_on_signals() as stop, stop.waking(woken.set):
        signal.raise_signal(signal.SIGTERM)
        assert woken.is_set()
        with pytest.raises(Interrupted):
            stop.check()


def test_an_ignored_signal_stays_ignored() -> None:
    """What ``nohup``, or a script that starts us in the background, decided is not undone."""
    original = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, original)


def test_signals_are_restored_after_the_block() -> None:
    """Whatever handlers there were, the block gives them back, however it ends; but for a signal's end."""

    def ours(_number: int, _frame: object) -> None:
        """A handler of the calling program."""

    numbers = (signal.SIGINT, signal.SIGTERM)
    originals = [signal.getsignal(number) for number in numbers]
    try:
        for handlers in ((ours, ours), (signal.default_int_handler, signal.SIG_DFL)):
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)
            with stop_on_signals():
                assert not {signal.getsignal(number) for number in numbers} & set(handlers)
            assert tuple(signal.getsignal(number) for number in numbers) == handlers
            with pytest.raises(RuntimeError), stop_on_signals():
                raise RuntimeError
            assert tuple(signal.getsignal(number) for number in numbers) == handlers
    finally:
        for number, handler in zip(numbers, originals, strict=True):
            signal.signal(number, handler)


def test_a_further_signal_interrupts_no_last_words() -> None:
    """Once one came, those that follow raise nothing in what still has to be told."""
    with pytest.raises(Interrupted), stop_on_signals() as stop:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        stop.check()
    for number in HEEDED:
        signal.raise_signal(number)


def test_no_descriptor_is_left_behind() -> None:
    """A Stop's pipe ends with it: a program that makes thousands does not run out of descriptors."""
    before = descriptors()
    for _ in range(100):
        Stop()
        with stop_on_signals() as stop:
            stop.request()
        del stop
    assert descriptors() == before


def test_a_late_request_does_no_harm() -> None:
    """A thread that still holds the Stop after its block may request, and writes into nobody else's pipe."""
    with stop_on_signals() as stop:
        pass
    readable, writable = os.pipe()
    try:
        stop.request()
        os.set_blocking(readable, False)
        with pytest.raises(BlockingIOError):
            os.read(readable, 1)
    finally:
        os.close(readable)
        os.close(writable)
    with pytest.raises(Interrupted):
        stop.check()


def test_a_process_with_many_descriptors_can_sleep() -> None:
    """A Stop works where its pipe has a number above the 1,024 that select() takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this process may not open that many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        stop = Stop()
        stop.sleep(0.0)
        stop.request()
        with pytest.raises(Interrupted):
            stop.sleep(LONG)
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asking_twice_ends_a_process_that_hangs(number: int) -> None:
    """A signal more than ``IMPATIENCE`` after the first ends the process by that signal."""
    script = (
        "import os, signal, time\n"
        "from selo.agents import stop\n"
        "stop.IMPATIENCE = 0.05\n"
        "with stop.stop_on_signals():\n"
        f"    os.kill(os.getpid(), {number})\n"
        "    print('in order', flush=True)\n"
        "    time.sleep(0.1)\n"
        f"    os.kill(os.getpid(), {number})\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert (child.returncode, child.stdout) == (-number, b"in order\n")


def test_a_second_signal_at_once_is_the_same_request() -> None:
    """An impatient second Ctrl-C does not spoil the orderly end."""
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            stop.check()


def test_a_part_hears_of_the_whole_and_not_the_other_way_round() -> None:
    """An inner stop is requested with the outer one, whenever that was; giving up a part stops no more."""
    outer = Stop()
    with outer.inner() as part, outer.inner() as other:
        part.request()
        with pytest.raises(Interrupted):
            part.check()
        other.check()
        outer.check()
        outer.request(15)
        with pytest.raises(Interrupted) as ended:
            other.check()
        assert ended.value.signal_number == 15
    with outer.inner() as late, pytest.raises(Interrupted):
        late.check()
