"""What must hold after every round: the engine's story is that of the trainers' own ledger."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import duckdb

from engine import rundir
from engine.messages import ListRuns, Sync
from engine.records import ENDED, RunRow
from engine.store import Store
from engine.workspace import Workspace
from tests.chaos.place import Place, kill
from tests.engine.store_folders import contents

LOOKS = 12


def faults(place: Place, answered: Mapping[str, str]) -> list[str]:
    """Compare and give what is wrong. answered: the runs whose submission was answered, and their manner."""
    rows = {row.id: row for row in place.call(ListRuns()).rows}
    found = [f"{run_id} was queued and is lost" for run_id in answered if run_id not in rows]
    found += [f"{folder.name} has a folder and no row" for folder in place.folders() if folder.name not in rows]
    living = {run_id for _, run_id in place.begun()}
    for run_id, row in rows.items():
        found += [f"{run_id} ({row.state}): {fault}" for fault in of_run(place, row, run_id in living)]
    return found + database(place)


def of_run(place: Place, row: RunRow, lives: bool) -> list[str]:
    ledger, folder = place.ledger / row.id, place.workspace.run(row.id)
    begun = len(words(ledger / "begun")) // 2
    found = []
    if begun > 1:
        found.append(f"began {begun} times")
    if clashes := words(ledger / "clash"):
        found.append(f"was given {', '.join(clashes)} while somebody held it")
    if row.state not in ENDED:
        return [*found, f"has not ended: {row.reason}"]
    if lives:
        found.append("a process of it lives")
    if row.state != "ok" and not row.reason:
        found.append("no cause")
    if not begun and (row.state == "ok" or (row.state == "lost" and not told_to_begin(folder))):
        found.append("never began")
    ended = words(ledger / "ended")
    if ended and row.exit_code is not None and row.exit_code != int(ended[0]):
        found.append(f"ended with {ended[0]}, told as {row.exit_code}")
    if row.state == "ok" and ended != ["0"]:
        found.append(f"is ok, but its own account is {ended or 'that it never came to its end'}")
    lost = told_steps(ledger) - written_steps(folder)
    if lost:
        found.append(f"lost {len(lost)} lines that were written, the first of step {min(lost)}")
    return found


def told_to_begin(folder: Path) -> bool:
    """Whether it was given the word: killed right then it has no account of its own, and is lost all the same."""
    return any(line.get("event") == "started" for line in rundir.read(folder / rundir.LIFECYCLE))


def told_steps(ledger: Path) -> set[int]:
    data = (ledger / "told").read_bytes() if (ledger / "told").exists() else b""
    return {int(part) for i in range(0, len(data), 12) if (part := data[i : i + 12].strip(b"\0 "))}


def written_steps(folder: Path) -> set[object]:
    return {line.get("step") for line in rundir.read(folder / rundir.METRICS)}


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def database(place: Place) -> list[str]:
    """The database, brought up to date in bursts through all of this, against one made anew from the folders.

    The engine goes on to record the machine meanwhile, so it is halted; a sample between its answer and that is no
    fault, hence further looks: on a starved machine, where an answer takes a second, there is one nearly each time.
    """
    for _ in range(LOOKS):
        place.call(Sync())
        engine = place.engine()
        kill(engine or 0, signal.SIGSTOP)
        try:
            if not (found := differences(place)):
                return []
        finally:
            kill(engine or 0, signal.SIGCONT)
    return found


def differences(place: Place) -> list[str]:
    """Compare every table with a rebuild's; halted in the middle of a burst, the engine may hold the file."""
    shadow = Workspace(place.base / "shadow")
    shadow.root.mkdir(exist_ok=True)
    if not shadow.runs.exists():
        shadow.runs.symlink_to(place.workspace.runs)
    Store(shadow).rebuild()
    try:
        ours = contents(place.workspace.database)
    except duckdb.Error as error:
        return [f"the database can't be read: {error}"]
    anew = contents(shadow.database)
    return [
        f"table {table}: {len(set(ours.get(table, ())) ^ set(anew.get(table, ())))} rows differ from a rebuild, as "
        f"{next(iter(set(ours.get(table, ())) ^ set(anew.get(table, ()))), '?')[:300]}"
        for table in sorted(ours.keys() | anew.keys())
        if sorted(ours.get(table, ())) != sorted(anew.get(table, ()))
    ]
