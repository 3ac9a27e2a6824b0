"""Two agents and what joins them: the same tests over every transport."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from selo.agents import events
from selo.agents.dialogue import Dialogue
from selo.agents.emitter import Emitter
from selo.agents.establish import HandshakeLink, establish_as_emitter, establish_as_receiver
from selo.agents.facts import SessionFacts
from selo.agents.hook import Arrived
from selo.agents.mailbox import Mailbox
from selo.agents.meeting import Connecting, Dial, Listening, Terms
from selo.agents.receiver import Receiver
from selo.agents.routes import FRAME_MAX, OneLegListener, dial, listen_on
from selo.agents.session import Session
from selo.agents.sinks import CallableSink, Sink
from selo.agents.sources import Source
from selo.agents.stop import Stop
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from selo.crypto.handshake import Established, Role
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.suites import CLASSIC
from selo.errors import Interrupted, SeloError
from selo.transport import PipeLeg, memory_pair, pipe_pair
from selo.transport.base import Leg, Listener
from tests.agents.exchange import CutWhen, Exchange
from tests.agents.rogue import PATIENCE, Rogue, Script


@dataclass(frozen=True)
class Parties:
    """Who is who."""

    emitter: Identity
    receiver: Identity
    stranger: Identity


@pytest.fixture(scope="session")
def parties() -> Parties:
    """Three identities, made once."""
    return Parties(*(Identity.generate(os.urandom) for _ in range(3)))


@pytest.fixture
def settings() -> Settings:
    """The defaults, with waits that suit tests, and no second session."""
    return replace(
        load_settings(),
        emit_wait=10.0,
        receive_wait=10.0,
        idle_limit=5.0,
        ping_interval=0.5,
        retry_for=0.0,
        resume_window=0.0,
    )


@dataclass
class Wire:
    """A listener and the way to it; ``after_emitter`` is called when the connecting Emitter has ended."""

    listener: Listener
    dial: Dial
    emitter_binds: bool = False
    after_emitter: Callable[[], None] = lambda: None


MakeWire = Callable[..., Wire]


def has_ipv6() -> bool:
    """Whether this machine has a loopback to bind IPv6 on."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(
    params=["memory", "pipe", "tcp", "tcp6", "ipc", "memory, Emitter binds", "tcp, Emitter binds"]
)
def make_wire(
    request: pytest.FixtureRequest,
    parties: Parties,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MakeWire]:
    """Makes the wire between the Emitter and the Receiver, over each transport in turn."""
    made: list[Listener] = []

    def make(kind: str = request.param, tap: object = None) -> Wire:
        kind, _, binder = kind.partition(", ")
        if kind in ("memory", "pipe"):
            wire = _private_wire(kind, tap)
        else:
            owner = parties.emitter if binder else parties.receiver
            wire = _open_wire(_address(kind, tmp_path_factory), owner, settings)
        wire.emitter_binds = bool(binder)
        made.append(wire.listener)
        return wire

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def memory_wire(parties: Parties, settings: Settings) -> Callable[..., Wire]:
    """Makes a wire in memory, on which a ``tap`` may play the adversary."""
    return lambda tap=None: _private_wire("memory", tap)


def _private_wire(kind: str, tap: object) -> Wire:
    if kind == "memory":
        near, far = memory_pair(max_frame=FRAME_MAX, tap=tap)  # type: ignore[arg-type]
    else:
        one, two = pipe_pair()
        near, far = PipeLeg(one, max_frame=FRAME_MAX), PipeLeg(two, max_frame=FRAME_MAX)
    return Wire(OneLegListener(far, f"{kind}:"), lambda *_: near)


def _open_wire(url: str, owner: Identity, settings: Settings) -> Wire:
    listener = listen_on(url, own_fingerprint=owner.fingerprint, settings=settings)
    return Wire(listener, dial(listener.address, settings))


def _address(kind: str, folders: pytest.TempPathFactory) -> str:
    if kind == "tcp6":
        if not has_ipv6():
            pytest.skip("this machine has no IPv6 loopback")
        return "tcp://[::1]:0"
    if kind == "ipc":
        folder = folders.mktemp("ipc")
        folder.chmod(0o700)
        return f"ipc://{folder}/s"
    return "tcp://127.0.0.1:0"


@pytest.fixture
def lasting(settings: Settings) -> Settings:
    """Settings of sides that take a delivery up again after a cut."""
    return replace(settings, retry_for=PATIENCE, resume_window=PATIENCE)


@pytest.fixture
def exchange_wire() -> Callable[..., Wire]:
    """Makes a wire over an ``Exchange``, which the Receiver's listener is; ``cut_when`` as there."""

    def make(cut_when: CutWhen = lambda *_: False) -> Wire:
        exchange = Exchange(cut_when)
        return Wire(exchange, exchange.dial, after_emitter=exchange.close)

    return make


@dataclass
class Side:
    """What became of one agent: its success or its error, and what it reported."""

    outcome: events.Delivered | None = None
    error: SeloError | None = None
    events: list[events.Event] = field(default_factory=list)
    facts: list[SessionFacts] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    def terms(self, settings: Settings) -> Terms:
        """Terms that stop and report here."""
        return Terms(
            settings=settings, stop=self.stop, report=self.events.append, on_session=self.facts.append
        )

    @property
    def status(self) -> int:
        """The exit status that its process would end with."""
        return 0 if self.error is None else self.error.exit_status


@dataclass
class Run:
    """Both sides of one delivery, and what reached the sink."""

    emitter: Side = field(default_factory=Side)
    receiver: Side = field(default_factory=Side)
    received: bytearray = field(default_factory=bytearray)
    stored: list[Arrived] = field(default_factory=list)


Deliver = Callable[..., Run]


@pytest.fixture
def deliver(parties: Parties, settings: Settings) -> Deliver:
    """Run both agents, each in a thread, until both ended; a hang is a failure.

    Keyword arguments: ``sink``, or ``make_sink`` which makes one for each time that the delivery is begun,
    ``emitter`` and ``settings`` replace the usual ones; ``trusted`` are those whom the Receiver accepts;
    ``before`` is called with the ``Run`` first.
    """

    def run(
        wire: Wire,
        source: Source,
        *,
        sink: Sink | None = None,
        make_sink: Callable[[], Sink] | None = None,
        emitter: Identity = parties.emitter,
        pinned: Identity = parties.receiver,
        trusted: tuple[Identity, ...] = (parties.emitter,),
        emitter_settings: Settings = settings,
        receiver_settings: Settings = settings,
        before: Callable[[Run], None] = lambda _run: None,
    ) -> Run:
        result = Run()
        bob = Peer("bob", may_send=False, identity=pinned.public)
        emitting = Emitter(
            identity=emitter,
            peer=bob,
            source=source,
            terms=result.emitter.terms(emitter_settings),
        )
        senders = [Peer("alice", may_send=True, identity=each.public) for each in trusted]
        usual = sink if sink is not None else CallableSink(result.received.extend)
        receiving = Receiver(
            identity=parties.receiver,
            senders=lambda: {sender.fingerprint: sender for sender in senders},
            make_sink=lambda _sender: usual if make_sink is None else make_sink(),
            terms=result.receiver.terms(receiver_settings),
            on_stored=result.stored.append,
        )
        address, names = wire.listener.address, ("bob",) if wire.emitter_binds else ("alice",)
        listening = Listening(wire.listener, names)
        connecting = Connecting(address, senders[0] if wire.emitter_binds else bob, wire.dial)
        meetings = (listening, connecting) if wire.emitter_binds else (connecting, listening)
        ends = (wire.after_emitter, wire.listener.close)
        if wire.emitter_binds:
            ends = (wire.listener.close, lambda: None)
        before(result)
        threads = [
            _start(result.receiver, lambda: receiving.run(meetings[1]), ends[1]),
            _start(result.emitter, lambda: emitting.run(meetings[0]), ends[0]),
        ]
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads), "an agent hangs"
        return result

    return run


def _start(side: Side, work: Callable[[], events.Delivered], end: Callable[[], None]) -> threading.Thread:
    def body() -> None:
        try:
            side.outcome = work()
        except SeloError as error:
            side.error = error
        finally:
            end()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def _play(
    leg: Leg,
    identity: Identity,
    establish: Callable[[HandshakeLink], Established],
    settings: Settings,
    script: Script,
) -> None:
    link = HandshakeLink(leg, settings, Stop(), events.ignore)
    try:
        script(Rogue(leg, establish(link), identity))
    finally:
        leg.close()


def _play_receiver(leg: Leg, parties: Parties, settings: Settings, script: Script) -> None:
    senders = {parties.emitter.fingerprint: Peer("alice", may_send=True, identity=parties.emitter.public)}
    _play(
        leg,
        parties.receiver,
        lambda link: establish_as_receiver(link, identity=parties.receiver, senders=senders, suite=CLASSIC),
        settings,
        script,
    )


def _play_emitter(leg: Leg, identity: Identity, parties: Parties, settings: Settings, script: Script) -> None:
    _play(
        leg,
        identity,
        lambda link: establish_as_emitter(
            link, identity=identity, peer=parties.receiver.public, name="bob", suite=CLASSIC
        ),
        settings,
        script,
    )


@pytest.fixture
def emit_to_rogue(parties: Parties, settings: Settings) -> Callable[..., Side]:
    """Run a real Emitter against a Receiver that plays a script in each of its sessions.

    Once all are played, connecting fails with what ``afterwards`` makes. ``options`` are the Emitter's.
    """

    def run(
        source: Source,
        *scripts: Script,
        settings: Settings = settings,
        afterwards: Callable[[Side], SeloError] | None = None,
        on_side: Callable[[Side], None] = lambda _side: None,
        **options: Any,
    ) -> Side:
        exchange, side = Exchange(), Side()
        on_side(side)
        bob = Peer("bob", may_send=False, identity=parties.receiver.public)
        emitter = Emitter(
            identity=parties.emitter, peer=bob, source=source, terms=side.terms(settings), **options
        )

        def dial(identity: PublicIdentity, attempt: int) -> Leg:
            if afterwards is not None and len(exchange.cables) == len(scripts):
                raise afterwards(side)
            return exchange.dial(identity, attempt)

        meeting = Connecting("memory:", bob, dial)
        thread = _start(side, lambda: emitter.run(meeting), lambda: None)
        for script in scripts:
            leg = exchange.accept(PATIENCE)
            assert leg is not None, "the Emitter did not come again"
            _play_receiver(leg, parties, settings, script)
        if afterwards is None:
            exchange.close()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the Emitter hangs"
        return side

    return run


@pytest.fixture
def play_emitter(parties: Parties, settings: Settings) -> Callable[..., None]:
    """Play a script as an Emitter over a leg of the test's own."""

    def play(leg: Leg, script: Script, identity: Identity = parties.emitter) -> None:
        _play_emitter(leg, identity, parties, settings, script)

    return play


@pytest.fixture
def receive_from_rogues(parties: Parties, settings: Settings) -> Callable[..., Side]:
    """Run a real Receiver against Emitters that each play a script, one after another.

    ``scripts``: pairs of who plays, whom the Receiver trusts all alike, and what.
    """

    def run(
        scripts: list[tuple[Identity, Script]],
        make_sink: Callable[[], Sink],
        settings: Settings = settings,
        on_side: Callable[[Side], None] = lambda _side: None,
        on_stored: Callable[[Arrived], None] = lambda _arrived: None,
    ) -> Side:
        exchange, side = Exchange(), Side()
        on_side(side)
        names = {parties.emitter.fingerprint: "alice", parties.stranger.fingerprint: "carol"}
        senders = {
            identity.fingerprint: Peer(names[identity.fingerprint], may_send=True, identity=identity.public)
            for identity, _ in scripts
        }
        receiver = Receiver(
            identity=parties.receiver,
            senders=lambda: senders,
            make_sink=lambda _sender: make_sink(),
            terms=side.terms(settings),
            on_stored=on_stored,
        )
        meeting = Listening(exchange, ("alice",))
        thread = _start(side, lambda: receiver.run(meeting), exchange.close)
        for identity, script in scripts:
            leg = exchange.dial(identity.public, 0)
            _play_emitter(leg, identity, parties, settings, script)
        exchange.close()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the Receiver hangs"
        return side

    return run


@pytest.fixture
def receive_from_rogue(parties: Parties, receive_from_rogues: Callable[..., Side]) -> Callable[..., Side]:
    """Run a real Receiver against one Emitter that plays a script."""

    def run(script: Script, sink: Sink, *arguments: Settings, **options: Callable[..., None]) -> Side:
        return receive_from_rogues([(parties.emitter, script)], lambda: sink, *arguments, **options)

    return run


@dataclass
class Talker:
    """One real side of a conversation, whose other side plays a script."""

    mailbox: Mailbox
    dialogue: Dialogue
    error: SeloError | None = None


@pytest.fixture
def talk_to_rogue(parties: Parties, settings: Settings) -> Callable[..., Talker]:
    """Run a real side of a conversation in the given role against a peer that plays a script.

    ``program(mailbox)`` runs before the session does. Returns when both have ended.
    """

    def run(
        role: Role, script: Script, program: Callable[[Mailbox], object] = lambda _mailbox: None
    ) -> Talker:
        near, far = memory_pair(max_frame=FRAME_MAX)
        who = {Role.EMITTER: parties.emitter, Role.RECEIVER: parties.receiver}
        ends = {
            Role.EMITTER: lambda link: establish_as_emitter(
                link, identity=parties.emitter, peer=parties.receiver.public, name="bob", suite=CLASSIC
            ),
            Role.RECEIVER: lambda link: establish_as_receiver(
                link,
                identity=parties.receiver,
                senders={parties.emitter.fingerprint: Peer("alice", True, parties.emitter.public)},
                suite=CLASSIC,
            ),
        }
        (other,) = set(Role) - {role}
        mailbox = Mailbox(outgoing_bytes=settings.window_bytes, wake=near.wake)
        talker: list[Talker] = []

        def talk() -> None:
            established = ends[role](HandshakeLink(near, settings, Stop(), events.ignore))
            dialogue = Dialogue(
                role,
                mailbox,
                limits=established.limits,
                record_size=settings.record_size,
                message_max=1000,
                open_by=time.monotonic() + 1.0,
            )
            talker.append(Talker(mailbox, dialogue))
            program(mailbox)
            try:
                Session(near, established, settings=settings, stop=Stop()).run(dialogue)
            except SeloError as error:
                talker[0].error = error
            mailbox.end(talker[0].error)
            near.close()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        _play(far, who[other], ends[other], settings, script)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the conversation hangs"
        return talker[0]

    return run


@pytest.fixture
def no_stray_files(tmp_path: Path) -> Iterator[Path]:
    """A folder that must hold no temporary file when the test is over."""
    yield tmp_path
    assert not list(tmp_path.rglob(".selo-*")), "a temporary file was left behind"


@pytest.fixture
def serve(parties: Parties, lasting: Settings) -> Iterator[Callable[..., tuple[Exchange, Side]]]:
    """Starts a Receiver that takes delivery after delivery of alice (the Emitter) and carol (the stranger).

    It is stopped after the test, and must end then.
    """
    running: list[tuple[Exchange, Side, threading.Thread]] = []

    def start(make_sink: Callable[[Peer], Sink], settings: Settings = lasting) -> tuple[Exchange, Side]:
        exchange, side = Exchange(), Side()
        pairs = (("alice", parties.emitter), ("carol", parties.stranger))
        senders = [Peer(name, may_send=True, identity=identity.public) for name, identity in pairs]
        receiver = Receiver(
            identity=parties.receiver,
            senders=lambda: {sender.fingerprint: sender for sender in senders},
            make_sink=make_sink,
            terms=side.terms(settings),
        )
        meeting = Listening(exchange, ("alice", "carol"))

        def run() -> None:
            try:
                receiver.serve(meeting)
            except SeloError as error:
                side.error = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        running.append((exchange, side, thread))
        return exchange, side

    yield start
    for exchange, side, thread in running:
        side.stop.request()
        thread.join(PATIENCE)
        exchange.close()
        assert not thread.is_alive(), "the Receiver hangs"
        assert isinstance(side.error, Interrupted)
