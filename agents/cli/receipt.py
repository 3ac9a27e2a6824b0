"""`selo receipt`: what a receipt says, whether it is signed, and whether files are what it says."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from selo.agents.bodies import Kind
from selo.agents.cli.common import Context
from selo.agents.cli.terminal import printable
from selo.agents.cli.trust import read_public_identity
from selo.agents.cli.words import fingerprint_digits, fingerprint_words
from selo.agents.receipt_compare import Comparison
from selo.agents.receipt_file import StoredReceipt, read_receipt
from selo.config.errors import NoIdentity
from selo.config.trust import TrustStore
from selo.crypto.errors import PassphraseNeeded
from selo.crypto.identity import PublicIdentity
from selo.crypto.items import Item, ItemType
from selo.crypto.receipts import Statement, verify
from selo.errors import LocalFault, TrustError

_OURSELVES = "this home's identity"
_KINDS = {Kind.STREAM: "a stream", Kind.FILE: "a file", Kind.TREE: "a tree"}


class UnknownSigner(TrustError):
    """Nobody whom we know has the identity (its fingerprint, 32 bytes) that a receipt names as its signer."""

    hint = "name the signer's public identity with --identity FILE, or add it with `selo trust add NAME FILE`"

    def __init__(self, fingerprint: bytes) -> None:
        super().__init__(fingerprint)
        self.fingerprint = fingerprint

    def __str__(self) -> str:
        return f"we know nobody with the fingerprint {self.fingerprint.hex()}, who should have signed this"


class NotSignedBy(TrustError):
    """A receipt that does not carry the signature of ``signer``."""

    hint = "it was altered, or it is somebody else's: it proves nothing"

    def __init__(self, signer: str) -> None:
        super().__init__(signer)
        self.signer = signer

    def __str__(self) -> str:
        return f"the receipt is not signed by {self.signer}"


class FilesDiffer(LocalFault):
    """Some files are not what a receipt says that was delivered."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    def __str__(self) -> str:
        return f"not as it was delivered: {self.count:,} of what the receipt lists"


@dataclass(frozen=True)
class _Known:
    """Somebody whom we can name: a peer, ourselves, or the identity in a file."""

    name: str
    public: PublicIdentity


def run(arguments: Namespace, context: Context) -> int:
    """Carry out the action that the line names.

    Raises:
        UsageError: the file holds no receipt, or a path does not belong to it.
        TrustError: it is not signed by whom it should be.
        LocalFault: files differ, or cannot be read.
    """
    action = _show if arguments.action == "show" else _verify
    with read_receipt(arguments.file) as receipt:
        action(receipt, arguments, context)
    return 0


def _show(receipt: StoredReceipt, arguments: Namespace, context: Context) -> None:
    statement, known = receipt.statement, _known(context)
    context.result(
        f"receipt      {printable(arguments.file)}\n"
        f"signature    not checked; `selo receipt verify` does that\n"
        f"from         {_who(statement.emitter, known)}\n"
        f"             {fingerprint_digits(statement.emitter)}\n"
        f"stored by    {_who(statement.receiver, known)}\n"
        f"             {fingerprint_digits(statement.receiver)}\n"
        f"             {fingerprint_words(statement.receiver)}\n"
        f"time         {_utc(statement.time)} by the clock of who stored it\n"
        f"what         {_what(statement)}, {_durability(statement)}\n"
        f"delivery     {statement.delivery.hex()}\n"
        f"session      {statement.transcript.hex()}\n"
        f"blake3       {statement.blake3.hex()} ({statement.length:,} bytes)\n"
        f"items hash   {statement.items_hash.hex()}\n",
        "receipt",
        **_fields(statement, known),
    )
    for item in receipt.items():
        context.result(_line(item), "receipt-item", **_item_fields(item))


def _verify(receipt: StoredReceipt, arguments: Namespace, context: Context) -> None:
    statement = receipt.statement
    given = _in_file(arguments.identity, context) if arguments.identity is not None else None
    known = {given.public.fingerprint: given} if given else _known(context)
    signer = given or known.get(statement.receiver)
    if signer is None:
        raise UnknownSigner(statement.receiver)
    # Before anything of the receipt is believed, and before any path in it is looked at.
    if not verify(signer.public, statement, receipt.signature):
        raise NotSignedBy(signer.name)
    comparison = Comparison(receipt, arguments.paths)
    context.result(
        f"signed by {printable(signer.name)} at {_utc(statement.time)}: "
        f"{_what(statement)}, {_durability(statement)}",
        "receipt-verified",
        signer=signer.name,
        **_fields(statement, known),
    )
    if arguments.paths:
        _compare(comparison, statement, context)


def _compare(comparison: Comparison, statement: Statement, context: Context) -> None:
    differing = 0
    for difference in comparison.differences():
        differing += 1
        context.result(
            f"{printable(difference.path)}: {difference.reason}",
            "receipt-difference",
            path=difference.path,
            reason=difference.reason,
        )
    for path in comparison.extras():
        if context.json:
            context.result("", "receipt-extra", path=path)
        context.note(f"{printable(path)}: it is not in the receipt")
    left = statement.items - comparison.compared
    if left:
        context.note(
            f"{left:,} of {statement.items:,} items belong to none of the paths and were not looked at"
        )
    if differing:
        raise FilesDiffer(differing)
    context.result(
        f"as it was delivered: {comparison.compared:,} of {statement.items:,} items were compared",
        "receipt-compared",
        compared=comparison.compared,
        items=statement.items,
    )


def _known(context: Context) -> dict[bytes, _Known]:
    """The peers and ourselves by fingerprint, or nobody where there is no home; asks for no passphrase."""
    known: dict[bytes, _Known] = {}
    with suppress(NoIdentity):
        for peer in TrustStore(context.home).peers():
            known |= {public.fingerprint: _Known(peer.name, public) for public in peer.identities}
        with suppress(PassphraseNeeded):  # identity.pub was lost
            public, _ = context.home.load_public_identity()
            known[public.fingerprint] = _Known(_OURSELVES, public)
    return known


def _in_file(file: str, context: Context) -> _Known:
    public, _ = read_public_identity(file, context)
    return _Known(f"the identity in {file}", public)


def _who(fingerprint: bytes, known: Mapping[bytes, _Known]) -> str:
    return printable(known[fingerprint].name) if fingerprint in known else "somebody whom we do not know"


def _what(statement: Statement) -> str:
    items = "1 item" if statement.items == 1 else f"{statement.items:,} items"
    return f"{_KINDS[Kind(statement.kind)]} of {items} with {statement.items_bytes:,} bytes"


def _durability(statement: Statement) -> str:
    return "synced to disk" if statement.durable else "not known to survive a power cut"


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _line(item: Item) -> str:
    path = _path(item)
    if item.type is ItemType.FOLDER:
        return f"{'folder':>16}  {path}/"
    if item.type is ItemType.LINK:
        return f"{'link':>16}  {path} -> {printable(_text(item.target))}"
    digests = f"blake3 {item.blake3.hex()}" + (f" sha256 {item.sha256.hex()}" if item.sha256 else "")
    return f"{item.size:>16,}  {digests}  {path}"  # the path last: it could look like a digest


def _path(item: Item) -> str:
    return printable(_text(item.path)) or "(a stream without a name)"


def _text(raw: bytes) -> str:
    """What is not UTF-8 becomes lone surrogates, which ``printable`` escapes."""
    return raw.decode(errors="surrogateescape")


def _fields(statement: Statement, known: Mapping[bytes, _Known]) -> dict[str, object]:
    def name(fingerprint: bytes) -> str | None:
        return known[fingerprint].name if fingerprint in known else None

    return {
        "suite": statement.suite.name,
        "emitter": statement.emitter.hex(),
        "emitter_name": name(statement.emitter),
        "receiver": statement.receiver.hex(),
        "receiver_name": name(statement.receiver),
        "session": statement.transcript.hex(),
        "delivery": statement.delivery.hex(),
        "kind": Kind(statement.kind).name.lower(),
        "durable": statement.durable,
        "sha256": statement.sha256,
        "stored_at": statement.time,
        "items": statement.items,
        "items_bytes": statement.items_bytes,
        "length": statement.length,
        "blake3": statement.blake3.hex(),
        "items_hash": statement.items_hash.hex(),
    }


def _item_fields(item: Item) -> dict[str, object]:
    return {
        "type": item.type.name.lower(),
        "path": _text(item.path),
        "size": item.size,
        "blake3": item.blake3.hex() if item.has_content else None,
        "sha256": item.sha256.hex() if item.sha256 else None,
        "target": _text(item.target) if item.target else None,
    }
