"""The file that is kept of a peer."""

import json
from pathlib import Path

import pytest

from selo.config.errors import FileDamaged
from selo.config.peer import OLDER_MAX, Peer, decode_peer, encode_peer
from selo.config.policy import AS_SETTINGS, PeerPolicy

PATH = Path("/home/a/.selo/peers/bob.json")


@pytest.fixture
def identities(make_home):
    """The public identities of some others."""
    return [make_home(f"other{n}").load_public_identity()[0] for n in range(OLDER_MAX + 2)]


@pytest.mark.parametrize("policy", [AS_SETTINGS, PeerPolicy(folders=False), PeerPolicy(into=PATH, rate=1000)])
@pytest.mark.parametrize("older", range(OLDER_MAX + 1))
@pytest.mark.parametrize("may_send", [True, False])
def test_what_is_written_is_read_again(older, may_send, policy, identities):
    """With any number of older identities, in their order, and with or without a policy."""
    peer = Peer("bob", may_send, identities[0], tuple(identities[1 : 1 + older]), policy)
    again = decode_peer("bob", PATH, encode_peer(peer))
    assert again == peer
    assert again.identities == tuple(identities[: 1 + older])
    assert [again.identity_of(each.fingerprint) for each in again.identities] == list(again.identities)


def damage(entry, identities):
    """Files that are none, each with one thing wrong."""
    text = identities[1].to_text(None)
    yield "an empty list", entry | {"older": []}
    yield "no list", entry | {"older": text}
    yield "a list of numbers", entry | {"older": [5]}
    yield "a list of nothing", entry | {"older": [None]}
    yield "too many", entry | {"older": [each.to_text(None) for each in identities[1 : OLDER_MAX + 2]]}
    yield "twice the same", entry | {"older": [text, text]}
    yield "the newest again", entry | {"older": [entry["identity"]]}
    yield "another key", entry | {"others": [text]}
    yield "a damaged one", entry | {"older": [text.replace("A", "B", 1)]}
    yield "an empty policy", entry | {"policy": {}}
    yield "no policy", entry | {"policy": None}
    yield "an unknown field", entry | {"policy": {"max_files": 1}}
    yield "a wrong value", entry | {"policy": {"max_bytes": "1MiB"}}


def test_a_damaged_file_is_refused(identities):
    """Every list of older identities and policy that we would not write; the error names the file."""
    entry = json.loads(encode_peer(Peer("bob", True, identities[0])))
    cases = list(damage(entry, identities))
    for name, wrong in cases:
        with pytest.raises(FileDamaged) as refused:
            decode_peer("bob", PATH, json.dumps(wrong).encode())
        assert str(PATH) in str(refused.value), name
    assert len(cases) == 13


def test_a_file_without_a_policy_says_nothing_of_one(identities):
    """Who was pinned before there were policies is taken as the settings say, and nothing is added."""
    data = encode_peer(Peer("bob", True, identities[0]))
    assert set(json.loads(data)) == {"version", "may_send", "identity"}
    assert decode_peer("bob", PATH, data).policy == AS_SETTINGS
