"""Work that KeyboardInterrupt cannot strike."""

from __future__ import annotations

import contextvars
import gc
import signal
import threading
import weakref
from contextlib import ExitStack, nullcontext, suppress

import pytest

from selo.agents import apart as module
from selo.agents.apart import apart, begin_apart
from selo.agents.stop import Stop
from selo.errors import Interrupted
from tests.agents.bell import PATIENCE, ctrl_c_that_wakes_nobody


def test_what_it_returns_and_what_it_raises() -> None:
    """Whatever that is, from a thread that is not the caller's."""
    threads = [threading.get_ident(), apart(threading.get_ident, Stop())]
    assert threads[0] != threads[1]
    assert apart(lambda: None, Stop()) is None
    for error in (ValueError("of a callback"), SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            apart(raising(error), Stop())
        assert caught.value is error


def raising(error: BaseException):
    """Work that fails."""

    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("ends", ["with an error", "well"])
def test_ctrl_c_ends_the_work_in_order(ends: str) -> None:
    """KeyboardInterrupt asks it to end and is raised when it has, whatever became of it."""
    stop, ended = Stop(), []

    def work() -> None:
        try:
            stop.sleep(PATIENCE * 3)
        except Interrupted:
            threading.Event().wait(0.2)
            ended.append(True)
            if ends == "with an error":
                raise

    with ctrl_c_that_wakes_nobody():
        apart(work, stop)
    assert ended


# A destructor, of pytest's or of ours, may be what is struck, and swallows it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("moment", [0.0, 0.0001, 0.0005, 0.002])
def test_whatever_a_handler_raises_waits_for_the_end(moment: float) -> None:
    """A deadline by SIGALRM, say: at any moment, the work has ended or has not begun when it is raised."""

    class TooLate(Exception):
        """Of a program with a deadline."""

    def late(_number: int, _frame: object) -> None:
        raise TooLate

    begun, ended = [], []

    def work() -> None:
        begun.append(True)
        try:
            stop.sleep(PATIENCE)
        finally:
            ended.append(True)

    before = signal.signal(signal.SIGALRM, late)
    try:
        for _ in range(50):
            stop = Stop()
            with pytest.raises(TooLate):  # noqa: PT012
                signal.setitimer(signal.ITIMER_REAL, moment or 1e-6, 3.0)  # and again
                apart(work, stop)
                pytest.fail("it was not raised")
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert len(begun) == len(ended)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_callers_context_is_seen() -> None:
    """Context variables, as a program's log has them."""
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("of the caller")
    assert apart(variable.get, Stop()) == "of the caller"


def test_a_second_ctrl_c_some_seconds_later_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that hangs is left behind."""
    monkeypatch.setattr(module, "IMPATIENCE", -1.0)
    stop, hung = Stop(), threading.Event()

    def work() -> None:
        with suppress(Interrupted):
            stop.sleep(PATIENCE * 3)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        hung.wait(PATIENCE * 3)

    with ctrl_c_that_wakes_nobody():
        apart(work, stop)
    assert stop.requested
    hung.set()


@pytest.mark.parametrize("struck", [False, True])
def test_nothing_is_kept_of_an_error(struck: bool) -> None:
    """What its frames hold open is closed with it, without a collection; Ctrl-C holds nothing of it."""

    class Resource:
        """Something that is open until nobody has it."""

    alive: list[weakref.ref[Resource]] = []
    stop = Stop()

    def work() -> None:
        resource = Resource()
        alive.append(weakref.ref(resource))
        if struck:
            stop.sleep(PATIENCE * 3)
        raise ValueError

    gc.disable()
    try:
        if struck:
            with ctrl_c_that_wakes_nobody():
                apart(work, stop)
        else:
            with pytest.raises(ValueError) as caught:
                apart(work, stop)
            caught.value.__traceback__ = None
            del caught
        assert alive[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "fails", ["struck before it is there", "struck when it is there", "by itself", "not"]
)
def test_what_goes_on_is_begun_or_leaves_nothing(fails: str) -> None:
    """Its stack is open for as long as it goes on; one that nobody gets is given up, and closes its own."""
    closed, given_up, stop = [], [], Stop()

    def begin(part: Stop, end: ExitStack) -> ExitStack:
        end.callback(closed.append, True)
        if fails == "by itself":
            raise ValueError
        if fails.startswith("struck"):
            with suppress(Interrupted) if fails == "struck when it is there" else nullcontext():
                part.sleep(PATIENCE * 3)
        return end

    if fails == "not":
        with begin_apart(begin, given_up.append, stop):
            assert closed == []
    elif fails == "by itself":
        with pytest.raises(ValueError):
            begin_apart(begin, given_up.append, stop)
    else:
        with ctrl_c_that_wakes_nobody():
            begin_apart(begin, given_up.append, stop)
    assert not stop.requested
    assert len(given_up) == (fails == "struck when it is there")
    for end in given_up:
        assert closed == []
        end.close()
    assert closed == [True]
