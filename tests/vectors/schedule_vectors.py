"""schedule.json: labels, derivations, epochs, IVs, the exporter, admission tickets."""

from __future__ import annotations

from vector_tools import Json, fixed, flipped, ref

LABELS = (
    *(
        "fp",
        "ticket",
        "mac1",
        "th1",
        "th2",
        "th3",
        "sig Receiver",
        "sig Emitter",
        "mac Receiver",
        "mac Emitter",
    ),
    *(
        "salt",
        "derived",
        "hs R enc",
        "hs R mac",
        "hs R iv",
        "hs E enc",
        "hs E mac",
        "hs E iv",
        "km R",
        "km E",
    ),
    *("master", "fin", "exporter", "cumulative E", "cumulative R", "chain E", "chain R"),
    *("enc", "mac", "iv", "next", "exp", "record", "cum"),
)


def schedule_vectors() -> Json:
    secret, context = fixed("a secret", 32), fixed("a context", 32)
    chain = fixed("a chain", 32)
    derived = [(name, context, 32) for name in LABELS] + [
        ("enc", b"", 1),
        ("enc", context, 64),
        ("x", b"c" * 255, 8160),
    ]
    return {
        "labels": {name: ref.l(name) for name in LABELS},
        "derive": [
            {
                "secret": secret,
                "label": name,
                "context": ctx,
                "length": n,
                "output": ref.d(secret, name, ctx, n),
            }
            for name, ctx, n in derived
        ],
        "epochs": [{"chain_0": chain, "epoch": i, **ref.epoch_keys(chain, i)} for i in (0, 1, 2, 255)],
        "ivs": [
            {"iv_key": secret, "seq": seq, "iv": ref.record_iv(secret, seq)}
            for seq in (0, 1, 65_535, 65_536, 65_537, (1 << 40) - 1)
        ],
        "exporter": [
            {
                "exporter": secret,
                "label": name,
                "context": ctx,
                "length": n,
                "output": ref.export(secret, name, ctx, n),
            }
            for name, ctx, n in (("a use", b"", 32), ("a use", context, 32), ("another use", context, 8160))
        ],
        "tickets": _tickets(),
    }


def _tickets() -> list[Json]:
    fp, other = fixed("binding side", 32), fixed("another side", 32)
    secret, nonce = fixed("Receiver secret", 32), fixed("ticket nonce", 16)
    good, with_secret = ref.ticket(fp, nonce), ref.ticket(fp, nonce, secret)
    cases = [
        ("good", ref.Z32, good, "ok"),
        ("good, with a Receiver secret", secret, with_secret, "ok"),
        ("for another side", ref.Z32, ref.ticket(other, nonce), "mac"),
        ("without the secret", secret, good, "mac"),
        ("with a secret where there is none", ref.Z32, with_secret, "mac"),
        ("another nonce", ref.Z32, flipped(good, 0), "mac"),
        ("another MAC", ref.Z32, flipped(good, 47), "mac"),
        ("47 bytes", ref.Z32, good[:-1], "length"),
        ("49 bytes", ref.Z32, good + b"\0", "length"),
        ("spent", ref.Z32, good, "spent"),
    ]
    return [
        {"name": name, "fingerprint": fp, "secret": key, "ticket": ticket, "expect": expect}
        for name, key, ticket, expect in cases
    ]
