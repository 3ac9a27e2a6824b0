"""Two agents and what joins them: the same tests over every transport."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from selo.agents import events
from selo.agents.dialogue import Dialogue
from selo.agents.emitter import Emitter
from selo.agents.establish import HandshakeLink, establish_as_emitter, establish_as_receiver
from selo.agents.facts import SessionFacts
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
from selo.crypto.identity import Identity
from selo.crypto.records import Record, RecordType
from selo.crypto.suites import CLASSIC
from selo.errors import SeloError
from selo.transport import PipeLeg, memory_pair, pipe_pair
from selo.transport.base import Leg, LegClosed, Listener
from selo.transport.frames import RecordFrame, new_record_frame, parse

PATIENCE = 30.0
"""Seconds after which a test is called hung; nothing waits that long when all is well."""


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
    """The defaults, with waits that suit tests."""
    return replace(load_settings(), emit_wait=10.0, receive_wait=10.0, idle_limit=5.0, ping_interval=0.5)


@dataclass
class Wire:
    """A listener and the way to it; ``tap`` only on the memory transport."""

    listener: Listener
    dial: Dial
    emitter_binds: bool = False


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


Deliver = Callable[..., Run]


@pytest.fixture
def deliver(parties: Parties, settings: Settings) -> Deliver:
    """Run both agents, each in a thread, until both ended; a hang is a failure.

    Keyword arguments: ``sink``, ``emitter`` and ``settings`` replace the usual ones; ``trusted``
    are the fingerprints that the Receiver accepts; ``before`` is called with the ``Run`` first.
    """

    def run(
        wire: Wire,
        source: Source,
        *,
        sink: Sink | None = None,
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
        receiving = Receiver(
            identity=parties.receiver,
            senders={sender.fingerprint: sender for sender in senders},
            make_sink=lambda _sender: sink if sink is not None else CallableSink(result.received.extend),
            terms=result.receiver.terms(receiver_settings),
        )
        address, names = wire.listener.address, ("bob",) if wire.emitter_binds else ("alice",)
        listening = Listening(wire.listener, names)
        connecting = Connecting(address, senders[0] if wire.emitter_binds else bob, wire.dial)
        meetings = (listening, connecting) if wire.emitter_binds else (connecting, listening)
        ends = (wire.listener.close, lambda: None)
        if not wire.emitter_binds:
            ends = ends[::-1]
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


class Rogue:
    """A scripted peer that authenticates honestly and then seals whatever its script says."""

    def __init__(self, leg: Leg, established: Established) -> None:
        self._leg = leg
        self._sealer = established.sealer
        self._opener = established.opener

    def send(self, kind: RecordType, plaintext: bytes = b"") -> None:
        """Seal and send one record."""
        frame = new_record_frame(len(plaintext))
        frame.header[:] = self._sealer.seal_into(kind, plaintext, frame.body)
        while not self._leg.try_send(frame.buffer):
            self._leg.wait(1.0, want_write=True)

    def send_final(self, digest: bytes) -> None:
        """Seal and send the right FINAL, but for the digest."""
        self.send(RecordType.FINAL, self._sealer.totals(digest).pack())

    def receive(self) -> Record:
        """Open the next record that is no PING."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            frame = self._leg.try_receive()
            if frame is None:
                self._leg.wait(1.0)
                continue
            parsed = parse(frame, max_length=FRAME_MAX)
            assert isinstance(parsed, RecordFrame)
            record = self._opener.open(parsed.header, parsed.body)
            if record.type is not RecordType.PING:
                return record
        raise AssertionError("no record came")

    def pause(self, seconds: float) -> None:
        """Wait, and drop what comes meanwhile.

        Raises:
            LegClosed: the other side closed.
        """
        self._leg.wait(seconds)
        while self._leg.try_receive() is not None:
            pass

    def hears(self, seconds: float) -> bool:
        """Whether anything comes in that time; it stays to be received."""
        return self._leg.wait(seconds).readable

    def until_closed(self, step: Callable[[], object]) -> None:
        """Do ``step`` again and again until the other side has closed."""
        with suppress(LegClosed):
            while True:
                step()

    def allow_anything(self) -> None:
        """Take the rules out of the sealer, as a broken implementation would."""
        self._sealer._checked = lambda *_: self._sealer._protection  # type: ignore[method-assign]
        self._sealer._rules.advance = lambda _type: None  # type: ignore[method-assign]


Script = Callable[[Rogue], object]


def _play(
    leg: Leg, establish: Callable[[HandshakeLink], Established], settings: Settings, script: Script
) -> None:
    link = HandshakeLink(leg, settings, Stop(), events.ignore)
    try:
        script(Rogue(leg, establish(link)))
    finally:
        leg.close()


@pytest.fixture
def emit_to_rogue(parties: Parties, settings: Settings) -> Callable[..., Side]:
    """Run a real Emitter against a Receiver that plays a script."""

    def run(source: Source, script: Script) -> Side:
        near, far = memory_pair(max_frame=FRAME_MAX)
        side = Side()
        bob = Peer("bob", may_send=False, identity=parties.receiver.public)
        emitter = Emitter(identity=parties.emitter, peer=bob, source=source, terms=side.terms(settings))
        meeting = Connecting("memory:", bob, lambda *_: near)
        senders = {parties.emitter.fingerprint: Peer("alice", may_send=True, identity=parties.emitter.public)}
        thread = _start(side, lambda: emitter.run(meeting), lambda: None)
        _play(
            far,
            lambda link: establish_as_receiver(
                link, identity=parties.receiver, senders=senders, suite=CLASSIC
            ),
            settings,
            script,
        )
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the Emitter hangs"
        return side

    return run


@pytest.fixture
def play_emitter(parties: Parties, settings: Settings) -> Callable[[Leg, Script], None]:
    """Play a script as an Emitter over a leg of the test's own."""

    def run(leg: Leg, script: Script) -> None:
        bob = parties.receiver.public
        _play(
            leg,
            lambda link: establish_as_emitter(
                link, identity=parties.emitter, peer=bob, name="bob", suite=CLASSIC
            ),
            settings,
            script,
        )

    return run


@pytest.fixture
def receive_from_rogue(parties: Parties, settings: Settings) -> Callable[..., Side]:
    """Run a real Receiver against an Emitter that plays a script."""

    def run(
        script: Script,
        sink: Sink,
        settings: Settings = settings,
        on_side: Callable[[Side], None] = lambda _side: None,
    ) -> Side:
        near, far = memory_pair(max_frame=FRAME_MAX)
        side = Side()
        on_side(side)
        receiver = Receiver(
            identity=parties.receiver,
            senders={
                parties.emitter.fingerprint: Peer("alice", may_send=True, identity=parties.emitter.public)
            },
            make_sink=lambda _sender: sink,
            terms=side.terms(settings),
        )
        meeting = Listening(OneLegListener(far, "memory:"), ("alice",))
        thread = _start(side, lambda: receiver.run(meeting), lambda: None)
        bob = parties.receiver.public
        _play(
            near,
            lambda link: establish_as_emitter(
                link, identity=parties.emitter, peer=bob, name="bob", suite=CLASSIC
            ),
            settings,
            script,
        )
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the Receiver hangs"
        return side

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
        _play(far, ends[other], settings, script)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the conversation hangs"
        return talker[0]

    return run


@pytest.fixture
def no_stray_files(tmp_path: Path) -> Iterator[Path]:
    """A folder that must hold no temporary file when the test is over."""
    yield tmp_path
    assert not list(tmp_path.rglob(".selo-*")), "a temporary file was left behind"
