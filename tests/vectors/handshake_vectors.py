"""handshake.json: sessions, every kind of message that is refused, and signatures."""

from __future__ import annotations

import struct
from collections.abc import Callable

from session_vectors import Session, Signatures
from vector_tools import HERE, IDENTITIES, LIMITS, E, Json, P, Q, R, fixed, flipped, number, ref


def handshake_vectors() -> Json:
    signatures = Signatures(HERE / "handshake.json")
    plain = Session("no Receiver secret", ref.Z32, signatures)
    secret = Session("with a Receiver secret", fixed("Receiver secret", 32), signatures)
    refusals = [
        {"session": session.name, "phase": phase, "name": name, "message": message, "expect": expect}
        for session in (plain,)
        for phase, make in REFUSED.items()
        for name, message, expect in make(session, secret)
    ]
    return {
        "sessions": [plain.shown(), secret.shown()],
        "refusals": refusals,
        "signatures": signatures.used + _bad_signatures(signatures.used[0]),
    }


def _bad_signatures(good: Json) -> list[Json]:
    r, s = good["signature"][:32], good["signature"][32:]
    values = {"0": 0, "q": Q, "q+1": Q + 1, "2^256-1": 2**256 - 1}
    cases = {f"r = {name}": value.to_bytes(32, "big") + s for name, value in values.items()}
    cases |= {f"s = {name}": r + value.to_bytes(32, "big") for name, value in values.items()}
    cases |= {
        "-s": r + (Q - int.from_bytes(s, "big")).to_bytes(32, "big"),
        "swapped": s + r,
        "63 bytes": (r + s)[:-1],
    }
    return [good | {"name": name, "signature": value, "expect": "signature"} for name, value in cases.items()]


Refusal = tuple[str, bytes, str]
PUBLIC_VALUES = {"0": 0, "1": 1, "p-1": P - 1, "p": P, "p+1": P + 1, "2^3072-1": 2**3072 - 1}


def _refused_m1(s: Session, other: Session) -> list[Refusal]:
    x = s.m1[45:429]
    cases = [
        ("empty", b"", "length"),
        ("12 bytes", s.m1[:12], "length"),
        ("type 2", b"\x02" + s.m1[1:], "type and magic"),
        ("magic", flipped(s.m1, 8), "type and magic"),
        ("version 2", ref.m1(s.n_e, x, s.fp_r, version=2), "version"),
        ("suite 2", ref.m1(s.n_e, x, s.fp_r, suite=2), "suite"),
        ("version 2, 13 bytes", ref.m1(s.n_e, x, s.fp_r, version=2)[:13], "version"),
        ("cut by a byte", s.m1[:-1], "length"),
        ("a byte more", s.m1 + b"\0", "length"),
        ("a cookie", ref.m1(s.n_e, x, s.fp_r, cookie=fixed("cookie", 32)), "cookie"),
        ("for another Receiver", ref.m1(s.n_e, x, s.fp_e), "mac1"),
        ("with another Receiver secret", other.m1, "mac1"),
        ("nE changed", flipped(s.m1, 13), "mac1"),
        ("X changed", flipped(s.m1, 428), "mac1"),
        ("mac1 changed", flipped(s.m1, 492), "mac1"),
    ]
    return cases + [
        (f"X = {name}", ref.m1(s.n_e, number(value), s.fp_r), "range of the public value")
        for name, value in PUBLIC_VALUES.items()
    ]


def _refused_m2(s: Session, other: Session) -> list[Refusal]:
    sealed, y = s.m2[421:], s.m2[37:421]
    bad = IDENTITIES["stranger"]

    def auth(signer: str = "receiver", **say: bytes) -> bytes:
        return s.clear + s.seal("hsR", R, 0, s.auth_r(signer, **say))

    cases = [
        ("empty", b"", "length"),
        ("M1 reflected", s.m1, "type"),
        ("version 2", ref.m2_clear(s.n_r, y, version=2) + sealed, "version"),
        ("suite 2", ref.m2_clear(s.n_r, y, suite=2) + sealed, "suite"),
        ("cut by a byte", s.m2[:-1], "length"),
        ("a byte more", s.m2 + b"\0", "length"),
        ("nE as nR", ref.m2_clear(s.n_e, y) + sealed, "own nonce"),
        ("nR changed", flipped(s.m2, 5), "seal"),
        ("Y changed", flipped(s.m2, 420), "seal"),
        ("ciphertext changed", flipped(s.m2, 421), "seal"),
        ("tag changed", flipped(s.m2, 580), "seal"),
        ("the seal of another session", s.clear + other.m2[421:], "seal"),
        ("sealed as record 1", s.clear + s.seal("hsR", R, 1, s.auth_r()), "seal"),
        ("sealed as type 3", s.clear + s.seal("hsR", R, 0, s.auth_r(), record_type=3), "seal"),
        ("sealed in direction E", s.clear + s.seal("hsR", E, 0, s.auth_r()), "seal"),
        ("sealed with hsE", s.clear + s.seal("hsE", R, 0, s.auth_r()), "seal"),
        ("another Receiver", auth("stranger"), "fingerprint"),
        ("the Emitter itself", auth("emitter"), "fingerprint"),
        ("macR changed", auth(mac=flipped(s.auth_r()[96:], 0)), "mac"),
        ("a stranger under the pinned fingerprint", auth("stranger", fp=s.fp_r), "signature"),
        ("sigR over another transcript", auth(signed=ref.signed_by_receiver(bytes(32), s.fp_r)), "signature"),
        ("sigR for suite 2", auth(signed=ref.signed_by_receiver(s.t1, s.fp_r, suite=2)), "signature"),
        ("sigR as an Emitter signs", auth(signed=ref.signed_by_emitter(s.t1, s.fp_r, b"")), "signature"),
        ("sigR naming another", auth(signed=ref.signed_by_receiver(s.t1, bad.fingerprint)), "signature"),
        ("r = s = 0", auth(signature=bytes(64)), "signature"),
    ]
    return cases + [
        (f"Y = {name}", ref.m2_clear(s.n_r, number(value)) + sealed, "range of the public value")
        for name, value in PUBLIC_VALUES.items()
    ]


def _refused_m3(s: Session, other: Session) -> list[Refusal]:
    def auth(signer: str = "emitter", **say: bytes) -> bytes:
        return b"\x03" + s.seal("hsE", E, 0, s.auth_e(signer, **say))

    return [
        ("empty", b"", "type"),
        ("M2 reflected", s.m2, "type"),
        ("cut by a byte", s.m3[:-1], "length"),
        ("a byte more", s.m3 + b"\0", "length"),
        ("ciphertext changed", flipped(s.m3, 1), "seal"),
        ("tag changed", flipped(s.m3, 160), "seal"),
        ("M3 of another session", other.m3, "seal"),
        ("the seal of M2", b"\x03" + s.m2[421:], "seal"),
        ("sealed as record 1", b"\x03" + s.seal("hsE", E, 1, s.auth_e()), "seal"),
        ("sealed in direction R", b"\x03" + s.seal("hsE", R, 0, s.auth_e()), "seal"),
        ("sealed with hsR", b"\x03" + s.seal("hsR", E, 0, s.auth_e()), "seal"),
        ("an unknown Emitter", auth("stranger"), "fingerprint"),
        ("the Receiver itself", auth("receiver"), "own fingerprint"),
        ("macE changed", auth(mac=flipped(s.auth_e()[96:], 0)), "mac"),
        ("a stranger under a known fingerprint", auth("stranger", fp=s.fp_e), "signature"),
        ("sigE for another Receiver", auth(signed=ref.signed_by_emitter(s.t2, s.fp_e, s.fp_e)), "signature"),
        ("sigE over T1", auth(signed=ref.signed_by_emitter(s.t1, s.fp_e, s.fp_r)), "signature"),
        ("sigE for suite 2", auth(signed=ref.signed_by_emitter(s.t2, s.fp_e, s.fp_r, suite=2)), "signature"),
        ("sigE as a Receiver signs", auth(signed=ref.signed_by_receiver(s.t2, s.fp_e + s.fp_r)), "signature"),
        ("r = s = 0", auth(signature=bytes(64)), "signature"),
    ]


def _refused_m4(s: Session, other: Session) -> list[Refusal]:
    def sealed(plaintext: bytes, seq: int = 1, direction: int = R, keys: str = "hsR") -> bytes:
        return b"\x04" + s.seal(keys, direction, seq, plaintext)

    bad_limits = {
        "max_plaintext 4095": (4095, 4096, 16 << 20),
        "max_plaintext 2^20 + 1": ((1 << 20) + 1, 4096, 16 << 20),
        "window_records 0": (1 << 20, 0, 16 << 20),
        "window_records 2^20 + 1": (1 << 20, (1 << 20) + 1, 16 << 20),
        "window_bytes below max_plaintext": (1 << 20, 4096, (1 << 20) - 1),
        "window_bytes 2^32 + 1": (1 << 20, 4096, (1 << 32) + 1),
    }
    return [
        ("empty", b"", "type"),
        ("M3 reflected", s.m3, "type"),
        ("cut by a byte", s.m4[:-1], "length"),
        ("a byte more", s.m4 + b"\0", "length"),
        ("ciphertext changed", flipped(s.m4, 1), "seal"),
        ("tag changed", flipped(s.m4, 80), "seal"),
        ("M4 of another session", other.m4, "seal"),
        ("sealed as record 0", sealed(s.accept(), seq=0), "seal"),
        ("sealed in direction E", sealed(s.accept(), direction=E), "seal"),
        ("sealed with hsE", sealed(s.accept(), keys="hsE"), "seal"),
        ("fin changed", sealed(flipped(s.accept(), 47)), "fin"),
        ("limits changed under fin", sealed(flipped(s.accept(), 7)), "fin"),
        ("fin over T2", sealed(s.accept(fin=ref.fin(s.traffic["kfR"], s.t2, LIMITS))), "fin"),
        *(
            (name, sealed(s.accept(struct.pack(">IIQ", *values))), "limits")
            for name, values in bad_limits.items()
        ),
    ]


REFUSED: dict[str, Callable[[Session, Session], list[Refusal]]] = {
    "M1": _refused_m1,
    "M2": _refused_m2,
    "M3": _refused_m3,
    "M4": _refused_m4,
}
