"""What both sides' phases of the handshake share."""

from __future__ import annotations

from typing import Generic, TypeVar

from selo.crypto.errors import AuthenticationFailed, HandshakeCheck, IncompatiblePeer, MalformedMessage
from selo.crypto.limits import NONCE_LENGTH, SECRET_LENGTH, VERSION
from selo.crypto.messages import HandshakeSeal
from selo.crypto.primitives import is_exponent
from selo.crypto.suites import Suite
from selo.errors import MisuseError

_State = TypeVar("_State")


class Phase(Generic[_State]):
    """Holds what the next message needs, and gives it away once."""

    def __init__(self, state: _State) -> None:
        self._state: _State | None = state

    def _take(self) -> _State:
        state, self._state = self._state, None
        if state is None:
            raise MisuseError("a phase of the handshake takes one message")
        return state


def check_entropy(nonce: bytes, exponent: bytes, secret: bytes) -> None:
    """Refuse what cannot be a nonce, an exponent or a Receiver secret.

    Raises:
        MisuseError: a length is wrong, or the exponent is not random.
    """
    if len(nonce) != NONCE_LENGTH or len(secret) != SECRET_LENGTH:
        raise MisuseError(f"a nonce has {NONCE_LENGTH} bytes and a Receiver secret {SECRET_LENGTH}")
    if not is_exponent(exponent):
        raise MisuseError("a Diffie-Hellman exponent must be 40 random bytes")


def check_version(stage: str, version: int, suite: int, ours: Suite) -> None:
    """Refuse, by name, another version or suite.

    Raises:
        IncompatiblePeer: one of them differs.
    """
    if (version, suite) != (VERSION, ours.number):
        raise IncompatiblePeer(
            stage, ours_version=VERSION, theirs_version=version, ours_suite=ours.number, theirs_suite=suite
        )


def check_shape(stage: str, message: bytes, message_type: int, length: int) -> None:
    """Step 1 of M3 and M4.

    Raises:
        MalformedMessage: another type, another length.
    """
    if not message or message[0] != message_type:
        raise MalformedMessage(stage, HandshakeCheck.TYPE)
    if len(message) != length:
        raise MalformedMessage(stage, HandshakeCheck.LENGTH)


def opened(stage: str, seal: HandshakeSeal, sealed: bytes) -> bytes:
    """The plaintext of a seal.

    Raises:
        AuthenticationFailed: its tag is wrong.
    """
    plaintext = seal.open(sealed)
    if plaintext is None:
        raise AuthenticationFailed(stage, HandshakeCheck.SEAL)
    return plaintext
