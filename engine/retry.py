"""What a run may ask for its own bad end: `retry.oom`, `retry.times`, `retry.wait`, read and checked in one place.

After an out-of-memory end the next attempt has half the micro-batch; after any other it starts anew, later each time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine import when
from engine.errors import BadField, did_you_mean

MOST = 20
LONGEST_WAIT = 3600.0
"""Seconds beyond which waits no longer double."""
FIELDS = {
    "oom": "attempts after it ran out of memory, each with half the micro-batch and twice the accumulation",
    "times": "attempts after any other bad end, as it was, from its last checkpoint",
    "wait": "time before the first of those, which doubles each time up to an hour: 30s, 5m",
}


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often and when a run is tried again by the engine itself. wait: seconds."""

    oom: int = 0
    times: int = 0
    wait: float = 30.0

    def __bool__(self) -> bool:
        return bool(self.oom or self.times)

    def delay(self, number: int) -> float:
        """Seconds before the number-th attempt after bad ends (1 is the first): doubled each time, capped."""
        return min(self.wait * 2.0 ** min(number - 1, 40), max(LONGEST_WAIT, self.wait))


def policy(given: Mapping[str, object], options: Mapping[str, str] | None = None) -> Policy | None:
    """Read the fields as typed: {"oom": "2", "wait": "30s"}; None where nothing is asked. Raises BadField.

    options: what fields are called in an error that have another name than retry.FIELD for who typed them.
    """
    called = {name: f"retry.{name}" for name in FIELDS} | dict(options or {})
    for name in given:
        if name not in FIELDS:
            raise BadField(f"Unknown field 'retry.{name}'.{did_you_mean(name, FIELDS)} Known: {', '.join(FIELDS)}.")
    made = Policy(
        oom=_count(called["oom"], given.get("oom", 0)),
        times=_count(called["times"], given.get("times", 0)),
        wait=when.duration(str(given["wait"]), called["wait"]) if "wait" in given else Policy().wait,
    )
    if not made:
        if "wait" in given:
            raise BadField(f"{called['wait']} without {called['times']}: there is nothing to wait for.")
        return None
    if "wait" in given and not made.times:
        raise BadField(
            f"{called['wait']} counts for {called['times']} only: after an out-of-memory end nothing is waited for."
        )
    return made


def split(sets: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part `--set` arguments into those of the family and those of retry, without their "retry."."""
    ours = {name.removeprefix("retry."): value for name, value in sets.items() if name.startswith("retry.")}
    return {name: value for name, value in sets.items() if not name.startswith("retry.")}, ours


def _count(name: str, value: object) -> int:
    try:
        count = int(str(value))
    except ValueError:
        raise BadField(f"{name} = {value}: expected a whole number from 0 to {MOST}.") from None
    if not 0 <= count <= MOST:
        raise BadField(f"{name} = {count} is out of range: 0 to {MOST}.")
    return count
