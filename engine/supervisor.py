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
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # -I leaves our folder out

from engine import kernel, rundir
from engine.group import WANTED, Group
from engine.lastline import ended, examined, limited, record

TYPE_CHECKING = False  # known to type checkers by its name; importing typing costs 3 ms
if TYPE_CHECKING:
    from typing import Any, NoReturn

# Ignored by Python (the first two) or by whoever started the engine in the background; exec would hand that on.
DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


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
