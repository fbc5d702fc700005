"""What the command line costs, as ratios taken in one run: `engine ls` on 1,000 runs, and `engine --help`.

    python bench/cli.py [--runs 1000] [--times 15] [--json]

Against bare Python's start, and the --help of a typer app with one command. The four are started in turn, so that
whatever else the machine does falls on all alike; medians. Exit code 1 if a floor is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import rundir
from engine.records import Spec, encode

ROOT = Path(__file__).resolve().parent.parent
LS_LIMIT = 12.0
HELP_LIMIT = 1.3
ONE_COMMAND = """\
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "you", times: int = 1):
    \"\"\"Greet somebody.\"\"\"
    print(("hello " + name) * times)


app()
"""
ENGINE = [sys.executable, "-c", "from engine.cli.main import main; main()"]


def make_runs(root: Path, count: int) -> None:
    """Folders of finished runs as the engine, a supervisor and a trainer leave them."""
    now = time.time() - count * 60
    for number in range(1, count + 1):
        folder = root / "runs" / f"toto-{number:04d}"
        folder.mkdir(parents=True)
        t = now + number * 60
        spec = Spec(
            id=folder.name, family="toto", command=(sys.executable, "-m", "trainers", "toto", "{run}"), cwd=str(root),
            name=f"sweep {number % 7}", changed={"train.lr": 1e-4 * number, "data.context": 256}, preset="tiny",
            tags=("bench",), submitted=t,
        )  # fmt: skip
        (folder / rundir.SPEC).write_bytes(encode(spec))
        (folder / rundir.ORDERS).write_text(json.dumps({"t": t, "order": "start", "devices": ["cpu"]}) + "\n")
        lines = [{"t": t + s, "step": s, "epoch": s / 50, "loss": 1 / s, "lr": 1e-3} for s in range(1, 51)]
        lines.append({"t": t + 50, "step": 50, "val_pct_mae": 1.0, "val_naive_pct_mae": 1.1, "val_skill": 0.09})
        (folder / rundir.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
        events = [{"t": t, "event": "plan", "steps": 50, "epochs": 1}, {"t": t + 50, "event": "finished", "step": 50}]
        (folder / rundir.EVENTS).write_text("".join(json.dumps(line) + "\n" for line in events))
        life = [
            {"t": t, "event": "started", "pid": 1, "supervisor": 1, "start_time": "1", "devices": ["cpu"]},
            {"t": t + 51, "event": "exited", "code": 0, "signal": None, "max_rss_bytes": 1 << 28},
        ]
        (folder / rundir.LIFECYCLE).write_text("".join(json.dumps(line) + "\n" for line in life))
        for lock in (rundir.SUPERVISOR_LOCK, rundir.TRAINER_LOCK):
            (folder / lock).touch()


def taken(command: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()}")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as folder:
        root = Path(folder)
        make_runs(root, asked.runs)
        one = root / "one.py"
        one.write_text(ONE_COMMAND)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        env = {**os.environ, "ENGINE_HOME": str(root), "PYTHONPATH": path}
        commands = {
            "bare": [sys.executable, "-c", "pass"],
            "ls": [*ENGINE, "ls"],
            "ls --all": [*ENGINE, "ls", "--all"],
            "--help": [*ENGINE, "--help"],
            "one-command typer --help": [sys.executable, str(one), "--help"],
        }
        taken([*ENGINE, "up"], env)
        try:
            for command in commands.values():
                taken(command, env)
            times: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(asked.times):
                for name, command in commands.items():
                    times[name].append(taken(command, env))
        finally:
            taken([*ENGINE, "down"], env)
    ms = {name: 1000 * statistics.median(found) for name, found in times.items()}
    ls, help_ = ms["ls"] / ms["bare"], ms["--help"] / ms["one-command typer --help"]
    report = {"runs": asked.runs, "ms": ms, "ls_over_bare": ls, "help_over_one_command": help_}
    if asked.json:
        print(json.dumps(report))
    else:
        for name, value in ms.items():
            print(f"{name:<26} {value:7.1f} ms  {value / ms['bare']:5.1f}x bare")
        print(f"engine ls / bare Python     {ls:5.2f} (at most {LS_LIMIT})")
        print(f"engine --help / one command {help_:5.2f} (at most {HELP_LIMIT})")
    return 0 if ls <= LS_LIMIT and help_ <= HELP_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
