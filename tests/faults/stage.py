"""A real Emitter and a real Receiver, with an adversary on the wire or in the place of one of them.

A session is driven in lock step: a window of one record, and a source that ends when all is acknowledged.
The handshake runs where it is under attack; where only the records are, both sides begin with the keys of a
session that nobody else has, which costs no modular arithmetic.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from selo.agents import events
from selo.agents.emitter import Emitter
from selo.agents.establish import HandshakeLink
from selo.agents.meeting import Part, Terms
from selo.agents.meeting_errors import NobodyCame
from selo.agents.receiver import Receiver
from selo.agents.sinks import CallableSink, Sink
from selo.agents.sources import BytesSource, Source
from selo.agents.stop import Stop
from selo.config.settings import Settings, load_settings
from selo.config.trust import Peer
from selo.crypto.authentication import VerifiedPeer
from selo.crypto.established import Established, Role, establish
from selo.crypto.identity import Identity
from selo.crypto.schedule import traffic_secrets
from selo.crypto.session_limits import SessionLimits
from selo.crypto.suites import CLASSIC
from selo.errors import SeloError
from selo.transport.base import Leg

from .liar import Liar
from .tap import BACK, DATA, HANDSHAKE, PIECES, RECORD, RECORDS, Wire

PATIENCE = 20.0
"""Seconds after which a session is called hung."""


def settings_for(**changes: float) -> Settings:
    """No second session; no PING unless it is asked for; a window of one record."""
    usual = {
        "retry_for": 0.0,
        "resume_window": 0.0,
        "record_size": RECORD,
        "window_records": 1,
        "window_bytes": 4096,
        "idle_limit": PATIENCE,
        "ping_interval": PATIENCE,
        "close_grace": 0.1,
    }
    return replace(load_settings(), **(usual | changes))  # type: ignore[arg-type]


IMPATIENT = {
    "idle_limit": 1.0,
    "ping_interval": 0.02,
    "handshake_deadline": 0.5,
    "first_message_deadline": 0.5,
}
"""For what only silence shows."""


class LockStep(BytesSource):
    """``DATA``, and its end when every record was acknowledged: so FINAL never overtakes the last ACK."""

    def __init__(self) -> None:
        super().__init__(DATA)
        self.all_acknowledged = threading.Event()

    def blocks(self, block_size: int) -> Iterator[bytes | bytearray | memoryview]:
        yield from super().blocks(block_size)
        assert self.all_acknowledged.wait(PATIENCE), "the source is never let go"

    def cancel(self) -> None:
        self.all_acknowledged.set()


class Meets(Protocol):
    """What ``Session`` needs of a meeting."""

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]: ...


@dataclass
class OneHandshake:
    """A meeting that tries once, over a connection that is there."""

    leg: Leg

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        try:
            link = HandshakeLink(self.leg, terms.settings, terms.stop, terms.report)
            return self.leg, part.handshake(link, None)
        except BaseException:
            self.leg.close()
            raise


@dataclass
class KnownKeys:
    """A meeting of two who have just shaken hands."""

    leg: Leg
    established: Established

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        return self.leg, self.established


@dataclass
class _Keeps:
    """A meeting whose sessions are remembered."""

    meeting: Meets
    established: list[Established] = field(default_factory=list)

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        leg, established = self.meeting.establish(part, terms)
        self.established.append(established)
        return leg, established


@dataclass
class Playback:
    """What looks like a meeting, and only says again what was recorded."""

    leg: Leg
    frames: Sequence[bytes]

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        for frame in self.frames:
            self.leg.try_send(frame)
        while True:  # until the other side has closed
            self.leg.wait(PATIENCE)
            self.leg.try_receive()


Script = Callable[[Liar, Established], object]
"""What an authenticated liar does in one session, with its keys; ``Established`` says which session it is."""


@dataclass
class _Plays:
    """What looks like a meeting of a liar, and is all of its sessions."""

    scripts: Sequence[Script]
    ends: Sequence[KnownKeys]

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        for script, end in zip(self.scripts, self.ends, strict=True):
            try:
                script(Liar(end.leg, end.established), end.established)
            finally:
                end.leg.close()
        raise NobodyCame(0.0)


class Switchboard:
    """Meetings of two who shake hands again and again; Mallory is there the first time only."""

    def __init__(self, stage: Stage, settings: Settings, first: Wire) -> None:
        self._stage = stage
        self._settings = settings
        self._calls: SimpleQueue[Meets] = SimpleQueue()
        self.wires = [first]
        self.on_second: Callable[[], object] = lambda: None
        self.emits = _Caller(self)
        self.receives = _Called(self._calls)

    def call(self) -> Meets:
        """Tell the Receiver's side of one more connection; the Emitter's side of it."""
        wire = self.wires[-1]
        if wire.used:
            wire = Wire()
            self.wires.append(wire)
            self.on_second()
        wire.used = True
        emits, receives = self._stage.both_ends(wire, self._settings)
        self._calls.put(receives)
        return emits


@dataclass
class _Caller:
    board: Switchboard

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        return self.board.call().establish(part, terms)


@dataclass
class _Called:
    calls: SimpleQueue[Meets]

    def establish(self, part: Part, terms: Terms) -> tuple[Leg, Established]:
        try:
            return self.calls.get(timeout=part.wait).establish(part, terms)
        except Empty:
            raise NobodyCame(part.wait or 0.0) from None


@dataclass
class Outcome:
    """What became of both sides, and what the sink was given."""

    wire: Wire
    emitter: events.Delivered | SeloError
    receiver: events.Delivered | SeloError
    received: bytes
    stored: int

    def status(self, role: Role) -> int:
        """The exit status of that side's process."""
        side = self.emitter if role is Role.EMITTER else self.receiver
        return side.exit_status if isinstance(side, SeloError) else 0


class Stage:
    """Two identities, and their handshake, done once."""

    def __init__(self) -> None:
        self.alice, self.bob = (Identity.generate(os.urandom) for _ in range(2))
        self._proved = self._shake_hands()

    def _shake_hands(self) -> dict[Role, VerifiedPeer]:
        """The peers that both sides verified, to be met again with other keys."""
        wire = Wire()
        emits, receives = _Keeps(OneHandshake(wire.near)), _Keeps(OneHandshake(wire.far))
        self.run(wire, emits, receives, settings_for())
        return {Role.EMITTER: emits.established[0].peer, Role.RECEIVER: receives.established[0].peer}

    def both_ends(self, wire: Wire, settings: Settings) -> tuple[KnownKeys, KnownKeys]:
        """A meeting for each side, with keys that no other session has."""
        t3 = os.urandom(32)
        secrets = traffic_secrets(os.urandom(32), t3)
        limits = SessionLimits(4096, settings.window_records, settings.window_bytes)
        emits, receives = (
            establish(role, self._proved[role], suite=CLASSIC, limits=limits, t3=t3, secrets=secrets)
            for role in Role
        )
        return KnownKeys(wire.near, emits), KnownKeys(wire.far, receives)

    def records(
        self, wire: Wire, settings: Settings, source: Source | None = None, sink: Sink | None = None
    ) -> Outcome:
        """A session from its OPEN on."""
        source = source or self._lock_step(wire, handshake=False)
        return self.run(wire, *self.both_ends(wire, settings), settings, source, sink)

    def whole(self, wire: Wire, settings: Settings) -> Outcome:
        """A session from its M1 on."""
        source = self._lock_step(wire, handshake=True)
        return self.run(wire, OneHandshake(wire.near), OneHandshake(wire.far), settings, source)

    def again(self, board: Switchboard, settings: Settings) -> Outcome:
        """As many sessions as it takes, from their OPEN on."""
        source = self._lock_step(board.wires[0], handshake=False)
        board.on_second = source.all_acknowledged.set
        return self.run(board.wires[0], board.emits, board.receives, settings, source)

    def _lock_step(self, wire: Wire, *, handshake: bool) -> LockStep:
        source = LockStep()
        last = RECORDS[BACK].index(f"ACK {PIECES}") + (len(HANDSHAKE[BACK]) if handshake else 0)

        def release(direction: int, number: int) -> None:
            if (direction, number) == (BACK, last):
                source.all_acknowledged.set()

        wire.on_frame = release
        return source

    def against(
        self,
        liar: Role,
        scripts: Sequence[Script],
        settings: Settings,
        source: Source | None = None,
        sink: Sink | None = None,
    ) -> Outcome:
        """One side, and in the other's place somebody with its keys who plays a script in each session.

        Of the outcome, the liar's own half says nothing.
        """
        wires = [Wire() for _ in scripts]
        ends = [self.both_ends(wire, settings) for wire in wires]
        plays = _Plays(scripts, [pair[liar is Role.RECEIVER] for pair in ends])
        calls: SimpleQueue[Meets] = SimpleQueue()
        for pair in ends:
            calls.put(pair[liar is Role.EMITTER])
        meets = _Called(calls)
        emits, receives = (plays, meets) if liar is Role.EMITTER else (meets, plays)
        return self.run(wires[0], emits, receives, settings, source, sink)

    def run(
        self,
        wire: Wire,
        emits: Meets,
        receives: Meets,
        settings: Settings,
        source: Source | None = None,
        sink: Sink | None = None,
    ) -> Outcome:
        """Both sides, until both have ended; one that does not is a failure."""
        received, stored = bytearray(), []
        bob = Peer("bob", may_send=False, identity=self.bob.public)
        alice = Peer("alice", may_send=True, identity=self.alice.public)
        emitter = Emitter(
            identity=self.alice,
            peer=bob,
            source=source or BytesSource(DATA),
            terms=Terms(settings=settings, stop=Stop()),
        )
        receiver = Receiver(
            identity=self.bob,
            senders=lambda: {alice.fingerprint: alice},
            make_sink=lambda _peer: sink if sink is not None else CallableSink(received.extend),
            terms=Terms(settings=settings, stop=Stop()),
            on_stored=stored.append,
        )
        ends = [
            _Side(lambda: emitter.run(emits), wire.near.close),
            _Side(lambda: receiver.run(receives), wire.far.close),
        ]
        return Outcome(wire, ends[0].result(), ends[1].result(), bytes(received), len(stored))


class _Side:
    """One agent in a thread of its own, which ends with the process if it hangs."""

    def __init__(self, run: Callable[[], events.Delivered], end: Callable[[], None]) -> None:
        self._run = run
        self._end = end
        self._outcome: events.Delivered | BaseException | None = None
        self._thread = threading.Thread(target=self._body, daemon=True)
        self._thread.start()

    def result(self) -> events.Delivered | SeloError:
        """How it ended; what is no error of ours is the test's."""
        self._thread.join(PATIENCE)
        assert self._outcome is not None, "a side hangs"
        if isinstance(self._outcome, events.Delivered | SeloError):
            return self._outcome
        raise self._outcome

    def _body(self) -> None:
        try:
            self._outcome = self._run()
        except BaseException as error:
            self._outcome = error
        finally:
            self._end()
