"""records.json: a stream, records of every length and at the edges of epochs, and what is refused."""

from __future__ import annotations

import struct

from vector_tools import (
    ABORT,
    ACK,
    DATA,
    FINAL,
    OPEN,
    PING,
    RECEIPT,
    E,
    Json,
    R,
    fixed,
    flipped,
    lone_record,
    ref,
    sealed_stream,
    totals,
)

CHAIN, KCUM = fixed("records chain", 32), fixed("records cumulative", 32)
MAX_PLAINTEXT = 4096
STREAM = [
    (OPEN, bytes.fromhex("9300c0c0")),
    (DATA, fixed("data 1", 100)),
    (PING, b""),
    (DATA, fixed("data 2", 4096)),
    (ACK, bytes(16)),
    (DATA, b"x"),
    (FINAL, b""),
    (PING, b""),
    (RECEIPT, b""),
    (ABORT, bytes.fromhex("9203a0")),
]


def record_vectors() -> Json:
    stream = sealed_stream(CHAIN, KCUM, E, STREAM)
    lengths = (0, 1, 15, 16, 17, 31, 32, 33, 255, 4096)
    lone = [lone_record(CHAIN, E, DATA, 7, fixed("lone", length)) for length in lengths]
    edges = (65_535, 65_536, 131_071, 131_072)
    lone += [lone_record(CHAIN, direction, PING, seq, b"") for direction in (E, R) for seq in edges]
    return {
        "chain_0": CHAIN,
        "kcum": KCUM,
        "direction": E,
        "max_plaintext": MAX_PLAINTEXT,
        "stream": stream,
        "records": lone,
        "refusals": _refused_records(stream),
    }


def _refused_records(stream: list[Json]) -> list[Json]:
    """``after`` says how many records of the stream are opened before the one that is refused."""
    keys = ref.epoch_keys(CHAIN, 0)
    first, second = stream[0], stream[1]
    head, body = second["header"], second["body"]

    def made(
        record_type: int, seq: int, plaintext: bytes, direction: int = E, epoch: int = 0
    ) -> tuple[bytes, bytes]:
        sealed: tuple[bytes, bytes] = ref.seal(
            ref.epoch_keys(CHAIN, epoch), direction, record_type, seq, plaintext
        )
        return sealed

    cases: list[tuple[str, int, tuple[bytes, bytes], str]] = [
        ("body_len too small", 1, (struct.pack(">I", len(body) - 1) + head[4:], body), "length"),
        ("body_len too large", 1, (struct.pack(">I", len(body) + 1) + head[4:], body), "length"),
        ("a body of 31 bytes", 1, (ref.header(31, PING, 1), bytes(31)), "length"),
        ("a byte over max_plaintext", 1, made(DATA, 1, bytes(MAX_PLAINTEXT + 1)), "length"),
        ("a header of 15 bytes", 1, (head[:-1], body), "length"),
    ]
    cases += [(f"reserved byte {n}", 1, (flipped(head, n), body), "reserved bytes") for n in (5, 6, 7)]
    cases += [(f"type {n}", 1, made(n, 1, b""), "type") for n in (0, 1, 9, 255)]
    state = "type in this state"
    cases += [
        ("DATA before OPEN", 0, made(DATA, 0, b"x"), state),
        ("FINAL before OPEN", 0, made(FINAL, 0, totals(KCUM, [], b"")), state),
        ("OPEN twice", 1, made(OPEN, 1, first["plaintext"]), state),
        ("DATA after FINAL", 7, made(DATA, 7, b"x"), state),
        ("FINAL twice", 7, made(FINAL, 7, stream[6]["plaintext"]), state),
        ("ACK after RECEIPT", 9, made(ACK, 9, bytes(16)), state),
        ("RECEIPT twice", 9, made(RECEIPT, 9, stream[8]["plaintext"]), state),
        ("anything after ABORT", 10, made(PING, 10, b""), "session already ended"),
        ("a record again", 2, (head, body), "sequence number"),
        ("a record left out", 1, (stream[2]["header"], stream[2]["body"]), "sequence number"),
        ("the first record of the next epoch", 1, made(PING, 65_536, b"", epoch=1), "sequence number"),
        ("number 2^40", 1, (ref.header(32, PING, 1 << 40), bytes(32)), "sequence number"),
        ("another direction", 1, made(DATA, 1, second["plaintext"], direction=R), "tag"),
        (
            "the ciphertext of another record",
            1,
            (head, stream[1]["body"][:-32] + stream[2]["body"][-32:]),
            "tag",
        ),
        ("a type that is also allowed", 1, (head[:4] + bytes([ACK]) + head[5:], body), "tag"),
        ("a zero tag", 1, (head, body[:-32] + bytes(32)), "tag"),
    ]
    cases += [
        (f"body byte {n} changed", 1, (head, flipped(body, n)), "tag") for n in (0, 15, 16, 99, 100, 131)
    ]
    lengths = [
        (OPEN, 0, 0),
        (DATA, 0, 1),
        (ACK, 15, 1),
        (ACK, 17, 1),
        (PING, 1, 1),
        (FINAL, 79, 1),
        (RECEIPT, 81, 1),
        (ABORT, 0, 1),
    ]
    cases += [
        (
            f"type {record_type} with {length} bytes",
            after,
            made(record_type, after, bytes(length)),
            "length for this type",
        )
        for record_type, length, after in lengths
    ]
    final = stream[6]["plaintext"]
    cases += [
        (f"FINAL with byte {n} changed", 6, ref.seal(keys, E, FINAL, 6, flipped(final, n)), "totals")
        for n in (0, 7, 8, 15, 16, 47)
    ]
    return [
        {"name": name, "after": after, "header": record[0], "body": record[1], "expect": expect}
        for name, after, record, expect in cases
    ]
