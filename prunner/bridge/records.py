"""A log record as plain data, and again as a record.

What a message of the link holds must be sure to unpickle. So objects of the user's (messages,
attributes) travel as bytes, with a text for the case that these cannot be read; and what the
parent makes anew or knows as well is left out, since programs log in their innermost loops.

Pure: no handler, no process.
"""

from __future__ import annotations

import functools
import io
import logging
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import cloudpickle

from prunner.bridge.failure import Failure, Failures

_SCALARS = frozenset({str, int, float, bool, type(None)})
_DEEPEST = 20  # lists in lists
_LONGEST = 1_000_000  # bytes of a pickled object: a log is no place for a table

# What the factory of a record takes, and what it makes of that.
_TAKEN = ("name", "levelno", "pathname", "lineno", "msg", "args", "funcName", "stack_info")
_MADE_ANEW = {"levelname", "filename", "module", "relativeCreated"}
_LEFT_OUT = frozenset({"msg", "args", "exc_info", "exc_text"} | _MADE_ANEW)
_USUAL_NAMES = {
    level: logging.getLevelName(level)
    for level in (
        logging.NOTSET,
        logging.DEBUG,
        logging.INFO,
        logging.WARNING,
        logging.ERROR,
        logging.CRITICAL,
    )
}


# All attributes of a record, and the moment that these are counted from.
_USUAL = logging.LogRecord("", logging.NOTSET, "", 0, "", None, None)
_LOGGING_BEGAN = _USUAL.created - _USUAL.relativeCreated / 1000


class Parcel(NamedTuple):
    """An object of the user's.

    Attributes:
        pickled: The object.
        instead: Plain data that stands for it where it cannot be unpickled.
    """

    pickled: bytes
    instead: Any


class Raised(NamedTuple):
    """What a record has as ``exc_info``.

    Attributes:
        failure: The exception; None where it cannot be described.
        text: As it is shown, for that case.
    """

    failure: Failure | None
    text: str


def record_attributes(record: logging.LogRecord) -> dict[str, Any]:
    """The attributes of a record, as plain data.

    Message and arguments stay apart where the arguments are plain data: Kedro's rich handler
    colours them one by one, and others count messages by their form. Else the message is
    formatted here. A message that is no text stays what it is, as far as it can be pickled.

    So do other attributes (``extra=``). One that cannot be pickled arrives as its ``repr``, but
    as None where it can be called: a text in its place would be called, too.
    """
    message, args = _message(record)
    sent = {"msg": message, "args": args}
    for name, value in record.__dict__.items():
        if name not in _LEFT_OUT:
            sent[name] = value if type(value) in _SCALARS else _carried(value)
    if _has_own_level_name(record):
        sent["levelname"] = str(record.levelname)
    if record.exc_info:
        info = record.exc_info
        sent["exc_info"] = info if _is_plain(info) else _raised(info)
    if record.exc_text:
        sent["exc_text"] = str(record.exc_text)
    return sent


def made_record(attributes: Mapping[str, Any]) -> logging.LogRecord:
    """A record of these attributes, made as this process makes its own.

    Raises:
        Exception: Whatever a record factory of the user's raises.
    """
    factory = logging.getLogRecordFactory()
    usual = factory is logging.LogRecord and type(attributes["pathname"]) is str
    return _filled_in(attributes) if usual else _made(attributes, factory)


def plain_record(attributes: Mapping[str, Any]) -> logging.LogRecord:
    """A record of these attributes, made by no factory of the user's."""
    return _made(attributes, logging.LogRecord)


def _filled_in(attributes: Mapping[str, Any]) -> logging.LogRecord:
    # What the usual factory would find out about this process would be overwritten.
    record = logging.LogRecord.__new__(logging.LogRecord)
    values = record.__dict__
    values.update(_USUAL.__dict__)
    for name, value in attributes.items():
        values[name] = value if type(value) in _SCALARS else _opened(value)
    values["exc_info"], values["exc_text"] = _exc_info(
        values["exc_info"], attributes.get("exc_text")
    )
    values["relativeCreated"] = (record.created - _LOGGING_BEGAN) * 1000
    values["filename"], values["module"] = _names_of_file(record.pathname)
    if "levelname" not in attributes:
        record.levelname = logging.getLevelName(record.levelno)
    return record


@functools.lru_cache(maxsize=1000)
def _names_of_file(path: str) -> tuple[str, str]:
    record = logging.LogRecord("", 0, path, 0, "", None, None)
    return record.filename, record.module


def _made(attributes: Mapping[str, Any], factory: Any) -> logging.LogRecord:
    values = {name: _opened(value) for name, value in attributes.items()}
    args = values.get("args")
    exc_info, exc_text = _exc_info(values.pop("exc_info", None))
    record: logging.LogRecord = factory(
        values["name"],
        values["levelno"],
        values["pathname"],
        values["lineno"],
        values["msg"],
        (args,) if isinstance(args, Mapping) else args,  # as they are given to a logger
        exc_info,
        values.get("funcName"),
        values.get("stack_info"),
    )
    if "created" in values:
        # Counted from the moment when logging was imported here, whatever the worker's was.
        ago = record.created - values["created"]
        record.relativeCreated -= ago * 1000
    if exc_text is not None:
        record.exc_text = exc_text
    # What the factory was given it may have changed on purpose.
    for name in _TAKEN:
        values.pop(name, None)
    record.__dict__.update(values)
    return record


def _message(record: logging.LogRecord) -> tuple[Any, Any]:
    message, args = record.msg, record.args
    if not args or _is_plain(args):
        if type(message) is str:
            return message, args
        return _carried(message, _text(message, str)), args
    try:
        return str(record.getMessage()), None
    except Exception:
        # Formats of the parent's own: a factory whose records use str.format(), for example.
        each = args if isinstance(args, tuple) else (args,)
        carried = tuple(_carried(arg, _text(arg, str)) for arg in each)
        return _carried(message, _text(message, str)), carried


def _raised(exc_info: Any) -> Raised:
    failure, text = None, ""
    try:
        text = logging.Formatter().formatException(exc_info)
        failure = Failures().capture(exc_info[1])
    except Exception:
        text = text or f"<an exception that cannot be shown: {_text(exc_info, repr)}>"
    return Raised(failure, text)


def _exc_info(raised: Any, text: str | None = None) -> tuple[Any, str | None]:
    if not isinstance(raised, Raised):
        return raised, text  # there was no exception
    try:
        assert raised.failure is not None
        error = Failures().restore(raised.failure)
        return (type(error), error, error.__traceback__), text
    except Exception:
        return None, text or raised.text


def _has_own_level_name(record: logging.LogRecord) -> bool:
    level = record.levelno
    return record.levelname != _USUAL_NAMES.get(level, f"Level {level}")


def _carried(value: Any, instead: Any = None) -> Any:
    if _is_plain(value):
        return value
    if instead is None and not callable(value):
        instead = _text(value, repr)
    try:
        return Parcel(_pickled(value), instead)
    except Exception:
        return instead


def _opened(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(_opened(each) for each in value)
    if type(value) is not Parcel:
        return value
    try:
        return pickle.loads(value.pickled)
    except (Exception, SystemExit):
        return value.instead


def _is_plain(value: Any, depth: int = _DEEPEST) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if not depth:
        return False
    if kind is tuple or kind is list:
        return all(_is_plain(each, depth - 1) for each in value)
    if kind is dict:
        return all(_is_plain(k, depth - 1) and _is_plain(v, depth - 1) for k, v in value.items())
    return False


def _text(value: Any, describe: Any) -> Any:
    # A number or text of a class of its own is, at the least, that number or text.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    try:
        return str.__str__(describe(value))
    except Exception:
        return f"<{type(value).__qualname__} that cannot be described>"


class _Short(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > _LONGEST:
            raise ValueError("too long")
        return super().write(data)


def _pickled(value: Any) -> bytes:
    try:
        return _dumped(pickle.Pickler, value)
    except (AttributeError, pickle.PicklingError, TypeError):
        # Classes of a notebook, or of a function: by value.
        return _dumped(cloudpickle.Pickler, value)


def _dumped(pickler: Any, value: Any) -> bytes:
    stream = _Short()
    pickler(stream, protocol=5).dump(value)
    return stream.getvalue()
