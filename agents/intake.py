"""Deliveries that a Receiver is taking, each over as many sessions as it takes.

A delivery belongs to the peer that began it: it is found again by that peer's fingerprint and the name
that the peer gave it, so nobody else can go on with it, and two can never be spliced.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from selo.agents.bodies import Offer
from selo.agents.errors import CannotBeginAnew, HeldForAnother, PeerMisbehaved
from selo.agents.writer import Writer

INTAKES_MAX = 16
"""Cut deliveries that are held at once: each takes a thread, some descriptors, and a window of memory."""


@dataclass
class Intake:
    """One delivery that is under way, or was cut. ``expires`` is on the clock of ``Intakes`` (seconds)."""

    peer: str
    offer: Offer
    writer: Writer
    started: float
    expires: float = field(default=float("inf"))
    announced: bool = False
    rules: object = None


class Intakes:
    """The deliveries of one Receiver, by who brings them and what they are called.

    ``window``: seconds for which a cut one is held.
    """

    def __init__(self, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._held: dict[bytes, Intake] = {}

    def claim(
        self,
        peer: str,
        offer: Offer,
        begin: Callable[[], Writer],
        wake: Callable[[], None],
        *,
        alone: bool,
        rules: object = None,
    ) -> Intake:
        """The delivery of an offer that is bound to its peer (``Offer.bound_to``): one held, or a new one.

        ``alone``: while one is held, no other may begin. ``rules`` are those that ``begin`` goes by: what was
        begun under others is taken up from the disk, under these.

        Raises:
            HeldForAnother: it is another one.
            PeerMisbehaved: it is offered as another kind of thing now.
            CannotBeginAnew: it is offered otherwise now, and what came before is out of our hands.
            SeloError: of ``begin``, or what the delivery failed with while it was held.
        """
        held = self._held.get(offer.delivery)
        if held is not None:
            if held.offer.kind is not offer.kind:
                raise PeerMisbehaved("a delivery is taken up again as something else")
            failure = held.writer.failure
            same_rules = held.rules == rules or held.writer.stored is not None
            if failure is None and held.offer == offer and same_rules:
                held.writer.wake = wake
                held.expires = float("inf")
                held.writer.take_up()
                return held
            handed_on = held.writer.handed_on
            self._end(held)  # what is on disk is compared anew: it has another size or time, or other rules
            if failure is not None:
                raise failure
            if handed_on:
                raise CannotBeginAnew(handed_on)
        if alone and self._held and held is None:
            raise HeldForAnother(peer)
        intake = Intake(peer, offer, begin(), self._clock(), rules=rules)
        self._held[offer.delivery] = intake
        self._make_room(intake)
        intake.writer.open(offer)
        return intake

    def _make_room(self, newcomer: Intake) -> None:
        """Let go of one if there are too many: one that is stored, or of the peer that made it too many."""
        if len(self._held) <= INTAKES_MAX:
            return
        others = [intake for intake in self._held.values() if intake is not newcomer]
        self._end(
            min(
                others,
                key=lambda each: (each.writer.stored is None, each.peer != newcomer.peer, each.expires),
            )
        )

    def hold(self, intake: Intake) -> None:
        """Its session was lost: keep it for its window."""
        intake.expires = self._clock() + self._window

    def done(self, intake: Intake) -> None:
        """It is over, one way or the other."""
        self._held.pop(intake.offer.delivery, None)

    def expire(self) -> list[Intake]:
        """Let go of those whose window is over; what they have on disk stays."""
        over = [intake for intake in self._held.values() if intake.expires <= self._clock()]
        for intake in over:
            self._end(intake)
        return over

    @property
    def any_held(self) -> bool:
        """Whether one waits for its next session: it was cut, or it is stored and may lack its receipt."""
        return any(intake.expires < float("inf") for intake in self._held.values())

    @property
    def left(self) -> float | None:
        """Seconds until the next of them is let go of; None while there is none that was cut."""
        expiries = [intake.expires for intake in self._held.values() if intake.expires < float("inf")]
        return max(0.0, min(expiries) - self._clock()) if expiries else None

    def close(self) -> None:
        """Let go of all."""
        for intake in list(self._held.values()):
            self._end(intake)

    def _end(self, intake: Intake) -> None:
        self.done(intake)
        intake.writer.suspend()
