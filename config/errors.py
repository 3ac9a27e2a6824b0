"""What can be wrong with a person's settings, home folder and trust store.

UsageError
    SettingRefused, SettingsContradict, SettingMissing, UnknownSetting, SettingsFileRefused
    NoIdentity, IdentityExists, Exposed, PassphraseFileRefused
    NoRotation, RotationUnderWay, HomeNotEmpty, BackupRefused, PassphraseRefused
    ManyRefused, RotationUnfinished
    NameRefused, NoSuchPeer, PeerExists, PeerAlreadyPinned, NoSenders, OwnIdentity, PublicIdentityRefused
LocalFault
    FileFault, FileDamaged
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from selo.errors import LocalFault, SeloError, UsageError


class SettingRefused(UsageError):
    """A value that its setting cannot take; ``source`` is where it was read, as a person names it."""

    def __init__(self, source: str, value: object, expected: str) -> None:
        super().__init__(source, value, expected)
        self.source = source
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.source}: expected {self.expected}, not {self.value!r}"


class SettingsContradict(UsageError):
    """Two values that cannot both be meant; ``places`` is where they were read, as a person names it."""

    hint = "keep one of the two; a nearer source (file, then environment, then line) replaces a farther one"

    def __init__(self, places: tuple[str, str], reason: str) -> None:
        super().__init__(places, reason)
        self.places = places
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.places[0]} contradicts {self.places[1]}: {self.reason}"


class SettingMissing(UsageError):
    """A setting that a command cannot do without; ``ways`` are the flags, variables and keys that give it."""

    def __init__(self, what: str, ways: tuple[str, ...]) -> None:
        super().__init__(what, ways)
        self.what = what
        self.ways = ways
        self.hint = f"give it with {', or '.join(ways)}"

    def __str__(self) -> str:
        return f"it is not said {self.what}"


class UnknownSetting(UsageError):
    """A name that no setting has, and where it was read; ``nearest`` is the likely one, or None."""

    def __init__(self, source: str, key: str, nearest: str | None) -> None:
        super().__init__(source, key, nearest)
        self.source = source
        self.key = key
        self.nearest = nearest
        self.hint = "`selo config` shows all settings"
        if nearest is not None:
            self.hint = f"did you mean `{nearest}`?"

    def __str__(self) -> str:
        return f"{self.source}: unknown setting {self.key!r}"


class SettingsFileRefused(UsageError):
    """A settings file that is no TOML at all."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file} is not a TOML file: {self.reason}"


class NoIdentity(UsageError):
    """A home without an identity in it."""

    hint = "make one with `selo keygen`, or name another home with --home or SELO_HOME"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.home = home

    def __str__(self) -> str:
        return f"no identity in {self.home}"


class IdentityExists(UsageError):
    """A home that has an identity already; one is never overwritten."""

    hint = "show it with `selo id`, or make the new one in another home with --home"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.home = home

    def __str__(self) -> str:
        return f"there is already an identity in {self.home}"


class Exposed(UsageError):
    """A private file or folder that others on this machine can reach; ``mode`` is what it has."""

    def __init__(self, path: Path, mode: int, wanted: int) -> None:
        super().__init__(path, mode, wanted)
        self.path = path
        self.mode = mode
        self.wanted = wanted
        self.hint = f"chmod {wanted:o} {path}"

    def __str__(self) -> str:
        return f"others on this machine can reach {self.path} (mode {self.mode:04o})"


class PassphraseFileRefused(UsageError):
    """A passphrase file with nothing in its first line."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"the passphrase file {self.path} {self.reason}"


class NameRefused(UsageError):
    """Text that cannot be the name of a peer or an identity."""

    hint = "a name is 1 to 64 letters, digits, `.`, `_` and `-`, and starts with a letter or a digit"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"not a name: {self.name!r}"


class NoSuchPeer(UsageError):
    """A name that the trust store does not have; ``known`` are those it has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(name, self.known)
        if self.known:
            self.hint = f"known peers: {', '.join(self.known)}"
        else:
            self.hint = "no peer is known yet; `selo trust add NAME FILE` adds one"

    def __str__(self) -> str:
        return f"no peer is called {self.name!r}"


class PeerExists(UsageError):
    """A name that is taken, or differs from a taken one in capitals only."""

    def __init__(self, name: str, existing: str) -> None:
        super().__init__(name, existing)
        self.name = name
        self.existing = existing
        self.hint = f"if {existing} has a new identity: selo trust rotate {existing} FILE"

    def __str__(self) -> str:
        if self.name == self.existing:
            return f"a peer called {self.name} exists already"
        return f"{self.name} differs from the known peer {self.existing} in capitals only"


class PeerAlreadyPinned(UsageError):
    """An identity that the trust store has under another name."""

    def __init__(self, name: str, existing: str) -> None:
        super().__init__(name, existing)
        self.name = name
        self.existing = existing
        self.hint = (
            f"to let it deliver: selo trust allow {existing}"
            if name == existing
            else f"to call it otherwise: selo trust rename {existing} {name}"
        )

    def __str__(self) -> str:
        return f"this identity is already known as {self.existing}"


class ManyRefused(UsageError):
    """Several identities that were to be pinned at once, and some cannot be; ``reasons`` are by name."""

    def __init__(self, reasons: Mapping[str, SeloError]) -> None:
        super().__init__(reasons)
        self.reasons = dict(reasons)
        self.hint = "mend or leave out those, and import again"

    def __str__(self) -> str:
        told = "; ".join(f"{name}: {error}" for name, error in self.reasons.items())
        return f"nobody was added, for {len(self.reasons)} cannot be: {told}"


class RotationUnfinished(UsageError):
    """A peer with as many older identities as one may have."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(name, most)
        self.name = name
        self.most = most
        self.hint = f"forget them with `selo trust rotate {name} --finish`"

    def __str__(self) -> str:
        return f"{self.name} has {self.most} older identities already"


class NoRotation(UsageError):
    """A rotation, of our own identity or of the named peer's, that was never started."""

    def __init__(self, peer: str | None = None) -> None:
        super().__init__(peer)
        self.peer = peer
        if peer is None:
            self.hint = "start one with `selo rotate --start`"

    def __str__(self) -> str:
        return "there is no next identity" if self.peer is None else f"{self.peer} has one identity only"


class RotationUnderWay(UsageError):
    """A rotation of our own identity that was started before."""

    hint = "go on with `selo rotate --finish`, or drop it with `selo rotate --cancel`"

    def __str__(self) -> str:
        return "there is a next identity already"


class HomeNotEmpty(UsageError):
    """A home into which nothing can be restored, since something is in it."""

    hint = "move it away first, or name another with --home"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.home = home

    def __str__(self) -> str:
        return f"the home {self.home} is not empty"


class BackupRefused(UsageError):
    """A file that is no backup of a home."""

    hint = "`selo backup FILE` writes one"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source} is no backup: {self.reason}"


class PassphraseRefused(UsageError):
    """A passphrase that was not given, or cannot be one."""

    hint = "type one, or name a file that holds it"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NoSenders(UsageError):
    """Nobody who could deliver anything to us."""

    hint = "name the sender with `--from NAME`, or let a known peer in for good with `selo trust allow NAME`"

    def __str__(self) -> str:
        return "no peer may send to us"


class OwnIdentity(UsageError):
    """Our own identity where a peer's was expected."""

    hint = "the file must come from the other machine: `selo id --export` there writes it"

    def __str__(self) -> str:
        return "this is our own identity, not a peer's"


class PublicIdentityRefused(UsageError):
    """A file given as a public identity that is none."""

    hint = "`selo id --export` on the other machine writes it"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source} holds no public identity: {self.reason}"


class FileFault(LocalFault):
    """The operating system refused a file; ``action`` is what was tried (`read`, `write`, ...)."""

    def __init__(self, action: str, path: Path | str, reason: str) -> None:
        super().__init__(action, path, reason)
        self.action = action
        self.path = path
        self.reason = reason

    @classmethod
    def from_os(cls, action: str, path: Path | str, error: OSError) -> FileFault:
        """The same, from what the system said."""
        words = error.strerror or str(error)
        return cls(action, path, words[:1].lower() + words[1:])

    def __str__(self) -> str:
        return f"cannot {self.action} {self.path}: {self.reason}"


class FileDamaged(LocalFault):
    """A file of the home that is not what we write there."""

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(path, reason, hint)
        self.path = path
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}"
