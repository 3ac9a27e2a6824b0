"""What is remembered of deliveries from process to process, in the home.

    deliveries/<hex>.json    the Emitter's, of what is not done: {"version": 1, "delivery": "<32 hex digits>"}
                             with the name that the Receiver knows it by, and, when its receipt has
                             verified, "stored": {"to": <where it was met>, ...}, the fields of ``Stored``
    stored/<hex>.json        the Receiver's, of what it has handed on: no disk tells that it was here
                             (a state as in agents/storage/state.py)

The name of the Emitter's file is made from what is sent and to whom, so the same command finds it again after
its process died. Without the file a delivery is a new one. It goes when the command is done; who dies just
before that finds out that everything was stored, though the Receiver may have forgotten it by then.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selo.agents.bodies import Offer
from selo.agents.content import ContentHash, Summary
from selo.agents.errors import SinkFault
from selo.agents.sources import READ_AT_ONCE, Source
from selo.agents.storage.state import State
from selo.config.files import (
    list_folder,
    make_private_folder,
    modified_at,
    read_file,
    remove_file,
    write_file,
)
from selo.crypto.limits import DELIVERY_LENGTH, DIGEST_LENGTH
from selo.crypto.receipts import Statement

What = Sequence[str | Sequence[str]]
"""Texts, and lists of texts, that tell what is sent from everything else."""

_VERSION = 1
_SUFFIX = ".json"


@dataclass(frozen=True)
class Stored:
    """What a receipt that has verified says, and ``to``: the address at which its Receiver was met.

    ``length`` (bytes) and ``blake3`` (32 bytes) are the delivery's, ``items_bytes`` its items'.
    """

    to: str
    length: int
    blake3: bytes
    items: int
    items_bytes: int
    durable: bool

    @classmethod
    def of(cls, statement: Statement, to: str) -> Stored:
        """The same, from what the Receiver has signed."""
        said = statement
        return cls(to, said.length, said.blake3, said.items, said.items_bytes, said.durable)

    def is_same_as(self, source: Source, check: Callable[[], object] = lambda: None) -> bool:
        """Whether ``source`` still gives what was stored: all of it is read for that, unless it is longer.

        ``check`` is called now and then; its error ends the reading.

        Raises:
            SourceFault: it cannot be read.
        """
        content, length = ContentHash(), 0
        for block in source.blocks(READ_AT_ONCE):
            check()
            content.update(block)
            length += len(block)
            if length > self.length:
                return False
        return (length, content.blake3) == (self.length, self.blake3)


@dataclass(frozen=True)
class Remembered:
    """The name (16 bytes) of a delivery, and what is known of it once its receipt has verified."""

    delivery: bytes
    stored: Stored | None = None

    def pack(self) -> bytes:
        """The file."""
        entry: dict[str, object] = {"version": _VERSION, "delivery": self.delivery.hex()}
        if self.stored is not None:
            entry["stored"] = asdict(self.stored) | {"blake3": self.stored.blake3.hex()}
        return json.dumps(entry).encode() + b"\n"

    @classmethod
    def unpack(cls, data: bytes) -> Remembered | None:
        """Read the file; None where it is damaged, or of another version."""
        try:
            entry = json.loads(data)
            version, delivery = entry.pop("version"), bytes.fromhex(entry.pop("delivery"))
            stored = _stored(entry.pop("stored")) if "stored" in entry else None
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        legal = version == _VERSION and len(delivery) == DELIVERY_LENGTH and not entry
        return cls(delivery, stored) if legal else None


def _stored(entry: dict[str, Any]) -> Stored:
    stored = Stored(**{**entry, "blake3": bytes.fromhex(entry["blake3"])})
    numbers = (stored.length, stored.items, stored.items_bytes)
    if any(type(number) is not int for number in numbers) or len(stored.blake3) != DIGEST_LENGTH:
        raise ValueError(entry)
    return stored


class _Notes:
    """Small files in one folder of the home, each for ``keep`` seconds since it was written."""

    def __init__(self, folder: Path, keep: float) -> None:
        self._folder = folder
        self._keep = keep

    def path(self, *key: object) -> Path:
        text = json.dumps(key)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}{_SUFFIX}"

    def read(self, path: Path) -> bytes | None:
        try:
            return read_file(path)
        except FileNotFoundError:
            return None

    def write(self, path: Path, data: bytes) -> None:
        make_private_folder(self._folder)
        write_file(path, data)

    def forget(self, path: Path) -> None:
        with suppress(FileNotFoundError):  # gone already
            remove_file(path)

    def sweep(self) -> None:
        for name in list_folder(self._folder):
            path = self._folder / name
            try:
                if time.time() - modified_at(path) > self._keep:
                    remove_file(path)
            except FileNotFoundError:  # another process was faster
                continue


class DeliveryMemory:
    """The remembered deliveries of an Emitter's home. Its system errors leave as ``FileFault``.

    ``keep``: seconds after which a delivery that nobody took up again is forgotten.
    """

    def __init__(self, folder: Path, *, keep: float) -> None:
        self._notes = _Notes(folder, keep)

    def recall(self, fingerprint: bytes, what: What) -> Remembered:
        """What is remembered of the delivery of ``what`` to the peer of this fingerprint; else a new name.

        A file that is damaged costs a new name, and so a delivery from its beginning.
        """
        path = self._path(fingerprint, what)
        self._notes.sweep()
        data = self._notes.read(path)
        remembered = Remembered.unpack(data) if data is not None else None
        if remembered is None:
            remembered = Remembered(os.urandom(DELIVERY_LENGTH))
        self._notes.write(path, remembered.pack())  # also an old one: its time begins anew
        return remembered

    def note_stored(self, fingerprint: bytes, what: What, remembered: Remembered) -> None:
        """Its receipt has verified: this is on the disk before the Receiver hears of that, and may forget."""
        self._notes.write(self._path(fingerprint, what), remembered.pack())

    def forget(self, fingerprint: bytes, what: What) -> None:
        """It is delivered; or its like, should the file be gone already."""
        self._notes.forget(self._path(fingerprint, what))

    def _path(self, fingerprint: bytes, what: What) -> Path:
        return self._notes.path(fingerprint.hex(), *what)


class HandedOn:
    """What a Receiver has handed on at one ``place``, in words, and has not heard the end of.

    ``keep``: seconds after which that is forgotten. Offers are those that are bound to their peer.
    """

    def __init__(self, folder: Path, *, keep: float, place: Sequence[str]) -> None:
        self._notes = _Notes(folder, keep)
        self._place = list(place)

    def recall(self, offer: Offer) -> Summary | None:
        """What was handed on under this name, if it was.

        Raises:
            SinkFault: it was, and cannot be signed for in the way that is asked for now.
            FileFault: the system refuses to say.
        """
        data = self._notes.read(self._path(offer))
        try:
            state = State.unpack(data) if data is not None else None
        except ValueError:
            return None
        if state is None or not state.continues(offer):
            return None
        if state.offer.sha256 != offer.sha256:
            reason = "it was handed on before, with other digests (--digest) than are asked for now"
            raise SinkFault("the stream", reason)
        return state.summary

    def note(self, offer: Offer, summary: Summary) -> None:
        """It is out of our hands, all of it.

        Raises:
            FileFault: the system refused.
        """
        self._notes.write(self._path(offer), State(offer, time.time(), summary).pack())
        self._notes.sweep()

    def forget(self, offer: Offer) -> None:
        """The Emitter has its receipt; or it is taken as new.

        Raises:
            FileFault: the system refused.
        """
        self._notes.forget(self._path(offer))

    def _path(self, offer: Offer) -> Path:
        return self._notes.path(offer.delivery.hex(), self._place)
