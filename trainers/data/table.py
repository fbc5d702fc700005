"""One file becomes one table of named columns, still unjudged: text cells from CSV, values from JSON and Parquet.

Nothing is executed, no file but a regular one is opened, and every failure is a DataError.
"""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainers.data.errors import DataError, plain, shown

MARKER = "SYNTHETIC.json"
CSV = {".csv", ".tsv"}
PARQUET = {".parquet", ".pq"}
JSON = {".json", ".jsonl", ".ndjson"}
SUFFIXES = CSV | PARQUET | JSON
CELLS_LIMIT = 1_000_000_000  # a Parquet file of a few kB can claim any number of rows


@dataclass(frozen=True)
class Table:
    """names: as written. columns: lists of text or of JSON values, or numpy arrays (Parquet), all equally long.

    lines: line or record of each row, from 1. unit: what `lines` counts ("line" or "record").
    """

    file: Path
    names: list[str]
    columns: list[Any]
    lines: np.ndarray
    unit: str = "line"


def find(path: Path) -> tuple[list[Path], list[Path]]:
    """The data files at or below a path, sorted, and the files that are of no known kind.

    Hidden files and folders and the synthetic marker are neither. Links to folders are not followed.
    """
    if not path.exists():
        raise DataError("no such file or folder", file=path)
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"unknown kind of file; known are {', '.join(sorted(SUFFIXES))}", file=path)
        return [path], []
    known: list[Path] = []
    other: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name == MARKER:
                continue
            (known if Path(name).suffix.lower() in SUFFIXES else other).append(Path(folder) / name)
    return known, other


def read_table(file: Path) -> Table:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise DataError("not a regular file", file=file)
        if file.stat().st_size == 0:
            raise DataError("empty file", file=file)
        kind = file.suffix.lower()
        if kind in PARQUET:
            return _parquet(file)
        text = _text(file)
        return _json(file, text) if kind in JSON else _csv(file, text)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=file) from error
    except MemoryError as error:
        raise DataError("too large for this machine's memory", file=file) from error


def _text(file: Path) -> str:
    raw = file.read_bytes()
    if b"\0" in raw:
        at = raw.index(b"\0")
        raise DataError("binary data, not text", file=file, line=raw.count(b"\n", 0, at) + 1)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8 text; save it as UTF-8", file=file, line=line) from None
    if not text.strip():
        raise DataError("empty file", file=file)
    return text


def _csv(file: Path, text: str) -> Table:
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"not a CSV file ({error})", file=file, line=reader.line_num) from None
    if reader.line_num == len(rows):
        lines = np.arange(1, len(rows) + 1)
    else:  # cells that hold line breaks: read again, counting
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = np.array([reader.line_num for _ in reader])
    filled = [i for i, row in enumerate(rows) if row and (row[0].strip() or any(cell.strip() for cell in row))]
    if not filled:
        raise DataError("empty file", file=file)
    names, *rows = [rows[i] for i in filled]
    head, lines = int(lines[filled[0]]), lines[filled[1:]]
    if not rows:
        raise DataError("a header and no rows", file=file, line=head)
    width = len(names)
    for at, row in enumerate(rows):
        if len(row) != width:
            raise DataError(f"{len(row)} cells where the header has {width}", file=file, line=int(lines[at]))
    return Table(file, names, [list(c) for c in zip(*rows, strict=True)], lines)


def _json(file: Path, text: str) -> Table:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as whole:
        records = list(_json_lines(file, text, whole))
        return _records(file, [r for _, r in records], np.array([n for n, _ in records]), "line")
    if isinstance(value, dict) and all(isinstance(v, (list, dict)) for v in value.values()):
        return _columns(file, value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise DataError("JSON holds neither records nor columns", file=file)
    return _records(file, value, np.arange(1, len(value) + 1), "record")


def _json_lines(file: Path, text: str, whole: Exception) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                # the reason for the first line is that of the whole file, which need not be JSON lines
                said = whole if number == 1 else error
                at = getattr(said, "lineno", 1) if number == 1 else number
                reason = getattr(said, "msg", None) or (
                    "nested too deeply" if isinstance(said, RecursionError) else str(said)
                )
                raise DataError(f"not JSON ({reason})", file=file, line=at) from None


def _records(file: Path, records: list[Any], lines: np.ndarray, unit: str) -> Table:
    if not records:
        raise DataError("no records", file=file)
    names: dict[str, None] = {}
    for record, line in zip(records, lines, strict=True):
        if not isinstance(record, dict):
            raise DataError(f"{shown(record)} is not a record", file=file, line=int(line), unit=unit)
        names.update(dict.fromkeys(record))
    return Table(file, list(names), [[r.get(n) for r in records] for n in names], lines, unit)


def _columns(file: Path, value: dict[str, Any]) -> Table:
    columns, length = [], None
    for name, column in value.items():
        cells = list(column.values()) if isinstance(column, dict) else column
        if length is not None and len(cells) != length:
            raise DataError(f"{len(cells)} values where the first column has {length}", file=file, column=name)
        length = len(cells)
        columns.append(cells)
    if not length:
        raise DataError("no records", file=file)
    return Table(file, list(value), columns, np.arange(1, length + 1), "record")


def _parquet(file: Path) -> Table:
    import pyarrow as pa  # 60 ms that only Parquet needs
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as source:
            about = source.metadata
            if about.num_rows * max(about.num_columns, 1) > CELLS_LIMIT:
                raise DataError(f"{about.num_rows} rows of {about.num_columns} columns are too many", file=file)
            table = source.read()
        names, columns = list(table.column_names), []
        for column in table.columns:
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if pa.types.is_boolean(kind) or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                if pa.types.is_decimal(kind):
                    columns.append(column.cast(pa.float64()).to_numpy())
                elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
                    columns.append(column.cast(pa.timestamp("ns", getattr(kind, "tz", None))).to_pandas())
                else:
                    columns.append(column.to_pylist())
            else:
                columns.append(column.to_numpy())
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"not a readable Parquet file ({plain(error, 120)})", file=file) from None
    if table.num_rows == 0:
        raise DataError("no rows", file=file)
    return Table(file, names, columns, np.arange(1, table.num_rows + 1), "record")
