"""Moves frames between two ends; knows no keys and no files.

``selo.transport.base`` says what a leg and a listener are. ZeroMQ is loaded when
``connect`` or ``listen`` is first used: the frame codec, addresses, pipes and memory do
without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selo.transport.memory import memory_pair as memory_pair
    from selo.transport.pair import connect as connect
    from selo.transport.pair import listen as listen
    from selo.transport.pipe import PipeLeg as PipeLeg
    from selo.transport.pipe import pipe_pair as pipe_pair

_HOMES = {
    "connect": "selo.transport.pair",
    "listen": "selo.transport.pair",
    "PipeLeg": "selo.transport.pipe",
    "pipe_pair": "selo.transport.pipe",
    "memory_pair": "selo.transport.memory",
}

__all__ = ["connect", "listen", "PipeLeg", "pipe_pair", "memory_pair"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
