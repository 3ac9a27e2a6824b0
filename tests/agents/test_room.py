"""How much room there must be, on a real file system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from selo.agents.errors import SinkFault
from selo.agents.storage.room import check_room

HUGE = 1 << 62


def test_what_is_needed_and_what_stays_free_is_there_or_it_is_said(tmp_path: Path) -> None:
    """Each alone and both together; who sends learns neither number."""
    folder = os.open(tmp_path, os.O_RDONLY)
    check_room(folder, "it", 0, 0)
    check_room(folder, "it", -1, 0)
    check_room(folder, "it", 1, 1)
    for needed, kept, words in ((HUGE, 0, "are free"), (0, HUGE, "left free"), (1, HUGE, "to be kept free")):
        with pytest.raises(SinkFault, match=words) as caught:
            check_room(folder, "it", needed, kept)
        assert caught.value.for_peer == "there is not enough room for it"
        # So it is dealt with as a full disk is: what came is kept.
        assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.ENOSPC
    os.close(folder)
