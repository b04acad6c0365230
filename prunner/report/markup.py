"""Pieces of HTML in which nothing that is on record can become markup. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from prunner.report.figures import encodable

# What changes the direction of text, and would do so beyond a name: what follows reads backwards.
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def visible(text: str) -> str:
    """The text with signs in place of characters that nobody can see, or that no file can have."""
    text = _CONTROLS.sub(_picture, text.replace("\r\n", "\n"))
    return encodable(_DIRECTIONS.sub("\ufffd", text))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\u2421" if code == 0x7F else chr(0x2400 + code)


def escaped(text: object) -> str:
    """Text that means itself in HTML, also in an attribute with quotes."""
    return html.escape(visible(str(text)))


def element(tag: str, *content: str, **attributes: str) -> str:
    """An element; ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``.

    Args:
        tag: Its name.
        *content: HTML: text has to be escaped already.
        **attributes: Its attributes, not escaped.
    """
    named = "".join(
        f' {name.strip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{named}>{''.join(content)}</{tag}>"


def section(title: str, *content: str) -> str:
    """A part of the page with a heading of its own."""
    return element("section", element("h2", escaped(title)), *content)


def table(label: str, heads: Iterable[tuple[str, str]], rows: Iterable[Iterable[str]]) -> str:
    """A table that scrolls sideways where there is no room; the first cell of a row is its head.

    Args:
        label: What it is about.
        heads: Text and class of each column.
        rows: HTML of the cells.
    """
    columns = list(heads)
    head = "".join(element("th", escaped(text), scope="col", class_=css) for text, css in columns)
    body = "".join(element("tr", *_cells(row, [css for _, css in columns])) for row in rows)
    content = element("thead", element("tr", head)) + element("tbody", body)
    return element(
        "div",
        element("table", content),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=label,
    )


def _cells(row: Iterable[str], classes: list[str]) -> Iterable[str]:
    for number, (cell, css) in enumerate(zip(row, classes, strict=True)):
        if number:
            yield element("td", cell, class_=css)
        else:
            yield element("th", cell, scope="row", class_=css)
