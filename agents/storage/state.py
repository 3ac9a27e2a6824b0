"""What a staging folder says of its delivery: a small file with its own digest. Pure.

    {"blake3":"<64 hex digits>","state":{...}}

The digest is that of the bytes after ``"state":`` and before the last brace. A file that is not exactly
that says nothing, and the delivery begins anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import Summary
from selo.errors import SeloError

VERSION = 1

_OPENING = b'{"blake3":"'
_BETWEEN = b'","state":'
_CLOSING = b"}\n"
_DIGITS = 64


@dataclass(frozen=True)
class Final:
    """One thing of a delivery that gets a name in the target folder.

    ``source`` is its name in the staging folder, ``target`` the final one. ``inode`` is its number: a folder
    that changed places with an old one is known by it. ``mode``, where it is not None, is set after that.
    """

    source: str
    target: str
    inode: int
    mode: int | None = None


@dataclass(frozen=True)
class State:
    """The ``offer``, when it was first opened (``created``, seconds since 1970), and what became of it.

    ``summary`` is None while it is being received. From then on it is being committed: each of ``finals`` has
    its name, or gets it. ``placed``: each has got it, for good if it is durable. ``boot`` is the start of the
    machine in which that was said, where the system names it.
    """

    offer: Offer
    created: float
    summary: Summary | None = None
    finals: tuple[Final, ...] = ()
    placed: bool = False
    boot: str | None = None

    @property
    def status(self) -> str:
        """In a word."""
        return "receiving" if self.summary is None else "placed" if self.placed else "committing"

    def counts(self, boot: str | None) -> bool:
        """Whether what it says of a committed delivery holds in this ``boot``, if it was not made durable."""
        return self.summary is not None and (self.summary.durable or self.boot == boot)

    def continues(self, offer: Offer) -> bool:
        """Whether what is here may be a part of what ``offer`` brings; the marks tell whether it is.

        A tree's size and number of items are those of a first look at it, which may differ the next time.
        """
        mine, its = ([o.kind, o.name, *self._fixed(o)] for o in (self.offer, offer))
        return mine == its

    @staticmethod
    def _fixed(offer: Offer) -> tuple[int | None, ...]:
        return (offer.size, offer.mtime) if offer.kind is Kind.FILE else ()

    def pack(self) -> bytes:
        """The file."""
        summary = None
        if self.summary is not None:
            summary = {
                name: value.hex() if isinstance(value, bytes) else value
                for name, value in asdict(self.summary).items()
            }
        state = {
            "version": VERSION,
            "status": self.status,
            "created": self.created,
            "offer": self.offer.pack().hex(),
            "summary": summary,
            "finals": [asdict(final) for final in self.finals],
            "placed": self.placed,
            "boot": self.boot,
        }
        text = json.dumps(state, separators=(",", ":")).encode()
        return b"".join((_OPENING, blake3(text).hexdigest().encode(), _BETWEEN, text, _CLOSING))

    @classmethod
    def unpack(cls, data: bytes) -> State:
        """Read the file.

        Raises:
            ValueError: it is damaged, or of another version.
        """
        start = len(_OPENING) + _DIGITS + len(_BETWEEN)
        text = data[start : -len(_CLOSING)]
        whole = b"".join((_OPENING, blake3(text).hexdigest().encode(), _BETWEEN, text, _CLOSING))
        if data != whole:
            raise ValueError("a damaged state")
        try:
            return cls._of(json.loads(text))
        except (KeyError, TypeError, SeloError) as error:
            raise ValueError("a state of another kind") from error

    @classmethod
    def _of(cls, state: dict[str, Any]) -> State:
        if state["version"] != VERSION:
            raise ValueError("a state of another version")
        summary = state["summary"]
        if summary is not None:
            digests = {name: bytes.fromhex(summary[name]) for name in ("blake3", "items_hash")}
            summary = Summary(**{**summary, **digests})
        finals = tuple(Final(**final) for final in state["finals"])
        offer = Offer.unpack(bytes.fromhex(state["offer"]))
        return cls(offer, state["created"], summary, finals, state["placed"], state["boot"])
