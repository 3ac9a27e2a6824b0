"""The list of a delivery that is one thing."""

from __future__ import annotations

import hashlib

import pytest
from blake3 import blake3

from selo.agents.bodies import Kind, Offer
from selo.agents.content import ContentHash
from selo.agents.listing import whole_as_item
from selo.crypto.items import Item, ItemLog, ItemType, unpack_items

DATA = b"what was delivered"


@pytest.mark.parametrize("sha256", [False, True])
@pytest.mark.parametrize(
    ("offer", "item_type", "path"),
    [
        (Offer(Kind.STREAM, None, None), ItemType.STREAM, b""),
        (Offer(Kind.STREAM, "log", 3), ItemType.STREAM, b"log"),
        (Offer(Kind.FILE, "\u00fc.txt", len(DATA)), ItemType.FILE, "\u00fc.txt".encode()),
    ],
    ids=["a stream", "a stream with a name", "a file"],
)
def test_the_delivery_is_its_one_item(offer: Offer, item_type: ItemType, path: bytes, sha256: bool) -> None:
    """Under the name of the offer, with the content's digests, and kept where somebody keeps it."""
    content = ContentHash(sha256=sha256)
    content.update(DATA)
    kept: list[bytes] = []
    log = whole_as_item(offer, len(DATA), content, ItemLog(kept.append))
    expected = Item(
        item_type,
        path,
        len(DATA),
        blake3(DATA).digest(),
        hashlib.sha256(DATA).digest() if sha256 else None,
    )
    assert list(unpack_items(kept)) == [expected]
    alone = ItemLog()
    alone.add(expected)
    assert (log.count, log.size, log.hash) == (1, len(DATA), alone.hash)
    assert whole_as_item(offer, len(DATA), content).hash == alone.hash
