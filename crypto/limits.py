"""Every constant of the wire (docs/PROTOCOL.md, sections 5 to 8 and 13), with its reason.

Lengths are bytes. Operators' limits (deadlines, windows) are settings and live elsewhere.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_LABEL: Final = b"selo/1"
"""Opens every label, so no key, hash or signature of ours means anything in another protocol."""

MAGIC: Final = b"SELO\r\n\x1a\n"
"""Opens M1. The line ends and the DOS end-of-file show a channel that translates text (as PNG's does)."""

VERSION: Final = 1

DIRECTION_EMITTER: Final = 0x45
"""``E``: what the Emitter seals and the Receiver opens."""

DIRECTION_RECEIVER: Final = 0x52
"""``R``: what the Receiver seals and the Emitter opens."""

# Sizes that every suite shares.

HASH_LENGTH: Final = 32
EXPORT_MAX: Final = 255 * HASH_LENGTH
"""Bytes: what one HKDF-Expand gives (RFC 5869, section 2.3)."""
FINGERPRINT_LENGTH: Final = 32
KEY_LENGTH: Final = 32
TAG_LENGTH: Final = 32
"""HMAC-SHA-256, not truncated: nothing is gained by saving 16 bytes of a 1 MiB record."""

HEADER_LENGTH: Final = 16

# The handshake.

NONCE_LENGTH: Final = 32
COOKIE_LENGTH: Final = 32

EXPONENT_LENGTH: Final = 40
"""320 bits. RFC 7919 (appendix A.2) asks for at least 275 with ffdhe3072."""

EXPONENT_MIN_BITS: Final = 256
"""A shorter exponent means that the source of entropy is broken: by chance, once in 2^64."""

SECRET_LENGTH: Final = 32
ZERO_SECRET: Final = bytes(SECRET_LENGTH)
"""Stands for "no Receiver secret"."""

HANDSHAKE_FRAME_MAX: Final = 4096
"""The frame of any handshake message of any suite planned fits; nothing larger is parsed before M4."""

M1_PREFIX_LENGTH: Final = 13
"""type, magic, version and suite: what M1 must hold before its suite says how long it is."""

M1_LENGTH: Final = 493
M2_LENGTH: Final = 581
M2_CLEAR_LENGTH: Final = 421
M3_LENGTH: Final = 161
M4_LENGTH: Final = 81

# Admission tickets.

TICKET_NONCE_LENGTH: Final = 16
TICKET_LENGTH: Final = TICKET_NONCE_LENGTH + TAG_LENGTH

SPENT_TICKETS: Final = 1 << 16
"""1 MiB of nonces. A forgotten ticket wins a place that its bearer could have had with a fresh one."""

# Records.

MAX_PLAINTEXT: Final = 1 << 20
"""Bounds what a peer can make us hold at once, before its tag has verified."""

MIN_MAX_PLAINTEXT: Final = 4096
"""The smallest limit that a Receiver may state: it holds any structured body."""

STRUCTURED_BODY_MAX: Final = 4096
"""OPEN and ABORT. Parsers never see more, even of an authenticated peer."""

MAX_WINDOW_RECORDS: Final = 1 << 20
MAX_WINDOW_BYTES: Final = 1 << 32

EPOCH_BITS: Final = 16
"""2^16 records of 2^20 bytes are 2^32 blocks: CFB's distinguishing bound stays at 2^-64 for an epoch."""

SEQUENCE_END: Final = 1 << 40
"""No record has this number or a higher one; it keeps the epoch within 24 bits."""

ACK_LENGTH: Final = 16
TOTALS_LENGTH: Final = 80
DIGEST_LENGTH: Final = 32

# Deliveries.

DELIVERY_LENGTH: Final = 16
"""Bytes that name a delivery: random, so no two are named alike."""

COUNT_MAX: Final = 2**63 - 1
"""The largest number of bytes or items that is said: what file systems and signed integers hold."""

LINK_TARGET_MAX: Final = 4096
"""Bytes of where a symbolic link leads: no system that we know takes more."""

# Identities.

DSA_PRIVATE_LENGTH: Final = 32
DSA_PUBLIC_LENGTH: Final = 384
DSA_SIGNATURE_LENGTH: Final = 64
ED25519_LENGTH: Final = 32
MLDSA65_PUBLIC_LENGTH: Final = 1952
SEED_LENGTH: Final = 32

NAME_MAX: Final = 64
"""Characters of the name that a public identity suggests."""
