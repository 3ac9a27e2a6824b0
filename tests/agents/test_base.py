"""What storage says when the system refuses."""

from __future__ import annotations

import errno
import os

import pytest

from selo.agents.errors import SinkFault
from selo.agents.storage.base import BeingReceived, StorageRules, faults
from selo.config.policy import Names, Overwrite


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.ENOENT, errno.EROFS])
def test_every_error_of_the_system_is_a_fault_that_names_the_target(code: int) -> None:
    """The target in our words, and never in those for the peer."""
    with pytest.raises(SinkFault) as caught, faults("/a/target"):
        raise OSError(code, os.strerror(code), "/a/local/path")
    assert "/a/target" in str(caught.value)
    assert "/a/" not in caught.value.for_peer


def test_what_is_received_already_is_said_to_the_peer_without_a_path() -> None:
    """It may come back later; where it lies is none of its business."""
    fault = BeingReceived("/a/target")
    assert "another process is receiving it" in str(fault)
    assert fault.for_peer == "another process is receiving it"


def test_security_the_rules_are_strict_unless_somebody_says_otherwise() -> None:
    """Nothing is overwritten, names are plain, and what is committed is on the disk."""
    rules = StorageRules()
    assert (rules.overwrite, rules.names, rules.fsync) == (Overwrite.NEVER, Names.PLAIN, True)
