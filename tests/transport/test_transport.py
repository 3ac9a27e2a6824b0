"""The room's front: what it offers, and what it loads for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import selo.transport


@pytest.mark.parametrize("module", ["base", "frames", "address", "memory", "pipe", "waker"])
def test_zeromq_is_loaded_only_for_sockets(module: str) -> None:
    """A fresh interpreter that imports what needs no socket has not imported zmq."""
    code = f"import selo.transport.{module}, selo.transport, sys; sys.exit('zmq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_it_offers() -> None:
    """Every promised name is there; no other."""
    for name in selo.transport.__all__:
        assert getattr(selo.transport, name).__name__ == name
    with pytest.raises(AttributeError):
        selo.transport.nothing  # noqa: B018
