"""From submit to process start, and runs a second, beside a bare Popen (and task-spooler where it is installed).

python bench/runs.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.client import Client, connect
from engine.records import ENDED, Down, ListRuns, ShowRun, Spec, Submit
from engine.workspace import Workspace

RUNS = 200


def submit(client: Client, *command: str) -> str:
    return client.call(Submit(spec=Spec(family="exec", command=command, cwd="/"))).row.id


def latency(client: Client, mark: Path) -> float:
    """Seconds from just before the submit until the command itself says it runs."""
    mark.unlink(missing_ok=True)
    begin = time.time()
    run = submit(client, "/bin/sh", "-c", f"date +%s.%N > {mark}")
    while client.call(ShowRun(run)).row.state not in ENDED:
        time.sleep(0.002)
    return float(mark.read_text()) - begin


def bare(mark: Path) -> float:
    begin = time.time()
    subprocess.Popen(["/bin/sh", "-c", f"date +%s.%N > {mark}"]).wait()
    return float(mark.read_text()) - begin


def rate(client: Client) -> float:
    begin = time.perf_counter()
    runs = {submit(client, "/bin/true") for _ in range(RUNS)}
    while any(row.state not in ENDED for row in client.call(ListRuns()).rows if row.id in runs):
        time.sleep(0.05)
    return RUNS / (time.perf_counter() - begin)


def bare_rate() -> float:
    begin = time.perf_counter()
    for _ in range(RUNS // 2):
        for process in [subprocess.Popen(["/bin/true"]) for _ in range(2)]:
            process.wait()
    return RUNS / (time.perf_counter() - begin)


def spooler_rate(tsp: str) -> float:
    env = {**os.environ, "TS_SOCKET": tempfile.mktemp(), "TS_SLOTS": "2", "TMPDIR": tempfile.gettempdir()}
    begin = time.perf_counter()
    for _ in range(RUNS):
        subprocess.run([tsp, "/bin/true"], env=env, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([tsp, "-w"], env=env, stdout=subprocess.DEVNULL, check=True)
    taken = RUNS / (time.perf_counter() - begin)
    subprocess.run([tsp, "-K"], env=env, check=True)
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ENGINE_CPU_SLOTS"] = "2"
        client, mark = connect(Workspace(Path(folder))), Path(folder) / "mark"
        ours = [latency(client, mark) for _ in range(21)]
        floor = [bare(mark) for _ in range(21)]
        median = statistics.median
        print(f"submit to process start   {1000 * median(ours):7.1f} ms median, {1000 * max(ours):.1f} max   limit 100")
        print(f"bare Popen                {1000 * median(floor):7.1f} ms")
        print(f"{RUNS} runs, 2 at a time      {rate(client):7.1f} runs/s   at least 20")
        print(f"bare Popen, 2 at a time   {bare_rate():7.1f} runs/s")
        if tsp := shutil.which("tsp"):
            print(f"task-spooler, 2 at a time {spooler_rate(tsp):7.1f} runs/s")
        else:
            print("task-spooler              not installed", file=sys.stderr)
        client.call(Down(stop_runs=True))


if __name__ == "__main__":
    main()
