"""What the end of a log tells of a bad end: the last exception, memory that ran out with its bytes, a full disk.

Standard library only: the supervisor reads it once, at a bad end, and writes what it found into the `exited` line, so
that nobody has to read the log again. Nothing here judges; engine.cause does.
"""

from __future__ import annotations

import os
import re

from engine import rundir

LOG_END = 64 << 10
"""Bytes of the log that are read."""

TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "([^"]{1,300})", line (\d+)')
_RAISED = re.compile(r"^((?:[A-Za-z_][\w.]*\.)?[A-Z]\w*)(?:: (.*))?$")
_SIZE = r"([\d.]+) ?(bytes|[KMGT]i?B)"
_ASKED = re.compile(rf"[Tt]ried to allocate {_SIZE}|trying to allocate {_SIZE}|Unable to allocate {_SIZE}")
_FREE = re.compile(rf"of which {_SIZE} is free|; {_SIZE} free")
_TOTAL = re.compile(rf"total capacity of {_SIZE}|; {_SIZE} total capacity")
_HELD = re.compile(rf"{_SIZE} is allocated by PyTorch|; {_SIZE} already allocated")
_GPU = re.compile(r"GPU (\d+)\b")
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_STEP = re.compile(r"\bstep (\d+)")

_DEVICE = ("CUDA out of memory", "HIP out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
           "CUDNN_STATUS_ALLOC_FAILED", "cudaErrorMemoryAllocation", "RESOURCE_EXHAUSTED: Out of memory",
           "MPS backend out of memory", "XPU out of memory")  # fmt: skip
_HOST = ("DefaultCPUAllocator: can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "Unable to allocate")
_FULL = ("No space left on device", "Disk quota exceeded")
_NAN = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)

Said = dict[str, object]


def read_log(text: str) -> Said | None:
    """Say what the end of a log tells of a bad end: kind, one line, facts; None where it tells nothing.

    The last traceback counts (torchrun's own comes after that of the rank which failed, and is passed over); without
    one, the last lines of a program that is not Python.
    """
    lines = [line.rstrip() for line in text.splitlines()]
    found = _raised(lines)
    if found is not None:
        name, message, where = found
        return _exception(name, message, where)
    for line in reversed([line for line in lines if line.strip()][-20:]):
        if said := _program(line.strip()):
            return said
    return None


def _raised(lines: list[str]) -> tuple[str, str, str] | None:
    """Give the last exception with a traceback: its class, its message, and the file and line that raised it."""
    begins = [i for i, line in enumerate(lines) if line.endswith(TRACEBACK)]
    found = None
    for i in reversed(begins):
        indent = lines[i][: -len(TRACEBACK)]  # "[rank0]: " before each line
        where = ""
        for j in range(i + 1, len(lines)):
            line = lines[j].removeprefix(indent)
            if frame := _FRAME.match(line):
                where = f"{frame[1]}:{frame[2]}"
            elif line and not line[0].isspace() and (raised := _RAISED.match(line)):
                rest = _rest(lines[j + 1 :], indent) if raised[2] is not None else ""
                found = raised[1], " ".join(f"{raised[2] or ''} {rest}".split()), where
                break
        if found is not None and not found[0].endswith("ChildFailedError"):
            return found
    return found


def _rest(lines: list[str], indent: str) -> str:
    """The further lines of a message, up to an empty one or the next traceback."""
    taken: list[str] = []
    for line in lines[:4]:
        if not line.strip() or line.endswith(TRACEBACK) or line.startswith("Exception in thread"):
            break
        taken.append(line.removeprefix(indent))
    return " ".join(taken)


def _exception(name: str, message: str, where: str) -> Said:
    short = name.rpartition(".")[2]
    line = f"{short}: {message}" if message else short
    facts: Said = {"exception": name, "where": where}
    if memory := _memory(f"{short}: {message}"):
        return {**memory, **facts}
    if short in ("ModuleNotFoundError", "ImportError"):
        module = re.search(r"No module named '([^']+)'|from '([^']+)'|(\S+\.so\S*): cannot open", message)
        named = next((part for part in module.groups() if part), "") if module else ""
        return _said("import", line, module=named, **facts)
    if short == "AssertionError":
        return _said(
            "assertion", f"assertion failed: {message}" if message else f"assertion failed at {where}", **facts
        )
    if any(sign in message for sign in _FULL):
        path = re.search(r"'([^']+)'\s*$", message)
        return _said("disk full", f"disk full: {line}", path=path[1] if path else "", **facts)
    if short in ("FloatingPointError", "LossError", "NanError") or (_NAN.search(message) and "loss" in message.lower()):
        step = _STEP.search(message)
        return _said("nan", line, **({"step": int(step[1])} if step else {}), **facts)
    if "is killed by signal" in message:  # a worker of torch's DataLoader
        return _said("worker killed", line, **facts)
    return _said("exception", line, **facts)


def _memory(text: str) -> Said | None:
    """Out of memory, of the device or of the host, with the bytes that the message gives."""
    kind = next((kind for kind, signs in (("device memory", _DEVICE), ("host memory", _HOST))
                 if any(sign in text for sign in signs)), "")  # fmt: skip
    if not kind and text.split(":")[0] == "MemoryError":
        kind = "host memory"
    if not kind:
        return None
    facts = {name: size for name, pattern in (("requested", _ASKED), ("free", _FREE), ("total", _TOTAL),
             ("allocated", _HELD)) if (size := _bytes(pattern, text)) is not None}  # fmt: skip
    if kind == "device memory" and (gpu := _GPU.search(text)):
        facts["gpu"] = int(gpu[1])
    return {"kind": kind, "text": text[:300], **facts}


def _bytes(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    if found is None:
        return None
    number, unit = (part for part in found.groups() if part)
    try:
        return int(float(number) * _UNITS[unit[0].lower()])
    except ValueError:
        return None


def _program(line: str) -> Said | None:
    """What a line of a program says that is not Python, or of Python without a traceback."""
    if line.startswith("engine: can't start "):
        kind = "permission" if line.endswith("Permission denied") else "not found"
        return _said(kind, line.removeprefix("engine: "))
    if memory := _memory(line):
        return memory
    if any(sign in line for sign in _FULL):
        return _said("disk full", f"disk full: {line}")
    if re.search(r": (command )?not found$", line):
        return _said("not found", line)
    if line.endswith(": Permission denied"):
        return _said("permission", line)
    if re.search(r"Assertion .* failed", line):
        return _said("assertion", line)
    raised = _RAISED.match(line)
    if raised and raised[2] and raised[1].endswith(("Error", "Exception")):
        return _exception(raised[1], raised[2], "")
    return None


def _said(kind: str, text: str, **facts: object) -> Said:
    return {
        "kind": kind,
        "text": text[:300],
        **{name: value for name, value in facts.items() if value not in ("", None)},
    }


def of_folder(folder: str | os.PathLike[str]) -> Said:
    """Read what a run that ended badly has left: `said` of its log unless it wrote a cause, and `last`, a line."""
    try:
        events = rundir.contents(os.path.join(folder, rundir.EVENTS), last=LOG_END)
    except OSError:
        events = b""
    try:
        text = rundir.contents(os.path.join(folder, rundir.LOG), last=LOG_END).decode(errors="replace")
    except OSError:
        return {}
    spoken = [line.strip() for line in text.splitlines() if line.strip()]
    found: Said = {"last": spoken[-1][:200]} if spoken else {}
    if b'"event":"failed"' not in events and (said := read_log(text)) is not None:
        found["said"] = said
    return found
