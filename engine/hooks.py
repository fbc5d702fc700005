"""hooks.json of a workspace: the commands that are told of every finished run, added and removed by `engine hook`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine import rundir, writable
from engine.errors import UsageError, WorkspaceError, did_you_mean
from engine.records import ENDED

LIMIT = 60.0
"""Seconds a hook may take unless it was given others."""
OWN = "on-finish"
"""What the hook is called that a run brought with it."""


class Hook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shell command that gets a run's row as JSON on stdin when the run has ended in one of the states."""

    id: int
    command: str
    on: tuple[str, ...] = ()
    """Ends it is called for; none means all."""
    since: float = 0.0
    """Runs that ended before are not told of."""
    limit: float = LIMIT


class _File(msgspec.Struct, frozen=True):
    hooks: tuple[Hook, ...] = ()


def read(path: Path) -> tuple[Hook, ...]:
    """Give the hooks of a file; none where it is missing. Raises WorkspaceError for what can't be understood."""
    try:
        found = msgspec.json.decode(rundir.contents(path), type=_File).hooks
        for hook in found:
            check(hook.command, hook.on)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UsageError) as error:
        raise WorkspaceError(f"{path} can't be used, so no hook is called: {error}") from None
    if len({hook.id for hook in found}) != len(found):
        raise WorkspaceError(f"{path} can't be used, so no hook is called: two hooks have the same id.")
    return found


def check(command: str, on: Sequence[str]) -> None:
    """Raise UsageError for a hook that could never do anything."""
    if not command.strip():
        raise UsageError("The command of a hook is empty.")
    for state in on:
        if state not in ENDED:
            raise UsageError(f"No end '{state}'.{did_you_mean(state, ENDED)} Ends: {', '.join(sorted(ENDED))}.")


def add(path: Path, command: str, on: Sequence[str], limit: float, now: float, *, rehearse: bool = False) -> Hook:
    """Add a hook for what ends from now on; a rehearsal gives it only. Raises UsageError and WorkspaceError."""
    check(command, on)
    there = read(path)
    made = Hook(
        id=max((hook.id for hook in there), default=0) + 1, command=command, on=tuple(on), since=now, limit=limit
    )
    _write(path, (*there, made), rehearse)
    return made


def remove(path: Path, number: int, *, rehearse: bool = False) -> Hook:
    """Take a hook away; a rehearsal gives it only. Raises UsageError for a number that none has, WorkspaceError."""
    there = read(path)
    gone = next((hook for hook in there if hook.id == number), None)
    if gone is None:
        known = ", ".join(str(hook.id) for hook in there) or "none"
        raise UsageError(f"No hook {number}. There are: {known}.")
    _write(path, [hook for hook in there if hook is not gone], rehearse)
    return gone


def _write(path: Path, hooks: Sequence[Hook], rehearse: bool) -> None:
    try:
        writable.check(path)
        if rehearse:
            return
        rundir.write_new(path, msgspec.json.format(msgspec.json.encode(_File(tuple(hooks))), indent=1) + b"\n")
    except OSError as error:
        raise WorkspaceError(f"{path} can't be written: {error.strerror}.") from None


def due(hooks: Sequence[Hook], own: str, state: str, ended: float) -> dict[str, Hook]:
    """Give the hooks to call for a run by their names in its hooks.jsonl. own: the command it brought with it."""
    found = {str(hook.id): hook for hook in hooks if (not hook.on or state in hook.on) and ended >= hook.since}
    return {**({OWN: Hook(id=0, command=own)} if own else {}), **found}


def called(folder: Path) -> set[str]:
    """Give the names of the hooks that were called for a run."""
    return {str(line.get("hook")) for line in rundir.read(folder / rundir.HOOKS) if line.get("event") == "hook"}


def failure(line: rundir.Line) -> str:
    """Say how a hook failed by its last line; nothing if it went well."""
    if line.get("event") != "hook ended" or line.get("code") == 0:
        return ""
    end = f"was ended after {line.get('limit')} s" if line.get("late") else f"ended with {line.get('code')}"
    said = f": {line['said']}" if line.get("said") else ""
    return f"hook {line.get('hook')} ({json.dumps(line.get('command'))}) {end}{said}"


def environment(workspace: Path, folder: Path) -> dict[str, str]:
    return {**os.environ, "ENGINE_HOME": os.fspath(workspace), "ENGINE_RUN": os.fspath(folder)}
