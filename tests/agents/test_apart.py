"""Work that KeyboardInterrupt cannot strike."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from contextlib import suppress

import pytest

from selo.agents.apart import apart
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


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    """Work that hangs is left behind."""
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


def test_nothing_is_kept_of_an_error() -> None:
    """What its frames hold open is closed with it, without a collection."""

    class Resource:
        """Something that is open until nobody has it."""

    alive: list[weakref.ref[Resource]] = []

    def work() -> None:
        resource = Resource()
        alive.append(weakref.ref(resource))
        raise ValueError

    gc.disable()
    try:
        with pytest.raises(ValueError) as caught:
            apart(work, Stop())
        caught.value.__traceback__ = None
        del caught
        assert alive[0]() is None
    finally:
        gc.enable()
