"""The fingerprint of a run's data: one short text that changes when a name or a byte of them does."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine.errors import DataError

MARKER = "SYNTHETIC.json"
"""What `engine data synth` leaves beside data it made up; no part of the data."""

SETTLED_S = 2.0
"""A file younger than this may change again within one tick of its clock, so its digest is not kept."""


class DataPrint(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's data were. path: as given, several joined by ":". synthetic: made up, by their marker."""

    path: str = ""
    fingerprint: str = ""
    files: int = 0
    bytes: int = 0
    synthetic: bool = False


def fingerprint(paths: Sequence[Path], cache: Path | None = None) -> DataPrint:
    """Give BLAKE2b over the relative names, sizes and contents of the files at or below the paths, sorted.

    The same files in another folder have the same fingerprint. Hidden files and the synthetic marker do not
    count. Links are not followed out of the path: such a one counts by its target's name and size. cache:
    a file that remembers digests by inode, size and time of change, so that gigabytes are read once; without
    it, or where it can't be written, every byte is read. Raises DataError for what can't be read.
    """
    known = _load(cache)
    kept: dict[str, list[object]] = {}
    whole = hashlib.blake2b(digest_size=16)
    files = size = 0
    made_up = False
    for path in paths:
        try:
            root = path.resolve(strict=True)
            made_up = made_up or synthetic(root if root.is_dir() else root.parent)
            for name, file in _files(root):
                if file.name == MARKER:
                    made_up = made_up or synthetic(file.parent)
                    continue
                bytes_, digest = _digest(root, file, known, kept)
                whole.update(f"{name}\0{bytes_}\0".encode(errors="surrogateescape") + digest)
                files += 1
                size += bytes_
        except OSError as error:
            what = Path(error.filename) if isinstance(error.filename, str) else path
            hint = " `engine data import` or `engine data synth` makes data." if not path.exists() else ""
            raise DataError(f"The data at {what} can't be read: {error.strerror}.{hint}") from None
    if cache is not None and kept != known:
        _save(cache, known | kept)
    return DataPrint(
        path=os.pathsep.join(map(str, paths)),
        fingerprint=whole.hexdigest(),
        files=files,
        bytes=size,
        synthetic=made_up,
    )


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Give (name relative to root, path) of what counts, in order of the names."""
    if not root.is_dir():
        yield root.name, root
        return
    found = []
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]  # walk names them, but does not enter
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [here / name for name in [*names, *links] if not name.startswith(".")]
    yield from sorted((file.relative_to(root).as_posix(), file) for file in found)


def _raise(error: OSError) -> None:
    raise error


def _digest(root: Path, file: Path, known: dict[str, list[object]], kept: dict[str, list[object]]) -> tuple[int, bytes]:
    if file.is_symlink():
        target = Path(os.path.realpath(file))
        if not target.is_file() or root not in target.parents:
            away = target.stat().st_size if target.is_file() else 0
            text = f"-> {os.readlink(file)} {away}"
            return away, hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).digest()
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):  # a pipe would never end
        return 0, b"special"
    key = str(file)
    now = [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    before = known.get(key)
    if before is not None and before[:-1] == now:
        kept[key] = before
        return state.st_size, bytes.fromhex(str(before[-1]))
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, lambda: hashlib.blake2b(digest_size=16)).digest()
        after = os.fstat(data.fileno())
    unchanged = [after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns] == now
    if unchanged and time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_S:
        kept[key] = [*now, digest.hex()]
    return state.st_size, digest


def synthetic(folder: Path) -> bool:
    """Tell whether a folder has the marker of made up data; a damaged one counts."""
    marker = folder / MARKER
    try:
        value = json.loads(marker.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):  # damaged, but it was put there
        return True
    return not isinstance(value, dict) or value.get("synthetic") is not False


def _load(cache: Path | None) -> dict[str, list[object]]:
    if cache is None:
        return {}
    try:
        return msgspec.json.decode(cache.read_bytes(), type=dict[str, list[object]])
    except (OSError, msgspec.DecodeError):  # none yet, or torn: it only saves time
        return {}


def _save(cache: Path, digests: dict[str, list[object]]) -> None:
    beside = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        beside.write_bytes(msgspec.json.encode(digests))
        beside.rename(cache)
    except OSError:  # no workspace yet, read-only or full: then the bytes are read again next time
        beside.unlink(missing_ok=True)
