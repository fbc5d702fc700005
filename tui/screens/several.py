"""Several runs at once: marks, orders to all that are marked, tags and notes, and what is copied of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from textual import on
from textual.widgets import Input

from engine.errors import UsageError
from engine.messages import Order
from engine.records import RunRow
from tui import bulk
from tui.bulk import Bulk
from tui.feed import ask_all
from tui.runs import RunList
from tui.screens.bulk import BulkScreen
from tui.screens.menu import MenuScreen
from tui.screens.previewing import Previewing
from tui.widgets.filterline import FilterLine
from tui.widgets.table import RunTable


class SeveralScreen(Previewing):
    """A screen with a list of runs, #list, and a line to type in, #typed."""

    def __init__(self) -> None:
        super().__init__()
        self.list = RunList()
        self._anchor: str | None = None
        self._before_range: frozenset[str] = frozenset()
        self._archived: list[tuple[str, ...]] = []
        self._typing: Callable[[str], Bulk] | None = None

    @property
    def table(self) -> RunTable:
        return self.query_one("#list", RunTable)

    def target(self) -> RunRow | None:
        return self.table.chosen_row

    def tell(self) -> None:
        """Show how many are marked."""
        raise NotImplementedError

    def leave_line(self) -> None:
        """Back from a line that was typed in to the list."""
        raise NotImplementedError

    def meant(self) -> list[RunRow]:
        """The marked runs in the order of the list, those that are not listed last; else the chosen one."""
        rows, marked = self.paddock.world.rows, self.paddock.marked
        listed = [row for row in self.table.rows if row.id in marked]
        seen = {row.id for row in listed}
        found = [*listed, *(rows[run] for run in sorted(marked) if run in rows and run not in seen)]
        return found or ([row] if (row := self.target()) is not None else [])

    # -- marks -----------------------------------------------------------------------------------------------------

    def _mark(self, marked: frozenset[str]) -> None:
        self.paddock.marked = marked
        self.table.mark(marked)
        self.tell()

    def action_mark(self) -> None:
        if (run := self.table.chosen) is not None:
            self._toggle(run)
            if self.table.place + 1 < len(self.table.rows):
                self.table.action_move(1)

    @on(RunTable.Marked)
    def _marked(self, event: RunTable.Marked) -> None:
        self._toggle(event.key)

    def _toggle(self, run: str) -> None:
        self._anchor = None
        self._mark(self.paddock.marked ^ {run})

    def action_mark_range(self) -> None:
        if self._anchor is None:
            self._anchor, self._before_range = self.table.chosen, self.paddock.marked
            self._mark_range(self._anchor)
        else:
            self._anchor = None
            self.tell()

    def stretch(self, to: str | None) -> None:
        """While a range is marked, let it reach to where the cursor is."""
        if self._anchor is not None:
            self._mark_range(to)

    def _mark_range(self, to: str | None) -> None:
        keys = [row.id for row in self.table.rows]
        if self._anchor in keys and to in keys:
            first, last = sorted((keys.index(self._anchor or ""), keys.index(to or "")))
            self._mark(self._before_range | set(keys[first : last + 1]))

    def action_mark_all(self) -> None:
        self._mark(self.paddock.marked | {row.id for row in self.table.rows})

    def action_mark_none(self) -> None:
        self._anchor = None
        self._mark(frozenset())

    # -- orders to several -------------------------------------------------------------------------------------------

    def _several(self) -> bool:
        return len(self.meant()) > 1

    def action_stop(self) -> None:
        self._do("stop") if self._several() else super().action_stop()

    def action_kill(self) -> None:
        self._do("kill") if self._several() else super().action_kill()

    def action_retry(self) -> None:
        self._do("retry") if self._several() else super().action_retry()

    def action_hold(self) -> None:
        self._do(bulk.hold_or_release(self.meant())) if self._several() else super().action_hold()

    def action_archive(self) -> None:
        """A run goes with all that is folded up under it: an earlier attempt would be listed in its place."""
        self._do("archive", self.list.with_folded(self.meant()))

    def _do(self, name: str, rows: Sequence[RunRow] | None = None) -> None:
        if not self.paddock.refuse():
            self._give(bulk.plan(name, self.meant() if rows is None else rows), name)

    def _give(self, order: Bulk, name: str = "") -> None:
        """Ask once, with the list; a single run is only asked about where that can't be taken back."""
        if not order.take:
            why = "; ".join(f"{row.id} is {why}" for row, why in order.leave[:2]) or "no run is chosen"
            self.notify(f"Nothing to do: {why}.", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            if name == "archive":
                self._archived.append(tuple(row.id for row in order.take))
            self._send(order)

        if len(order.take) + len(order.leave) == 1:
            answered(True)
        else:
            self.app.push_screen(BulkScreen(order), answered)

    def _send(self, order: Bulk) -> None:
        work = partial(ask_all, self.paddock.workspace, order.requests)
        self.paddock.in_worker(work, lambda _: self.notify(order.said, timeout=4))

    def action_unarchive(self) -> None:
        if self.paddock.refuse():
            return
        if not self._archived:
            self.notify("Nothing was archived here. `engine unarchive RUN` brings back what was before.", timeout=5)
            return
        runs = self._archived.pop()
        requests = tuple(Order(run=run, order="unarchive", why=bulk.WHY) for run in runs)
        self._send(Bulk("Unarchive", "", (), (), requests, f"{bulk.runs(len(runs))} listed again"))

    # -- tags and notes --------------------------------------------------------------------------------------------

    def action_tag(self) -> None:
        self._edit("tag", "paper -old adds paper and takes old off", "", bulk.tagging)

    def action_note(self) -> None:
        rows = self.meant()
        text = rows[0].note if len({row.note for row in rows}) == 1 else ""
        self._edit("note", "a note; an empty one takes it away", text, bulk.noting)

    def _edit(self, what: str, hint: str, text: str, make: Callable[[str, Sequence[RunRow]], Bulk]) -> None:
        rows = self.meant()
        if self.paddock.refuse() or not rows:
            return
        whom = rows[0].id if len(rows) == 1 else bulk.runs(len(rows))
        self._typing = lambda typed: make(typed, rows)
        line = self.query_one("#typed", FilterLine)
        line.ask(f"{what} {whom}")
        line.placeholder = f"{hint}; enter does it, esc leaves it"
        line.value = text
        line.display = True
        self.set_focus(line)  # at once: focus() would let the next key that was typed go to the list

    @on(Input.Submitted, "#typed")
    def _written(self, event: Input.Submitted) -> None:
        typing, text = self._typing, event.value.strip()
        if typing is None:
            return
        try:
            order = typing(text)
        except UsageError as error:
            self.notify(str(error), severity="error", timeout=6)
            return
        self.leave_line()
        self._give(order)

    # -- the clipboard ---------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        rows = self.meant()
        if not rows:
            return
        whom = rows[0].id if len(rows) == 1 else bulk.runs(len(rows))
        entries = (
            ("i", "id", whom),
            ("c", "command", "that queues it again"),
            ("p", "path", "of the run folder"),
            ("m", "Markdown", "a table with these columns"),
            ("s", "SQL", "the question behind the list"),
        )
        self.app.push_screen(MenuScreen(f"Copy {whom}", entries), partial(self._copy, rows))

    def _copy(self, rows: Sequence[RunRow], key: str | None) -> None:
        now = time.time()
        if key == "i":
            self._put("\n".join(row.id for row in rows), "ids" if len(rows) > 1 else rows[0].id)
        elif key == "p":
            self._put("\n".join(str(self.paddock.workspace.run(row.id)) for row in rows), "the path")
        elif key == "m":
            self._put(self.list.markdown(rows, now), "the Markdown")
        elif key == "s":
            self._put(self.list.sql(now), "the SQL")
        elif key == "c":
            from tui import formwork  # the form and its fields: nothing that a list needs

            ids = [row.id for row in rows]
            work = partial(formwork.commands, self.paddock.workspace, ids)
            self.paddock.in_worker(work, lambda text: self._put(text, "the command"))

    def _put(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"{what} copied to the clipboard", timeout=2)
