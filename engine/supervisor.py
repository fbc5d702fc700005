"""One tiny process beside each run: starts it once, passes on a stop, records how it ended. No API, no dependency.

    python -I -S supervisor.py RUN_FOLDER [--ready FD]

It takes supervisor.lock, so there is one at a time; it writes the `started` line before the command may begin, so a run
is never begun twice; the command inherits trainer.lock, so whoever of its descendants still lives is seen. Killed at
any moment it leaves the training alone; a later supervisor adopts what it finds running and records its end.

SIGTERM: pass SIGTERM to the run's process group, SIGKILL after the grace of the spec. SIGUSR1: SIGKILL at once.
SIGTSTP, SIGCONT: pause the group, let it go on. The spec's limit (seconds, less those in pause) ends the run as SIGTERM
does, whether an engine lives or not.
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

from engine import kernel, rundir
from engine.silence import Silence

TYPE_CHECKING = False  # known to type checkers by its name; importing typing costs 3 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

WANTED = {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT}
# Ignored by Python (the first two) or by whoever started the engine in the background; exec would hand that on.
DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO)
"""What appending to a link, a folder, a pipe or a device ends with."""
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


def record(folder: str, line: dict[str, object]) -> None:
    """Append to lifecycle.jsonl, for as long as it takes: a full disk delays the record, it does not lose it."""
    while True:
        try:
            rundir.append(os.path.join(folder, rundir.LIFECYCLE), {"t": time.time(), **line}, sync=True)
        except FileNotFoundError:
            return  # the folder itself was removed
        except OSError as error:
            if error.errno not in NOT_A_FILE or not put_aside(folder):
                time.sleep(1.0)
        else:
            return


def put_aside(folder: str) -> bool:
    """Move what the run has put in place of its lifecycle.jsonl, so that its end can be told; False if that fails."""
    path = os.path.join(folder, rundir.LIFECYCLE)
    try:
        os.rename(path, f"{path}.{os.getpid()}.aside")
    except OSError:
        return False
    return True


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
    told = rundir.read(os.path.join(folder, rundir.ORDERS))
    spec = asked(folder, told)
    orders = [line for line in told if line.get("order") == "start"]
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
        "boot": kernel.boot_id(),
    }
    kills = kernel.oom_kills()
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
    group.folder = folder
    group.set_limit(spec, 0.0)
    while True:
        group.wait(60.0)
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            break
    group.end_stragglers()
    line = {**ended(status, used, group.asked), **limited(spec, group), "by": group.by}
    record(folder, {**line, **(examined(folder, group, kills) if status else {})})


def asked(folder: str, orders: list[dict[str, object]]) -> dict[str, Any]:
    """Read what was asked, with the time limit that was given later, if one was."""
    with open(os.path.join(folder, rundir.SPEC), "rb") as file:
        spec: dict[str, Any] = json.load(file)
    for line in orders:
        if line.get("order") == "limit":
            spec["limit"] = line.get("value")
    return spec


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


def examined(folder: str, group: Group, kills: int | None) -> dict[str, object]:
    """Give what a run that ended badly has left: words of its log, and whether the kernel ended it for memory.

    kills: the kernel's count when it began; None if that is not known, as for an adopted run.
    """
    try:
        from engine import lastwords  # its patterns cost 3 ms and 2 MB, which a good end never needs

        found = lastwords.of_folder(folder)
    except (OSError, RecursionError, MemoryError, ValueError):
        found = {}  # an end without its words is better than none
    now = kernel.oom_kills()
    if kills is not None and now is not None and now > kills:
        found["oom_kills"] = now - kills
    born = group.start_time if isinstance(group.start_time, str) else None
    if said := kernel.killed(group.pgid, born):
        found["kernel"] = said
    return found


def limited(spec: dict[str, object], group: Group) -> dict[str, object]:
    """Give what the last line tells of a limit that was reached."""
    if group.asked == "hang":
        listening = group.silence
        told = {"hang": listening.longest, "promised": listening.promised} if listening is not None else {}
        return {**told, "silent": round(group.silent, 1)}
    return {"limit": spec.get("limit")} if group.asked == "limit" else {}


def adopt(folder: str, lifecycle: list[dict[str, object]]) -> None:
    """Stay with a run whose supervisor was killed until nobody of it lives; its exit code can't be known."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WANTED)
    spec = asked(folder, rundir.read(os.path.join(folder, rundir.ORDERS)))
    started = [line for line in lifecycle if line.get("event") == "started"][-1]
    pid = started.get("pid")
    pid = pid if isinstance(pid, int) and pid > 1 else 0
    group = Group(pid, float(spec.get("grace", 30.0)), started.get("start_time"))
    group.folder = folder
    paused_at, paused = rundir.pauses(lifecycle)
    group.set_limit(spec, max(0.0, age(pid, started) - paused))
    if paused_at is not None:
        group.paused_at = time.monotonic() - max(0.0, time.time() - paused_at)
    record(folder, {"event": "adopted", "supervisor": os.getpid()})
    lock = os.path.join(folder, rundir.TRAINER_LOCK)
    while rundir.held(lock):
        group.wait(0.2)
    end = {"event": "exited", "code": None, "signal": None, "why": group.asked or "adopted", "by": group.by}
    record(folder, {**end, **limited(spec, group), **examined(folder, group, None)})


def age(pid: int, started: dict[str, object]) -> float:
    """Seconds since a run began: by the clock of the machine, which nobody sets, while its leader lives."""
    if (ticks := rundir.start_time(pid)) is not None:
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    t = started.get("t")
    return time.time() - t if isinstance(t, int | float) else 0.0


def main(argv: list[str]) -> None:
    folder = argv[1]
    ready = int(argv[3]) if argv[2:3] == ["--ready"] else None
    if ready is not None:
        os.set_inheritable(ready, False)
    if rundir.take(os.path.join(folder, rundir.SUPERVISOR_LOCK)) is None:
        return  # somebody supervises it already
    lifecycle = rundir.read(os.path.join(folder, rundir.LIFECYCLE))
    if any(line.get("event") == "exited" for line in lifecycle):
        return
    if any(line.get("event") == "started" for line in lifecycle):
        adopt(folder, lifecycle)
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
