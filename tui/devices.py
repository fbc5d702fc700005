"""The devices panel as lines: a GPU each with its memory, load and who is on it, then the machine itself."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.devices import DeviceSample, Sample
from engine.host import HostSample
from tui import devicecells, present
from tui.present import Cell, Part, cell
from tui.widgets.strips import cut, fill
from tui.world import World


def amount(world: World) -> int:
    """How many lines say everything."""
    sample = world.sample
    return 3 if sample is None or not sample.devices else len(sample.devices) + 1


def lines(world: World, width: int, rows: int, *, still: bool = False) -> list[list[Part]]:
    """At most `rows` lines; what is left out is counted in the last one. still: without the history, which moves."""
    if still:
        world = replace(world, history=())
    sample = world.sample
    if sample is None:
        return [[("waiting for the first sample", "rest")]]
    widths = _Widths(width, named=bool(sample.devices))
    if not sample.devices:
        return _no_gpu(world, sample, widths)[:rows]
    found = [_gpu(device, world, widths) for device in sample.devices]
    if len(found) + 1 > rows and rows > 1:
        kept = found[: rows - 1]
        hidden = sample.devices[len(kept) :]
        return [*kept, _more(hidden)]
    if sample.host is not None and len(found) < rows:
        extra = (
            cell("   ".join(sample.warnings), "attention")
            if sample.warnings
            else devicecells.host_line(sample.host, small=widths.small)
        )
        found.append(_cpu(sample.host, world, widths, extra))
    return found


class _Widths:
    """Widths of the columns: label, bar, amount, per cent, history; the rest is free text."""

    def __init__(self, width: int, *, named: bool) -> None:
        """named: there are devices, and who is on each is to be told."""
        self.total = width
        self.label = 12 if width >= 90 else 10
        self.wide, self.small = width >= 150, width < 90
        self.bar = 24 if self.wide else 14 if width >= 100 else 12 if width >= 90 else 10
        self.amount = 12 if self.small and named else 14
        self.percent = 5
        self.history = 60 if width >= 220 else 24 if self.wide else 12 if width >= 100 else 6

    def line(self, label: Cell, bar: Cell, amount: Cell, percent: Cell, history: Cell, rest: Cell) -> list[Part]:
        parts = [
            *fill(label, self.label),
            (" ", "text"),
            *bar,
            *fill(amount, self.amount, right=True),
            *fill(percent, self.percent, right=True),
            ("  ", "text"),
            *history,
            ("  ", "text"),
        ]
        used = self.label + 1 + self.bar + self.amount + self.percent + 2 + self.history + 2
        return [*parts, *cut(rest, max(0, self.total - used))]


def _gpu(device: DeviceSample, world: World, widths: _Widths) -> list[Part]:
    name = f"GPU{device.index}"
    label: Cell = ((name, "strong"), (f" {devicecells.short_name(device.name)}", "rest"))
    past = [_of(sample.devices, device.uuid) for sample in world.history]
    history = present.spark([d.utilisation if d else None for d in past], widths.history, 0, 100)
    load = "n/a" if device.utilisation is None else f"{device.utilisation:.0f}%"
    memory: Cell = (
        (present.gib(device.memory_used), "text"),
        (f"/{_whole(device.memory_total)} GiB", "rest"),
    )
    role = devicecells.load_role(device.utilisation)
    about = _about(device, widths)
    bar = devicecells.memory_bar(device, widths.bar)
    return widths.line(label, bar, memory, cell(load, role), cell(history, "spark"), about)


def _about(device: DeviceSample, widths: _Widths) -> Cell:
    """Power, temperature and who is on it; where there is little room, who that is comes before how much power."""
    if device.error:
        return cell(f"▲ {device.error}", "trouble")
    power = "n/a" if device.power is None else f"{device.power:.0f}"
    limit = "" if device.power_limit is None else f"/{device.power_limit:.0f}"
    heat = "n/a" if device.temperature is None else f"{device.temperature}°"
    parts: list[Part] = []
    if not device.mig and not widths.small:
        parts += [(f"{power:>4}", "text"), (f"{limit} W".ljust(6) if widths.wide else " W", "rest"), (" ", "text")]
    parts.append((f"{heat:>{3 if widths.small else 4}}", devicecells.heat_role(device.temperature)))
    for who, memory, role in devicecells.memory_shares(device):
        if role == "attention":
            name = who if widths.wide else who.partition(" (pid")[0]
            parts.append((f"  {name}" if widths.small else f"   {name} {present.gib(memory)}, not ours", role))
        elif who and widths.small:
            parts.append((f"  {who}", role))
        elif who:
            parts += [(f"   {who} ", role), (present.gib(memory), "text")]
    if not device.visible:
        parts.append(("   not for runs (CUDA_VISIBLE_DEVICES)", "rest"))
    elif not device.processes and not device.error:
        parts.append(("   free", "rest"))
    return tuple(parts)


def _cpu(host: HostSample, world: World, widths: _Widths, rest: Cell) -> list[Part]:
    past = [sample.host.cpu if sample.host else None for sample in world.history]
    fraction = None if host.cpu is None else host.cpu / 100
    load = "" if host.load1 is None else f"load {host.load1:.1f}"
    return widths.line(
        (("CPU", "strong"), (f" {host.cores}c", "rest")),
        present.bar(fraction, widths.bar, "bar rest" if world.sample and world.sample.devices else "bar"),
        cell(load, "rest"),
        cell("n/a" if host.cpu is None else f"{host.cpu:.0f}%", "text"),
        cell(present.spark(past, widths.history, 0, 100), "spark"),
        rest,
    )


def _no_gpu(world: World, sample: Sample, widths: _Widths) -> list[list[Part]]:
    host = sample.host
    why: Cell = (("no GPU: ", "rest"), (sample.why_none or "none was found", "rest"))
    if host is None:
        return [list(why)]
    slots = world.status.cpu_slots if world.status else 0
    used = sum(1 for row in world.running if not row.devices or "cpu" in row.devices)
    free: Cell = (("CPU slots: ", "rest"), (f"{used}", "text"), (f" of {slots} in use", "rest"))
    past = [_part(s.host) for s in world.history]
    memory = devicecells.share(host.memory_used, host.memory_total)
    disk = devicecells.share((host.disk_total or 0) - (host.disk_free or 0), host.disk_total)
    full = "trouble" if disk is not None and disk > 0.97 else "attention" if disk is not None and disk > 0.9 else "rest"
    return [
        _cpu(host, world, widths, why),
        widths.line(
            cell("RAM", "strong"),
            present.bar(memory, widths.bar),
            ((present.gib(host.memory_used), "text"), (f"/{_whole(host.memory_total)} GiB", "rest")),
            cell("n/a" if memory is None else f"{100 * memory:.0f}%", "text"),
            cell(present.spark(past, widths.history, 0, 100), "spark"),
            free if slots else (),
        ),
        widths.line(
            cell("disk", "strong"),
            present.bar(disk, widths.bar, "bar attention" if full != "rest" else "bar rest"),
            ((present.size(host.disk_free), "text"), (" free", "rest")),
            cell("n/a" if disk is None else f"{100 * disk:.0f}%", full if full != "rest" else "text"),
            cell(" " * widths.history),
            _store(world),
        ),
    ]


def _store(world: World) -> Cell:
    """How runs.duckdb is, in a few words."""
    status = world.status
    if status is None:
        return ()
    if status.store_error:
        return cell(f"▲ runs.duckdb: {status.store_error}", "attention")
    parts: list[Part] = [
        ("runs.duckdb ", "rest"),
        (present.size(status.database) if status.database else "not written yet", "text"),
    ]
    if status.store_holder:
        parts.append((f"   held by {status.store_holder}", "attention"))
    if status.store_backlog:
        parts.append((f"   {present.size(status.store_backlog)} to store", "rest"))
    return tuple(parts)


def _more(hidden: Sequence[DeviceSample]) -> list[Part]:
    loads = [d.utilisation for d in hidden if d.utilisation is not None]
    mean = f", {sum(loads) / len(loads):.0f}% busy" if loads else ""
    return [(f"{len(hidden)} more GPUs{mean}; a higher terminal shows them", "rest")]


def _of(devices: Sequence[DeviceSample], uuid: str) -> DeviceSample | None:
    return next((device for device in devices if device.uuid == uuid), None)


def _part(host: HostSample | None) -> float | None:
    share = devicecells.share(host.memory_used, host.memory_total) if host else None
    return None if share is None else 100 * share


def _whole(value: int | None) -> str:
    return "n/a" if value is None else f"{value / present.GIB:.0f}"
