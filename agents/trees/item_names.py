"""Which names a Receiver takes for what lies in a tree. Pure.

    any       whatever the format can say
    plain     also text that a person can see, and nothing that is a place elsewhere
    portable  also what Windows can store and show

A top-level item is put into a folder of the user's, among other things: its name passes the door of names.py
as well, and under ``any`` it still neither hides nor looks like an option.
"""

from __future__ import annotations

import re

from selo.agents.errors import SinkFault
from selo.agents.names import checked_file_name, holds_unseen
from selo.agents.trees.entries import is_legal_name
from selo.config.policy import Names

_HINT = "the Emitter can rename it, or leave it out; --names says which ones are taken"

_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_ON_WINDOWS = frozenset('<>:"|?*\\')
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {port + number for port in ("COM", "LPT") for number in "123456789\u00b9\u00b2\u00b3"}
)


def check_item_name(name: bytes, depth: int, rule: Names) -> None:
    """Let a name pass under ``rule``; one at depth 0 goes into the target folder itself.

    Raises:
        SinkFault: it is refused, and why. The name itself is shown escaped.
    """
    reason = why_not(name, rule)
    if reason is None and depth == 0:
        if rule != Names.ANY:
            checked_file_name(name.decode())
        elif name[:1] in (b".", b"-"):
            reason = "it begins with a dot or a hyphen"
    if reason is not None:
        shown = ascii(name.decode(errors="surrogateescape"))
        words = f"the name was refused: {reason}"
        raise SinkFault(shown, words, _HINT, for_peer=f"{words}: {shown}")


def why_not_target(target: bytes, rule: Names) -> str | None:
    """Why a link that leads to ``target`` is refused under ``rule``; None if it is fine.

    It is shown wherever links are listed, and each step that is no ``.`` or ``..`` is an item's name.
    """
    if rule == Names.ANY:
        return None
    try:
        text = target.decode()
    except UnicodeDecodeError:
        return "where it leads is not UTF-8"
    if holds_unseen(text):
        return "where it leads holds a control character or one that cannot be seen"
    if rule == Names.PORTABLE:
        reasons = [_why_not_portable(step) for step in text.split("/") if step not in ("", ".", "..")]
        return next((f"of where it leads, {reason}" for reason in reasons if reason), None)
    return None


def why_not(name: bytes, rule: Names) -> str | None:
    """Why a name inside a tree is refused under ``rule``; None if it is fine."""
    if not is_legal_name(name):
        return "it is no component of a path"
    if rule == Names.ANY:
        return None
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    reason = _why_not_plain(text)
    if reason is None and rule == Names.PORTABLE:
        # No length: the format's 255 bytes of UTF-8 are never more than Windows' 255 units of UTF-16.
        reason = _why_not_portable(text)
    return reason


def _why_not_plain(text: str) -> str | None:
    if _DRIVE.match(text):
        return "it begins with a drive letter"
    if holds_unseen(text):
        return "it holds a control character or one that cannot be seen"
    return None


def _why_not_portable(text: str) -> str | None:
    if _NOT_ON_WINDOWS & set(text):
        return 'it holds one of <>:"|?*\\, which Windows does not take'
    if text[-1] in ". ":
        return "it ends with a dot or a space, which Windows drops"
    if text.split(".")[0].rstrip(" ").upper() in _DEVICES:
        return "it is the name of a device on Windows"
    return None
