"""What can be asked of a run in a query: the fields of its row, and every setting and metric in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from engine.errors import BadFilter, did_you_mean
from engine.records import ENDED, LIVE, WAITING, RunRow

Kind = Literal["text", "name", "begin", "many", "state", "number", "span", "size"]
"""text: contains. name: is. begin: begins with. many: one of several is. span: seconds. size: bytes."""
Scalar = str | float | tuple[str, ...] | None
STATES = tuple(sorted(WAITING | LIVE | ENDED))
GROUPS = {"waiting": WAITING, "live": LIVE, "ended": ENDED}


@dataclass(frozen=True)
class Field:
    """A field of the row. get: its value at a moment; None and "" are a missing one."""

    name: str
    kind: Kind
    get: Callable[[RunRow, float], Scalar]
    help: str
    sql: str = ""
    """The same in terms of `run_summary s JOIN runs r`; "" where the database does not know it."""


@dataclass(frozen=True)
class Stored:
    """A column of the database: a setting by its whole name, or a metric."""

    of: Literal["param", "metric"]
    name: str


def best(row: RunRow) -> float | None:
    """val_pct_mae of the best checkpoint where it is known, else the last one."""
    return row.best if row.best is not None else row.metric


def skill(row: RunRow) -> float | None:
    """Of the best checkpoint where it is known, not of the last validation."""
    return 1 - row.best / row.naive if row.best is not None and row.naive else row.skill


def took(row: RunRow, now: float) -> float | None:
    """Seconds it has run, or ran."""
    if row.started is None:
        return None
    seconds = (now if row.ended is None else row.ended) - row.started
    return seconds if seconds > 0 else 0.0  # max() takes as long again, which 10,000 runs feel


def _hours(row: RunRow, now: float) -> float | None:
    seconds = took(row, now)
    return None if seconds is None else seconds / 3600


FIELDS: dict[str, Field] = {field.name: field for field in (
    Field("id", "begin", lambda r, _: r.id, "its id, or how that begins", "s.id"),
    Field("name", "text", lambda r, _: r.name, "part of its name", "s.name"),
    Field("family", "name", lambda r, _: r.family, "its family", "s.family"),
    Field("state", "state", lambda r, _: r.state, "its state; also waiting, live, ended", "s.state"),
    Field("tag", "many", lambda r, _: r.tags, "one of its tags", "tags"),
    Field("note", "text", lambda r, _: r.note, "part of its note", "r.note"),
    Field("reason", "text", lambda r, _: r.reason, "part of why it waits, or how it ended", "s.cause"),
    Field("cause", "text", lambda r, _: f"{r.cause} {r.reason}".strip(), "kind of a bad end, or part of it", "s.cause"),
    Field("what", "text", lambda r, _: r.what, "part of what was set by hand, or of its command"),
    Field("warning", "text", lambda r, _: r.warning, "part of its warning"),
    Field("phase", "name", lambda r, _: r.phase, "what it does: train, validate"),
    Field("on", "many", lambda r, _: r.labels, "a device it has: GPU0, CPU"),
    Field("commit", "begin", lambda r, _: r.commit, "how its commit begins", "s.commit"),
    Field("because", "name", lambda r, _: r.because, "the end after which the engine made this attempt"),
    Field("imported", "text", lambda r, _: r.imported, "part of where it was brought in from", "r.imported"),
    Field("val_pct_mae", "number", lambda r, _: best(r), "validation error, of the best checkpoint",
          "coalesce(s.best_logged_val_pct_mae, s.val_pct_mae)"),
    Field("naive", "number", lambda r, _: r.naive, "the naive forecast's", "s.naive_pct_mae"),
    Field("skill", "number", lambda r, _: skill(r), "better than naive; 5% is 0.05",
          "coalesce(1 - coalesce(s.best_logged_val_pct_mae, s.val_pct_mae) / s.naive_pct_mae, s.skill)"),
    Field("loss", "number", lambda r, _: r.loss, "the last one of training",
          "(SELECT l.value FROM latest l WHERE l.run_id = s.run_id AND l.metric = 'loss')"),
    Field("steps", "number", lambda r, _: r.step, "steps that are done", "s.steps"),
    Field("planned", "number", lambda r, _: r.steps, "steps that are meant to be done", "s.steps_planned"),
    Field("epoch", "number", lambda r, _: r.epoch, "epochs that are done"),
    Field("steps_per_s", "number", lambda r, _: r.steps_per_s, "steps a second"),
    Field("windows_per_s", "number", lambda r, _: r.windows_per_s, "windows a second"),
    Field("hours", "number", _hours, "hours it has run", "s.seconds / 3600"),
    Field("took", "span", took, "how long it has run: took>2h", "s.seconds"),
    Field("eta", "span", lambda r, _: r.eta, "how long it still takes"),
    Field("attempt", "number", lambda r, _: r.attempt, "which attempt at the run it is"),
    Field("priority", "number", lambda r, _: r.priority, "its priority", "r.priority"),
    Field("place", "number", lambda r, _: r.place, "its place in the queue"),
    Field("gpus", "number", lambda r, _: r.gpus, "devices asked for", "r.gpus"),
    Field("gpu_memory", "size", lambda r, _: r.device_memory, "memory on its device: gpu_memory>10GiB"),
    Field("memory", "size", lambda r, _: r.memory, "memory of its processes", "s.peak_memory"),
    Field("exit_code", "number", lambda r, _: r.exit_code, "its exit code", "r.exit_code"),
    Field("signal", "number", lambda r, _: r.signal, "the signal that ended it", "r.signal"),
)}  # fmt: skip
ALIASES = {"tags": "tag", "step": "steps", "device": "on", "notes": "note"}
TIMES = ("since", "before")
"""since:7d is queued in the last seven days, before:2026-03-01 queued before that day."""
_QUEUED = " since:2d and before:2d go by when a run was queued."
MEANT = {
    **dict.fromkeys(("ago", "age", "submitted", "queued", "created", "started", "ended", "date"), _QUEUED),
    **dict.fromkeys(("val", "mae", "pct_mae", "error", "best"), " Did you mean val_pct_mae?"),
    **dict.fromkeys(("done", "progress"), " steps>=1000 goes by steps that are done."),
    "gpu": " on:GPU0 goes by device.",
    "model": " Did you mean family?",
}
"""What is said of words that people try, where the nearest name is not what they mean."""


@dataclass(frozen=True)
class Known:
    """What the database knows by name. params: train.lr; metrics: val_crps, grad_norm."""

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def find(self, name: str) -> tuple[Stored, ...]:
        """All that a name can mean: a setting by its whole name or by its last part, else a metric.

        last.NAME is always the metric, as it was logged last: a learning rate is both.
        """
        if name in self.params:
            return (Stored("param", name),)
        ends = tuple(Stored("param", p) for p in self.params if p.endswith(f".{name}") and not p.startswith("used."))
        metric = name.removeprefix("last.")
        if ends and metric == name:
            return ends
        return (Stored("metric", metric),) if metric in self.metrics else ()

    def names(self) -> Iterable[str]:
        yield from self.params
        yield from (name.rpartition(".")[2] for name in self.params if not name.startswith("used."))
        yield from self.metrics


def resolve(name: str, known: Known, at: int) -> Field | tuple[Stored, ...]:
    """Give what a name means. Raises BadFilter with the nearest name there is."""
    if (field := FIELDS.get(ALIASES.get(name, name))) is not None:
        return field
    if found := known.find(name):
        return found
    near = MEANT.get(name.lower()) or did_you_mean(
        name, dict.fromkeys((*FIELDS, *ALIASES, *TIMES, "has", *known.names()))
    )
    raise BadFilter(f"There is no field '{name}'.{near}", at)
