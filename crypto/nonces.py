"""The initialisation vectors of records: unpredictable without their key, and never used twice.

IV = AES-256-ECB(iv key, u32 0 | u32 epoch | u64 seq). AES is a permutation, so
distinct inputs give distinct IVs under one key, and every direction, epoch and
session has an IV key of its own. The key is not the one that encrypts: CFB shows
its owner's AES on chosen blocks, which could foretell an IV made with the same key.
"""

from __future__ import annotations

import struct

from selo.crypto.limits import EPOCH_BITS
from selo.crypto.primitives import block_context
from selo.errors import MisuseError

_BLOCK = struct.Struct(">IIQ")


class NonceGenerator:
    """The IVs of one direction in one epoch, each given out at most once."""

    def __init__(self, key: bytes, epoch: int) -> None:
        self._aes = block_context(key)
        self._epoch = epoch
        self._next_free = epoch << EPOCH_BITS
        self._end = (epoch + 1) << EPOCH_BITS

    def iv(self, seq: int) -> bytes:
        """The 16-byte IV of record ``seq``.

        Raises:
            MisuseError: the number is of another epoch, or not above every number asked for before.
        """
        if not self._next_free <= seq < self._end:
            raise MisuseError(f"an IV for record {seq} of epoch {self._epoch} would be a second use")
        self._next_free = seq + 1
        return self._aes.update(_BLOCK.pack(0, self._epoch, seq))
