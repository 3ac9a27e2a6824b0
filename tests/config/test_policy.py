"""What a peer may deliver: the settings, and what was said of one peer."""

from dataclasses import FrozenInstanceError, fields, replace
from itertools import product
from pathlib import Path

import pytest

from selo.config.catalogue import CATALOGUE
from selo.config.limits import LIMITS
from selo.config.peer import Peer
from selo.config.policy import (
    AS_SETTINGS,
    OF_SETTINGS,
    UNLIMITED,
    Names,
    Overwrite,
    PeerPolicy,
    Policy,
    policy_for,
)
from selo.config.settings import load_settings

FIELDS = [field.name for field in fields(Policy)]
# Two values of each field, as a peer's policy, as JSON, and as they hold; none is a default.
SAID = {
    "into": [(Path("/srv/bob"), "/srv/bob"), (Path("/"), "/")],
    "folders": [(False, False), (True, True)],
    "max_bytes": [(1 << 30, 1 << 30), (1, 1)],
    "max_items": [(1000, 1000), (1, 1)],
    "keep_free": [(1 << 20, 1 << 20), (0, 0)],
    "names": [(Names.PORTABLE, "portable"), (Names.ANY, "any")],
    "overwrite": [(Overwrite.RENAME, "rename"), (Overwrite.REPLACE, "replace")],
    "rate": [(10**6, 10**6), (1000, 1000)],
}
LIMITED = ["max_bytes", "max_items", "rate"]
NUMBERS = [*LIMITED, "keep_free"]
# What no field takes: every type of JSON that is not its own, and its own type out of its range.
OF_NO_FIELD = [None, [], [1], {}, {"a": 1}, 1.0, 1.5, "", "a\0b"]
ILLEGAL = {
    "into": [True, 0, 1, "srv", ".", "~/box", "~bob", "-", "/a\0b"],
    "folders": [0, 1, "yes", "true", "false"],
    "names": [True, False, 0, 1, "Plain", "PLAIN", "plain ", "none", "names"],
    "overwrite": [True, False, 0, 1, "Never", "true", "yes", "no", "replace,rename"],
}
OF_NO_NUMBER = [True, False, -1, "1", "1MiB", "unlimited", UNLIMITED + 1, UNLIMITED - 1, 10**400]
ILLEGAL |= {name: [*OF_NO_NUMBER, int(LIMITS[OF_SETTINGS + name].high) + 1] for name in NUMBERS}
ILLEGAL["keep_free"].append(UNLIMITED)
for name in LIMITED:
    ILLEGAL[name] += [0, int(LIMITS[OF_SETTINGS + name].low) - 1]


@pytest.fixture
def make_peer(make_home):
    """Makes a peer with a policy."""
    identity = make_home("bob").load_public_identity()[0]
    return lambda policy: Peer("bob", True, identity, policy=policy)


def policy(**values):
    """A policy without limits, but for some fields."""
    free = Policy(
        into=Path("."),
        folders=True,
        max_bytes=None,
        max_items=None,
        keep_free=0,
        names=Names.PLAIN,
        overwrite=Overwrite.NEVER,
        rate=None,
    )
    return replace(free, **values)


def test_every_field_has_its_setting_and_stands_in_both():
    """A peer's policy says what a policy says and nothing else, and each is a setting with that name."""
    assert [field.name for field in fields(PeerPolicy)] == FIELDS == list(SAID) and set(ILLEGAL) == set(
        FIELDS
    )
    assert {OF_SETTINGS + name for name in FIELDS} <= set(CATALOGUE)
    assert PeerPolicy() == AS_SETTINGS


def test_a_policy_does_not_change():
    """Nothing that runs can change what holds."""
    for each in (policy(), PeerPolicy()):
        with pytest.raises(FrozenInstanceError):
            each.max_bytes = 1


@pytest.mark.parametrize("mask", range(1, 1 << len(FIELDS)))
def test_what_is_stored_is_read_again(mask):
    """Every selection of fields; only what is set is stored."""
    chosen = {name: SAID[name][0] for bit, name in enumerate(FIELDS) if mask >> bit & 1}
    said = PeerPolicy(**{name: value for name, (value, _) in chosen.items()})
    entry = said.as_json()
    assert entry == {name: plain for name, (_, plain) in chosen.items()}
    assert PeerPolicy.from_json(entry) == said


@pytest.mark.parametrize(("name", "which"), [*product(FIELDS, (0, 1))])
def test_every_value_keeps_its_type(name, which):
    """What is read is a path, a word of its kind, a bool or an int, as it was written."""
    value, plain = SAID[name][which]
    read = getattr(PeerPolicy.from_json({name: plain}), name)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in FIELDS for value in (*OF_NO_FIELD, *ILLEGAL[name])],
    ids=repr,
)
def test_a_stored_policy_is_read_strictly(name, value):
    """Each field refuses each value that we would not write: other types, out of range, unknown words."""
    with pytest.raises(ValueError, match=f"^{name} is "):
        PeerPolicy.from_json({name: value})


@pytest.mark.parametrize(
    "entry", [{}, [], None, True, 1, "into", ["into"], {"into ": "/a"}, {"may_send": True}], ids=repr
)
def test_what_is_no_object_of_fields_is_no_policy(entry):
    """An empty one is not written, and an unknown field may be a limit that we would not keep."""
    with pytest.raises(ValueError, match="^a policy "):
        PeerPolicy.from_json(entry)


def test_the_ends_of_a_range_can_be_stored():
    """And for what need not be limited the absence of a limit."""
    for name in NUMBERS:
        limit = LIMITS[OF_SETTINGS + name]
        for value in (int(limit.low), int(limit.high), *([UNLIMITED] if name in LIMITED else [])):
            assert getattr(PeerPolicy.from_json({name: value}), name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_not_said_is_as_the_settings_say(name, make_peer):
    """Each field comes from its setting, whatever that is."""
    for value, _ in SAID[name]:
        settings = replace(load_settings(), **{OF_SETTINGS + name: value})
        assert getattr(policy_for(settings, make_peer(AS_SETTINGS)), name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_said_of_a_peer_comes_before_the_settings(name, make_peer):
    """Each field alone, also where what is said is no, nothing or the larger; the others stay."""
    (one, _), (other, _) = SAID[name]
    for said, setting in ((one, other), (other, one)):
        settings = replace(load_settings(), **{OF_SETTINGS + name: setting})
        holds = policy_for(settings, make_peer(PeerPolicy(**{name: said})))
        assert holds == replace(policy_for(settings, make_peer(AS_SETTINGS)), **{name: said})


@pytest.mark.parametrize("name", LIMITED)
def test_a_peer_can_be_without_the_settings_limit(name, make_peer):
    """UNLIMITED is no number in what holds."""
    settings = replace(load_settings(), **{OF_SETTINGS + name: 5000})
    assert getattr(policy_for(settings, make_peer(PeerPolicy(**{name: UNLIMITED}))), name) is None


@pytest.mark.parametrize("output", ["-", "file"])
def test_one_output_is_everybodys(output, make_peer):
    """A run that was told where a delivery goes does not put it elsewhere."""
    settings = load_settings(None, {}, {"receive_output": output})
    assert policy_for(settings, make_peer(PeerPolicy(into=Path("/srv/bob")))).into is None
    assert policy_for(settings, make_peer(AS_SETTINGS)).into is None


@pytest.mark.parametrize(
    ("limits", "tree", "size", "items", "words"),
    [
        ({}, True, 1 << 62, 1 << 62, None),
        ({}, False, None, None, None),
        ({"folders": False}, True, 0, 0, "folders"),
        ({"folders": False}, False, 0, None, None),
        ({"max_bytes": 1 << 20}, False, 1 << 20, None, None),
        ({"max_bytes": 1 << 20}, False, (1 << 20) + 1, None, "of 1048577 bytes, and at most 1MiB"),
        ({"max_bytes": 1 << 20}, True, 2 << 20, 1, "of 2MiB, and at most 1MiB"),
        ({"max_bytes": 1}, False, 0, None, None),
        ({"max_bytes": 1}, False, None, None, None),
        ({"max_items": 10}, True, 0, 10, None),
        ({"max_items": 10}, True, 0, 11, "11 items, and at most 10"),
        ({"max_items": 10}, True, 0, None, None),
        ({"max_items": 1}, False, 5, None, None),
        ({"folders": False, "max_bytes": 1, "max_items": 1}, True, 2, 2, "folders"),
        ({"max_bytes": 1, "max_items": 1}, True, 2, 2, "at most 1 byte "),
    ],
)
def test_an_offer_is_judged_by_what_it_announces(limits, tree, size, items, words):
    """At a limit is within it; what is not announced is no reason."""
    reason = policy(**limits).refuse(tree=tree, size=size, items=items)
    if words is None:
        assert reason is None
    else:
        assert words in reason
        assert not reason.endswith(".")
