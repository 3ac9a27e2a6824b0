"""bodies.json, replayed: OPEN, its answer, ACK and ABORT mean what the file says; all else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selo.agents.bodies import Abort, Ack, Answer, Mark, Offer
from selo.agents.errors import PeerMisbehaved

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "bodies.json").read_text())
READERS: dict[str, type[Offer] | type[Answer] | type[Ack] | type[Abort]] = {
    "OPEN": Offer,
    "ANSWER": Answer,
    "ACK": Ack,
    "ABORT": Abort,
}


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case['type']} {case['name']}")


def of_type(record_type: str) -> list[dict[str, Any]]:
    return [case for case in VECTORS["bodies"] if case["type"] == record_type]


def test_every_case_has_its_verdict() -> None:
    """What is legal says ``ok``, what is not ``refused``, no body is both, and no two cases have one name."""
    assert {case["expect"] for case in VECTORS["bodies"]} == {"ok"}
    assert {case["expect"] for case in VECTORS["refusals"]} == {"refused"}
    cases = VECTORS["bodies"] + VECTORS["refusals"]
    assert len({(case["type"], case["name"]) for case in cases}) == len(cases)
    legal, refused = (
        {(case["type"], case["body"]) for case in VECTORS[part]} for part in ("bodies", "refusals")
    )
    assert not legal & refused
    assert (
        {record_type for record_type, _ in legal}
        == {record_type for record_type, _ in refused}
        == set(READERS)
    )


def shown(value: object) -> object:
    """A value as the file writes it: numbers as decimal strings, bytes as hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    return str(int(value)) if isinstance(value, int) and not isinstance(value, bool) else value


@named(of_type("OPEN"))
def test_open(case: dict[str, Any]) -> None:
    """All nine fields, or the three of a conversation, and back to the same bytes."""
    offer = Offer.unpack(bytes.fromhex(case["body"]))
    fields = [offer.kind, offer.name, offer.size]
    if len(case["values"]) > len(fields):
        fields += [offer.delivery, offer.items, offer.mode, offer.mtime, offer.sparse, offer.sha256]
    assert [shown(value) for value in fields] == case["values"]
    assert offer.pack().hex() == case["body"]


@named(of_type("ANSWER"))
def test_answer(case: dict[str, Any]) -> None:
    """The marks and whether it is complete, and back to the same bytes."""
    kind, marks, complete = case["values"]
    answer = Answer.unpack(bytes.fromhex(case["body"]))
    raw = bytes.fromhex(marks)
    expected = [raw[start : start + 40] for start in range(0, len(raw), 40)]
    assert kind == "4"
    assert answer.marks == tuple(Mark(int.from_bytes(mark[:8], "big"), mark[8:]) for mark in expected)
    assert answer.complete is complete
    assert answer.pack().hex() == case["body"]


@named(of_type("ACK"))
def test_ack(case: dict[str, Any]) -> None:
    """next_seq and durable_bytes, and back to the same bytes."""
    ack = Ack.unpack(bytes.fromhex(case["body"]))
    assert [str(ack.next_seq), str(ack.durable_bytes)] == case["values"]
    assert ack.pack().hex() == case["body"]


@named(of_type("ABORT"))
def test_abort(case: dict[str, Any]) -> None:
    """The code, or the one that it is treated as, and the text; what we know goes back to the same bytes."""
    code, text = case["values"]
    abort = Abort.unpack(bytes.fromhex(case["body"]))
    assert (int(abort.code), abort.text) == (case["counts_as"], text)
    if int(code) == case["counts_as"]:
        assert abort.pack().hex() == case["body"]


@named(VECTORS["refusals"])
def test_security_refused_body(case: dict[str, Any]) -> None:
    """Another type, another spelling, another shape: refused, by nothing but PeerMisbehaved."""
    with pytest.raises(PeerMisbehaved):
        READERS[case["type"]].unpack(bytes.fromhex(case["body"]))
