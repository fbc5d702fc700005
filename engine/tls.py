"""asyncio without OpenSSL, as on a Python that has none: nothing here speaks TLS, and to load it takes 10 ms."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within, what is imported does without it, if it is not there already; afterwards whoever wants it has it."""
    if "ssl" in sys.modules:
        yield
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["ssl"]
