import pytest
from hypothesis import given
from hypothesis import strategies as st

from selo.agents.cli.words import fingerprint_digits, fingerprint_words


@pytest.mark.parametrize(
    ("entropy", "words"),
    [
        ("00" * 16, "abandon " * 11 + "about"),
        ("7f" * 16, "legal winner thank year wave sausage worth useful legal winner thank yellow"),
        ("80" * 16, "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"),
        ("ff" * 16, "zoo " * 11 + "wrong"),
    ],
)
def test_the_words_are_those_of_bip_39(entropy, words):
    """The first 16 bytes become the words of BIP-39's own test vectors; the rest changes none of them."""
    for rest in (bytes(16), b"\xff" * 16):
        assert fingerprint_words(bytes.fromhex(entropy) + rest) == words


@given(st.binary(min_size=32, max_size=32))
def test_there_are_always_twelve_words(fingerprint):
    """Every fingerprint has twelve lower-case words."""
    words = fingerprint_words(fingerprint).split(" ")
    assert len(words) == 12
    assert all(word.isascii() and word.islower() for word in words)


def test_all_digits_are_shown():
    """64 hexadecimal digits in eight groups of eight."""
    shown = fingerprint_digits(bytes(range(32)))
    assert shown.replace(" ", "") == bytes(range(32)).hex()
    assert [len(group) for group in shown.split(" ")] == [8] * 8
