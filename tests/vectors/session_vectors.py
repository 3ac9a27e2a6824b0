"""The sessions of handshake.json: every value of a handshake by the page."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from vector_tools import (
    ACK,
    DATA,
    FINAL,
    IDENTITIES,
    LIMITS,
    OPEN,
    PING,
    RECEIPT,
    E,
    Json,
    R,
    fixed,
    lone_record,
    ref,
    sealed_stream,
)


class Signatures:
    """Signatures by signer and message, kept from the last run where they still apply."""

    def __init__(self, path: Path) -> None:
        kept = json.loads(path.read_text())["signatures"] if path.is_file() else []
        self._kept = {
            (item["signer"], item["message"]): item["signature"] for item in kept if item["expect"] == "ok"
        }
        self.used: list[Json] = []

    def sign(self, signer: str, message: bytes) -> bytes:
        recorded = self._kept.get((signer, message.hex()))
        signature = bytes.fromhex(recorded) if recorded else IDENTITIES[signer].sign_dsa(message)
        self._kept[signer, message.hex()] = signature.hex()
        item = {"signer": signer, "message": message, "signature": signature, "expect": "ok"}
        if item not in self.used:
            self.used.append(item)
        return signature


class Session:
    """One handshake by the page; every value of it is an attribute."""

    def __init__(self, name: str, secret: bytes, signatures: Signatures) -> None:
        self.name, self.secret, self._signatures = name, secret, signatures
        self.fp_e, self.fp_r = IDENTITIES["emitter"].fingerprint, IDENTITIES["receiver"].fingerprint
        self.n_e, self.n_r = fixed(f"{name} nE", 32), fixed(f"{name} nR", 32)
        self.x, self.y = fixed(f"{name} x", 40), fixed(f"{name} y", 40)
        self.m1 = ref.m1(self.n_e, ref.power(2, self.x), self.fp_r, secret=secret)
        self.clear = ref.m2_clear(self.n_r, ref.power(2, self.y))
        self.z = ref.power(int.from_bytes(self.clear[37:], "big"), self.x)
        self.hs = ref.handshake_secret(self.z, secret)
        self.t1 = ref.t1(self.m1, self.clear)
        self.keys = ref.handshake_keys(self.hs, self.t1)
        self.m2 = self.clear + self.seal("hsR", R, 0, self.auth_r())
        self.t2 = ref.t2(self.t1, self.m2[421:])
        self.m3 = b"\x03" + self.seal("hsE", E, 0, self.auth_e())
        self.t3 = ref.t3(self.t2, self.m3)
        self.traffic = ref.traffic_keys(self.hs, self.t3)
        self.m4 = b"\x04" + self.seal("hsR", R, 1, self.accept())

    def seal(self, keys: str, direction: int, seq: int, plaintext: bytes, record_type: int = 1) -> bytes:
        body: bytes = ref.seal(self.keys[keys], direction, record_type, seq, plaintext)[1]
        return body

    def auth_r(self, signer: str = "receiver", **say: bytes) -> bytes:
        fp = say.get("fp", IDENTITIES[signer].fingerprint)
        signed = say.get("signed", ref.signed_by_receiver(self.t1, fp))
        signature = say.get("signature") or self._signatures.sign(signer, signed)
        mac = say.get("mac") or ref.mac_of_receiver(self.keys["kmR"], self.t1, fp, signature)
        return fp + signature + mac

    def auth_e(self, signer: str = "emitter", **say: bytes) -> bytes:
        fp = say.get("fp", IDENTITIES[signer].fingerprint)
        signed = say.get("signed", ref.signed_by_emitter(self.t2, fp, self.fp_r))
        signature = say.get("signature") or self._signatures.sign(signer, signed)
        mac = say.get("mac") or ref.mac_of_emitter(self.keys["kmE"], self.t2, fp, self.fp_r, signature)
        return fp + signature + mac

    def accept(self, limits: bytes = LIMITS, fin: bytes = b"") -> bytes:
        return limits + (fin or ref.fin(self.traffic["kfR"], self.t3, limits))

    def shown(self) -> Json:
        epochs = {
            f"{side} {i}": ref.epoch_keys(self.traffic[f"chain_{side}"], i)
            for side in ("E", "R")
            for i in (0, 1, 2)
        }
        return {
            "name": self.name,
            "emitter": "emitter",
            "receiver": "receiver",
            "secret": self.secret,
            "limits": LIMITS,
            "nE": self.n_e,
            "nR": self.n_r,
            "x": self.x,
            "y": self.y,
            "M1": self.m1,
            "M2": self.m2,
            "M3": self.m3,
            "M4": self.m4,
            "auth_R": self.auth_r(),
            "auth_E": self.auth_e(),
            "Z": self.z,
            "HS": self.hs,
            "T1": self.t1,
            "T2": self.t2,
            "T3": self.t3,
            **self.keys,
            **self.traffic,
            "epochs": epochs,
            **self._records(),
            "exporter": [
                {
                    "label": label,
                    "context": context,
                    "length": length,
                    "output": ref.export(self.traffic["EXP"], label, context, length),
                }
                for label, context, length in (("a use", b"", 32), ("another use", b"context", 100))
            ],
            "expect": "ok",
        }

    def _records(self) -> Json:
        ours = [
            (OPEN, bytes.fromhex("9300c0c0")),
            (DATA, b"first"),
            (PING, b""),
            (DATA, b"second"),
            (FINAL, b""),
        ]
        from_emitter = sealed_stream(self.traffic["chain_E"], self.traffic["kcum_E"], E, ours)
        theirs = [(PING, b""), (ACK, struct.pack(">QQ", 4, 11)), (RECEIPT, from_emitter[-1]["plaintext"])]
        chains = {E: self.traffic["chain_E"], R: self.traffic["chain_R"]}
        return {
            "records_E": from_emitter,
            "records_R": sealed_stream(chains[R], self.traffic["kcum_R"], R, theirs),
            "at_epochs_edge": [
                lone_record(chains[side], side, PING, seq, b"") for side in (E, R) for seq in (65_535, 65_536)
            ],
        }
