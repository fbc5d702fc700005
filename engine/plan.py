"""When each run will start and end, if each takes as long as runs like it: the scheduler itself, played forward.

The plan makes no decision of its own. It asks `World.act` on a copy of the world, lets what starts end after its
expected time, and asks again. Where nobody knows how long a run takes, its end and what waits for its devices are
unknown too. Runs are taken to end well; what is held, or waits for what will not come, has no start. Pure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.records import Plan, Turn
from engine.run import Run
from engine.schedule import CPU, Slot
from engine.state import Start, World

MOST = 200
"""Waiting runs that are planned; those behind them are only counted."""
PATIENCE = 3.0
"""Seconds of work after which the rest is left unplanned."""


def plan(world: World, slots: Sequence[Slot], now: float, names: Mapping[str, str]) -> Plan:
    """Play the queue forward. world: a copy that may be changed. names: how people call each device."""
    queue = world.queue()
    for run in queue[MOST:]:
        world.waiting.discard(run.id)
    shown = [
        *sorted((world.runs[run_id] for run_id in world.live), key=lambda run: run.started_at or now),
        *queue[:MOST],
    ]
    before = {run.id: (run.state, run.place, run.reason, _labels(run, names)) for run in shown}
    spans, whole = _play(world, [*slots], now)
    turns = []
    for run in shown:
        state, place, reason, labels = before[run.id]
        start, end = spans.get(run.id, (None, None))
        known = run.expected
        turns.append(
            Turn(
                run=run.id,
                name=run.spec.name,
                family=run.spec.family,
                state=state,
                place=place,
                gpus=run.spec.gpus,
                labels=_labels(run, names) if run.id in spans else labels,
                start=start,
                end=end,
                takes=known.seconds if known else None,
                how=str(known) if known else "",
                reason=reason,
            )
        )
    ends = [turn.end for turn in turns]
    sure = [end for end in ends if end is not None]
    lanes = [slot.label for slot in sorted(slots, key=lambda slot: slot.label)]
    return Plan(
        now=now,
        lanes=tuple(lanes),
        cpu_slots=world.cpu_slots,
        turns=tuple(turns),
        until=max(sure, default=now) if len(sure) == len(ends) and len(queue) <= MOST and whole else None,
        unknown=len(ends) - len(sure),
        beyond=max(0, len(queue) - MOST),
        cut=not whole,
        paused=world.paused,
    )


def _labels(run: Run, names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(device, device[:12]) for device in run.devices)


def _play(world: World, slots: list[Slot], now: float) -> tuple[dict[str, tuple[float | None, float | None]], bool]:
    """Give start and end of every run that has a start, and whether all was played to its end."""
    spans: dict[str, tuple[float | None, float | None]] = {}
    for run_id in world.live:
        run = world.runs[run_id]
        spans[run_id] = run.started_at or run.last_start or now, run.until_after(now)
    give_up = time.monotonic() + PATIENCE
    at = now
    while True:
        for action in world.act(at, slots):
            if isinstance(action, Start):
                run = world.runs[action.run]
                _start(world, run, action, at)
                known = [seconds for seconds in (run.expected and run.expected.seconds, run.spec.limit) if seconds]
                sure = run.expected is not None
                spans[run.id] = at, at + min(known) if sure else None
        coming = [end for run_id in world.live if (end := spans[run_id][1]) is not None]
        coming += [run.spec.begin for run in world.queue() if run.spec.begin is not None and run.spec.begin > at]
        if not coming or not world.waiting:
            return spans, True
        if time.monotonic() > give_up:
            return spans, False
        at = max(at, min(coming))
        for run_id in [*world.live]:
            end = spans[run_id][1]
            if end is not None and end <= at:
                slots = _finish(world, world.runs[run_id], slots)


def _start(world: World, run: Run, action: Start, at: float) -> None:
    run.devices, run.claim = action.devices, action.claim
    run.started, run.pauses = {"t": at, "pid": 0}, (None, 0.0)
    run.state = "running"
    world.file(run)


def _finish(world: World, run: Run, slots: Sequence[Slot]) -> list[Slot]:
    """Let a run end well, and give its devices back with the memory it had."""
    run.state = "ok"
    world.file(run)
    others = {device for run_id in world.live for device in world.runs[run_id].devices}
    return [
        replace(slot, free=slot.total or slot.free, stranger="")
        if slot.uuid in run.devices and slot.uuid not in others and CPU not in run.devices
        else slot
        for slot in slots
    ]
