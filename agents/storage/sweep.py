"""Removes what cut deliveries have left and nobody came back for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from selo.agents.errors import SinkFault
from selo.agents.storage.handles import Handles
from selo.agents.storage.naming import is_half, is_settled
from selo.agents.storage.placing import Place
from selo.agents.storage.staging import STAGING_NAME, Staging


def sweep(folder: str | os.PathLike[str], older_than: float, now: float) -> int:
    """Remove the staging folders in ``folder`` that nobody holds and to which nothing was written since.

    ``older_than`` in seconds before ``now`` (seconds since 1970). Returns how many went. What cannot be
    removed, or is another user's, stays: no delivery waits for that. What may be the only copy of something
    stays too, and so does a folder of such a name that holds anything but what a delivery leaves.
    """
    removed = 0
    handles = Handles()
    with suppress(OSError):
        number = handles.open(Path(folder), os.O_RDONLY | os.O_DIRECTORY)
        for name in filter(STAGING_NAME.fullmatch, os.listdir(number)):
            with suppress(OSError, SinkFault):
                removed += _swept(handles, Place(number, name), now - older_than)
    handles.close_all()
    return removed


def _swept(handles: Handles, place: Place, before: float) -> bool:
    staging = Staging.enter(handles, place, make=False)
    try:
        old = staging.locked and _last_change(staging.number) < before
        over = old and staging.is_left_of_ours and _is_over(handles, staging, place.folder)
    except BaseException:
        handles.close(staging.number)
        raise
    if over:
        staging.remove()
    else:
        handles.close(staging.number)
    return over


def _is_over(handles: Handles, staging: Staging, folder: int) -> bool:
    """Whether nothing is lost with it but a part of a delivery.

    Where one half of a delivery has its names, the other half stays, and so does what it has replaced.
    """
    state = staging.load()
    if state is None:
        return True
    return is_settled(handles, staging, folder, state) and not is_half(staging, folder, state)


def _last_change(folder: int) -> float:
    """Seconds since 1970 of the youngest of a folder and what lies in it directly."""
    times = [os.fstat(folder).st_mtime]
    with os.scandir(folder) as children:
        times += [child.stat(follow_symlinks=False).st_mtime for child in children]
    return max(times)
