"""Both agents as processes over any transport: the exercise's ``SyncPipe``.

    SyncPipe(Emitting(partial(BytesSource, b"D" * 1024)), Receiving(print_it)).auto()

Each agent is a process of its own (spawned, never forked: a forked child would
share its parent's sockets), with an identity made for this run. What they report
comes back over a control pipe between parent and child, which are one user's
program and trust each other; nothing between the two agents is ever pickled.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process

from selo.agents import events
from selo.agents.emitter import Emitter
from selo.agents.meeting import Connecting, Listening, Terms
from selo.agents.receiver import MakeSink, Receiver
from selo.agents.routes import FRAME_MAX, OneLegListener, dial, listen_on
from selo.agents.sources import Source
from selo.agents.stop import HEARING, Stop, stop_on_signals
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from selo.crypto.identity import Identity, PublicIdentity
from selo.errors import LocalFault, MisuseError, SeloError
from selo.transport import PipeLeg, pipe_pair
from selo.transport.base import Listener

ENDING_SECONDS = 5.0
"""How long a child that was asked to end may take before it is killed."""

LOOK_FOR_STOP = 0.2
"""Seconds between two looks for a stop while the children work."""

_NAMES = {"Emitter": "Receiver", "Receiver": "Emitter"}


@dataclass(frozen=True)
class Emitting:
    """The Emitter's part; ``make_source`` is called in its process, so it must be picklable."""

    make_source: Callable[[], Source]


@dataclass(frozen=True)
class Receiving:
    """The Receiver's part; ``make_sink`` is called in its process, so it must be picklable."""

    make_sink: MakeSink


class AgentFailed(LocalFault):
    """One of the two agents did not succeed; the words and the status are its own."""

    def __init__(self, role: str, message: str, hint: str, exit_status: int) -> None:
        super().__init__(role, message, hint, exit_status)
        self.role = role
        self.message = message
        self.hint = hint
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"the {self.role} failed: {self.message}"


RoleReport = Callable[[str, events.Event], None]
"""Takes the role ("Emitter" or "Receiver") and what it reports."""


class SyncPipe:
    """An Emitter and a Receiver, each in a process of its own, and what joins them.

    Args:
        emitting: what is sent.
        receiving: where it goes.
        transport: ``"pair"`` (ZeroMQ PAIR on a free port of this machine), ``"pipe"`` (a
            multiprocessing pipe), or an address to bind: ``tcp://...``, ``ipc://...``.
        settings: for both; the defaults if None.
        report: called in this process with what the agents report.
    """

    def __init__(
        self,
        emitting: Emitting,
        receiving: Receiving,
        *,
        transport: str = "pair",
        settings: Settings | None = None,
        report: RoleReport | None = None,
    ) -> None:
        self._parts: dict[str, Emitting | Receiving] = {"Emitter": emitting, "Receiver": receiving}
        self._transport = transport
        self._settings = settings if settings is not None else load_settings()
        if transport == "pipe":  # there is no second one to go on over
            self._settings = replace(self._settings, retry_for=0.0, resume_window=0.0)
        self._report = report
        self._identities = {role: Identity.generate(os.urandom) for role in _NAMES}
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[str, tuple[BaseProcess, Connection]] = {}
        self._delivered: dict[str, events.Delivered] = {}

    def auto(self, stop: Stop | None = None) -> tuple[events.Delivered, events.Delivered]:
        """Start both, wait for both; what the Emitter and the Receiver say was delivered.

        Raises:
            AgentFailed: one of them failed; the other was ended.
            Interrupted: the stop was requested; both were ended.
        """
        try:
            self._start()
            while self._children:
                if stop is not None:
                    stop.check()
                self._listen()
        finally:
            self._end()
        return self._delivered["Emitter"], self._delivered["Receiver"]

    def _start(self) -> None:
        if self._transport == "pipe":
            ours, theirs = pipe_pair()
            self._spawn("Receiver", theirs)
            self._spawn("Emitter", ours)
            ours.close()
            theirs.close()
        else:
            # The Emitter follows when the Receiver says where it listens.
            self._spawn("Receiver", "tcp://127.0.0.1:0" if self._transport == "pair" else self._transport)

    def _spawn(self, role: str, route: Connection | str) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        order = _Order(
            role=role,
            part=self._parts[role],
            identity=self._identities[role].to_bytes(None, os.urandom),
            peer=self._identities[_NAMES[role]].public.to_text(None),
            route=route,
            settings=self._settings,
        )
        child = self._context.Process(target=_run_agent, args=(order, theirs), name=f"selo {role}")
        with _interrupts_held():  # until the child is where `_end` finds it
            child.start()
            self._children[role] = (child, ours)
        theirs.close()

    def _listen(self) -> None:
        """Take what the children say, for a moment."""
        roles = {id(control): role for role, (_, control) in self._children.items()}
        for ready in wait([control for _, control in self._children.values()], LOOK_FOR_STOP):
            assert isinstance(ready, Connection)
            role = roles[id(ready)]
            try:
                self._hear(role, ready.recv())
            except EOFError:
                self._reap(role)

    def _hear(self, role: str, said: object) -> None:
        if isinstance(said, AgentFailed):
            raise said
        assert isinstance(said, events.Event)
        if isinstance(said, events.Delivered):
            self._delivered[role] = said
        if isinstance(said, events.Listening) and self._transport != "pipe":
            self._spawn("Emitter", said.address)
        if self._report is not None:
            self._report(role, said)

    def _reap(self, role: str) -> None:
        child, control = self._children.pop(role)
        control.close()
        while child.is_alive():
            child.join(HEARING)
        if role not in self._delivered:
            raise AgentFailed(role, f"its process ended with {child.exitcode}", "", 1)

    def _end(self) -> None:
        """No child outlives this: asked first, killed if it does not listen."""
        for child, _ in self._children.values():
            child.terminate()
        for child, control in self._children.values():
            child.join(ENDING_SECONDS)
            if child.is_alive():
                child.kill()
                child.join()
            control.close()
        self._children.clear()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits for the end of this block.

    A terminal sends it to all: a child that starts within never hears it, and its parent ends it.
    """
    resource_tracker.ensure_running()  # or it would be started within, and let SIGINT loose when it is
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    came: list[int] = []
    # The mask is for the child, which inherits it. Here it is not enough: another thread can get the signal.
    handler = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and handler is not None
    if ours:
        signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if ours:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


@dataclass(frozen=True)
class _Order:
    """What a child is told, once, by its parent."""

    role: str
    part: Emitting | Receiving
    identity: bytes
    peer: str
    route: Connection | str
    settings: Settings


def _run_agent(order: _Order, control: Connection) -> None:
    """The main function of a child process."""
    with stop_on_signals() as stop:
        _stop_with_parent(stop)
        try:
            _agent(order, stop, lambda event: _say(control, event))
        except SeloError as error:
            _say(control, AgentFailed(order.role, str(error), error.hint, error.exit_status))
            sys.exit(error.exit_status)


def _agent(order: _Order, stop: Stop, report: events.Report) -> None:
    identity = Identity.from_bytes(order.identity, None)
    public, _ = PublicIdentity.from_text(order.peer)
    peer = Peer(_NAMES[order.role], may_send=order.role == "Receiver", identity=public)
    terms = Terms(settings=order.settings, stop=stop, report=report)
    if isinstance(order.part, Emitting):
        source = order.part.make_source()
        Emitter(identity=identity, peer=peer, source=source, terms=terms).run(_connecting(order, peer))
        return
    listener = _listener(order, identity)
    try:
        Receiver(
            identity=identity,
            senders=lambda: {public.fingerprint: peer},
            make_sink=order.part.make_sink,
            terms=terms,
        ).run(Listening(listener, (peer.name,)))
    finally:
        listener.close()


def _connecting(order: _Order, peer: Peer) -> Connecting:
    if isinstance(order.route, str):
        return Connecting(order.route, peer, dial(order.route, order.settings))
    connection = order.route
    return Connecting("pipe:", peer, lambda *_: PipeLeg(connection, max_frame=FRAME_MAX))


def _listener(order: _Order, identity: Identity) -> Listener:
    if isinstance(order.route, str):
        return listen_on(order.route, own_fingerprint=identity.fingerprint, settings=order.settings)
    return OneLegListener(PipeLeg(order.route, max_frame=FRAME_MAX), "pipe:")


def _say(control: Connection, said: object) -> None:
    with suppress(OSError):  # the parent is gone: nobody is left to be told
        control.send(said)


def _stop_with_parent(stop: Stop) -> None:
    """End when the parent ends, even if it was killed and could not say so: no orphans."""
    parent = parent_process()
    if parent is None:
        raise MisuseError("an agent process without a parent")

    def watch() -> None:
        wait([parent.sentinel])
        stop.request(signal.SIGTERM)

    threading.Thread(target=watch, name="selo-parent-watch", daemon=True).start()
