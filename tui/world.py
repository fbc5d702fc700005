"""All a screen shows, frozen: a pure fold of what the engine says and of how the connection to it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from engine import ids
from engine.devices import Sample
from engine.messages import Changed, Snapshot
from engine.query_fields import skill
from engine.records import ENDED, LIVE, WAITING, EngineStatus, RunRow

KEPT_SAMPLES = 120
GROUPS = {"running": LIVE, "queue": WAITING, "finished": ENDED}
SORTED = (*GROUPS, "failed", "best")
CONNECTING, CONNECTED, AWAY = "connecting", "connected", "away"


class Link(Struct, frozen=True):
    """How the connection is. why: what went wrong, one line. since, retry_at: unix seconds."""

    state: str = CONNECTING
    why: str = ""
    since: float = 0.0
    retry_at: float = 0.0


class World(Struct, frozen=True, dict=True):
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
            )._sort()
        changed = self._with(message.rows) if message.rows else self
        if message.sample is not None:
            history = (*self.history[-KEPT_SAMPLES + 1 :], message.sample)
            changed = changed._but(sample=message.sample, history=history)
        return changed if message.status is None else changed._but(status=message.status)

    def _but(self, **fields: Any) -> World:
        """The same runs with something else around them: what was sorted stays sorted."""
        made = replace(self, **fields)
        made.__dict__.update({name: self.__dict__[name] for name in SORTED if name in self.__dict__})
        return made

    def _with(self, news: Sequence[RunRow]) -> World:
        """The world with these rows in place of the ones before.

        With 10,000 runs, sorting them anew for each message of a few live ones takes 50 ms, some times a second: what
        was sorted is taken over, the very same tuples where no row of theirs has changed.
        """
        rows = dict(self.rows)
        pairs = [(rows.get(row.id), row) for row in news]
        for row in news:
            if row.archived:
                rows.pop(row.id, None)
            else:
                rows[row.id] = row
        made = replace(self, rows=rows)
        if any(row.archived or (before is None and ids.number(row.id)[1] > 1) for before, row in pairs):
            return made._sort()  # whether an attempt is the last one may be another matter for others now
        changed = {row.id for row in news}
        for name, states in GROUPS.items():
            known = getattr(self, name)
            if any(row.state in states or (before is not None and before.state in states) for before, row in pairs):
                shown = [row for row in news if row.state in states and rows[row.id] is row and row.later not in rows]
                known = _GROUPED[name]((*(row for row in known if row.id not in changed), *shown))
            made.__dict__[name] = known
        if made.finished is self.finished:
            made.__dict__["failed"] = self.failed
        if self.best is None or self.best.id not in changed:
            made.__dict__["best"] = _best(
                [row for row in (self.best, *news) if row is not None and rows[row.id] is row]
            )
        return made._sort()

    def _sort(self) -> World:
        """Sort what is not sorted yet: here, in the feed's thread, so that the next world can take it over."""
        for name in SORTED:
            getattr(self, name)
        return self

    def ended_since(self, before: World) -> list[RunRow]:
        """Give the runs that have ended since an earlier world that knew them as not ended."""
        if self.finished and self.finished is before.finished:  # an empty tuple is always the same one
            return []
        return [
            row
            for row in self.rows.values()
            if row.state in ENDED and (was := before.rows.get(row.id)) is not None and was.state not in ENDED
        ]

    def linked(self, link: Link) -> World:
        return self._but(link=link)

    # Sorted once for each world, in the order lists show them; see _with().

    @cached_property
    def running(self) -> tuple[RunRow, ...]:
        """Oldest first, so that nothing moves while it runs."""
        return self._group("running")

    @cached_property
    def queue(self) -> tuple[RunRow, ...]:
        """By place; what is held comes last."""
        return self._group("queue")

    @cached_property
    def finished(self) -> tuple[RunRow, ...]:
        """Newest first."""
        return self._group("finished")

    def _group(self, name: str) -> tuple[RunRow, ...]:
        """Of the attempts at a run only the last one there is."""
        states, rows = GROUPS[name], self.rows
        return _GROUPED[name](row for row in rows.values() if row.state in states and row.later not in rows)

    @cached_property
    def failed(self) -> int:
        return sum(row.state in ("failed", "lost") for row in self.finished)

    @property
    def counts(self) -> dict[str, int]:
        done = len(self.finished) - self.failed
        return {"running": len(self.running), "queued": len(self.queue), "done": done, "failed": self.failed}

    @cached_property
    def best(self) -> RunRow | None:
        """The finished or running run that is furthest above naive: errors on different data say nothing together."""
        return _best(self.rows.values())


_id = attrgetter("id")


def _by_start(rows: Iterable[RunRow]) -> tuple[RunRow, ...]:
    return tuple(sorted(rows, key=lambda row: (row.started or row.since, row.id)))


def _by_place(rows: Iterable[RunRow]) -> tuple[RunRow, ...]:
    return tuple(sorted(rows, key=lambda row: (row.place is None, row.place or 0, row.submitted, row.id)))


def _by_end(rows: Iterable[RunRow]) -> tuple[RunRow, ...]:
    # Twice by one thing each, as a sort is stable: less work than once by a pair.
    return tuple(sorted(sorted(rows, key=_id), key=lambda row: row.ended or row.since, reverse=True))


def _best(rows: Iterable[RunRow]) -> RunRow | None:
    scored = [(above, row) for row in rows if row.state not in WAITING and (above := skill(row)) is not None]
    return min(scored, key=lambda one: (-one[0], one[1].id), default=(0.0, None))[1]


_GROUPED: dict[str, Callable[[Iterable[RunRow]], tuple[RunRow, ...]]] = {
    "running": _by_start,
    "queue": _by_place,
    "finished": _by_end,
}
