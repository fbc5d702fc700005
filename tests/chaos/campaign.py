"""A campaign: some rounds in one place, up to the first that fails, with what it takes to play that again."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.chaos.place import Place
from tests.chaos.rounds import Failure, Round

Played = tuple[int, int, Counter[str], dict[str, str]]


def campaign(seed: int, keep: Path | None, part: tuple[int, int]) -> Played:
    """Play rounds in one place; stops at a failure. part: the number of the first, and how many.

    Gives how many passed, how many failed, what befell, what this machine can't do.
    """
    first, rounds = part
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
    return passed, int(passed < rounds), befell, place.missing
