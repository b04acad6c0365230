from __future__ import annotations

import datetime
import json

import pytest
from rich.cells import cell_len

from prunner.sessions.commands import listing, texts
from prunner.sessions.commands.listing import Wanted, parse_moment
from prunner.sessions.plain import Described
from prunner.sessions.records import Outcome
from tests.core.session_entries import BEGAN, a_session, an_entry

NOW = datetime.datetime(2024, 3, 10, 12).timestamp()


def local(*parts: int) -> float:
    return datetime.datetime(*parts).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-01", local(2024, 3, 1)),
        (" 2024-03-01T14:30 ", local(2024, 3, 1, 14, 30)),
        ("2024-03-01 14:30:05", local(2024, 3, 1, 14, 30, 5)),
        ("2024-03-01T14:30:00Z", 1709303400.0),
        ("2024-03-01T14:30:00+01:00", 1709299800.0),
        ("2d", NOW - 2 * 86400),
        ("3h ago", NOW - 3 * 3600),
        ("1.5m", NOW - 90),
        ("1W", NOW - 7 * 86400),
    ],
)
def test_moments(text: str, moment: float) -> None:
    assert parse_moment(text, NOW) == moment


def test_a_date_includes_its_day() -> None:
    assert parse_moment("2024-02-29", NOW, is_end=True) == local(2024, 3, 1)
    assert parse_moment("2024-02-29T10:00", NOW, is_end=True) == local(2024, 2, 29, 10)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2 parsecs", "-2d", "9" * 400])
def test_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match="neither a date such as"):
        parse_moment(text, NOW)


def test_what_is_wanted() -> None:
    default = an_entry("a")
    both = an_entry("b", parameters={"pipeline_names": ["x", "y"]}, started=BEGAN + 100)
    old = an_entry("c", parameters={"pipeline_name": "x"}, outcome=Outcome.LOST, ended=None)
    nothing = a_session("d")
    entries = [default, both, old, nothing]

    def keys(**wanted: object) -> str:
        chosen = Wanted(**wanted)  # type: ignore[arg-type]
        return "".join(each.key for each in entries if chosen.includes(each))

    assert keys() == "abcd"
    assert keys(pipeline="x") == "bc"
    assert keys(pipeline="__default__") == "a"
    assert keys(outcomes=frozenset({Outcome.LOST, Outcome.FAILED})) == "cd"
    assert keys(since=BEGAN + 100) == "b"
    assert keys(until=BEGAN) == "d"
    assert keys(pipeline="x", outcomes=frozenset({Outcome.COMPLETED})) == "b"


def test_a_list_has_aligned_columns_also_with_wide_characters() -> None:
    wide = an_entry("one", parameters={"pipeline_names": ["前処理"]}, data={"env": "prod"})
    text = listing.as_text([wide, an_entry("two"), a_session("three")], {"two": (3, 4)})
    heads, *lines = text.splitlines()
    assert heads.split() == "ID OUTCOME STARTED DURATION PIPELINE NODES RUNNER ENV".split()
    assert lines[0].split()[-3:] == ["-", "prunner.ParallelRunner", "prod"]
    assert " 3/4  prunner.ParallelRunner  -" in lines[1]
    ends = {cell_len(line[: line.index("prunner.")]) for line in (lines[0], lines[1])}
    assert len(ends) == 1
    assert "2.50 s" in lines[0]
    assert lines[2].split()[:2] == ["three", "failed"]


def test_columns_that_say_nothing_are_left_out() -> None:
    heads = listing.as_text([an_entry()], {}).splitlines()[0]
    assert "NODES" not in heads
    assert "ENV" not in heads


@pytest.mark.parametrize("width", range(24, 120, 8))
def test_a_list_fits_into_a_terminal_and_ids_stay_whole(width: int) -> None:
    entry = an_entry(data={"env": "prod"})
    lines = listing.as_text([entry], {entry.key: (3, 4)}, width=width).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert lines[1].startswith(entry.key)


def test_a_list_says_what_it_does_not_show() -> None:
    assert listing.as_text([an_entry()], {}, more=5).endswith("\n\n1 of 6. --limit shows more.")
    assert "limit" not in listing.as_text([an_entry()], {})
    assert listing.as_text([], {}) == "No session on record is like that."


def test_a_list_for_programs() -> None:
    run = an_entry("a", data={"env": "prod"}, ended=None, outcome=Outcome.RUNNING)
    found = listing.as_data([run, a_session("b")], {"a": (3, 4)})
    assert json.loads(json.dumps(found))[0] == {
        "id": "a",
        "session": "a",
        "outcome": "running",
        "started": "2023-11-14T22:13:20+00:00",
        "seconds": None,
        "pipelines": ["__default__"],
        "runner": "prunner.ParallelRunner",
        "env": "prod",
        "nodes": {"completed": 3, "all": 4},
    }
    assert found[1]["pipelines"] == []
    assert found[1]["nodes"] is None
    assert listing.as_data([], {}) == []


# --- texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("", '""'),
        (" a", '" a"'),
        ("a\nb", '"a\\nb"'),
        (1, "1"),
        (None, "null"),
        (["a", 1], '["a", 1]'),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (Described("shop.Model", "Model()"), "Model()"),
        ("x" * 300, "x" * 200 + "... (300 characters)"),
    ],
)
def test_values_in_words(value: object, text: str) -> None:
    assert texts.in_words(value) == text


def test_values_for_programs() -> None:
    odd = {1: (1, {2}), "f": float("inf"), "d": datetime.timedelta(1), "b": b"x", "o": Outcome.LOST}
    assert texts.readable(odd) == {
        "1": [1, [2]],
        "f": "inf",
        "d": "1 day, 0:00:00",
        "b": "b'x'",
        "o": "lost",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.004, "0.00 s"),
        (99.9, "99.90 s"),
        (99.96, "1 min 40 s"),
        (3599.7, "1 h 00 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (999_600, "1.0 MB"), (2_500_000_000, "2.5 GB")],
)
def test_sizes(number: int | None, text: str) -> None:
    assert texts.size(number) == text


def test_nothing_of_a_record_gets_at_the_terminal() -> None:
    entry = an_entry(parameters={"pipeline_names": ["a\x1b[31m\nb"]})
    assert "a\\x1b[31m\\nb" in listing.as_text([entry], {})
    assert texts.columns([]) == []


def test_the_widest_cell_may_be_of_wide_characters() -> None:
    assert texts.columns([["前処理", "x"], ["abcd", "y"]]) == ["前処理  x", "abcd    y"]
    assert texts.columns([["前", "x"], ["abc", "y"]], [0]) == [" 前  x", "abc  y"]


def test_a_secret_is_seen_wherever_it_is() -> None:
    assert texts.is_secret({"a": [{"b": "postgres://me:***@host"}]})
    assert texts.is_secret(Described("x", "x(***)"))
    assert not texts.is_secret({"a": ["**", 1, None]})


def test_pipelines_of_a_session_that_ran_nothing() -> None:
    assert texts.pipeline_of(a_session()) == "-"
    assert texts.pipeline_of(an_entry()) == "__default__"
