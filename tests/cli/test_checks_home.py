import json

import pytest

from selo.agents.cli.checks_home import folder, identity, trust
from selo.agents.cli.findings import Level
from selo.config.home import Home
from selo.config.trust import TrustStore


def only(findings):
    (found,) = findings
    return found


@pytest.fixture
def locked(tmp_path):
    """A home whose identity is encrypted, and the file with its passphrase."""
    home, file = Home(tmp_path / "locked"), tmp_path / "passphrase"
    home.create_identity(name="l", passphrase=b"sesame")
    file.write_bytes(b"sesame\n")
    file.chmod(0o600)
    return home, file


@pytest.mark.parametrize("fault", ["missing", "file", "open", "closed"])
def test_a_home_that_is_not_right_is_mended(fault, tmp_path, mend):
    """No folder, a file in its place, reachable by others, closed: each fix makes a good home."""
    home = Home(tmp_path / "a home")
    if fault == "file":
        home.path.write_text("x")
    elif fault != "missing":
        home.create_identity()
        home.path.chmod(0o755 if fault == "open" else 0o500)
    found = only(folder(home, f"selo --home '{home.path}'"))
    assert (found.subject, found.level) == ("home", Level.PROBLEM)
    mend(found)
    assert only(folder(home, "selo")).level is Level.OK
    assert home.load_identity()


@pytest.mark.parametrize("fault", ["missing", "damaged", "open", "foreign half", "damaged half"])
def test_an_identity_that_is_not_right_is_mended(fault, home, make_home, mend):
    """Each fault of the two files is one problem; its fix leaves an identity whose halves belong together."""
    before = home.load_identity().fingerprint
    if fault == "missing":
        home.identity_file.unlink()
    elif fault == "damaged":
        home.identity_file.write_text("not an identity")
    elif fault == "open":
        home.identity_file.chmod(0o644)
    elif fault == "foreign half":
        home.public_identity_file.write_bytes(make_home("bob").public_identity_file.read_bytes())
    else:
        home.public_identity_file.write_text("x")
    selo = f"selo --home {home.path}"
    found = only(each for each in identity(home, None, selo) if each.level is not Level.OK)
    assert (found.subject, found.level) == ("identity", Level.PROBLEM)
    mend(found)
    assert [each.level for each in identity(home, None, selo)] == [Level.OK, Level.OK]
    assert (home.load_identity().fingerprint == before) == (fault not in ("missing", "damaged"))


def test_a_public_half_that_is_missing_is_made_again(home, mend):
    """A note: everything works without it."""
    home.public_identity_file.unlink()
    selo = f"selo --home {home.path}"
    found = only(each for each in identity(home, None, selo) if each.fix)
    assert (found.subject, found.level) == ("identity", Level.NOTE)
    mend(found)
    assert home.public_identity_file.exists()


def test_a_passphrase_that_opens_the_identity_is_well(locked):
    """And so is the identity behind it."""
    home, file = locked
    assert [(each.subject, each.level) for each in identity(home, file, "selo")] == [
        ("passphrase", Level.OK),
        ("identity", Level.OK),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no passphrase file is named"), (b"", "empty first line"), (b"wrong\n", "passphrase: ")],
)
def test_a_passphrase_that_does_not_open_the_identity_is_a_problem(content, words, locked):
    """None, an empty one, the wrong one."""
    home, file = locked
    if content is not None:
        file.write_bytes(content)
    found = only(identity(home, None if content is None else file, "selo"))
    assert (found.subject, found.level) == ("passphrase", Level.PROBLEM)
    assert words in found.seen
    assert found.fix.startswith("export SELO_PASSPHRASE_FILE=")


def test_a_passphrase_file_that_is_missing_is_a_problem(locked, tmp_path):
    """It is named in the words."""
    found = only(identity(locked[0], tmp_path / "nowhere", "selo"))
    assert (found.subject, found.level) == ("passphrase", Level.PROBLEM)
    assert str(tmp_path / "nowhere") in found.seen


def test_a_passphrase_file_that_others_read_is_a_warning(locked, mend):
    """The identity opens all the same; chmod mends it."""
    home, file = locked
    file.chmod(0o644)
    found = next(identity(home, file, "selo"))
    assert (found.subject, found.level, found.fix) == ("passphrase", Level.WARNING, f"chmod 600 {file}")
    mend(found)
    assert all(each.level is Level.OK for each in identity(home, file, "selo"))


def test_a_passphrase_that_nobody_needs_is_a_note(home, tmp_path):
    """The identity is not encrypted."""
    found = next(identity(home, tmp_path / "p", "selo"))
    assert (found.subject, found.level, found.fix) == (
        "passphrase",
        Level.NOTE,
        "unset SELO_PASSPHRASE_FILE",
    )


def test_peers_are_counted(home, make_home):
    """Nobody known and nobody who may send are notes; else it says how many may."""
    found = only(trust(home, "selo"))
    assert (found.level, found.fix) == (Level.NOTE, "selo trust add NAME FILE")
    TrustStore(home).add("bob", make_home("bob").load_identity().public)
    found = only(trust(home, "selo"))
    assert (found.level, found.fix) == (Level.NOTE, "selo trust allow NAME")
    TrustStore(home).add("carol", make_home("carol").load_identity().public, may_send=True)
    assert only(trust(home, "selo")).seen == "2 peers, of which 1 may send to us"


def test_a_damaged_peer_is_a_problem_and_can_be_removed(home, make_home, mend):
    """The others still count; the fix forgets the damaged one alone."""
    store = TrustStore(home)
    for name in ("bob", "carol"):
        store.add(name, make_home(name).load_identity().public, may_send=True)
    (home.peers_folder / "bob.json").write_text(json.dumps({}))
    found, rest = trust(home, f"selo --home {home.path}")
    assert (found.subject, found.level) == ("trust", Level.PROBLEM)
    assert "bob.json is damaged" in found.seen
    assert rest.seen == "1 peer, of which 1 may send to us"
    mend(found)
    assert only(trust(home, "selo")).level is Level.OK
    assert store.names() == ["carol"]
