"""A trainer that keeps its own account of the truth, outside the workspace, for the engine's story to be held against.

    python trainer.py LEDGER STEPS SECONDS MANNER

The ledger has one folder a run: `begun` gets a line for each process that ever began it, `told` the last step whose
line was written whole, `ended` how it is about to end, `clash` each device that somebody else still had.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

OOM = """torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of \
79.11 GiB of which 1.50 GiB is free."""


def main() -> int:
    ledger, steps, pause, manner = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    run = os.path.basename(os.environ["ENGINE_RUN"])
    mine = ledger / run
    mine.mkdir(exist_ok=True)
    note(mine / "begun", f"{os.getpid()} {start_time(os.getpid())}")
    for device in filter(None, os.environ["CUDA_VISIBLE_DEVICES"].split(",")):
        fd = os.open(ledger / f"device-{device}", os.O_RDWR | os.O_CREAT)
        os.set_inheritable(fd, True)  # a stray worker holds the device as well
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(mine / "clash", device)
    if manner == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if manner == "stray":
        stray(mine)
    if manner != "mute":
        from engine import runlog

        writer = runlog.open(os.environ["ENGINE_RUN"])
        told = os.open(mine / "told", os.O_RDWR | os.O_CREAT)
        for step in range(1, steps + 1):
            writer.log(step, loss=1.0 / step)
            if not writer.lost:
                os.pwrite(told, b"%12d" % step, 12 * (step - 1))
            time.sleep(pause)
    else:
        time.sleep(steps * pause)
    if manner == "oom":
        print(OOM, file=sys.stderr)  # where the disk is full this fails, and it ends with another code
    code = 3 if manner in ("fail", "oom") else 0
    note(mine / "ended", str(code))  # then to the engine: killed between the two, it may be called ended or killed
    if manner not in ("fail", "oom", "mute"):
        writer.event("finished", why="steps")
    return code


def stray(mine: Path) -> None:
    """Leave a worker behind, in a group of its own, that holds lock and devices a little longer than its leader."""
    if os.fork() == 0:
        os.setsid()
        note(mine / "begun-stray", f"{os.getpid()} {start_time(os.getpid())}")
        time.sleep(0.6)
        os._exit(0)


def note(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, text.encode() + b"\n")
    os.close(fd)


def start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()


if __name__ == "__main__":
    raise SystemExit(main())
