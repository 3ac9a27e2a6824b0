"""One delivery under fire: two processes, what strikes them, who is started again, and the verdict."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selo.agents.opening import open_paths

from .agents import PATIENCE, SELO, Agent, People
from .moments import Trigger
from .parcels import Kind, Parcel
from .places import Place
from .wire import Seen

GRACE = 2.0
"""Seconds, beyond its own limits, after which a side that has nobody left to talk to is stopped."""

FOREVER_GRACE = 0.2
"""The same for a Receiver that would not end by itself."""

BRISK = {
    "idle_limit": "1500ms",
    "ping_interval": "250ms",
    "first_message_deadline": "2s",
    "handshake_deadline": "3s",
    "close_grace": "500ms",
    "emit_wait": "60s",
    "retry_max": "200ms",
    "retry_for": "40s",
    "resume_window": "40s",
}
"""Settings under which a loss is noticed, and taken up again, within seconds."""


@dataclass(frozen=True)
class Strike:
    """A fault, and when it is to happen."""

    trigger: Trigger
    fault: Callable[[], None]


@dataclass(frozen=True)
class Verdict:
    """How a delivery ended: ``fault`` says what is wrong with that, or is empty."""

    delivered: bool
    emitter: int | None
    receiver: int | None
    twice: int
    fault: str
    seconds: float


class Delivery:
    """A parcel from alice to bob's ``inbox``. ``forever``: the Receiver takes one delivery after another."""

    def __init__(
        self,
        place: Place,
        people: People,
        parcel: Parcel,
        inbox: Path,
        settings: Mapping[str, str],
        *,
        forever: bool = False,
        grace: float = GRACE,
    ) -> None:
        self._place = place
        self._people = people
        self._parcel = parcel
        self._inbox = inbox
        self._settings = settings
        self._forever = forever
        self._grace = grace
        self._strikes: list[Strike] = []
        self._lock = threading.Lock()
        self._emitters: list[Agent] = []
        self._receivers: list[Agent] = []
        self._pending = 0
        self._stopped: set[Agent] = set()
        self.struck = 0
        """How many of the strikes happened."""
        self.total = stream_size(parcel)
        """Bytes of the delivery on the wire, sent once."""

    @property
    def emitter(self) -> Agent:
        """The one that was started last."""
        return self._emitters[-1]

    @property
    def receiver(self) -> Agent:
        """The one that was started last."""
        return self._receivers[-1]

    # What strikes

    def kill(self, *roles: str) -> None:
        """SIGKILL; what they had under way does not get there either."""
        for role in roles:
            (self.emitter if role == "emitter" else self.receiver).kill()
        self._place.forwarder.reset()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do that in a while; the delivery is not judged before."""
        with self._lock:
            self._pending += 1

        def act() -> None:
            try:
                action()
            finally:
                with self._lock:
                    self._pending -= 1

        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()

    def _watch(self, direction: str, seen: Seen) -> Callable[[], None] | None:
        if self.struck < len(self._strikes) and self._strikes[self.struck].trigger(direction, seen):
            self.struck += 1
            return self._strikes[self.struck - 1].fault
        return None

    # The run

    def run(self, strikes: Sequence[Strike] = ()) -> Verdict:
        """Deliver, and judge. Whoever is killed is started again with the same command, where that helps."""
        started = time.monotonic()
        self._strikes = list(strikes)
        self._place.forwarder.watch = self._watch
        try:
            starts = [self._start_receiver, self._start_emitter]
            for start in reversed(starts) if self._place.emitter_listens else starts:
                start()
            hung = self._attend(started + PATIENCE + sum_of_waits(self._settings))
        finally:
            self._place.forwarder.watch = lambda _direction, _seen: None
            for agent in (*self._emitters, *self._receivers):
                agent.kill()
                agent.join()
        return self._judge(hung, time.monotonic() - started)

    def _start_receiver(self) -> None:
        again = ["--forever"] if self._forever else []
        command = ["receive", *self._where(False), "--into", self._inbox, "--rename", *again]
        receiver = Agent(
            [*self._place.prefix("bob"), SELO, "--json", *command], self._people.bob, self._settings
        )
        self._receivers.append(receiver)
        if not self._place.emitter_listens:
            self._hear(receiver)

    def _where(self, emits: bool) -> list[str]:
        """How that side is told where to meet the other."""
        if emits is self._place.emitter_listens:
            return ["--bind", self._place.bind]
        return ["--connect", self._place.forwarder.address]

    def _hear(self, agent: Agent) -> None:
        listening = agent.wait_for("listening")
        if listening is not None:
            self._place.heard(listening["address"])

    def _start_emitter(self) -> None:
        command = ["emit", "--to", "bob", *self._where(True), *self._parcel.arguments]
        emitter = Agent(
            [*self._place.prefix("alice"), SELO, "--json", *command],
            self._people.alice,
            self._settings,
            self._parcel.stdin,
        )
        self._emitters.append(emitter)
        if self._place.emitter_listens:
            self._hear(emitter)

    def _attend(self, deadline: float) -> str:
        """Until both are done; says who hung."""
        since: float | None = None
        while time.monotonic() < deadline:
            time.sleep(0.01)
            if self._pending or self._start_again():
                since = None
                continue
            emitting, receiving = self.emitter.running, self.receiver.running
            if not emitting and not receiving:
                return ""
            if emitting and receiving:
                since = None
                continue
            since = since or time.monotonic()
            if time.monotonic() - since > self._patience(emitting):
                # It has nobody to talk to any more.
                left = self.emitter if emitting else self.receiver
                if left not in self._stopped:
                    self._stopped.add(left)
                    left.signal(signal.SIGTERM)
        return f"hung: emitter {self.emitter.status}, receiver {self.receiver.status}"

    def _patience(self, emitting: bool) -> float:
        if emitting:
            return self._grace
        if self.emitter.status == 0:
            return min(self._grace, FOREVER_GRACE) if self._forever else self._grace
        return float(self._settings["resume_window"].rstrip("s")) + self._grace

    def _start_again(self) -> bool:
        """Whether somebody who was killed was started again."""
        done = self.emitter.status == 0
        if self.receiver.killed and not self.receiver.running and not done:
            self._start_receiver()
            return True
        can_repeat = self._parcel.kind is not Kind.STDIN
        if self.emitter.killed and not self.emitter.running and can_repeat and self.receiver.running:
            self._start_emitter()
            return True
        return False

    # The verdict

    def _judge(self, hung: str, seconds: float) -> Verdict:
        names = sorted(os.listdir(self._inbox))
        finals = [name for name in names if not name.startswith(".selo-")]
        left = [name for name in names if name.startswith(".selo-")]
        return Verdict(
            delivered=finals != [],
            emitter=self.emitter.status,
            receiver=self.receiver.status,
            twice=max(0, self._place.forwarder.counts.data - self.total),
            fault=hung or self._wrong(finals, left),
            seconds=seconds,
        )

    def _wrong(self, finals: list[str], left: list[str]) -> str:
        """The first rule that is broken, in words."""
        agents = (*self._emitters, *self._receivers)
        if noise := [line for agent in agents for line in agent.noise]:
            return "no JSON on standard error: " + "\n".join(noise)
        if len(finals) > 1:
            return f"more than one copy: {finals}"
        if finals and finals != [self._parcel.name]:
            return f"another name: {finals}"
        if finals and (difference := self._parcel.difference(self._inbox / finals[0])):
            return difference
        stored = [agent.status == 0 for agent in self._emitters]
        stored += [agent.status == 0 and not self._forever for agent in self._receivers]
        if not finals and any(stored):
            return "somebody ended with 0, and nothing is there"
        told = [event for agent in agents for event in agent.named("delivered")]
        if not finals and told:
            return f"{len(told)} times was it told that it is delivered, and nothing is there"
        ends = {event["receipt"] for event in self.receiver.named("delivered")}
        if "sent" in ends and self.emitter.status == 0 and left:
            return f"left behind although both know: {left}"
        if finals and (data := [name for name in left if _holds_data(self._inbox / name)]):
            return f"left behind with data beside what is stored: {data}"
        return ""

    def story(self) -> str:
        """What everybody told, for whoever looks into it."""
        lines = [f"emitter:  {agent.story}" for agent in self._emitters]
        return "\n".join(lines + [f"receiver: {agent.story}" for agent in self._receivers])


def _holds_data(staging: Path) -> bool:
    """Whether there is more than the record of what became of the delivery."""
    return {path.name for path in staging.iterdir()} - {"state.json", "state.new"} != set()


def stream_size(parcel: Parcel) -> int:
    """Bytes of the delivery on the wire: of a folder its entries count, too."""
    if parcel.kind is not Kind.FOLDER:
        return parcel.size
    source = open_paths([str(parcel.path)])
    assert source.offer.size is not None
    return source.offer.size


def sum_of_waits(settings: Mapping[str, str]) -> float:
    """Seconds that a delivery may take although nothing moves."""
    return sum(float(settings[name].rstrip("s")) for name in ("retry_for", "resume_window"))
