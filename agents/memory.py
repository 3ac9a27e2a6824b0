"""What an Emitter remembers of deliveries that are not done: the name under which the Receiver knows them.

    deliveries/<hex>.json    {"version": 1, "delivery": "<32 hex digits>"} and, when its receipt has verified,
                             "length": <bytes> and "blake3": "<64 hex digits>"

The file's name is made from what is sent and to whom, so the same command finds it again after its process
died. Without the file a delivery is a new one. It goes when the command is done; who dies just before that
finds out that everything was stored, though the Receiver may have forgotten it by then.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selo.agents.content import ContentHash
from selo.agents.sources import Source
from selo.config.files import (
    list_folder,
    make_private_folder,
    modified_at,
    read_file,
    remove_file,
    write_file,
)
from selo.crypto.limits import DELIVERY_LENGTH, DIGEST_LENGTH

READ_AT_ONCE = 1 << 20
"""Bytes."""

_VERSION = 1
_SUFFIX = ".json"


@dataclass(frozen=True)
class Remembered:
    """The name (16 bytes) of a delivery, and, when its receipt has verified, length and BLAKE3 (32 bytes)."""

    delivery: bytes
    length: int = 0
    blake3: bytes | None = None

    def is_stored(self, source: Source) -> bool:
        """Whether the Receiver has said that it stored what ``source`` gives: all of that is read for it.

        Raises:
            SourceFault: it cannot be read.
        """
        if self.blake3 is None or not source.restartable:
            return False
        content, length = ContentHash(), 0
        for block in source.blocks(READ_AT_ONCE):
            content.update(block)
            length += len(block)
        return (length, content.blake3) == (self.length, self.blake3)


class DeliveryMemory:
    """The remembered deliveries of one home. Its system errors leave as ``FileFault``.

    ``keep``: seconds after which a delivery that nobody took up again is forgotten.
    """

    def __init__(self, folder: Path, *, keep: float) -> None:
        self._folder = folder
        self._keep = keep

    def recall(self, fingerprint: bytes, what: Sequence[str]) -> Remembered:
        """What is remembered of the delivery of ``what`` to the peer of this fingerprint; else a new name.

        ``what`` are texts that tell this source from every other one. A file that is damaged costs a new
        name, and so a delivery from its beginning.
        """
        path = self._path(fingerprint, what)
        self._sweep()
        remembered = _read(path) or Remembered(os.urandom(DELIVERY_LENGTH))
        make_private_folder(self._folder)
        self._write(path, remembered)  # also an old one: its time begins anew
        return remembered

    def note_stored(self, fingerprint: bytes, what: Sequence[str], remembered: Remembered) -> None:
        """Its receipt has verified: this is on the disk before the Receiver hears of that, and may forget."""
        self._write(self._path(fingerprint, what), remembered)

    def _write(self, path: Path, remembered: Remembered) -> None:
        entry: dict[str, object] = {"version": _VERSION, "delivery": remembered.delivery.hex()}
        if remembered.blake3 is not None:
            entry |= {"length": remembered.length, "blake3": remembered.blake3.hex()}
        write_file(path, json.dumps(entry).encode() + b"\n")

    def forget(self, fingerprint: bytes, what: Sequence[str]) -> None:
        """It is delivered; or its like, should the file be gone already."""
        with suppress(FileNotFoundError):
            remove_file(self._path(fingerprint, what))

    def _path(self, fingerprint: bytes, what: Sequence[str]) -> Path:
        text = json.dumps([fingerprint.hex(), *what])
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}{_SUFFIX}"

    def _sweep(self) -> None:
        for name in list_folder(self._folder):
            path = self._folder / name
            try:
                if time.time() - modified_at(path) > self._keep:
                    remove_file(path)
            except FileNotFoundError:  # another process was faster
                continue


def _read(path: Path) -> Remembered | None:
    try:
        entry = json.loads(read_file(path))
        if entry.pop("version") != _VERSION:
            return None
        stored = (
            {"length": entry.pop("length"), "blake3": bytes.fromhex(entry.pop("blake3"))}
            if ("blake3" in entry)
            else {}
        )
        remembered = Remembered(bytes.fromhex(entry.pop("delivery")), **stored)
    except (FileNotFoundError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    legal = (
        len(remembered.delivery) == DELIVERY_LENGTH and len(remembered.blake3 or bytes(32)) == DIGEST_LENGTH
    )
    return remembered if legal and not entry and type(remembered.length) is int else None
