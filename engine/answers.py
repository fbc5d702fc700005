"""The rows of an answer in a file, as its name's ending says: .csv, .json, .md or .parquet; written beside, renamed."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import UsageError, WorkspaceError

ENDINGS = (".csv", ".json", ".md", ".parquet")

# msgspec and pyarrow are imported where they are used: one is not always, the other seldom needed.


def wrong_name(path: Path) -> str:
    """Say what is wrong with a file's name; empty if nothing."""
    if path.suffix.lower() not in ENDINGS:
        return f"{path.name or path}: the ending says the format, one of {', '.join(ENDINGS)}"
    if path.is_dir():
        return f"{path} is a folder"
    return "" if path.parent.is_dir() else f"there is no folder {path.parent}"


def write(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write all rows. Raises UsageError for a name without a known ending, WorkspaceError if it can't be written."""
    if problem := wrong_name(path):
        raise UsageError(f"{problem}.")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix.lower() == ".parquet":
            _parquet(beside, names, rows)
        else:
            beside.write_text(_TEXTS[path.suffix.lower()](names, rows), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise WorkspaceError(f"{path} can't be written: {error.strerror or error}.") from None


def plain(value: Any) -> Any:
    """A value of DuckDB as JSON knows it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return str(value)


def as_csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return file.getvalue()


def as_markdown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of GitHub's kind."""
    lines = ["| " + " | ".join(map(_cell, names)) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]) + "\n"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def _json(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    import msgspec

    found = [dict(zip(names, map(plain, row), strict=True)) for row in rows]
    return msgspec.json.encode(found).decode() + "\n"


_TEXTS = {".csv": as_csv, ".json": _json, ".md": as_markdown}


def _parquet(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = []
    for place in range(len(names)):
        values = [row[place] for row in rows]
        try:
            columns.append(pyarrow.array(values))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
            columns.append(pyarrow.array([None if value is None else str(value) for value in values]))
    parquet.write_table(pyarrow.table(columns, names=_once(names)), path, compression="zstd")


def _once(names: Sequence[str]) -> list[str]:
    """Names without doubles, which a Parquet file can't have: id, id_1."""
    found: list[str] = []
    for name in names:
        number, made = 0, name
        while made in found:
            number += 1
            made = f"{name}_{number}"
        found.append(made)
    return found
