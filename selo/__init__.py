"""Selo: two agents, one sealed session.

    import selo

    me = selo.load_identity()
    selo.emit("report.pdf", identity=me, to=selo.load_peer("bob"), connect="tcp://bob.example:7800")

docs/api.md shows all of it. The face is lazy (PEP 562): importing ``selo`` loads none of
its rooms, so ``selo.crypto`` can be imported without the agents, and `selo --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selo.agents.api import emit, open_stream, receive, run_agents
    from selo.agents.conversation import Conversation, converse
    from selo.agents.events import Delivered
    from selo.agents.stop import Stop
    from selo.agents.stream import Stream
    from selo.config.keyring import load_identity, load_peer, load_senders
    from selo.config.settings import Settings, load_settings
    from selo.config.trust import Peer
    from selo.crypto.identity import Identity
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
    "Identity",
    "Peer",
    "load_identity",
    "load_peer",
    "load_senders",
    "emit",
    "receive",
    "open_stream",
    "Stream",
    "converse",
    "Conversation",
    "run_agents",
    "Delivered",
    "Settings",
    "load_settings",
    "SeloError",
    "MisuseError",
    "UsageError",
    "LocalFault",
    "PeerFault",
    "TrustError",
    "SessionError",
    "UnreachableError",
    "Interrupted",
    "Stop",
]

_HOME_OF = {
    "Identity": "selo.crypto.identity",
    "Peer": "selo.config.trust",
    "load_identity": "selo.config.keyring",
    "load_peer": "selo.config.keyring",
    "load_senders": "selo.config.keyring",
    "emit": "selo.agents.api",
    "receive": "selo.agents.api",
    "open_stream": "selo.agents.api",
    "Stream": "selo.agents.stream",
    "converse": "selo.agents.conversation",
    "Conversation": "selo.agents.conversation",
    "run_agents": "selo.agents.api",
    "Delivered": "selo.agents.events",
    "Settings": "selo.config.settings",
    "load_settings": "selo.config.settings",
    "Stop": "selo.agents.stop",
}
_HOME_OF |= {name: "selo.errors" for name in __all__ if name not in _HOME_OF}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
