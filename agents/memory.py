"""What an Emitter remembers of deliveries that are not done: the name under which the Receiver knows them.

    deliveries/<hex>.json    {"version": 1, "delivery": "<32 hex digits>"}

The file's name is made from what is sent and to whom, so the same command finds it again after its process
died. Without the file a delivery is a new one. It goes when the receipt has verified.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from selo.config.files import (
    list_folder,
    make_private_folder,
    modified_at,
    read_file,
    remove_file,
    write_file,
)
from selo.crypto.limits import DELIVERY_LENGTH

_VERSION = 1
_SUFFIX = ".json"


class DeliveryMemory:
    """The remembered deliveries of one home. Its system errors leave as ``FileFault``.

    ``keep``: seconds after which a delivery that nobody took up again is forgotten.
    """

    def __init__(self, folder: Path, *, keep: float) -> None:
        self._folder = folder
        self._keep = keep

    def recall(self, fingerprint: bytes, what: Sequence[str]) -> bytes:
        """The name (16 bytes) of the delivery of ``what`` to the peer of this fingerprint.

        ``what`` are texts that tell this source from every other one. A file that is damaged costs a new
        name, and so a delivery from its beginning.
        """
        path = self._path(fingerprint, what)
        self._sweep()
        delivery = _read(path)
        if delivery is None:
            delivery = os.urandom(DELIVERY_LENGTH)
        make_private_folder(self._folder)
        entry = {"version": _VERSION, "delivery": delivery.hex()}
        write_file(path, json.dumps(entry).encode() + b"\n")  # also of an old one: its time begins anew
        return delivery

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


def _read(path: Path) -> bytes | None:
    try:
        entry = json.loads(read_file(path))
        if set(entry) != {"version", "delivery"} or entry["version"] != _VERSION:
            return None
        delivery = bytes.fromhex(entry["delivery"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError):
        return None
    return delivery if len(delivery) == DELIVERY_LENGTH else None
