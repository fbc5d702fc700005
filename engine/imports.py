"""Checkpoint folders that other trainers left behind, brought in as history: what they scored, and how they got there.

Known are final_metrics.json ({"val": {...}, "test": {...}}), best_records.json ([{"path", "val_loss"}]), training.log
and evaluation.json ({"aggregate": {...}, "per_symbol": [...]}). Nothing else is read; a checkpoint is never opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import rundir
from engine.adopt import Line, number
from engine.bring import IMPORTED, beside, foreseen, known, origin, send
from engine.errors import DataError
from engine.provenance import DataPrint
from engine.records import RunRow, Spec

if TYPE_CHECKING:
    from engine.client import Client
    from engine.workspace import Workspace

FILES = ("final_metrics.json", "best_records.json", "evaluation.json", "metrics/evaluation.json", "training.log")
FAMILIES = ("toto2", "toto", "kronos", "chronos", "patchtst", "tft")
DEPTH = 8
LIMIT = 256 << 20
"""Bytes of one file; a longer one is not read."""


@dataclass(frozen=True)
class Found:
    """A folder with at least one known file. key: a checksum of their contents."""

    folder: Path
    files: dict[str, bytes]
    key: str


def find(top: Path) -> list[Found]:
    """Give the folder itself, if it is one, or all below it. Raises DataError when there is none."""
    if not top.is_dir():
        raise DataError(f"{top} is not a folder.")
    found: list[Found] = []
    depth = len(top.parts)
    for place, folders, _ in os.walk(top):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(here.parts) - depth >= DEPTH:
            folders.clear()
        if one := _look(here):
            found.append(one)
            folders.clear()  # what lies within belongs to it
    if not found:
        raise DataError(f"No checkpoint folder in {top}: none holds one of {', '.join(FILES)}.")
    return found


def _look(folder: Path) -> Found | None:
    files = {}
    for name in FILES:
        try:
            files[name] = rundir.contents(folder / name, limit=LIMIT)
        except OSError:
            continue
    if not files:
        return None
    whole = hashlib.blake2b(digest_size=12)
    for name, data in files.items():
        whole.update(f"{name}\0{len(data)}\0".encode() + data)
    return Found(folder.resolve(), files, whole.hexdigest())


def foresee(client: Client, found: Found) -> str:
    """Give the id that the run of a folder has or would have. client: one that rehearses."""
    return foreseen(client, _spec(found, 0.0))


def bring_in(client: Client, workspace: Workspace, found: Found) -> tuple[RunRow, bool]:
    """Make a run of a folder; gives it and whether it is new. The same content is brought in once.

    Raises WorkspaceError, and then nothing was brought in.
    """
    if (row := known(client, found.key)) is not None:
        return row, False
    with beside(workspace, f"import-{found.key}") as place:
        begun = _write(found, place)
        return send(client, place, _spec(found, begun)), True


def _spec(found: Found, begun: float) -> Spec:
    guess = next((family for family in FAMILIES if family in str(found.folder).lower()), "")
    return Spec(
        family=IMPORTED,
        command=(),
        cwd=str(found.folder),
        name=found.folder.name,
        tags=tuple(tag for tag in (IMPORTED, guess) if tag),
        submitted=begun,
        data=DataPrint(fingerprint=IMPORTED),
        imported=origin(str(found.folder), found.key),
    )


def _write(found: Found, place: Path) -> float:
    """Fill the folder of the run; gives when it began, as far as that can be told."""
    changed = [(found.folder / name).stat().st_mtime for name in found.files]
    log = found.files.get("training.log", b"")
    lines, last, times = _curves(log, min(changed))
    begun, ended = min(times or changed), max(times or changed)
    if log:
        rundir.write_new(place / rundir.LOG, log)
    _jsonl(place / rundir.ADOPTED, [*lines, rundir.ADOPTED_WHOLE])
    _jsonl(place / rundir.EVENTS, _events(found, ended, last))
    scored = _scores(found)
    if scored:
        (place / "evaluation").mkdir(mode=0o700)
    for split, told in scored.items():
        whole = {"split": split, "step": last, **told}
        rundir.write_new(place / "evaluation" / f"{split}.json", json.dumps(whole).encode())
    _jsonl(
        place / rundir.LIFECYCLE,
        [
            {"t": begun, "event": "started", "devices": []},
            {"t": ended, "event": "exited", "code": 0 if scored else 1, "signal": None, "why": IMPORTED},
        ],
    )
    return begun


def _curves(log: bytes, t: float) -> tuple[list[Line], int, list[float]]:
    """What a log tells: its numbers, the last step, and every time a line begins with."""
    from engine.adopt_text import Reader, moment_of, pieces

    reader = Reader()
    times = [time for _, text in pieces(log + b"\n") if (time := moment_of(text)) is not None]
    lines = [line for _, text in pieces(log + b"\n") if (line := reader.read(text, t)) is not None]
    clean = [
        {k: None if isinstance(v, float) and not abs(v) < float("inf") else v for k, v in one.items()} for one in lines
    ]
    return clean, reader.last or 0, times


def _events(found: Found, t: float, last: int) -> list[Line]:
    """Checkpoints as best_records.json ranks them; and what is not known of the end."""
    records = _json(found, "best_records.json")
    records = records if isinstance(records, list) else []
    events: list[Line] = []
    for record in records:
        if isinstance(record, dict) and isinstance(record.get("path"), str):
            named = re.search(r"(\d+)\D*$", Path(record["path"]).stem)
            scores = {name: value for name, value in record.items() if number(value) is not None}
            events.append({
                "t": t, "event": "checkpoint", "step": int(named[1][:12]) if named else last, "path": record["path"],
                "metrics": scores,
            })  # fmt: skip
    ranked = [one for one in events if isinstance(one["metrics"], dict) and "val_loss" in one["metrics"]]
    if ranked:
        best = min(ranked, key=lambda one: one["metrics"]["val_loss"])  # type: ignore[index]
        value = best["metrics"]["val_loss"]  # type: ignore[index]
        events.append({"t": t, "event": "best", "step": best["step"], "path": best["path"], "metric": "val_loss",
                       "value": value})  # fmt: skip
    damaged = [name for name in found.files if name.endswith(".json") and not _is_json(found.files[name])]
    if damaged:
        text = f"{' and '.join(damaged)} can't be read as JSON and {'is' if len(damaged) == 1 else 'are'} left out"
        events.append({"t": t, "event": "warning", "code": "damaged", "text": text})
    if not _scores(found):
        lacking = f"with a damaged {damaged[0]}" if damaged else "without final metrics"
        events.append({"t": t, "event": "failed", "cause": f"imported {lacking}: how it ended is not known"})
    return events


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _scores(found: Found) -> dict[str, dict[str, Any]]:
    """Final metrics by split, each named with its split in front; results of symbols where they are told."""
    scores: dict[str, dict[str, Any]] = {}
    final = _json(found, "final_metrics.json")
    if isinstance(final, dict):
        parts = {split: final[split] for split in ("val", "test") if isinstance(final.get(split), dict)}
        for split, metrics in (parts or {"val": final}).items():
            scores[split] = {"metrics": _named(split, metrics)}
    told = _json(found, "evaluation.json") or _json(found, "metrics/evaluation.json")
    if isinstance(told, dict):
        metrics = told["aggregate"] if isinstance(told.get("aggregate"), dict) else told
        listed = told.get("per_symbol")
        symbols = {
            str(one["symbol"]): _named("val", one)
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and one.get("symbol")
        }
        before = scores.get("val", {"metrics": {}})
        scores["val"] = {"metrics": {**_named("val", metrics), **before["metrics"]}, "symbols": symbols}
    return {split: found for split, found in scores.items() if found["metrics"]}


def _named(split: str, metrics: dict[str, Any]) -> dict[str, float | None]:
    return {
        name if name.startswith(f"{split}_") else f"{split}_{name}": value if abs(value) < float("inf") else None
        for name, value in metrics.items()
        if isinstance(name, str) and number(value) is not None
    }


def _json(found: Found, name: str) -> Any:
    try:
        return json.loads(found.files.get(name, b"null"))
    except (ValueError, RecursionError):
        return None


def _jsonl(path: Path, lines: Iterable[Line]) -> None:
    rundir.write_new(path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
