"""Where an object is that travels between processes."""

from __future__ import annotations

from typing import NamedTuple


class DataRef(NamedTuple):
    """Where the bytes of one object are.

    Attributes:
        path: The file, or ``None`` where the bytes are in ``inline``.
        inline: The bytes of a small object.
        size: Number of bytes.
    """

    path: str | None
    inline: bytes | None
    size: int
