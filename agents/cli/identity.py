"""`selo keygen` and `selo id`."""

from __future__ import annotations

from argparse import Namespace

from selo.agents.cli.common import Context
from selo.agents.cli.passphrase import ask_new
from selo.agents.cli.streams import write_output
from selo.agents.cli.terminal import printable
from selo.agents.cli.words import fingerprint_digits, fingerprint_words
from selo.config.home import Home
from selo.config.rotation import load_next_public_identity
from selo.crypto.identity import PublicIdentity

_NEXT_STEPS = """
next:
  selo id --export > {name}.id        write your public identity, and give that file to your peer
  selo trust add PEER peer.id         add your peer's; with --may-send it may deliver to you
"""


def keygen(arguments: Namespace, context: Context) -> int:
    """Make the home's identity and show it.

    Raises:
        UsageError, LocalFault: see ``Home.create_identity`` and ``Context.passphrase``.
    """
    passphrase = context.passphrase()
    if arguments.passphrase and passphrase is None:
        context.home.require_no_identity()
        passphrase = ask_new(str(context.home.identity_file))
    identity = context.home.create_identity(name=arguments.name, passphrase=passphrase)
    _show(context, "identity-created", identity.public, arguments.name)
    context.note(_NEXT_STEPS.format(name=arguments.name or "me"))
    return 0


def show(arguments: Namespace, context: Context) -> int:
    """Show the home's public identity, or write it out.

    Raises:
        UsageError, LocalFault: see ``Home.load_public_identity`` and ``Context.passphrase``.
    """
    if arguments.next:
        (public, name), _ = context.with_public(load_next_public_identity)
    else:
        (public, name), _ = context.with_public(Home.load_public_identity)
    if arguments.export:
        write_output(public.to_text(name).rstrip("\n"))
    else:
        _show(context, "identity", public, name, upcoming=arguments.next)
    return 0


def describe(fingerprint: bytes) -> str:
    """The two lines by which people compare a fingerprint."""
    return f"fingerprint  {fingerprint_digits(fingerprint)}\nwords        {fingerprint_words(fingerprint)}"


def _show(
    context: Context, event: str, public: PublicIdentity, name: str | None, *, upcoming: bool = False
) -> None:
    file = context.home.next_public_identity_file if upcoming else context.home.public_identity_file
    context.result(
        f"name         {printable(name or '-')}\n"
        f"file         {printable(str(file))}\n"
        f"{describe(public.fingerprint)}",
        event,
        name=name,
        file=str(file),
        fingerprint=public.fingerprint.hex(),
        words=fingerprint_words(public.fingerprint),
    )
