"""Play many rounds of chaos and say how many the engine's story survived.

    python -m tests.chaos [--rounds 1000] [--seed 1] [--first 0] [--campaign 20] [--jobs 4]

A campaign is a workspace that lives through some rounds. A round waits more than it computes (2.2 s of a core, mostly
starts of Python), so some campaigns are played side by side, each in a process and on a disk of its own.

The seed decides what happens when; which instruction it
hits is up to the machine, so a failing round is played again with the line that it prints, more than once if need be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.chaos.campaign import campaign
from tests.chaos.place import adopt_orphans


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill, fill, tear; then compare.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--campaign", type=int, default=20, help="rounds that one workspace lives through")
    parser.add_argument("--keep", type=Path, help="copy the workspace of a failing round into this folder")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="campaigns side by side")
    asked = parser.parse_args()
    began = time.monotonic()
    passed = failed = 0
    befell: Counter[str] = Counter()
    missing: dict[str, str] = {}
    last = asked.first + asked.rounds
    parts = [(first, min(asked.campaign, last - first)) for first in range(asked.first, last, asked.campaign)]
    with multiprocessing.get_context("spawn").Pool(asked.jobs, initializer=adopt_orphans) as pool:
        for good, bad, what, lacking in pool.imap_unordered(partial(campaign, asked.seed, asked.keep), parts):
            passed, failed = passed + good, failed + bad
            befell += what
            missing |= lacking
            print(f"{passed} rounds passed, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print("befell: " + ", ".join(f"{what} {count}" for what, count in befell.most_common(30)))
    for what, why in missing.items():
        print(f"left out: {what}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
