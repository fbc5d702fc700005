"""The engine's whole mind: runs as their folders tell them, folded into states, orders and starts. Pure: no I/O.

`World` takes facts in (`found`, `seen`, `line`), answers wishes (`order`) and says what should happen (`act`). The
daemon turns files, sockets and timers into the former and the latter into effects. Times are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import BadDependency, UnknownRun, UsageError, did_you_mean
from engine.live import Progress
from engine.records import ENDED, LIVE, WAITING, Order, RunRow, Spec
from engine.schedule import CPU, Slot, Want, decide, order

START_PATIENCE = 10.0
"""Seconds a start order may stay without a `started` line before it is given again."""
START_TRIES = 3
MAX_PRIORITY = 1000
RUN_ID = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_-]{0,40})-([0-9]{4,9})(?:\.([0-9]{1,4}))?$")

Line = Mapping[str, object]


@dataclass(frozen=True)
class Start:
    """Append a start order and spawn a supervisor."""

    run: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Adopt:
    """Spawn a supervisor for a run that lost its own."""

    run: str


Action = Start | Adopt


@dataclass(frozen=True)
class Seen:
    """What one look at a run folder found."""

    lifecycle: Sequence[Line] = ()
    supervisor: bool = False
    """supervisor.lock is held."""
    trainer: bool = False
    """trainer.lock is held."""


@dataclass
class Run:
    """A run: what was asked, ordered and seen; `state` and `since` are derived from these and nothing else."""

    spec: Spec
    state: str = "queued"
    since: float = 0.0
    reason: str = ""
    place: int | None = None
    held: bool = False
    priority: int = 0
    tags: tuple[str, ...] = ()
    note: str = ""
    stop: tuple[float, str] | None = None
    """When and how ("stop" or "kill") its end was ordered."""
    starts: int = 0
    last_start: float = 0.0
    devices: tuple[str, ...] = ()
    started: Line | None = None
    exited: Line | None = None
    supervisor: int | None = None
    """The process that took it on last; its lock tells whether it still lives."""
    spawning: bool = False
    """A supervisor of ours has not reported yet."""
    adopting: float = 0.0
    progress: Progress = field(default_factory=Progress)
    memory: int | None = None
    device_memory: int | None = None
    last_words: str = ""
    """The last line of its log, for the cause of a bad end."""

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def pid(self) -> int | None:
        pid = (self.started or {}).get("pid")
        return pid if isinstance(pid, int) and self.state in LIVE else None

    def take_order(self, line: Line) -> None:
        """Fold one line of orders.jsonl; what is not understood is passed over."""
        kind, t, value = line.get("order"), line.get("t"), line.get("value")
        if not isinstance(t, int | float):
            return
        match kind:
            case "start":
                self.starts += 1
                self.last_start = float(t)
                devices = line.get("devices")
                self.devices = tuple(map(str, devices)) if isinstance(devices, list | tuple) else ()
            case "stop" | "kill":
                self.stop = (float(t), str(kind))
            case "hold" | "release":
                self.held = kind == "hold"
            case "priority":
                if isinstance(value, int):
                    self.priority = value
            case "note":
                self.note = str(value or "")
            case "tag":
                self.tags = tuple(dict.fromkeys((*self.tags, str(value))))
            case "untag":
                self.tags = tuple(tag for tag in self.tags if tag != value)

    def derive(self, seen: Seen, now: float, boot: float) -> None:
        """Set the state from the table of DESIGN §2."""
        for line in seen.lifecycle:
            supervisor = line.get("supervisor")
            if isinstance(supervisor, int) and supervisor > 1:
                self.supervisor = supervisor
            if line.get("event") == "started":
                self.started = line
                devices = line.get("devices")
                if isinstance(devices, list):
                    self.devices = tuple(map(str, devices))
            elif line.get("event") == "exited":
                self.exited = line
        self._become(*self._derived(seen, now, boot))

    def _derived(self, seen: Seen, now: float, boot: float) -> tuple[str, float, str]:
        begun = _time(self.started)
        if self.exited is not None:
            if seen.supervisor:
                return "finishing", _time(self.exited), "writing its end"
            if seen.trainer:
                return "orphaned", _time(self.exited), "ended, but a process of it still lives and holds its devices"
            return *self._end(), self._cause()
        if self.started is not None:
            if seen.trainer:
                if not seen.supervisor:
                    return "orphaned", begun, "its supervisor was killed; a new one takes over"
                return ("stopping" if self.stop else "running"), begun, ""
            if seen.supervisor:
                return "finishing", now, ""
            if self.progress.finished is not None:
                return ("stopped" if self.stop else "ok"), self.progress.last or begun, "its supervisor was killed"
            died = "the machine went down" if begun < boot else "it and its supervisor were killed together"
            return "lost", self.progress.last or begun, died
        if seen.supervisor or self.spawning:
            return "starting", self.last_start, ""
        if self.stop:
            return "stopped", self.stop[0], f"{_past(self.stop[1])} before it started"
        if self.starts and now - self.last_start < START_PATIENCE:
            return "starting", self.last_start, ""
        if self.starts >= START_TRIES:
            return "failed", self.last_start, f"could not be started in {self.starts} tries; see the engine's log"
        return ("held" if self.held else "queued"), self.spec.submitted, self.reason

    def _end(self) -> tuple[str, float]:
        """Name the end: ok is exit code 0; one that was told to stop is ok only if it says it had finished."""
        exited = self.exited or {}
        code, finished = exited.get("code"), self.progress.finished
        to_the_end = finished not in (None, "stopped")
        if self.stop or exited.get("why") in ("stop", "kill"):
            return ("ok" if to_the_end and code in (0, None) else "stopped"), _time(exited)
        return ("ok" if code == 0 or (code is None and to_the_end) else "failed"), _time(exited)

    def _cause(self) -> str:
        exited, progress = self.exited or {}, self.progress
        state, _ = self._end()
        if state == "ok":
            return ""
        if state == "stopped":
            return _past(self.stop[1] if self.stop else str(exited.get("why")))
        if progress.failed:
            return progress.failed
        if progress.oom is not None:
            return "out of device memory"
        if (number := exited.get("signal")) is not None:
            return f"killed by signal {number} ({_signal(number)}), not by the engine"
        if exited.get("code") is None:
            return "ended after its supervisor was killed; its exit code is unknown"
        words = f": {self.last_words}" if self.last_words else ""
        return f"exit code {exited.get('code')}{words}"

    def _become(self, state: str, since: float, reason: str) -> None:
        if state != self.state:
            self.since = since
        self.state = state
        if state not in WAITING:
            self.reason = reason
            self.place = None

    def row(self, labels: Mapping[str, str], what: str) -> RunRow:
        """Give the run as lists show it. labels: how people call each device."""
        spec, progress, exited = self.spec, self.progress, self.exited or {}
        ended = self.since if self.state in ENDED else None
        rss = exited.get("max_rss_bytes")
        code, number = exited.get("code"), exited.get("signal")
        started = _time(self.started) or None
        return RunRow(
            id=spec.id,
            family=spec.family,
            state=self.state,
            since=self.since or spec.submitted,
            name=spec.name,
            submitted=spec.submitted,
            started=started,
            ended=ended,
            priority=self.priority,
            place=self.place,
            reason=self.reason,
            what=what,
            tags=self.tags,
            note=self.note,
            gpus=spec.gpus,
            after=spec.after,
            devices=self.devices,
            labels=tuple(labels.get(device, device[:12]) for device in self.devices),
            pid=self.pid,
            phase=progress.phase if self.state in LIVE else "",
            step=progress.step,
            steps=progress.steps,
            epoch=progress.epoch,
            epochs=progress.epochs,
            loss=progress.loss,
            metric=progress.metric,
            best=progress.best,
            naive=progress.naive,
            skill=progress.skill,
            steps_per_s=progress.steps_per_s,
            windows_per_s=progress.windows_per_s,
            eta=progress.eta if self.state == "running" else None,
            device_memory=self.device_memory,
            memory=rss if isinstance(rss, int) and rss else self.memory,
            spark=tuple(progress.spark),
            warning=progress.warning,
            exit_code=code if isinstance(code, int) else None,
            signal=number if isinstance(number, int) else None,
            resume_from=spec.resume_from,
            checkpoint=progress.checkpoint,
            dirty=bool(spec.git and spec.git.dirty),
            commit=(spec.git.commit or "")[:9] if spec.git else "",
        )


class World:
    """All runs of a workspace, and what should happen next."""

    def __init__(self, cpu_slots: int, boot: float = 0.0) -> None:
        self.cpu_slots = cpu_slots
        self.boot = boot
        """When the machine came up, unix seconds."""
        self.runs: dict[str, Run] = {}
        self.waiting: set[str] = set()
        self.live: set[str] = set()

    # -- facts ----------------------------------------------------------------------------------------------------

    def found(self, spec: Spec, orders: Iterable[Line] = ()) -> Run:
        """Take in a run folder: new, or read again after a restart."""
        run = Run(spec, priority=spec.priority, tags=spec.tags, note=spec.note, since=spec.submitted)
        for line in orders:
            run.take_order(line)
        self.runs[spec.id] = run
        self._file(run)
        return run

    def seen(self, run_id: str, seen: Seen, now: float) -> bool:
        """Take in a look at a folder; tells whether the run's state changed."""
        run = self.runs[run_id]
        before = run.state, run.reason
        run.derive(seen, now, self.boot)
        self._file(run)
        return (run.state, run.reason) != before

    def _file(self, run: Run) -> None:
        self.waiting.discard(run.id)
        self.live.discard(run.id)
        if run.state in WAITING:
            self.waiting.add(run.id)
        elif run.state in LIVE:
            self.live.add(run.id)

    # -- wishes ---------------------------------------------------------------------------------------------------

    def find(self, word: str) -> Run:
        """Find a run by its id, its number, or a beginning that fits one only. Raises UnknownRun."""
        if word in self.runs:
            return self.runs[word]
        if number := re.fullmatch(r"(\d{1,9})(?:\.(\d{1,4}))?", word):
            wanted = int(number[1]), int(number[2] or 1)
            fits = [run_id for run_id in self.runs if _number(run_id) == wanted]
        else:
            fits = [run_id for run_id in self.runs if run_id.startswith(word)]
            fits = fits or self._named(word)
        if len(fits) == 1:
            return self.runs[fits[0]]
        if fits:
            some = ", ".join(sorted(fits)[:5]) + (", ..." if len(fits) > 5 else "")
            raise UnknownRun(f"{word!r} fits {len(fits)} runs: {some}. Type more of the id.")
        raise UnknownRun(f"No run {word!r}.{did_you_mean(word, self.runs)} `engine ls --all` shows them all.")

    def _named(self, name: str) -> list[str]:
        """Give the runs of a name; attempts of one run are one run, and the last of them is meant."""
        last: dict[str, str] = {}
        for run_id in sorted((run.id for run in self.runs.values() if run.spec.name == name), key=_number):
            last[run_id.split(".")[0]] = run_id
        return [*last.values()]

    def new_id(self, family: str) -> str:
        """Give the next id: the number is unique in the workspace, whatever the family."""
        return f"{family}-{max(map(_number, self.runs), default=(0, 0))[0] + 1:04d}"

    def next_attempt(self, run_id: str) -> str:
        """Give the id of the next attempt: toto-0007.2 after toto-0007."""
        base = run_id.split(".")[0]
        last = max(
            int(match[3] or 1) for key in self.runs if key.split(".")[0] == base and (match := RUN_ID.match(key))
        )
        return f"{base}.{last + 1}"

    def check_after(self, after: Sequence[str]) -> tuple[str, ...]:
        """Turn what was typed behind --after into ids. Raises BadDependency for an unknown run or a circle."""
        found = []
        for word in after:
            try:
                run = self.find(word)
            except UnknownRun as error:
                raise BadDependency(f"--after {word}: {error}") from None
            if circle := self.circle(run.id):
                raise BadDependency(f"--after {word}: it waits in a circle: {' -> '.join(circle)}. Stop one of these.")
            found.append(run.id)
        return tuple(found)

    def circle(self, run_id: str) -> list[str]:
        """Give the runs that wait for each other in a circle reached from this one, or nothing."""
        path: list[str] = []
        done: set[str] = set()

        def walk(here: str) -> list[str]:
            if here in path:
                return [*path[path.index(here) :], here]
            if here in done or here not in self.waiting:
                return []
            path.append(here)
            for there in self.runs[here].spec.after:
                if found := walk(there):
                    return found
            done.add(path.pop())
            return []

        return walk(run_id)

    def order(self, wish: Order) -> tuple[Run, dict[str, object]]:
        """Check a wish and give the line to append. Raises UsageError if it makes no sense for that run's state."""
        run = self.find(wish.run)
        line: dict[str, object] = {"order": wish.order, "why": wish.why}
        match wish.order:
            case "stop" | "kill":
                if run.state in ENDED:
                    raise UsageError(f"{run.id} has ended already ({run.state}).")
            case "hold" | "release":
                if run.state not in WAITING:
                    raise UsageError(f"{run.id} is {run.state}: only a waiting run can be held or released.")
            case "priority":
                try:
                    line["value"] = int(wish.value)
                except ValueError:
                    raise UsageError(f"Priority {wish.value!r} is not a whole number.") from None
                if abs(int(wish.value)) > MAX_PRIORITY:
                    raise UsageError(f"Priority {wish.value} is out of range: -{MAX_PRIORITY} to {MAX_PRIORITY}.")
            case "tag" | "untag":
                if not re.fullmatch(r"[\w.#@+/-]{1,60}", wish.value):
                    raise UsageError(f"Tag {wish.value!r}: a tag is one word of letters, digits and . _ - # @ + /.")
                line["value"] = wish.value
            case "note" | "promote":
                line["value"] = wish.value
        return run, line

    # -- what should happen ---------------------------------------------------------------------------------------

    def act(self, now: float, slots: Sequence[Slot]) -> list[Action]:
        """Decide starts and adoptions; sets place and reason of every waiting run."""
        actions: list[Action] = []
        for run_id in sorted(self.live):
            run = self.runs[run_id]
            if run.state == "orphaned" and run.exited is None and now - run.adopting > START_PATIENCE:
                run.adopting = now
                actions.append(Adopt(run_id))
        wants: list[Want] = []
        queue = sorted((self.runs[run_id] for run_id in self.waiting), key=_place)
        for place, run in enumerate(queue, 1):
            run.place = place
            if run.state == "held":
                run.reason = "held by you"
            elif why := self._waits_for(run):
                run.reason = why
            else:
                wants.append(Want(run.id, run.spec.gpus))
        cpu_busy = [run_id for run_id in sorted(self.live) if CPU in self.runs[run_id].devices]
        made = decide(wants, self._held(slots), self.cpu_slots, cpu_busy)
        for run_id, reason in made.reasons.items():
            self.runs[run_id].reason = reason
        actions += [Start(run_id, devices) for run_id, devices in made.starts]
        return actions

    def _held(self, slots: Sequence[Slot]) -> list[Slot]:
        holder = {device: run_id for run_id in self.live for device in self.runs[run_id].devices}
        return [
            slot if slot.uuid not in holder else Slot(slot.uuid, slot.label, slot.free, holder[slot.uuid])
            for slot in slots
        ]

    def _waits_for(self, run: Run) -> str:
        for run_id in run.spec.after:
            if run_id not in self.runs:
                return f"after {run_id}, which is gone; stop this one"
            last = self._last_attempt(run_id)
            if last.state == "ok":
                continue
            if last.state in ENDED:
                return f"after {last.id}, which {_told(last.state)}: retry that one or stop this one"
            if circle := self.circle(run.id):
                return f"waits in a circle: {' -> '.join(circle)}; stop one of them"
            return f"after {last.id}, which is {last.state}"
        return ""

    def _last_attempt(self, run_id: str) -> Run:
        base = run_id.split(".")[0]
        run = self.runs[run_id]
        number = 2
        while (later := self.runs.get(f"{base}.{number}")) is not None:
            run, number = later, number + 1
        return run


def _place(run: Run) -> tuple[int, int, int]:
    return order(run.priority, *_number(run.id))


def _number(run_id: str) -> tuple[int, int]:
    """Give number and attempt of an id; the first attempt is 1."""
    match = RUN_ID.match(run_id)
    return (int(match[2]), int(match[3] or 1)) if match else (0, 0)


def _time(line: Line | None) -> float:
    t = (line or {}).get("t")
    return float(t) if isinstance(t, int | float) else 0.0


def _past(kind: str) -> str:
    return "killed by you" if kind == "kill" else "stopped by you"


def _told(state: str) -> str:
    return {"failed": "failed", "stopped": "was stopped", "lost": "was lost"}.get(state, state)


def _signal(number: object) -> str:
    names: Mapping[object, str] = {1: "SIGHUP", 2: "SIGINT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
    return names.get(number, "see `kill -l`")
