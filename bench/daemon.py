"""What the engine costs on a box with a history: 10,000 finished runs, 100 live ones.

    python bench/daemon.py                           two to eight minutes; exit 1 if a figure falls short
    python bench/daemon.py --quick                   a tenth of everything, nothing is judged
    python bench/daemon.py --finished 50 --live 100  other numbers, nothing is judged

Finished runs are folders as the engine writes them, live ones real supervisors around `sleep`. The start is timed from
the command to the first answer; a bare `python -c pass` and one that imports what the engine imports stand beside it.
`busy` is the CPU time of the daemon and of the process that writes the database for it, while 8 runs write 50 lines of
metrics a second each and 100 others live; the memory of that process is told beside the daemon's own.

On a machine that others use everything takes longer: times may be longer by as much as a bare Python's start is above
20 ms, and that is told. Beside times stands the processor time that went into them, which others make longer too, but
by less.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from statistics import median

from bench.clock import timed
from engine import rundir
from engine.client import connect
from engine.messages import Down, GetStatus, ListRuns, Submit, Sync
from engine.records import Spec, encode
from engine.run import Seen
from engine.schedule import Slot
from engine.state import World
from engine.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles all it imports anew
LIMITS = {"start_s": 1.5, "adopted_s": 1.0, "memory_mib": 150.0, "ls_ms": 200.0, "busy_percent": 3.0,
          "supervisor_mib": 15.0, "decision_ms": 5.0, "sharing_ms": 5.0}  # fmt: skip
LS = "from engine.cli.main import main; import sys; sys.argv = ['engine', 'ls']; main()"
NOMINAL = 0.02
"""Seconds that a bare Python takes to start where nobody else works."""
WRITER = """
import sys, time
from engine import runlog
for step in range(1, int(sys.argv[1]) * 50):
    runlog.log(step, loss=1 / step, lr=1e-3, grad_norm=0.5)
    time.sleep(0.02)
"""


def finished(workspace: Workspace, count: int) -> None:
    """Write the folders of runs that have ended, one in five badly."""
    now = time.time() - 86_400
    for number in range(1, count + 1):
        run_id = f"exec-{number:04d}"
        folder = workspace.run(run_id)
        folder.mkdir(mode=0o700)
        spec = Spec(
            id=run_id, family="exec", command=("python", "train.py"), cwd="/", submitted=now, env={"A": "b" * 40}
        )
        (folder / rundir.SPEC).write_bytes(encode(spec))
        bad = number % 5 == 0
        end = (
            {"code": 1, "last": "KeyError: 'lr'", "said": {"kind": "exception", "text": "KeyError: 'lr'"}}
            if bad
            else {"code": 0}
        )
        lines = {
            rundir.ORDERS: [{"t": now, "order": "start", "devices": ["cpu"]}],
            rundir.LIFECYCLE: [
                {"t": now, "event": "started", "pid": 1 << 22, "supervisor": 1 << 22, "devices": ["cpu"]},
                {"t": now + 60, "event": "exited", "signal": None, "max_rss_bytes": 1 << 28, "why": "", **end},
            ],
            rundir.METRICS: [{"step": step, "t": now + step, "loss": 1.0 / step, "lr": 1e-3} for step in range(1, 61)],
            rundir.EVENTS: [
                {"t": now, "event": "plan", "steps": 60},
                {"t": now + 60, "event": "finished", "why": "steps"},
            ],
        }
        for name, told in lines.items():
            (folder / name).write_text("".join(json.dumps(line) + "\n" for line in told))
        for lock in (rundir.SUPERVISOR_LOCK, rundir.TRAINER_LOCK):
            (folder / lock).touch()


def halves(*command: str, times: int = 5) -> tuple[float, float]:
    """The medians of both."""
    taken = [timed(*command) for _ in range(times)]
    return median(one for one, _ in taken), median(used for _, used in taken)


def until(condition: Callable[[], bool], what: str, seconds: float = 180.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise SystemExit(f"waited {seconds:.0f} s in vain {what}")
        time.sleep(0.1)


def resident(pid: int) -> float:
    """MiB that a process holds for itself or shares."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu(pid: int) -> float:
    """Seconds of processor a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def start(workspace: Workspace) -> tuple[float, int]:
    """Seconds from nothing to the first answer, and the engine's pid."""
    begun = time.perf_counter()
    with connect(workspace) as client:
        pid = client.call(GetStatus()).status.pid
    return time.perf_counter() - begun, pid


def writer(pid: int) -> int | None:
    """The process that writes the database for an engine, while there is one."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                parent = int(Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1])
                if parent == pid and b"store_apart" in Path(f"/proc/{name}/cmdline").read_bytes():
                    return int(name)
            except (OSError, IndexError, ValueError):
                continue
    return None


def decision(*, share: bool, waiting: int = 1000, devices: int = 8) -> float:
    """Milliseconds of CPU of one decision over many waiting runs, every device busy but one.

    share: each may share a device and asks for 1 to 2 GiB, no two for the same, so that nothing found out for one helps
    the next.
    """
    world = World(cpu_slots=4)
    for number in range(1, waiting + 1):
        run_id = f"exec-{number:04d}"
        asks = {"share": True, "gpus": 1, "gpu_memory": 1024 + number << 20} if share else {"gpus": number % 4 or None}
        world.found(Spec(id=run_id, family="exec", command=("true",), cwd="/", submitted=1.0, **asks))
        world.seen(run_id, Seen(), 2.0)
    slots = [Slot(f"GPU-{i}", f"GPU{i}", 80 << 30, stranger="somebody" if i else "") for i in range(devices)]
    times = []
    for turn in range(25):
        begun = time.process_time()
        world.act(10.0 + turn, slots)
        times.append(1000 * (time.process_time() - begun))
    return median(times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--finished", type=int)
    parser.add_argument("--live", type=int)
    asked = parser.parse_args()
    quick = asked.quick or bool(asked.finished or asked.live)
    ended = asked.finished or (1000 if asked.quick else 10_000)
    live = asked.live or (10 if asked.quick else 100)
    begun = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    os.environ.update(ENGINE_HOME=str(home), ENGINE_CPU_SLOTS=str(live + 8), PYTHONPATH=str(ROOT))
    workspace = Workspace(home)
    workspace.prepare()
    figures: dict[str, float] = {"decision_ms": decision(share=False), "sharing_ms": decision(share=True)}
    try:
        finished(workspace, ended)
        first, pid = start(workspace)
        print(f"first start with {ended:,} finished runs: {first:.2f} s (nothing is in memory or in a cache yet)")
        with connect(workspace) as client:
            for _ in range(live):
                spec = Spec(family="exec", command=("sleep", "3600"), cwd="/", gpus=0)
                client.call(Submit(spec=spec, environment=dict(os.environ)))
            until(lambda: sum(row.state == "running" for row in client.call(ListRuns()).rows) == live, "for the runs")
            client.call(Sync())  # until the database has caught up
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/exe").exists():
            time.sleep(0.005)
        figures["start_s"], pid = start(workspace)
        used = {"start_s": cpu(pid)}
        with connect(workspace) as client:
            rows = client.call(ListRuns()).rows
            assert sum(row.state == "running" for row in rows) == live, "not all were taken up again"
            supervisors = [line["supervisor"] for row in rows if row.state == "running"
                           for line in rundir.read(workspace.run(row.id) / rundir.LIFECYCLE)[:1]]  # fmt: skip
        figures["supervisor_mib"] = max(map(resident, supervisors))
        imports, its_cpu = halves(sys.executable, "-c", "import engine.core")
        figures["adopted_s"], used["adopted_s"] = figures["start_s"] - imports, used["start_s"] - its_cpu
        bare, its_cpu = halves(sys.executable, "-c", "pass")
        ls, ls_cpu = halves(sys.executable, "-c", LS)
        figures["ls_ms"], used["ls_ms"] = 1000 * ls, 1000 * ls_cpu
        busy(workspace, pid, figures, seconds=5 if quick else 75)  # the database is written every half minute or so
        figures["memory_mib"] = resident(pid)
        beside = writer(pid)
        print(f"the process that writes the database beside it: {resident(beside) if beside else 0:.0f} MiB")
        print(f"bare python {1000 * bare:.0f} ms, {1000 * its_cpu:.0f} of processor; importing the daemon "
              f"{1000 * imports:.0f} ms")  # fmt: skip
    finally:
        with connect(workspace) as client:
            client.call(Down(stop_runs=True))
        shutil.rmtree(home, ignore_errors=True)
    slow = max(1.0, bare / NOMINAL)
    limits = {name: limit * (slow if name.endswith(("_s", "_ms")) else 1.0) for name, limit in LIMITS.items()}
    print(f"this machine is {slow:.1f} times as slow as one that starts Python in {1000 * NOMINAL:.0f} ms")
    short = [name for name, limit in limits.items() if figures.get(name, 0.0) > limit]
    for name, value in figures.items():
        of_it = f"   {used[name]:.4g} of processor" if name in used else ""
        print(f"{name:<15} {value:8.2f}   at most {limits[name]:.4g}{'   TOO MUCH' if name in short else ''}{of_it}")
    print(f"{ended:,} finished and {live} live runs, {time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
    return 1 if short and not quick else 0


def busy(workspace: Workspace, pid: int, figures: dict[str, float], seconds: int) -> None:
    with connect(workspace) as client:
        for _ in range(8):
            command = (sys.executable, "-c", WRITER, str(seconds + 30))
            client.call(
                Submit(spec=Spec(family="exec", command=command, cwd="/", gpus=0), environment=dict(os.environ))
            )
        until(lambda: sum((row.step or 0) > 5 for row in client.call(ListRuns()).rows if row.state == "running") == 8,
              "for eight runs that write")  # fmt: skip
        client.call(Sync())  # what a start has to catch up with is no part of it
    pids = [pid, *filter(None, [writer(pid)])]
    before, begun = [*map(cpu, pids)], time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begun
    shares = [100 * (cpu(one) - earlier) / took for one, earlier in zip(pids, before, strict=True)]
    figures["busy_percent"] = sum(shares)
    print(f"of a core with 8 live runs: the engine {shares[0]:.2f} %, the database's process {sum(shares[1:]):.2f} %")


if __name__ == "__main__":
    raise SystemExit(main())
