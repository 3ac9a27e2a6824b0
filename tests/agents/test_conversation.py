"""Messages both ways between two programs, over real sockets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from blake3 import blake3

from selo.agents.conversation import Conversation, converse
from selo.agents.dialogue import OFFER
from selo.agents.errors import ConversationCut, MessageTooLong, PeerFailed, UnreadMessages
from selo.agents.meeting_errors import NobodyCame, NotReached, OnePeerToConnectTo, WrongListener
from selo.agents.routes import dial
from selo.agents.stop import Stop
from selo.config.trust import Peer
from selo.crypto.records import RecordType
from selo.errors import Interrupted, MisuseError, SeloError, SessionError
from tests.leaks import descriptors


class Ends:
    """A place to meet, and what each side found there."""

    def __init__(self, parties, settings, folder) -> None:
        self.address = f"ipc://{folder}/s"
        self.settings = settings
        self.alice = Peer("alice", True, parties.emitter.public)
        self.bob = Peer("bob", True, parties.receiver.public)
        self._parties = parties
        self.errors: dict[str, BaseException] = {}

    def bind(self, **options) -> Conversation:
        """Bob's side."""
        options = {
            "identity": self._parties.receiver,
            "peers": self.alice,
            "settings": self.settings,
        } | options
        return converse(bind=self.address, **options)

    def connect(self, **options) -> Conversation:
        """Alice's side."""
        options = {"identity": self._parties.emitter, "peers": self.bob, "settings": self.settings} | options
        return converse(connect=self.address, **options)

    def run(self, server: Callable[[], object], client: Callable[[], object]) -> None:
        """Both programs, each in a thread, until both have ended; their errors are kept."""
        threads = [
            threading.Thread(target=self._guarded, args=(name, work), daemon=True)
            for name, work in (("server", server), ("client", client))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads), "a program hangs"
        assert not [each for each in threading.enumerate() if each.name == "selo-conversation"]

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self.errors[name] = error


@pytest.fixture
def ends(parties, settings, tmp_path) -> Ends:
    """Two programs that trust each other."""
    tmp_path.chmod(0o700)
    return Ends(parties, settings, tmp_path)


def echo(ends: Ends, **options) -> Callable[[], None]:
    """A server that sends every message back."""

    def serve() -> None:
        with ends.bind(**options) as talk:
            for message in talk:
                talk.send(message)

    return serve


SIZES = [0, 1, 4095, 65_534, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 5_000_000]


def test_messages_of_every_size_go_both_ways(ends) -> None:
    """What is sent comes back, whole and in order, whatever its length."""
    sent = [os.urandom(size) for size in SIZES]
    got = []

    def client() -> None:
        with ends.connect() as talk:
            for message in sent:
                talk.send(message)
                got.append(talk.receive(20))

    ends.run(echo(ends), client)
    assert ends.errors == {}
    assert got == sent


def test_both_sides_may_speak_at_once(ends) -> None:
    """Neither direction waits for the other: small windows, many messages, both ways at once."""
    small = replace(ends.settings, window_bytes=4096, window_records=4, record_size=1024)
    sent = [os.urandom(n % 3000) for n in range(300)]
    heard: dict[str, list[bytes]] = {}

    def speak(name, side) -> Callable[[], None]:
        def work() -> None:
            with side(settings=small) as talk:
                speaker = threading.Thread(target=lambda: (*map(talk.send, sent), talk.finish()))
                speaker.start()
                heard[name] = list(talk)
                speaker.join()

        return work

    ends.run(speak("server", ends.bind), speak("client", ends.connect))
    assert ends.errors == {}
    assert heard == {"server": sent, "client": sent}


@pytest.mark.parametrize("first", ["server", "client", "both"])
def test_either_side_may_finish_first(first, ends) -> None:
    """Half closed, the other direction goes on; the end waits for both."""
    heard = {}

    def work(name, side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                if first in (name, "both"):
                    talk.send(b"last words")
                    talk.finish()
                    heard[name] = list(talk)
                else:
                    heard[name] = [*talk]
                    for n in range(5):
                        talk.send(b"%d" % n)

        return body

    ends.run(work("server", ends.bind), work("client", ends.connect))
    assert ends.errors == {}
    expected = [b"last words"] if first == "both" else [b"0", b"1", b"2", b"3", b"4"]
    other = {"server": "client", "client": "server", "both": "client"}[first]
    assert heard[first if first != "both" else "server"] == expected
    assert heard[other] == [b"last words"]


def test_both_sides_know_their_session(ends) -> None:
    """Role, peer, suite and transcript are there, and exported keys agree."""
    facts = {}

    def work(name, side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                facts[name] = talk.session

        return body

    ends.run(work("server", ends.bind), work("client", ends.connect))
    assert ends.errors == {}
    server, client = facts["server"], facts["client"]
    assert (server.role, server.peer, client.role, client.peer) == ("Receiver", "alice", "Emitter", "bob")
    assert server.transcript == client.transcript
    assert server.export("x", b"", 16) == client.export("x", b"", 16)


@pytest.mark.parametrize("who", ["server", "client"])
def test_unread_messages_are_an_error_on_both_sides(who, ends) -> None:
    """Whoever closes without listening is told, and so is the one who spoke: nothing is lost silently."""

    def deaf(side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                while not talk._mailbox._inbox:
                    time.sleep(0.001)

        return body

    def speaker(side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                talk.send(b"are you there?")

        return body

    sides = {"server": ends.bind, "client": ends.connect}
    programs = {name: (deaf if name == who else speaker)(side) for name, side in sides.items()}
    ends.run(programs["server"], programs["client"])
    other = "client" if who == "server" else "server"
    assert isinstance(ends.errors[who], UnreadMessages)
    assert isinstance(ends.errors[other], ConversationCut)
    assert (ends.errors[other].sent, ends.errors[other].taken) == (1, 0)


@pytest.mark.parametrize("who", ["server", "client"])
def test_an_exception_in_the_block_gives_the_conversation_up(who, ends) -> None:
    """It comes out as itself; the other side hears that it was given up, and does not hang."""

    def failing(side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                talk.send(b"m")
                raise KeyError("a bug")

        return body

    def listening(side) -> Callable[[], None]:
        def body() -> None:
            with side() as talk:
                for _ in talk:
                    pass

        return body

    sides = {"server": ends.bind, "client": ends.connect}
    programs = {name: (failing if name == who else listening)(side) for name, side in sides.items()}
    ends.run(programs["server"], programs["client"])
    other = "client" if who == "server" else "server"
    assert isinstance(ends.errors[who], KeyError)
    assert isinstance(ends.errors[other], SessionError)


def test_a_lost_peer_ends_a_wait(ends) -> None:
    """A peer that falls silent is lost after the idle limit: iteration, receive and send raise."""
    quick = replace(ends.settings, idle_limit=0.5, ping_interval=0.1)
    raised = []

    ended = threading.Event()

    def frozen() -> None:
        talk = ends.bind(settings=quick)
        turn = talk._session._turn
        talk._session._turn = lambda handler: (ended.wait(20), turn(handler))  # as a process that was stopped
        ended.wait(20)
        talk.abort()

    def client() -> None:
        talk = ends.connect(settings=quick)
        for attempt in (lambda: list(talk), lambda: talk.receive(5), lambda: talk.send(b"m"), talk.close):
            try:
                attempt()
            except SeloError as error:
                raised.append(type(error))
        ended.set()

    ends.run(frozen, client)
    assert raised == [ConversationCut] * 4


def test_a_message_that_is_too_long_is_refused_on_both_sides(ends) -> None:
    """The receiving program's own limit, told to the other; status 1 on both."""
    strict = replace(ends.settings, message_max=1000)
    ends.run(echo(ends, settings=strict), lambda: _talk_too_long(ends))
    assert isinstance(ends.errors["server"], MessageTooLong)
    assert isinstance(ends.errors["client"], PeerFailed)
    assert "1,000" in str(ends.errors["client"])


def _talk_too_long(ends: Ends) -> None:
    with ends.connect() as talk:
        talk.send(bytes(1000))
        assert talk.receive(10) == bytes(1000)
        talk.send(bytes(1001))
        talk.receive(10)


def test_sending_after_the_end_is_a_mistake(ends) -> None:
    """After finish and after close, send says so."""

    def client() -> None:
        talk = ends.connect()
        talk.finish()
        with pytest.raises(MisuseError):
            talk.send(b"more")
        talk.close()
        talk.close()
        with pytest.raises(MisuseError):
            talk.send(b"more")

    ends.run(echo(ends), client)
    assert ends.errors == {}


@pytest.mark.parametrize("message", [5, "text", None, [1, 2]], ids=repr)
def test_only_bytes_are_messages(message, ends) -> None:
    """A number is not that many zeros, and text has no encoding of ours."""

    def client() -> None:
        with ends.connect() as talk, pytest.raises(TypeError):
            talk.send(message)

    ends.run(echo(ends), client)
    assert ends.errors == {}


def test_one_server_after_another_on_one_address(ends) -> None:
    """The address is free when a conversation has ended; no descriptor of it is left."""

    def client() -> None:
        with ends.connect() as talk:
            talk.send(b"m")
            assert talk.receive(10) == b"m"

    counts = []
    for _ in range(3):
        ends.run(echo(ends), client)
        counts.append(descriptors())
    assert ends.errors == {}
    assert counts[0] == counts[1] == counts[2]


def test_the_binding_side_closes_last(ends, play_emitter) -> None:
    """After its RECEIPT it waits for the other's close: to close first could destroy what it sent last."""

    def client() -> None:
        def script(rogue) -> None:
            rogue.send(RecordType.OPEN, OFFER.pack())
            rogue.send_final(blake3(b"").digest())
            while (record := rogue.receive()).type is not RecordType.FINAL:
                pass
            rogue.send(RecordType.RECEIPT, record.plaintext)
            assert rogue.receive().type is RecordType.RECEIPT
            assert not rogue.hears(0.3)

        leg = dial(ends.address, ends.settings)(ends.bob.identity, 0)
        play_emitter(leg, script)

    def server() -> None:
        listening.release()
        with ends.bind(report=lambda _event: listening.release()):
            pass

    listening = threading.Semaphore(0)
    ends.run(server, lambda: (listening.acquire(), listening.acquire(), client()))
    assert ends.errors == {}


def test_meeting_errors_come_out_of_the_call(ends, parties) -> None:
    """Nobody there, nobody came, somebody else, two peers to connect to, no peer, no place."""
    brief = replace(ends.settings, emit_wait=0.2, receive_wait=0.2)
    with pytest.raises(NotReached):
        ends.connect(settings=brief)
    with pytest.raises(NobodyCame):
        ends.bind(settings=brief)
    with pytest.raises(OnePeerToConnectTo):
        ends.connect(peers=[ends.alice, ends.bob])
    for options in ({"peers": []}, {"bind": ends.address}):
        with pytest.raises(MisuseError):
            ends.connect(**options)

    def client() -> None:
        ends.connect(peers=Peer("bob", True, parties.stranger.public))

    ends.run(lambda: ends.bind(settings=replace(brief, receive_wait=1.0)), client)
    assert isinstance(ends.errors["client"], WrongListener)
    assert ends.errors["server"].exit_status == 3


def test_what_was_given_up_is_over(ends) -> None:
    """After abort the block is left quietly, and anything else is the program's mistake."""

    def client() -> None:
        with ends.connect() as talk:
            talk.send(b"m")
            talk.abort()
            talk.abort()
            for call in (lambda: talk.send(b"m"), talk.receive, lambda: list(talk)):
                with pytest.raises(MisuseError, match="given up"):
                    call()

    ends.run(echo(ends), client)
    assert "client" not in ends.errors
    assert isinstance(ends.errors["server"], ConversationCut)
    assert "interrupted by its user or its program" in str(ends.errors["server"])


def test_a_request_to_stop_ends_a_wait_and_a_conversation(ends) -> None:
    """From any thread; whoever waits gets Interrupted, and the other side is told."""
    stop = Stop()
    threading.Timer(0.2, stop.request).start()
    with pytest.raises(Interrupted):
        ends.bind(stop=stop)

    second = Stop()

    def server() -> None:
        with ends.bind(stop=second) as talk:
            talk.receive()

    def client() -> None:
        with ends.connect() as talk:
            second.request()
            talk.receive()

    ends.run(server, client)
    assert isinstance(ends.errors["server"], Interrupted)
    assert isinstance(ends.errors["client"], ConversationCut)


def test_giving_one_up_leaves_the_others_alone(ends) -> None:
    """A Stop that several share is the caller's: giving up ends one conversation only."""
    shared = Stop()

    def client() -> None:
        with ends.connect(stop=shared) as talk:
            talk.abort()
        shared.check()

    ends.run(echo(ends), client)
    assert "client" not in ends.errors
