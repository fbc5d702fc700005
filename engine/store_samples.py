"""Lines of runs/host/ into rows: samples of devices, of processes and of the machine, and what was typed."""

from __future__ import annotations

import msgspec

from engine.rundir import MAX_LINE
from engine.store_facts import Line
from engine.store_marks import Passed, Take, objects
from engine.store_rows import INTEGER, Rows, moment, number, text, whole


def sampler(rows: Rows, source: int) -> Take:
    """Give what takes the lines of one file. source: its number in `files`."""

    def take(data: bytes, passed: Passed) -> None:
        found, count = objects(data)
        for line in found:
            t = moment(line.get("t"))
            if t is None:
                count += 1
            elif "devices" in line or "host" in line:
                _sample(rows, t, line, source)
            else:
                rows.add("notes", t, text(line.get("kind")), _json(line), source)
        passed(count)

    return take


def _sample(rows: Rows, t: int, line: Line, source: int) -> None:
    devices = line.get("devices")
    for device in devices if isinstance(devices, list) else []:
        if not isinstance(device, dict):
            continue
        uuid = text(device.get("uuid"))
        rows.add(
            "device_samples", t, uuid, whole(device.get("index"), INTEGER), text(device.get("name")),
            number(device.get("utilisation")), whole(device.get("memory_used")), whole(device.get("memory_total")),
            number(device.get("power")), number(device.get("temperature")), source,
        )  # fmt: skip
        processes = device.get("processes")
        for process in processes if isinstance(processes, list) else []:
            if isinstance(process, dict):
                rows.add(
                    "process_samples", t, uuid, whole(process.get("pid")), text(process.get("run")),
                    text(process.get("name")), text(process.get("user")), whole(process.get("memory")), source,
                )  # fmt: skip
    host = line.get("host")
    if isinstance(host, dict):
        rows.add(
            "host_samples", t, number(host.get("cpu")), number(host.get("load1")), whole(host.get("memory_used")),
            whole(host.get("memory_total")), whole(host.get("disk_free")), source,
        )  # fmt: skip


def _json(line: Line) -> str | None:
    return text(msgspec.json.encode(line).decode("utf-8", "replace"), MAX_LINE)
