"""frames.json, replayed: what is a frame is taken apart as it says, what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selo.transport.base import FrameRefused
from selo.transport.frames import HandshakeFrame, RecordFrame, new_record_frame, pack_handshake, parse

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text())


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])


def frame_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["head"]) + bytes(case["zeros"])


def again(parsed: HandshakeFrame | RecordFrame) -> bytes:
    """The frame that we send for the same content."""
    if isinstance(parsed, HandshakeFrame):
        return pack_handshake(bytes(parsed.message))
    new = new_record_frame(len(parsed.body) - 32)
    new.header[:], new.body[:] = parsed.header, parsed.body
    return bytes(new.buffer)


def test_every_case_has_its_verdict() -> None:
    """What is legal says ``ok``, what is not ``refused``; no frame is both, no two have one name."""
    assert {case["expect"] for case in VECTORS["frames"]} == {"ok"}
    assert {case["expect"] for case in VECTORS["refusals"]} == {"refused"}
    cases = VECTORS["frames"] + VECTORS["refusals"]
    assert len({case["name"] for case in cases}) == len(cases)
    refused = {(frame_of(case), case["max_length"]) for case in VECTORS["refusals"]}
    assert not refused & {(frame_of(case), case["max_length"]) for case in VECTORS["frames"]}


@named(VECTORS["frames"])
def test_frame(case: dict[str, Any]) -> None:
    """Kind, header and body are those of the file, and the same content makes the same frame."""
    frame = frame_of(case)
    parsed = parse(frame, max_length=case["max_length"])
    assert isinstance(parsed, RecordFrame if case["kind"] else HandshakeFrame)
    content = parsed.body if isinstance(parsed, RecordFrame) else parsed.message
    header = bytes(parsed.header) if isinstance(parsed, RecordFrame) else b""
    assert header == bytes.fromhex(case["header"])
    assert len(content) == case["body_length"]
    assert content == frame[len(frame) - case["body_length"] :]
    if case["kind"] == 0 or case["body_length"] >= 32:
        assert again(parsed) == frame


@named(VECTORS["refusals"])
def test_security_refused_frame(case: dict[str, Any]) -> None:
    """Bytes that are no frame, or too many in this state, are refused."""
    with pytest.raises(FrameRefused):
        parse(frame_of(case), max_length=case["max_length"])
