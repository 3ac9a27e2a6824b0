"""receipts.json, replayed: what a Receiver signs, how it is kept, and everything that is no receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selo.crypto.identity import Identity
from selo.crypto.items import MalformedReceipt, unpack_items
from selo.crypto.receipts import Attestation, ReceiptReader, Statement, check, receipt_text, verify

FOLDER = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((FOLDER / "receipts.json").read_text())
IDENTITIES = {
    case["name"]: Identity(*(bytes.fromhex(case[key]) for key in ("dsa_x", "ed25519_seed", "mldsa65_seed")))
    for case in json.loads((FOLDER / "identity.json").read_text())["identities"]
}
RECEIVER = IDENTITIES["receiver"].public


def named(part: str) -> Any:
    return pytest.mark.parametrize("case", VECTORS[part], ids=lambda case: case["name"])


def test_every_case_has_its_verdict() -> None:
    """No text is both a receipt and none, and no two cases have one name."""
    assert {case["expect"] for case in VECTORS["receipts"]} == {"ok"}
    assert {case["expect"] for case in VECTORS["refusals"]} == {"refused"}
    cases = VECTORS["receipts"] + VECTORS["refusals"] + VECTORS["bad_signatures"]
    assert len({case["text"] for case in cases}) == len(cases)
    assert len({case["name"] for case in cases}) == len(cases)


@named("receipts")
def test_receipt(case: dict[str, Any]) -> None:
    """Its values, its signature, its items, and back to the same bytes and the same text."""
    reader = ReceiptReader([case["text"].encode()])
    items = list(reader.items())
    said, values = reader.statement, case["values"]
    assert said.pack().hex() == case["statement"]
    assert Statement.unpack(bytes.fromhex(case["statement"])) == said
    assert values["version"] == "1"
    shown = [said.suite.number, said.kind, said.durable + 2 * said.sha256, said.time]
    shown += [said.items, said.items_bytes, said.length]
    names = ("suite", "kind", "flags", "time", "items", "items_bytes", "length")
    assert [str(int(value)) for value in shown] == [values[name] for name in names]
    raw = (said.emitter, said.receiver, said.transcript, said.delivery, said.blake3, said.items_hash)
    names = ("emitter", "receiver", "T3", "delivery", "blake3", "items_hash")
    assert [value.hex() for value in raw] == [values[name] for name in names]
    assert reader.signature.hex() == case["signature"]
    assert verify(RECEIVER, said, reader.signature)
    assert [item.pack().hex() for item in items] == case["items"]
    assert list(unpack_items(map(bytes.fromhex, case["items"]))) == items
    again = receipt_text(said, reader.signature, map(bytes.fromhex, case["items"]))
    assert b"".join(again).decode() == case["text"]


@named("receipts")
def test_attestation(case: dict[str, Any]) -> None:
    """The 73 bytes that travel, which an Emitter completes with what it knows."""
    attestation = Attestation.unpack(bytes.fromhex(case["attestation"]))
    assert attestation is not None
    assert attestation.pack().hex() == case["attestation"]
    said = Statement.unpack(bytes.fromhex(case["statement"]))
    assert check(RECEIVER, said, attestation) == said


@named("refusals")
def test_security_refused_text(case: dict[str, Any]) -> None:
    """Another form, an impossible statement, an impossible item: no receipt, whoever signed it."""
    with pytest.raises(MalformedReceipt):
        list(ReceiptReader([case["text"].encode()]).items())


@named("bad_signatures")
def test_security_bad_signature(case: dict[str, Any]) -> None:
    """A whole receipt whose signature is not the Receiver's over this statement under this label."""
    reader = ReceiptReader([case["text"].encode()])
    assert list(reader.items())
    assert not verify(RECEIVER, reader.statement, reader.signature)


@named("bad_attestations")
def test_security_bad_attestation(case: dict[str, Any]) -> None:
    """What is no attestation is None, and raises nothing."""
    assert Attestation.unpack(bytes.fromhex(case["attestation"])) is None


def test_signatures() -> None:
    """Every recorded signature is its signer's over what it says."""
    for case in VECTORS["signatures"]:
        message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
        assert IDENTITIES[case["signer"]].public.verify_dsa(message, signature)
