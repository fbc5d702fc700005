"""The end of the program from outside, by a signal or with its terminal; terminals of few colours and few cells."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.workspace import Workspace
from tests.conftest import wait_for
from tui.clipboard import through_screen
from tui.settings import Settings


class Screen:
    """`tui --readonly` with a pty of its own, whose other end is held here; it ignores SIGHUP, as under nohup."""

    def __init__(self, workspace: Workspace, term: str, **more: str) -> None:
        Settings().put("tour", True)
        env = {**os.environ, "TERM": term, "ENGINE_HOME": str(workspace.root), **more}
        for name in ("COLUMNS", "LINES", "COLORTERM", "TMUX", "NO_COLOR"):
            if name not in more:
                env.pop(name, None)
        self.end, inside = pty.openpty()
        self.size(40, 140)
        command = [sys.executable, "-m", "tui", "--readonly"]
        self.process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=env,
                                        preexec_fn=ignore_hangups, start_new_session=True)  # fmt: skip
        os.close(inside)
        os.set_blocking(self.end, False)
        self.said = b""

    def size(self, lines: int, columns: int) -> None:
        termios.tcsetwinsize(self.end, (lines, columns))

    def read(self) -> bytes:
        try:
            while got := os.read(self.end, 1 << 16):
                self.said += got
        except OSError:  # nothing there yet, or nobody
            pass
        return self.said

    def says(self, *texts: bytes) -> None:
        wait_for(lambda: all(text in self.read() for text in texts), f"for {texts}")

    def ended(self) -> int:
        """Its exit code; what it says at the end is read."""

        def left() -> bool:
            self.read()
            return self.process.poll() is not None

        wait_for(left, "for the end")
        return int(self.process.returncode)


def ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@contextmanager
def screen(workspace: Workspace, term: str, **more: str) -> Iterator[Screen]:
    made = Screen(workspace, term, **more)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        if made.end >= 0:
            os.close(made.end)


def test_few_colours_few_cells_and_a_signal_after_which_the_terminal_is_as_before(workspace: Workspace):
    with screen(workspace, "xterm") as it:
        it.says(b"engine away", b"Devices")
        assert b"[38;5;" not in it.said, "it has 16 colours"
        assert b"8;2;" not in it.said
        for size in ((5, 20), (1, 1), (5, 20)):
            before = len(it.read())
            it.size(*size)
            it.process.send_signal(signal.SIGWINCH)
            wait_for(lambda before=before: len(it.read()) > before, f"for {size}")
        it.said = b""
        it.size(40, 140)
        it.process.send_signal(signal.SIGWINCH)
        it.says(b"Devices", b"Finished")
        it.process.send_signal(signal.SIGTERM)
        assert it.ended() == 128 + signal.SIGTERM
        assert it.said.count(b"\x1b[?1049l") == 1, "the lines of before are back"
        assert b"\x1b[?1003l" in it.said, "the mouse does not type"
        assert b"Traceback" not in it.said


def test_with_its_terminal_it_ends_where_nobody_else_ends_it(workspace: Workspace):
    """Left to Textual it reads the end of a terminal that is gone, with all of a core, for ever."""
    with screen(workspace, "xterm-256color") as it:
        it.says(b"engine away", b"Devices")
        assert b"8;5;" in it.said
        assert b"8;2;" not in it.said, "COLORTERM does not say that it could"
        os.close(it.end)
        it.end = -1
        assert it.process.wait(60) == 128 + signal.SIGHUP


@pytest.mark.parametrize("length", [10, 2000])
def test_a_copy_goes_through_screen_in_parts_that_it_takes(length):
    assert through_screen("x" * length, {}) == ""
    told = through_screen("x" * length, {"STY": "1.pts"})
    parts = told.removeprefix("\x1bP").removesuffix("\x1b\\").split("\x1b\\\x1bP")
    assert all(len(part) <= 500 for part in parts)
    assert "".join(parts).startswith("\x1b]52;c;eHh4")
    assert "".join(parts).endswith("\x07")
