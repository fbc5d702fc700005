"""Run folders as the engine makes and finds them: created whole or not at all, read whatever their state."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine import rundir
from engine.adopter import Adopter
from engine.curve import SPARK, Curve
from engine.errors import UsageError, WorkspaceError
from engine.ids import RUN_ID
from engine.live import Progress, loss_in
from engine.records import Spec, decode_spec, encode
from engine.run import Seen
from engine.tail import Tail, last_line, lines_of
from engine.workspace import Workspace

RECENT = 64 << 10
"""Bytes of metrics.jsonl from its end that a restart reads: enough for the last numbers, whatever the run's length."""
EVENTS_RECENT = 1 << 20
GLIMPSES, GLIMPSE = SPARK // 2, 2048
"""Pieces of what is older, of so many bytes, from which a restart knows the way of the loss."""
LOOKS = 16
"""Chunks of a run's lines that are read in one go before what is older is left out of the lists."""


def create(workspace: Workspace, spec: Spec, patch: str) -> None:
    """Make the folder of a new run beside and rename it. Raises WorkspaceError and leaves nothing if it can't."""
    final, beside = workspace.run(spec.id), workspace.runs / f".new-{spec.id}"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        if patch:
            rundir.write_new(beside / rundir.PATCH, patch.encode(errors="surrogateescape"))
        rundir.write_new(beside / rundir.SPEC, msgspec.json.format(encode(spec), indent=1))
        os.rename(beside, final)
        _sync(workspace.runs)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise WorkspaceError(
            f"{spec.id} was not queued: {workspace.runs} can't be written ({error.strerror}). "
            "Free some space or make it writable, then submit again."
        ) from None


def bring(workspace: Workspace, beside: Path, spec: Spec) -> None:
    """Give a run that was put together in runs/.new-NAME its spec and its name. Raises UsageError, WorkspaceError.

    Only one that has begun and ended: any other would be started.
    """
    if beside.parent != workspace.runs or not re.fullmatch(r"\.new-[\w.-]{1,80}", beside.name) or beside.is_symlink():
        raise UsageError(f"{beside} is no folder of a run that is brought in.")
    check_ended(beside)
    try:
        rundir.write_new(beside / rundir.SPEC, msgspec.json.format(encode(spec), indent=1))
        os.rename(beside, workspace.run(spec.id))
        _sync(workspace.runs)
    except OSError as error:
        raise WorkspaceError(
            f"{spec.id} was not brought in: {workspace.runs} can't be written ({error.strerror})."
        ) from None


def check_ended(folder: Path) -> None:
    """Raise UsageError unless this tells of a run that has begun and ended."""
    told = {line.get("event") for line in rundir.read(folder / rundir.LIFECYCLE)}
    if not {"started", "exited"} <= told:
        raise UsageError("Only a run that has ended can be brought in: its lifecycle.jsonl tells of no end.")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def scan(workspace: Workspace) -> Iterator[str]:
    """Give the ids of all run folders. A name that is no id, a link or a file is not a run."""
    with os.scandir(workspace.runs) as entries:
        for entry in entries:
            if RUN_ID.match(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name


def load(folder: Path) -> tuple[Spec, list[rundir.Line]] | None:
    """Read spec and orders of a run; None if its spec.json is missing, not a plain file, or not a spec."""
    try:
        spec = decode_spec(rundir.contents(f"{folder}/{rundir.SPEC}"))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if spec.id != folder.name:
        return None  # a copied folder must not answer for another run
    return spec, rundir.read(f"{folder}/{rundir.ORDERS}")


def look(folder: Path) -> Seen:
    """Read lifecycle and probe both locks, as they are together at one moment.

    The lifecycle is read before the probes, and all again if it has grown after them: a run that begins or ends
    meanwhile would else look lost. Where the locks disagree the trainer's is probed once more for the same reason.
    """
    told, *locks = (f"{folder}/{name}" for name in (rundir.LIFECYCLE, rundir.TRAINER_LOCK, rundir.SUPERVISOR_LOCK))
    while True:
        before = _size(told)
        lifecycle = rundir.read(told)
        trainer, supervisor = map(rundir.held, locks)
        if trainer != supervisor:
            trainer = rundir.held(locks[0])
        if _size(told) == before:
            return Seen(lifecycle, supervisor, trainer)


def _size(path: str) -> int:
    """Bytes of a file; -1 if there is none."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


class Follower:
    """The tails of one run's own files, and the end of its log; of foreign sources too, once it has begun."""

    def __init__(self, folder: Path, spec: Spec) -> None:
        self.folder = folder
        self.spec = spec
        self.adopter: Adopter | None = None
        self.adopted = Tail(f"{folder}/{rundir.ADOPTED}", last=RECENT) if spec.adopt or spec.imported else None
        self.metrics = Tail(f"{folder}/{rundir.METRICS}", last=RECENT)
        self.events = Tail(f"{folder}/{rundir.EVENTS}", last=EVENTS_RECENT)
        self._older = next((tail for tail in (self.metrics, self.adopted) if tail and tail.offset), None)
        """What begins with its end, until that has been read."""
        self._lifecycle = Tail(f"{folder}/{rundir.LIFECYCLE}")
        self._lock = rundir.Probe(f"{folder}/{rundir.SUPERVISOR_LOCK}")
        self._size = -1
        """Of the lifecycle, as it was before the last look."""

    def look(self) -> Seen:
        """Look at the folder as a whole."""
        self._size = self._lifecycle.size()
        return look(self.folder)

    def goes_on(self) -> bool:
        """Tell whether nothing was told of the run since the last look and its supervisor is there to tell of it."""
        return self._lifecycle.size() == self._size and self._lock.held()

    def close(self) -> None:
        """Let go of what is open."""
        self._lock.close()

    def read(self) -> tuple[list[rundir.Line], list[rundir.Line]]:
        """Give the new lines of metrics and of events."""
        metrics, events = self.metrics.read(), self.events.read()
        for line in self.adopted.read() if self.adopted is not None else ():
            (events if "event" in line else metrics).append(line)
        return metrics, events

    def take_in(self, progress: Progress) -> bool:
        """Let a progress know the new lines; tells whether there were any."""
        older, self._older = self._older, None
        if older is not None and not progress.spark:
            progress.spark = sketch(older)
        any_news = False
        for _ in range(LOOKS):
            metrics, events = self.read()
            for line in metrics:
                progress.metrics(line)
            for line in events:
                progress.event(line)
            any_news = any_news or bool(metrics or events)
            if not self.behind:
                return any_news
        self.skip()
        return any_news

    def adopt(self, moment: float = 0.03, *, ended: bool = False) -> bool:
        """Take in what the run's foreign sources have told, for about so many seconds; tells whether that was all.

        ended: they will tell no more of it, which is written down once everything is read.
        """
        if not self.spec.adopt or rundir.read_last(self.folder / rundir.ADOPTED, 200)[-1:] == [rundir.ADOPTED_WHOLE]:
            return True
        if self.adopter is None:
            self.adopter = Adopter(self.folder, self.spec)
        self.adopter.pull(moment)
        if ended and not self.adopter.behind:
            self.adopter.end()
        return not self.adopter.behind

    def skip(self) -> None:
        """Leave out what is older than a restart would read: a run may write faster than anybody can follow."""
        self.metrics.skip(RECENT)
        self.events.skip(EVENTS_RECENT)

    @property
    def behind(self) -> bool:
        return self.metrics.behind or self.events.behind or (self.adopted is not None and self.adopted.behind)

    def last_words(self) -> str:
        return last_line(self.folder / rundir.LOG)


def sketch(tail: Tail) -> Curve:
    """The way of the loss through what lies before a tail's offset, from glimpses of it."""
    seen = [piece for piece in tail.glimpses(GLIMPSES, GLIMPSE) if piece]
    losses = [[loss for line in lines_of(piece) if (loss := loss_in(line)) is not None] for piece in seen]
    if not any(losses):
        return Curve()
    before = tail.offset * sum(map(len, losses)) / sum(map(len, seen))
    means = [sum(found) / len(found) for found in losses if found]
    return Curve(means, max(1, round(before / len(means))))
