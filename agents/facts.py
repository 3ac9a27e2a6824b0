"""What a program may know about the session that it is in."""

from __future__ import annotations

from dataclasses import dataclass, field

from selo.crypto.handshake import Established


@dataclass(frozen=True, eq=False)
class SessionFacts:
    """A session whose handshake is over.

    ``role`` is our own, "Emitter" or "Receiver". ``peer`` is our name for the other side, ``fingerprint``
    the one that its signature verified under (32 bytes). ``transcript`` (32 bytes) is the same on both
    sides of this session and in no other one.
    """

    role: str
    peer: str
    fingerprint: bytes
    suite: str
    transcript: bytes
    _established: Established = field(repr=False)

    @classmethod
    def of(cls, established: Established, peer: str) -> SessionFacts:
        """The facts of a session with the peer that we call so."""
        return cls(
            role=established.role.value,
            peer=peer,
            fingerprint=established.peer.fingerprint,
            suite=established.suite.name,
            transcript=established.transcript,
            _established=established,
        )

    def export(self, label: str, context: bytes, length: int) -> bytes:
        """``length`` bytes of key material for another use, bound to this session.

        Both sides get the same bytes for the same label and context, and nobody else does: this is the
        exporter of docs/PROTOCOL.md, section 7.

        Raises:
            MisuseError: a label that is not ASCII or over 247 bytes, or a length outside 1 .. 8160.
        """
        return self._established.export(label, context, length)
