"""Whether anything is wrong, and the key that helps: found in what the engine tells, worst first."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from engine.records import RunRow
from tui import devicecells, present
from tui.world import World

DAY = 86_400.0
"""Seconds for which a bad end is told."""
HALF = 0.5
"""The part of a run after which being worse than naive is no longer a beginning."""
IDLE, LONG = 5.0, 90
"""A device that does less than so many per cent for so many samples of a run of ours that trains."""
HOT = 88
NEARLY_FULL = 0.03


class Alert(Struct, frozen=True):
    """role: trouble or attention. run: the one it is about, "" for the box. key: name of what helps, with its words."""

    role: str
    text: str
    run: str = ""
    key: str = ""
    does: str = ""
    rank: float = 0.0


def alerts(world: World, now: float) -> list[Alert]:
    """All that wants a person, what is worst first and then what is newest."""
    found = [*_box(world), *_devices(world), *_live(world), *_ended(world, now)]
    return sorted(found, key=lambda alert: (alert.role != "trouble", -alert.rank))


def _box(world: World) -> Iterator[Alert]:
    status, sample = world.status, world.sample
    if status is not None:
        if status.trouble:
            yield Alert("trouble", f"engine: {status.trouble}", rank=9.5e9)
        if status.store_error:
            yield Alert("trouble", f"runs.duckdb: {status.store_error}", rank=9e9)
        if status.hook_trouble:
            yield Alert("attention", f"hooks: {status.hook_trouble}", rank=9e9)
        if status.queue_paused is not None and world.queue:
            waits = f"{len(world.queue)} runs wait" if len(world.queue) > 1 else "a run waits"
            yield Alert("attention", f"the queue is paused and {waits}", "", "dashboard.pause-queue", "goes on", 8e9)
    if sample is not None and sample.host is not None:
        free = devicecells.share(sample.host.disk_free, sample.host.disk_total)
        if free is not None and free < NEARLY_FULL:
            yield Alert("trouble", f"the disk is nearly full: {present.size(sample.host.disk_free)} free", rank=9e9)


def _devices(world: World) -> Iterator[Alert]:
    sample = world.sample
    for place, device in enumerate(sample.devices if sample is not None else ()):
        name = f"GPU{device.index}"
        if device.error:
            yield Alert("trouble", f"{name}: {device.error}", rank=9e9)
        if device.temperature is not None and device.temperature >= HOT:
            yield Alert("attention", f"{name} is hot: {device.temperature} °C", rank=8e9)
        strangers = [p for p in device.processes if not p.run and (p.memory or 0) > (1 << 30)]
        if strangers and world.queue:
            who = strangers[0].name or f"pid {strangers[0].pid}"
            memory = present.size(sum(p.memory or 0 for p in strangers))
            yield Alert("attention", f"{name}: {who} (not ours) holds {memory} while runs wait", rank=7e9)
        past = [
            one.devices[place].utilisation
            for one in world.history[-LONG:]
            if place < len(one.devices) and one.devices[place].uuid == device.uuid
        ]
        ours = next((row for row in world.running if device.uuid in row.devices and row.phase == "train"), None)
        if ours is not None and len(past) == LONG and all(load is not None and load < IDLE for load in past):
            text = f"{name} idles while {ours.id} trains on it: it waits for data, or hangs"
            yield Alert("attention", text, ours.id, "chosen.log", "its log", 7e9)


def _live(world: World) -> Iterator[Alert]:
    for row in world.running:
        if row.state == "orphaned":
            text = f"{row.id}: its supervisor is gone and its device is still busy"
            yield Alert("trouble", text, row.id, "chosen.kill", "ends it", row.since)
        elif row.warning:
            yield Alert("attention", f"{row.id}: {row.warning}", row.id, "chosen.log", "its log", row.since)
        elif (
            row.state == "running" and row.skill is not None and row.skill < 0 and (present.progress(row) or 0) >= HALF
        ):
            worse = f"{row.id} is {-100 * row.skill:.1f} % worse than naive after {present.percent(row)}"
            yield Alert("attention", worse, row.id, "chosen.stop", "stops it", row.since)


def _ended(world: World, now: float) -> Iterator[Alert]:
    for row in world.finished:
        since = row.ended or row.since
        if now - since > DAY:
            return  # newest first
        if row.state in ("failed", "lost"):
            why = row.reason or present.ended_by(row) or "it does not say why"
            text = f"{row.id} {row.state} {present.ago(now - since)} ago: {why}"
            yield Alert("trouble", text, row.id, "chosen.retry", _again(row), since)


def _again(row: RunRow) -> str:
    return "again, with less memory" if row.cause == "device memory" else "again"
