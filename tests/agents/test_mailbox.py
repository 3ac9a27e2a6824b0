"""Between a program and its conversation: bounded, in order, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from selo.agents.errors import NothingCame, PeerLost
from selo.agents.mailbox import PER_MESSAGE, Mailbox
from selo.errors import MisuseError
from tests.agents.bell import ctrl_c_that_wakes_nobody


@pytest.fixture
def woken() -> list[None]:
    """One entry for every wake."""
    return []


@pytest.fixture
def mailbox(woken) -> Mailbox:
    """Room for ten bytes on their way out."""
    return Mailbox(outgoing_bytes=10 + PER_MESSAGE, wake=lambda: woken.append(None))


def in_thread(work):
    """Run it in a thread; the results come in a list, an exception as itself."""
    results: list[object] = []

    def body() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, results


def test_messages_leave_in_order(woken) -> None:
    """First put, first fetched, and the session is woken for each; an empty message is a message."""
    mailbox = Mailbox(outgoing_bytes=1000, wake=lambda: woken.append(None))
    for message in (b"a", b"", b"b"):
        mailbox.put(message)
    assert len(woken) == 3
    assert [mailbox.fetch() for _ in range(4)] == [b"a", b"", b"b", None]


def test_messages_arrive_in_order(mailbox) -> None:
    """First delivered, first taken; after the other side's end there are no more."""
    for message in (b"a", b"", b"b"):
        mailbox.deliver(message, 1)
    mailbox.nothing_more_comes()
    assert [mailbox.take(0) for _ in range(5)] == [b"a", b"", b"b", None, None]


@pytest.mark.parametrize("call", ["put", "take", "take for a minute", "wait until over"])
def test_ctrl_c_ends_every_wait(mailbox, call) -> None:
    """Also one that comes in the moment before the wait begins."""
    mailbox.put(b"x" * 10)
    with ctrl_c_that_wakes_nobody():
        if call == "put":
            mailbox.put(b"more than there is room for")
        elif call == "wait until over":
            mailbox.wait_until_over()
        else:
            mailbox.take(None if call == "take" else 60.0)


def test_a_full_outbox_makes_the_program_wait(mailbox) -> None:
    """More than the bound waits until something was fetched; one message of any length passes alone."""
    mailbox.put(b"x" * 10)
    thread, results = in_thread(lambda: mailbox.put(b"y" * 50))
    thread.join(0.1)
    assert thread.is_alive()
    assert mailbox.fetch() == b"x" * 10
    thread.join(10)
    assert results == [None]
    assert mailbox.fetch() == b"y" * 50


@pytest.mark.parametrize("end", ["finish", "end", "failure"])
def test_a_program_that_waits_for_room_hears_of_the_end(mailbox, end) -> None:
    """It is told, and does not wait for ever."""
    mailbox.put(b"x" * 10)
    thread, results = in_thread(lambda: mailbox.put(b"y"))
    failure = PeerLost(1.0)
    {"finish": mailbox.finish, "end": lambda: mailbox.end(None), "failure": lambda: mailbox.end(failure)}[
        end
    ]()
    thread.join(10)
    assert not thread.is_alive()
    assert results[0] is failure if end == "failure" else isinstance(results[0], MisuseError)


@pytest.mark.parametrize("end", ["message", "last", "end", "failure"])
def test_a_program_that_waits_for_a_message_hears_of_everything(mailbox, end) -> None:
    """A message, the other side's end, our end and a failure each end the wait."""
    thread, results = in_thread(lambda: mailbox.take(None))
    failure = PeerLost(1.0)
    {
        "message": lambda: mailbox.deliver(b"m", 1),
        "last": mailbox.nothing_more_comes,
        "end": lambda: mailbox.end(None),
        "failure": lambda: mailbox.end(failure),
    }[end]()
    thread.join(10)
    assert results == [{"message": b"m", "failure": failure}.get(end)]


def test_a_wait_has_an_end(mailbox) -> None:
    """A timeout says how long it waited; the mailbox goes on."""
    with pytest.raises(NothingCame, match=r"within 0\.01 s"):
        mailbox.take(0.01)
    mailbox.deliver(b"late", 1)
    assert mailbox.take(0.01) == b"late"


def test_what_came_before_a_failure_can_be_taken(mailbox) -> None:
    """Messages that arrived whole are the program's; then it hears of the failure, every time."""
    mailbox.deliver(b"m", 1)
    mailbox.end(PeerLost(1.0))
    assert mailbox.take(0) == b"m"
    for _ in range(2):
        with pytest.raises(PeerLost):
            mailbox.take(0)


def test_after_the_other_sides_end_a_failure_is_no_news_to_who_listens(mailbox) -> None:
    """All was heard: what is lost afterwards is for the one who sends or closes to know."""
    mailbox.nothing_more_comes()
    mailbox.end(PeerLost(1.0))
    assert mailbox.take(0) is None
    with pytest.raises(PeerLost):
        mailbox.wait_until_over()


def test_a_part_is_consumed_when_all_before_it_was_taken(mailbox) -> None:
    """The last part of a message counts when the message was taken, the others when none waits before."""
    assert mailbox.consumed_parts(2) == 2
    mailbox.deliver(b"first", 3)
    assert mailbox.consumed_parts(0) == 2
    mailbox.deliver(b"second", 1)
    assert mailbox.consumed_parts(5) == 2
    mailbox.take(0)
    assert mailbox.consumed_parts(5) == 3
    mailbox.take(0)
    assert mailbox.consumed_parts(5) == 9


def test_closing_hears_of_unread_messages(mailbox) -> None:
    """They are counted at once when nobody waits for them; somebody who does takes them."""
    closing, unread = in_thread(mailbox.wait_until_over)
    while not mailbox._condition._waiters:  # so that it is the first to hear of the message
        pass
    thread, results = in_thread(lambda: [mailbox.take(None), mailbox.take(None)])
    while not mailbox._takers:
        pass
    mailbox.deliver(b"a", 1)
    mailbox.nothing_more_comes()
    thread.join(10)
    assert results == [[b"a", None]]
    mailbox.end(None)
    closing.join(10)
    assert unread == [0]
    mailbox.deliver(b"b", 1)
    mailbox.deliver(b"c", 1)
    assert mailbox.wait_until_over() == 2
    mailbox.end(PeerLost(1.0))
    with pytest.raises(PeerLost):
        mailbox.wait_until_over()


def test_empty_messages_are_bounded_too(mailbox) -> None:
    """A message of no bytes takes its place in the bound."""
    mailbox.put(b"")
    thread, results = in_thread(lambda: mailbox.put(b""))
    thread.join(0.1)
    assert thread.is_alive()
    mailbox.fetch()
    thread.join(10)
    assert results == [None]


def test_a_reader_that_leaves_messages_behind_wakes_who_closes(mailbox) -> None:
    """The last reader goes with messages still there: closing hears of it and does not sleep for ever."""
    closing, unread = in_thread(mailbox.wait_until_over)
    thread, _ = in_thread(lambda: mailbox.take(None))
    while not mailbox._takers or len(mailbox._condition._waiters) < 2:
        pass
    with mailbox._condition:  # both come before anybody looks
        mailbox.deliver(b"a", 1)
        mailbox.deliver(b"b", 1)
    thread.join(10)
    closing.join(10)
    assert unread == [1]
