"""Opens the devices in a process of its own; answers each line of stdin with a sample.

A line is {"visible": CUDA_VISIBLE_DEVICES to open the devices afresh with (null for none), "ours": {pid: run},
"age": seconds that the last listing shall be older, "times": samples to take}; each key may be missing.
An answer is {"sample": the last of them, "driver", "rss": bytes in use after all, "seconds": median CPU time of one,
"yardstick": the same of adding ten thousand numbers}.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import msgspec
import psutil

from engine.devices import Devices


def main() -> None:
    devices = Devices()
    devices.open()
    for line in sys.stdin:
        asked = json.loads(line)
        if "visible" in asked:
            devices.close()
            value = asked["visible"]
            devices = Devices(environ={} if value is None else {"CUDA_VISIBLE_DEVICES": value})
            devices.open()
        ours = {int(pid): run for pid, run in asked.get("ours", {}).items()}
        if devices._listed is not None:
            devices._listed -= asked.get("age", 0)
        took, yardstick = [], []
        for _ in range(asked.get("times", 1)):
            start = time.process_time()
            sample = devices.sample(ours)
            took.append(time.process_time() - start)
            sum(range(10_000))
            yardstick.append(time.process_time() - start - took[-1])
        answer = {
            "sample": sample,
            "driver": devices.driver,
            "seconds": statistics.median(took),
            "yardstick": statistics.median(yardstick),
            "rss": psutil.Process().memory_info().rss,
        }
        print(msgspec.json.encode(answer).decode(), flush=True)
    devices.close()


main()
