"""What the makers of test vectors share: the second implementation, fixed bytes, identities, records."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from pathlib import Path
from typing import Any

from selo.crypto import groups
from selo.crypto.identity import Identity

HERE = Path(__file__).parent
P, Q = groups.FFDHE3072_P, groups.DSA_Q
E, R = 0x45, 0x52
OPEN, DATA, ACK, PING, FINAL, RECEIPT, ABORT = range(2, 9)
LIMITS = struct.pack(">IIQ", 1 << 20, 4096, 16 << 20)
Json = dict[str, Any]


def _load_reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", HERE.parent / "crypto" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ref = _load_reference()


def fixed(name: str, length: int) -> bytes:
    """Bytes that are nobody's choice: SHAKE-256 of a name."""
    return hashlib.shake_256(f"selo/1 test vectors: {name}".encode()).digest(length)


def number(value: int) -> bytes:
    return value.to_bytes(384, "big")


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def shown(value: Any) -> Any:
    """Byte strings as hexadecimal, however deep."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value


def private_keys(name: str) -> tuple[bytes, bytes, bytes]:
    x = int.from_bytes(fixed(f"{name} dsa", 64), "big") % (Q - 1) + 1
    return x.to_bytes(32, "big"), fixed(f"{name} ed25519", 32), fixed(f"{name} mldsa65", 32)


IDENTITIES = {name: Identity(*private_keys(name)) for name in ("emitter", "receiver", "stranger")}


DIGEST = fixed("digest", 32)


def sealed_stream(
    chain: bytes, kcum: bytes, direction: int, plaintexts: list[tuple[int, bytes]]
) -> list[Json]:
    """Records from number 0; a FINAL's plaintext is its digest, to which the totals are put."""
    keys, tags, data_bytes, records = ref.epoch_keys(chain, 0), [], 0, []
    for seq, (record_type, content) in enumerate(plaintexts):
        plaintext = ref.totals(kcum, tags, data_bytes, content) if record_type == FINAL else content
        header, body = ref.seal(keys, direction, record_type, seq, plaintext)
        tags.append(body[-32:])
        data_bytes += len(plaintext) if record_type == DATA else 0
        records.append(
            {"type": record_type, "seq": seq, "plaintext": plaintext, "header": header, "body": body}
        )
    return records


def lone_record(chain: bytes, direction: int, record_type: int, seq: int, plaintext: bytes) -> Json:
    """One record of any number, its keys and its IV beside it."""
    keys = ref.epoch_keys(chain, seq >> 16)
    header, body = ref.seal(keys, direction, record_type, seq, plaintext)
    record = {"direction": direction, "type": record_type, "seq": seq, "plaintext": plaintext}
    return record | keys | {"iv_of_record": ref.record_iv(keys["iv"], seq), "header": header, "body": body}
