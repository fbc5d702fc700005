"""All series at or below a path, with the files that were left out and whether any of it is synthetic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.data.errors import DataError
from trainers.data.series import Series, series_of, unique
from trainers.data.table import MARKER, find, read_table


@dataclass(frozen=True)
class Reading:
    """series: by symbol, sorted. files: what was read. bad: what skip_bad left out. ignored: not data files.

    synthetic: true when a marker lies beside or above any of the files.
    """

    series: tuple[Series, ...]
    files: tuple[Path, ...]
    bad: tuple[DataError, ...]
    ignored: tuple[Path, ...]
    synthetic: bool


def read(path: Path, wanted: Sequence[str] | None = None, *, skip_bad: bool = False) -> Reading:
    """Read every data file at or below `path`; see `series_of` for `wanted`. Raises DataError.

    skip_bad: a file that cannot be used is left out and told in `bad`; when none is left, its error is raised.
    """
    files, ignored = find(path)
    if not files:
        raise DataError(
            "no data files (CSV, Parquet or JSON) here; `engine data import` or `engine data synth` brings some",
            file=path,
        )
    series: list[Series] = []
    used: list[Path] = []
    bad: list[DataError] = []
    for file in files:
        try:
            found = series_of(read_table(file), wanted)
            unique([*series, *found])
        except DataError as error:
            if not skip_bad:
                raise
            bad.append(error)
            continue
        series += found
        used.append(file)
    if not series:
        raise bad[0]
    synthetic = any(is_synthetic(folder) for folder in {f.parent for f in used} | {path})
    return Reading(tuple(unique(series)), tuple(used), tuple(bad), tuple(ignored), synthetic)


def is_synthetic(folder: Path) -> bool:
    """Whether the folder's marker says that its data were made up; a damaged marker counts as one."""
    marker = folder / MARKER
    if not folder.is_dir() or not marker.exists():
        return False
    try:
        value = json.loads(marker.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(value, dict) or value.get("synthetic") is not False


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 over the names and bytes of the data files at or below the paths, in order of name.

    The same data under another folder have the same fingerprint; markers and other files do not count.
    """
    digest = hashlib.sha256()
    for path in paths:
        root = path if path.is_dir() else path.parent
        for file in find(path)[0]:
            digest.update(
                f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode(errors="surrogateescape")
            )
            with file.open("rb") as f:
                digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()
