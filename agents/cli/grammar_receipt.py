"""The grammar of receipts."""

from __future__ import annotations

from selo.agents.cli.grammar import Commands, Parser, add_command


def add_receipt(commands: Commands, general: Parser) -> None:
    """`selo receipt`."""
    receipt = add_command(
        commands,
        general,
        "receipt",
        "read and check the receipts of deliveries",
        "A receipt is what the Receiver of a delivery signed: what it stored, item by item, and\n"
        "when. `selo emit --receipt FILE` writes one.",
        "selo receipt verify report.receipt report.pdf",
    )
    actions = receipt.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    show = add_command(
        actions,
        general,
        "show",
        "show what a receipt says",
        "Its signature is not checked: `selo receipt verify` does that.",
        "selo receipt show report.receipt",
    )
    show.add_argument("file", metavar="FILE", help="the receipt")
    verify = add_command(
        actions,
        general,
        "verify",
        "check a receipt's signature, and files against it",
        "The signer is looked up among the peers and our own identity. Exit status: 0 all is\n"
        "well, 1 files differ, 2 it is no receipt, 3 it is not signed by whom we know.",
        "selo receipt verify report.receipt report.pdf",
    )
    verify.mixes = True
    verify.add_argument("file", metavar="FILE", help="the receipt")
    verify.add_argument("paths", metavar="PATH", nargs="*", help="the files and folders that were delivered")
    verify.add_argument("--identity", metavar="FILE", help="the signer's public identity")
