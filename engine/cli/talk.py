"""How commands talk: data on stdout, everything else on stderr, and quietly when nobody reads on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.cli.table import Column
    from engine.client import Client
    from engine.messages import Reply, Request
    from engine.workspace import Workspace

R = TypeVar("R")

_rehearsal = False

BROKEN_PIPE = 141
"""What a shell shows for a program that SIGPIPE ended."""


def rehearse(wanted: bool) -> None:
    """From now on carry out no wish: tell what each would do, and keep quiet about what was not done."""
    global _rehearsal  # one command line is one process, or one call of main.run
    _rehearsal = wanted


def rehearsing() -> bool:
    return _rehearsal


def out(text: str) -> None:
    """Write data, whole lines, at once; nothing in a rehearsal, where it would be of what did not happen."""
    if not _rehearsal:
        _write(text)


def table(columns: Sequence[Column], rows: Sequence[Any]) -> None:
    """Write rows as a table that fits the terminal, and say which columns it had no room for."""
    from engine.cli.table import fitted, width

    text, said = fitted(columns, rows, width(), colour=colour())
    out(text)
    for line in said:
        say(line)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        quiet_end()


def quiet_end() -> NoReturn:
    """End because the reader of stdout went away (`engine ls | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
    raise SystemExit(BROKEN_PIPE)


def say(text: str) -> None:
    """Say something to the person, as one line on stderr; nothing in a rehearsal, which speaks for itself."""
    if not _rehearsal:
        complain(text)


def would(text: str) -> None:
    """Say what would happen; for rehearsals."""
    complain(f"dry run: {text}.")


def complain(text: str) -> None:
    """Say what went wrong, whatever is going on."""
    try:
        sys.stderr.write(f"engine: {text}\n")
    except BrokenPipeError:
        pass


class Waiting:
    """Says on stderr what is waited for: one line, which a terminal shows anew and clears away in the end."""

    def __init__(self) -> None:
        self._said = ""

    def told(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[Kengine: {text}")
            sys.stderr.flush()
        elif not self._said:
            complain(text)
        self._said = text

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._said and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def json_out(value: Any) -> None:
    """Write a value as JSON: one line, or indented for a person at a terminal. Structs keep all their fields."""
    import msgspec

    data = msgspec.json.encode(plain(value))
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    _write(data.decode())


def plain(value: Any) -> Any:
    """Turn structs into dicts with every field, those at their default too: scripts want the same keys each time."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, os.PathLike) else value


def colour() -> bool:
    """Whether stdout takes colours: a terminal, and NO_COLOR (no-color.org) is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def workspace() -> Workspace:
    from engine.workspace import find  # pathlib and dataclasses, 20 ms that a usual `engine ls` does without

    return find()


def engine(*, start: bool = True) -> Client:
    """Reach the engine of this workspace, starting it if need be."""
    from engine.client import connect

    with Waiting() as waiting:
        client = connect(workspace(), start=start, told=waiting.told)
    if _rehearsal:
        client.rehearse = _tell
    return client


def _tell(told: Sequence[str]) -> None:
    for line in told:
        would(line)


def ask(request: Request, reply: type[R], *, start: bool = True) -> R:
    """Ask the engine one thing."""
    with engine(start=start) as client:
        return expect(client.call(request), reply)


def expect(reply: Reply, kind: type[R]) -> R:
    if not isinstance(reply, kind):
        from engine.errors import EngineError

        raise EngineError(f"The engine answered {type(reply).__name__}, not {kind.__name__}; `engine down`, try again.")
    return reply
