from __future__ import annotations

import collections
import datetime
import decimal
import enum
import logging
import os
import pickle
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from prunner.bridge.logs import (
    LogLevels,
    LogRelay,
    bare_kedro_logging,
    handle_here,
)
from prunner.bridge.records import made_record, plain_record, record_attributes

VARIABLE = "KEDRO_LOGGING_CONFIG"


class Unpicklable:
    def __init__(self):
        self.lock = threading.Lock()

    def __repr__(self):
        return "<unpicklable>"


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def logging_state():
    """Gives back the logging of this process as it was."""
    root, manager = logging.root, logging.root.manager
    known = dict(manager.loggerDict)
    loggers = [root, *(x for x in known.values() if isinstance(x, logging.Logger))]
    former = [(x, x.level, list(x.handlers), x.propagate, x.disabled) for x in loggers]
    filters = [(x, list(x.filters)) for x in loggers]
    disabled, show, factory = manager.disable, warnings.showwarning, logging.getLogRecordFactory()
    captured = LogLevels.capture().warnings
    logging.disable(logging.NOTSET)
    logging.captureWarnings(False)
    yield
    logging.captureWarnings(captured)
    warnings.showwarning = show
    logging.setLogRecordFactory(factory)
    for logger, kept in filters:
        logger.filters[:] = kept
    for logger, level, handlers, propagate, off in former:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, off
    for name in manager.loggerDict.keys() - known.keys():
        del manager.loggerDict[name]
    logging.disable(disabled)


def record(message, *args, **kwargs):
    return logging.getLogger("a.b").makeRecord(
        "a.b", logging.INFO, __file__, 1, message, args, **{"exc_info": None, **kwargs}
    )


def relay(send, levels=None, handled=None, switched_off=(), disabled=0, warnings=False):
    """A worker's relay that is installed, with what the parent lets through."""
    lets_through = LogLevels(
        levels or {"": logging.INFO}, handled or {"": 0}, switched_off, disabled, warnings
    )
    made = LogRelay(lets_through, send)
    made.install()
    return made


def travelled(original):
    return made_record(pickle.loads(pickle.dumps(record_attributes(original))))


def break_here(*_):
    raise ValueError("only the worker can read this")


class BrokenElsewhere:
    """Can be pickled, but not unpickled."""

    def __reduce__(self):
        return break_here, ()

    def __repr__(self):
        return "<broken>"


class Silent:
    """Cannot be shown."""

    def __repr__(self):
        raise ValueError("no")

    __reduce__ = __str__ = __repr__


# --- record_attributes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("plain", ()),
        ("100%", ()),
        ("%s of %d, %.1f, %s %s", ("text", 3, 2.5, None, True)),
        ("%(a)s and %(b)s", ({"a": 1, "b": "x"},)),
        ("counts: %s", ({1: 5, 2: 7},)),
        ("%s %s", ("100%", [1, (2, {"a": None})])),
        ("%s", ({},)),
    ],
)
def test_plain_arguments_stay_apart_from_the_message(message, args):
    original = record(message, *args)
    arrived = travelled(original)
    assert arrived.msg == message
    assert (arrived.args or ()) == (original.args or ())
    assert arrived.getMessage() == original.getMessage()


def test_other_arguments_are_put_into_the_message():
    arrived = travelled(record("%s holds %s", "it", Unpicklable()))
    assert (arrived.msg, arrived.args) == ("it holds <unpicklable>", None)
    arrived = travelled(record("%(a)s", {"a": Unpicklable()}))
    assert (arrived.msg, arrived.args) == ("<unpicklable>", None)


def test_a_percent_sign_in_an_argument_is_not_formatted_again():
    assert travelled(record("%s %s", "100%", [1])).getMessage() == "100% [1]"


@pytest.mark.parametrize(
    "argument",
    [
        collections.Counter("aab"),
        collections.OrderedDict(a=1),
        types.MappingProxyType({"a": 1}),
        {"a": decimal.Decimal("1.5")},
    ],
)
@pytest.mark.parametrize("message", ["%s", "%(a)s"])
def test_a_mapping_is_shown_as_what_it_is(argument, message):
    original = record(message, argument)
    assert travelled(original).getMessage() == original.getMessage()


@pytest.mark.usefixtures("logging_state")
def test_arguments_that_only_the_parent_can_format_arrive():
    class Braces(logging.LogRecord):
        def getMessage(self):  # noqa: N802 - the name that logging gives it
            return str(self.msg).format(*(self.args or ()))

    original = record("{} and {}", decimal.Decimal("1.5"), Unpicklable())
    logging.setLogRecordFactory(Braces)
    assert travelled(original).getMessage() == "1.5 and <unpicklable>"


@pytest.mark.parametrize(
    "message",
    [
        {"event": "trained", "scores": [0.5, (1, None)]},
        {"at": datetime.date(2020, 1, 1), 1: {2}},
        collections.OrderedDict(a=1),
        ["a", 1],
        17,
    ],
)
def test_a_message_that_is_no_text_stays_what_it_is(message):
    arrived = travelled(record(message))
    assert arrived.msg == message
    assert type(arrived.msg) is type(message)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Unpicklable(), "<unpicklable>"),
        (BrokenElsewhere(), "<broken>"),
        ({"it": Unpicklable()}, "{'it': <unpicklable>}"),
        (Silent(), "<Silent that cannot be described>"),
        (bytearray(2_000_000), str(bytearray(2_000_000))),
    ],
)
def test_a_message_that_cannot_travel_becomes_text(message, text):
    assert travelled(record(message)).msg == text


def test_an_exception_as_message_arrives():
    assert travelled(record(ValueError("wrong"))).getMessage() == "wrong"


def test_the_place_and_the_time_of_the_record_arrive():
    original = record("message")
    arrived = travelled(original)
    for name in ("name", "levelno", "levelname", "pathname", "lineno", "created", "process"):
        assert getattr(arrived, name) == getattr(original, name)
    assert (arrived.threadName, arrived.processName) == (original.threadName, original.processName)


def test_an_exception_arrives_with_its_traceback():
    try:
        break_here()
    except ValueError as error:
        original = record("failed", exc_info=(type(error), error, error.__traceback__))
    arrived = travelled(original)
    kind, raised, _ = arrived.exc_info
    assert (kind, str(raised), arrived.exc_text) == (ValueError, str(original.exc_info[1]), None)
    shown = logging.Formatter("%(message)s").format(arrived)
    assert shown.count("in break_here") == 1
    assert shown.count("ValueError: only the worker can read this") == 1
    assert shown.splitlines()[:3] == logging.Formatter().format(original).splitlines()[:3]


@pytest.mark.parametrize("part", ["capture", "restore"])
def test_an_exception_that_cannot_travel_arrives_as_text(part, monkeypatch):
    monkeypatch.setattr(f"prunner.bridge.records.Failures.{part}", break_here)
    arrived = travelled(record("failed", exc_info=(ValueError, ValueError("x"), None)))
    assert (arrived.exc_info, arrived.exc_text) == (None, "ValueError: x")


def test_no_exception_arrives_as_none():
    original = record("none", exc_info=(None, None, None))
    assert travelled(original).exc_info == (None, None, None)


def test_extra_attributes_arrive():
    original = record("message", extra={"node": "n", "count": 3, "parts": [1, (2, "x")]})
    arrived = travelled(original)
    assert (arrived.node, arrived.count, arrived.parts) == ("n", 3, [1, (2, "x")])


@pytest.mark.parametrize(
    "value",
    [
        None,
        datetime.datetime(2020, 1, 1),
        decimal.Decimal("1.5"),
        {1: 2},
        {1, 2},
        collections.Counter("aab"),
        logging.Formatter,
    ],
)
def test_an_extra_attribute_is_what_it_was(value):
    arrived = travelled(record("message", extra={"it": value})).it
    assert arrived == value
    assert type(arrived) is type(value)


def test_what_cannot_be_pickled_arrives_as_its_description():
    endless: list[Any] = [Unpicklable()]
    endless.append(endless)
    extra = {
        "it": Unpicklable(),
        "inside": {1: [Unpicklable()]},
        "broken": BrokenElsewhere(),
        "silent": Silent(),
        "endless": endless,
        "markup": True,
    }
    arrived = travelled(record("message", extra=extra))
    assert (arrived.it, arrived.inside) == ("<unpicklable>", "{1: [<unpicklable>]}")
    assert (arrived.broken, arrived.silent) == ("<broken>", "<Silent that cannot be described>")
    assert arrived.endless == "[<unpicklable>, [...]]"
    assert arrived.markup is True


def test_what_can_be_called_and_not_pickled_is_none():
    class Highlighter(Unpicklable):
        def __call__(self, text):
            return text

    assert travelled(record("message", extra={"highlighter": Highlighter()})).highlighter is None


def test_a_number_or_text_of_a_class_of_the_moment_arrives():
    class Colour(str, enum.Enum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    original = record("%s %d", Colour.RED, Level.HIGH, extra={"colour": Colour.RED})
    arrived = travelled(original)
    assert arrived.getMessage() == original.getMessage()
    assert arrived.colour is Colour.RED


def test_the_record_itself_is_left_as_it_is():
    original = record("%s", Unpicklable(), exc_info=(ValueError, ValueError("x"), None))
    before = dict(original.__dict__)
    record_attributes(original)
    assert original.__dict__ == before


def test_a_level_has_the_name_that_the_parent_gives_it(monkeypatch):
    original = logging.LogRecord("a", 7, __file__, 1, "message", None, None)
    for level, name in ((7, "SEVEN"), (logging.INFO, "Information")):
        monkeypatch.setitem(logging._levelToName, level, name)
    assert travelled(original).levelname == "SEVEN"
    original.levelname = "of the node"
    assert travelled(original).levelname == "of the node"
    original.levelno, original.levelname = logging.INFO, "INFO"
    assert travelled(original).levelname == "Information"


def test_the_time_counts_from_the_start_of_the_parent():
    original = record("message")
    expected = original.relativeCreated - 60_000
    original.created -= 60
    original.relativeCreated = 1e9  # as a worker counts
    assert travelled(original).relativeCreated == pytest.approx(expected, abs=1000)


@pytest.mark.usefixtures("logging_state")
def test_the_parents_record_factory_gets_what_it_would_have_got():
    def factory(name, level, path, line, message, args, exc_info, func=None, sinfo=None):
        made = logging.LogRecord(name, level, path, line, "***", args, exc_info, func, sinfo)
        made.top = name.split(".")[0]
        made.given = (level, path, line, message, args, func, sinfo)
        return made

    original = record("%(secret)s", {"secret": 1}, func="f", sinfo="the stack")
    logging.setLogRecordFactory(factory)
    arrived = travelled(original)
    assert (arrived.name, arrived.msg, arrived.top) == ("a.b", "***", "a")
    args = ({"secret": 1},)
    assert arrived.given == (20, __file__, 1, "%(secret)s", args, "f", "the stack")


@pytest.mark.parametrize(
    "original",
    [
        record("%s of %d", "text", 3),
        record("%(a)s", {"a": 1}),
        record("text", func="f", sinfo="Stack", extra={"mine": [1]}),
        logging.LogRecord("a", 15, "no/file", 7, "text", None, None),
    ],
)
def test_a_usual_record_is_what_the_factory_would_make(original):
    original.created -= 5.0
    original.exc_text = "as it was formatted"
    attributes = record_attributes(original)
    short, long = vars(made_record(attributes)), vars(plain_record(attributes))
    assert short.pop("relativeCreated") == pytest.approx(long.pop("relativeCreated"), abs=0.01)
    assert short == long


# --- handle_here ------------------------------------------------------------------------------


@pytest.mark.usefixtures("logging_state")
def test_a_record_goes_to_the_handlers_of_its_logger_and_of_those_above():
    own, above, other = Kept(), Kept(), Kept()
    logging.getLogger("prunner_test.child").addHandler(own)
    logging.getLogger("prunner_test").addHandler(above)
    logging.getLogger("prunner_other").addHandler(other)
    handle_here(record_attributes(record("%s", "text")) | {"name": "prunner_test.child"}, 3)
    assert [r.getMessage() for r in own.records] == ["text"]
    assert [r.prunner_worker for r in own.records] == [3]
    assert own.records == above.records
    assert other.records == []


@pytest.mark.usefixtures("logging_state")
def test_filters_of_the_parent_apply():
    handler = Kept()
    logger = logging.getLogger("prunner_test")
    logger.addHandler(handler)
    logger.addFilter(lambda each: "secret" not in each.getMessage())
    for text in ("a secret", "an open word"):
        handle_here(record_attributes(record(text)) | {"name": "prunner_test"}, 3)
    assert [r.getMessage() for r in handler.records] == ["an open word"]


class Broken(logging.Handler):
    def __init__(self, error=None):
        super().__init__()
        self.error = error or ValueError("the handler is broken")

    def emit(self, record):
        raise self.error


@pytest.mark.usefixtures("logging_state")
@pytest.mark.parametrize("raise_exceptions", [True, False])
@pytest.mark.parametrize("where", ["handler", "filter", "factory"])
def test_what_raises_in_the_parent_is_reported_and_the_run_goes_on(
    where, raise_exceptions, capsys, monkeypatch
):
    monkeypatch.setattr(logging, "raiseExceptions", raise_exceptions)
    attributes = record_attributes(record("text")) | {"name": "prunner_test"}
    logger, kept = logging.getLogger("prunner_test"), Kept()
    logger.addHandler(kept)
    if where == "handler":
        logger.addHandler(Broken())
    elif where == "filter":
        logger.addFilter(Broken().emit)
    else:
        logging.setLogRecordFactory(break_here)
    handle_here(attributes, 3)
    assert len(kept.records) == (where != "filter")
    assert capsys.readouterr().err.count("Message: 'text'") == raise_exceptions


@pytest.mark.usefixtures("logging_state")
def test_ctrl_c_in_a_handler_gets_through():
    logging.getLogger("prunner_test").addHandler(Broken(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        handle_here(record_attributes(record("text")) | {"name": "prunner_test"}, 3)


# --- LogLevels --------------------------------------------------------------------------------


@pytest.mark.usefixtures("logging_state")
def test_levels_are_captured():
    logging.getLogger("prunner_test").setLevel(17)
    logging.getLogger("prunner_test.none")
    logging.root.setLevel(33)
    logging.disable(5)
    levels = LogLevels.capture()
    assert levels.levels["prunner_test"] == 17
    assert "prunner_test.none" not in levels.levels
    assert levels.levels[""] == 33
    assert levels.disabled == 5
    assert pickle.loads(pickle.dumps(levels)) == levels


@pytest.mark.usefixtures("logging_state")
def test_captured_warnings_are_noticed():
    logging.captureWarnings(False)
    assert not LogLevels.capture().warnings
    logging.captureWarnings(True)
    assert LogLevels.capture().warnings


@pytest.mark.usefixtures("logging_state")
def test_what_is_logged_is_sent_at_the_captured_levels_and_nothing_else():
    sent: list[Any] = []
    relay(sent.append, {"": logging.WARNING, "prunner_test": logging.DEBUG})
    logging.getLogger("prunner_test.child").debug("fine detail %d", 1)
    logging.getLogger("prunner_other").info("too fine")
    logging.getLogger("prunner_other").warning("coarse")
    assert [(s["name"], s["msg"], s["args"]) for s in sent] == [
        ("prunner_test.child", "fine detail %d", (1,)),
        ("prunner_other", "coarse", ()),
    ]


@pytest.mark.usefixtures("logging_state")
def test_no_handler_but_the_relay_is_left():
    sent: list[Any] = []
    handler = Kept()
    logger = logging.getLogger("prunner_test")
    logger.addHandler(handler)
    logger.propagate = False
    relay(sent.append)
    logger.warning("message")
    assert [s["msg"] for s in sent] == ["message"]
    assert handler.records == []
    assert len(logging.root.handlers) == 1


@pytest.mark.usefixtures("logging_state")
def test_what_the_parent_has_silenced_is_not_sent():
    sent: list[Any] = []
    relay(sent.append, disabled=logging.WARNING)
    logging.getLogger("prunner_test").warning("silenced")
    logging.getLogger("prunner_test").error("not silenced")
    assert [s["msg"] for s in sent] == ["not silenced"]


@pytest.mark.usefixtures("logging_state")
def test_warnings_are_sent_where_the_parent_logs_them():
    sent: list[Any] = []
    relay(sent.append, warnings=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("take care", stacklevel=1)
    assert [s["name"] for s in sent] == ["py.warnings"]
    # Python 3.10 keeps the text apart from the format "%s".
    assert "UserWarning: take care" in made_record(sent[0]).getMessage()


@pytest.mark.usefixtures("logging_state")
def test_a_broken_connection_does_not_reach_the_node(monkeypatch):
    def broken(_):
        raise OSError("the parent is gone")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    relay(broken)
    logging.getLogger("prunner_test").warning("message")


@pytest.mark.usefixtures("logging_state")
def test_what_handlers_take_is_captured():
    above, own = Kept(), Kept()
    above.setLevel(logging.WARNING)
    own.setLevel(logging.ERROR)
    logging.root.handlers[:] = [above]
    logging.getLogger("prunner_test").addHandler(own)
    logging.getLogger("prunner_alone").addHandler(own)
    logging.getLogger("prunner_alone").propagate = False
    logging.getLogger("prunner_off").disabled = True
    levels = LogLevels.capture()
    assert levels.lowest_handled("prunner_other.child") == logging.WARNING
    assert levels.lowest_handled("prunner_test.child") == logging.WARNING
    assert levels.lowest_handled("prunner_alone.child") == logging.ERROR
    assert "prunner_off" in levels.switched_off
    logging.root.handlers[:] = []
    assert LogLevels.capture().lowest_handled("prunner_other") == logging.WARNING  # last resort


@pytest.mark.usefixtures("logging_state")
def test_what_no_handler_takes_is_not_sent():
    sent: list[Any] = []
    relay(
        sent.append,
        {"": logging.DEBUG},
        {"": logging.WARNING, "prunner_test": logging.INFO},
        switched_off=("prunner_off",),
    )
    for name in ("prunner_test.child", "prunner_other", "prunner_off"):
        logging.getLogger(name).info("message")
    assert [s["name"] for s in sent] == ["prunner_test.child"]


@pytest.mark.usefixtures("logging_state")
def test_a_record_says_of_which_node_it_is():
    sent: list[Any] = []
    logs = relay(sent.append)
    logs.node = "train"
    logging.getLogger("prunner_test").warning("in the node")
    logs.node = None
    logging.getLogger("prunner_test").warning("after it")
    assert [s["prunner_node"] for s in sent] == ["train", None]


@pytest.mark.usefixtures("logging_state")
def test_what_modules_do_to_logging_when_they_are_imported_is_undone(tmp_path, monkeypatch):
    (tmp_path / "prunner_noisy.py").write_text(
        "import logging\n"
        "logger = logging.getLogger('prunner_noisy')\n"
        "logger.addHandler(logging.StreamHandler())\n"
        "logger.addFilter(lambda record: 1 / 0)\n"
        "logging.setLogRecordFactory(lambda *args: 1 / 0)\n"
        "logger.propagate = False\n"
        "logging.root.setLevel(logging.CRITICAL)\n"
        "logging.root.handlers.clear()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    sent: list[Any] = []
    logs = relay(sent.append)
    nodes_own = Kept()
    logging.getLogger("prunner_test").addHandler(nodes_own)
    logging.getLogger("prunner_test").addFilter(nodes_own)
    with logs.kept():
        __import__("prunner_noisy")
    monkeypatch.delitem(sys.modules, "prunner_noisy")
    logging.getLogger("prunner_noisy").info("once")
    assert [s["msg"] for s in sent] == ["once"]
    assert logging.getLogger("prunner_noisy").handlers == []
    assert logging.getLogger("prunner_test").handlers == [nodes_own]
    assert logging.getLogger("prunner_test").filters == [nodes_own]


@pytest.mark.usefixtures("logging_state")
def test_filters_and_factories_that_a_fork_has_inherited_are_the_parents_to_apply():
    sent: list[Any] = []
    logging.setLogRecordFactory(break_here)
    logging.getLogger("prunner_test").addFilter(lambda each: False)
    relay(sent.append)
    logging.getLogger("prunner_test").info("once")
    assert [s["msg"] for s in sent] == ["once"]


# --- bare_kedro_logging -----------------------------------------------------------------------


def test_kedros_logging_is_bare_meanwhile():
    with bare_kedro_logging():
        lines = Path(os.environ[VARIABLE]).read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    assert settings == ["version: 1", "disable_existing_loggers: false"]
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("former", [None, "conf/logging.yml", ""])
@pytest.mark.parametrize("error", [None, ValueError()])
def test_the_environment_is_as_before(monkeypatch, former, error):
    if former is not None:
        monkeypatch.setenv(VARIABLE, former)
    try:
        with bare_kedro_logging():
            assert os.environ[VARIABLE].endswith("worker_logging.yml")
            if error is not None:
                raise error
    except ValueError:
        pass
    assert os.environ.get(VARIABLE) == former
