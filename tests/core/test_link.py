from __future__ import annotations

import contextlib
import os
import signal

import pytest

from prunner.bridge.link import Link, connect


@pytest.fixture
def ends():
    pair = connect()
    yield pair
    for end in pair:
        end.close()


def test_what_is_sent_arrives_in_order(ends):
    sender, receiver = map(Link, ends)
    messages = ["text \ud800", {"a": (1, b"bytes")}, None]
    assert all(sender.send(each) for each in messages)
    assert [receiver.receive() for _ in messages] == messages


def test_the_end_of_the_other_process_is_noticed(ends):
    link, other = map(Link, ends)
    other.close()
    assert not link.send("text")
    with pytest.raises(EOFError):
        link.receive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_has_no_link_and_does_not_wait_for_a_thread_that_was_sending(ends):
    link, other = map(Link, ends)
    with link._sending:  # as a thread holds it that the fork has not got
        child = os.fork()
        if not child:
            signal.alarm(10)  # ends this process where it would wait for ever
            with contextlib.suppress(BaseException):
                os._exit(int(link.send("from the fork")))
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert link.send("from here")
    assert other.receive() == "from here"
