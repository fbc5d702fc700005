"""Bring people's files into the workspace: one canonical CSV per symbol, lower-case columns, dates ascending.

Everything is read and judged before anything is written; files are written beside and renamed.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainers.data.dates import DAY
from trainers.data.errors import DataError, plain, shown
from trainers.data.read import is_synthetic, read
from trainers.data.series import OHLCV, Series
from trainers.data.synth import made_files
from trainers.data.table import MARKER, find


@dataclass(frozen=True)
class Imported:
    """Names of the symbols by what became of them; fixes and bad: lines for the person; removed: synthetic files."""

    new: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    fixes: tuple[str, ...]
    bad: tuple[str, ...]
    ignored: tuple[str, ...]
    removed: int


def bring(source: Path, to: Path, *, skip_bad: bool = False, replace: bool = False, rehearse: bool = False) -> Imported:
    """Read every file at or below `source` and write it to the folder `to`. Raises DataError.

    A rehearsal tells the same and writes nothing.

    A symbol that is there already is brought up to date. Synthetic data are never mixed with others: with
    `replace` they go once the new files are in place, and only files that are exactly as they were made.
    """
    if to.exists() and not to.is_dir():
        raise DataError("not a folder", file=to)
    if source.exists() and (source.resolve() == to.resolve() or to.resolve() in source.resolve().parents):
        raise DataError(f"lies in {to}, which is where it would be brought to", file=source)
    synthetic_there = is_synthetic(to)
    if synthetic_there and not replace:
        raise DataError(
            "holds synthetic data, never mixed with others: --replace removes them and --to takes another folder",
            file=to,
        )
    reading = read(source, skip_bad=skip_bad)
    if reading.synthetic:
        raise DataError(
            "these data are synthetic: make them in place with `engine data synth --out FOLDER`", file=source
        )
    fixes: list[str] = []
    files: dict[str, Series] = {}
    for one in reading.series:
        name = _file_name(one.symbol)
        if name.casefold() in (n.casefold() for n in files):
            raise DataError(f"{shown(one.symbol)} would be written to {name}, as another symbol is", file=one.file)
        files[name] = one
        said = [*one.fixes, *([f"written as {name}"] if name != f"{one.symbol}.csv" else [])]
        if said:
            fixes.append(f"{plain(one.symbol)}: {', '.join(said)}")
    made = made_files(to) if synthetic_there else set()
    _refuse_strangers(to, files, made)
    fate = _fates(to, files) if rehearse else _write(to, files)
    gone = made - {to / name for name in files}
    removed = len(gone) if rehearse else _remove_made(to, gone) if synthetic_there else 0
    return Imported(
        new=tuple(s for s, f in fate.items() if f == "new"),
        updated=tuple(s for s, f in fate.items() if f == "updated"),
        unchanged=tuple(s for s, f in fate.items() if f == "unchanged"),
        fixes=tuple(fixes),
        bad=tuple(str(e) for e in reading.bad),
        ignored=tuple(plain(f) for f in reading.ignored),
        removed=removed,
    )


def canonical(one: Series) -> str:
    """The series as CSV text that reads back to the same numbers."""
    order = [c for c in OHLCV if c in one.columns] + [c for c in one.columns if c not in OHLCV]
    stamps = pd.to_datetime(one.times)
    daily = bool(np.all(one.times % DAY == 0))
    dates = stamps.strftime("%Y-%m-%d") if daily else [t.isoformat(sep=" ") for t in stamps]
    cells = [[_cell(v) for v in one.columns[c].tolist()] for c in order]
    rows = [",".join(row) for row in zip(dates, *cells, strict=True)]
    return "\n".join([",".join(["date", *(_quoted(c) for c in order)]), *rows]) + "\n"


def _cell(value: float) -> str:
    if value != value:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if re.search(r'[",\n;|\t]', name) else name


def _file_name(symbol: str) -> str:
    """A file name for the symbol, whatever its characters: never hidden, never a path."""
    safe = re.sub(r"[^\w.^=+@-]", "_", symbol)
    return f"{'_' + safe[1:] if safe.startswith('.') else safe}.csv"


def _refuse_strangers(to: Path, files: dict[str, Series], made: set[Path]) -> None:
    """A symbol that `to` holds under another file name would be there twice afterwards."""
    if not to.is_dir():
        return
    for file in find(to)[0]:
        if file in made or file.name in files:
            continue
        for name in files:
            if file.stem.casefold() == Path(name).stem.casefold():
                raise DataError(f"holds this symbol already; remove it first, to bring in {name}", file=file)


def _fates(to: Path, files: dict[str, Series]) -> dict[str, str]:
    """What `_write` would give."""
    fate = {}
    for name, one in files.items():
        old = to / name
        there = old.is_file()
        same = there and old.read_bytes() == canonical(one).encode()
        fate[one.symbol] = "unchanged" if same else "updated" if there else "new"
    return fate


def _write(to: Path, files: dict[str, Series]) -> dict[str, str]:
    to.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".import-", dir=to))
    fate = {}
    try:
        for name, one in files.items():
            (beside / name).write_text(canonical(one), encoding="utf-8")
        for name, one in files.items():
            new, old = beside / name, to / name
            there = old.is_file()
            same = there and old.read_bytes() == new.read_bytes()
            fate[one.symbol] = "unchanged" if same else "updated" if there else "new"
            if not same:
                os.replace(new, old)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return fate


def _remove_made(to: Path, files: set[Path]) -> int:
    for file in files:
        file.unlink()
    # last: until here the folder counts as synthetic, whatever happens
    (to / MARKER).unlink(missing_ok=True)
    return len(files)
