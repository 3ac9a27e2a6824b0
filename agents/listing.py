"""The list of a delivery's items where the delivery is one thing: a file or a stream."""

from __future__ import annotations

from selo.agents.bodies import Kind, Offer
from selo.agents.content import ContentHash
from selo.crypto.items import Item, ItemLog, ItemType


def whole_as_item(offer: Offer, length: int, content: ContentHash, log: ItemLog | None = None) -> ItemLog:
    """The list with the one item that a delivery of ``length`` bytes is; into ``log`` if that is given."""
    log = log or ItemLog()
    kind = ItemType.FILE if offer.kind is Kind.FILE else ItemType.STREAM
    log.add(Item(kind, (offer.name or "").encode(), length, content.blake3, content.sha256))
    return log
