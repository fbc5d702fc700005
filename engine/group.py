"""The process group of a run in its supervisor's hands: signals passed on, pauses, limits, the end of what is left.

Standard library only: the supervisor must stay small.
"""

from __future__ import annotations

import os
import signal
import time

from engine import kernel, rundir
from engine.silence import Silence

WANTED = {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT}
"""What a supervisor blocks and waits for."""
STRAGGLERS = 2.0
"""Seconds that what is left of the group has between SIGTERM and SIGKILL once its leader has ended."""


class Group:
    """The process group of a run, and what was asked of it so far."""

    def __init__(self, pgid: int, grace: float, start_time: object) -> None:
        self.pgid = pgid
        self.grace = grace
        self.start_time = start_time
        self.kill_at: float | None = None
        self.asked = ""
        self.by: dict[str, object] = {}
        """Who sent the signal that asked for its end."""
        self.limit_at: float | None = None
        """When its time is up, by the monotonic clock."""
        self.silence: Silence | None = None
        """Watches whether it still says anything, where that was asked for."""
        self.silent = 0.0
        self.paused_at: float | None = None
        self.folder = ""
        self.unsaid: list[dict[str, object]] = []
        """Lines that did not fit on the disk yet."""

    def send(self, number: int) -> bool:
        """Signal the group; False when nobody is left in it.

        While a group lives its number names no other process; so a leader with another start time is a stranger.
        """
        if rundir.start_time(self.pgid) not in (None, self.start_time):
            return False
        try:
            if self.pgid:
                os.killpg(self.pgid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def react(self, number: int) -> None:
        """Turn a signal to the supervisor into one for the run. A terminal's Ctrl-C is not meant for the run."""
        if number == signal.SIGTERM:
            self.end("stop")
        elif number == signal.SIGUSR1:
            self.asked = "kill"
            self.kill_at = time.monotonic()
        elif number == signal.SIGTSTP and self.paused_at is None and self.kill_at is None:
            if self.send(signal.SIGSTOP):
                self.paused_at = time.monotonic()
                self.say({"event": "paused"})
        elif number == signal.SIGCONT:
            self.go_on()

    def end(self, why: str) -> None:
        """Ask the run to end, once; one that is paused must go on to hear it."""
        if self.kill_at is None:
            self.asked = why
            self.kill_at = time.monotonic() + self.grace
            self.send(signal.SIGTERM)
            self.go_on()

    def go_on(self) -> None:
        if self.paused_at is None:
            return
        self.send(signal.SIGCONT)
        if self.limit_at is not None:
            self.limit_at += time.monotonic() - self.paused_at
        if self.silence is not None:
            self.silence.paused(time.monotonic() - self.paused_at)
        self.paused_at = None
        self.say({"event": "resumed"})

    def say(self, line: dict[str, object]) -> None:
        """Append to lifecycle.jsonl now or, where the disk is full, at one of the next wakings."""
        self.unsaid.append({"t": time.time(), **line})
        self.flush()

    def flush(self) -> None:
        while self.unsaid:
            try:
                rundir.append(os.path.join(self.folder, rundir.LIFECYCLE), self.unsaid[0], sync=True)
            except FileNotFoundError:
                self.unsaid.clear()  # the folder itself was removed
                return
            except OSError:
                return
            self.unsaid.pop(0)

    def set_limit(self, spec: dict[str, object], ran: float) -> None:
        """Take the limits from the spec. ran: seconds it has run already, those in pause left out."""
        limit = spec.get("limit")
        if isinstance(limit, int | float) and limit > 0:
            self.limit_at = time.monotonic() + limit - ran
        hang = spec.get("hang")
        self.silence = Silence(self.folder, hang if isinstance(hang, int | float) and hang > 0 else None)

    def wait(self, longest: float) -> int:
        """Sleep until a signal, the end of the grace, its limit or `longest` seconds; the signal's number, else 0."""
        timed = self.kill_at
        if timed is None and self.paused_at is None:
            timed = self.limit_at
        until = longest if timed is None else max(0.0, min(longest, timed - time.monotonic()))
        if self.silence is not None and self.paused_at is None:
            until = min(until, self.silence.every)
        got = signal.sigtimedwait(WANTED, min(until, 1.0) if self.unsaid else until)
        if got is not None:
            if got.si_signo in (signal.SIGTERM, signal.SIGUSR1) and not self.by:
                self.by = kernel.sender(got.si_pid, got.si_uid)
            self.react(got.si_signo)
        self.flush()
        if self.limit_at is not None and self.paused_at is None and time.monotonic() >= self.limit_at:
            self.end("limit")
        watched = self.silence if self.paused_at is None and self.kill_at is None else None
        if watched is not None and (silent := watched.hung()) is not None:
            self.silent = silent
            self.end("hang")
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.send(signal.SIGKILL)
            self.kill_at = time.monotonic() + 1.0
        return got.si_signo if got is not None else 0

    def end_stragglers(self) -> None:
        """End what the leader left behind in its group: workers that would hold the device."""
        if not self.send(signal.SIGTERM):
            return
        give_up = time.monotonic() + STRAGGLERS
        while time.monotonic() < give_up:
            time.sleep(0.01)
            if not self.send(0):
                return
        self.send(signal.SIGKILL)
