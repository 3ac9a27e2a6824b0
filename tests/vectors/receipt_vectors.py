"""receipts.json: lists of items, statements, attestations, receipts as text, and what is none of them.

A second implementation of the page's section on receipts, with nothing of the package in it but the
identities that sign.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from blake3 import blake3
from session_vectors import Signatures
from vector_tools import HERE, IDENTITIES, Json, fixed, flipped, ref

FOLDER, FILE, LINK, STREAM = 1, 2, 3, 4
BEGIN, END = "-----BEGIN SELO RECEIPT-----\n", "-----END SELO RECEIPT-----\n"
FIELDS = {
    "version": "H",
    "suite": "H",
    "emitter": "32s",
    "receiver": "32s",
    "T3": "32s",
    "delivery": "16s",
    "kind": "B",
    "flags": "B",
    "time": "Q",
    "items": "Q",
    "items_bytes": "Q",
    "length": "Q",
    "blake3": "32s",
    "items_hash": "32s",
}


def receipt_vectors() -> Json:
    """Numbers that may pass 2^53 are decimal strings: many readers of JSON round them."""
    signatures = Signatures(HERE / "receipts.json")
    receipts = [_receipt(signatures, name, *made) for name, made in _deliveries().items()]
    return {
        "receipts": receipts,
        "refusals": [
            *_refused_texts(receipts[1]["text"]),
            *_refused_statements(signatures),
            *_refused_items(signatures),
        ],
        "bad_signatures": _bad_signatures(signatures, receipts[1]),
        "bad_attestations": _bad_attestations(receipts[1]["attestation"]),
        "signatures": signatures.used,
    }


def item(
    kind: int, path: bytes, content: bytes | None = None, target: bytes = b"", *, sha256: bool = False
) -> bytes:
    digest = bytes(32) if content is None else blake3(content).digest()
    other = hashlib.sha256(content or b"").digest() if sha256 else b""
    return raw_item(kind, path, len(content or b""), target, digest, other)


def raw_item(kind: int, path: bytes, size: int, target: bytes, digest: bytes, other: bytes) -> bytes:
    packed = bytes([kind]) + struct.pack(">I", len(path)) + path + struct.pack(">Q", size)
    return packed + struct.pack(">I", len(target)) + target + digest + bytes([len(other)]) + other


def statement(listed: list[bytes], **fields: Any) -> bytes:
    values: Json = {
        "version": 1,
        "suite": 1,
        "emitter": IDENTITIES["emitter"].fingerprint,
        "receiver": IDENTITIES["receiver"].fingerprint,
        "T3": fixed("receipt T3", 32),
        "delivery": fixed("receipt delivery", 16),
        "kind": 3,
        "flags": 1,
        "time": 1_800_000_000,
        "items": len(listed),
        "items_bytes": 0,
        "length": 0,
        "blake3": fixed("receipt blake3", 32),
        "items_hash": ref.h(ref.l("items"), *listed),
    } | fields
    return b"".join(struct.pack(f">{form}", values[name]) for name, form in FIELDS.items())


def signed(said: bytes) -> bytes:
    message: bytes = b"\x20" * 64 + ref.l("sig receipt") + said[2:4] + ref.h(said)
    return message


def text(said: bytes, signature: bytes, items: list[bytes]) -> str:
    encoded = base64.b64encode(said + signature + b"".join(items)).decode()
    lines = [encoded[start : start + 64] + "\n" for start in range(0, len(encoded), 64)]
    return BEGIN + "".join(lines) + END


def _deliveries() -> dict[str, tuple[list[bytes], Json]]:
    short, empty = b"a page\n", b""
    tree = [
        item(FOLDER, b"photos"),
        item(FILE, b"photos/a.jpg", short),
        item(FILE, b"photos/empty", empty),
        item(LINK, b"photos/latest", target=b"a.jpg"),
        item(FOLDER, b"photos/2026"),
        item(FILE, b"photos/2026/caf\xc3\xa9 \xff", short * 3),
    ]
    stream = fixed("receipt stream", 100)
    largest = (1 << 63) - 1
    page = {"items_bytes": 7, "length": 7, "blake3": blake3(short).digest()}
    digests = [
        item(FILE, b"a", short, sha256=True),
        item(FOLDER, b"b"),
        item(FILE, b"b/c", empty, sha256=True),
    ]
    return {
        "a file": ([item(FILE, b"page.txt", short)], {"kind": 1, **page}),
        "a tree": (tree, {"items_bytes": 28, "length": 300}),
        "a stream without a name": (
            [item(STREAM, b"", stream)],
            {"kind": 0, "items_bytes": 100, "length": 100, "blake3": blake3(stream).digest()},
        ),
        "not durable": ([item(STREAM, b"log", short)], {"kind": 0, "flags": 0, **page}),
        "with SHA-256": (digests, {"flags": 3, "items_bytes": 7, "length": 99}),
        "with SHA-256, not durable": (
            [item(FILE, b"p", short, sha256=True)],
            {"kind": 1, "flags": 2, **page},
        ),
        "the largest numbers": (
            [raw_item(FILE, b"x", largest, b"", bytes(32), b"")],
            {"kind": 1, "time": 253_402_300_799, "items_bytes": largest, "length": largest},
        ),
        "a whole number of lines": ([item(FILE, b"n" * 32, short)], {"kind": 1, **page}),
    }


def _receipt(signatures: Signatures, name: str, items: list[bytes], fields: Json) -> Json:
    said = statement(items, **fields)
    signature = signatures.sign("receiver", signed(said))
    values = dict(zip(FIELDS, struct.unpack(">" + "".join(FIELDS.values()), said), strict=True))
    return {
        "name": name,
        "statement": said,
        "values": {key: str(value) if isinstance(value, int) else value for key, value in values.items()},
        "signed": signed(said),
        "signature": signature,
        "attestation": said[117:126] + signature,
        "items": items,
        "text": text(said, signature, items),
        "expect": "ok",
    }


def _refused(name: str, refused: str) -> Json:
    return {"name": name, "text": refused, "expect": "refused"}


def _refused_texts(good: str) -> list[Json]:
    lines = good.splitlines(keepends=True)
    first, last = lines[1], lines[-2]
    assert len(lines) > 10 and last.endswith("=\n"), "the cases below are about padding"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = last.index("=") - 1
    loose = last[:at] + alphabet[alphabet.index(last[at]) + 1] + last[at + 1 :]
    padded = first[:-3] + "==\n"
    body = "".join(lines[1:-1])
    return [
        _refused("nothing", ""),
        _refused("the edges alone", BEGIN + END),
        _refused("an empty line between them", BEGIN + "\n" + END),
        _refused("no BEGIN line", good.removeprefix(BEGIN)),
        _refused("no END line", good.removesuffix(END)),
        _refused("an identity's edges", good.replace("SELO RECEIPT", "SELO PUBLIC IDENTITY")),
        _refused("no last line end", good[:-1]),
        _refused("a line end more", good + "\n"),
        _refused("a space after it", good + " "),
        _refused("a line end before it", "\n" + good),
        _refused("CRLF", good.replace("\n", "\r\n")),
        _refused("two of them", good + good),
        _refused("an empty line after BEGIN", good.replace(BEGIN, BEGIN + "\n")),
        _refused("one line", BEGIN + body.replace("\n", "") + "\n" + END),
        _refused("a line of 63", good.replace(first, first[:63] + "\n" + first[63:], 1)),
        _refused(
            "a line of 65", good.replace(first + lines[2], first[:-1] + lines[2][0] + "\n" + lines[2][1:])
        ),
        _refused("a character that is none of base64", good.replace(first, "!" + first[1:])),
        _refused("the other alphabet of base64", good.replace(first, "-" + first[1:])),
        _refused("padding before the last line", good.replace(first, padded)),
        _refused("no padding", good.replace(last, last.replace("=", ""))),
        _refused("unused bits set", good.replace(last, loose)),
        _refused("cut within the statement", BEGIN + lines[1] + END),
        _refused("cut within the signature", BEGIN + "".join(lines[1:6]) + END),
    ]


def _refused_statements(signatures: Signatures) -> list[Json]:
    """Statements that no Receiver makes, signed all the same."""
    items = [item(FILE, b"a", b"a page\n")]
    good = {"kind": 1, "items_bytes": 7, "length": 7}
    cases: dict[str, Json] = {
        "version 0": {"version": 0},
        "version 2": {"version": 2},
        "suite 2": {"suite": 2},
        "a conversation": {"kind": 2},
        "kind 4": {"kind": 4},
        "flag 4": {"flags": 4},
        "flag 128": {"flags": 129},
        "the year 10000": {"time": 253_402_300_800},
        "2^63 items": {"items": 1 << 63},
        "2^63 bytes of items": {"items_bytes": 1 << 63},
        "2^63 bytes": {"length": 1 << 63},
        "no item": {"items": 0},
        "an item more": {"items": 2},
        "a byte less in its items": {"items_bytes": 6},
        "a byte more in its items": {"items_bytes": 8},
        "another list": {"items_hash": ref.h(ref.l("items"))},
        "a list hashed without its label": {"items_hash": ref.h(items[0])},
        "SHA-256 that is not there": {"flags": 3},
    }
    refused = []
    for name, fields in cases.items():
        said = statement(items, **good | fields)
        refused.append(_refused(name, text(said, signatures.sign("receiver", signed(said)), items)))
    return refused


def _refused_items(signatures: Signatures) -> list[Json]:
    """Lists that are signed as they are, with an item that is none."""
    zeros, some, other = bytes(32), fixed("receipt digest", 32), fixed("receipt sha256", 32)
    good = item(FILE, b"a", b"a page\n")
    cases = {
        "type 0": raw_item(0, b"a", 0, b"", some, b""),
        "type 5": raw_item(5, b"a", 0, b"", some, b""),
        "a file without a path": raw_item(FILE, b"", 0, b"", some, b""),
        "a folder without a path": raw_item(FOLDER, b"", 0, b"", zeros, b""),
        "a folder with a size": raw_item(FOLDER, b"a", 1, b"", zeros, b""),
        "a folder with a digest": raw_item(FOLDER, b"a", 0, b"", some, b""),
        "a folder with a target": raw_item(FOLDER, b"a", 0, b"b", zeros, b""),
        "a link without a target": raw_item(LINK, b"a", 0, b"", zeros, b""),
        "a link with a size": raw_item(LINK, b"a", 1, b"b", zeros, b""),
        "a link with a digest": raw_item(LINK, b"a", 0, b"b", some, b""),
        "a file with a target": raw_item(FILE, b"a", 0, b"b", some, b""),
        "a stream with a target": raw_item(STREAM, b"", 0, b"b", some, b""),
        "SHA-256 that was not wanted": raw_item(FILE, b"a", 0, b"", some, other),
        "a digest of 31": raw_item(FILE, b"a", 0, b"", some, other[:31]),
        "a digest of 33": raw_item(FILE, b"a", 0, b"", some, other + b"x"),
        "a path of 2^17 + 1": bytes([FILE]) + struct.pack(">I", (1 << 17) + 1) + b"a" * 60,
        "a path of 4 GiB": bytes([FILE]) + b"\xff" * 4 + b"a" * 60,
        "a target of 4097": raw_item(LINK, b"a", 0, b"b" * 4097, zeros, b""),
        "cut by a byte": good[:-1],
        "a byte more": good + b"\0",
    }
    refused = []
    for name, packed in cases.items():
        said = statement([packed], items_bytes=7 if good[:-1] in (packed, packed[:-2]) else 0)
        refused.append(_refused(name, text(said, signatures.sign("receiver", signed(said)), [packed])))
    said = statement([item(FOLDER, b"a", sha256=True)], flags=3)
    folder = [item(FOLDER, b"a", sha256=True)]
    refused.append(
        _refused("a folder with SHA-256", text(said, signatures.sign("receiver", signed(said)), folder))
    )
    return refused


def _bad_signatures(signatures: Signatures, good: Json) -> list[Json]:
    """Over the statement of the tree: whole receipts, which nothing but their signature gives away."""
    said, items = good["statement"], good["items"]
    other = said[:2] + b"\0\2" + said[4:]
    cases = {
        "another identity's": signatures.sign("stranger", signed(said)),
        "the Emitter's own": signatures.sign("emitter", signed(said)),
        "without the spaces": signatures.sign("receiver", signed(said)[64:]),
        "under the label of sigR": signatures.sign(
            "receiver", b"\x20" * 64 + ref.l("sig Receiver") + b"\0\1" + ref.h(said)
        ),
        "under the label of sigE": signatures.sign(
            "receiver", b"\x20" * 64 + ref.l("sig Emitter") + b"\0\1" + ref.h(said)
        ),
        "for suite 2": signatures.sign("receiver", signed(other)),
        "over the bare statement": signatures.sign("receiver", said),
        "of another receipt": signatures.sign("receiver", signed(statement([]))),
        "its first byte changed": flipped(good["signature"], 0),
        "its last byte changed": flipped(good["signature"], 63),
        "zeros": bytes(64),
    }
    return [
        {"name": name, "text": text(said, signature, items), "expect": "signature"}
        for name, signature in cases.items()
    ]


def _bad_attestations(good: bytes) -> list[Json]:
    cases = {
        "empty": b"",
        "72 bytes": good[:-1],
        "74 bytes": good + b"\0",
        "flag 4": b"\x04" + good[1:],
        "flag 128": b"\x81" + good[1:],
        "the year 10000": good[:1] + struct.pack(">Q", 253_402_300_800) + good[9:],
        "2^64 - 1 seconds": good[:1] + b"\xff" * 8 + good[9:],
    }
    return [{"name": name, "attestation": body, "expect": "refused"} for name, body in cases.items()]
