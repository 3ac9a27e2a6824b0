"""A fingerprint as people compare it (docs/PROTOCOL.md, section 3)."""

from __future__ import annotations

_WORD_BYTES = 16


def fingerprint_words(fingerprint: bytes) -> str:
    """Twelve words of the BIP-39 English list for the first 16 of a fingerprint's 32 bytes."""
    from mnemonic import Mnemonic  # reads its list of words from disk

    return Mnemonic("english").to_mnemonic(fingerprint[:_WORD_BYTES])


def fingerprint_digits(fingerprint: bytes) -> str:
    """All 64 hexadecimal digits in groups of eight."""
    return fingerprint.hex(" ", 4)
