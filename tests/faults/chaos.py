"""Deliveries under random faults, two at a time, until one breaks a rule: `make chaos [N=500] [SEED=...]`.

Each has a seed of its own, from which everything about it is drawn but the speed of this machine; with
SEED alone one is played again. The folder of one that went wrong is kept.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ..hosts.network import Network, Unavailable
from .agents import People
from .delivery import BRISK, Delivery, Strike, Verdict
from .faults import Fault, action
from .moments import Moment, Trigger, after_bytes, trigger
from .parcels import Kind, Parcel, make
from .places import Hosts, Loopback, Place, three_hosts

AT_A_TIME = 2
LARGEST = 8 << 20
GRACE = 0.7
"""Seconds after which a side that has nobody left to talk to is stopped."""
LASTS = 1.5
"""Seconds that a passing fault lasts at most: longer than the idle limit, much shorter than the retrying."""

HASTE = BRISK | {"idle_limit": "1s", "ping_interval": "200ms", "retry_for": "8s", "resume_window": "8s"}

OF_A_LINK = {Fault.RESET, Fault.LINK_DOWN}
ALWAYS_MENDED = set(Fault) - {Fault.CORRUPTED, Fault.DROPPED}
"""After these everything arrives that can be read again: they pass, or the process is started again."""


@dataclass(frozen=True)
class Plan:
    """One delivery, drawn from its seed. ``faults``: what strikes in turn, where, for how many seconds."""

    seed: int
    kind: Kind
    size: int
    cables: bool
    emitter_listens: bool
    forever: bool
    settings: dict[str, str]
    faults: list[tuple[Fault, Moment | float, float]]

    def __str__(self) -> str:
        blows = ", ".join(
            f"{fault} {where if isinstance(where, Moment) else f'after {where:.0%}'}"
            for fault, where, _ in self.faults
        )
        how = " ".join(f"{name}={self.settings[name]}" for name in ("record_size", "window_bytes"))
        where = "cables" if self.cables else "loopback"
        where += ", emitter listens" * self.emitter_listens + ", forever" * self.forever
        return f"{self.kind} {self.size:,} bytes, {where}, {how}: {blows}"


def draw(seed: int, *, cables: bool) -> Plan:
    """The plan of a seed. ``cables``: whether there are hosts to have some."""
    rng = random.Random(seed)
    kind = rng.choice(list(Kind))
    size = rng.choice(
        (0, 1, rng.randint(2, 5000), int(2 ** rng.uniform(12, 23)), int(2 ** rng.uniform(18, 23)))
    )
    record = rng.choice((1000, 4096, 65536, 1 << 20))
    record = max(record, size // 1000)
    window = max(4096, record, rng.choice((record, 4 * record, 16 * record, size // 20)))
    faults = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        where = rng.choice(list(Moment)) if rng.random() < 0.6 else rng.random()
        faults.append((rng.choice(list(Fault)), where, rng.uniform(0.1, LASTS)))
    on_cables = rng.random() < 0.4 and cables
    if not on_cables:
        faults = [(Fault.RESET if each[0] is Fault.DROPPED else each[0], *each[1:]) for each in faults]
    settings = HASTE | {
        "record_size": str(record),
        "window_bytes": str(window),
        "window_records": str(rng.choice((1, 8, 4096))),
        "resume_buffer": rng.choice(("0", "100000", "33554432")),
    }
    if kind is Kind.STDIN and {Fault.EMITTER_KILLED, Fault.BOTH_KILLED} & {fault for fault, _, _ in faults}:
        settings["resume_window"] = "1s"
    emitter_listens = rng.random() < 0.3
    return Plan(seed, kind, size, on_cables, emitter_listens, rng.random() < 0.3, settings, faults)


@dataclass
class Score:
    """What came of all deliveries so far."""

    outcomes: Counter[tuple[Fault, bool]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)

    def add(self, plan: Plan, struck: int, verdict: Verdict, recoveries: list[float]) -> None:
        """Count one in."""
        self.seconds.append(verdict.seconds)
        happened = [fault for fault, _, _ in plan.faults[:struck]]
        self.outcomes.update((fault, verdict.delivered) for fault in happened)
        if len(happened) == 1 and happened[0] in OF_A_LINK:
            self.recoveries += recoveries
            if verdict.delivered and plan.size:
                self.twice.append(verdict.twice)

    def __str__(self) -> str:
        faults = "; ".join(
            f"{fault} {self.outcomes[fault, True]} delivered {self.outcomes[fault, False]} not"
            for fault in Fault
            if self.outcomes[fault, True] + self.outcomes[fault, False]
        )
        return (
            f"{len(self.seconds)} deliveries, {_typical(self.seconds, '.1f')} s each; {faults}; "
            f"sent twice for one cut of the link: {_typical(self.twice, ',.0f')} bytes; "
            f"from the link's return to data: {_typical(self.recoveries, '.2f')} s"
        )


def _typical(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} (at most {max(values):{form}})" if values else "-"


class Chaos:
    """Plays deliveries in ``folder``; ``wrong`` holds what to say of the one that broke a rule."""

    def __init__(self, folder: Path, networks: list[Network]) -> None:
        self._folder = folder
        self._people = People.introduced(folder)
        self._networks = networks
        self._cables = bool(networks)
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self.score = Score()
        self.wrong = ""

    def play(self, seed: int) -> None:
        """One delivery, unless there was one that went wrong."""
        if self.wrong:
            return
        plan = draw(seed, cables=self._cables)
        folder = self._folder / str(seed)
        (folder / "source").mkdir(parents=True)
        (folder / "inbox").mkdir()
        network = self._networks.pop() if plan.cables else None
        try:
            with self._place(plan, network) as place:
                verdict, struck, story = self._deliver(plan, place, folder)
                recoveries = place.forwarder.recoveries
        finally:
            if network is not None:
                self._networks.append(network)
        with self._lock:
            self.score.add(plan, struck, verdict, recoveries)
            outcome = "delivered" if verdict.delivered else "not delivered"
            statuses = f"emitter {verdict.emitter}, receiver {verdict.receiver}"
            print(
                f"{next(self._count):4} SEED={seed} {plan} ({struck} struck) -> "
                f"{outcome}, {statuses}, {verdict.twice:,} bytes twice, {verdict.seconds:.1f} s",
                flush=True,
            )
            if verdict.fault and not self.wrong:
                self.wrong = f"WRONG: {verdict.fault}\n{story}\nkept: {folder}\nagain: make chaos SEED={seed}"
        if not verdict.fault:
            shutil.rmtree(folder)

    def _place(self, plan: Plan, network: Network | None) -> AbstractContextManager[Place]:
        listens = plan.emitter_listens
        if network is None:
            return Loopback.made(emitter_listens=listens)
        return Hosts.made(network, emitter_listens=listens)

    def _deliver(self, plan: Plan, place: Place, folder: Path) -> tuple[Verdict, int, str]:
        rng = random.Random(plan.seed + 1)
        parcel: Parcel = make(plan.kind, folder / "source", plan.size, rng)
        delivery = Delivery(
            place, self._people, parcel, folder / "inbox", plan.settings, forever=plan.forever, grace=GRACE
        )
        strikes = [
            Strike(_when(where, delivery.total), action(fault, delivery, place, rng, seconds))
            for fault, where, seconds in plan.faults
        ]
        verdict = delivery.run(strikes)
        must = not delivery.struck or self._had_to_arrive(plan)
        if not verdict.fault and not verdict.delivered and must:
            verdict = Verdict(**{**vars(verdict), "fault": "it could have been delivered, and was not"})
        return verdict, delivery.struck, delivery.story()

    @staticmethod
    def _had_to_arrive(plan: Plan) -> bool:
        return plan.kind is not Kind.STDIN and {fault for fault, _, _ in plan.faults} <= ALWAYS_MENDED


def _when(where: Moment | float, total: int) -> Trigger:
    return trigger(where, total) if isinstance(where, Moment) else after_bytes(int(where * total))


def main() -> int:
    """Play them; 1 if one went wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, help="how many (500; 1 with a seed)")
    parser.add_argument("--seed", type=int, help="that of the first; the others follow")
    arguments = parser.parse_args()
    number = arguments.number or (500 if arguments.seed is None else 1)
    first = random.SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    folder = Path(tempfile.mkdtemp(prefix="selo-chaos-"))
    with ExitStack() as stack:
        networks: list[Network] = []
        try:
            networks += [stack.enter_context(three_hosts()) for _ in range(AT_A_TIME)]
        except Unavailable as why:
            print(f"no cables: {why}")
        chaos = Chaos(folder, networks)
        with ThreadPoolExecutor(AT_A_TIME) as workers:
            for played in [workers.submit(chaos.play, seed) for seed in range(first, first + number)]:
                played.result()
    print(chaos.score)
    if chaos.wrong:
        print(chaos.wrong)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
