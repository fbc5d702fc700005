"""What the folder of an ended run said when it was last read, so that a start need not read it again (engine.shelf)."""

from __future__ import annotations

import json
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
from engine.stamps import FILES, sign
from engine.state import World

LONGEST = 64 << 10
"""Bytes of what is kept of one run; one with more to say is read from its folder."""
ALL = (*FILES, rundir.ADOPTED, rundir.LOG)
"""What one may rest on."""
READERS = (
    "cause", "curve", "ended", "estimate", "folders", "live", "records", "run", "rundir", "stamps", "state", "tail"
)  # fmt: skip
"""Modules that make of the same files what is kept: with another one of them nothing that was kept is believed."""
LIVING = {
    "place", "spawning", "adopting", "memory", "device_memory", "on_devices", "peak", "unseen",
    "prediction", "predicted", "turn", "want", "want_of", "expected", "kinds", "estimated", "whole", "sequel",
}  # fmt: skip
"""Fields of a run that are not read from its folder, or not asked for once it has ended."""


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
decode = msgspec.msgpack.Decoder(Kept).decode
decode_all = msgspec.msgpack.Decoder(list[Kept]).decode


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
    return (*FILES, *told, rundir.LOG) if wordless(exited) else (*FILES, *told)


def wordless(exited: Mapping[str, object]) -> bool:
    """Whether a run failed and its supervisor did not note the last line of its log."""
    return bool(exited.get("code")) and "last" not in exited


def brief(spec: Spec) -> Spec:
    """Give a spec without what is large and only asked for when a run is looked at by itself or repeated."""
    return replace(spec, config={}, env={}, env_withheld=(), packages={})


def whole(path: str) -> Spec:
    """Read a run's spec. Raises WorkspaceError if it is gone or damaged since the engine came up."""
    folder = Path(path)
    if (read := folders.load(folder)) is None:
        raise WorkspaceError(f"{folder.name}: its spec.json is gone or damaged since the engine read it: {folder}.")
    return read[0]


def encode(run: Run, signed: Sequence[bytes]) -> bytes | None:
    """Give what is kept of a run that was just read from its folder. signed: the folder's files before that (ALL).

    None for one that has not told its end, of which a later look at its locks may say something else, and for one that
    MessagePack can't hold.
    """
    if run.state not in ENDED or run.exited is None:
        return None
    run.progress.settle()
    spec = brief(run.spec)
    far = Far(**{**_part(run.progress, Far), "spark": list(run.progress.spark)})
    told = Told(**{**_part(run, Told), "brief": spec, "progress": far})
    known = dict(zip(ALL, signed, strict=True))
    signs = b"".join(known[name] for name in rests_on(spec, run.exited))
    kept = Kept(signs, told, [*(run.kinds or ())] if run.took > 0 else [])
    try:
        data = again(kept)
        return data if len(data) <= LONGEST and decode(data) == kept else None
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError, RecursionError):
        return None


def again(kept: Kept) -> bytes:
    """Encode what was decoded."""
    return msgspec.msgpack.encode(_short(kept))


def reread(folder: Path, world: World, now: float) -> tuple[Run, list[bytes]] | None:
    """Read an ended run as a start would, beside the world that knows it; None if that is no run any more."""
    signed = sign(str(folder), ALL)
    if (read := folders.load(folder)) is None:
        return None
    beside = World(1, world.boot, world.boot_id)
    run = beside.found(*read)
    follower = folders.Follower(folder, run.brief)
    follower.take_in(run.progress)
    beside.seen(run.id, folders.look(folder), now)
    hear(beside, run, follower, now)
    follower.close()
    return run, signed


def hear(world: World, run: Run, follower: folders.Follower, now: float) -> None:
    """Let the world know the last line of a log, where that is all there is of a run's last words."""
    if run.exited is not None and wordless(run.exited) and not run.last_words:
        run.last_words = follower.last_words()
        world.seen(run.id, folders.look(follower.folder), now)


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
