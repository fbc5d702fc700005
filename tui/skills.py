"""What the terminal can do that spares bytes, as the terminfo entry of TERM says."""

from __future__ import annotations

import os
from typing import NamedTuple


class Skills(NamedTuple):
    """colored: what is erased gets the ground that is set, and not the terminal's own. erases: so many cells without
    writing blanks. repeats: the last sign so many times more."""

    colored: bool = False
    erases: bool = False
    repeats: bool = False


def skills() -> Skills:
    """Those of the terminal this runs in; none where TERM is not known, or this Python has no curses."""
    if os.environ.get("TMUX"):  # of 3.3 it repeats signs of one byte alone; of the rest its own entries say nothing
        return Skills(True, True, False)
    try:
        import curses  # for slow lines only
    except ImportError:
        return Skills()
    try:
        curses.setupterm(fd=1)
    except curses.error:
        return Skills()
    return Skills(curses.tigetflag("bce") == 1, bool(curses.tigetstr("ech")), bool(curses.tigetstr("rep")))
