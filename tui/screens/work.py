"""What screens share that read the database: work in threads whose answers come back here, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from textual.screen import ModalScreen
from textual.timer import Timer

from engine import rundir
from engine.errors import WorkspaceError
from engine.records import ENDED, RunRow
from tui.runs import changed
from tui.screens.base import BaseScreen
from tui.world import World

Answer = TypeVar("Answer")
Reply = TypeVar("Reply")
SETTLED = 0.7
"""Seconds that nothing has ended or been validated before the database is asked again."""
PAUSE = 0.12
"""Seconds that the cursor rests before something is read for its row."""


def _result(row: RunRow) -> tuple[object, ...]:
    return row.state in ENDED, row.best, row.metric


class WorkScreen(BaseScreen):
    """A screen whose panes are answers of workers. An answer that came too late for its question is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, int] = {}
        self._pauses: dict[str, Timer] = {}
        self._made_of: dict[str, tuple[object, ...]] = {}
        self._seen_rows: Mapping[str, RunRow] | None = None

    def work(self, kind: str, job: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        """Do a job in a thread. kind: a later job of the same kind makes the answer of this one void."""
        number = self._asked[kind] = self._asked.get(kind, 0) + 1

        def back(answer: Answer) -> None:
            if self.is_mounted and self._asked[kind] == number:
                then(answer)

        self.paddock.in_worker(job, back)

    def fresh(self, pane: str, *parts: object) -> bool:
        """Whether any of what a pane is made from is another thing than when this was last asked.

        Big things are told apart by being another one, so that nothing is compared or drawn for each message.
        """
        before, self._made_of[pane] = self._made_of.get(pane, ()), parts
        plain = (str, int, tuple, frozenset)
        return len(before) != len(parts) or not all(
            old is new or (isinstance(new, plain) and old == new) for old, new in zip(before, parts, strict=True)
        )

    def ask_person(self, question: ModalScreen[Reply], then: Callable[[Reply | None], None]) -> None:
        """Put a question over this screen; not any more where the person has gone to another one meanwhile."""
        if self.app.screen is self:
            self.app.push_screen(question, then)

    def soon(self, kind: str, call: Callable[[], object], seconds: float = PAUSE) -> None:
        """Call something after a pause that begins anew each time it is asked for."""
        if (timer := self._pauses.get(kind)) is not None:
            timer.stop()
        self._pauses[kind] = self.set_timer(seconds, call)

    def news(self, world: World) -> bool:
        """Whether a run has come, ended or been validated since this was last asked."""
        before, self._seen_rows = self._seen_rows, world.rows
        if before is None or len(before) != len(world.rows):
            return True
        return any(
            (was := before.get(row.id)) is None or _result(was) != _result(row) for row in changed(before, world.rows)
        )

    # -- files -----------------------------------------------------------------------------------------------------

    def export_to(self, name: str, make: Callable[[], str]) -> None:
        """Write a new file into the current folder, beside and renamed, and tell its path."""
        stem, _, suffix = name.rpartition(".")
        path = Path.cwd() / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}.{suffix}"

        def write() -> Path:
            text = make()
            try:
                rundir.write_new(path, text.encode())
            except OSError as error:
                raise WorkspaceError(f"{path} can't be written: {error.strerror}.") from None
            return path

        self.work("export", write, lambda written: self.notify(f"written: {written}", timeout=8))
