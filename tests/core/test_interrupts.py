from __future__ import annotations

import signal
import threading

import pytest

from prunner.interrupts import Interrupts, Terminated


def test_an_interrupt_is_raised_where_the_run_can_be_left():
    reached = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.allowed():
        signal.raise_signal(signal.SIGINT)
        reached.append("after")
    assert not reached


def test_elsewhere_it_waits_until_the_run_can_be_left():
    reached = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        reached.append("held")
        with interrupts.allowed():
            reached.append("allowed")
    assert reached == ["held"]


def test_or_until_it_has_ended():
    reached = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with interrupts.allowed():
            pass
        signal.raise_signal(signal.SIGINT)
        reached.append("to the end")
    assert reached


def test_further_ones_do_not_keep_the_run_from_tidying_up():
    reached = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        try:
            with interrupts.allowed():
                try:
                    signal.raise_signal(signal.SIGINT)
                finally:
                    signal.raise_signal(signal.SIGINT)
                    reached.append("inside")
        finally:
            signal.raise_signal(signal.SIGINT)
            reached.append("outside")
    assert reached == ["inside", "outside"]


def test_an_interrupt_beside_an_error_is_not_lost():
    with pytest.raises(KeyboardInterrupt) as found, Interrupts():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("of a node")
    assert isinstance(found.value.__context__, ValueError)


def test_termination_is_an_interrupt_with_an_exit_code():
    with pytest.raises(Terminated) as found, Interrupts() as interrupts, interrupts.allowed():
        signal.raise_signal(signal.SIGTERM)
    assert isinstance(found.value, KeyboardInterrupt)
    assert isinstance(found.value, SystemExit)
    assert found.value.code == 143


def test_handlers_are_as_before_in_the_end():
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in numbers]
    with Interrupts():
        assert all(signal.getsignal(n) != b for n, b in zip(numbers, before, strict=True))
    assert [signal.getsignal(number) for number in numbers] == before


def test_handlers_of_others_are_left_alone():
    heard = []
    former = signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert heard == ["mine"]


def test_other_threads_get_no_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def run():
        with Interrupts() as interrupts, interrupts.allowed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_an_interrupt_that_was_swallowed_is_raised_again_when_somebody_presses_again():
    reached = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.allowed():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            interrupts._calm_until = 0.0  # a second later
        reached.append("it goes on")
        signal.raise_signal(signal.SIGINT)
        reached.append("not here")
    assert reached == ["it goes on"]


def test_termination_comes_before_an_interrupt():
    with pytest.raises(Terminated), Interrupts():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(Terminated), Interrupts() as interrupts:
        try:
            with interrupts.allowed():
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
