"""A screen kept cell by cell, and the fewest bytes that make a terminal show the next one: for a slow line.

Textual gives every segment its colours in full and takes them back behind it, some forty bytes each, and writes blanks
as blanks. Here colours are told where they change, blanks are erased, lines are repeated, and over what stands there
already the cursor moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual.strip import SGR_STYLES, Strip

from tui.skills import Skills

ERASED, REPEATED, LEAPT = 10, 8, 4
"""From how many blanks on to erase them, from how many equal signs on to repeat one, and from how many cells that stand
there already on to go over them: what these take is about as long."""
_OFF = {0: "22", 1: "22", 2: "23", 3: "24", 4: "25", 5: "25", 6: "27", 7: "28", 8: "29", 9: "24", 12: "55"}
_WEIGHT, _UNDER, _BLINK = 0b11, 1 << 3 | 1 << 9, 0b110000
_SHOWN_ON_BLANKS = _UNDER | 1 << 6 | 1 << 8 | 1 << 12
"""Attributes that a blank shows: underlined, reversed, struck, overlined."""


class Look(NamedTuple):
    """Colours as the parameters of their SGR sequences, "" for the terminal's own; attributes as bits of Rich's."""

    front: str = ""
    ground: str = ""
    attributes: int = 0
    link: str = ""
    """The sequence that opens a hyperlink."""


PLAIN = Look()
Cell = tuple[str, Look]
"""A sign and how it looks; "" is the second half of a wide one."""


@lru_cache(maxsize=4096)
def look_of(style: Style | None, system: ColorSystem) -> Look:
    if style is None:
        return PLAIN
    front, ground = style.color, style.bgcolor
    return Look(
        ";".join(front.downgrade(system).get_ansi_codes()) if front else "",
        ";".join(ground.downgrade(system).get_ansi_codes(False)) if ground else "",
        style._attributes & style._set_attributes,
        f"\x1b]8;id={style._link_id};{style._link}\x1b\\" if style._link else "",
    )


@lru_cache(maxsize=4096)
def blank_of(look: Look) -> Look:
    """How a blank looks: of its front colour nothing is seen, unless a line goes through it."""
    if look.link or look.attributes & _SHOWN_ON_BLANKS:
        return look
    return Look("", look.ground)


@lru_cache(maxsize=8192)
def turn(old: Look, new: Look) -> str:
    """The shortest sequence from one look to another."""
    if old == new:
        return ""
    link = (new.link or "\x1b]8;;\x1b\\") if old.link != new.link else ""
    lost, gained = old.attributes & ~new.attributes, new.attributes & ~old.attributes
    for family in (_WEIGHT, _UNDER, _BLINK):  # one sequence takes back both of a family
        if lost & family:
            gained |= new.attributes & family
    codes = [*dict.fromkeys(_OFF.get(bit, "0") for bit in _bits(lost)), *(SGR_STYLES[bit] for bit in _bits(gained))]
    if old.front != new.front:
        codes.append(new.front or "39")
    if old.ground != new.ground:
        codes.append(new.ground or "49")
    anew = [*(SGR_STYLES[bit] for bit in _bits(new.attributes)), *(one for one in (new.front, new.ground) if one)]
    fresh = ";".join(["", *anew])  # an empty parameter is 0: all of it off
    step = ";".join(codes)
    if not step:
        return link
    return f"{link}\x1b[{fresh if '0' in codes or len(fresh) < len(step) else step}m"


def _bits(attributes: int) -> list[int]:
    return [bit for bit in range(attributes.bit_length()) if attributes & 1 << bit]


def cells(strip: Strip, system: ColorSystem) -> list[Cell]:
    """What a strip puts into each cell."""
    found: list[Cell] = []
    for text, style, control in strip:
        if control or not text:
            continue
        look = look_of(style, system)
        if text.isspace():
            found += [(" ", blank_of(look))] * cell_len(text)
        elif cell_len(text) == len(text):
            blank = blank_of(look)
            found += [(sign, look) if sign != " " else (sign, blank) for sign in text]
        else:
            _add_wide(found, text, look)
    return found


def _add_wide(found: list[Cell], text: str, look: Look) -> None:
    """Signs of two cells take two; those of none belong to the one before."""
    for sign in text:
        width = cell_len(sign)
        if width == 0 and found:
            before, its = found.pop()
            behind = []
            if before == "" and found:
                behind, (before, its) = [(before, its)], found.pop()
            found += [(before + sign, its), *behind]
        elif width:
            found += [(sign, look if sign != " " else blank_of(look)), *[("", look)] * (width - 1)]


class Sheetful:
    """What a terminal of so many cells shows, as far as it is known."""

    def __init__(self, width: int, height: int, skills: Skills) -> None:
        self._width, self._height, self._skills = width, height, skills
        self._rows: list[list[Cell | None]] = []
        self.forget()

    def forget(self) -> None:
        """Something else was written."""
        self._rows = [[None] * self._width for _ in range(self._height)]

    def written(self, placed: Iterable[tuple[int, int, Strip]], system: ColorSystem, *, whole: bool = False) -> str:
        """What to write so that strips stand where they are placed: (line, first column, strip).

        whole: they fill the screen, which is cleared first where nothing is known of it.
        """
        rows: dict[int, list[Cell | None]] = {}
        for y, x, strip in placed:
            if not 0 <= y < self._height:
                continue
            row = rows.setdefault(y, self._rows[y][:])
            made = cells(strip, system)[: max(0, self._width - x)]
            for edge in (x, x + len(made)):
                _part(row, edge)
            row[x : x + len(made)] = made
        pen = Pen(self._skills, self._width)
        if whole and all(cell is None for row in self._rows for cell in row):
            self._clear(rows, pen)
        for y in sorted(rows):
            self._line(y, rows[y], pen)
        return pen.lifted()

    def _clear(self, rows: dict[int, list[Cell | None]], pen: Pen) -> None:
        """Erase everything in the ground that most of it has."""
        grounds: dict[str, int] = {}
        for row in rows.values():
            for ground, some in groupby(cell[1].ground for cell in row if cell is not None):
                grounds[ground] = grounds.get(ground, 0) + sum(1 for _ in some)
        ground = max(grounds, key=lambda one: grounds[one], default="") if self._skills.colored else ""
        blank = " ", Look("", ground)
        pen.clear(blank[1])
        self._rows = [[blank] * self._width for _ in range(self._height)]

    def _line(self, y: int, row: list[Cell | None], pen: Pen) -> None:
        """Write what of a line looks otherwise."""
        old, self._rows[y] = self._rows[y], row
        if old == row:
            return
        for start, stop in _spans(old, row):
            pen.write(y, start, [cell for cell in row[start:stop] if cell is not None])


def _part(row: list[Cell | None], x: int) -> None:
    """Make blanks of a wide sign that has its second half in this column: one half will be overwritten."""
    if 0 < x < len(row) and (half := row[x]) is not None and half[0] == "":
        row[x - 1] = row[x] = " ", Look("", half[1].ground)


def _spans(old: Sequence[Cell | None], new: Sequence[Cell | None]) -> list[tuple[int, int]]:
    """First and end column of what is to be written; what stands between two that are close is written again."""
    spans: list[tuple[int, int]] = []
    for x, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after or after is None:
            continue
        start = x - 1 if after[0] == "" and x else x
        if spans and start - spans[-1][1] < LEAPT and _same(new[spans[-1][1] - 1 : start + 1]):
            spans[-1] = spans[-1][0], x + 1
        elif not spans or start >= spans[-1][1]:
            spans.append((start, x + 1))
        else:
            spans[-1] = spans[-1][0], x + 1
    return spans


def _same(some: Sequence[Cell | None]) -> bool:
    """Whether they are known and look alike but for blanks, so that to write them takes a byte or three each."""
    known = [cell for cell in some if cell is not None]
    signs = {look for sign, look in known if sign != " "}
    grounds = {(look.ground, look.attributes & _SHOWN_ON_BLANKS) for _, look in known}
    return len(known) == len(some) and len(signs) <= 1 and len(grounds) == 1


class Pen:
    """Where the terminal writes next and in which look, over one frame; it begins and ends in the plain one."""

    def __init__(self, skills: Skills, width: int) -> None:
        self._skills, self._width = skills, width
        self._look = PLAIN
        self._at: tuple[int, int] | None = None
        self._out: list[str] = []

    def clear(self, blank: Look) -> None:
        self._out += [turn(self._look, blank), "\x1b[2J"]
        self._look = blank

    def _go(self, y: int, x: int) -> None:
        """The shortest way there. Behind the last column a terminal may stand in it or past it."""
        if self._at == (y, x):
            return
        ways = [f"\x1b[{y + 1 if y else ''}{f';{x + 1}' if x else ''}H"]
        if self._at is not None:
            line, column = self._at
            if line == y and column < x and column < self._width:
                ways.append(_right(x - column))
            elif line == y - 1:
                ways.append("\r\n" + _right(x))
        self._out.append(min(ways, key=len))
        self._at = y, x

    def write(self, y: int, x: int, some: Sequence[Cell]) -> None:
        """Cells from a place on; up to the end of the line it may erase."""
        for (sign, look), run in groupby(some):
            count = sum(1 for _ in run)
            if sign == "":
                continue
            self._go(y, x)
            self._take(sign, look)
            width = cell_len(sign)
            if sign == " ":
                self._blanks(count, look)
            elif count >= REPEATED and self._skills.repeats and width == len(sign) == 1:
                self._out.append(f"{sign}\x1b[{count - 1}b")
                self._at = None  # where that is not understood after all, the rest stands in its place all the same
            else:
                self._step(sign * count, count * width)
            x += count * width

    def _take(self, sign: str, look: Look) -> None:
        if sign == " " and not look.link and not look.attributes & _SHOWN_ON_BLANKS:
            # what else the pen has may stay: a blank does not show it
            kept = self._look.attributes & ~_SHOWN_ON_BLANKS
            look = Look(self._look.front, look.ground, kept)
        self._out.append(turn(self._look, look))
        self._look = look

    def _blanks(self, count: int, look: Look) -> None:
        assert self._at is not None
        y, x = self._at
        erasable = not look.link and not look.attributes & _SHOWN_ON_BLANKS
        if look.ground and not self._skills.colored:
            erasable = False
        if erasable and x + count == self._width and count > len("\x1b[K"):
            self._out.append("\x1b[K")
        elif erasable and count >= ERASED and self._skills.erases:
            self._out.append(f"\x1b[{count}X")
            self._out.append(_right(count))
            self._at = y, x + count
        else:
            self._step(" " * count, count)

    def _step(self, text: str, width: int) -> None:
        assert self._at is not None
        self._out.append(text)
        self._at = self._at[0], self._at[1] + width

    def lifted(self) -> str:
        """All of it, the last look taken back."""
        return "".join([*self._out, turn(self._look, PLAIN)])


def _right(count: int) -> str:
    return "" if count == 0 else "\x1b[C" if count == 1 else f"\x1b[{count}C"
