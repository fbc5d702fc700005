"""Bad data, told in one line: file, line, column, reason."""

from __future__ import annotations

from pathlib import Path

from trainers import errors


class DataError(errors.DataError):
    """A file or a set of files that cannot be used; exit code 3.

    file: as the user would type it. line: counted from 1, the header included; for Parquet and JSON the
    record, counted from 1. column: its name as written in the file.
    """

    def __init__(
        self,
        reason: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: str | None = None,
        unit: str = "line",
    ) -> None:
        self.file = None if file is None else str(file)
        self.line = line
        self.column = column
        self.reason = reason
        where = []
        if line is not None:
            where.append(f"{unit} {line}")
        if column is not None:
            where.append(f"column {shown(column)}")
        head = ([plain(self.file)] if self.file is not None else []) + ([", ".join(where)] if where else [])
        super().__init__(": ".join([*head, plain(reason)]))


def plain(text: object, limit: int = 400) -> str:
    """The text on one line, without control characters: data must not steer the terminal it is shown on."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def shown(value: object) -> str:
    """A value out of a file, quoted and cut at 40 characters."""
    return f"'{plain(value, 40)}'"
