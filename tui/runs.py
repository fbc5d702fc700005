"""The list of all runs without a screen: which are meant, in what order, folded or not, in which columns.

Nothing is looked at twice: what a query says of a row and what the row sorts by are kept while it is the same row, and
when only values changed that neither asks about, the rows are put in the places of those before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, count
from operator import attrgetter, is_not

from msgspec import Struct, field
from msgspec.structs import replace

from engine import ids
from engine.errors import BadFilter
from engine.query_fields import Known, Stored
from engine.query_rows import Mask, Texts, read
from engine.query_sql import sql
from engine.records import RunRow
from tui import present
from tui.columns import Column
from tui.present import Cell
from tui.runcolumns import CATALOG, USUAL, RunColumn, by, stored_column
from tui.sorting import Sorting

Values = Mapping[Stored, Mapping[str, str | float]]
NOBODY = Known()
_submitted, _id = attrgetter("submitted"), attrgetter("id")
EVERY = 60.0
"""Seconds after which a query that depends on the clock is asked again."""
ID = RunColumn("id", "RUN", 13, lambda row, _: ((row.id, "strong"),), by(_id), "its id", asked="id")
OURS = {ID.name, *CATALOG}
"""Columns that the rows themselves tell; others are read from the database."""


class Looks(Struct, frozen=True):
    """What is remembered: names of columns in their order, what is sorted by, and whether the largest come first."""

    columns: tuple[str, ...] = USUAL
    sort: str = "ago"
    down: bool = True


class View(Struct, frozen=True):
    """rows: as they are listed. matched, total: runs, of which an unfolded one has several rows. ids: of the rows."""

    rows: tuple[RunRow, ...] = ()
    matched: int = 0
    total: int = 0
    ids: list[str] = field(default_factory=list)


class RunList:
    """Give it rows with show(); everything else says how."""

    def __init__(self) -> None:
        self.looks = Looks()
        self.known = NOBODY
        self.values: Values = {}
        self.query = read("")
        self.unfolded: frozenset[str] = frozenset()
        """Ids that all attempts at a run share, where these are listed too."""
        self.view = View()
        self.id_width = 11
        self._rows: Mapping[str, RunRow] = {}
        self._newest: list[str] = []
        self._sortings: dict[str, Sorting] = {}
        self._places_of: dict[str, int] | None = None
        self._heads: set[str] = set()
        self._texts = Texts()
        self._ordered: tuple[Mapping[str, RunRow], list[str], tuple[RunRow, ...]] = {}, [], ()
        self._asked_at = 0.0
        self._forget()

    def _forget(self, *, order: bool = True) -> None:
        """List everything anew the next time; order: sort it anew, too."""
        self._stale = True
        if order:
            self._order: list[str] | None = None

    # -- what is asked for -------------------------------------------------------------------------------------

    def ask(self, text: str, now: float) -> None:
        """List the runs that a query means. Raises BadFilter and leaves the list as it is."""
        self.query = read(text, self.known, now)
        self._forget(order=False)

    def learn(self, known: Known, values: Values, now: float) -> None:
        """Take what was read from the database."""
        self.known, self.values = known, values
        try:
            self.query = read(self.query.text, known, now)
        except BadFilter:
            pass  # a name it knew is gone from the database: it means what it meant
        self._sortings = {name: one for name, one in self._sortings.items() if name in OURS}
        self._forget()

    def look(self, looks: Looks) -> None:
        self._forget(order=(looks.sort, looks.down) != (self.looks.sort, self.looks.down))
        self.looks = looks

    def fold(self, bases: frozenset[str]) -> None:
        self.unfolded = bases
        self._stale = True

    def warm(self) -> None:
        """Look at all texts before a word is asked for: 25 ms of 10,000 runs. May be called in a thread."""
        self._texts([*self._rows.values()])

    def needs(self) -> set[Stored]:
        """Columns of the database that are filtered by, sorted by or shown."""
        names = {*self.looks.columns, self.looks.sort} - CATALOG.keys()
        return {*self.query.needs, *(one for name in names for one in self.known.find(name))}

    # -- rows --------------------------------------------------------------------------------------------------

    def show(self, rows: Mapping[str, RunRow], now: float) -> View:
        """Give the list for these runs; `rows` has the earlier attempts, too."""
        if self.query.clocked and now - self._asked_at > EVERY:
            self._stale = True
        if rows is not self._rows and not self._replaced(rows):
            self._stale = True
        self._rows = rows
        if self._stale:
            self._build(now)
        return self.view

    def _replaced(self, rows: Mapping[str, RunRow]) -> bool:
        """Put changed rows in the places of those before; False where that is not all there is to do."""
        before = self._rows
        news = changed(before, rows)
        if len(rows) != len(before) or any(
            (was := before.get(row.id)) is None or was.later != row.later for row in news
        ):
            self._newest, self._sortings = [], {}
            self._forget()
            return False
        heads = [row for row in news if row.later not in rows]  # earlier attempts are listed with the last one
        for one in self._sortings.values():
            one.hear(heads)
        sorting = self._sortings.get(self.looks.sort)
        if sorting is not None and sorting.moved(heads):
            self._forget()
            return False
        if self._stale or self._order is None or self._mask(heads) != [row.id in self._places for row in heads]:
            return False
        if news:
            listed = list(self.view.rows)
            for row in news:
                if (place := self._places.get(row.id)) is not None:
                    listed[place] = row
            self.view = replace(self.view, rows=tuple(listed))
        return True

    def _build(self, now: float) -> None:
        rows = self._rows
        self._asked_at = now
        if self._order is None:
            self._sort(now)
        assert self._order is not None
        self._mask: Mask = self.query.mask(self.values, now, self._texts)
        heads, found = self._in_order(), self._order
        meant = heads
        if self.query.node is not None and not all(mask := self._mask(heads)):
            meant, found = tuple(compress(heads, mask)), [*compress(found, mask)]
        listed = tuple(self._with_attempts(meant, rows)) if self.unfolded else meant
        if listed is not meant:
            found = [row.id for row in listed]
        self._places_of = None
        self.view = View(listed, len(meant), len(heads), found)
        self._stale = False

    def _in_order(self) -> tuple[RunRow, ...]:
        """The last attempts at all runs; the same tuple while neither they nor their order have changed."""
        rows, order = self._rows, self._order or []
        if self._ordered[0] is not rows or self._ordered[1] is not order:
            self._ordered = rows, order, tuple(map(rows.__getitem__, order))
        return self._ordered[2]

    @property
    def _places(self) -> dict[str, int]:
        """Where each run is listed; 10 ms that a key press need not wait for."""
        if self._places_of is None:
            self._places_of = dict(zip(self.view.ids, count()))
        return self._places_of

    def _sort(self, now: float) -> None:
        """All runs by the key; among equals, and where there is none, the newest first."""
        rows = self._rows
        if not self._newest:
            heads = sorted((row for row in rows.values() if row.later not in rows), key=_submitted, reverse=True)
            self._newest = [row.id for row in heads]
            self._heads = {ids.base(row.id) for row in heads if row.attempt > 1}
            # The longest of all runs, so that nothing moves while one filters; two cells more for the sign of a fold.
            self.id_width = min(28, max(map(len, rows), default=11) + (2 if self._heads else 0))
        self._order = self._sorting(self.looks.sort, now).order(rows, now, down=self.looks.down)

    def _sorting(self, name: str, now: float) -> Sorting:
        if (found := self._sortings.get(name)) is None:
            rows = [*map(self._rows.__getitem__, self._newest)]
            found = self._sortings[name] = Sorting(self.column(name), rows, now)
        return found

    def prepare(self, now: float) -> bool:
        """Look at what another column would be sorted by, that on the right of the present one first; False: no more.

        Somebody who sorts by it need not wait for that.
        """
        names = self.names()
        at = names.index(self.looks.sort) + 1 if self.looks.sort in names else 0
        left = [name for name in (*names[at:], *names[:at]) if name not in self._sortings] if self._newest else []
        if left:
            self._sorting(left[0], now)
        return bool(left)

    def _earlier(self, rows: Mapping[str, RunRow], *, unfolded: bool) -> dict[str, list[RunRow]]:
        """The attempts that another followed, the latest first, by the id that they share with it."""
        found: dict[str, list[RunRow]] = {}
        for row in rows.values():
            if row.later in rows and ((base := ids.base(row.id)) in self.unfolded) == unfolded:
                found.setdefault(base, []).append(row)
        return {base: sorted(some, key=lambda one: -one.attempt) for base, some in found.items()}

    def _with_attempts(self, ordered: Sequence[RunRow], rows: Mapping[str, RunRow]) -> Iterable[RunRow]:
        """Under the last attempt at a run the earlier ones, where it is unfolded."""
        earlier = self._earlier(rows, unfolded=True)
        for row in ordered:
            yield row
            if row.attempt > 1:
                yield from earlier.get(ids.base(row.id), ())

    def with_folded(self, rows: Iterable[RunRow]) -> list[RunRow]:
        """These runs, each followed by the earlier attempts that are folded up under it."""
        earlier = self._earlier(self._rows, unfolded=False)
        found: dict[str, RunRow] = {}
        for row in rows:
            under = () if row.later in self._rows else earlier.get(ids.base(row.id), ())
            found |= {one.id: one for one in (row, *under)}
        return [*found.values()]

    def attempts(self, run: str) -> bool:
        """Whether there are earlier attempts to be unfolded at a run."""
        return ids.base(run) in self._heads

    @property
    def foldable(self) -> frozenset[str]:
        return frozenset(self._heads)

    # -- columns -----------------------------------------------------------------------------------------------

    def column(self, name: str) -> RunColumn:
        """A column by its name; of a setting that no database knows it is empty."""
        if name == "id":
            return ID
        found = CATALOG.get(name) or stored_column(name, self.known, self.values)
        return found or RunColumn(
            name, name.rpartition(".")[2].upper()[:14], 8, _nothing, by(lambda row: None), "unknown"
        )

    def columns(self) -> list[Column[RunRow]]:
        """What a table shows: the state's mark and the run, then what was chosen, with an arrow where it is sorted."""
        shown = [ID, *(self.column(name) for name in self.looks.columns)]
        made = [one.column(one.arrow(down=self.looks.down) if one.name == self.looks.sort else "") for one in shown]
        made[0] = Column(made[0].title, self.id_width, self._id)
        return [Column("", 1, lambda row, _: present.mark(row)), *made]

    def _id(self, row: RunRow, _: float) -> Cell:
        if row.later in self._rows:
            return ((" └ ", "faint"), (row.id, "rest"))
        if row.attempt > 1 and ids.base(row.id) in self._heads:
            sign = "▾" if ids.base(row.id) in self.unfolded else "▸"
            return ((row.id, "strong"), (f" {sign}", "ours"))
        return ((row.id, "strong"),)

    def names(self) -> list[str]:
        """Columns in the order of the table, the id first."""
        return ["id", *self.looks.columns]

    def sort_beside(self, way: int) -> Looks:
        """Looks that sort by the column to the left (-1) or right (1) of the one that is sorted by now."""
        names = self.names()
        at = names.index(self.looks.sort) if self.looks.sort in names else (-1 if way > 0 else 0)
        return self.sort_by(names[(at + way) % len(names)])

    def sort_by(self, name: str) -> Looks:
        """Looks that sort by a column; once more by the same one turns it around."""
        if name == self.looks.sort:
            return Looks(self.looks.columns, name, not self.looks.down)
        return Looks(self.looks.columns, name, self.column(name).down)

    # -- words -------------------------------------------------------------------------------------------------

    def title(self, marked: frozenset[str]) -> str:
        """312 of 9,840 · state:failed · by VAL ↑ · 3 marked, 1 of them not listed."""
        view = self.view
        amount = f"{view.matched:,} of {view.total:,}" if self.query.node else f"{view.total:,}"
        parts = [amount] + ([self.query.text.strip()] if self.query.node else [])
        by = self.column(self.looks.sort)
        parts.append(f"by {by.title} {by.arrow(down=self.looks.down)}")
        there = [run for run in marked if run in self._rows]
        if there:
            away = sum(run not in self._places for run in there)
            parts.append(f"{len(there):,} marked" + (f", {away:,} of them not listed" if away else ""))
        return " · ".join(parts)

    def sql(self, now: float) -> str:
        """The question to runs.duckdb whose answer is this list."""
        asked = self.column(self.looks.sort).asked
        shown = [name for name in self.looks.columns if name not in CATALOG and self.known.find(name)]
        return sql(self.query, [(asked, self.looks.down)] if asked else [], shown, now)

    def markdown(self, rows: Sequence[RunRow], now: float) -> str:
        """These runs as a table for a report, with the columns that are shown."""
        shown = [ID, *(self.column(name) for name in self.looks.columns)]
        lines = ["| " + " | ".join(one.title for one in shown) + " |", "|" + "---|" * len(shown)]
        for row in rows:
            cells = (present.plain(one.fill(row, now)).strip().replace("|", "\\|") for one in shown)
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def changed(before: Mapping[str, RunRow], rows: Mapping[str, RunRow]) -> list[RunRow]:
    """The rows that are not the very same ones as before."""
    if len(rows) == len(before):  # most often in the same order, too: then it is five times as fast
        others = [*map(is_not, rows.values(), before.values())]
        found = [*compress(rows.values(), others)]
        if [*map(_id, found)] == [*map(_id, compress(before.values(), others))]:
            return found
    return [row for run, row in rows.items() if before.get(run) is not row]


def _nothing(row: RunRow, now: float) -> Cell:
    return ((present.NONE, "faint"),)
