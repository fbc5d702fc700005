"""What may be deleted without losing anything that is needed: old checkpoints, leftovers of deaths, unused frozen code.

A run keeps its best checkpoints and its last. Nothing is taken of a run that lives or waits, that another one waits
for or goes on from, that can be resumed, or that was exported.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine import freeze, ids, rundir
from engine.live import number
from engine.records import ENDED, RunRow, decode_spec

if TYPE_CHECKING:
    from engine.workspace import Workspace

STEP = re.compile(r"step-\d+")
STALE = 3600.0
"""Seconds after which a half-made folder has nobody any more who makes it."""


class Item(msgspec.Struct, frozen=True):
    """Something that goes. run: empty for what belongs to none."""

    path: Path
    bytes: int
    why: str
    run: str = ""


class Plan(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]
    kept: dict[str, str]
    """Runs of which nothing goes though they have several checkpoints, and why."""

    @property
    def bytes(self) -> int:
        return sum(item.bytes for item in self.items)


def plan(workspace: Workspace, rows: Sequence[RunRow], *, best: int = 1) -> Plan:
    """Say what would go. rows: every run as the engine lists it. best: how many of each stay by score."""
    items: list[Item] = []
    kept: dict[str, str] = {}
    exported = _exported(workspace)
    needed = {row.resume_from for row in rows if row.resume_from and row.state not in ENDED}
    needed |= {run_id for row in rows if row.state not in ENDED for run_id in row.after}
    last_attempt = {ids.base(row.id): row.id for row in sorted(rows, key=lambda row: ids.number(row.id))}
    for row in rows:
        folder = workspace.run(row.id)
        if row.state in ENDED:
            items += _leftovers(row.id, folder)
        saved = _checkpoints(folder)
        if len(saved) < 2:
            continue
        if why := _needed(row, saved, exported, needed, last_attempt):
            kept[row.id] = why
            continue
        keep = {saved[-1].name, *_best(folder, best)}
        items += [
            Item(path, _size(path), f"neither the last nor among the best {best}", row.id)
            for path in saved
            if path.name not in keep
        ]
    items += _half_made(workspace)
    items += _code(workspace, rows)
    return Plan(tuple(items), kept)


def carry_out(item: Item) -> int:
    """Delete one thing; gives its bytes. Renamed first, so that nobody meets half of it. Raises OSError."""
    if item.path.is_symlink():
        return 0
    if freeze.note_of(item.path).exists():
        freeze.remove(item.path)
        return item.bytes
    if not item.path.is_dir():
        item.path.unlink(missing_ok=True)
        return item.bytes
    doomed = item.path.with_name(f".{item.path.name.lstrip('.')}.doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    item.path.rename(doomed)
    shutil.rmtree(doomed)
    return item.bytes


def _needed(
    row: RunRow, saved: Sequence[Path], exported: set[Path], needed: set[str], last_attempt: dict[str, str]
) -> str:
    if row.state not in ENDED:
        return f"it is {row.state}"
    if row.id in needed:
        return "a run that waits or lives needs it"
    if any(place == path.parent.parent for path in saved for place in _above(exported)):
        return "it is exported"
    resumable = row.state != "ok" and last_attempt.get(ids.base(row.id)) == row.id
    if resumable and any((path / "state.json").exists() for path in saved):
        return f"it was {row.state} and can be resumed"
    return ""


def _above(exported: Iterable[Path]) -> set[Path]:
    return {path.parent.parent for path in exported}


def _exported(workspace: Workspace) -> set[Path]:
    """Checkpoints that .best_model_path names or named before."""
    found = set()
    for path in (workspace.best, workspace.best.with_name(f"{workspace.best.name}.previous")):
        try:
            found.add(Path(path.read_text().strip()))
        except OSError:
            continue
    promoted = [path for path in _runs(workspace) if _promoted(path)]
    return found | {path / "checkpoints" / "any" for path in promoted}


def _promoted(folder: Path) -> bool:
    return any(line.get("order") == "promote" for line in rundir.read(folder / rundir.ORDERS))


def _runs(workspace: Workspace) -> list[Path]:
    from engine.folders import scan

    return [workspace.run(run_id) for run_id in scan(workspace)]


def _checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first; links and foreign names are none."""
    try:
        with os.scandir(folder / "checkpoints") as entries:
            found = [e.name for e in entries if STEP.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / "checkpoints" / name for name in sorted(found, key=lambda name: int(name[5:]))]


def _best(folder: Path, count: int) -> set[str]:
    """Names of the best by the score that the run itself chose by; of equals the earlier."""
    scores: dict[str, float] = {}
    chosen = ""
    metric = "val_pct_mae"
    for line in rundir.read(folder / rundir.EVENTS):
        name = Path(str(line.get("path", ""))).name
        metrics = line.get("metrics")
        if line.get("event") == "best":
            chosen, metric = name, str(line.get("metric") or metric)
            if (value := number(line.get("value"))) is not None:
                scores[name] = value
        elif line.get("event") == "checkpoint" and isinstance(metrics, dict):
            value = number(metrics.get(metric))
            scores |= {} if value is None else {name: value}
    from engine.board import direction_of

    sign = 1.0 if direction_of(metric) == "min" else -1.0
    ranked = sorted(scores, key=lambda name: sign * scores[name])
    return {chosen, *ranked[:count]} - {""}


def _leftovers(run_id: str, folder: Path) -> list[Item]:
    """Checkpoints that were being written or deleted when the trainer died."""
    try:
        with os.scandir(folder / "checkpoints") as entries:
            found = [Path(e.path) for e in entries if e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [Item(path, _size(path), "left over by a death while it was written", run_id) for path in sorted(found)]


def _half_made(workspace: Workspace) -> list[Item]:
    old = time.time() - STALE
    found = []
    for top in (workspace.runs, workspace.code):
        try:
            with os.scandir(top) as entries:
                found += [
                    Path(e.path)
                    for e in entries
                    if e.name.startswith((".new-", ".trash-")) and e.stat(follow_symlinks=False).st_mtime < old
                ]
        except OSError:
            continue
    return [Item(path, _size(path), "left over by a death while it was made") for path in sorted(found)]


def _code(workspace: Workspace, rows: Sequence[RunRow]) -> list[Item]:
    """Frozen code that no run needs any more, or that can be laid out again from its repository."""
    used: dict[str, tuple[bool, bool]] = {}
    for row in rows:
        try:
            spec = decode_spec(rundir.contents(workspace.run(row.id) / rundir.SPEC))
        except (OSError, msgspec.DecodeError):
            continue
        if spec.code is None or not spec.code.tree:
            continue
        top = Path(spec.code.top)
        again = top.is_dir() and spec.git is not None and freeze.has_commit(top, spec.git.commit)
        before = used.get(spec.code.tree, (False, True))
        used[spec.code.tree] = (before[0] or row.state not in ENDED, before[1] and again)
    try:
        with os.scandir(workspace.code) as entries:
            trees = sorted(e.name for e in entries if re.fullmatch("[0-9a-f]{32}", e.name))
    except OSError:
        return []
    items = []
    for name in trees:
        live, again = used.get(name, (False, True))
        if not live and again:
            why = "frozen code of ended runs; its repository still has it" if name in used else "frozen code of no run"
            items.append(Item(workspace.code / name, _size(workspace.code / name), why))
    return items


def _size(path: Path) -> int:
    """Bytes that the disk gets back: what other names link to stays."""
    size = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                state = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            size += state.st_blocks * 512 if state.st_nlink == 1 else 0
    return size
