"""What a log call costs the training loop: runlog beside a bare encode + write, and lines lost on kill -9.

python bench/runlog.py
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine import rundir, runlog

CALLS = 5_000
ROUNDS = 9


def median_us(call: Callable[[int], None]) -> float:
    clock, taken = time.perf_counter_ns, []
    for step in range(CALLS):
        begin = clock()
        call(step)
        taken.append(clock() - begin)
    return statistics.median(taken) / 1000


KILLED = """
from engine import runlog
import os
step = 0
while True:
    step += 1
    runlog.log(step, loss=1.5, lr=3e-4, a=1.0, b=2.0, c=3.0, d=4.0)
    os.pwrite(3, b"%12d" % step, 0)
"""


def lost_on_kill(rounds: int = 5) -> int:
    """Kill -9 a process that notes each call that returned; count returned calls whose line is missing."""
    lost = 0
    for round_ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            note = os.open(Path(folder) / "returned", os.O_RDWR | os.O_CREAT)
            os.dup2(note, 3) if note != 3 else None
            env = {**os.environ, "ENGINE_RUN": folder}
            process = subprocess.Popen([sys.executable, "-c", KILLED], env=env, pass_fds=(3,))
            while os.fstat(3).st_size == 0:
                time.sleep(0.01)
            time.sleep(0.05 * (round_ + 1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            returned = int(os.pread(3, 12, 0) or 0)
            lost += max(0, returned - len(rundir.read(Path(folder) / rundir.METRICS)))
            os.close(note)
    return lost


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = runlog.Writer(folder)
        bare = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        encode, now = msgspec.json.Encoder().encode, time.time

        # Both written out as a loop would write them: unpacking a dict into keywords would cost both 2 µs more.
        def floor(step: int) -> None:
            line = {
                "t": now(),
                "step": step,
                "loss": 0.123456,
                "lr": 3e-4,
                "grad_norm": 1.2345,
                "epoch": 0.5,
                "windows_per_s": 812.5,
                "steps_per_s": 12.5,
            }
            os.write(bare, encode(line) + b"\n")

        def ours(step: int) -> None:
            writer.log(step, loss=0.123456, lr=3e-4, grad_norm=1.2345, epoch=0.5, windows_per_s=812.5, steps_per_s=12.5)

        def empty(step: int) -> None:
            pass

        rounds = [(median_us(ours), median_us(floor), median_us(empty)) for _ in range(ROUNDS)]
    mine, least, clock = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other, _ in rounds)
    print(f"runlog.log, 6 scalars          {mine:6.2f} µs   (the clock's own share: {clock:.2f} µs)")
    print(f"msgspec encode + os.write      {least:6.2f} µs   ratio {ratio:.2f}x   limit 1.5x")
    print(f"lines lost in 5 kill -9        {lost_on_kill():6d}")


if __name__ == "__main__":
    main()
