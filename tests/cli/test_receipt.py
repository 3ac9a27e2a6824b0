import time

import pytest
from blake3 import blake3

from selo.agents.cli.main import main
from selo.agents.cli.words import fingerprint_words
from selo.agents.receipt_file import ReceiptKeeper
from selo.config.trust import TrustStore
from selo.crypto.items import Item, ItemLog, ItemType
from selo.crypto.receipts import Statement, sign
from selo.crypto.suites import CLASSIC
from tests.cli.lines import event_of


@pytest.fixture
def receipt(home):
    """Runs `selo receipt ...` in alice's home."""
    return lambda *words: main(["--home", str(home.path), "receipt", *map(str, words)])


@pytest.fixture
def bob(make_home):
    """The home of bob, the Receiver."""
    return make_home("bob")


@pytest.fixture
def known(home, bob):
    """Alice knows bob under her name for him."""
    return TrustStore(home).add("bobby", bob.load_public_identity()[0])


@pytest.fixture
def photos(tmp_path):
    """What was delivered: a folder with a file, a link and names that are hostile to a terminal."""
    top = tmp_path / "photos"
    (top / "deep").mkdir(parents=True)
    (top / "a.jpg").write_bytes(b"a photo")
    (top / "deep" / "\x1b[2J\u202ename").write_bytes(b"x")
    (top / "latest").symlink_to("a.jpg")
    return top


ITEMS = [
    Item(ItemType.FOLDER, b"photos"),
    Item(ItemType.FILE, b"photos/a.jpg", 7, blake3(b"a photo").digest()),
    Item(ItemType.FOLDER, b"photos/deep"),
    Item(ItemType.FILE, "photos/deep/\x1b[2J\u202ename".encode(), 1, blake3(b"x").digest()),
    Item(ItemType.LINK, b"photos/latest", target=b"a.jpg"),
]


@pytest.fixture
def write_receipt(home, bob, tmp_path):
    """Writes receipts of deliveries from alice to bob, or whom else a test names."""

    def write(items=ITEMS, *, signer=None, name="receipt", **fields):
        identity = (signer or bob).load_identity()
        keeper = ReceiptKeeper(tmp_path / name)
        log = ItemLog(keeper.begin())
        for item in items:
            log.add(item)
        values = {
            "suite": CLASSIC,
            "emitter": home.load_identity().fingerprint,
            "receiver": identity.fingerprint,
            "transcript": b"T" * 32,
            "delivery": b"D" * 16,
            "kind": 3,
            "durable": True,
            "sha256": any(item.sha256 for item in items),
            "time": 1_800_000_000,
            "items": log.count,
            "items_bytes": log.size,
            "length": 300,
            "blake3": b"B" * 32,
            "items_hash": log.hash,
        }
        statement = Statement(**values | fields)
        keeper.signed(statement, sign(identity, statement))
        keeper.write()
        return tmp_path / name

    return write


@pytest.fixture
def file(write_receipt):
    """The receipt of the photos, signed by bob."""
    return write_receipt()


SIGNATURE, LIST = 6, 8
"""Lines of a receipt's text that hold nothing but that."""


def altered(file, line):
    """The same receipt with another character at the beginning of a line, in a file beside it."""
    lines = file.read_bytes().splitlines(keepends=True)
    lines[line] = (b"B" if lines[line][:1] == b"A" else b"A") + lines[line][1:]
    other = file.with_name("altered")
    other.write_bytes(b"".join(lines))
    return other


def events(text):
    return [event_of(line) for line in text.splitlines()]


# show


def test_show_says_everything_that_was_signed(receipt, home, bob, known, file, capsys):
    """Both sides by our names and fingerprints, what, when, in which session, and every item."""
    assert receipt("show", file) == 0
    output = capsys.readouterr().out
    for wanted in (
        "from         this home's identity\n",
        "stored by    bobby\n",
        home.load_identity().fingerprint.hex(" ", 4),
        fingerprint_words(bob.load_identity().fingerprint),
        "2027-01-15 08:00:00 UTC",
        "a tree of 5 items with 8 bytes, synced to disk",
        (b"D" * 16).hex(),
        (b"T" * 32).hex(),
        (b"B" * 32).hex(),
        f"7  blake3 {blake3(b'a photo').hexdigest()}  photos/a.jpg\n",
        "photos/deep/\n",
        "photos/latest -> a.jpg\n",
    ):
        assert wanted in output
    assert "signature    not checked" in output


def test_show_needs_no_home_and_no_peer(file, tmp_path, capsys):
    """Who knows nobody can still read it, and is told that these are strangers."""
    assert main(["--home", str(tmp_path / "nobody"), "receipt", "show", str(file)]) == 0
    assert capsys.readouterr().out.count("somebody whom we do not know") == 2


def test_show_with_json(receipt, bob, known, file, capsys):
    """One object for the statement, then one for each item, on standard error."""
    assert receipt("show", file, "--json") == 0
    captured = capsys.readouterr()
    head, *items = events(captured.err)
    assert captured.out == ""
    assert (head["event"], head["kind"], head["durable"], head["items"]) == ("receipt", "tree", True, 5)
    assert head["stored_at"] == 1_800_000_000  # beside the time that every line has
    assert (head["receiver"], head["receiver_name"]) == (bob.load_identity().fingerprint.hex(), "bobby")
    assert [(item["type"], item["path"]) for item in items] == [
        (item.type.name.lower(), item.path.decode()) for item in ITEMS
    ]
    assert items[1]["blake3"] == blake3(b"a photo").hexdigest()
    assert (items[0]["blake3"], items[4]["target"]) == (None, "a.jpg")


def test_show_of_a_stream_and_of_sha256(receipt, write_receipt, capsys):
    """A stream without a name is said to be one; SHA-256 stands beside BLAKE3; not durable is said."""
    item = Item(ItemType.STREAM, b"", 7, b"b" * 32, b"s" * 32)
    assert receipt("show", write_receipt([item], kind=0, durable=False)) == 0
    output = capsys.readouterr().out
    assert "a stream of 1 item with 7 bytes, not known to survive a power cut" in output
    assert f"blake3 {(b'b' * 32).hex()} sha256 {(b's' * 32).hex()}  (a stream without a name)" in output


# verify


@pytest.mark.parametrize("paths", [[], ["photos"]])
def test_verify_of_what_is_as_it_was(paths, receipt, known, file, photos, capsys):
    """Status 0, and in words who signed what and when."""
    assert receipt("verify", file, *(photos.parent / path for path in paths)) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("signed by bobby at 2027-01-15 08:00:00 UTC: a tree of 5 items")
    assert ("as it was delivered: 5 of 5 items were compared" in captured.out) == bool(paths)
    assert captured.err == ""


def test_verify_of_our_own_signature(receipt, home, write_receipt, capsys):
    """A Receiver can check what it signed itself."""
    assert receipt("verify", write_receipt(signer=home)) == 0
    assert "signed by this home's identity" in capsys.readouterr().out


def test_verify_by_an_older_identity(receipt, home, make_home, known, file, capsys):
    """A peer that has changed its identity since is still known by the one it signed with."""
    TrustStore(home).rotate("bobby", make_home("bob2").load_public_identity()[0])
    assert receipt("verify", file) == 0
    assert "signed by bobby" in capsys.readouterr().out


def test_verify_with_an_identity_needs_no_home(bob, file, tmp_path, capsys):
    """Anybody who has the signer's public identity can check a receipt."""
    words = ["receipt", "verify", str(file), "--identity", str(bob.public_identity_file)]
    assert main(["--home", str(tmp_path / "nobody"), *words]) == 0
    assert "signed by the identity in " in capsys.readouterr().out


@pytest.mark.parametrize("homeless", [True, False])
def test_security_a_stranger_proves_nothing(homeless, receipt, file, photos, tmp_path, capsys):
    """Status 3 for a signer whom we do not know, with its fingerprint; no file is looked at."""
    if homeless:
        status = main(["--home", str(tmp_path / "nobody"), "receipt", "verify", str(file), str(photos)])
    else:
        status = receipt("verify", file, photos)
    assert status == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "we know nobody with the fingerprint" in captured.err
    assert "hint: name the signer's public identity with --identity FILE" in captured.err


def test_security_a_signature_that_is_not_the_signers(receipt, known, file, photos, capsys):
    """Status 3; nothing that it says is repeated, and no file is looked at."""
    assert receipt("verify", altered(file, SIGNATURE), photos) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the receipt is not signed by bobby" in captured.err


def test_security_another_identity_than_the_signers(receipt, known, home, file, capsys):
    """The identity that is named must be the signer's; that we know the signer is no way around it."""
    assert receipt("verify", file, "--identity", home.public_identity_file) == 3
    assert "the receipt is not signed by the identity in " in capsys.readouterr().err


def test_verify_of_what_is_no_receipt(receipt, known, file, tmp_path, capsys):
    """Status 2 for another file, and for a receipt that was cut, extended, or has another list."""
    for data in (b"", b"hello", file.read_bytes()[:-1], file.read_bytes() + b"\n"):
        (tmp_path / "other").write_bytes(data)
        assert receipt("verify", tmp_path / "other") == 2
        assert "other holds no receipt: " in capsys.readouterr().err
    assert receipt("verify", altered(file, LIST)) == 2
    assert "altered holds no receipt: " in capsys.readouterr().err


def test_verify_of_files_that_are_not_there(receipt, known, tmp_path, capsys):
    """A receipt or an identity that cannot be read is a fault of this machine."""
    assert receipt("verify", tmp_path / "missing") == 1
    assert "cannot read" in capsys.readouterr().err


def test_verify_with_an_identity_that_is_none(receipt, file, tmp_path, capsys):
    """Missing: 1. Something else: 2, by name."""
    assert receipt("verify", file, "--identity", tmp_path / "missing") == 1
    for data in (b"hello", b"\xff"):
        (tmp_path / "other.id").write_bytes(data)
        assert receipt("verify", file, "--identity", tmp_path / "other.id") == 2
        assert "other.id holds no public identity" in capsys.readouterr().err


def test_verify_shows_each_difference(receipt, known, file, photos, capsys):
    """Status 1, a line for each, names escaped; what lies besides is a note."""
    (photos / "a.jpg").unlink()
    (photos / "deep" / "\x1b[2J\u202ename").write_bytes(b"y")
    (photos / "\x1b[31mextra").touch()
    assert receipt("verify", file, photos) == 1
    captured = capsys.readouterr()
    shown = str(photos)
    assert captured.out.splitlines()[1:] == [
        f"{shown}/a.jpg: it is missing",
        rf"{shown}/deep/\x1b[2J\u202ename: its content differs",
    ]
    assert rf"{shown}/\x1b[31mextra: it is not in the receipt" in captured.err
    assert "selo: not as it was delivered: 2 of what the receipt lists" in captured.err
    assert "\x1b" not in captured.out + captured.err


def test_what_lies_besides_is_no_difference(receipt, known, file, photos, capsys):
    """A file more in the folder is said, and the status is 0."""
    (photos / "extra").touch()
    assert receipt("verify", file, photos) == 0
    assert "extra: it is not in the receipt" in capsys.readouterr().err


def test_verify_says_what_was_not_compared(receipt, known, write_receipt, photos, capsys):
    """Items that belong to none of the paths are counted."""
    file = write_receipt([*ITEMS, Item(ItemType.FOLDER, b"other")])
    assert receipt("verify", file, photos) == 0
    captured = capsys.readouterr()
    assert "5 of 6 items were compared" in captured.out
    assert "1 of 6 items belong to none of the paths" in captured.err
    assert receipt("verify", file, photos.parent / "third") == 2
    assert "nothing in the receipt is called as " in capsys.readouterr().err


def test_verify_with_json(receipt, known, file, photos, capsys):
    """Who signed, each difference, each extra and the end are objects; standard output stays empty."""
    assert receipt("verify", file, photos, "--json") == 0
    assert [event["event"] for event in events(capsys.readouterr().err)] == [
        "receipt-verified",
        "receipt-compared",
    ]
    (photos / "a.jpg").write_bytes(b"A photo")
    (photos / "extra").touch()
    assert receipt("verify", file, photos, "--json") == 1
    captured = capsys.readouterr()
    verified, difference, extra, error = events(captured.err)
    assert captured.out == ""
    assert (verified["event"], verified["signer"]) == ("receipt-verified", "bobby")
    assert difference == {
        "event": "receipt-difference",
        "path": str(photos / "a.jpg"),
        "reason": "its content differs",
    }
    assert extra == {"event": "receipt-extra", "path": str(photos / "extra")}
    assert (error["event"], error["status"]) == ("error", 1)


def test_security_no_name_reaches_the_terminal_as_it_is(receipt, write_receipt, capsys):
    """Paths and targets of a list are whatever its signer wrote: each stays on its line, escaped."""
    points = [*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x200B, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0xE0001]
    names = [f"a{chr(point)}b".encode() for point in points] + [b"a\xffb", b"a\xed\xa0\x80b"]
    items = [Item(ItemType.FILE, name, 1, b"x" * 32) for name in names]
    items += [Item(ItemType.LINK, b"l", target=name) for name in names]
    items += [Item(ItemType.FOLDER, name) for name in names]
    assert receipt("show", write_receipt(items)) == 0
    output = capsys.readouterr().out
    assert not {chr(point) for point in points} - {"\n"} & set(output)
    assert len(output.split("\n")[:-1]) == 14 + len(items)
    assert output.count("a\\x1bb") == output.count("a\\udcffb") == 3


def test_the_time_is_utc(receipt, write_receipt, monkeypatch, capsys):
    """Wherever the reader is, and up to the last time that there is."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert receipt("show", write_receipt(time=0, name="first")) == 0
        assert receipt("show", write_receipt(time=253_402_300_799, name="last")) == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    output = capsys.readouterr().out
    assert "1970-01-01 00:00:00 UTC" in output and "9999-12-31 23:59:59 UTC" in output
