"""Secrets are replaced before anything is written. Pure.

A value is a secret where its name or its place says so (``password``, everything below
``credentials``), and where it is a part of a URL or of a command. What was found to be one is
replaced wherever else it occurs, such as in the message of an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

REPLACED = "***"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS = frozenset(
    "password passwd passphrase passcode pwd secret secrets token tokens credential credentials "
    "creds apikey authorization auth bearer cookie key keys signature".split()
)
_ALONE = frozenset(("pass", "pw", "pin", "sas", "sig", "dsn"))  # nothing else in the name
_WITHIN = re.compile(r"passw|secret|token|apikey|accesskey|credential|privatekey", re.I)
_FOLDERS = frozenset(("PWD", "OLDPWD"))  # of a shell; in lower case it is a password
# Of these, numbers are none: max_tokens, n_keys.
_COUNTED = frozenset(("tokens", "keys"))
_HARMLESS = re.compile(
    r"^(.*_)?(full|primary|foreign|sort|partition|join|group|index|merge|unique|row|hash)_?keys?$",
    re.I,
)
# Each looks at a character no more than a few times, however long a text is.
_URL = re.compile(
    r"(?<![a-z0-9+.-])(?P<head>[a-z][a-z0-9+.-]{0,30}://[^\s/@:'\"]*:)[^\s/'\"]+(?=@)", re.I
)
_NAME = re.compile(r"(?<![\w.-])(?P<name>[\w.-]{1,200})['\"]?\s*[=:]\s*")
_FLAG = re.compile(r"(?<!\S)(?P<name>--?[\w-]{1,200})\s+(?=[^\s-])")
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|(?:Bearer|Basic)\s+[^\s,;&'\"]+|[^\s,;&'\"})\]]+")
_WORD_BEHIND = re.compile(r"\S+")
_SHORTEST = 5  # characters of what is looked for elsewhere
_COMMON = frozenset(("false", "<none>"))


def says_secret(name: str) -> bool:
    """True if what has this name is a secret.

    Args:
        name: Of a parameter, a variable or a flag; of a path such as ``db.password``, the last part
            counts.
    """
    last = name.rsplit(".", 1)[-1].strip("-_ ")
    if last.lower() in _ALONE:
        return True
    if last in _FOLDERS or _HARMLESS.match(last):
        return False
    words = {word.lower() for word in _WORD.findall(last)}
    return not _WORDS.isdisjoint(words) or _WITHIN.search(last) is not None


class Scrubber:
    """Replaces secrets in plain values (``plain.to_plain``).

    Args:
        values: Texts that are known to be secrets.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._learn(values)

    def scrub(self, plain: Any) -> Any:
        """The same without secrets; those that are found are known from now on, too."""
        self._learn(_secrets_in(plain, False))
        return self._scrubbed(plain, False)

    def text(self, text: str) -> str:
        """A text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(REPLACED, text)
        text = _URL.sub(rf"\g<head>{REPLACED}", text)
        return _without(_without(text, _NAME, _VALUE), _FLAG, _WORD_BEHIND)

    def _learn(self, values: Iterable[str]) -> None:
        new = {v for v in values if len(v) >= _SHORTEST and v.lower() not in _COMMON}
        if not new <= self._values:
            self._values |= new
            # The longest first: one may be a part of another one.
            known = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, known)))

    def _scrubbed(self, plain: Any, is_secret: bool) -> Any:
        if isinstance(plain, dict):
            if is_secret and next(iter(plain), "").startswith("$"):
                return REPLACED  # and not a date, say, whose text is no date
            return {
                self.text(name): self._scrubbed(each, is_secret or _is_secret(name, each))
                for name, each in plain.items()
            }
        if isinstance(plain, list):
            return [
                self._scrubbed(each, is_secret or _follows_flag(plain, index))
                for index, each in enumerate(plain)
            ]
        if is_secret and plain is not None and not isinstance(plain, bool):
            return REPLACED
        return self.text(plain) if isinstance(plain, str) else plain


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secrets, but for paths."""
    named = [value for name, value in environment.items() if says_secret(name)]
    return [value for value in named if not os.path.isabs(value)]  # SSH_AUTH_SOCK


def _secrets_in(plain: Any, is_secret: bool) -> Iterable[str]:
    if isinstance(plain, dict):
        for name, each in plain.items():
            yield from _secrets_in(each, is_secret or _is_secret(name, each))
    elif isinstance(plain, list):
        for index, each in enumerate(plain):
            yield from _secrets_in(each, is_secret or _follows_flag(plain, index))
    elif is_secret and isinstance(plain, str):
        yield plain


def _is_secret(name: str, value: Any) -> bool:
    if not says_secret(name):
        return False
    words = {word.lower() for word in _WORD.findall(name)}
    return not (isinstance(value, (int, float)) and words & _COUNTED)


def _follows_flag(items: list[Any], index: int) -> bool:
    """True for the second of ``--password`` and its value, or of a name and its value."""
    before = items[index - 1] if index else None
    if not isinstance(before, str) or not isinstance(items[index], (str, int, float, dict, list)):
        return False
    is_pair = len(items) == 2
    return (before.startswith("-") or is_pair) and "=" not in before and says_secret(before)


def _without(text: str, name: re.Pattern[str], value: re.Pattern[str]) -> str:
    """A text in which what follows a name that says secret is replaced."""
    kept, at, place = [], 0, 0
    while (found := name.search(text, place)) is not None:
        place = found.end()
        if says_secret(found["name"]) and not text.startswith(REPLACED, place):
            secret = value.match(text, place)
            if secret is not None:
                kept += [text[at:place], REPLACED]
                at = place = secret.end()
    return "".join((*kept, text[at:]))
