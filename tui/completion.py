"""What may stand at the cursor of a query: tables, views, columns of the tables it names, aliases, keywords. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from msgspec import Struct

from tui.sqltext import COMMENT, KEYWORD, KEYWORDS, NUMBER, SPACE, STRING, Token, statement_at, tokens

FUNCTIONS = (
    "abs", "any_value", "arg_max", "arg_min", "avg", "bool_and", "bool_or", "ceil", "coalesce", "concat", "corr",
    "count", "date_diff", "date_part", "date_trunc", "dense_rank", "epoch", "exp", "first_value", "floor",
    "format_bytes", "greatest", "isfinite", "lag", "last_value", "least", "len", "list", "ln", "log10", "max", "median",
    "min", "mode", "ntile", "now", "nullif", "percent_rank", "pow", "quantile_cont", "rank", "regexp_matches", "round",
    "row_number", "split_part", "sqrt", "stddev_samp", "strftime", "string_agg", "sum", "trim", "try_cast", "var_samp",
)  # fmt: skip

LEAST = 2
"""Letters after which offers come by themselves."""
TABLES_FOLLOW = frozenset({"from", "join", "table", "describe", "summarize", "pivot", "unpivot", "show"})
"""Words after which a table stands."""
ENDS_TABLES = KEYWORDS - {"as", "join", "left", "right", "full", "inner", "cross", "outer", "natural", "semi", "asof",
                          "lateral", "positional"}  # fmt: skip
"""Words that end a list of tables."""


class Column(Struct, frozen=True):
    name: str
    type: str = ""
    comment: str = ""


class Relation(Struct, frozen=True):
    """A table or a view. kind: "table", "view", or "yours" for a view somebody saved."""

    name: str
    kind: str = "table"
    comment: str = ""
    columns: tuple[Column, ...] = ()


class Catalogue(Struct, frozen=True, dict=True):
    relations: tuple[Relation, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Relation]:
        return {relation.name.lower(): relation for relation in self.relations}


class Offer(Struct, frozen=True):
    """text: what is put in. about: the type of a column, else the kind. comment: what the database says of it."""

    text: str
    about: str
    comment: str = ""


class Completion(Struct, frozen=True):
    """Offers that replace the characters from start to the cursor."""

    start: int
    offers: tuple[Offer, ...] = ()


NONE = Completion(0)


def complete(text: str, at: int, catalogue: Catalogue, *, asked: bool = False, most: int = 200) -> Completion:
    """Give what may stand where the cursor is. asked: by a key, so that fewer letters will do.

    Of a statement only what names its tables is understood: FROM, JOIN, aliases and WITH. Sub-queries share the names.
    """
    start, end = statement_at(text, at)
    found = tokens(text[start:end])
    here = at - start
    if any(token.kind in (STRING, COMMENT) and token.start < here < token.end for token in found):
        return NONE
    if any(token.kind in (STRING, COMMENT) and token.end == here and not _closed(token) for token in found):
        return NONE
    under = next((t for t in found if t.start < here <= t.end and (t.is_name() or t.kind == KEYWORD)), None)
    if under is None and any(t.start < here <= t.end and t.kind == NUMBER for t in found):
        return NONE
    typed = text[start + under.start : at] if under is not None else ""
    begin = start + under.start if under is not None else at
    typed = typed.lstrip('"')
    solid = [token for token in found if token.kind not in (SPACE, COMMENT)]
    before = [token for token in solid if token.end <= (under.start if under is not None else here)]
    names = relations_in([token for token in solid if token is not under], catalogue)
    if before and before[-1].text == "." and (under is not None or before[-1].end == here):
        return Completion(begin, _fitting(_columns_after_dot(before, names, catalogue), typed)[:most])
    if not asked and len(typed) < LEAST:
        return NONE
    if _wants_table(before):
        offers = [*_with_names(solid, catalogue), *_tables(catalogue)]
    else:
        offers = _anything(before, names, catalogue)
    fitting = _fitting(offers, typed)
    if len(fitting) == 1 and fitting[0].text.lower() == typed.lower() and not asked:
        return NONE
    return Completion(begin, fitting[:most])


def relations_in(solid: list[Token], catalogue: Catalogue) -> dict[str, Relation]:
    """Alias or name -> relation, of all that a statement reads from. solid: its tokens without spaces and comments."""
    found: dict[str, Relation] = {}
    place = 0
    listing = False
    while place < len(solid):
        token = solid[place]
        if token.kind == KEYWORD:
            listing = token.word in TABLES_FOLLOW or (listing and token.word not in ENDS_TABLES)
        follows = place > 0 and (solid[place - 1].word in TABLES_FOLLOW or (listing and solid[place - 1].text == ","))
        if token.is_name() and follows and (relation := catalogue.by_name.get(token.word)) is not None:
            place += 1
            if place < len(solid) and solid[place].word == "as":
                place += 1
            if place < len(solid) and solid[place].is_name():
                found[solid[place].word] = relation
                place += 1
            else:
                found[token.word] = relation
            continue
        place += 1
    return found


def _closed(token: Token) -> bool:
    text = token.text
    if token.kind == STRING:
        mark = "$$" if text.startswith("$$") else "'"
        return len(text) >= 2 * len(mark) and text.endswith(mark)
    return text.startswith("/*") and text.endswith("*/") and len(text) >= 4


def _wants_table(before: list[Token]) -> bool:
    """Whether a table stands next: after FROM and the like, or after a comma in their list."""
    if not before:
        return False
    if before[-1].word in TABLES_FOLLOW and before[-1].kind == KEYWORD:
        return True
    if before[-1].text != ",":
        return False
    depth = 0
    for token in reversed(before):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0:
            return False
        if depth == 0 and token.kind == KEYWORD and token.word != "as":
            return token.word in TABLES_FOLLOW
    return False


def _columns_after_dot(before: list[Token], names: Mapping[str, Relation], catalogue: Catalogue) -> list[Offer]:
    if len(before) < 2 or not (before[-2].is_name() or before[-2].kind == KEYWORD):
        return []
    word = before[-2].word
    relation = names.get(word) or catalogue.by_name.get(word)
    return _columns([relation] if relation else [])


def _columns(relations: Iterable[Relation]) -> list[Offer]:
    found: dict[str, Offer] = {}
    for relation in relations:
        for column in relation.columns:
            found.setdefault(column.name, Offer(quoted(column.name), column.type.lower(), column.comment))
    return list(found.values())


def _tables(catalogue: Catalogue) -> list[Offer]:
    return [Offer(quoted(one.name), one.kind, one.comment) for one in catalogue.relations]


def _with_names(solid: list[Token], catalogue: Catalogue) -> list[Offer]:
    """Names that WITH gave: `name AS (`."""
    found = []
    for name, word, sign in zip(solid, solid[1:], solid[2:], strict=False):
        if name.is_name() and word.word == "as" and sign.text == "(" and name.word not in catalogue.by_name:
            found.append(Offer(name.text, "with", "named in this query"))
    return found


def _anything(before: list[Token], names: Mapping[str, Relation], catalogue: Catalogue) -> list[Offer]:
    known = names.values() or catalogue.relations
    offers = _columns({relation.name: relation for relation in known}.values())
    offers += [Offer(alias, "alias", relation.name) for alias, relation in names.items() if alias != relation.name]
    if names:
        offers += _tables(catalogue)
    else:
        offers = _tables(catalogue) + offers
    offers += [Offer(name, "function", "") for name in FUNCTIONS]
    upper = not any(token.kind == KEYWORD and token.text.islower() for token in before)
    return offers + [Offer(word.upper() if upper else word, "keyword", "") for word in sorted(KEYWORDS)]


def _fitting(offers: Iterable[Offer], typed: str) -> tuple[Offer, ...]:
    """Those that begin with what was typed, then those that hold it; names once, in their order."""
    low = typed.lower()
    begins, holds = [], []
    seen: set[str] = set()
    for offer in offers:
        name = offer.text.strip('"').lower()
        if name in seen:
            continue
        if name.startswith(low):
            begins.append(offer)
            seen.add(name)
        elif len(low) >= LEAST and low in name and offer.about not in ("keyword", "function"):
            holds.append(offer)
            seen.add(name)
    return (*begins, *holds)


def quoted(name: str) -> str:
    """Write a name as it can stand in a query."""
    plain = name.isidentifier() and name.lower() not in RESERVED and name.isascii() and name == name.lower()
    return name if plain else '"' + name.replace('"', '""') + '"'


RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
    deferrable desc describe distinct do else end except false fetch for foreign from group having in initially
    intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider
    placing primary qualify references returning select show some summarize symmetric table then to trailing true
    union unique unpivot using variadic when where window with
    """.split()  # noqa: SIM905
)
"""Words that are no names without quotes: duckdb_keywords()."""
