"""What would become of a run if it were queued now: when it starts, what memory it is thought to need, its twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.client import Client, connect
from engine.errors import UsageError
from engine.messages import Queued
from engine.records import LIVE, RunRow, Turn
from engine.submit import Wishes
from engine.workspace import Workspace


@dataclass(frozen=True)
class Prospect:
    """row: as the run would be. told: the dry run's lines. turn: its place in the queue played forward."""

    row: RunRow
    told: tuple[str, ...] = ()
    turn: Turn | None = None
    same: str = ""
    """A run of the same config, data and code that ended well."""
    blind: str = ""
    """Why nobody can tell whether there is one."""

    @property
    def starts_now(self) -> bool:
        return self.row.state in LIVE


def foresee(workspace: Workspace, wishes: Wishes, submit: Callable[[Client, Wishes], RunRow]) -> Prospect:
    """Rehearse a submission; nothing is queued and no engine is started. Raises what submitting would."""
    blind = ""
    try:
        found, needed = _rehearse(workspace, replace(wishes, needed=True), submit)
    except UsageError as error:
        if not str(error).startswith("--needed: "):
            raise
        blind = str(error).removeprefix("--needed: ").partition(", so nobody")[0]
    else:
        if needed:
            return found
        same = found.row.id
        found, _ = _rehearse(workspace, replace(wishes, needed=False), submit)
        return replace(found, same=same)
    found, _ = _rehearse(workspace, replace(wishes, needed=False), submit)
    return replace(found, blind=blind)


def _rehearse(
    workspace: Workspace, wishes: Wishes, submit: Callable[[Client, Wishes], RunRow]
) -> tuple[Prospect, bool]:
    """Give the prospect, and whether a run would be queued at all."""
    with connect(workspace, start=False) as client:
        client.rehearse = lambda _: None
        row = submit(client, wishes)
        found = client.rehearsed
        assert found is not None
        needed = isinstance(found.reply, Queued) and found.reply.needed
        return Prospect(row, found.told, found.turn), needed
