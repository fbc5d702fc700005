"""From submit to process start, and commands a second, beside a bare Popen, task-spooler and gflow.

    python bench/runs.py      half a minute; peers that are not installed are named, not measured

task-spooler is the program `tsp` or `ts`; gflow is `pip install runqd` (with tmux, in which it starts every job), here
with a daemon, a home and a tmux of its own. Every contender does the same: a shell that writes the time into a file.
A row is measured in rounds that take turns, so that a busy machine slows all of them down alike.

`engine, one connection` is what the TUI and a sweep do; the command lines start a process for every submission, which
is a Python for us and a small C or Rust program for the peers.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from engine.client import Client, connect
from engine.messages import Down, Submit
from engine.records import Spec
from engine.workspace import Workspace

SLOTS = 2
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles all it imports anew
ROUNDS = 9
LIMIT_MS, AT_LEAST = 100.0, 20.0
NOMINAL = 0.02
"""Seconds that a bare Python takes to start where nobody else works."""
PATIENCE = 60.0


class Contender:
    """A way to have commands executed. runs: how many of them the rate is taken over."""

    name = ""
    runs = 20

    def submit(self, command: Sequence[str]) -> None:
        raise NotImplementedError


class Floor(Contender):
    """No queue at all: started and waited for, two at a time."""

    name = "bare Popen"
    runs = 200

    def __init__(self) -> None:
        self.live: list[subprocess.Popen[bytes]] = []

    def submit(self, command: Sequence[str]) -> None:
        if len(self.live) == SLOTS:
            self.live.pop(0).wait()
        self.live.append(subprocess.Popen(command))


class Connected(Contender):
    name = "engine, one connection"
    runs = 200

    def __init__(self, client: Client) -> None:
        self.client = client

    def submit(self, command: Sequence[str]) -> None:
        self.client.call(Submit(spec=Spec(family="exec", command=tuple(command), cwd="/", gpus=0)))


class CommandLine(Contender):
    """A program that is started for every submission."""

    def __init__(self, name: str, command: Sequence[str], env: dict[str, str], runs: int = 20) -> None:
        self.name, self.command, self.env, self.runs = name, command, env, runs

    def submit(self, command: Sequence[str]) -> None:
        done = subprocess.run([*self.command, *command], env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name}: {done.stderr.strip()}")


def latency(contender: Contender, mark: Path) -> float:
    """Seconds from just before the submission until the command itself says that it runs."""
    mark.unlink(missing_ok=True)
    begun = time.time()
    contender.submit(["/bin/sh", "-c", f"date +%s.%N > {mark}.new && mv {mark}.new {mark}"])
    _until(mark.exists, contender.name)
    return float(mark.read_text()) - begun


def rate(contender: Contender, marks: Path) -> float:
    """Commands a second, from the first submission until the last has done its work."""
    marks.write_bytes(b"")
    begun = time.perf_counter()
    for _ in range(contender.runs):
        contender.submit(["/bin/sh", "-c", f"echo >> {marks}"])
    _until(lambda: marks.stat().st_size == contender.runs, contender.name)
    return contender.runs / (time.perf_counter() - begun)


def _until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            raise SystemExit(f"{what}: a command was not carried out in {PATIENCE:.0f} s")
        time.sleep(0.001)


@contextmanager
def spooler(folder: Path) -> Iterator[Contender | None]:
    """task-spooler with a server of its own; None where it is not installed."""
    program = next((found for name in ("tsp", "ts") if (found := shutil.which(name)) and _is_spooler(found)), None)
    if program is None:
        yield None
        return
    env = {**os.environ, "TS_SOCKET": str(folder / "tsp"), "TS_SLOTS": str(SLOTS), "TMPDIR": str(folder)}
    try:
        yield CommandLine("task-spooler", [program, "-n"], env, runs=200)
    finally:
        subprocess.run([program, "-K"], env=env, check=False)


def _is_spooler(program: str) -> bool:
    """`ts` may be another one, of moreutils."""
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    return "task spooler" in (told.stdout + told.stderr).lower()


@contextmanager
def gflow(folder: Path) -> Iterator[Contender | None]:
    """gflow with a daemon of its own; None where it or tmux is not installed."""
    if not all(map(shutil.which, ("gflowd", "gbatch", "tmux"))):
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config" / "gflow").mkdir(parents=True)
    (folder / "config" / "gflow" / "gflow.toml").write_text(f'[daemon]\nhost = "127.0.0.1"\nport = {port}\n')
    env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
    env |= {"HOME": str(folder), "TMUX_TMPDIR": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    for part in ("DATA", "STATE", "CACHE"):
        env[f"XDG_{part}_HOME"] = str(folder / part.lower())
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(["gflowd"], env=env, stdout=log, stderr=log)
    try:
        _until(lambda: _listens(port), "gflowd")
        yield CommandLine("gflow (runqd)", ["gbatch", "--gpus", "0"], env)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        subprocess.run(["tmux", "kill-server"], env=env, stderr=subprocess.DEVNULL, check=False)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        for name in ("w", "t", "g"):
            (folder / name).mkdir()
        os.environ.update(ENGINE_CPU_SLOTS=str(SLOTS), ENGINE_HOME=str(folder / "w"))
        client = stack.enter_context(connect(Workspace(folder / "w")))
        stack.callback(client.call, Down(stop_runs=True))
        ours = [sys.executable, "-c", "from engine.cli.main import main; main()", "exec", "--gpus", "0", "--no-freeze"]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        peers = {"task-spooler": spooler(folder / "t"), "gflow": gflow(folder / "g")}
        found = {name: stack.enter_context(peer) for name, peer in peers.items()}
        cast = [Floor(), Connected(client), CommandLine("engine exec, a process each", [*ours, "--"], env),
                *filter(None, found.values())]  # fmt: skip
        times: dict[str, list[float]] = {one.name: [] for one in cast}
        for _ in range(ROUNDS):
            for one in cast:
                times[one.name].append(1000 * latency(one, folder / "mark"))
        rates = {one.name: rate(one, folder / "marks") for one in cast}
    print(f"{'':<28}  submit to start, ms  worst  commands/s     ({ROUNDS} rounds; load {os.getloadavg()[0]:.1f})")
    for name, values in times.items():
        print(f"{name:<28}  {statistics.median(values):19.1f}  {max(values):5.0f}  {rates[name]:10.1f}")
    for name, peer in found.items():
        if peer is None:
            print(f"{name:<28}  not installed: not measured")
    median, sustained = statistics.median(times[Connected.name]), rates[Connected.name]
    slow = max(1.0, statistics.median(bare_python() for _ in range(5)) / NOMINAL)
    print(f"asked of the engine: at most {LIMIT_MS:.0f} ms, at least {AT_LEAST:.0f} a second, on a machine that starts")
    print(f"Python in {1000 * NOMINAL:.0f} ms; this one takes {slow:.1f} times as long")
    return 1 if median > LIMIT_MS * slow or sustained < AT_LEAST / slow else 0


def bare_python() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main())
