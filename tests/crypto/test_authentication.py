"""The proof value. What the verifying functions refuse stands in test_handshake_emitter and _receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selo.crypto.authentication import VerifiedPeer, _look_up
from selo.crypto.identity import Identity
from selo.errors import MisuseError


def test_security_a_verified_peer_cannot_be_made_by_hand(emitter: Identity) -> None:
    """Only the verifying functions have the proof, and a session needs a VerifiedPeer."""
    for proof in (None, object(), True, emitter):
        with pytest.raises(MisuseError):
            VerifiedPeer(emitter.public, proof=proof)


def test_security_a_verified_peer_does_not_change(pair: Callable[..., Any], stranger: Identity) -> None:
    """It has no attribute to set."""
    session, _ = pair().run()
    for name in ("public", "fingerprint", "another"):
        with pytest.raises(AttributeError):
            setattr(session.peer, name, stranger.public)


def test_security_a_fingerprint_is_looked_up_at_every_entry(
    emitter: Identity, receiver: Identity, stranger: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First, last, absent: always as many comparisons as there are entries."""
    from selo.crypto import authentication

    compared: list[int] = []
    real = authentication.equal
    monkeypatch.setattr(authentication, "equal", lambda a, b: bool(compared.append(1)) or real(a, b))
    table = {identity.fingerprint: identity.public for identity in (emitter, receiver)}
    assert _look_up(emitter.fingerprint, table) is emitter.public
    assert _look_up(receiver.fingerprint, table) is receiver.public
    assert _look_up(stranger.fingerprint, table) is None
    assert len(compared) == 6
