"""The ids of runs: family, a number that is unique in the workspace, and the attempt (toto-0007.2)."""

from __future__ import annotations

import re
from functools import lru_cache

FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")
RUN_ID = re.compile(rf"^({FAMILY.pattern})-([0-9]{{4,9}})(?:\.([0-9]{{1,4}}))?\Z")


@lru_cache(maxsize=1 << 15)  # asked for each waiting run in each round of the scheduler
def number(run_id: str) -> tuple[int, int]:
    """Give number and attempt of an id; the first attempt is 1."""
    match = RUN_ID.match(run_id)
    return (int(match[2]), int(match[3] or 1)) if match else (0, 0)


def base(run_id: str) -> str:
    """Give the id that all attempts of a run share: toto-0007 of toto-0007.2."""
    return run_id.split(".")[0]
