"""Play many rounds of chaos and say how many the engine's story survived.

    python -m tests.chaos [--rounds 1000] [--seed 1] [--first 0] [--campaign 20]

A campaign is a workspace that lives through some rounds. The seed decides what happens when; which instruction it
hits is up to the machine, so a failing round is played again with the line that it prints, more than once if need be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from tests.chaos.place import Place, adopt_orphans
from tests.chaos.rounds import Failure, Round


def campaign(
    seed: int, first: int, rounds: int, *, keep: Path | None = None
) -> tuple[int, Counter[str], dict[str, str]]:
    """Play rounds in one place. Gives how many passed, what befell, what this machine can't do; stops at a failure."""
    place = Place()
    answered: dict[str, str] = {}
    befell: Counter[str] = Counter()
    passed = 0
    try:
        for number in range(first, first + rounds):
            played = Round(place, f"{seed}/{number}", answered)
            try:
                played.play()
            except Failure as failure:
                print(f"round {number} of seed {seed} FAILED: {failure}", file=sys.stderr)
                print("\n".join(f"    {line}" for line in played.did), file=sys.stderr)
                again = f"--seed {seed} --first {first} --rounds {number - first + 1} --campaign {rounds}"
                print(f"    again: python -m tests.chaos {again}", file=sys.stderr)
                if keep is not None:
                    copy = keep / f"{seed}-{number}"
                    sockets = shutil.ignore_patterns("*.sock", "filler")
                    shutil.copytree(
                        place.disk, keep / f"{seed}-{number}", symlinks=True, ignore=sockets, dirs_exist_ok=True
                    )
                    shutil.copytree(place.ledger, copy / "ledger", dirs_exist_ok=True)
                break
            passed += 1
            befell.update(" ".join(line.split()[:2]) for line in played.did)
    finally:
        place.close()
    return passed, befell, place.missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill, fill, tear; then compare.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--campaign", type=int, default=20, help="rounds that one workspace lives through")
    parser.add_argument("--keep", type=Path, help="copy the workspace of a failing round into this folder")
    asked = parser.parse_args()
    adopt_orphans()
    began = time.monotonic()
    passed = failed = 0
    befell: Counter[str] = Counter()
    missing: dict[str, str] = {}
    for first in range(asked.first, asked.first + asked.rounds, asked.campaign):
        count = min(asked.campaign, asked.first + asked.rounds - first)
        good, what, lacking = campaign(asked.seed, first, count, keep=asked.keep)
        passed, failed = passed + good, failed + (good < count)
        befell += what
        missing |= lacking
        print(f"{passed} rounds passed, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print("befell: " + ", ".join(f"{what} {count}" for what, count in befell.most_common(30)))
    for what, why in missing.items():
        print(f"left out: {what}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
