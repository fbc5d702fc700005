"""How long a scheduling decision takes over 1,000 queued runs and 8 GPUs, in its usual and its worst cases.

python bench/schedule.py
"""

from __future__ import annotations

import random
import statistics
import time

from engine.places import GIB
from engine.schedule import Holder, Slot, Want, decide

GPUS, QUEUED, TIMES = 8, 1000, 200


def gpus(busy: bool) -> list[Slot]:
    now = time.time()
    return [
        Slot(
            f"GPU-{i}",
            f"GPU{i}",
            (4 if busy else 79) * GIB,
            80 * GIB,
            (Holder(f"toto-{i:04d}", 6 * GIB, 5 * GIB, now + 600 * (i + 1)),) if busy else (),
        )
        for i in range(GPUS)
    ]


def wants(kind: str) -> list[Want]:
    chance = random.Random(0)
    found = []
    for i in range(QUEUED):
        match kind:
            case "one GPU each":
                want = Want(f"toto-{i:04d}", 1)
            case "1 to 8 GPUs":
                want = Want(f"toto-{i:04d}", chance.randint(1, 8), seconds=chance.uniform(60, 1e5))
            case _:  # no two alike, so nothing that was found out for one helps the next
                memory = chance.randint(1, 79 * GIB)
                want = Want(f"toto-{i:04d}", 1, memory=memory, share=True, seconds=chance.uniform(60, 1e5))
        found.append(want)
    return found


def main() -> None:
    print(f"{QUEUED} queued runs, {GPUS} GPUs, {TIMES} decisions each; milliseconds of CPU")
    for kind in ("one GPU each", "1 to 8 GPUs", "sharing, no two alike"):
        queue = wants(kind)
        for busy in (False, True):
            slots, took = gpus(busy), []
            for _ in range(TIMES):
                start = time.process_time()
                decide(queue, slots, 2, [], now=time.time(), limits={"family:kronos": 2})
                took.append(1000 * (time.process_time() - start))
            took.sort()
            state = "busy" if busy else "idle"
            print(f"{kind:22} {state} GPUs  median {statistics.median(took):5.2f}  p95 {took[int(0.95 * TIMES)]:5.2f}")


if __name__ == "__main__":
    main()
