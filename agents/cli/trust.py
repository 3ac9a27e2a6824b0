"""`selo trust add`, `list`, `show` and `remove`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from selo.agents.cli.common import Context
from selo.agents.cli.identity import describe
from selo.agents.cli.terminal import printable
from selo.agents.cli.words import fingerprint_words
from selo.config.errors import FileFault, PublicIdentityRefused
from selo.config.files import SIZE_MAX, read_file
from selo.config.trust import Peer, TrustStore
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import PublicIdentity

_SHORT_DIGITS = 16
_COMPARE = """
Compare these words with what `selo id` shows on {name}'s machine, by telephone or in
person, not by the way the file came. If they differ: selo trust remove {name}"""


def run(arguments: Namespace, context: Context) -> int:
    """Carry out the action that the line names.

    Raises:
        UsageError, LocalFault: see ``TrustStore``.
    """
    store = TrustStore(context.home)
    if arguments.action == "add":
        _add(store, arguments, context)
    elif arguments.action == "list":
        _list(store, context)
    elif arguments.action == "show":
        _show(store, arguments.name, context)
    else:
        store.remove(arguments.name)
        context.result(f"removed {arguments.name}", "peer-removed", name=arguments.name)
    return 0


def _add(store: TrustStore, arguments: Namespace, context: Context) -> None:
    identity, suggested_name = _read_public_identity(arguments.file, context)
    peer = store.add(arguments.name, identity, may_send=arguments.may_send)
    text = f"added {peer.name}, {_rights(peer)}"
    if suggested_name not in (None, peer.name):
        text += f"\n(it calls itself {printable(str(suggested_name))})"
    text += f"\n\n{describe(peer.fingerprint)}\n{_COMPARE.format(name=peer.name)}"
    context.result(text, "peer-added", **_fields(peer), suggested_name=suggested_name)


def _list(store: TrustStore, context: Context) -> None:
    peers = store.peers()
    if not peers:
        context.note("no peer is known yet; `selo trust add NAME FILE` adds one")
    width = max((len(peer.name) for peer in peers), default=0)
    for peer in peers:
        short = peer.fingerprint.hex()[:_SHORT_DIGITS]
        context.result(f"{peer.name:<{width}}  {_rights(peer):<12}  {short}", "peer", **_fields(peer))


def _show(store: TrustStore, name: str, context: Context) -> None:
    peer = store.get(name)
    context.result(
        f"name         {peer.name}\nrights       {_rights(peer)}\n{describe(peer.fingerprint)}",
        "peer",
        **_fields(peer),
    )


def _rights(peer: Peer) -> str:
    return "may send" if peer.may_send else "may not send"


def _fields(peer: Peer) -> dict[str, object]:
    return {
        "name": peer.name,
        "may_send": peer.may_send,
        "fingerprint": peer.fingerprint.hex(),
        "words": fingerprint_words(peer.fingerprint),
    }


def _read_public_identity(file: str, context: Context) -> tuple[PublicIdentity, str | None]:
    data = _read_standard_input(context) if file == "-" else _read_named_file(Path(file))
    source = "standard input" if file == "-" else file
    try:
        return PublicIdentity.from_text(data.decode())
    except UnicodeDecodeError:
        raise PublicIdentityRefused(source, "it is not text") from None
    except MalformedIdentity as error:
        raise PublicIdentityRefused(source, error.reason) from error


def _read_named_file(path: Path) -> bytes:
    try:
        return read_file(path)
    except FileNotFoundError as error:
        raise FileFault.from_os("read", path, error) from None


def _read_standard_input(context: Context) -> bytes:
    if sys.stdin is None:
        raise FileFault("read", "standard input", "it is closed")
    if sys.stdin.isatty():
        context.note("paste the public identity, end with Ctrl-D")
    try:
        return sys.stdin.buffer.read(SIZE_MAX)
    except OSError as error:
        raise FileFault.from_os("read", "standard input", error) from error
