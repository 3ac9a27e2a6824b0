import inspect
from pathlib import Path

import pytest

from selo.config import errors
from selo.errors import LocalFault, SeloError, UsageError

EXAMPLES = [
    errors.SettingRefused("--wait", "x", "a duration"),
    errors.SettingsContradict(("--into", "--output"), "a delivery goes to one place"),
    errors.SettingMissing("whom to send to", ("`emit --to`", "SELO_EMIT_TO")),
    errors.UnknownSetting("f line 1", "idle", "idle_limit"),
    errors.UnknownSetting("f line 1", "colour", None),
    errors.SettingsFileRefused(Path("f"), "line 1"),
    errors.NoIdentity(Path("h")),
    errors.IdentityExists(Path("h")),
    errors.Exposed(Path("h"), 0o755, 0o700),
    errors.PassphraseFileRefused(Path("f"), "has an empty first line"),
    errors.NameRefused("a\n"),
    errors.NoSuchPeer("bob", ["carol"]),
    errors.PeerExists("bob", "bob"),
    errors.ManyRefused({"bob": errors.PeerExists("bob", "bob")}),
    errors.RotationUnfinished("bob", 3),
    errors.NoRotation(),
    errors.RotationUnderWay(),
    errors.HomeNotEmpty(Path("/home/a/.selo")),
    errors.BackupRefused("a.backup", "it is not JSON"),
    errors.PassphraseRefused("no passphrase was given"),
    errors.PeerAlreadyPinned("bob", "robert"),
    errors.NoSenders(),
    errors.OwnIdentity(),
    errors.PublicIdentityRefused("f", "it is not text"),
    errors.FileFault("read", Path("f"), "permission denied"),
    errors.FileDamaged(Path("f"), "it is not JSON", "remove it"),
]


def test_every_error_of_the_room_has_an_example_here():
    """The list above misses no class."""
    own = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, SeloError) and value.__module__ == errors.__name__
    }
    assert {type(example) for example in EXAMPLES} == own


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_speaks_one_plain_line(error):
    """One line without a capital and without a final period, and a fault of the person or of this machine."""
    words = str(error)
    assert words
    assert "\n" not in words
    assert not words[0].isupper()
    assert not words.endswith(".")
    assert isinstance(error, UsageError | LocalFault)
    assert "\n" not in error.hint
