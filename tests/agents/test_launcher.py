"""SyncPipe: both agents as processes, over every transport."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from selo.agents import events, launcher
from selo.agents.launcher import AgentFailed, Emitting, Receiving, SyncPipe
from selo.agents.sinks import FileSink, Sink
from selo.agents.sources import BytesSource, FileSource
from selo.agents.stop import Stop
from selo.errors import Interrupted


def into(path: Path, _sender: str) -> Sink:
    """Make a file's sink; picklable, as a child process needs it."""
    return FileSink(path)


@pytest.fixture(params=["pair", "pipe", "ipc"])
def transport(request, tmp_path_factory) -> str:
    """Each transport that joins two processes."""
    if request.param != "ipc":
        return request.param
    folder = tmp_path_factory.mktemp("ipc")
    folder.chmod(0o700)
    return f"ipc://{folder}/s"


def test_auto_delivers(transport: str, tmp_path: Path) -> None:
    """The exercise's call: both succeed, agree, and reported their milestones; no process is left."""
    told = []
    pipe = SyncPipe(
        Emitting(partial(BytesSource, b"D" * 1024)),
        Receiving(partial(into, tmp_path / "message")),
        transport=transport,
        report=lambda role, event: told.append((role, type(event))),
    )
    emitted, received = pipe.auto()
    assert (tmp_path / "message").read_bytes() == b"D" * 1024
    assert emitted.blake3 == received.blake3
    for role in ("Emitter", "Receiver"):
        assert (role, events.PeerVerified) in told
        assert (role, events.KeysConfirmed) in told
    assert not multiprocessing.active_children()


def test_failing_agent_is_named_with_its_status(transport: str, tmp_path: Path) -> None:
    """A sink that cannot be opened: the failure names an agent, carries status 1, and leaves no process."""
    pipe = SyncPipe(
        Emitting(partial(BytesSource, b"data")),
        Receiving(partial(into, tmp_path / "missing" / "file")),
        transport=transport,
    )
    with pytest.raises(AgentFailed) as caught:
        pipe.auto()
    assert caught.value.exit_status == 1
    # Who is heard first is chance: the Receiver, or the Emitter that it told.
    assert re.search("no such file|is not there", str(caught.value))
    assert not multiprocessing.active_children()


def test_source_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """An Emitter that fails before it dials ends the Receiver too."""
    pipe = SyncPipe(
        Emitting(partial(FileSource, tmp_path / "missing")), Receiving(partial(into, tmp_path / "file"))
    )
    with pytest.raises(AgentFailed, match="Emitter"):
        pipe.auto()
    assert not multiprocessing.active_children()


def test_stop_ends_both(tmp_path: Path) -> None:
    """A requested stop ends both processes in order, and nothing is left."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stop = Stop()

    def report(_role: str, event: events.Event) -> None:
        if isinstance(event, events.Opened):
            threading.Timer(0.1, stop.request).start()

    pipe = SyncPipe(
        Emitting(partial(BytesSource, b"x" * 1000)), Receiving(partial(into, fifo)), report=report
    )
    started = time.monotonic()
    with pytest.raises(Interrupted):
        pipe.auto(stop)
    assert time.monotonic() - started < 30
    assert not multiprocessing.active_children()


def test_ctrl_c_while_a_child_starts_is_heard(transport: str, tmp_path: Path, monkeypatch) -> None:
    """The child does not hear it, nor its imports; we do, as soon as the child can be ended."""

    held = launcher._interrupts_held

    @contextmanager
    def struck() -> Iterator[None]:
        with held():
            os.kill(os.getpid(), signal.SIGINT)
            yield

    monkeypatch.setattr(launcher, "_interrupts_held", struck)
    pipe = SyncPipe(
        Emitting(partial(BytesSource, b"data")),
        Receiving(partial(into, tmp_path / "file")),
        transport=transport,
    )
    held_before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        pipe.auto()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == held_before
    assert not multiprocessing.active_children()
    assert list(tmp_path.iterdir()) == []
