"""The engine's whole mind: all runs of a workspace, folded into orders and starts. Pure: no I/O.

`World` takes facts in (`found`, `seen`), answers wishes (`order`) and says what should happen (`act`). The
daemon turns files, sockets and timers into the former and the latter into effects. Times are handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from engine import claims, ids, limits, naming, reasons, turns, when
from engine.errors import BadDependency, UnknownRun, UsageError
from engine.estimate import Durations, Kind, kinds, share_left
from engine.memory import Peaks
from engine.messages import Order, QueueOrder
from engine.records import ENDED, LIVE, WAITING, Spec
from engine.run import START_PATIENCE, Line, Run, Seen
from engine.schedule import CPU, Slot, Want, decide

MAX_PRIORITY = 1000


class Start(NamedTuple):
    """Append a start order and spawn a supervisor."""

    run: str
    devices: tuple[str, ...]
    claim: int | None = None
    """Bytes of its device, when it shares it."""
    why: str = "its turn"


class Adopt(NamedTuple):
    """Spawn a supervisor for a run that lost its own."""

    run: str


Action = Start | Adopt


class World:
    """All runs of a workspace, and what should happen next."""

    def __init__(self, cpu_slots: int, boot: float = 0.0, boot_id: str = "") -> None:
        self.cpu_slots = cpu_slots
        self.boot = boot
        """When the machine came up, unix seconds."""
        self.boot_id = boot_id
        """The kernel's name for the time since then; the run's own tells a power cut though the clock was set."""
        self.runs: dict[str, Run] = {}
        self.attempts: dict[str, tuple[str, ...]] = {}
        """Of each run all attempts that were ever found, by the id they share."""
        self.states: dict[str, str] = {}
        """The state of each run, for counting."""
        self.waiting: set[str] = set()
        self.live: set[str] = set()
        self.bound: set[str] = set()
        """Those that wait and may have to wait for other runs, or for a time."""
        self.line: list[Run] = []
        """The queue as it was in the last round: nearly in order."""
        self.stirred = False
        """Other runs may wait now."""
        self.moved: set[str] = set()
        """Runs whose place or reason the last rounds changed; whoever tells of them empties it."""
        self.durations = Durations()
        self.paused: float | None = None
        """Since when nothing is started, by order."""
        self.limits: dict[str, int] = {}
        """How many runs of a family or with a tag may live at a time."""
        self.peaks = Peaks()
        self.elsewhere: dict[str, str] = {}
        """Devices that another engine on this box holds, and how to say it."""

    # -- facts ----------------------------------------------------------------------------------------------------

    def found(self, spec: Spec, orders: Iterable[Line] = ()) -> Run:
        """Take in a run folder: new, or read again after a restart."""
        run = Run(spec, priority=spec.priority, tags=spec.tags, note=spec.note, since=spec.submitted)
        for line in orders:
            run.take_order(line)
        self._enter(run)
        self.file(run)
        return run

    def known(self, run: Run, of: Sequence[Kind]) -> None:
        """Take in an ended run as its folder told of it before. of: the kinds of one that ended well."""
        self._enter(run)
        self.states[run.brief.id] = run.state
        if of:
            self.durations.add(run.brief, run.took, CPU not in run.devices, of)

    def _enter(self, run: Run) -> None:
        run_id, self.stirred = run.brief.id, True
        self.runs[run_id] = run
        base = ids.base(run_id)
        known = self.attempts.get(base, ())
        if run_id not in known:
            self.attempts[run_id if base == run_id else base] = (*known, run_id)

    def seen(self, run_id: str, seen: Seen, now: float) -> bool:
        """Take in a look at a folder; tells whether the run's state changed."""
        run = self.runs[run_id]
        before = run.state, run.reason
        run.derive(seen, now, self.boot, self.boot_id)
        self.file(run)
        if before[0] != "ok" and (took := run.took) > 0:
            gpu = CPU not in run.devices
            self.durations.add(run.brief, took, gpu, self._kinds(run, gpu))
        return (run.state, run.reason) != before

    def expect(self, run: Run, gpu: bool) -> None:
        """Set how long runs like this one took, as far as finished ones tell."""
        if run.estimated == (self.durations.count, gpu):
            return
        before = self.runs.get(run.spec.resume_from or "")
        share = share_left(before.progress.step, before.progress.steps) if before else 1.0
        run.expected = self.durations.predict(self._kinds(run, gpu), share)
        run.estimated = self.durations.count, gpu

    def _kinds(self, run: Run, gpu: bool) -> Sequence[Kind]:
        if run.kinds is None or run.estimated[1] != gpu:
            run.kinds = kinds(run.spec, gpu)  # hashed once: a thousand would be 50 ms each time a run ends
            run.estimated = -1, gpu
        return run.kinds

    def file(self, run: Run) -> None:
        """Put a run among those that wait or live, as its state is."""
        self.states[run.id] = run.state
        self.stirred = self.stirred or (run.id in self.waiting) != (run.state in WAITING)
        self.waiting.discard(run.id)
        self.live.discard(run.id)
        self.bound.discard(run.id)
        if run.state in WAITING:
            self.waiting.add(run.id)
            if turns.is_bound(run):
                self.bound.add(run.id)
        elif run.state in LIVE:
            self.live.add(run.id)

    # -- wishes ---------------------------------------------------------------------------------------------------

    def find(self, word: str) -> Run:
        """Find a run by its id, its number, its name, or a beginning that fits one only. Raises UnknownRun."""
        return naming.find(self.runs, word)

    def new_id(self, family: str) -> str:
        """Give the next id: the number is unique in the workspace, whatever the family."""
        return f"{family}-{max(map(ids.number, self.runs), default=(0, 0))[0] + 1:04d}"

    def next_attempt(self, run_id: str) -> str:
        """Give the id of the next attempt: toto-0007.2 after toto-0007."""
        base = ids.base(run_id)
        last = max(ids.number(key)[1] for key in self.runs if ids.base(key) == base)
        return f"{base}.{last + 1}"

    def check_after(self, after: Sequence[str], option: str = "--after") -> tuple[str, ...]:
        """Turn what was typed behind --after into ids. Raises BadDependency for an unknown run or a circle."""
        found = []
        circles = turns.circles(self.runs, self.waiting, self.bound) if after else {}
        for word in after:
            try:
                run = self.find(word)
            except UnknownRun as error:
                raise BadDependency(f"{option} {word}: {error}") from None
            if circle := circles.get(run.id):
                raise BadDependency(f"{option} {word}: it waits in a circle: {' -> '.join(circle)}. Stop one of these.")
            found.append(run.id)
        return tuple(found)

    def order(self, wish: Order) -> tuple[Run, dict[str, object]]:
        """Check a wish and give the line to append. Raises UsageError if it makes no sense for that run's state."""
        run = self.find(wish.run)
        line: dict[str, object] = {"order": wish.order, "why": wish.why}
        match wish.order:
            case "stop" | "kill":
                if run.state in ENDED:
                    last = self.last_attempt(run.id)
                    hint = f" Its attempt {last.id} is {last.state}." if last.state not in ENDED else ""
                    raise UsageError(f"{run.id} has ended already ({run.state}).{hint}")
            case "hold" | "release":
                if run.state not in WAITING:
                    raise UsageError(f"{run.id} is {run.state}: only a waiting run can be held or released.")
            case "pause":
                if run.state not in ("starting", "running") or run.pause[1]:
                    raise UsageError(f"{run.id} is {run.state}: only a running run can be paused.{_instead(run)}")
            case "resume":
                if run.state not in ("starting", "running", "paused") or not run.pause[1]:
                    raise UsageError(f"{run.id} is {run.state}: only a paused run can go on.{_instead(run)}")
            case "priority":
                try:
                    line["value"] = int(wish.value)
                except ValueError:
                    raise UsageError(f"Priority {wish.value!r} is not a whole number.") from None
                if abs(int(wish.value)) > MAX_PRIORITY:
                    raise UsageError(f"Priority {wish.value} is out of range: -{MAX_PRIORITY} to {MAX_PRIORITY}.")
            case "move":
                if run.state not in WAITING:
                    raise UsageError(f"{run.id} is {run.state}: only a waiting run has a place to move from.")
                if wish.value not in turns.WAYS:
                    raise UsageError(f"No way {wish.value!r} to move: {', '.join(turns.WAYS)}.")
                line["value"] = wish.value
                line["priority"], line["rank"] = turns.moved(self.queue(), run, wish.value)
            case "tag" | "untag":
                if wish.order == "tag" and not limits.is_tag(wish.value):
                    raise UsageError(f"Tag {wish.value!r}: a tag is {limits.TAG}.")
                line["value"] = wish.value
            case "archive" | "unarchive":
                if run.state not in ENDED:
                    raise UsageError(f"{run.id} is {run.state}: only an ended run can be archived.")
            case "begin" | "limit":
                if run.state not in WAITING:
                    raise UsageError(f"{run.id} is {run.state}: only of a waiting run it can be changed.")
                line["value"] = _seconds(wish)
            case "note" | "promote" | "gc":
                line["value"] = wish.value
        return run, line

    def order_queue(self, wish: QueueOrder) -> dict[str, object]:
        """Check a wish for the whole queue and give the line to append. Raises UsageError if it is so already."""
        if wish.order == "limit":
            return {**limits.order(wish.group, wish.most, self.limits), "why": wish.why}
        if (wish.order == "pause") == (self.paused is not None):
            raise UsageError("The queue is paused already." if self.paused is not None else "The queue is not paused.")
        return {"order": wish.order, "why": wish.why}

    def take_queue(self, line: Line) -> None:
        """Fold one line of queue.jsonl; what is not understood is passed over."""
        limits.take(line, self.limits)
        kind, t = line.get("order"), line.get("t")
        if kind in ("pause", "resume") and isinstance(t, int | float):
            self.paused = float(t) if kind == "pause" else None

    def told_queue(self, now: float) -> str:
        """Say how the queue as a whole is."""
        count = len(self.waiting)
        waiting = f"{count} wait{'s' if count == 1 else ''}" if count else "nothing waits"
        if self.paused is None:
            return f"the queue goes on; {waiting}"
        return f"the queue is paused since {when.clock(self.paused, now)}; {waiting}, {len(self.live)} live"

    # -- what should happen ---------------------------------------------------------------------------------------

    def act(self, now: float, slots: Sequence[Slot]) -> list[Action]:
        """Decide starts and adoptions; sets place and reason of every waiting run."""
        actions: list[Action] = []
        live = [self.runs[run_id] for run_id in sorted(self.live)]
        for run in live:
            self.expect(run, CPU not in run.devices)
            if run.state == "orphaned" and run.exited is None and abs(now - run.adopting) > START_PATIENCE:
                run.adopting = now
                actions.append(Adopt(run.id))
        ready: list[Run] = []
        said: dict[str, str] = {}
        queue = self.queue()
        bound = self.bound
        circles = turns.circles(self.runs, self.waiting, bound) if bound else {}
        paused = f"the queue is paused since {when.clock(self.paused, now)}" if self.paused is not None else ""
        on_cpu, on_any = (self.durations.count, False), (self.durations.count, bool(slots))
        for place, run in enumerate(queue, 1):
            asked = run.brief
            if run.place != place:
                run.place = place
                self.moved.add(asked.id)
            if run.estimated != (known := on_cpu if asked.gpus == 0 else on_any):
                self.expect(run, known[1])
            if run.state == "held":
                said[asked.id] = f"held by you since {when.clock(run.held_at, now)}"
            elif circles and (circle := circles.get(asked.id)):
                said[asked.id] = f"waits in a circle: {' -> '.join(circle)}; stop one of them"
            elif bound and asked.id in bound and (why := turns.waits_for(run, now, self.runs, self.last_attempt)):
                said[asked.id] = why
            elif paused:
                said[asked.id] = paused
            else:
                ready.append(run)
        if ready:  # else nothing can start, and a hundred live runs need not be put on their devices each second
            cpu_busy = [run.id for run in live if CPU in run.devices]
            free = claims.occupied(slots, live, self.elsewhere)
            running = claims.running(live, self.limits)
            wants = claims.wants(ready, self.peaks)
            made = decide(wants, free, self.cpu_slots, cpu_busy, now=now, limits=self.limits, running=running)
            by_id = {want.id: want for want in wants} if made.starts else {}
            actions += [self._start(by_id[run_id], devices) for run_id, devices in made.starts]
            said |= made.reasons
        for run_id, reason in said.items():
            run = self.runs[run_id]
            if run.reason != reason:
                run.reason = reason
                self.moved.add(run_id)
        return actions

    def running(self) -> dict[str, list[str]]:
        """Give the live runs of each group that is limited."""
        return claims.running((self.runs[run_id] for run_id in sorted(self.live)), self.limits)

    def _start(self, want: Want, devices: tuple[str, ...]) -> Start:
        if not want.share or want.memory is None or devices == (CPU,):
            return Start(want.id, devices)
        prediction = self.runs[want.id].prediction
        how = f"{prediction}" if prediction and not want.given else reasons.given(want.memory)
        return Start(want.id, devices, want.memory, f"its turn; may share its GPU, {how}")

    def queue(self) -> list[Run]:
        """Give the runs that wait, in the order of the queue."""
        if self.stirred or len(self.line) != len(self.waiting):
            self.line = [self.runs[run_id] for run_id in self.waiting]
            self.stirred = False
        for run in self.line:
            if run.turn is None:
                run.turn = turns.place(run)
        self.line.sort(key=_turn)  # hardly any work where they are in order
        return [*self.line]

    def lineage(self, run_id: str) -> list[str]:
        """Give the attempts at a run that there are, the first first."""
        known = self.attempts.get(ids.base(run_id), ())
        return sorted((other for other in known if other in self.runs), key=ids.number) if len(known) > 1 else [run_id]

    def last_attempt(self, run_id: str) -> Run:
        base = ids.base(run_id)
        run = self.runs[run_id]
        number = 2
        while (later := self.runs.get(f"{base}.{number}")) is not None:
            run, number = later, number + 1
        return run


_turn = attrgetter("turn")


def _seconds(wish: Order) -> float | None:
    """Read the value of an order that is a time or a duration; None for an empty one. Raises UsageError."""
    try:
        value = float(wish.value) if wish.value else None
    except ValueError:
        value = 0.0
    if value is not None and not 0 < value < 1e12:
        raise UsageError(f"{wish.order} {wish.value!r} is no number of seconds above 0.")
    return value


def _instead(run: Run) -> str:
    """What a person may mean who pauses or resumes a run that waits."""
    return " `engine hold` and `engine release` are for waiting ones." if run.state in WAITING else ""
