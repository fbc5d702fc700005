"""A run as one file: a plain tar of its folder with a checksum of each file at its end; and back again.

What looks like a secret does not travel. Nothing in such a file is trusted: names, kinds, sizes and checksums are held
against each other while it is read, beside the other runs, and only a whole one is taken in.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

import msgspec
from msgspec.structs import replace

from engine import rundir, writable
from engine.bring import beside, foreseen, known, origin, send
from engine.errors import DataError, UsageError, WorkspaceError
from engine.folders import check_ended
from engine.records import RunRow, Spec, decode_spec, encode

if TYPE_CHECKING:
    from engine.client import Client
    from engine.workspace import Workspace

MANIFEST = "manifest.json"
FORMAT = 1
NAMES_LIMIT = 100_000
SMALL = 64 << 20
BLOCK = 1 << 20
KEPT = (rundir.SPEC, rundir.LIFECYCLE)
"""What a rehearsal keeps for a moment: what the run is, and that it ended."""
LOCKS = (rundir.SUPERVISOR_LOCK, rundir.TRAINER_LOCK)


class Entry(msgspec.Struct, frozen=True):
    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The last entry of the file. left_out: what does not travel, with the reason."""

    run: str
    host: str
    packed: float
    files: tuple[Entry, ...]
    left_out: tuple[str, ...] = ()
    format: int = FORMAT


def pack(workspace: Workspace, run: str, output: Path, *, checkpoints: bool = True) -> Manifest:
    """Write the folder of a run to a file. Raises UsageError when that is there, WorkspaceError."""
    _free(output)
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    with _told(output):
        try:
            with open(partial, "xb", opener=_private) as file:
                made = _write(workspace.run(run), run, file, checkpoints)
            os.rename(partial, output)
        finally:
            partial.unlink(missing_ok=True)
    return made


def rehearse(workspace: Workspace, run: str, output: Path, *, checkpoints: bool = True) -> Manifest:
    """Read the same and write nothing. Raises what `pack` does, but for a disk that is full."""
    _free(output)
    with _told(output):
        writable.check(output)
        with open(os.devnull, "wb") as nothing:
            return _write(workspace.run(run), run, nothing, checkpoints)


def _free(output: Path) -> None:
    if os.path.lexists(output):
        raise UsageError(f"{output} is there already; name another file with --output.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _told(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"{output} can't be written: {error.strerror or error}.") from None


def _write(folder: Path, run: str, file: IO[bytes], checkpoints: bool) -> Manifest:
    entries: list[Entry] = []
    left_out: list[str] = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in _files(folder, left_out):
            if not checkpoints and name.startswith("checkpoints/"):
                left_out.append(f"{name} (--no-checkpoints)")
            elif (entry := _add(tar, name, path, left_out)) is not None:
                entries.append(entry)
        made = Manifest(run, socket.gethostname(), time.time(), tuple(entries), tuple(left_out))
        data = msgspec.json.encode(made)
        tar.addfile(_info(MANIFEST, len(data)), io.BytesIO(data))
    return made


def _files(folder: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    for place, folders, names in os.walk(folder):
        for name in [one for one in folders if os.path.islink(os.path.join(place, one))]:
            left_out.append(f"{os.path.relpath(os.path.join(place, name), folder)} (a link)")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if relative in LOCKS:
                continue
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                left_out.append(f"{relative} ({'a link' if path.is_symlink() else 'no plain file of a run'})")
            else:
                yield relative, path


def _add(tar: tarfile.TarFile, name: str, path: Path, left_out: list[str]) -> Entry | None:
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(open(rundir.open_plain(path), "rb"))
        if name == rundir.SPEC:
            file = io.BytesIO(_spec(file.read(), left_out))
        elif name == rundir.LOG:
            file = stack.enter_context(_log(file, left_out))
        elif name == rundir.PATCH and _secret(file):
            left_out.append(f"{name} (something in it looks like a secret)")
            return None
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        reader = _Hashing(file)
        tar.addfile(_info(name, size), cast(IO[bytes], reader))  # raises if it shrinks meanwhile
    return Entry(name, size, reader.digest.hexdigest())


def _spec(data: bytes, left_out: list[str]) -> bytes:
    """The spec without what looks like a secret: whole variables, and parts of the command."""
    from engine.withhold import SECRET_VALUE, filter_environment

    spec = decode_spec(data)
    env, withheld = filter_environment(spec.env)
    dropped = {*spec.env_withheld, *withheld, *(spec.env.keys() - env.keys())}
    command = tuple(SECRET_VALUE.sub("[withheld]", part) for part in spec.command)
    if command != spec.command:
        left_out.append("parts of the command (they look like secrets)")
    clean = replace(spec, command=command, env=env, env_withheld=tuple(sorted(dropped)))
    return msgspec.json.format(encode(clean), indent=1)


def _secret(file: IO[bytes]) -> bool:
    from engine.withhold import SECRET_VALUE

    return any(SECRET_VALUE.search(line.decode(errors="replace")) for line in file)


def _log(file: IO[bytes], left_out: list[str]) -> IO[bytes]:
    """A copy of a log in which what looks like a secret is blanked; line by line, for a log may be large."""
    from engine.withhold import SECRET_VALUE

    copy, found = tempfile.TemporaryFile(), 0  # noqa: SIM115 - handed to the caller
    while line := file.readline(BLOCK):
        text, count = SECRET_VALUE.subn("[withheld]", line.decode(errors="surrogateescape"))
        found += count
        copy.write(text.encode(errors="surrogateescape") if count else line)
    if found:
        left_out.append(f"parts of {rundir.LOG} ({found} look like secrets)")
    return copy


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    return info


# -- and back ---------------------------------------------------------------------------------------------------------


def unpack(client: Client, workspace: Workspace, file: Path) -> tuple[RunRow, bool]:
    """Take in the run of a file; gives it and whether it is new. It keeps its id where that is free here.

    Raises DataError for a file that is none of ours, damaged or hostile, WorkspaceError; then nothing was taken in.
    """
    with _opened(file) as source, beside(workspace, f"unpack-{os.getpid()}") as place:
        spec = _read(file, source, place)
        if (row := known(client, spec.imported.rpartition("#")[2])) is not None:
            return row, False
        (place / rundir.SPEC).unlink()  # the engine writes its own, with the id that the run has here
        return send(client, place, spec), True


def foresee(client: Client, file: Path) -> str:
    """Read the same, and of it keep nothing; gives the id that the run has or would have. client: one that rehearses.

    Raises what `unpack` does, but for a disk that is full.
    """
    with _opened(file) as source, tempfile.TemporaryDirectory() as place:
        spec = _read(file, source, Path(place), KEPT)
        check_ended(Path(place))
        return foreseen(client, spec)


def _opened(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.") from None


def _read(file: Path, source: IO[bytes], place: Path, kept: Sequence[str] | None = None) -> Spec:
    """Extract a run into a folder, and give its spec with where it came from."""
    try:
        with tarfile.open(fileobj=source, mode="r:") as tar:
            made = _extract(tar, place, kept)
        spec = decode_spec((place / rundir.SPEC).read_bytes())
    except (tarfile.TarError, msgspec.DecodeError, UnicodeDecodeError, EOFError, FileNotFoundError) as error:
        raise DataError(f"{file} is no whole run: {' '.join(str(error).split()) or type(error).__name__}.") from None
    key = hashlib.sha256(msgspec.json.encode(made.files)).hexdigest()[:24]
    return replace(spec, imported=origin(f"{made.host}:{made.run}", key))


def _extract(tar: tarfile.TarFile, place: Path, kept: Sequence[str] | None) -> Manifest:
    """Check every file on its way. kept: what is written; None is everything."""
    room = shutil.disk_usage(place).free - (256 << 20)
    seen: dict[str, Entry] = {}
    for info in tar:
        if not info.isreg():
            raise DataError(
                f"{info.name!r} in it is a link, a folder or a device; a packed run holds plain files only."
            )
        if len(seen) >= NAMES_LIMIT:
            raise DataError(f"more than {NAMES_LIMIT} files are in it.")
        data = tar.extractfile(info)
        assert data is not None
        if info.name == MANIFEST:
            return _checked(data.read(SMALL), seen)
        write = kept is None or info.name in kept
        room -= info.size if write else 0
        if room < 0:
            raise WorkspaceError(f"There is not enough space for {info.name} ({info.size} bytes).")
        _check_name(info.name, seen)
        seen[info.name] = _one(place / info.name if write else None, info.name, data)
    raise DataError("its list of files is missing: it was cut off.")


def _check_name(name: str, seen: dict[str, Entry]) -> None:
    path = PurePosixPath(name)
    plain = all(part and not part.startswith(".") and "\\" not in part and part.isprintable() for part in path.parts)
    if path.is_absolute() or not plain or str(path) != name or len(path.parts) > 8 or len(name) > 400:
        raise DataError(f"{name!r} is no name of a file in a run.")
    if name in LOCKS:
        raise DataError(f"{name!r} does not travel.")
    if name in seen or any(str(parent) in seen for parent in path.parents):
        raise DataError(f"{name!r} is in it twice.")


def _one(target: Path | None, name: str, data: IO[bytes]) -> Entry:
    """Write a file, or only look at it where there is no target."""
    digest, size = hashlib.sha256(), 0
    with ExitStack() as stack:
        out = stack.enter_context(open(_new(target, name), "wb")) if target is not None else None
        while block := data.read(BLOCK):
            digest.update(block)
            size += len(block)
            if out is not None:
                out.write(block)
        if out is not None:
            out.flush()
            os.fsync(out.fileno())
    return Entry(name, size, digest.hexdigest())


def _new(target: Path, name: str) -> int:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise DataError(f"{name!r} is in it twice.") from None


def _checked(data: bytes, seen: dict[str, Entry]) -> Manifest:
    made = msgspec.json.decode(data, type=Manifest)
    if made.format > FORMAT:
        raise DataError(f"it has format {made.format}; this program knows {FORMAT}. Update paddock here.")
    for entry in made.files:
        if seen.get(entry.name) != entry:
            raise DataError(f"{entry.name!r} is not what it was when it was packed.")
    if len(made.files) != len(seen):
        raise DataError("it holds files that its list does not name.")
    return made
