from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading

import pytest

from prunner.bridge import link
from prunner.bridge.link import Link, connect
from prunner.bridge.messages import Finished, RunStep, RunSteps
from prunner.bridge.refs import DataRef


def framed(pickled):
    return link._HEADER.pack(link._MAGIC, len(pickled)) + pickled


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


def test_named_tuples_travel_as_plain_ones_and_are_themselves_again(ends):
    sender, receiver = map(Link, ends)
    ref = DataRef(None, b"pickled", 7)
    messages = [
        Finished(3, {"a": ref, "b": DataRef("a file", None, 9)}, 0.5),
        RunSteps((RunStep(1, {"a": ref}), RunStep(2, {}, (0, 1)))),
        RunSteps(()),
        Finished(4, {}, 0.0),
    ]
    for each in messages:
        sender.send(each)
    received = [receiver.receive() for _ in messages]
    assert received == messages
    assert [type(each) for each in received] == [type(each) for each in messages]
    assert type(received[0].outputs["a"]) is DataRef
    assert type(received[1].steps[0].inputs["a"]) is DataRef


def test_messages_of_all_sizes_arrive_whole_before_the_end(ends):
    sender, receiver = map(Link, ends)
    messages = [b"x" * size for size in (0, 1, 70_000, 16_384, 3_000_000, 65_530, 5)] * 3

    def send():
        for each in messages:
            sender.send(each)
        sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert [receiver.receive() for _ in messages] == messages
    thread.join()
    with pytest.raises(EOFError):
        receiver.receive()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps messages apart by itself")
def test_what_has_arrived_before_a_torn_message_is_received(ends):
    receiver = Link(ends[1])
    whole, torn = (pickle.dumps(each) for each in ("whole", "torn"))
    os.write(ends[0].fileno(), framed(whole) + framed(torn)[:-5])
    ends[0].close()
    assert receiver.receive() == "whole"
    with pytest.raises(EOFError):
        receiver.receive()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps messages apart by itself")
def test_a_message_may_arrive_byte_by_byte(ends):
    receiver = Link(ends[1])
    pickled = pickle.dumps("a message")

    def send():
        for byte in framed(pickled):
            os.write(ends[0].fileno(), bytes([byte]))

    thread = threading.Thread(target=send)
    thread.start()
    assert receiver.receive() == "a message"
    thread.join()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps messages apart by itself")
def test_what_is_no_message_is_no_length_either(ends):
    os.write(ends[0].fileno(), framed(pickle.dumps("first")) + b"garbage of any kind")
    receiver = Link(ends[1])
    with pytest.raises(ValueError, match="no message"):
        receiver.receive()


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
