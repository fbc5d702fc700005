"""Runs from elsewhere: a folder is put together beside the others, then the engine takes it in under an id of its own.

Each says what it came from, with a checksum, so that the same thing is brought in once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import folders, ids, rundir
from engine.errors import EngineError, UsageError, WorkspaceError
from engine.messages import Bring, ListRuns, Ok, Queued, Rows
from engine.records import RunRow, Spec

if TYPE_CHECKING:
    from engine.client import Client
    from engine.core import Daemon
    from engine.state import World
    from engine.workspace import Workspace

IMPORTED = "imported"
"""Family of runs that other programs executed, and fingerprint of their data: nobody knows those."""


def origin(place: str, key: str) -> str:
    """What spec.imported says: where from, and which content."""
    return f"{place}#{key}"


def same(one: str, other: str) -> bool:
    """Whether two origins tell of the same content."""
    return bool(one) and one.rpartition("#")[2] == other.rpartition("#")[2]


def known(client: Client, key: str) -> RunRow | None:
    """Give the run that was brought in from this content before."""
    reply = client.call(ListRuns())
    assert isinstance(reply, Rows)
    return next((row for row in reply.rows if row.imported.endswith(f"#{key}")), None)


@contextmanager
def beside(workspace: Workspace, name: str) -> Iterator[Path]:
    """Give an empty folder in runs/ to put a run together in; it is gone afterwards unless it was taken in."""
    place = workspace.runs / f".new-{name}-{os.getpid()}"
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700, parents=True)
        yield place
    except OSError as error:
        raise WorkspaceError(
            f"{place} can't be written: {error.strerror}. Free some space or make it writable."
        ) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def send(client: Client, place: Path, spec: Spec) -> RunRow:
    reply = client.call(Bring(folder=str(place), spec=spec))
    if not isinstance(reply, Queued):
        raise EngineError(f"The engine answered {type(reply).__name__} to a run that is brought in.")
    return reply.row


def foreseen(client: Client, spec: Spec) -> str:
    """Give the id that a run has or would get; of a client that rehearses."""
    reply = client.call(Bring(folder="", spec=spec))
    assert isinstance(reply, Ok), "only a rehearsal answers so"
    return reply.text


def named(world: World, spec: Spec) -> Spec:
    """Give it the id that it can have here: its own, where nobody has it or its number."""
    mine = ids.number(spec.id)
    taken = {ids.number(run_id)[0] for run_id in world.runs}
    if not ids.RUN_ID.match(spec.id) or mine[0] in taken:
        return replace(spec, id=world.new_id(spec.family))
    return spec


def take_in(daemon: Daemon, wish: Bring) -> Queued:
    """In the engine: give the folder its id and read it. Raises UsageError, WorkspaceError."""
    world, spec = daemon.world, wish.spec
    if not spec.imported:
        raise UsageError("A run that is brought in says where it came from.")
    # Nothing that a stranger's file asks for is done: no attempt of the engine's own, no command at its end, no source
    # of numbers that it names.
    spec = replace(spec, adopt=None, retry=None, on_finish="", begin=None, limit=None, after=(), after_any=())
    spec = named(world, spec)
    folders.bring(daemon.workspace, Path(wish.folder), spec)
    run = world.found(spec, rundir.read(daemon.workspace.run(spec.id) / rundir.ORDERS))
    daemon.look(run.id)
    daemon.changed(run)
    return Queued(daemon.readings.row(run.id))
