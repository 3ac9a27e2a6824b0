"""Receipts: signed by one Receiver over one delivery, in one text, of which nothing can be changed."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import pytest

from selo.crypto import authentication
from selo.crypto.identity import Identity, PublicIdentity
from selo.crypto.items import Item, ItemLog, ItemType, MalformedReceipt
from selo.crypto.primitives import sha256
from selo.crypto.receipts import (
    ATTESTATION_LENGTH,
    COUNT_MAX,
    KINDS,
    STATEMENT_LENGTH,
    TIME_MAX,
    Attestation,
    ReceiptReader,
    Statement,
    attest,
    check,
    receipt_text,
    sign,
    verify,
)
from selo.crypto.suites import CLASSIC
from selo.errors import MisuseError

DIGEST = bytes(range(32))
ITEMS = [
    Item(ItemType.FOLDER, b"photos"),
    Item(ItemType.FILE, b"photos/a.jpg", 7, DIGEST),
    Item(ItemType.LINK, b"photos/latest", target=b"a.jpg"),
]
LIST = b"".join(item.pack() for item in ITEMS)
BEGIN, END = b"-----BEGIN SELO RECEIPT-----\n", b"-----END SELO RECEIPT-----\n"


def log_of(items: Iterable[Item]) -> ItemLog:
    log = ItemLog()
    for item in items:
        log.add(item)
    return log


@pytest.fixture(scope="module")
def statement(emitter: Identity, receiver: Identity) -> Statement:
    log = log_of(ITEMS)
    return Statement(
        suite=CLASSIC,
        emitter=emitter.fingerprint,
        receiver=receiver.fingerprint,
        transcript=b"T" * 32,
        delivery=b"D" * 16,
        kind=3,
        durable=True,
        sha256=False,
        time=1_800_000_000,
        items=log.count,
        items_bytes=log.size,
        length=300,
        blake3=b"B" * 32,
        items_hash=log.hash,
    )


@pytest.fixture(scope="module")
def signature(receiver: Identity, statement: Statement) -> bytes:
    return sign(receiver, statement)


@pytest.fixture(scope="module")
def text(statement: Statement, signature: bytes) -> bytes:
    return b"".join(receipt_text(statement, signature, [LIST]))


def accepted(text: bytes, public: PublicIdentity) -> bool:
    """Whether anybody would take this for a receipt of ``public``."""
    try:
        reader = ReceiptReader([text])
        list(reader.items())
    except MalformedReceipt:
        return False
    return verify(public, reader.statement, reader.signature)


def other_values(statement: Statement) -> dict[str, Any]:
    """For every field of a statement another legal value; there is one suite only."""
    others: dict[str, Any] = {"kind": 1}
    for field in fields(statement):
        value = getattr(statement, field.name)
        if isinstance(value, bytes):
            others[field.name] = bytes([value[0] ^ 1]) + value[1:]
        elif isinstance(value, bool):
            others[field.name] = not value
        elif isinstance(value, int):
            others.setdefault(field.name, value + 1)
    assert set(others) == {field.name for field in fields(statement)} - {"suite"}
    return others


# The statement.


def test_a_statement_has_one_encoding(statement: Statement) -> None:
    """214 bytes, and back."""
    packed = statement.pack()
    assert len(packed) == STATEMENT_LENGTH == 214
    assert Statement.unpack(packed) == statement


def test_every_field_is_in_the_bytes(statement: Statement) -> None:
    """Another value of any field makes other bytes, which read back to that value."""
    for name, value in other_values(statement).items():
        other = replace(statement, **{name: value})
        assert other.pack() != statement.pack(), name
        assert getattr(Statement.unpack(other.pack()), name) == value


@pytest.mark.parametrize("length", sorted({*range(300)} - {214}))
def test_a_statement_of_another_length_is_refused(length: int) -> None:
    """Too short and too long alike."""
    with pytest.raises(MalformedReceipt):
        Statement.unpack(bytes(length))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, bytes(n)) for name in ("emitter", "receiver", "transcript", "blake3") for n in (0, 31, 33)),
        *((name, bytes(n)) for name, n in (("items_hash", 31), ("delivery", 15), ("delivery", 17))),
        *(("kind", kind) for kind in (-1, 2, 4, 255)),
        *(("time", value) for value in (-1, TIME_MAX + 1)),
        *((name, value) for name in ("items", "items_bytes", "length") for value in (-1, COUNT_MAX + 1)),
    ],
)
def test_no_statement_is_made_of_illegal_values(name: str, value: Any, statement: Statement) -> None:
    """Our own program cannot sign what no reader takes."""
    with pytest.raises(MisuseError):
        replace(statement, **{name: value})


def test_the_largest_values_are_legal(statement: Statement) -> None:
    """Each limit itself, and every kind."""
    largest = replace(statement, time=TIME_MAX, items=COUNT_MAX, items_bytes=COUNT_MAX, length=COUNT_MAX)
    for kind in KINDS:
        other = replace(largest, kind=kind)
        assert Statement.unpack(other.pack()) == other


# Signatures.


def test_only_its_receiver_signs_a_statement(
    statement: Statement, signature: bytes, emitter: Identity, receiver: Identity, stranger: Identity
) -> None:
    """The signature is the Receiver's, and nobody else makes one, by mistake or otherwise."""
    assert verify(receiver.public, statement, signature)
    for other in (emitter, stranger):
        assert not verify(other.public, statement, signature)
        with pytest.raises(MisuseError):
            sign(other, statement)


def test_security_another_identitys_signature(
    statement: Statement, receiver: Identity, stranger: Identity
) -> None:
    """A good signature over the very statement by another identity than it names."""
    own = replace(statement, receiver=stranger.fingerprint)
    assert verify(stranger.public, own, sign(stranger, own))
    assert not verify(receiver.public, statement, sign(stranger, own))
    # Even where the signed bytes are those of the statement.
    forged = stranger.sign_dsa(b"\x20" * 64 + b"selo/1 sig receipt\0\0\1" + sha256(statement.pack()))
    assert not verify(stranger.public, statement, forged)
    assert not verify(receiver.public, statement, forged)


def test_security_every_field_is_signed(statement: Statement, signature: bytes, receiver: Identity) -> None:
    """A signature over one statement is none over a statement that differs in any field."""
    for name, value in other_values(statement).items():
        assert not verify(receiver.public, replace(statement, **{name: value}), signature), name


@pytest.mark.parametrize("role", ["Receiver", "Emitter"])
def test_security_no_signature_of_a_handshake_is_one_of_a_receipt(
    role: str, statement: Statement, receiver: Identity
) -> None:
    """Not even over the same digest: the label keeps the protocols apart, in both directions."""
    digest = sha256(statement.pack())
    in_handshake = authentication._signed(role, CLASSIC, digest)
    signature = receiver.sign_dsa(in_handshake)
    assert receiver.public.verify_dsa(in_handshake, signature)
    assert not verify(receiver.public, statement, signature)
    assert not receiver.public.verify_dsa(in_handshake, sign(receiver, statement))


def test_what_is_signed_is_what_the_page_says(statement: Statement, receiver: Identity) -> None:
    """64 spaces, the label, the suite, the hash of the statement."""
    said = b" " * 64 + b"selo/1 sig receipt\0" + b"\0\1" + sha256(statement.pack())
    assert verify(receiver.public, statement, receiver.sign_dsa(said))


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_none(length: int, statement: Statement, receiver: Identity) -> None:
    """And nothing is raised."""
    assert not verify(receiver.public, statement, bytes(length))


# What travels.


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("with_sha256", [True, False])
def test_the_emitter_learns_what_was_signed(
    durable: bool, with_sha256: bool, statement: Statement, receiver: Identity
) -> None:
    """From 73 bytes and what it knows itself: how it was stored, and when."""
    said = replace(statement, durable=durable, sha256=with_sha256, time=1_900_000_000)
    packed = attest(receiver, said).pack()
    assert len(packed) == ATTESTATION_LENGTH == 73
    attestation = Attestation.unpack(packed)
    assert attestation is not None
    own = replace(said, durable=False, time=0)
    assert check(receiver.public, own, attestation) == said


def test_security_an_attestation_of_another_delivery(statement: Statement, receiver: Identity) -> None:
    """Where Emitter and Receiver differ in anything but how and when it was stored, nothing was attested."""
    attestation = attest(receiver, statement)
    for name, value in other_values(statement).items():
        checked = check(receiver.public, replace(statement, **{name: value}), attestation)
        assert checked == (statement if name in ("durable", "time") else None), name


def test_security_every_byte_of_an_attestation(statement: Statement, receiver: Identity) -> None:
    """One bit of any byte changed: refused, or the signature fails."""
    good = attest(receiver, statement).pack()
    for at in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[at] ^= 1 << bit
            attestation = Attestation.unpack(bytes(changed))
            assert attestation is None or check(receiver.public, statement, attestation) is None


@pytest.mark.parametrize("length", sorted({*range(100)} - {73}))
def test_an_attestation_of_another_length_is_none(length: int) -> None:
    """A peer's bytes raise nothing here."""
    assert Attestation.unpack(bytes(length)) is None


# The text.


def read(blocks: Iterable[bytes]) -> tuple[Statement, bytes, list[Item]]:
    reader = ReceiptReader(blocks)
    return reader.statement, reader.signature, list(reader.items())


def test_a_receipt_is_read_as_it_was_written(statement: Statement, signature: bytes, text: bytes) -> None:
    """Statement, signature and items; the text is base64 of them in lines of 64."""
    assert read([text]) == (statement, signature, ITEMS)
    lines = text.removeprefix(BEGIN).removesuffix(END).splitlines()
    assert {len(line) for line in lines[:-1]} == {64}
    assert 0 < len(lines[-1]) <= 64
    assert base64.b64decode(b"".join(lines)) == statement.pack() + signature + LIST


def test_every_split_of_a_text(statement: Statement, signature: bytes, text: bytes) -> None:
    """Cut in two anywhere, or into blocks of any size, it reads the same."""
    whole = (statement, signature, ITEMS)
    for at in range(len(text) + 1):
        assert read([text[:at], b"", text[at:]]) == whole
    for size in (1, 2, 64, 65, 66, 100, 500):
        assert read(text[at : at + size] for at in range(0, len(text), size)) == whole


def test_every_split_of_a_list(statement: Statement, signature: bytes, text: bytes) -> None:
    """However the items come, the text is the same."""
    for at in range(len(LIST) + 1):
        assert b"".join(receipt_text(statement, signature, [LIST[:at], LIST[at:]])) == text
    assert b"".join(receipt_text(statement, signature, (bytes([byte]) for byte in LIST))) == text


@pytest.mark.parametrize("length", range(1, 100))
def test_every_length_of_the_last_line(length: int, statement: Statement) -> None:
    """Whatever the last line's length and padding, one form is written and read."""
    items = [Item(ItemType.FILE, b"n" * length, 7, DIGEST)]
    log = log_of(items)
    said = replace(statement, items=log.count, items_bytes=log.size, items_hash=log.hash)
    made = b"".join(receipt_text(said, b"s" * 64, [items[0].pack()]))
    assert read([made]) == (said, b"s" * 64, items)


def test_security_every_byte_of_a_receipt(text: bytes, receiver: Identity) -> None:
    """One bit of any character changed: refused, or the signature fails."""
    assert accepted(text, receiver.public)
    for at in range(len(text)):
        for bit in range(8):
            changed = bytearray(text)
            changed[at] ^= 1 << bit
            assert not accepted(bytes(changed), receiver.public), (at, bit)


def test_security_every_byte_below_the_text(
    statement: Statement, signature: bytes, receiver: Identity
) -> None:
    """One byte of what the text encodes changed, in its one form: refused, or the signature fails."""
    body = statement.pack() + signature + LIST
    for at in range(len(body)):
        for change in (1, 0x80, 0xFF):
            changed = bytearray(body)
            changed[at] ^= change
            assert not accepted(wrapped(bytes(changed)), receiver.public), (at, change)


def test_security_every_truncation(
    statement: Statement, signature: bytes, text: bytes, receiver: Identity
) -> None:
    """Of the text, at either end, and of what it encodes: no part of a receipt is one."""
    body = statement.pack() + signature + LIST
    assert wrapped(body) == text
    for length in range(len(text)):
        assert not accepted(text[:length], receiver.public)
        assert not accepted(text[len(text) - length :], receiver.public)
    for length in range(len(body)):
        assert not accepted(wrapped(body[:length]), receiver.public)


def test_security_every_extension(
    statement: Statement, signature: bytes, text: bytes, receiver: Identity
) -> None:
    """Any byte before or after the text, or after what it encodes, and any item more."""
    body = statement.pack() + signature + LIST
    for byte in range(256):
        assert not accepted(text + bytes([byte]), receiver.public)
        assert not accepted(bytes([byte]) + text, receiver.public)
        assert not accepted(wrapped(body + bytes([byte])), receiver.public)
    for item in ITEMS:
        assert not accepted(wrapped(body + item.pack()), receiver.public)


def test_security_one_character_in_or_out(text: bytes, receiver: Identity) -> None:
    """Anywhere in the text: a receipt has one text only."""
    for at in range(len(text)):
        assert not accepted(text[:at] + text[at + 1 :], receiver.public)
        for more in (b"A", b"=", b"\n", b"\r", b" ", b"\0"):
            assert not accepted(text[:at] + more + text[at:], receiver.public)


@pytest.mark.parametrize("cut", [46, 47])
def test_security_padding_inside_is_refused(cut: int, statement: Statement, receiver: Identity) -> None:
    """Cut in two, each half padded for itself, a good receipt encodes the same bytes and is none any more,
    also where the first half is decoded before the second one has come."""
    items = [Item(ItemType.FILE, b"%d" % number, 7, DIGEST) for number in range(50)]
    log = log_of(items)
    said = replace(statement, items=log.count, items_bytes=log.size, items_hash=log.hash)
    body = said.pack() + sign(receiver, said) + b"".join(item.pack() for item in items)
    assert accepted(wrapped(body), receiver.public)
    first, second = base64.b64encode(body[:cut]), base64.b64encode(body[cut:])
    assert len(first) == 64
    text = BEGIN + in_lines(first) + in_lines(second) + END
    for size in (1, 65, len(text)):
        with pytest.raises(MalformedReceipt, match="padded|base64"):
            read(text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize("items", [ITEMS[:-1], [*ITEMS, ITEMS[-1]], ITEMS[::-1], []])
def test_security_another_list_under_a_good_signature(
    items: list[Item], statement: Statement, signature: bytes, receiver: Identity
) -> None:
    """The list is bound: one item less, one twice, another order."""
    made = b"".join(receipt_text(statement, signature, (item.pack() for item in items)))
    assert verify(receiver.public, statement, signature)
    assert not accepted(made, receiver.public)


@pytest.mark.parametrize("name", ["items", "items_bytes"])
@pytest.mark.parametrize("change", [-1, 1])
def test_counts_must_be_those_of_the_list(
    name: str, change: int, statement: Statement, receiver: Identity
) -> None:
    """A Receiver that signs counts that its list does not have is not believed."""
    said = replace(statement, **{name: getattr(statement, name) + change})
    made = b"".join(receipt_text(said, sign(receiver, said), [LIST]))
    with pytest.raises(MalformedReceipt):
        read([made])


@pytest.mark.parametrize("with_sha256", [True, False])
def test_sha256_is_there_for_all_content_or_for_none(with_sha256: bool, statement: Statement) -> None:
    """As the statement's flag says."""
    for one, other in ((True, True), (True, False), (False, True), (False, False)):
        items = [
            Item(ItemType.FILE, b"a", 1, DIGEST, DIGEST if one else None),
            Item(ItemType.STREAM, b"b", 1, DIGEST, DIGEST if other else None),
            Item(ItemType.FOLDER, b"c"),
        ]
        log = log_of(items)
        said = replace(statement, sha256=with_sha256, items=3, items_bytes=2, items_hash=log.hash)
        made = b"".join(receipt_text(said, b"s" * 64, (item.pack() for item in items)))
        if one is other is with_sha256:
            assert read([made])[2] == items
        else:
            with pytest.raises(MalformedReceipt):
                read([made])


def test_security_an_endless_list_is_given_up(statement: Statement, signature: bytes) -> None:
    """As soon as it has more items than the statement counts, whatever would still follow."""

    def endless() -> Iterable[bytes]:
        while True:
            yield ITEMS[0].pack()

    with pytest.raises(MalformedReceipt):
        read(receipt_text(statement, signature, endless()))


def wrapped(body: bytes) -> bytes:
    return BEGIN + in_lines(base64.b64encode(body)) + END


def in_lines(encoded: bytes) -> bytes:
    return b"".join(encoded[at : at + 64] + b"\n" for at in range(0, len(encoded), 64))
