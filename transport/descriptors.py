"""Whether the process can still open files.

libzmq aborts the process when it cannot get a descriptor while it makes a context.
"""

from __future__ import annotations

import errno
import os

from selo.errors import LocalFault

_NEEDED = 16
"""More than a context with a PAIR socket, its monitor and a gate opens."""


class DescriptorsExhausted(LocalFault):
    """The process has as many files open as it may."""

    def __str__(self) -> str:
        return "too many files are open in this process"


def require_descriptors() -> None:
    """Make sure that a context can be made.

    Raises:
        DescriptorsExhausted: it might not.
    """
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_NEEDED))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        raise DescriptorsExhausted from None
    finally:
        for descriptor in opened:
            os.close(descriptor)
