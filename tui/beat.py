"""What is shown at once and what at the next beat: a run that only counts on can wait for a second, an end can't."""

from __future__ import annotations

from engine.records import EngineStatus, RunRow
from tui.world import World

BEAT = 1.0
"""Seconds between two looks at what only counts on: numbers, curves, clocks."""
SLOW_BEAT = 5.0
"""The same with --slow."""

NUMBERS = frozenset({
    "step", "steps", "epoch", "loss", "metric", "best", "naive", "skill", "steps_per_s", "windows_per_s", "eta",
    "until", "takes", "device_memory", "memory", "spark", "checkpoint",
})  # fmt: skip
"""Fields of a row that move all the time while a run trains."""
_FACTS = tuple(name for name in RunRow.__struct_fields__ if name not in NUMBERS)
_STEADY = ("pid", "trouble", "queue_paused", "hook_trouble", "store_holder", "store_error", "limits", "limited")
"""What of the engine's status a person should see at once."""


def news(before: World | None, after: World) -> bool:
    """Whether more than numbers has changed between two worlds."""
    if before is None or before.known != after.known or before.link != after.link:
        return True
    return (
        before.queue != after.queue  # of equal rows nearly all are the very same ones, which costs next to nothing
        or before.finished != after.finished
        or len(before.running) != len(after.running)
        or not all(map(_only_counts, before.running, after.running))
        or not _steady(before.status, after.status)
    )


def _only_counts(before: RunRow, after: RunRow) -> bool:
    return before is after or all(getattr(before, name) == getattr(after, name) for name in _FACTS)


def _steady(before: EngineStatus | None, after: EngineStatus | None) -> bool:
    return before is after or all(getattr(before, name, None) == getattr(after, name, None) for name in _STEADY)
