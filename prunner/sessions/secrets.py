"""Secrets are replaced before anything is written. Pure.

A value is a secret where its name or its place says so (``password``, everything below
``credentials``), and where it is a part of a URL or of a command. What was found to be one is
replaced wherever else it occurs, such as in the message of an error.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

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
    r"(?<![a-z0-9+.-])(?P<head>[a-z][a-z0-9+.-]{0,30}://[^\s/@:'\"]*:)"
    # With a slash in it no URL is right, but there are such; a number before one is a port.
    r"(?P<password>[^\s/'\"]+(?=@)|(?!\d+/)[^\s'\"@]{1,200}(?=@))",
    re.I,
)
_NAME = re.compile(r"(?<![\w.-])(?P<name>[\w.-]{1,200})\\*['\"]?\s*(?:=>|->|[:=!]?=|:)\s*")
_PAIR = re.compile(r"(?<!\w)\(\\*['\"](?P<name>[\w.-]{1,200})\\*['\"],\s*")
_FLAG = re.compile(r"(?<!\S)(?P<name>--?[\w-]{1,200})\s+(?=[^\s-])")
_VALUE = re.compile(
    # A text in quotes, which may be those of a text within another one: \\".
    r"[bru]{0,2}(?P<quote>\\*(?:\"{3}|'{3}|[\"']))(?s:.{0,10000}?)(?<!\\)(?P=quote)"
    r"|\[(?:[^\[\]]|\[[^\[\]]*\]){0,2000}\]"
    r"|\{(?:[^{}]|\{[^{}]*\}){0,2000}\}"
    r"|\((?:[^()]|\([^()]*\)){0,2000}\)"
    r"|\\*[\"'\[{(].*"  # without an end, as where a text was cut
    r"|(?:Bearer|Basic|Token|Digest|ApiKey)\s+[^\s,;&'\"]+"
    r"|[^\s,;&'\"})\]]+",
    re.I,
)
_FOLDER = re.compile(r"['\"]?(?:[/~]|[a-z]:)", re.I)
_WORD_BEHIND = re.compile(r"\S+")
_SHORTEST = 5  # characters of what is looked for elsewhere
_COMMON = frozenset(("false", "<none>"))
_LEAST_NUMBER = 10**5  # that is looked for elsewhere
# Tags of values that are no secrets by themselves, whoever they belong to.
_TIMES = frozenset(("$datetime", "$date", "$time", "$timedelta", "$float", "$complex"))
# Of those that may hold any text; others could not be read again.
_LENIENT = frozenset(("$items", "$tuple", "$set", "$object", "$path"))


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
        for name, value in ((_NAME, _VALUE), (_PAIR, _VALUE), (_FLAG, _WORD_BEHIND)):
            text = _without(text, name, value)
        return text

    def _learn(self, values: Iterable[str]) -> None:
        new = {v for v in values if len(v) >= _SHORTEST and v.lower() not in _COMMON}
        if not new <= self._values:
            self._values |= {form for value in new for form in _forms(value)}
            # The longest first: one may be a part of another one.
            known = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, known)))

    def _scrubbed(self, plain: Any, is_secret: bool) -> Any:
        if isinstance(plain, dict):
            tag = next(iter(plain), "")
            if is_secret and tag.startswith("$"):
                return REPLACED  # and not a date, say, whose text is no date
            scrubbed = {
                self.text(name): self._scrubbed(each, is_secret or _is_secret(name, each))
                for name, each in plain.items()
            }
            is_whole = scrubbed == plain or not tag.startswith("$") or tag in _LENIENT
            return scrubbed if is_whole else REPLACED
        if isinstance(plain, list):
            return [
                self._scrubbed(each, is_secret or _follows_flag(plain, index))
                for index, each in enumerate(plain)
            ]
        if is_secret and plain is not None and not isinstance(plain, bool):
            return REPLACED
        return self.text(plain) if isinstance(plain, str) else plain


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Secrets in variables: what their names say to be one, but for paths, and those in URLs."""
    named = [value for name, value in environment.items() if says_secret(name)]
    in_urls = [each for value in environment.values() for each in _passwords_in(value)]
    return [value for value in named if not os.path.isabs(value)] + in_urls  # SSH_AUTH_SOCK


def _secrets_in(plain: Any, is_secret: bool) -> Iterable[str]:
    if isinstance(plain, dict):
        for name, each in (_tagged_secret(plain) if is_secret else plain).items():
            yield from _secrets_in(each, is_secret or _is_secret(name, each))
    elif isinstance(plain, list):
        for index, each in enumerate(plain):
            yield from _secrets_in(each, is_secret or _follows_flag(plain, index))
    elif isinstance(plain, str):
        yield from _passwords_in(plain)
        if is_secret:
            yield plain
    elif is_secret and isinstance(plain, int) and abs(plain) >= _LEAST_NUMBER:
        yield str(plain)  # what 'kedro run --params' makes of a password of digits


def _tagged_secret(plain: dict[str, Any]) -> dict[str, Any]:
    """What is to be looked for elsewhere of a secret that may have a tag."""
    tag = next(iter(plain), "")
    if tag in _TIMES:
        return {}
    if tag == "$bytes":
        return {tag: b64decode(plain[tag]).decode("utf-8", "replace")}
    return {"text": plain["text"]} if tag == "$object" else plain


def _passwords_in(text: str) -> Iterable[str]:
    """Those of URLs, but for postgres://postgres:postgres@..., which is a word like others."""
    for found in _URL.finditer(text):
        if found["password"] not in found["head"]:
            yield found["password"]


def _forms(value: str) -> Iterable[str]:
    """A text as it is, in a URL, and within quotes."""
    yield value
    yield from (quote(value, "", errors="replace"), quote_plus(value, errors="replace"))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield repr(value)[1:-1]


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
        if _says_secret_in_text(found["name"]) and not text.startswith(REPLACED, place):
            secret = value.match(text, place)
            is_folder = found["name"] in _FOLDERS and _FOLDER.match(text, place)
            if secret is not None and not is_folder:
                kept += [text[at:place], REPLACED]
                at = place = secret.end()
    return "".join((*kept, text[at:]))


def _says_secret_in_text(name: str) -> bool:
    """A folder of a shell is none; in a connection string, PWD is a password."""
    return says_secret(name) or name in _FOLDERS
