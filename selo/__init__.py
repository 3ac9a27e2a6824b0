"""Selo: two agents, one sealed session.

The face is lazy (PEP 562): importing ``selo`` loads none of its rooms, so
``selo.crypto`` can be imported without the agents, and `selo --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selo.errors import (
        Interrupted,
        LocalFault,
        MisuseError,
        PeerFault,
        SeloError,
        SessionError,
        TrustError,
        UnreachableError,
        UsageError,
    )

__version__ = "0.1.0"

__all__ = [
    "SeloError",
    "MisuseError",
    "UsageError",
    "LocalFault",
    "PeerFault",
    "TrustError",
    "SessionError",
    "UnreachableError",
    "Interrupted",
    "__version__",
]

_HOME_OF = {name: "selo.errors" for name in __all__ if name != "__version__"}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
