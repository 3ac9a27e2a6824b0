"""How much room there must be."""

from __future__ import annotations

import errno
import os

from selo.agents.errors import SinkFault


def check_room(folder: int, target: str, needed: int, keep_free: int) -> None:
    """Refuse what takes ``needed`` bytes more than are there besides ``keep_free``, in an open folder.

    Raises:
        SinkFault: there is too little, or less than ``keep_free`` is left.
        OSError: the system does not say.
    """
    volume = os.fstatvfs(folder)
    free = volume.f_bavail * volume.f_frsize - keep_free
    if volume.f_blocks and max(needed, 0) > free:
        kept = f", besides {keep_free:,} to be kept free" if keep_free else ""
        reason = f"it takes {needed:,} bytes and {max(free, 0):,} are free{kept}"
        if needed <= 0:
            reason = f"less than {keep_free:,} bytes are left free"
        # As a full disk would say it: what came is good, and room can be made.
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise SinkFault(target, reason, for_peer="there is not enough room for it") from full
