"""The handshake (docs/PROTOCOL.md, section 6): one type for each thing that a side can wait for.

    emitter_hello   ->  M1, ExpectM2    ExpectM2.receive(M2)  ->  M3, ExpectM4
                                        ExpectM4.receive(M4)  ->  Established
    receiver_start  ->  ExpectM1        ExpectM1.receive(M1)  ->  M2, ExpectM3
                                        ExpectM3.receive(M3)  ->  M4, Established

A phase takes one message in its life. Whatever comes of it, the phase and its
secrets are gone afterwards; the only answer to a peer whose message failed is to
close the leg.
"""

from __future__ import annotations

from selo.crypto.authentication import VerifiedPeer
from selo.crypto.established import Established, Role
from selo.crypto.handshake_emitter import ExpectM2, ExpectM4, emitter_hello
from selo.crypto.handshake_receiver import ExpectM1, ExpectM3, receiver_start
from selo.crypto.session_limits import SessionLimits

__all__ = [
    "Established",
    "ExpectM1",
    "ExpectM2",
    "ExpectM3",
    "ExpectM4",
    "Role",
    "SessionLimits",
    "VerifiedPeer",
    "emitter_hello",
    "receiver_start",
]
