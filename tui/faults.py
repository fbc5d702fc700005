"""What a worker did not foresee: one line for the person, the traceback in a file, and the screen stays."""

from __future__ import annotations

import os
import time
import traceback

from engine.errors import EngineError
from tui.settings import folder

NAME = "tui.log"
MOST = 1 << 20
"""Bytes from which the file is begun anew; what it held until then is kept beside it once."""


def said(error: BaseException) -> str:
    """One line about an error: its own where it was foreseen, else what it is and where its traceback was put."""
    if isinstance(error, EngineError):
        return str(error)
    what = f"A fault of tui: {type(error).__name__}: {' '.join(str(error).split())}"[:300].rstrip(" :")
    path = folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > MOST:
            path.replace(path.with_suffix(".log.1"))
        with open(path, "a", encoding="utf-8") as file:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"{stamp} pid {os.getpid()}\n{''.join(traceback.format_exception(error))}\n")
    except OSError as trouble:
        return f"{what}. {path} can't be written: {trouble.strerror}."
    return f"{what}. Its traceback is in {path}"
