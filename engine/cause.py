"""Why a run ended, told once for the lists, the cards and the database, from its own lines and its supervisor's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from signal import Signals

import msgspec

from engine import when
from engine.live import Progress, clean, number, whole

Line = Mapping[str, object]
Fact = int | float | str

KINDS = {
    "device memory": "a device could not hold it; requested, free, total: bytes",
    "host memory": "memory of the machine was refused or, with oom_kills, the kernel ended a process of it",
    "nan": "the loss or a gradient is not a number; step",
    "import": "a module is missing; module",
    "assertion": "an assertion failed; where",
    "exception": "any other exception of Python; exception, where",
    "disk full": "a file system was full; path",
    "not found": "the command is not there",
    "permission": "the command may not be executed",
    "worker killed": "a process of it was ended by a signal",
    "signal": "ended by a signal that neither the engine nor its supervisor sent; signal",
    "stop": "it was told to stop, by an order or by a signal to its supervisor; pid, uid, command of who sent that",
    "kill": "the same, at once",
    "limit": "its time was up; limit: seconds",
    "hang": "it wrote nothing for longer than it may; hang, silent: seconds",
    "power": "the machine went down under it; booted: when it came up again",
    "killed with its supervisor": "somebody ended both at once; nobody is left who could tell how",
    "unknown": "its supervisor was killed before it ended, so its exit code is not known",
    "not started": "it came to no start; tries",
    "trainer": "what the trainer itself says",
    "exit code": "nothing but the exit code is known; code",
}
"""Every kind of bad end, and the facts that come with it where they are known."""

SIGNALS = {
    "SIGSEGV": "it touched memory that is not its own",
    "SIGBUS": "memory went away under it: often a full /dev/shm",
    "SIGABRT": "it gave up by itself",
    "SIGFPE": "it divided by zero",
    "SIGILL": "it met an instruction that this processor lacks",
    "SIGXFSZ": "it wrote a file longer than it may",
    "SIGXCPU": "it used more CPU time than it may",
}
BY_SHELLS = frozenset({
    Signals.SIGHUP, Signals.SIGINT, Signals.SIGABRT, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGKILL, Signals.SIGSEGV,
    Signals.SIGTERM,
})  # fmt: skip
"""Signals that an exit code of 128 and their number tells of: a shell's, of its child, or a program's that ends so."""
_STEP = re.compile(r"\bstep (\d+)")
_TRAINER_CODES = {4: "device memory", 5: "nan"}
"""Exit codes of our own trainers (trainers.errors) that name a kind."""


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run ended badly: what kind, one line for people, and the facts as data (KINDS)."""

    kind: str
    text: str
    facts: dict[str, Fact] = {}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """All that a cause is told from."""

    state: str
    exited: Line = {}
    stop: tuple[float, str] | None = None
    stop_line: Line = {}
    """The order that asked for its end."""
    progress: Progress
    last_words: str = ""


def end(exited: Line, stop: tuple[float, str] | None, progress: Progress) -> str:
    """Name the end: ok is exit code 0; one that was told to stop is ok only if it says it had finished."""
    code, finished = exited.get("code"), progress.finished
    to_the_end = finished not in (None, "stopped")
    if stop or exited.get("why") in ("stop", "kill", "limit", "hang"):
        return "ok" if to_the_end and code in (0, None) else "stopped"
    return "ok" if code == 0 or (code is None and exited.get("signal") is None and to_the_end) else "failed"


def judge(ending: Ending) -> Cause | None:
    """Give the cause of a run's end that is written in its lines; None for one that is ok."""
    if ending.state == "ok":
        return None
    if ending.state == "stopped":
        return _stopped(ending)
    return _memory(ending) or _told(ending) or _silent(ending)


def _stopped(ending: Ending) -> Cause:
    exited, line = ending.exited, ending.stop_line
    if exited.get("why") == "limit":
        limit = number(exited.get("limit"))
        return _cause("limit", f"time limit of {when.span(limit)}" if limit is not None else "time limit", limit=limit)
    if exited.get("why") == "hang":
        most, silent = number(exited.get("hang")), number(exited.get("silent"))
        told = f"for {when.span(silent)}" if silent is not None else "any more"
        own = f", though it had promised a line within {when.span(most)}" if exited.get("promised") and most else ""
        return _cause("hang", f"hung: it wrote nothing {told}{own}", hang=most, silent=silent)
    kind = "kill" if (ending.stop[1] if ending.stop else exited.get("why")) == "kill" else "stop"
    if ending.stop is not None:
        return _cause(kind, past(kind), why=clean(line.get("why")))
    by = exited.get("by")
    by = by if isinstance(by, dict) else {}
    who = " ".join(clean(by.get("command")).split()) or "a process that is gone"
    pid = whole(by.get("pid"))
    named = f" by {who} (pid {pid})" if pid else ""
    text = f"{'killed' if kind == 'kill' else 'stopped'} without an order: its supervisor was signalled{named}"
    return _cause(kind, text, pid=pid, uid=whole(by.get("uid")), command=clean(by.get("command")))


def _memory(ending: Ending) -> Cause | None:
    exited, progress, said = ending.exited, ending.progress, _said(ending)
    kills = whole(exited.get("oom_kills")) or 0
    kernel = clean(exited.get("kernel"))
    by_signal = whole(exited.get("signal")) == 9 or whole(exited.get("code")) == 137
    by_signal = by_signal or said.get("kind") == "worker killed"
    if kernel or (kills and by_signal):
        text = "out of host memory: the kernel ended " + ("it" if kernel else "a process of it")
        return _cause("host memory", text, oom_kills=kills or None, kernel=kernel)
    if progress.oom is None and said.get("kind") not in ("device memory", "host memory"):
        return None
    facts = {name: value for source in (said, progress.oom or {}) for name, value in source.items()}
    kind = str(said["kind"]) if progress.oom is None else "device memory"
    sizes = {name: whole(facts.get(name)) for name in ("requested", "free", "total", "allocated")}
    parts = [f"asked for {_size(sizes['requested'])}" if sizes["requested"] is not None else "",
             f"{_size(sizes['free'])} free" if sizes["free"] is not None else ""]  # fmt: skip
    told = ", ".join(part for part in parts if part) + (f" of {_size(sizes['total'])}" if sizes["total"] else "")
    text = f"out of {kind}" + (f": {told.strip(', ')}" if told else "")
    more = {name: clean(facts.get(name)) for name in ("exception", "where")}
    text = progress.failed or text  # the trainer's own line also says what to do
    return _cause(kind, text, **sizes, gpu=whole(facts.get("gpu")), step=whole(facts.get("step")), **more)


def _told(ending: Ending) -> Cause | None:
    """What the run itself said: the trainer's own cause, else the end of its log."""
    text, code, said = ending.progress.failed, whole(ending.exited.get("code")), _said(ending)
    if text:
        kind = _TRAINER_CODES.get(code or 0, "trainer")
        step = _STEP.search(text) if kind == "nan" else None
        return _cause(kind, text, step=int(step[1]) if step else None, code=code)
    kind = clean(said.get("kind"))
    if kind not in KINDS:
        return None
    facts = {name: value for name, value in said.items() if name not in ("kind", "text")}
    return _cause(kind, clean(said.get("text")), code=code, **facts)


def _silent(ending: Ending) -> Cause:
    exited = ending.exited
    code, signal = whole(exited.get("code")), whole(exited.get("signal"))
    if signal is not None:
        name = _name(signal)
        meaning = SIGNALS.get(name, "")
        text = f"killed by signal {signal} ({name}), not by the engine"
        return _cause("signal", f"{text}: {meaning}" if meaning else text, signal=signal, name=name)
    if code is None:
        return _cause("unknown", "ended after its supervisor was killed; its exit code is unknown")
    words = clean(exited.get("last")) or ending.last_words
    told = f"exit code {code}{f': {words}' if words else ''}"
    if (step := ending.progress.bad_loss) is not None:
        return _cause("nan", f"its loss is no number since step {step}; {told}", step=step, code=code)
    number = code - 128
    if number in BY_SHELLS:
        text = f"exit code {code}: it, or a process that it waited for, was ended by signal {number} ({_name(number)})"
        text += f", not by the engine{f'; its last words: {words}' if words else ''}"
        return _cause("signal", text, code=code, signal=number, name=_name(number))
    return _cause("exit code", told, code=code)


def past(kind: str) -> str:
    return "killed by you" if kind == "kill" else "stopped by you"


def _said(ending: Ending) -> Line:
    said = ending.exited.get("said")
    return said if isinstance(said, dict) else {}


def _cause(kind: str, text: str, **facts: object) -> Cause:
    """Keep of the facts what is one; whoever wrote the line may have written anything."""
    kept: dict[str, Fact] = {}
    for name, value in facts.items():
        fact = clean(value) if isinstance(value, str) else whole(value) if isinstance(value, int) else number(value)
        if fact not in (None, ""):
            kept[name[:40]] = fact
    return Cause(kind, text, dict(list(kept.items())[:20]))


def _size(value: int | None) -> str:
    size = float(value or 0)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return "see `kill -l`"
