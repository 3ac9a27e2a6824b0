"""What a finished handshake gives: a verified peer, two sealed directions, an exporter."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from selo.crypto import schedule
from selo.crypto.authentication import VerifiedPeer
from selo.crypto.limits import DIRECTION_EMITTER, DIRECTION_RECEIVER
from selo.crypto.primitives import hmac_sha256
from selo.crypto.records import Opener, Sealer
from selo.crypto.schedule import EpochKeys, TrafficSecrets, label
from selo.crypto.session_limits import SessionLimits
from selo.crypto.suites import Suite


class Role(Enum):
    """A side of the handshake."""

    EMITTER = "Emitter"
    RECEIVER = "Receiver"


@dataclass(frozen=True, eq=False)
class Established:
    """A session with ``peer``. ``transcript`` is T3 (32 bytes), the same on both sides and on no others."""

    role: Role
    peer: VerifiedPeer
    suite: Suite
    limits: SessionLimits
    transcript: bytes
    sealer: Sealer = field(repr=False)
    opener: Opener = field(repr=False)
    _exporter: bytes = field(repr=False)

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """``length`` bytes for another use, bound to this session; both sides get the same.

        Raises:
            MisuseError: a label that is not ASCII or over 247 bytes, or a length outside 1 .. 8160.
        """
        return schedule.export(self._exporter, label, context, length)


def establish(
    role: Role,
    peer: VerifiedPeer,
    *,
    suite: Suite,
    limits: SessionLimits,
    t3: bytes,
    secrets: TrafficSecrets,
) -> Established:
    """The session of one side, its sequence numbers at 0."""
    ours, theirs = DIRECTION_EMITTER, DIRECTION_RECEIVER
    if role is Role.RECEIVER:
        ours, theirs = theirs, ours

    def keys(direction: int) -> tuple[EpochKeys, bytes]:
        return EpochKeys(secrets.chains[direction]), secrets.cumulative[direction]

    size = limits.max_plaintext
    sealer = Sealer(*keys(ours), suite=suite, direction=ours, max_plaintext=size)
    opener = Opener(*keys(theirs), suite=suite, direction=theirs, max_plaintext=size)
    return Established(role, peer, suite, limits, t3, sealer, opener, secrets.exporter)


def fin(secrets: TrafficSecrets, t3: bytes, limits: bytes) -> bytes:
    """The MAC of M4 over T3 and the packed limits (16 bytes)."""
    return hmac_sha256(secrets.fin, label("fin") + t3 + limits)
