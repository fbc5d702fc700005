"""From what a device tells to what people read of it: whose memory it is, how busy and how hot; pure functions."""

from __future__ import annotations

from engine.devices import DeviceSample
from engine.host import HostSample
from tui.present import MIB, Cell, Part, gib, size, stacked


def memory_shares(device: DeviceSample) -> list[tuple[str, int, str]]:
    """Who has how much: (who, bytes, role), our runs first; "" is what the driver keeps or nobody owns up to."""
    shares: list[tuple[str, int, str]] = []
    ours: dict[str, int] = {}
    others: list[tuple[str, int, str]] = []
    for process in device.processes:
        if process.run:
            ours[process.run] = ours.get(process.run, 0) + (process.memory or 0)
        elif process.memory:
            name = f"{process.name} (pid {process.pid})" if process.pid and process.name else f"pid {process.pid}"
            others.append((name if process.pid else "somebody unseen", process.memory, "attention"))
    for place, (run, memory) in enumerate(sorted(ours.items())):
        shares.append((run, memory, "second" if place % 2 else "ours"))
    shares += others
    rest = (device.memory_used or 0) - sum(memory for _, memory, _ in shares)
    if rest > 64 * MIB:
        shares.append(("", rest, "rest"))
    return shares


def memory_bar(device: DeviceSample, width: int) -> Cell:
    """Ours in blue and purple, strangers in amber, what the driver keeps in grey."""
    total = device.memory_total
    if not total:
        return stacked((), width)
    roles = {"ours": "bar", "second": "bar second", "attention": "bar attention", "rest": "bar rest"}
    return stacked([(memory / total, roles[role]) for _, memory, role in memory_shares(device)], width)


def short_name(name: str) -> str:
    """NVIDIA H100 80GB HBM3 MIG 1g.10gb -> H100 1g.10gb: what tells two cards apart."""
    dull = {"NVIDIA", "GeForce", "Tesla", "MIG", "PCIe", "SXM", "SXM2", "SXM4", "SXM5", "Graphics", "Device"}
    words = [w for w in name.split() if w not in dull and not w.startswith("HBM") and not w.endswith("GB")]
    return " ".join(words) or name


def load_role(percent_: float | None) -> str:
    """An idle device is what wants attention on a box that should train; a busy one is good."""
    if percent_ is None:
        return "faint"
    return "good" if percent_ >= 60 else "attention" if percent_ >= 25 else "rest"


def heat_role(celsius: float | None) -> str:
    if celsius is None:
        return "faint"
    return "trouble" if celsius >= 88 else "attention" if celsius >= 80 else "rest"


def share(used: float | None, total: float | None) -> float | None:
    return used / total if used is not None and total else None


def host_line(host: HostSample, *, small: bool = False) -> Cell:
    """Memory and disk of the machine in one line; small: in 26 cells."""
    unit = "" if small else " GiB"
    parts: list[Part] = [("RAM ", "rest"), (f"{gib(host.memory_used)}/{gib(host.memory_total)}{unit}", "text")]
    free = share(host.disk_free, host.disk_total)
    role = "trouble" if free is not None and free < 0.03 else "attention" if free is not None and free < 0.1 else "text"
    parts += [("  disk " if small else "   disk ", "rest"), (size(host.disk_free) + ("" if small else " free"), role)]
    return tuple(parts)
