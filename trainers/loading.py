"""Import what is large without looking it over for garbage: an eighth of what torch and pandas take."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading(*, stays: bool = False) -> Iterator[None]:
    """Import within its block. stays: nothing there is now is ever looked over again, for a process of our own."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if stays:
            gc.freeze()
        if was:
            gc.enable()
