"""The machine as it was: samples of its devices from the database, as the engine gave them then."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from engine.devices import DeviceSample, ProcessSample, Sample
from engine.host import HostSample

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_WITHIN = "t BETWEEN make_timestamp(?) AND make_timestamp(?)"
_HOST = f"SELECT epoch_us(t), cpu, load1, memory_used, memory_total, disk_free FROM host_samples WHERE {_WITHIN}"
_DEVICES = f"""
SELECT epoch_us(t), uuid, idx, name, utilisation, memory_used, memory_total, power, temperature
FROM device_samples WHERE {_WITHIN} ORDER BY t, idx, uuid
"""
_PROCESSES = """
SELECT uuid, pid, memory, name, username, id FROM process_samples WHERE t = make_timestamp(?) ORDER BY pid
"""


def samples(con: DuckDBPyConnection, until: float, seconds: float) -> tuple[Sample, ...]:
    """Give the samples of a stretch, oldest first; the last one alone has the processes on its devices.

    until: its end, unix seconds. What was not kept is None, and the machine's cores are 0: power limits, the size of
    its disk, and whether a device was visible to runs (told as visible).
    """
    stretch = [int((until - seconds) * 1e6), int(until * 1e6)]
    hosts = {
        t: HostSample(cpu, load, used, total, free, None, 0)
        for t, cpu, load, used, total, free in con.execute(_HOST, stretch).fetchall()
    }
    devices: dict[int, list[DeviceSample]] = defaultdict(list)
    found = con.execute(_DEVICES, stretch).fetchall()
    last = max((row[0] for row in found), default=0)
    on: dict[str, list[ProcessSample]] = defaultdict(list)
    for uuid, pid, memory, name, user, run in con.execute(_PROCESSES, [last]).fetchall():
        on[uuid].append(ProcessSample(pid or 0, memory, name, user, run))
    for t, uuid, number, name, load, used, total, power, heat in found:
        free = total - used if total is not None and used is not None else None
        processes = tuple(on[uuid]) if t == last else ()
        whole = None if heat is None else round(heat)
        mig = "MIG" in (name or "") or uuid.startswith("MIG-")
        devices[t].append(
            DeviceSample(
                uuid, number or 0, name or "", load, used, total, free, power, None, whole, processes, mig, True
            )
        )
    return tuple(
        Sample(t=t / 1e6, devices=tuple(devices[t]), host=hosts.get(t)) for t in sorted({*devices, *hosts})
    )  # fmt: skip
