"""What can go wrong while two agents meet, before there is a session."""

from __future__ import annotations

from selo.errors import LocalFault, TrustError, UnreachableError, UsageError


class RefusedByPeer(TrustError):
    """The peer authenticated itself and then closed, twice in a row, instead of accepting us."""

    def __init__(self, peer: str, fingerprint: bytes) -> None:
        super().__init__(peer, fingerprint)
        self.peer = peer
        self.fingerprint = fingerprint
        self.hint = (
            f"on {peer}'s machine: `selo trust allow NAME`, or, where we are not known yet,\n"
            "`selo trust add NAME FILE --may-send` with what `selo id --export` prints here"
        )

    def __str__(self) -> str:
        return f"{self.peer} refused us: does it trust {self.fingerprint.hex()}?"


class WrongListener(TrustError):
    """Whoever listens at the address does not hold the pinned key."""

    def __init__(self, peer: str, address: str, reason: str) -> None:
        super().__init__(peer, address, reason)
        self.peer = peer
        self.address = address
        self.reason = reason
        self.hint = f"compare `selo trust show {peer}` here with `selo id` there"

    def __str__(self) -> str:
        return f"whoever listens at {self.address} does not answer to {self.peer}'s key ({self.reason})"


class NotReached(UnreachableError):
    """No session within the time allowed; ``last`` is why the last attempt failed."""

    def __init__(
        self, peer: str, address: str, seconds: float, last: str, suite: str, awaited: str = "Receiver"
    ) -> None:
        super().__init__(peer, address, seconds, last, suite, awaited)
        self.peer = peer
        self.address = address
        self.seconds = seconds
        self.last = last
        self.suite = suite
        self.awaited = awaited
        command = "selo receive" if awaited == "Receiver" else "selo emit --bind"
        self.hint = (
            f"is `{command}` running there, on that address? "
            f"This side speaks suite {suite}; compare with --suite there"
        )

    def __str__(self) -> str:
        return (
            f"no session with {self.peer} at {self.address} within {round(self.seconds, 2):g} s: {self.last}"
        )


class OnePeerToConnectTo(UsageError):
    """A Receiver that is to connect, and could not say to which of several peers."""

    hint = "name the one who listens there with --from NAME"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.names = names

    def __str__(self) -> str:
        return f"one address, and {len(self.names)} peers that may send: {', '.join(self.names)}"


class NobodyCame(UnreachableError):
    """``--wait`` ended, and nobody had come."""

    def __init__(self, seconds: float, awaited: str = "Emitter") -> None:
        super().__init__(seconds, awaited)
        self.seconds = seconds
        self.awaited = awaited
        self.hint = (
            f"--wait DURATION or forever ({'receive' if awaited == 'Emitter' else 'emit'}_wait) waits longer"
        )

    def __str__(self) -> str:
        return f"no {self.awaited} came within {round(self.seconds, 2):g} s"


class SendersUnknown(LocalFault):
    """Who may deliver cannot be found out at this moment, so nobody is let in; the next one may be."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"who may deliver cannot be found out: {self.reason}"


class OnlyStrangersCame(TrustError):
    """``--wait`` ended, and everybody who came was refused."""

    def __init__(self, seconds: float, refused: int, awaited: str = "Emitter") -> None:
        super().__init__(seconds, refused, awaited)
        self.seconds = seconds
        self.awaited = awaited
        self.refused = refused

    def __str__(self) -> str:
        return f"no trusted {self.awaited} came within {round(self.seconds, 2):g} s; {self.refused} refused"


class HandshakeTimeout(UnreachableError):
    """The other side did not finish the handshake in time."""

    def __init__(self, awaited: str, seconds: float) -> None:
        super().__init__(awaited, seconds)
        self.awaited = awaited
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.awaited} did not come within {round(self.seconds, 2):g} s"
