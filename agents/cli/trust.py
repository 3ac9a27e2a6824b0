"""`selo trust`: the list of peers."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from selo.agents.cli.common import Context
from selo.agents.cli.identity import describe
from selo.agents.cli.terminal import printable
from selo.agents.cli.words import fingerprint_words
from selo.config.catalogue import CATALOGUE
from selo.config.errors import FileFault, ManyRefused, PublicIdentityRefused, SettingRefused
from selo.config.files import SIZE_MAX, read_file
from selo.config.home import Home
from selo.config.policy import AS_SETTINGS, OF_SETTINGS, UNLIMITED, PeerPolicy, policy_for
from selo.config.trust import Peer, TrustStore
from selo.crypto.errors import MalformedIdentity
from selo.crypto.identity import PublicIdentity
from selo.errors import SeloError

STANDARD_INPUT = "-"

_SHORT_DIGITS = 16
_COMPARE = """
Compare these words with what `selo id` shows on {name}'s machine, by telephone or in
person, not by the way the file came. If they differ: selo trust remove {name}"""
_COMPARE_ROTATED = """
Compare these words with what `selo id --next` (or, after its --finish, `selo id`) shows on {name}'s
machine, by telephone or in person. If they differ: selo trust rotate {name} --cancel
When {name} has changed over: selo trust rotate {name} --finish"""
_FROM_NOW = "that counts from the next session on; one that is open now goes on to its end"
_COMPARE_MANY = """
Compare the words of each with what `selo id` shows on its machine, not by the way the files came."""


def run(arguments: Namespace, context: Context) -> int:
    """Carry out the action that the line names.

    Raises:
        UsageError, LocalFault: see ``TrustStore``.
    """
    _ACTIONS[arguments.action](TrustStore(context.home), arguments, context)
    return 0


def _add(store: TrustStore, arguments: Namespace, context: Context) -> None:
    context.with_public(Home.load_public_identity)  # asks for the passphrase where identity.pub was lost
    identity, suggested_name = read_public_identity(arguments.file, context)
    peer = store.add(arguments.name, identity, may_send=arguments.may_send)
    text = f"added {peer.name}, {rights(peer)}"
    if suggested_name not in (None, peer.name):
        text += f"\n(it calls itself {printable(str(suggested_name))})"
    text += f"\n\n{describe(peer.fingerprint)}\n{_COMPARE.format(name=peer.name)}"
    context.result(text, "peer-added", **_fields(peer), suggested_name=suggested_name)


def _list(store: TrustStore, _arguments: Namespace, context: Context) -> None:
    peers = store.peers()
    if not peers:
        context.note("no peer is known yet; `selo trust add NAME FILE` adds one")
    width = max((len(peer.name) for peer in peers), default=0)
    for peer in peers:
        short = peer.fingerprint.hex()[:_SHORT_DIGITS]
        rotating = f"  and {len(peer.older)} older" if peer.older else ""
        context.result(
            f"{peer.name:<{width}}  {rights(peer):<18}  {short}{rotating}", "peer", **_fields(peer)
        )


def _show(store: TrustStore, arguments: Namespace, context: Context) -> None:
    peer = store.get(arguments.name)
    text = f"name         {peer.name}\nrights       {rights(peer)}\n"
    if peer.policy != AS_SETTINGS:
        said = ((name, getattr(peer.policy, name)) for name in peer.policy.as_json())
        text += f"policy       {', '.join(f'{name} {_in_words(name, value)}' for name, value in said)}\n"
    text += describe(peer.fingerprint)
    for older in peer.older:
        text += f"\n\nolder identity, still taken (`selo trust rotate {peer.name} --finish` ends that)"
        text += f"\n{describe(older.fingerprint)}"
    context.result(text, "peer", **_fields(peer))


def _remove(store: TrustStore, arguments: Namespace, context: Context) -> None:
    store.remove(arguments.name)
    context.result(f"removed {arguments.name}", "peer-removed", name=arguments.name)
    context.note(_FROM_NOW)


def _rename(store: TrustStore, arguments: Namespace, context: Context) -> None:
    peer = store.rename(arguments.name, arguments.new_name)
    context.result(
        f"renamed {arguments.name} to {peer.name}", "peer-renamed", old=arguments.name, **_fields(peer)
    )


def _allow(store: TrustStore, arguments: Namespace, context: Context) -> None:
    peer = store.set_may_send(arguments.name, arguments.action == "allow")
    if not peer.may_send and peer.name in (context.settings.receive_from or ()):
        context.warn(f"receive_from names {peer.name}, who may deliver all the same")
    context.result(f"{peer.name} {rights(peer)}", "peer-changed", **_fields(peer))
    context.note(_FROM_NOW)


def _rotate(store: TrustStore, arguments: Namespace, context: Context) -> None:
    if arguments.finish or arguments.cancel:
        change = store.finish_rotation if arguments.finish else store.cancel_rotation
        peer = change(arguments.name)
        context.result(
            f"{peer.name} has this identity\n{describe(peer.fingerprint)}", "peer-changed", **_fields(peer)
        )
        context.note(_FROM_NOW)
        return
    identity, _ = read_public_identity(arguments.file or STANDARD_INPUT, context)
    peer = store.rotate(arguments.name, identity)
    context.result(
        f"{peer.name} has a new identity, and the one before is still taken\n\n{describe(peer.fingerprint)}\n"
        f"{_COMPARE_ROTATED.format(name=peer.name)}",
        "peer-changed",
        **_fields(peer),
    )


def _import(store: TrustStore, arguments: Namespace, context: Context) -> None:
    identities, suggested = _read_many(arguments.files, context)
    added = store.add_all(identities, may_send=arguments.may_send)
    for peer in added:
        text = f"added {peer.name}, {rights(peer)}"
        if suggested[peer.name] not in (None, peer.name):
            text += f"\n(it calls itself {printable(str(suggested[peer.name]))})"
        fields = _fields(peer) | {"suggested_name": suggested[peer.name]}
        context.result(f"{text}\n{describe(peer.fingerprint)}\n", "peer-added", **fields)
    known = sorted(identities.keys() - {peer.name for peer in added})
    context.note(f"{len(added)} added" + (f"; known already: {', '.join(known)}" if known else ""))
    if added:
        context.note(_COMPARE_MANY)


def _policy(store: TrustStore, arguments: Namespace, context: Context) -> None:
    peer = store.get(arguments.name)
    said = {field.name: _said(field.name, getattr(arguments, field.name)) for field in fields(PeerPolicy)}
    new = {name: value for name, value in said.items() if value is not None}
    if new or arguments.clear:
        policy = replace(AS_SETTINGS if arguments.clear else peer.policy, **new)
        peer = store.set_policy(peer.name, policy)
    if "into" in new and not os.path.isdir(new["into"]):
        context.warn(f"there is no folder {new['into']}; a delivery will be refused until there is")
    _show_policy(peer, context)
    if new or arguments.clear:
        context.note(_FROM_NOW)


def _show_policy(peer: Peer, context: Context) -> None:
    """What holds for the peer, and what of that was said of it alone."""
    holds = asdict(policy_for(context.settings, peer))
    said = peer.policy.as_json()
    words = {name: _in_words(name, value) for name, value in holds.items()}
    width = max(map(len, words.values()))
    lines = [
        f"{name:<9}  {words[name]:<{width}}  {'said of this peer' if name in said else 'as the settings say'}"
        for name in holds
    ]
    holds["into"] = None if holds["into"] is None else str(holds["into"])
    context.result("\n".join(lines), "peer-policy", name=peer.name, policy=said, holds=holds)


def _said(name: str, text: str | None) -> Any:
    """The value of a field of a policy that the line says, None where it says nothing.

    Raises:
        SettingRefused: it is none.
    """
    if text is None:
        return None
    setting = CATALOGUE[OF_SETTINGS + name]
    try:
        value = setting.parse(text)
    except ValueError:
        raise SettingRefused(f"--{name.replace('_', '-')}", text, setting.expected) from None
    if name == "into":
        return Path(os.path.abspath(value))
    return UNLIMITED if value is None else value


def _in_words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"  # as --folders says it
    return printable(CATALOGUE[OF_SETTINGS + name].in_words(None if value == UNLIMITED else value))


def _read_many(given: list[str], context: Context) -> tuple[dict[str, PublicIdentity], dict[str, str | None]]:
    """The identities of all files, and what they suggest as names, by the files' own names.

    Raises:
        ManyRefused: with the reason of each file that holds none.
    """
    identities: dict[str, PublicIdentity] = {}
    suggested: dict[str, str | None] = {}
    refused: dict[str, SeloError] = {}
    for path in _files(given):
        try:
            if path.stem in identities:
                raise PublicIdentityRefused(str(path), f"another file is called {path.stem} as well")
            identities[path.stem], suggested[path.stem] = read_public_identity(str(path), context)
        except (PublicIdentityRefused, FileFault) as error:
            refused[str(path)] = error
    if refused:
        raise ManyRefused(refused)
    return identities, suggested


def _files(given: list[str]) -> list[Path]:
    """The files themselves, and the *.id of folders."""
    files: list[Path] = []
    for path in map(Path, given):
        try:
            inside = sorted(path.glob("*.id")) if path.is_dir() else [path]
        except OSError as error:
            raise FileFault.from_os("read", path, error) from error
        if not inside:
            raise PublicIdentityRefused(str(path), "there is no *.id file in it")
        files += inside
    return files


def rights(peer: Peer) -> str:
    """What the peer may do here, in words."""
    return "may send to us" if peer.may_send else "may not send to us"


def _fields(peer: Peer) -> dict[str, object]:
    return {
        "name": peer.name,
        "may_send": peer.may_send,
        "fingerprint": peer.fingerprint.hex(),
        "older": [older.fingerprint.hex() for older in peer.older],
        "words": fingerprint_words(peer.fingerprint),
        "policy": peer.policy.as_json(),
    }


def read_public_identity(file: str, context: Context) -> tuple[PublicIdentity, str | None]:
    """The public identity in a file, or in standard input (`-`), and the name that it suggests.

    Raises:
        PublicIdentityRefused: there is none in it.
        FileFault: it cannot be read.
    """
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


_ACTIONS = {
    "add": _add,
    "list": _list,
    "show": _show,
    "remove": _remove,
    "rename": _rename,
    "rotate": _rotate,
    "import": _import,
    "allow": _allow,
    "deny": _allow,
    "policy": _policy,
}
