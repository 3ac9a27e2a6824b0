"""What the makers of test vectors share: the second implementation, fixed bytes, identities, records."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from pathlib import Path
from typing import Any

from blake3 import blake3

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


def totals(kcum: bytes, tags: list[bytes], data: bytes) -> bytes:
    """FINAL's plaintext for a stream of those tags and that content."""
    made: bytes = ref.totals(kcum, tags, len(data), blake3(data).digest())
    return made


def sealed_stream(
    chain: bytes, kcum: bytes, direction: int, plaintexts: list[tuple[int, bytes]]
) -> list[Json]:
    """Records from number 0. FINAL's plaintext is made here; an empty RECEIPT repeats it."""
    keys, tags, data, final, records = ref.epoch_keys(chain, 0), [], b"", b"", []
    for seq, (record_type, content) in enumerate(plaintexts):
        if record_type == FINAL:
            final = totals(kcum, tags, data)
        plaintext = content or (final if record_type in (FINAL, RECEIPT) else b"")
        header, body = ref.seal(keys, direction, record_type, seq, plaintext)
        tags.append(body[-32:])
        data += plaintext if record_type == DATA else b""
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
