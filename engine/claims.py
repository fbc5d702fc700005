"""What a waiting run claims of the devices and what live ones hold, in the terms of the scheduler. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from engine.memory import Peaks
from engine.run import Run
from engine.schedule import Holder, Slot, Want


def wants(runs: Iterable[Run], peaks: Peaks) -> list[Want]:
    """Give what runs ask for. One that may share does only with a known memory, and only one GPU."""
    found, count = [], peaks.count
    for run in runs:  # a thousand in each round, so nothing is made to compare
        known, of = run.want, run.want_of
        if (
            known is None
            or of[0] != count
            or of[1] is not run.expected
            or of[2] is not run.tags
            or (of[3] is not run.brief)
        ):
            known = run.want = _want(run, peaks)
            run.want_of = count, run.expected, run.tags, run.brief
        found.append(known)
    return found


def _want(run: Run, peaks: Peaks) -> Want:
    spec = run.spec
    if run.predicted != peaks.count:
        run.prediction = None if spec.gpus == 0 else peaks.predict(spec)
        run.predicted = peaks.count
    given = spec.gpu_memory is not None
    memory = spec.gpu_memory if given else run.prediction.bytes if run.prediction else None
    return Want(
        run.id,
        spec.gpus,
        memory=memory,
        given=given,
        share=spec.share and memory is not None and spec.gpus in (None, 1),
        seconds=run.expected.seconds if run.expected else None,
        limit=spec.limit,
        groups=groups(run),
    )


def groups(run: Run) -> tuple[str, ...]:
    """Give what limits may count a run under."""
    return (f"family:{run.brief.family}", *(f"tag:{tag}" for tag in run.tags))


def running(live: Iterable[Run], limits: Mapping[str, int]) -> dict[str, list[str]]:
    """Give the live runs of each group that is limited."""
    found: dict[str, list[str]] = {name: [] for name in limits}
    for run in live:
        for name in groups(run):
            if name in found:
                found[name].append(run.id)
    return found


def occupied(slots: Sequence[Slot], live: Iterable[Run], elsewhere: Mapping[str, str]) -> list[Slot]:
    """Put our live runs on their devices; who else is on one of those does not matter then.

    elsewhere: devices that another engine holds, and how to say it.
    """
    holders: dict[str, list[Holder]] = {}
    asked = {slot.uuid for slot in slots}
    for run in live:
        for device in asked.intersection(run.devices) if asked else ():
            used = run.on_devices.get(device) if run.on_devices else None
            holders.setdefault(device, []).append(Holder(run.id, run.claim, used, run.until))
    return [
        replace(slot, holders=tuple(holders[slot.uuid]), stranger="")
        if slot.uuid in holders
        else replace(slot, stranger=slot.stranger or elsewhere.get(slot.uuid, ""))
        for slot in slots
    ]
