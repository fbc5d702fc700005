"""Every error a user can meet, each with the exit code the CLI ends with.

EngineError              1   anything below, and what has no code of its own
├── UsageError           2   a wrong argument
│   ├── UnknownRun       2   no such run (with the nearest id), or a short id that fits several
│   ├── UnknownFamily    2   no such family
│   ├── BadField         2   an unknown field, a value of the wrong type or out of range
│   ├── BadFilter        2   a query of `engine ls` that means nothing, with its place
│   ├── BadQuery         2   SQL that DuckDB does not understand, or that is not allowed here
│   └── BadDependency    2   --after an unknown run, or a cycle
├── DataError            3   a data file or folder that can't be used
├── EngineDown           4   no engine answers, or it could not be started
│   └── EngineBusy       4   another engine holds this workspace
├── EngineStarting       4   it runs, but still reads the folders of its runs
├── WorkspaceError       5   the workspace can't be written, is full, or its path is too long for a socket
├── StoreError           6   runs.duckdb is corrupt, newer than this program, or held by somebody else
├── NothingToShow        7   the question is fine but there is nothing to answer with (no finished run, no export)
└── TimedOut           124   `wait --timeout` gave up; as timeout(1) ends
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class EngineError(Exception):
    """One clear line: what happened, with the value, and what to do next."""

    exit_code: ClassVar[int] = 1


class UsageError(EngineError):
    exit_code = 2


class UnknownRun(UsageError):
    pass


class UnknownFamily(UsageError):
    pass


class BadField(UsageError):
    pass


class BadFilter(UsageError):
    def __init__(self, text: str, at: int) -> None:
        """at: the place of the fault in the query, from 0."""
        super().__init__(f"{text} (at {at + 1})")
        self.at = at


class BadQuery(UsageError):
    def __init__(self, text: str = "", at: int | None = None) -> None:
        """at: the character of the query that it is about, from 0; None where that is not told."""
        super().__init__(text)
        self.at = at


class BadDependency(UsageError):
    pass


class DataError(EngineError):
    exit_code = 3


class EngineDown(EngineError):
    exit_code = 4


class EngineBusy(EngineDown):
    pass


class EngineStarting(EngineError):
    exit_code = 4


class WorkspaceError(EngineError):
    exit_code = 5


class StoreError(EngineError):
    exit_code = 6


class NothingToShow(EngineError):
    exit_code = 7


class TimedOut(EngineError):
    exit_code = 124


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ` Did you mean X?` for the nearest known word, or an empty string."""
    from difflib import get_close_matches  # 4 ms, for a message only

    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def by_name(name: str) -> type[EngineError]:
    """Find the class an error had on the other side of the socket; EngineError if unknown."""
    found = [EngineError]
    for cls in found:
        if cls.__name__ == name:
            return cls
        found += cls.__subclasses__()
    return EngineError
