from __future__ import annotations

from typing import Any

import pytest
from kedro.pipeline import node

from prunner import OptionError, ParallelRunner
from prunner.node_options import check_node_options, check_policy, policy_of
from prunner.planning.policy import StepPolicy, is_one_of


class OwnError(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_error": "ignore"}, "on_error must be 'stop' or 'continue', not 'ignore'"),
        ({"retries": -1}, "retries must be a whole number, 0 or more, not -1"),
        ({"retries": True}, "retries must be a whole number"),
        ({"retries": 1.5}, "retries must be a whole number"),
        ({"retry_on": 3}, "retry_on must be exception classes or their full names, not 3"),
        ({"retry_on": [int]}, "retry_on must be exception classes"),
        ({"retry_on": [""]}, "retry_on must be exception classes"),
        ({"retry_delay": -0.1}, "retry_delay must be a number of seconds, 0 or more"),
        ({"retry_delay": float("nan")}, "retry_delay must be"),
        ({"retry_backoff": 0.5}, "retry_backoff must be a number, 1 or more, not 0.5"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, or None, not 0"),
        ({"timeout": "1"}, "timeout must be a number of seconds above 0, or None, not '1'"),
        ({"timeout": 1e300}, "timeout must be"),
        ({"node_options": ["train"]}, "node_options must be a mapping from names"),
        ({"node_options": {"train": 3}}, "node_options of 'train' must be a mapping, not 3"),
        ({"node_options": {"train": {"retrys": 3}}}, "Unknown option of node or tag 'train'"),
        ({"node_options": {"train": {"retries": -1}}}, "retries of node or tag 'train' must be"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(options, words):
    with pytest.raises(OptionError) as found:
        ParallelRunner(max_workers=1, **options)
    assert words in str(found.value)


def test_exceptions_are_given_as_classes_or_names():
    given = [ConnectionError, OwnError, "requests.exceptions.Timeout", "builtins.KeyError"]
    assert check_policy({"retry_on": given})["retry_on"] == (
        "ConnectionError",
        f"{__name__}.OwnError",
        "requests.exceptions.Timeout",
        "KeyError",
    )
    assert check_policy({"retry_on": OSError})["retry_on"] == ("OSError",)
    assert check_policy({"retry_on": "OSError KeyError"})["retry_on"] == ("OSError", "KeyError")


def test_an_exception_is_one_of_a_class_and_of_those_above_it():
    assert is_one_of(OwnError(), ["OSError"])
    assert is_one_of(OwnError(), [f"{__name__}.OwnError"])
    assert not is_one_of(OSError(), [f"{__name__}.OwnError", "OwnError"])
    assert not is_one_of(OSError(), ())


def test_a_name_with_dots_may_be_levels_of_a_mapping():
    nested = {"ns": {"train": {"retries": 1}, "test": {"timeout": 2}}, "a.b": {"retries": 3}}
    assert check_node_options(nested) == {
        "ns.train": {"retries": 1},
        "ns.test": {"timeout": 2.0},
        "a.b": {"retries": 3},
    }
    assert check_node_options(None) == {}


def test_options_of_a_node_come_before_those_of_its_tags_and_of_the_runner():
    def work(x):
        return x

    nodes = [
        node(work, "x", "a", name="a", tags=["slow", "remote"]),
        node(work, "x", "b", name="b", tags=["remote"]),
        node(work, "x", "c", name="c"),
    ]
    options: dict[str, dict[str, Any]] = {
        "a": {"timeout": 9.0},
        "slow": {"timeout": 5.0, "retries": 5},
        "remote": {"retries": 2},
        "nobody": {"retries": 7},
    }
    policy, unknown = policy_of(nodes, True, {"retries": 1, "retry_delay": 3.0}, options)
    assert policy.of(0) == StepPolicy(retries=2, retry_delay=3.0, timeout=9.0)
    assert policy.of(1) == StepPolicy(retries=2, retry_delay=3.0)
    assert policy.of(2) == StepPolicy(retries=1, retry_delay=3.0)
    assert policy.keep_going
    assert policy.limits_time
    assert unknown == ["nobody"]
