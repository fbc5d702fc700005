"""One tiny process beside each run: starts it once, passes on a stop, records how it ended. No API, no dependency.

    python -I -S supervisor.py RUN_FOLDER [--ready FD]

It takes supervisor.lock, so there is one at a time; it writes the `started` line before the command may begin, so a run
is never begun twice; the command inherits trainer.lock, so whoever of its descendants still lives is seen. Killed at
any moment it leaves the training alone; a later supervisor adopts what it finds running and records its end.

SIGTERM: pass SIGTERM to the run's process group, SIGKILL after the grace of the spec. SIGUSR1: SIGKILL at once.
A full disk never ends training: the `exited` line is tried again until it fits.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # -I leaves our folder out

from engine import rundir

TYPE_CHECKING = False  # known to type checkers by its name; importing typing costs 3 ms
if TYPE_CHECKING:
    from typing import NoReturn

WANTED = {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP}
# Ignored by Python (the first two) or by whoever started the engine in the background; exec would hand that on.
DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
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
        if number == signal.SIGTERM and self.kill_at is None:
            self.asked = "stop"
            self.kill_at = time.monotonic() + self.grace
            self.send(signal.SIGTERM)
        elif number == signal.SIGUSR1:
            self.asked = "kill"
            self.kill_at = time.monotonic()

    def wait(self, longest: float) -> int:
        """Sleep until a signal, the end of the grace or `longest` seconds; the signal's number, else 0."""
        now = time.monotonic()
        until = longest if self.kill_at is None else max(0.0, min(longest, self.kill_at - now))
        got = signal.sigtimedwait(WANTED, until)
        if got is not None:
            self.react(got.si_signo)
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


def record(folder: str, line: dict[str, object]) -> None:
    """Append to lifecycle.jsonl, for as long as it takes: a full disk delays the record, it does not lose it."""
    while True:
        try:
            rundir.append(os.path.join(folder, rundir.LIFECYCLE), {"t": time.time(), **line}, sync=True)
        except FileNotFoundError:
            return  # the folder itself was removed
        except OSError:
            time.sleep(1.0)
        else:
            return


def begin(command: list[str], cwd: str, log: str, go: int) -> NoReturn:
    """In the child: wait for the word, become the command. Ends with 127 if it can't be started."""
    if os.read(go, 1) != b"g":
        os._exit(127)  # the supervisor died before it could write `started`
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in DEFAULTS:
        signal.signal(number, signal.SIG_DFL)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if out > 2:
        os.close(out)
    try:
        os.chdir(cwd)
        os.environ["PWD"] = cwd
        os.execvp(command[0], command)
    except OSError as error:
        what = cwd if error.filename == cwd else command[0]
        os.write(2, f"engine: can't start {what}: {error.strerror}\n".encode())
    os._exit(127)


def start(folder: str, ready: int | None) -> None:
    """Start the run and stay until it has ended."""
    with open(os.path.join(folder, rundir.SPEC), "rb") as file:
        spec = json.load(file)
    orders = [line for line in rundir.read(os.path.join(folder, rundir.ORDERS)) if line.get("order") == "start"]
    devices = orders[-1].get("devices", []) if orders else []
    command = [part.replace("{run}", folder) if spec["family"] != "exec" else part for part in spec["command"]]
    held = rundir.take(os.path.join(folder, rundir.TRAINER_LOCK), inherit=True)
    if held is None:
        raise SystemExit(f"{folder}: its trainer.lock is held by somebody")
    signal.pthread_sigmask(signal.SIG_BLOCK, WANTED)
    go_read, go_write = os.pipe()
    led_read, led_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        os.setsid()
        os.close(led_write)
        begin(command, spec["cwd"], os.path.join(folder, rundir.LOG), go_read)
    for fd in (held, go_read, led_write):
        os.close(fd)
    os.read(led_read, 1)  # ends when it leads its group: a stop that came before would reach nobody
    os.close(led_read)
    line = {
        "event": "started",
        "pid": pid,
        "supervisor": os.getpid(),
        "start_time": rundir.start_time(pid),
        "devices": devices,
        "host": os.uname().nodename,
    }
    try:
        rundir.append(os.path.join(folder, rundir.LIFECYCLE), {"t": time.time(), **line}, sync=True)
    except OSError as error:
        raise SystemExit(f"{folder}: can't record the start: {error.strerror}") from None
    os.write(go_write, b"g")
    os.close(go_write)
    if ready is not None:
        try:
            os.write(ready, b"s")
        except OSError:
            pass  # the engine was killed meanwhile
        os.close(ready)
    group = Group(pid, float(spec.get("grace", 30.0)), line["start_time"])
    while True:
        group.wait(60.0)
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            break
    group.end_stragglers()
    record(folder, ended(status, used, group.asked))


def ended(status: int, used: resource.struct_rusage, asked: str) -> dict[str, object]:
    code = os.waitstatus_to_exitcode(status)
    return {
        "event": "exited",
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "utime": round(used.ru_utime, 3),
        "stime": round(used.ru_stime, 3),
        "max_rss_bytes": used.ru_maxrss * 1024,
        "why": asked,
    }


def adopt(folder: str, started: dict[str, object]) -> None:
    """Stay with a run whose supervisor was killed until nobody of it lives; its exit code can't be known."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WANTED)
    pid = started.get("pid")
    group = Group(pid if isinstance(pid, int) and pid > 1 else 0, 30.0, started.get("start_time"))
    record(folder, {"event": "adopted", "supervisor": os.getpid()})
    lock = os.path.join(folder, rundir.TRAINER_LOCK)
    while rundir.held(lock):
        group.wait(0.2)
    record(folder, {"event": "exited", "code": None, "signal": None, "why": group.asked or "adopted"})


def main(argv: list[str]) -> None:
    folder = argv[1]
    ready = int(argv[3]) if argv[2:3] == ["--ready"] else None
    if ready is not None:
        os.set_inheritable(ready, False)
    if rundir.take(os.path.join(folder, rundir.SUPERVISOR_LOCK)) is None:
        return  # somebody supervises it already
    lifecycle = rundir.read(os.path.join(folder, rundir.LIFECYCLE))
    started = [line for line in lifecycle if line.get("event") == "started"]
    if any(line.get("event") == "exited" for line in lifecycle):
        return
    if started:
        adopt(folder, started[-1])
    else:
        start(folder, ready)


def run() -> None:
    """Be the process: one line on stderr and exit code 1 for what the system refuses."""
    try:
        main(sys.argv)
    except OSError as problem:
        raise SystemExit(f"supervisor: {problem}: errno {errno.errorcode.get(problem.errno or 0, '?')}") from None


if __name__ == "__main__":
    run()
