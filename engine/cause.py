"""Why a run ended, told once for the lists, the cards and the database, from its own lines and its supervisor's."""

from __future__ import annotations

from collections.abc import Mapping

from engine import when
from engine.live import Progress, number

Line = Mapping[str, object]


def end(exited: Line, stop: tuple[float, str] | None, progress: Progress) -> str:
    """Name the end: ok is exit code 0; one that was told to stop is ok only if it says it had finished."""
    code, finished = exited.get("code"), progress.finished
    to_the_end = finished not in (None, "stopped")
    if stop or exited.get("why") in ("stop", "kill", "limit"):
        return "ok" if to_the_end and code in (0, None) else "stopped"
    return "ok" if code == 0 or (code is None and to_the_end) else "failed"


def told(state: str, exited: Line, stop: tuple[float, str] | None, progress: Progress, last_words: str) -> str:
    """Say in one line why a run ended in that state; nothing for one that is ok."""
    if state == "ok":
        return ""
    if state == "stopped" and exited.get("why") == "limit":
        limit = number(exited.get("limit"))
        return f"time limit of {when.span(limit)}" if limit is not None else "time limit"
    if state == "stopped":
        return past(stop[1] if stop else str(exited.get("why")))
    if progress.failed:
        return progress.failed
    if progress.oom is not None:
        return "out of device memory"
    if (signal := exited.get("signal")) is not None:
        return f"killed by signal {signal} ({_signal(signal)}), not by the engine"
    if exited.get("code") is None:
        return "ended after its supervisor was killed; its exit code is unknown"
    words = f": {last_words}" if last_words else ""
    return f"exit code {exited.get('code')}{words}"


def past(kind: str) -> str:
    return "killed by you" if kind == "kill" else "stopped by you"


def _signal(number: object) -> str:
    names: Mapping[object, str] = {1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
    return names.get(number, "see `kill -l`")
