"""A sink that holds a stream back until its end is known to be good.

For readers who act on what they read, as `psql` does: they get all of it or nothing. What is
held lies in a file without a name, so nothing is left of it whatever ends this process.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from blake3 import blake3

from selo.agents.bodies import Offer
from selo.agents.errors import HoldLimitExceeded, SinkFault
from selo.agents.sinks import Sink, refuse_tree

IN_MEMORY = 1 << 20
"""Bytes that are held without touching a disk."""

RELEASED_AT_ONCE = 1 << 20
"""Bytes handed on in one write."""


class HoldSink:
    """Hands everything on to ``inner`` at the commit, and nothing before. Holds ``limit`` bytes at most.

    The folder is that of ``tempfile``: TMPDIR, else /tmp.
    """

    def __init__(self, inner: Sink, *, limit: int) -> None:
        self._inner = inner
        self._limit = limit
        # On a disk it has mode 0600 and no name.
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self._held = 0
        self._hash = blake3()
        self._releasing = False
        self._thread: int | None = None

    @property
    def hands_on(self) -> bool:
        """See ``Sink.hands_on``: only what is released is out of our hands."""
        return self._releasing and self._inner.hands_on

    def open(self, offer: Offer) -> None:
        """See ``Sink.open``.

        Raises:
            HoldLimitExceeded: the Emitter says that it is longer than may be held.
            SinkFault: there is not enough room to hold it.
        """
        self._thread = threading.get_ident()
        refuse_tree(offer, "the stream")
        if offer.size is not None:
            self._check_room(offer.size)
        self._inner.open(offer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``Sink.write``.

        Raises:
            HoldLimitExceeded: it is longer than may be held; nothing was handed on.
        """
        self._held += len(data)
        if self._held > self._limit:
            raise HoldLimitExceeded(self._limit)
        with _faults():
            self._spool.write(data)
        self._hash.update(data)

    def begin_anew(self) -> None:
        """Drop what is held; nothing of it was handed on.

        Raises:
            SinkFault: the system refused.
        """
        with _faults():
            self._spool.seek(0)
            self._spool.truncate()
        self._held, self._hash = 0, blake3()

    def commit(self) -> str | None:
        """See ``Sink.commit``: hand everything on.

        Raises:
            SinkFault: the reader is gone, or what was held is not what was put there.
        """
        again = blake3()
        with _faults():
            self._spool.seek(0)
        self._releasing = True
        for block in self._blocks():
            again.update(block)
            self._inner.write(block)
        if again.digest() != self._hash.digest():
            raise SinkFault("what was held", "it is not what was put there: memory or disk fault")
        place = self._inner.commit()
        self._spool.close()
        return place

    def _blocks(self) -> Iterator[bytes]:
        while True:
            with _faults():
                block = self._spool.read(RELEASED_AT_ONCE)
            if not block:
                return
            yield block

    def discard(self) -> None:
        """See ``Sink.discard``. What is held has no name; it goes with this object."""
        self._inner.discard()
        if self._thread in (None, threading.get_ident()):  # another may hang in a write to it
            self._spool.close()

    def _check_room(self, size: int) -> None:
        if size > self._limit:
            raise HoldLimitExceeded(self._limit)
        if size <= IN_MEMORY:
            return
        with _faults():
            folder = tempfile.gettempdir()
            volume = os.statvfs(folder)
        free = volume.f_bavail * volume.f_frsize
        if volume.f_blocks and size > free:
            reason = f"it takes {size:,} bytes and {free:,} are free"
            raise SinkFault(f"to {folder} (TMPDIR)", reason, for_peer="there is not enough room to hold it")


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or "the temporary folder"
        raise SinkFault.from_os(f"to {folder} (TMPDIR), where the stream is held", error) from error
