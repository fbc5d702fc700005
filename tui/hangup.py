"""The end of the program when its terminal goes, or somebody asks for it with a signal: nothing is left behind.

Textual would read from a terminal that is gone again and again with all of a core, and SIGTERM would leave one that is
there without its lines and with a mouse that types.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.app import PaddockApp

PATIENCE = 3.0
"""Seconds for an orderly end; one that waits for a terminal to take its last bytes has none."""
STDIN = 0


def watch(app: PaddockApp) -> None:
    """From now on end with the terminal, on SIGHUP and on SIGTERM. Called in the main thread, before app.run()."""

    def told(number: int, _: FrameType | None) -> None:
        threading.Thread(target=_end, args=(app, 128 + number), name="end", daemon=True).start()

    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, told)
    poll = select.poll()
    poll.register(STDIN, 0)  # that it is gone is told without being asked for
    if not poll.poll(0):  # some systems can't poll terminals
        threading.Thread(target=_watch, args=(app, poll), name="terminal", daemon=True).start()


def _watch(app: PaddockApp, poll: select.poll) -> None:
    while not poll.poll():
        pass
    _end(app, 128 + signal.SIGHUP)


def _end(app: PaddockApp, code: int) -> None:
    """Leave as with a key; where that does not come about in time, without a word."""
    if app.is_running:
        app.exit(return_code=code)
    time.sleep(PATIENCE)
    if app.far is not None:
        app.far.close()
    os._exit(code)
