"""What the folders of ended runs said when they were last read, in one file, so that a start need not read them again.

runs/.engine/ended.cache is a reading of the folders and nothing else: a run whose files are no longer the same is read
from its folder, and so is every run when the file is missing, damaged, or of another version of this program.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
from msgspec.structs import asdict, force_setattr, replace

from engine import folders, rundir
from engine.errors import WorkspaceError
from engine.estimate import Kind
from engine.live import Progress
from engine.records import ENDED, Spec
from engine.run import Run
from engine.stamps import FILES, Stamps, sign
from engine.state import World
from engine.workspace import Workspace

LONGEST = 64 << 10
"""Bytes of what is kept of one run; one with more to say is read from its folder."""
MOST = 1 << 30
"""Bytes of the whole file that are read: half a million runs."""
ALL = (*FILES, rundir.ADOPTED, rundir.LOG)
"""What one may rest on."""
READERS = ("cause", "ended", "estimate", "folders", "live", "records", "run", "rundir", "stamps", "state", "tail")
"""Modules that make of the same files what is kept: with another one of them nothing that was kept is believed."""
LIVING = {
    "place", "spawning", "adopting", "memory", "device_memory", "on_devices", "peak", "unseen",
    "prediction", "predicted", "turn", "want", "want_of", "expected", "kinds", "estimated", "whole", "sequel",
}  # fmt: skip
"""Fields of a run that are not read from its folder, or not asked for once it has ended."""
log = logging.getLogger("engine")


def _record(name: str, kind: type, left_out: Collection[str] = (), **instead: Any) -> Any:
    """Make the record of a dataclass: its fields, some of them left out, or of another type."""
    hints = {**get_type_hints(kind, localns={"Want": object}), **instead}
    made: list[Any] = []
    for one in fields(kind):
        if one.name in left_out or one.name.startswith("_"):
            continue
        if one.default is not MISSING:
            made.append((one.name, hints[one.name], one.default))
        else:
            made.append((one.name, hints[one.name]))
    return msgspec.defstruct(name, made, array_like=True, frozen=True, kw_only=True)


if TYPE_CHECKING:
    Far = Any  # made from the fields of Progress and of Run, which a type checker does not see
    Told = Any
else:
    Far = _record("Far", Progress, spark=list[float])
    Told = _record("Told", Run, LIVING, progress=Far)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One run, as its folder told it."""

    sign: bytes
    told: Told
    """Its spec less what lists do not need (`brief`)."""
    kinds: list[Kind]
    """What kinds of run it counts as, if it ended well."""


ALIKE = ("family", "cwd", "name", "preset", "user", "host", "python")
"""Texts of a spec that many have."""
_commands: dict[tuple[str, ...], tuple[str, ...]] = {}
_decode = msgspec.msgpack.Decoder(Kept).decode


def head() -> str:
    """Tell this program's reading of a folder from that of any other."""
    told = sha256(json.dumps([FILES, sys.version, msgspec.__version__]).encode())
    for name in READERS:
        with open(str(sys.modules[f"engine.{name}"].__file__), "rb") as source:
            told.update(source.read())
    return told.hexdigest()


def rests_on(spec: Spec, exited: Mapping[str, object]) -> tuple[str, ...]:
    """Name the files that the reading of a run rests on: of its log only the end of one that failed without a word."""
    told = (rundir.ADOPTED,) if spec.adopt or spec.imported else ()
    return (*FILES, *told, rundir.LOG) if exited.get("code") and "last" not in exited else (*FILES, *told)


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

    The file is a line with `head` and the digest of the rest, which is a list of `Kept` as MessagePack: one that is not
    exactly as it was written is not believed at all.
    """

    def __init__(self, workspace: Workspace, stamps: Stamps | None = None) -> None:
        """stamps: what tells how the files are, taken since the workspace was taken."""
        self.runs = str(workspace.runs)
        self.path = workspace.ended
        self._stamps = stamps
        self._signed: dict[str, bytes] = {}
        """Of each folder the signs of FILES, where a second process took them."""
        self._kept: dict[str, tuple[Kept, msgspec.Raw]] = {}
        """What was not asked for yet."""
        self._good: list[msgspec.Raw] = []
        """What still holds, for the next file."""
        self._fresh: list[msgspec.Raw] = []

    def open(self) -> None:
        """Read the file."""
        try:
            line, _, body = rundir.contents(self.path, limit=MOST).partition(b"\n")
            if line == _first_line(body):
                for raw in msgspec.msgpack.decode(body, type=list[msgspec.Raw]):
                    kept = _decode(raw)
                    self._kept[kept.told.brief.id] = kept, raw
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("%s is not used: %s", self.path, error)
            self._kept.clear()
        if self._stamps is not None:
            self._signed = self._stamps.take()

    def get(self, run_id: str) -> Kept | None:
        """Give what is known of a run, if its folder is still as it was then."""
        if (found := self._kept.get(run_id)) is None:
            return None
        kept, raw = found
        names, folder = rests_on(kept.told.brief, kept.told.exited or {}), f"{self.runs}/{run_id}"
        files = self._signed.get(run_id) or b"".join(sign(folder))
        if files + b"".join(sign(folder, names[len(FILES) :])) != kept.sign:
            return None
        del self._kept[run_id]
        self._good.append(raw)
        return kept

    def put(self, run: Run, signed: Sequence[bytes]) -> None:
        """Take in a run that was just read from its folder. signed: the folder's files before that, see `sign`.

        Only one that has told its end: of any other a later look at its locks may say something else.
        """
        if run.state not in ENDED or run.exited is None:
            return
        run.progress.settle()
        spec = brief(run.spec)
        far = Far(**{**_part(run.progress, Far), "spark": list(run.progress.spark)})
        told = Told(**{**_part(run, Told), "brief": spec, "progress": far})
        names = rests_on(spec, run.exited)
        known = dict(zip(ALL, signed, strict=True))
        kept = Kept(b"".join(known[name] for name in names), told, [*(run.kinds or ())] if run.took > 0 else [])
        try:
            data = msgspec.msgpack.encode(_short(kept))
            same = _decode(data) == kept
        except (msgspec.MsgspecError, OverflowError, TypeError, ValueError, RecursionError):
            return  # something in it that MessagePack can't hold
        if same and len(data) <= LONGEST:
            self._fresh.append(msgspec.Raw(data))

    def close(self) -> None:
        """Write the file if it would be another; that it can't be is told and costs the next start some time."""
        try:
            for left in self.path.parent.glob(f"{self.path.name}.*.new"):
                left.unlink()  # by an engine that was killed over it; this one has the workspace to itself
            if self._fresh or self._kept:
                body = msgspec.msgpack.encode([*self._good, *self._fresh])
                rundir.write_new(self.path, _first_line(body) + b"\n" + body)
        except OSError as error:
            log.warning("%s is not written: %s", self.path, error.strerror)
        self._kept, self._good, self._fresh, self._signed = {}, [], [], {}


def _first_line(body: bytes) -> bytes:
    return f"{head()} {sha256(body).hexdigest()}".encode()


def _part(source: object, record: Any) -> dict[str, Any]:
    return {name: getattr(source, name) for name in record.__struct_fields__}


def _short(kept: Kept) -> list[object]:
    """Give what is written of a record: its spec less what is as usual there, which is most of it."""
    told, usual = _part(kept.told, Told), _usual()
    told["brief"] = {name: value for name, value in asdict(kept.told.brief).items() if value != usual[name]}
    return [kept.sign, [*told.values()], kept.kinds]


@cache
def _usual() -> Mapping[str, object]:
    return {
        one.name: one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
        for one in msgspec.structs.fields(Spec)
    }


def restore(world: World, kept: Kept, folder: str) -> Run:
    """Let the world know an ended run as its folder told of it."""
    told = asdict(kept.told)
    far = asdict(told["progress"])
    far["spark"] = tuple(far["spark"])
    told["progress"] = Progress(**far)
    run = Run(**told, whole=partial(whole, folder))
    _share(run.brief)
    world.known(run, kept.kinds)
    return run


def _share(spec: Spec) -> None:
    """Let the texts of a spec that nobody else has yet be those of the specs before it, where they are the same."""
    for name in ALIKE:
        if text := getattr(spec, name):
            force_setattr(spec, name, sys.intern(text))
    force_setattr(spec, "command", _commands.setdefault(spec.command, spec.command))


def lighten(run: Run, folder: str) -> None:
    """Keep of an ended run what lists need; the rest is read when it is asked for."""
    run.brief, run.whole, run.kinds = brief(run.spec), partial(whole, folder), None
    run.progress.settle()
