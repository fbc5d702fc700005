"""What a workspace takes on the disk, by run and by kind; a file that several runs link to counts for the first."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engine import rundir
from engine.workspace import Workspace

KINDS = ("checkpoints", "log", "metrics", "evaluation", "other")
_BY_NAME = {
    rundir.LOG: "log",
    rundir.METRICS: "metrics",
    rundir.ADOPTED: "metrics",
}


class Used(msgspec.Struct, frozen=True):
    """run: an id, or what else it is (database, frozen code, samples). Sizes are bytes as the disk holds them."""

    run: str
    total: int
    files: int
    checkpoints: int = 0
    log: int = 0
    metrics: int = 0
    evaluation: int = 0
    other: int = 0
    shared: int = 0
    """Bytes of files that an earlier run counts already; not in total."""


def usage(workspace: Workspace, runs: list[str] | None = None) -> tuple[list[Used], list[Used]]:
    """Give what each run takes, and what else the workspace does. runs: only these, else all there are."""
    from engine.folders import scan
    from engine.ids import number

    seen: set[tuple[int, int]] = set()
    found = [_of(run_id, workspace.run(run_id), seen) for run_id in sorted(scan(workspace), key=number)]
    rest = {
        "frozen code": [workspace.code],
        "samples": [workspace.host],
        "database": [workspace.database, Path(f"{workspace.database}.wal")],
        "engine": [path for path in _entries(workspace.private) if path != workspace.code],
    }
    others = [_sum(name, places, seen) for name, places in rest.items()]
    return [one for one in found if runs is None or one.run in runs], others


def _of(run_id: str, folder: Path, seen: set[tuple[int, int]]) -> Used:
    sizes = dict.fromkeys((*KINDS, "shared", "files"), 0)
    for place, _, names in os.walk(folder):
        inside = os.path.relpath(place, folder).split(os.sep)[0]
        for name in names:
            state = _state(os.path.join(place, name))
            if state is None:
                continue
            key, size = (state.st_dev, state.st_ino), state.st_blocks * 512
            if state.st_nlink > 1 and key in seen:
                sizes["shared"] += size
                continue
            seen.add(key)
            sizes[inside if inside in KINDS else _BY_NAME.get(name, "other") if inside == "." else "other"] += size
            sizes["files"] += 1
    return Used(run=run_id, total=sum(sizes[kind] for kind in KINDS), **sizes)


def _sum(name: str, places: list[Path], seen: set[tuple[int, int]]) -> Used:
    size = files = 0
    for top in places:
        walked = [(str(top.parent), [], [top.name])] if not top.is_dir() else os.walk(top)
        for place, _, names in walked:
            for one in names:
                state = _state(os.path.join(place, one))
                if state is not None and (state.st_dev, state.st_ino) not in seen:
                    seen.add((state.st_dev, state.st_ino))
                    size += state.st_blocks * 512
                    files += 1
    return Used(run=name, total=size, files=files, other=size)


def _entries(folder: Path) -> list[Path]:
    try:
        return [*folder.iterdir()]
    except OSError:
        return []


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:  # gone meanwhile
        return None
