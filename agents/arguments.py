"""Arguments of the calls for programs, looked at before anything is begun."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from selo.config.trust import Peer
from selo.errors import MisuseError

T = TypeVar("T")


def require(value: T, wanted: type | tuple[type, ...], name: str, words: str, *, optional: bool = False) -> T:
    """``value``, if it is of a wanted type, or None where that is ``optional``.

    Raises:
        MisuseError: it is not. Programs without a type checker hear of it before a peer comes.
    """
    if (value is None and optional) or isinstance(value, wanted):
        return value
    raise MisuseError(f"{name} takes {words}, not {type(value).__name__}")


def known_peers(peers: Peer | Collection[Peer], name: str) -> list[Peer]:
    """The peers of an argument that takes one or several.

    Raises:
        MisuseError: it is neither.
    """
    if isinstance(peers, Peer):
        return [peers]
    words = "what load_peer or load_senders gives"
    require(peers, Collection, name, words)
    return [require(peer, Peer, name, words) for peer in peers]
