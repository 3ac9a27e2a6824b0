"""Removing what is not wanted any more, and nothing beside it."""

from __future__ import annotations

import os
from collections.abc import Container

from selo.agents.storage.handles import FOLDER_FLAGS, Handles

_ENTER = 0o700


def remove(folder: int, name: str) -> None:
    """Remove what has a name in an open folder, with all that is in it; links are not followed.

    Raises:
        OSError: it could not, or not all of it; that it is gone already is no error.
    """
    handles = Handles()
    try:
        _remove(handles, folder, name)
    finally:
        handles.close_all()


def remove_all_but(folder: int, kept: Container[str]) -> None:
    """Empty an open folder, except for the names that are kept.

    Raises:
        OSError: it could not.
    """
    for name in os.listdir(folder):
        if name not in kept:
            remove(folder, name)


def _remove(handles: Handles, folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # the second is what some systems say of a folder
        pass
    number = _entered(handles, folder, name)
    if os.fstat(number).st_mode & _ENTER != _ENTER:
        os.fchmod(number, _ENTER)
    for child in os.listdir(number):
        _remove(handles, number, child)
    handles.close(number)
    os.rmdir(name, dir_fd=folder)


def _entered(handles: Handles, folder: int, name: str) -> int:
    try:
        return handles.open(name, FOLDER_FLAGS, dir_fd=folder)
    except PermissionError:
        os.chmod(name, _ENTER, dir_fd=folder)  # a folder that its owner may not look into
        return handles.open(name, FOLDER_FLAGS, dir_fd=folder)
