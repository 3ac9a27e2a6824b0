"""The file of a private identity: text around a header and a payload, encrypted or not.

    plain       u8 1 | u8 0 | payload
    encrypted   u8 1 | u8 1 | u8 log_n | u8 r | u8 p | salt[16] | nonce[12] | AES-256-GCM(payload)

The key is scrypt (RFC 7914) of the passphrase; the associated data is
L("private identity") and everything before the ciphertext. This format never
meets a peer, so it is no part of docs/PROTOCOL.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from selo.crypto import armor
from selo.crypto.errors import MalformedIdentity, PassphraseNeeded, WrongPassphrase
from selo.crypto.primitives import gcm_open, gcm_seal, scrypt_key
from selo.crypto.schedule import label

_PRIVATE: Final = "PRIVATE"
_HEAD: Final = struct.Struct(">BB")
_SCRYPT: Final = struct.Struct(">BBB16s12s")
_PLAIN: Final = _HEAD.pack(1, 0)
_ENCRYPTED: Final = _HEAD.pack(1, 1)

_LOG_N: Final = 17
_R: Final = 8
_P: Final = 1
"""128 MiB and about half a second: every guess at the passphrase costs the same."""

_LOG_N_BOUNDS: Final = (14, 20)
_P_MAX: Final = 16
"""A file may ask for other costs, up to 1 GiB: a bound, because a damaged header must not eat all memory."""


def seal_private(payload: bytes, passphrase: bytes | None, entropy: Callable[[int], bytes]) -> bytes:
    """The file of ``payload``, encrypted when there is a passphrase.

    Raises:
        MalformedIdentity: the passphrase is empty: it would look like protection.
    """
    if passphrase is None:
        body = _PLAIN + payload
    elif not passphrase:
        raise MalformedIdentity("an empty passphrase protects nothing")
    else:
        salt, nonce = entropy(16), entropy(12)
        header = _ENCRYPTED + _SCRYPT.pack(_LOG_N, _R, _P, salt, nonce)
        key = scrypt_key(passphrase, salt, log_n=_LOG_N, r=_R, p=_P)
        body = header + gcm_seal(key, nonce, payload, _associated(header))
    return armor.wrap(_PRIVATE, body).encode("ascii")


def open_private(data: bytes, passphrase: bytes | None) -> bytes:
    """The payload of a file that ``seal_private`` made.

    Raises:
        MalformedIdentity, PassphraseNeeded, WrongPassphrase: see ``Identity.from_bytes``.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedIdentity("it is not ASCII text") from None
    body, name = armor.unwrap(_PRIVATE, text)
    if name is not None:
        raise MalformedIdentity("a private identity has no name")
    if body.startswith(_PLAIN):
        return body[_HEAD.size :]
    if not body.startswith(_ENCRYPTED):
        raise MalformedIdentity("its format is not known to this version")
    return _decrypted(body, passphrase)


def _decrypted(body: bytes, passphrase: bytes | None) -> bytes:
    end = _HEAD.size + _SCRYPT.size
    header, sealed = body[:end], body[end:]
    if len(header) < end or len(sealed) < 16:
        raise MalformedIdentity("it is cut short")
    log_n, r, p, salt, nonce = _SCRYPT.unpack(header[_HEAD.size :])
    if not _LOG_N_BOUNDS[0] <= log_n <= _LOG_N_BOUNDS[1] or r != _R or not 1 <= p <= _P_MAX:
        raise MalformedIdentity("its scrypt costs are out of bounds")
    if passphrase is None:
        raise PassphraseNeeded()
    payload = gcm_open(
        scrypt_key(passphrase, salt, log_n=log_n, r=r, p=p), nonce, sealed, _associated(header)
    )
    if payload is None:
        raise WrongPassphrase()
    return payload


def _associated(header: bytes) -> bytes:
    return label("private identity") + header
