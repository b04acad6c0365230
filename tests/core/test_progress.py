"""What is shown of a run, and where it is written, without a process and a terminal."""

from __future__ import annotations

import builtins
import io
import logging
import sys
from contextlib import contextmanager, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from prunner import OptionError
from prunner.bridge.lines import LineStream, write_leniently
from prunner.bridge.messages import Finished, MemorySeen, Printed
from prunner.bridge.prints import PrintRelay, end_lines, print_here
from prunner.journal import Journal
from prunner.options import check_progress
from prunner.planning.plan import RunPlan, Step
from prunner.planning.scheduler import Scheduler
from prunner.progress.drawing import about, clock, draw, size
from prunner.progress.estimate import Expectation, durations, seconds_left
from prunner.progress.snapshot import Running, Snapshot, running_seconds, take
from prunner.progress.terminal import Terminal, claimed

CLEAR = "\x1b[J"


def plan_of(parents, seconds=None, pinned=(), functions=None):
    children = [[i for i, above in enumerate(parents) if p in above] for p in range(len(parents))]
    return RunPlan(
        steps=tuple(
            Step(
                index=i,
                name=f"n{i}",
                inputs=(),
                outputs=(),
                parents=frozenset(above),
                children=tuple(children[i]),
                rank=0.0,
                function=functions[i] if functions else i,
            )
            for i, above in enumerate(parents)
        ),
        load_counts={},
        kept_inputs=frozenset(),
        kept_outputs=frozenset(),
        in_memory=frozenset(),
        pinned=dict.fromkeys(pinned, "it says so"),
        seconds=seconds or {},
    )


def chain(seconds):
    return plan_of([[i - 1] if i else [] for i in range(len(seconds))], dict(enumerate(seconds)))


durations_ = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


# --- the estimate -----------------------------------------------------------------------------


@given(durations_, st.integers(1, 8), st.data())
def test_a_chain_takes_what_its_steps_take_however_many_workers_there_are(seconds, workers, data):
    done = data.draw(st.integers(0, len(seconds)))
    expected = durations(chain(seconds), {i: seconds[i] for i in range(done)})
    assert expected is not None
    left = seconds_left(chain(seconds), expected, set(range(done)), {}, workers)
    assert left == pytest.approx(sum(seconds[done:]))


@given(durations_, st.integers(1, 8))
def test_steps_that_wait_for_nothing_are_shared_by_the_workers(seconds, workers):
    plan = plan_of([[] for _ in seconds], dict(enumerate(seconds)))
    left = seconds_left(plan, plan.seconds, set(), {}, workers)
    assert left == pytest.approx(max(sum(seconds) / workers, *seconds, 0.0))


@st.composite
def plans(draw):
    count = draw(st.integers(1, 12))
    parents = [draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)]
    seconds = {i: draw(st.floats(0, 1e6)) for i in range(count)}
    return plan_of(parents, seconds, pinned=draw(st.sets(st.integers(0, count - 1))))


@given(plans(), st.integers(0, 8), st.data())
def test_what_is_left_is_never_negative_and_nothing_at_the_end(plan, workers, data):
    steps = range(len(plan.steps))
    ended = data.draw(st.sets(st.sampled_from(steps)))
    running = data.draw(st.dictionaries(st.sampled_from(steps), st.floats(0, 1e7)))
    assert seconds_left(plan, plan.seconds, ended, running, workers) >= 0
    assert seconds_left(plan, {}, set(steps), running, workers) == 0


def test_steps_of_the_main_process_run_one_after_the_other():
    plan = plan_of([[], [], []], {0: 5.0, 1: 6.0, 2: 1.0}, pinned=[0, 1])
    assert seconds_left(plan, plan.seconds, set(), {}, workers=4) == 11.0
    assert seconds_left(plan, plan.seconds, set(), {1: 2.0}, workers=4) == 9.0


def test_what_nobody_knows_is_taken_from_the_same_function_and_then_from_what_is_done():
    alike = plan_of([[], [], []], functions=[7, 7, 7])
    assert durations(alike, {}) is None
    assert durations(alike, {0: 2.0, 1: 4.0}) == {2: 3.0}
    unlike = plan_of([[]] * 5)
    assert durations(unlike, {0: 2.0, 1: 4.0}) is None
    assert durations(unlike, {0: 2.0, 1: 4.0, 2: 6.0}) == {3: 4.0, 4: 4.0}
    assert durations(plan_of([[]] * 50), {0: 2.0, 1: 4.0, 2: 6.0}) is None  # of so many


def test_the_expected_end_moves_calmly_and_is_not_said_once_it_has_passed():
    expectation = Expectation()
    assert expectation.is_due(100.0)
    assert expectation.left(100.0) is None
    expectation.note(60.0, now=100.0, cost=0.0)
    assert not expectation.is_due(100.9)
    assert expectation.left(110.0) == 50.0
    expectation.note(100.0, now=110.0, cost=0.0)
    assert expectation.left(110.0) == 75.0  # half way from 50 to 100
    assert expectation.left(186.0) is None
    expectation.note(None, now=111.0, cost=0.1)
    assert expectation.left(111.0) is None
    assert not expectation.is_due(130.0)  # it was costly


# --- the snapshot -----------------------------------------------------------------------------


def test_a_snapshot_has_what_runs_and_what_became_of_the_others():
    scheduler, journal = Scheduler(plan_of([[]] * 5)), Journal()
    journal.order(0, 100.0)
    journal.order(1, 101.0)
    journal.order(2, 99.0)
    for worker in (0, 1, 2):
        scheduler.worker_ready(worker)
    journal.end(0, Finished(0, {}, 4.0), 104.0)
    scheduler.step_finished(0)
    journal.order(3, 104.0)
    journal.die(1, 1, 105.0)
    scheduler.waiting.add(4)
    journal.see(MemorySeen(30, 100, {0: 5, 1: 6}), 105.0)
    scheduler.running = {0: 3, 1: 1, 2: 2}

    running = running_seconds(scheduler, journal, 106.0)
    seen = take(scheduler, journal, running, 6.0, 12.0)

    assert seen == Snapshot(
        running=(Running("n2", 7.0), Running("n3", 2.0), Running("n1", 1.0, tries=1)),
        done=1,
        total=5,
        elapsed=6.0,
        retrying=2,
        left=12.0,
        used=11,
        free=30,
    )
    assert dict(journal.attempts).keys() == {0, 1}  # to look is not to write


# --- the drawing ------------------------------------------------------------------------------


def drawn(snapshot, width=80, height=24, **options):
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, height=height, **options
    )
    lines = draw(snapshot, console)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    return [Text.from_ansi(line).plain for line in lines]


def test_the_first_line_says_how_far_the_run_is():
    snapshot = Snapshot((), 3, 12, 75.0, failed=1, left=130.0, used=1_500_000_000, free=2 * 10**9)
    bar = "━" * 15
    said = "3 of 12  1 failed  1:15  about 2 min left"
    assert drawn(snapshot) == [f"{bar}  {said}  workers 1.5 GB"]
    assert drawn(snapshot, 100) == [f"{bar}━━━━  {said}  workers 1.5 GB  2.0 GB free"]
    assert drawn(snapshot, 45) == [said]
    assert drawn(snapshot, 30) == ["3 of 12  1 failed  1:15"]
    assert drawn(snapshot, 80, no_color=True)[0].startswith("━━━━━            ")


NAMES = ["[red]x[/red]", ":smile:", "größe 日本語", "two\nlines\t\x1b[31m", "\udc80"]


def test_names_are_shown_as_they_are_and_never_move_the_cursor():
    snapshot = Snapshot(tuple(Running(name, 61.0, 0) for name in NAMES), 0, 9, 0.0)
    shown = ["[red]x[/red]", ":smile:", "größe 日本語", "two\\nlines\\t\\x1b[31m", "\\udc80"]
    assert drawn(snapshot)[1:] == [f"  1:01  {name}" for name in shown]


def test_of_many_nodes_the_first_are_shown():
    snapshot = Snapshot(tuple(Running(f"n{i}", 9.0, i % 2) for i in range(10)), 0, 99, 0.0)
    rows = [f"  0:09  n{i}" + "  try 2" * (i % 2) for i in range(7)]
    assert drawn(snapshot)[1:] == [*rows, "  and 3 more"]
    assert drawn(snapshot, height=8)[1:] == [*rows[:2], "  and 8 more"]
    assert len(drawn(snapshot, height=2)) == 1
    assert drawn(snapshot, height=1) == []


@given(
    st.lists(st.tuples(st.text(), st.floats(0, 1e6), st.integers(0, 3)), max_size=12),
    st.integers(1, 120),
    st.integers(1, 40),
)
def test_nothing_is_wider_or_higher_than_the_terminal(running, width, height):
    snapshot = Snapshot(tuple(Running(*each) for each in running), 1, 2, 3.0, left=4.0, used=5)
    lines = drawn(snapshot, width, height)
    assert len(lines) <= max(1, height // 2)
    assert all(cell_len(line) < width for line in lines)
    assert not any(char in line for line in lines for char in "\n\r\x1b")


def test_times_and_sizes():
    assert [clock(s) for s in (0, 7.9, 60, 3599, 3600)] == [
        "0:00",
        "0:07",
        "1:00",
        "59:59",
        "1:00:00",
    ]
    assert [about(s) for s in (0, 9, 11, 54, 56, 130, 3570, 3700, 5400)] == [
        "a few seconds left",
        "a few seconds left",
        "about 15 s left",
        "about 55 s left",
        "about 1 min left",
        "about 2 min left",
        "about 1 h left",
        "about 1 h left",
        "about 1 h 30 min left",
    ]
    assert [size(n) for n in (0, 12e3, 999.6e3, 9.94e9, 123e9, 4e12)] == [
        "0.0 kB",
        "12 kB",
        "1.0 MB",
        "9.9 GB",
        "123 GB",
        "4.0 TB",
    ]


# --- lines ------------------------------------------------------------------------------------


def test_whole_lines_are_handed_on():
    taken: list[str] = []
    real = io.StringIO()
    stream = LineStream(real, taken.append)
    print("a", "b", file=stream, end="", flush=True)
    assert taken == []
    print("c\nd\ne", file=stream, end="")
    assert taken == ["a bc\nd\n"]
    stream.end_line()
    stream.end_line()
    assert taken == ["a bc\nd\n", "e\n"]
    print("f", file=stream, end="")
    assert stream.switch_off() == "f"
    print("g", file=stream)
    assert real.getvalue() == "g\n"
    assert len(taken) == 2
    with pytest.raises(TypeError, match="str, not bytes"):
        LineStream(real, taken.append).write(b"")  # type: ignore[arg-type]


def test_of_a_line_that_is_written_over_again_the_last_state_is_kept():
    taken: list[str] = []
    stream = LineStream(io.StringIO(), taken.append)
    for percent in range(0, 101, 10):
        stream.write(f"\r{percent} %")
    stream.write("\r")
    stream.write("\n")
    assert taken == ["\r100 %\r\n"]


def test_everything_else_is_done_by_the_stream(tmp_path):
    with open(tmp_path / "file", "w", encoding="latin-1", newline="\n") as real:
        stream = LineStream(real, lambda text: None)
        assert stream.buffer is real.buffer
        assert (stream.fileno(), stream.isatty()) == (real.fileno(), False)
        assert (stream.encoding, stream.errors, stream.writable()) == ("latin-1", "strict", True)
        assert (stream.name, stream.line_buffering) == (real.name, False)
        stream.close()
        assert not real.closed


def test_what_cannot_be_encoded_is_written_as_an_escape(tmp_path):
    path = tmp_path / "file"
    with path.open("w", encoding="ascii") as file:
        write_leniently(file, "ä \udc80 a\n")
    assert path.read_text() == "\\xe4 \\udc80 a\n"


def test_a_worker_sends_what_is_printed_only_while_that_is_wanted(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    sent: list[Printed] = []
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    relay = PrintRelay(sent.append)
    relay.switch(False)
    relay.switch(True)
    relay.switch(True)
    print("a")
    print("b", file=sys.stderr)
    print("c", end="")
    end_lines()
    kept = sys.stdout
    print("d", end="")
    relay.switch(False)
    assert (sys.stdout, sys.stderr) == (out, err)
    print("e")
    print("f", file=kept)
    assert sent == [
        Printed("stdout", "a\n"),
        Printed("stderr", "b\n"),
        Printed("stdout", "c\n"),
        Printed("stdout", "d\n"),
    ]
    assert (out.getvalue(), err.getvalue()) == ("e\nf\n", "")
    for each in sent:
        print_here(each)
    assert (out.getvalue(), err.getvalue()) == ("e\nf\na\nc\nd\n", "b\n")
    out.close()
    print_here(sent[0])  # and nothing is raised


# --- the terminal -----------------------------------------------------------------------------


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return super().isatty() or True  # which a closed stream does not answer


@pytest.fixture
def tty(monkeypatch):
    for name in ("CI", "PRUNNER_WORKER", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Tty()


@contextmanager
def terminal_of(tty):
    with redirect_stdout(tty), claimed(None) as terminal:
        assert isinstance(terminal, Terminal)
        with terminal.taken():
            yield terminal
        assert sys.stdout is tty


def is_claimed(stream, wanted):
    with redirect_stdout(stream), claimed(wanted) as terminal:
        return terminal is not None


def test_one_run_at_a_time_has_the_terminal(tty):
    with terminal_of(tty):
        assert not is_claimed(tty, None)
        assert not is_claimed(tty, True)
    assert is_claimed(tty, None)


@pytest.mark.parametrize(
    ("variable", "value", "even_if_wanted"),
    [("CI", "1", False), ("TERM", "dumb", True), ("PRUNNER_WORKER", "x", True)],
)
def test_where_nothing_is_shown(tty, monkeypatch, variable, value, even_if_wanted):
    monkeypatch.setenv(variable, value)
    assert not is_claimed(tty, None)
    assert is_claimed(tty, True) != even_if_wanted
    assert not is_claimed(tty, False)


@pytest.mark.parametrize("stream", [io.StringIO(), None, "closed"])
def test_nothing_is_shown_without_a_terminal(tty, monkeypatch, stream):
    monkeypatch.setenv("FORCE_COLOR", "1")
    if stream == "closed":
        tty.close()
        stream = tty
    assert not is_claimed(stream, True)


def test_what_is_printed_goes_above_what_is_shown(tty):
    with terminal_of(tty) as terminal:
        print("before")
        terminal.screen.show(["one", "two"])
        terminal.screen.show(["one", "two"])
        print("between, and not yet", end="")
        print(" whole")
        terminal.screen.show(["three"])
        print("half", end="")
    assert tty.getvalue() == (
        "before\n"
        "one\ntwo"
        f"\r\x1b[1A{CLEAR}between, and not yet whole\none\ntwo"
        f"\r\x1b[1A{CLEAR}three"
        f"\r{CLEAR}half"
    )


def test_handlers_write_there_too_and_to_their_own_stream_afterwards(tty):
    logger = logging.getLogger("tests.progress")
    handler = logging.StreamHandler(tty)
    logger.addHandler(handler)
    logger.propagate = False  # Kedro's own handler may be there, too
    try:
        with pytest.raises(KeyboardInterrupt), terminal_of(tty) as terminal:
            terminal.screen.show(["shown"])
            logger.error("logged")
            late = logging.StreamHandler(sys.stdout)
            raise KeyboardInterrupt
        assert tty.getvalue() == f"shown\r{CLEAR}logged\nshown\r{CLEAR}"
        assert handler.stream is tty
        with redirect_stdout(tty):
            late.emit(logging.makeLogRecord({"msg": "late"}))
        assert tty.getvalue().endswith("late\n")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def test_nothing_is_shown_while_somebody_is_asked(tty, monkeypatch):
    def ask(prompt):
        terminal.screen.show(["not now"])
        sys.stdout.write(prompt)
        return "yes"

    monkeypatch.setattr(builtins, "input", ask)
    with terminal_of(tty) as terminal:
        terminal.screen.show(["shown"])
        print("And: ", end="")
        assert input("sure? ") == "yes"
        print("then", end="")
        terminal.screen.show(["again"])
    assert builtins.input is ask
    assert tty.getvalue() == f"shown\r{CLEAR}And: sure? again\r{CLEAR}then"


# --- the option -------------------------------------------------------------------------------


def test_the_option_goes_before_the_variable(monkeypatch):
    monkeypatch.delenv("PRUNNER_PROGRESS", raising=False)
    assert [check_progress(each) for each in (None, True, False)] == [None, True, False]
    for text, value in (("0", False), ("1", True), ("", None)):
        monkeypatch.setenv("PRUNNER_PROGRESS", text)
        assert [check_progress(each) for each in (None, True, False)] == [value, True, False]


@pytest.mark.parametrize("value", ["false", 1, 0, []], ids=repr)
def test_what_is_no_bool_is_refused(value):
    with pytest.raises(OptionError, match="progress must be True, False or None, not"):
        check_progress(value)


def test_a_variable_that_says_something_else_is_refused(monkeypatch):
    monkeypatch.setenv("PRUNNER_PROGRESS", "yes")
    with pytest.raises(OptionError, match="PRUNNER_PROGRESS must be 0 or 1, not 'yes'"):
        check_progress(None)
