"""All a screen shows, frozen: a pure fold of what the engine says and of how the connection to it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.devices import Sample
from engine.records import ENDED, LIVE, WAITING, Changed, EngineStatus, RunRow, Snapshot

KEPT_SAMPLES = 120
CONNECTING, CONNECTED, AWAY = "connecting", "connected", "away"


@dataclass(frozen=True)
class Link:
    """How the connection is. why: what went wrong, one line. since, retry_at: unix seconds."""

    state: str = CONNECTING
    why: str = ""
    since: float = 0.0
    retry_at: float = 0.0


@dataclass(frozen=True)
class World:
    link: Link = Link()
    rows: Mapping[str, RunRow] = field(default_factory=dict)
    sample: Sample | None = None
    history: tuple[Sample, ...] = ()
    """Two minutes, oldest first."""
    status: EngineStatus | None = None
    known: bool = False
    """Whether an engine has told its runs at least once."""

    def told(self, message: Snapshot | Changed) -> World:
        """The world after a message of a watch."""
        if isinstance(message, Snapshot):
            return replace(
                self,
                rows={row.id: row for row in message.rows if not row.archived},
                sample=message.sample,
                history=message.history[-KEPT_SAMPLES:],
                status=message.status,
                known=True,
            )
        changed = self
        if message.rows:
            rows = {**self.rows, **{row.id: row for row in message.rows}}
            changed = replace(changed, rows={run_id: row for run_id, row in rows.items() if not row.archived})
        if message.sample is not None:
            history = (*self.history[-KEPT_SAMPLES + 1 :], message.sample)
            changed = replace(changed, sample=message.sample, history=history)
        return changed if message.status is None else replace(changed, status=message.status)

    def ended_since(self, before: World) -> list[RunRow]:
        """Give the runs that have ended since an earlier world that knew them as not ended."""
        return [
            row
            for row in self.rows.values()
            if row.state in ENDED and (was := before.rows.get(row.id)) is not None and was.state not in ENDED
        ]

    def linked(self, link: Link) -> World:
        return replace(self, link=link)

    # Sorted once for each world, in the order lists show them.

    @cached_property
    def shown(self) -> tuple[RunRow, ...]:
        """Of the attempts at a run only the last one there is."""
        return tuple(row for row in self.rows.values() if row.later not in self.rows)

    @cached_property
    def running(self) -> tuple[RunRow, ...]:
        """Oldest first, so that nothing moves while it runs."""
        live = (row for row in self.shown if row.state in LIVE)
        return tuple(sorted(live, key=lambda row: (row.started or row.since, row.id)))

    @cached_property
    def queue(self) -> tuple[RunRow, ...]:
        """By place; what is held comes last."""
        waiting = (row for row in self.shown if row.state in WAITING)
        return tuple(sorted(waiting, key=lambda row: (row.place is None, row.place or 0, row.submitted, row.id)))

    @cached_property
    def finished(self) -> tuple[RunRow, ...]:
        """Newest first."""
        ended = (row for row in self.shown if row.state in ENDED)
        return tuple(sorted(ended, key=lambda row: (-(row.ended or row.since), row.id)))

    @cached_property
    def counts(self) -> dict[str, int]:
        found = {"running": len(self.running), "queued": len(self.queue), "done": 0, "failed": 0}
        for row in self.finished:
            found["failed" if row.state in ("failed", "lost") else "done"] += 1
        return found

    @cached_property
    def best(self) -> RunRow | None:
        """The finished or running run with the least validation error."""
        scored = [row for row in self.rows.values() if row.best is not None and row.state not in WAITING]
        return min(scored, key=lambda row: (row.best or 0.0, row.id), default=None)
