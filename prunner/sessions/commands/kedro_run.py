"""How ``kedro run`` is told something: by arguments, or by a file.

Whatever is written is read again by Kedro's own command, so that nothing is said that Kedro would
take for something else.

Covers: all that is agreed on with Kedro's command line. Does not cover: what is to be said
(``repeating``).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro.framework.cli.project import run as _run
from omegaconf import OmegaConf

from prunner.sessions.commands import texts

_NESTED = ("params", "runner_params")
_FLAGS = ("is_async", "only_missing_outputs")
_UNCHECKED = ("conf_source",)  # Kedro would look whether it is there
_LONGEST = 2000  # characters of a command that somebody is to copy
_SPECIAL_ON_WINDOWS = frozenset("%^&|<>$`\"'!")  # each means something to cmd or to PowerShell


@dataclass(frozen=True, slots=True)
class Said:
    """What ``kedro run`` is told.

    Attributes:
        arguments: Those behind ``kedro run``; none if a file says everything.
        config: What is in the file for ``--config``; ``None`` if none is needed.
        unsaid: What Kedro cannot be told, by its name, and why.
    """

    arguments: Sequence[str]
    config: Mapping[str, Any] | None = None
    unsaid: Mapping[str, str] = field(default_factory=dict)


def can(option: str) -> bool:
    """True if the ``kedro run`` that is installed has an option.

    Args:
        option: As Kedro calls it inside, such as ``node_names``.
    """
    return any(each.name == option for each in _run.params)


def say(
    options: Mapping[str, Any], encoding: str = "utf-8", *, on_windows: bool = os.name == "nt"
) -> Said:
    """Tell ``kedro run``.

    Args:
        options: By the names that Kedro calls them inside.
        encoding: Of the console where the command is shown.
        on_windows: Whether it is one of Windows.
    """
    unsaid: dict[str, str] = {}
    known = _as_this_kedro_has_them(options)
    for name in [name for name in known if not can(name)]:
        unsaid[name] = _why_not(name, known.pop(name))
    nested = {name: _sayable(known[name], f"{name}.", unsaid) for name in _NESTED if name in known}
    others = {name: _text(value) for name, value in known.items() if name not in _NESTED}
    for name in [name for name, text in others.items() if not _is_right(name, text, known[name])]:
        del others[name]
        unsaid[name] = _why_not(name, known[name])
    written = {name: _as_list(value) for name, value in nested.items() if value}
    arguments = [_argument(name, text) for name, text in (others | written).items()]
    if _is_shown_well(arguments, encoding, on_windows) and all(
        _is_right(name, text, nested[name]) for name, text in written.items()
    ):
        return Said(arguments, None, unsaid)
    for name in [name for name, text in others.items() if not _survives(text)]:
        del others[name]
        unsaid[name] = _why_not(name, known[name])
    whole = {**others, **{name: value for name, value in nested.items() if value}}
    return Said([], {"run": whole}, unsaid)


def as_file(config: Mapping[str, Any]) -> str:
    """The text of a file for ``--config``."""
    text: str = OmegaConf.to_yaml(OmegaConf.create(dict(config)))
    return text


def as_line(argv: Sequence[str], *, on_windows: bool = os.name == "nt") -> str:
    """A command as a line for a shell."""
    return subprocess.list2cmdline(argv) if on_windows else shlex.join(argv)


def _as_this_kedro_has_them(options: Mapping[str, Any]) -> dict[str, Any]:
    """Other names for the same in earlier and in later releases."""
    known = dict(options)
    if len(known.get("pipelines", ())) == 1 and not can("pipelines"):
        known["pipeline"] = known.pop("pipelines")[0]
    if known.get("runner_params") == {"is_async": True} and not can("runner_params"):
        del known["runner_params"]
        known["is_async"] = True
    return known


def _sayable(values: Mapping[Any, Any], above: str, unsaid: dict[str, str]) -> dict[Any, Any]:
    """Nested values without those that are lost in a file."""
    if _survives(values):
        return dict(values)
    kept: dict[Any, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value and _survives({name: 1}):
            inner = _sayable(value, f"{above}{name}.", unsaid)
            kept |= {name: inner} if inner else {}
        elif _survives({name: value}):
            kept[name] = value
        else:
            unsaid[f"{above}{name}"] = _why_not("params", value)
    return kept


def _why_not(name: str, value: Any) -> str:
    if not can(name):
        return "this Kedro has no such option"
    return f"'kedro run' cannot be told {texts.in_words(value)} ({type(value).__name__})"


def _text(value: Any) -> Any:
    """A value as Kedro takes it from a command and from a file."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{each}" for name, each in value.items())
    if isinstance(value, (list, tuple, set)):
        return ",".join(map(str, value))
    return value


def _as_list(values: Mapping[Any, Any]) -> str:
    return ",".join(f"{path}={_scalar(value)}" for path, value in texts.flat(values).items())


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)


def _argument(name: str, text: Any) -> str:
    (flag,) = (max(each.opts, key=len) for each in _run.params if each.name == name)
    return flag if name in _FLAGS else f"{flag}={text}"


def _is_right(name: str, text: Any, meant: Any) -> bool:
    """Whether Kedro understands what is meant."""
    if name in _UNCHECKED:
        return True
    try:
        understood = _run.make_context("run", [_argument(name, text)]).params[name]
    except Exception:  # of click, of Kedro, of OmegaConf and of YAML
        return False
    return _comparable(understood) == _comparable(meant)


def _survives(value: Any) -> bool:
    """Whether something can be read again from a file."""
    try:
        text = OmegaConf.to_yaml(OmegaConf.create({"value": value}))
        found = OmegaConf.to_container(OmegaConf.create(text))
    except Exception:  # of OmegaConf, of YAML and of its characters
        return False
    return _comparable(found) == _comparable({"value": value})


def _comparable(value: Any) -> str:
    """The same for a list and a tuple: Kedro makes lists of both. Another one for 1 and True."""
    return repr(_with_lists(value))


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_lists(each) for name, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, (list, tuple)) else value


def _is_shown_well(arguments: Sequence[str], encoding: str, on_windows: bool) -> bool:
    """Whether a command can be shown, and copied into a shell."""
    line = " ".join(arguments)
    try:
        line.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    if on_windows and not _SPECIAL_ON_WINDOWS.isdisjoint(line):
        return False
    return line.isprintable() and len(line) <= _LONGEST
