"""A delivery as an iterator: it ends at the authenticated end, and in no other way in silence."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import selo
from selo.agents.bodies import Kind, Offer
from selo.agents.stream import Passage
from tests.agents.bell import ctrl_c_that_wakes_nobody
from tests.agents.test_api import DATA, PATIENCE, Child, Ends
from tests.leaks import descriptors


@pytest.fixture
def ends(parties, settings, tmp_path):
    """Two programs that trust each other, who leave no thread behind."""
    before = set(threading.enumerate())
    yield Ends(parties, settings, tmp_path)
    left = set(threading.enumerate()) - before
    assert not [each.name for each in left if each.name.startswith("selo-")]


@pytest.fixture
def pool():
    """A thread for the other side."""
    with ThreadPoolExecutor(1) as made:
        yield made


def stream_of(ends, **options):
    """Bob's stream."""
    return selo.open_stream(**(ends.bob | ends.settings | {"bind": ends.address} | options))


def test_the_blocks_are_the_delivery(ends, pool):
    """Joined they are what was sent; then the outcome is there, and no descriptor more is open."""
    before = None
    for _ in range(2):
        emitted = pool.submit(ends.emit, DATA * 20, name="it")
        with stream_of(ends) as stream:
            assert (stream.offer.name, stream.session.peer) == ("it", "alice")
            assert stream.delivered is None
            assert b"".join(stream) == DATA * 20
            assert next(stream, None) is None
        assert stream.delivered.blake3 == emitted.result(PATIENCE).blake3
        now = descriptors()
        assert before is None or now <= before
        before = now


def test_an_empty_delivery_has_no_block(ends, pool):
    """It ends at once, in order."""
    emitted = pool.submit(ends.emit, b"")
    with stream_of(ends) as stream:
        assert list(stream) == []
    assert emitted.result(PATIENCE).bytes == 0


@pytest.mark.parametrize("data", [b"one block", DATA * 50])
def test_leaving_early_tells_the_emitter(ends, pool, data):
    """A `break` is no success at the other side, not even after what was the last block."""
    emitted = pool.submit(ends.emit, data)
    with stream_of(ends) as stream:
        for _ in stream:
            break
    assert isinstance(emitted.exception(PATIENCE), selo.PeerFault | selo.SessionError)
    assert stream.delivered is None
    with pytest.raises(selo.MisuseError):
        next(stream)


def test_an_exception_in_the_block_tells_the_emitter(ends, pool):
    """The program's own exception comes through, and the Emitter fails."""
    emitted = pool.submit(ends.emit, DATA * 50)
    with pytest.raises(ZeroDivisionError), stream_of(ends) as stream:  # noqa: PT012
        for _ in stream:
            raise ZeroDivisionError
    assert isinstance(emitted.exception(PATIENCE), selo.SeloError)


def test_leaving_before_anybody_came_ends_at_once(ends):
    """Nobody is waited for."""
    with stream_of(ends):
        pass


def test_nobody_comes_out_of_the_iteration(ends):
    """An UnreachableError in time, from each way of asking."""
    settings = replace(ends.settings["settings"], receive_wait=0.3)
    with stream_of(ends, settings=settings) as stream:
        for ask in (lambda: next(stream), lambda: stream.offer, lambda: stream.session):
            with pytest.raises(selo.UnreachableError):
                ask()


def test_a_killed_emitter_is_no_end(ends):
    """kill -9 in the middle: blocks came, then the loop raises a SessionError instead of ending."""
    settings = replace(ends.settings["settings"], idle_limit=2.0, ping_interval=0.5)
    count = 0
    with Child(ends, "emit") as process, stream_of(ends, settings=settings) as stream:
        with pytest.raises(selo.SessionError):  # noqa: PT012
            for _ in stream:
                count += 1
                if count == 3:
                    process.send_signal(signal.SIGKILL)
        with pytest.raises(selo.SessionError):  # and it stays so
            next(stream)
    assert count >= 3
    assert stream.delivered is None


def test_a_stopped_emitter_is_found_out_by_its_silence(ends):
    """One that is alive and says nothing ends the loop after `idle_limit`."""
    settings = replace(ends.settings["settings"], idle_limit=1.5, ping_interval=0.5)
    with Child(ends, "emit") as process, stream_of(ends, settings=settings) as stream:
        next(stream)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(selo.SessionError):
            for _ in stream:
                pass


def test_a_stream_that_another_thread_closes_has_no_end_in_order(ends, pool):
    """The loop that was waiting raises; it never takes the closing for the end, however much had come."""
    closed = threading.Event()

    def slowly():
        yield b"x" * 1000
        closed.wait(PATIENCE)
        yield b"y" * 1000

    emitted = pool.submit(ends.emit, slowly())
    stream = stream_of(ends)
    assert next(stream) == b"x" * 1000
    closing = threading.Timer(0.2, stream.close)
    closing.start()
    with pytest.raises(selo.MisuseError, match="closed"):
        next(stream)
    closed.set()
    closing.join(PATIENCE)
    assert isinstance(emitted.exception(PATIENCE), selo.SeloError)
    assert stream.delivered is None


def test_a_request_to_stop_ends_the_iteration(ends):
    """With nobody there yet, from another thread: Interrupted, and the address is free again."""
    for _ in range(2):
        stop = selo.Stop()
        threading.Timer(0.1, stop.request).start()
        with stream_of(ends, stop=stop) as stream, pytest.raises(selo.Interrupted):
            next(stream)


def test_an_error_of_the_report_is_itself(ends):
    """What a callback of the program raises comes out of the iteration as it is: it is no bug of ours."""

    def report(_event):
        raise KeyError("mine")

    with stream_of(ends, report=report) as stream, pytest.raises(KeyError, match="mine"):
        next(stream)


@pytest.mark.parametrize("call", ["take", "take the end", "offer", "facts"])
def test_ctrl_c_ends_every_wait(call):
    """Also one that comes in the moment before the wait begins."""
    passage = Passage()
    if call == "take the end":
        passage.open(Offer(Kind.STREAM, "name", None, bytes(16)))
        committing = threading.Thread(target=passage.commit)
        committing.start()
    with ctrl_c_that_wakes_nobody():
        getattr(passage, call.split()[0])()
    if call == "take the end":
        committing.join(PATIENCE)
        assert not committing.is_alive()
