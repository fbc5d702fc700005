"""SQL cut into tokens, as far as colours and completion need it: nothing is lost, and nothing is ever an error."""

from __future__ import annotations

import re

from msgspec import Struct

KEYWORDS = frozenset(
    """
    all and any as asc asof between by case cast cross cube cume_dist current desc describe distinct else end escape
    except exclude exists explain false filter first following for from full glob group grouping having ilike in inner
    intersect interval into is isnull join lag last lateral lead left like limit lower materialized natural not notnull
    null nulls offset on or order outer over partition pivot positional preceding qualify range recursive replace right
    rollup row rows sample select semi sets show similar some summarize table tablesample then ties to true unbounded
    union unnest unpivot upper using values view when where window with within
    """.split()  # noqa: SIM905
)
"""Of questions only: this place is read-only."""

KEYWORD, NAME, QUOTED, STRING, NUMBER, COMMENT, SIGN, SPACE = (
    "keyword", "name", "quoted", "string", "number", "comment", "sign", "space",
)  # fmt: skip

_PATTERN = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^']|'')*(?:'|\Z)|\$\$.*?(?:\$\$|\Z))
    | (?P<quoted>"(?:[^"]|"")*(?:"|\Z))
    | (?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[^\W\d]\w*)
    | (?P<space>\s+)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(Struct, frozen=True):
    """text[start:end]. kind: one of the constants above; a string, comment or quoted name may lack its end."""

    kind: str
    start: int
    end: int
    text: str

    @property
    def word(self) -> str:
        """In lower case; a quoted name without its quotes."""
        if self.kind == QUOTED:
            return self.text.strip('"').replace('""', '"').lower()
        return self.text.lower()

    def is_name(self) -> bool:
        return self.kind in (NAME, QUOTED)


def tokens(text: str) -> list[Token]:
    """Cut a text into tokens that stand side by side and are the text again."""
    found = []
    for match in _PATTERN.finditer(text):
        kind = match.lastgroup or SIGN
        if kind == NAME and match.group().lower() in KEYWORDS:
            kind = KEYWORD
        found.append(Token(kind, match.start(), match.end(), match.group()))
    return found


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Where a character is, both from 0."""
    before = text[:at]
    return before.count("\n"), at - (before.rfind("\n") + 1)


def statement_at(text: str, at: int) -> tuple[int, int]:
    """Start and end of the statement that holds a character; each ends before its semicolon."""
    start = 0
    for token in tokens(text):
        if token.kind == SIGN and token.text == ";":
            if at <= token.start:
                return start, token.start
            start = token.end
    return start, len(text)
