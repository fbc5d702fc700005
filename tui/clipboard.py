"""Text on its way to the clipboard, also through a multiplexer, which takes OSC 52 for itself and mostly drops it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from textual.app import App

SECONDS = 10.0


class Copying(App[None]):
    """An app whose copies reach the clipboard from inside tmux and GNU screen too."""

    ALLOW_SELECT = False  # of lines that a widget draws itself it copies the name of the widget: tui/widgets/marking.py

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        if self._driver is None or self.is_headless or self.is_web:
            return
        if wrapped := through_screen(text, os.environ):
            self._driver.write(wrapped)
        if os.environ.get("TMUX"):
            self.run_worker(partial(hand_to_tmux, text), name="clipboard", group="clipboard", thread=True)


def through_screen(text: str, environ: Mapping[str, str]) -> str:
    """OSC 52 wrapped for the terminal outside of GNU screen, in parts as long as screen takes; "" outside of it."""
    if not environ.get("STY"):
        return ""
    from base64 import b64encode

    told = f"\x1b]52;c;{b64encode(text.encode()).decode()}\x07"
    return "".join(f"\x1bP{told[at : at + 500]}\x1b\\" for at in range(0, len(told), 500))


def hand_to_tmux(text: str) -> bool:
    """Have tmux keep it as its newest buffer, and tell the terminal outside (3.2 and later). In a worker.

    As it comes, with `set-clipboard external`, it does so for its own commands alone.
    """
    import subprocess

    for options in (("-w",), ()):
        command = ["tmux", "load-buffer", *options, "-"]
        try:
            done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode == 0:
            return True
    return False
