"""One run as its folder tells it: what was asked, ordered and seen, and the state that follows. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import cause as causes
from engine import rundir, when
from engine.cause import Cause, Ending
from engine.estimate import Estimate, Kind
from engine.live import Progress, clean, number, whole
from engine.memory import Prediction
from engine.records import LIVE, WAITING, Spec

if TYPE_CHECKING:
    from engine.schedule import Want

START_PATIENCE = 10.0
"""Seconds a start order may stay without a `started` line before it is given again."""
START_TRIES = 3

Line = Mapping[str, object]


@dataclass(frozen=True)
class Seen:
    """What one look at a run folder found."""

    lifecycle: Sequence[Line] = ()
    supervisor: bool = False
    """supervisor.lock is held."""
    trainer: bool = False
    """trainer.lock is held."""


@dataclass(slots=True)
class Run:
    """A run: what was asked, ordered and seen; `state` and `since` are derived from these and nothing else."""

    brief: Spec
    """What was asked; of one that ended before this engine came up without what is large and seldom asked for."""
    state: str = "queued"
    since: float = 0.0
    reason: str = ""
    place: int | None = None
    held: bool = False
    held_at: float = 0.0
    priority: int = 0
    rank: float | None = None
    """Where it was moved to among those of its priority; else its number counts."""
    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False
    stop: tuple[float, str] | None = None
    """When and how ("stop" or "kill") its end was ordered."""
    stop_line: Line = field(default_factory=dict)
    cause: Cause | None = None
    """Why it ended badly."""
    pause: tuple[float, bool] = (0.0, False)
    """When its pause or its end was ordered last, and which."""
    pauses: tuple[float | None, float] = (None, 0.0)
    """Since when it is paused, by its supervisor, and how many seconds it was before."""
    starts: int = 0
    last_start: float = 0.0
    devices: tuple[str, ...] = ()
    claim: int | None = None
    """Bytes of its device that it was given to share; None has its devices alone."""
    started: Line | None = None
    exited: Line | None = None
    supervisor: int | None = None
    """The process that took it on last; its lock tells whether it still lives."""
    spawning: bool = False
    """A supervisor of ours has not reported yet."""
    adopting: float = 0.0
    progress: Progress = field(default_factory=Progress)
    followed_by: str = ""
    """The attempt that the engine queued after it."""
    sequel: str = ""
    """What the engine did about its bad end."""
    memory: int | None = None
    device_memory: int | None = None
    on_devices: Mapping[str, int] | None = None
    """Bytes it holds on each of its devices; None where NVML can't tell."""
    peak: int = 0
    """The most it was seen to hold on one device."""
    unseen: float = 0.0
    """Seconds of its life in which no engine looked."""
    prediction: Prediction | None = None
    """What it is thought to need on one device, from the peaks that were known at its last turn."""
    predicted: int = -1
    """How many peaks that were."""
    turn: tuple[int, float, int, int] | None = None
    """Where it stands in the queue (`turns.place`), once that was asked for."""
    want: Want | None = None
    """What it asked the scheduler for at its last turn."""
    want_of: tuple[object, ...] = ()
    """What that followed from."""
    expected: Estimate | None = None
    """How long runs like it took."""
    kinds: Sequence[Kind] | None = None
    """What runs it is like."""
    estimated: tuple[int, bool] = (-1, False)
    """How many runs that was of, and whether on a GPU."""
    last_words: str = ""
    """The last line of its log, for the cause of a bad end."""
    changed: Mapping[str, float | None] = field(default_factory=dict)
    """What was asked otherwise after it was queued: begin, limit."""
    whole: Callable[[], Spec] | None = None
    """Reads what `brief` lacks, if it lacks anything."""

    @property
    def id(self) -> str:
        return self.brief.id

    @property
    def spec(self) -> Spec:
        """All that was asked, read anew where only `brief` is at hand. Raises WorkspaceError if that fails."""
        if self.whole is None:
            return self.brief
        return replace(self.whole(), **self.changed) if self.changed else self.whole()

    @property
    def pid(self) -> int | None:
        pid = whole((self.started or {}).get("pid"))
        return pid if pid and pid > 1 and self.state in LIVE else None

    @property
    def out_of_memory(self) -> bool:
        """Whether it failed because a device could not hold it, by its own event or by the words it left."""
        told = self.cause is not None and self.cause.kind == "device memory"
        return self.state == "failed" and (told or self.progress.oom is not None)

    @property
    def started_at(self) -> float | None:
        return _time(self.started) or None

    @property
    def took(self) -> float:
        """Seconds of work that it took to end well; 0 for any other run."""
        if self.state != "ok" or (begun := self.started_at) is None:
            return 0.0
        return self.since - begun - self.pauses[1]

    @property
    def until(self) -> float | None:
        """When it is thought to end, unix seconds: by its own rate, else by what runs like it took, or by its limit.

        None where nobody knows, as for one that is paused.
        """
        if self.state != "running" or self.started_at is None:
            return None
        begun = self.started_at + self.pauses[1]
        eta = self.progress.eta
        end = self.progress.last + eta if eta is not None else begun + self.expected.seconds if self.expected else None
        limit = None if self.brief.limit is None else begun + self.brief.limit
        return end if limit is None or end is None else min(end, limit)

    def until_after(self, now: float) -> float | None:
        """When it is thought to end, if that is still to come: one that takes longer than expected has no known end."""
        if self.state in ("stopping", "finishing"):
            return now
        until = self.until
        return until if until is not None and until > now else None

    def take_order(self, line: Line) -> None:
        """Fold one line of orders.jsonl; what is not understood is passed over."""
        kind, t, value = line.get("order"), line.get("t"), line.get("value")
        t = number(t)
        if t is None:
            return
        match kind:
            case "start":
                self.starts += 1
                self.last_start = t
                devices = line.get("devices")
                self.devices = _names(devices)
                claim = whole(line.get("claim"))
                self.claim = claim if claim and claim > 0 else None
            case "stop" | "kill":
                self.stop, self.stop_line = (t, kind), line
            case "hold" | "release":
                self.held, self.held_at = kind == "hold", t
            case "pause" | "resume":
                self.pause = (t, kind == "pause")
            case "move":
                rank, priority = number(line.get("rank")), whole(line.get("priority"))
                if rank is not None and priority is not None:
                    self.rank, self.priority, self.turn = rank, priority, None
            case "priority":
                if (priority := whole(value)) is not None:
                    self.priority, self.turn = priority, None
            case "begin" | "limit":
                seconds = number(value)
                if value is None or (seconds is not None and seconds > 0):
                    self.changed = {**self.changed, kind: seconds}
                    self.brief = replace(self.brief, **{kind: seconds})
            case "retry":
                self.followed_by = clean(value, 100)
            case "note":
                self.note = clean(value, 10_000)
            case "tag":
                self.tags = tuple(dict.fromkeys((*self.tags, clean(value, 100))))
            case "untag":
                self.tags = tuple(tag for tag in self.tags if tag != value)
            case "archive" | "unarchive":
                self.archived = kind == "archive"

    def derive(self, seen: Seen, now: float, boot: float, boot_id: str = "") -> None:
        """Set the state from the table of DESIGN §2."""
        for line in seen.lifecycle:
            supervisor = whole(line.get("supervisor"))
            if supervisor is not None and supervisor > 1:
                self.supervisor = supervisor
            if line.get("event") == "started":
                self.started = line
                devices = line.get("devices")
                if isinstance(devices, list):
                    self.devices = _names(devices)
            elif line.get("event") == "exited":
                self.exited = line
                self.last_words = self.last_words or clean(line.get("last"), 200)
        self.pauses = rundir.pauses(seen.lifecycle)
        state, since, said = self._derived(seen, now, boot, boot_id)
        self.cause = said if isinstance(said, Cause) else None
        self._become(state, since, said if isinstance(said, str) else said.text)

    def _derived(self, seen: Seen, now: float, boot: float, boot_id: str) -> tuple[str, float, str | Cause]:
        begun = _time(self.started)
        if self.exited is not None:
            if seen.supervisor:
                return "finishing", _time(self.exited), "writing its end"
            if seen.trainer:
                return "orphaned", _time(self.exited), "ended, but a process of it still lives and holds its devices"
            state = causes.end(self.exited, self.stop, self.progress)
            ending = Ending(
                state=state, exited=self.exited, stop=self.stop, stop_line=self.stop_line, progress=self.progress,
                last_words=self.last_words,
            )  # fmt: skip
            return state, _time(self.exited), causes.judge(ending) or ""
        if self.started is not None:
            if seen.trainer:
                if not seen.supervisor:
                    return "orphaned", begun, "its supervisor was killed; a new one takes over"
                if self.stop:
                    return "stopping", begun, ""
                if (paused := self.pauses[0]) is not None:
                    at = when.clock(paused, now)
                    return "paused", paused, f"paused by you since {at}; it keeps its devices and their memory"
                return "running", begun, ""
            if seen.supervisor:
                return "finishing", now, ""
            if self.progress.finished is not None:
                return ("stopped" if self.stop else "ok"), self.progress.last or begun, "its supervisor was killed"
            known = clean(self.started.get("boot"))
            if known != boot_id if known and boot_id else begun < boot:
                return "lost", self.progress.last or begun, Cause("power", "the machine went down", {"booted": boot})
            text = "it and its supervisor were killed together"
            return "lost", self.progress.last or begun, Cause("killed with its supervisor", text)
        if seen.supervisor or self.spawning:
            return "starting", self.last_start, ""
        if self.stop:
            return "stopped", self.stop[0], Cause(self.stop[1], f"{causes.past(self.stop[1])} before it started")
        if self.starts and abs(now - self.last_start) < START_PATIENCE:  # the clock may have been set back
            return "starting", self.last_start, ""
        if self.starts >= START_TRIES:
            text = f"could not be started in {self.starts} tries; see the engine's log"
            return "failed", self.last_start, Cause("not started", text, {"tries": self.starts})
        return ("held" if self.held else "queued"), self.brief.submitted, self.reason

    def _become(self, state: str, since: float, reason: str) -> None:
        if state != self.state:
            self.since = since
        self.state = state
        if state not in WAITING:
            self.reason = reason
            self.place = None


def _time(line: Line | None) -> float:
    return number((line or {}).get("t")) or 0.0


def _names(devices: object) -> tuple[str, ...]:
    found = devices if isinstance(devices, list | tuple) else ()
    return tuple(name for name in (clean(device, 100) for device in found[:64]) if name)
