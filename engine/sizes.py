"""Amounts of memory as people type them: 6GiB, 512MiB, 24 GB."""

from __future__ import annotations

import re

from engine.errors import UsageError

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt])(i?b)?", re.IGNORECASE)
LEAST, MOST = 1 << 20, 1 << 44


def size(text: str, what: str) -> int:
    """Read an amount of memory as bytes. G, GB and GiB are all 2^30: memory is sold so.

    A bare number is refused, because some mean bytes by it and some MiB. Raises UsageError.
    """
    found = _TEXT.fullmatch(text.strip())
    count = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if not LEAST <= count <= MOST:
        raise UsageError(f"{what} {text}: expected an amount of memory such as 6GiB or 512MiB.")
    return count
