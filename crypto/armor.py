"""Identities as text: a begin line, an optional name, an empty line, base64, an end line.

One value has one text, but for what a clipboard does to it: line ends may be CRLF,
and white space may stand before and after the whole.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from selo.crypto.errors import MalformedIdentity
from selo.crypto.limits import NAME_MAX

_LINE: Final = 64
_NAME_FIELD: Final = "Name: "
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_MAX - 1}}}")
_TEXT_MAX: Final = 8192
"""Characters of the longest text that is looked at; a public identity has about 3,300."""


def wrap(kind: str, body: bytes, name: str | None = None) -> str:
    """The text of ``body`` under ``-----BEGIN SELO <kind> IDENTITY-----``, its last line ended.

    Raises:
        MalformedIdentity: the name is not 1 to 64 letters, digits, dots, hyphens and underscores.
    """
    head = [] if name is None else [_NAME_FIELD + checked_name(name)]
    encoded = base64.b64encode(body).decode("ascii")
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    return "\n".join([_edge("BEGIN", kind), *head, "", *lines, _edge("END", kind), ""])


def unwrap(kind: str, text: str) -> tuple[bytes, str | None]:
    """The body and the name of what ``wrap`` made.

    Raises:
        MalformedIdentity: anything else.
    """
    if len(text) > _TEXT_MAX:
        raise MalformedIdentity("it is too long")
    lines = text.replace("\r\n", "\n").strip(" \t\n").split("\n")
    if len(lines) < 4 or lines[0] != _edge("BEGIN", kind) or lines[-1] != _edge("END", kind):
        raise MalformedIdentity(f"a {kind.lower()} identity stands between its BEGIN and END lines")
    head = lines[1:-1]
    name = checked_name(head.pop(0)[len(_NAME_FIELD) :]) if head[0].startswith(_NAME_FIELD) else None
    if head[0] != "":
        raise MalformedIdentity("an empty line must follow its name or its BEGIN line")
    return _decoded(head[1:]), name


def checked_name(name: str) -> str:
    """``name``, when it is one that an identity may suggest.

    Raises:
        MalformedIdentity: it is not.
    """
    if _NAME.fullmatch(name) is None:
        raise MalformedIdentity(f"a name has 1 to {NAME_MAX} letters, digits, dots, hyphens and underscores")
    return name


def _edge(word: str, kind: str) -> str:
    return f"-----{word} SELO {kind} IDENTITY-----"


def _decoded(lines: list[str]) -> bytes:
    if not lines or any(len(line) != _LINE for line in lines[:-1]) or not 0 < len(lines[-1]) <= _LINE:
        raise MalformedIdentity(f"its lines must have {_LINE} characters, the last one maybe fewer")
    encoded = "".join(lines)
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedIdentity("its body is not base64") from None
    # Base64 spells some byte strings in several ways: only the canonical one is read.
    if base64.b64encode(body).decode("ascii") != encoded:
        raise MalformedIdentity("its body is not canonical base64")
    return body
