"""The family of errors, sorted by who is at fault.

    SeloError
    +-- MisuseError          the program that calls us broke a contract
    +-- UsageError           the person at the command line or in the settings        exit 2
    +-- LocalFault           this machine: disk, source, permission                   exit 1
    +-- PeerFault            the other machine, told by its authenticated ABORT       exit 1
    +-- TrustError           a peer that did not authenticate or is not trusted       exit 3
    +-- SessionError         a session that was cut or tampered with                  exit 4
    +-- UnreachableError     nobody there, or no answer in time                       exit 5
    +-- Interrupted          a signal                                                 exit 129, 130, 143

Every other error of Selo derives from one of these and lives in the room that
raises it. An error carries its data as attributes; ``__str__`` makes the words,
without a capital and without a final period.

This module imports nothing, so any room may import it.
"""


class SeloError(Exception):
    """The root of every error that a public call of Selo raises; never raised itself.

    ``exit_status`` is the process exit status that a program should end with
    when this error ends it (docs/PROTOCOL.md, section 12). ``hint``, where it
    is not empty, is one sentence that says what to do next.
    """

    exit_status: int = 1
    hint: str = ""


class MisuseError(SeloError):
    """The calling program broke a contract: a bug to report, never a peer's doing."""


class UsageError(SeloError):
    """A command, a setting or an address that cannot be meant."""

    exit_status = 2


class LocalFault(SeloError):
    """This machine failed: a disk, a source, a permission, an address in use."""

    exit_status = 1


class PeerFault(SeloError):
    """The other machine failed and said so in an authenticated ABORT."""

    exit_status = 1


class TrustError(SeloError):
    """The other side did not authenticate, or one side does not trust the other."""

    exit_status = 3


class SessionError(SeloError):
    """An established session was cut or tampered with.

    ``outcome_unknown``: everything was sent, and whether the other side has stored it is not known.
    """

    exit_status = 4
    outcome_unknown: bool = False


class UnreachableError(SeloError):
    """Nobody answered, or not in time, before a session was established."""

    exit_status = 5


class Interrupted(SeloError):
    """A signal ended the work in order."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.exit_status = 128 + signal_number

    def __str__(self) -> str:
        return {1: "hung up", 2: "interrupted"}.get(self.signal_number, "terminated")
