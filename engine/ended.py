"""What the folders of ended runs said when they were last read, in one file, so that a start need not read them again.

runs/.engine/ended.cache is a reading of the folders and nothing else: a run whose files are no longer the same is read
from its folder, and so is every run when the file is missing, damaged, or of another version of this program.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import MISSING, fields
from functools import partial
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO, get_type_hints

import msgspec
from msgspec.structs import asdict, replace

from engine import folders, rundir
from engine.errors import WorkspaceError
from engine.estimate import Kind
from engine.live import Progress
from engine.records import ENDED, Spec
from engine.run import Run, Seen
from engine.state import World
from engine.workspace import Workspace

VERSION = 2
"""Grows when the same lines of a folder come to mean something else."""
LONGEST = 64 << 10
"""Bytes of one run's line; one with more to say is read from its folder."""
FILES = (
    rundir.SPEC, rundir.ORDERS, rundir.LIFECYCLE, rundir.EVENTS, rundir.METRICS, rundir.ADOPTED, rundir.LOG,
)  # fmt: skip
"""What a reading rests on."""
log = logging.getLogger("engine")


def _far() -> Any:
    """Make the record of a Progress: its fields, less those that only a living run needs."""
    hints = {**get_type_hints(Progress), "spark": list[float]}
    made = []
    for one in fields(Progress):
        if not one.name.startswith("_"):
            made.append((one.name, hints[one.name], [] if one.default is MISSING else one.default))
    return msgspec.defstruct("Far", made, omit_defaults=True)


if TYPE_CHECKING:
    Far = Any  # made from the fields of Progress, which a type checker does not see
else:
    Far = _far()


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One run, as its folder told it."""

    sign: tuple[int, ...]
    spec: Spec
    """Less what lists do not need (`brief`)."""
    orders: list[dict[str, object]]
    lifecycle: list[dict[str, object]]
    progress: Far
    kinds: list[Kind] | None
    gpu: bool
    last_words: str


ALIKE = ("family", "cwd", "name", "preset", "user", "host", "python")
"""Texts of a spec that many have."""
_commands: dict[tuple[str, ...], tuple[str, ...]] = {}
_decode = msgspec.json.Decoder(Kept).decode


def head() -> bytes:
    """The file's first line: what was written by a program with other records is not taken for ours."""
    shape = [VERSION, FILES, [(kind.__name__, kind.__struct_fields__) for kind in (Kept, Far, Spec)]]
    return sha256(json.dumps(shape).encode()).hexdigest().encode()


def sign(folder: str) -> tuple[int, ...]:
    """Give inode, size and time of change of each file that a reading rests on; zeros for one that is not there."""
    found: list[int] = []
    for name in FILES:
        try:
            told = os.lstat(f"{folder}/{name}")
        except OSError:
            found += (0, 0, 0)
        else:
            found += (told.st_ino, told.st_size, told.st_mtime_ns) if S_ISREG(told.st_mode) else (told.st_ino, -1, 0)
    return tuple(found)


def brief(spec: Spec) -> Spec:
    """Give a spec without what is large and only asked for when a run is looked at by itself or repeated."""
    return replace(spec, config={}, env={}, env_withheld=(), packages={})


def whole(path: str) -> Spec:
    """Read a run's spec. Raises WorkspaceError if it is gone or damaged since the engine came up."""
    folder = Path(path)
    if (read := folders.load(folder)) is None:
        raise WorkspaceError(f"{folder.name}: its spec.json is gone or damaged since the engine read it: {folder}.")
    return read[0]


class Shelf:
    """One per daemon: opened when it comes up, written anew once it is up, if there is news.

    A line is a run's id, a tab, and its `Kept` as JSON; only where each line lies is held in memory.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.runs = str(workspace.runs)
        self.path = workspace.private / "ended.cache"
        self._file: BinaryIO | None = None
        self._places: dict[str, tuple[int, int]] = {}
        """Where the lines lie that were not asked for yet, and how long they are."""
        self._good: list[tuple[int, int]] = []
        """Those that still hold, for the next file."""
        self._fresh: list[bytes] = []

    def open(self) -> None:
        """Find the lines of the file."""
        try:
            self._file = file = open(rundir.open_plain(self.path), "rb")  # noqa: SIM115 - it stays open while the folders are read
            line = file.readline(200)
            if line.rstrip(b"\n") != head():
                return
            at = len(line)
            while line := file.readline(LONGEST):
                self._places[line.partition(b"\t")[0].decode(errors="replace")] = at, len(line)
                at += len(line)
        except OSError:
            self._places.clear()

    def get(self, run_id: str) -> Kept | None:
        """Give what is known of a run, if its folder is still as it was then."""
        if (place := self._places.get(run_id)) is None or self._file is None:
            return None
        try:
            kept = _decode(os.pread(self._file.fileno(), place[1], place[0]).partition(b"\t")[2])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if kept.spec.id != run_id or sign(f"{self.runs}/{run_id}") != kept.sign:
            return None
        self._good.append(place)
        del self._places[run_id]
        return kept

    def put(self, run: Run, signed: tuple[int, ...], orders: list[rundir.Line], seen: Seen) -> None:
        """Take in a run that was just read from its folder. signed: the folder's files before that.

        Only one that has told its end: of any other a later look at its locks may say something else.
        """
        if run.state not in ENDED or run.exited is None:
            return
        run.progress.settle()
        far = {name: getattr(run.progress, name) for name in Far.__struct_fields__}
        far["spark"] = list(run.progress.spark)
        kept = Kept(
            signed, brief(run.spec), orders, list(map(dict, seen.lifecycle)), Far(**far),
            list(run.kinds) if run.kinds is not None else None, run.estimated[1], run.last_words,
        )  # fmt: skip
        try:
            told = msgspec.json.encode(kept)
            _decode(told)
        except (msgspec.MsgspecError, OverflowError, TypeError, ValueError, RecursionError):
            return  # something in it that JSON can't hold, or not as the same
        line = run.id.encode() + b"\t" + told + b"\n"
        if len(line) <= LONGEST:
            self._fresh.append(line)

    def close(self) -> None:
        """Write the file if it would be another; that it can't be is told and costs the next start some time."""
        old, self._file = self._file, None
        try:
            if self._fresh or self._places:
                held = (os.pread(old.fileno(), size, at) for at, size in self._good) if old is not None else ()
                rundir.write_new(self.path, b"".join((head(), b"\n", *held, *self._fresh)))
        except OSError as error:
            log.warning("%s is not written: %s", self.path, error.strerror)
        finally:
            if old is not None:
                old.close()
        self._places, self._good, self._fresh = {}, [], []


def restore(world: World, kept: Kept, folder: str, now: float) -> Run:
    """Let the world find an ended run as its folder told of it."""
    run = world.found(_shared(kept.spec), kept.orders)
    told = asdict(kept.progress)
    run.progress = Progress(**{**told, "spark": tuple(told["spark"])})
    run.kinds, run.estimated, run.last_words = kept.kinds, (-1, kept.gpu), kept.last_words
    run.whole = partial(whole, folder)
    world.seen(run.id, Seen([_once(line) for line in kept.lifecycle]), now)
    run.kinds = None
    return run


def _shared(spec: Spec) -> Spec:
    """Give a spec whose texts are those of the specs before it, where they are the same."""
    texts = {name: sys.intern(getattr(spec, name)) for name in ALIKE}
    return replace(spec, command=_commands.setdefault(spec.command, spec.command), **texts)


def _once(line: dict[str, object]) -> dict[str, object]:
    return {name: sys.intern(value) if isinstance(value, str) else value for name, value in line.items()}


def lighten(run: Run, folder: str) -> None:
    """Keep of an ended run what lists need; the rest is read when it is asked for."""
    run.brief, run.whole, run.kinds = brief(run.spec), partial(whole, folder), None
    run.progress.settle()
