"""Arguments that cannot be meant are refused before anything is begun."""

from __future__ import annotations

import threading

import pytest

import selo
from selo.agents.arguments import known_peers, require


def test_what_is_wanted_comes_back(parties) -> None:
    """Itself, one peer as a list, several in their order; nothing only where that is allowed."""
    bob = selo.Peer("bob", False, parties.receiver.public)
    alice = selo.Peer("alice", True, parties.emitter.public)
    assert require(5, int, "n", "a number") == 5
    assert require(None, int, "n", "a number", optional=True) is None
    assert known_peers(bob, "peers") == [bob]
    assert known_peers((alice, bob), "peers") == [alice, bob]
    with pytest.raises(selo.MisuseError, match="n takes a number, not NoneType"):
        require(None, int, "n", "a number")


WRONG = {
    "identity": ["me", None, 5],
    "to": ["bob", None],
    "senders": ["alice", None, 5, ["alice"]],
    "peers": ["alice", None, 5, [None]],
    "settings": [{"emit_wait": 1}, "none"],
    "stop": [threading.Event(), 15],
    "into": [None, 5, b"path"],
}
CALLS = {
    "emit": ("identity", "to", "settings", "stop"),
    "receive": ("identity", "senders", "settings", "stop", "into"),
    "open_stream": ("identity", "senders", "settings", "stop"),
    "converse": ("identity", "peers", "settings", "stop"),
}


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [(call, name, value) for call, names in CALLS.items() for name in names for value in WRONG[name]],
)
def test_every_argument_of_every_call_is_looked_at_first(call, name, value, parties, tmp_path) -> None:
    """A MisuseError that names the argument, at once, before a socket is opened: the address has none."""
    bob = selo.Peer("bob", False, parties.receiver.public)
    good = {
        "emit": {"data": b"x", "to": bob},
        "receive": {"into": str(tmp_path), "senders": bob},
        "open_stream": {"senders": bob},
        "converse": {"peers": bob},
    }[call]
    given = {"identity": parties.emitter, "bind": "tcp://192.0.2.1:1", **good, name: value}
    with pytest.raises(selo.MisuseError, match=f"^{name} takes "):
        getattr(selo, call)(**given)
