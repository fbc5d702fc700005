"""A query and an order of runs as SQL for runs.duckdb, so that a person can go on from what a list shows.

The database tells a little less than the engine: there a live run is `open`, and some fields do not exist. What can't
be said in SQL is left out of the condition, and a comment at the top says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from engine.query import All, Either, Node, Not, Test, Value, Word, written
from engine.query_fields import TIMES, Field, Known, Stored, resolve
from engine.query_rows import ORDERS, Query, edge, is_range, number, spread, states
from engine.records import LIVE, WAITING
from engine.sizes import size
from engine.when import duration

SHOWN = """SELECT s.id, s.state, s.family, s.name, s.val_pct_mae, s.skill, s.steps, s.seconds / 3600 AS hours,
  s.submitted, s.ended, s.cause, r.note{more}
FROM run_summary s JOIN runs r USING (run_id)
WHERE {where}
ORDER BY {order}"""
_TEXTS = (
    "lower(concat_ws(' ', s.id, s.family, s.state, s.name, r.note, s.cause, array_to_string(r.command, ' '), "
    "(SELECT string_agg(t.tag, ' ') FROM tags t WHERE t.run_id = s.run_id)))"
)
_OUTCOMES = {**dict.fromkeys(LIVE | {"lost"}, "open"), **dict.fromkeys(WAITING, "queued")}


def sql(query: Query, order: Sequence[tuple[str, bool]], shown: Sequence[str] = (), now: float = 0.0) -> str:
    """Give the text of the question.

    order: names of fields, settings or metrics, with whether the largest come first. shown: such names that are
    columns besides. now: what durations in the query are counted back from.
    """
    maker = _Maker(query.known, now)
    condition = maker.condition(query.node) if query.node is not None else None
    where = ["NOT coalesce(r.archived, false)", *([condition] if condition else [])]
    by = [f"{found} {'DESC' if down else 'ASC'} NULLS LAST" for name, down in order if (found := maker.value(name))]
    more = [f',\n  {found} AS "{name}"' for name in shown if (found := maker.value(name))]
    said = "".join(f"-- left out, because only the engine knows it: {part}\n" for part in maker.left_out)
    return said + SHOWN.format(more="".join(more), where="\n  AND ".join(where), order=", ".join([*by, "s.id"]))


class _Maker:
    def __init__(self, known: Known, now: float) -> None:
        self.known, self.now = known, now
        self.left_out: list[str] = []

    def value(self, name: str) -> str:
        """An expression for a field by name; "" where the database has none."""
        if name in ("submitted", "started", "ended"):
            return f"s.{name}"
        found = resolve(name, self.known, 0)
        if isinstance(found, Field):
            return "" if found.sql == "tags" else found.sql
        return _stored(found)

    def condition(self, node: Node) -> str | None:
        """None where it can't be told in SQL."""
        if isinstance(node, Word):
            return f"contains({_TEXTS}, {_text(node.text.lower())})" if node.text else "true"
        if isinstance(node, Not):
            one = self.condition(node.one)
            return None if one is None else f"NOT coalesce({one}, false)"
        if isinstance(node, All):
            parts = [found for part in node.parts if (found := self.condition(part)) is not None]
            return " AND ".join(parts) or None
        if isinstance(node, Either):
            before = len(self.left_out)
            made = [self.condition(part) for part in node.parts]
            if None in made:  # half of an `or` would leave out runs that are meant
                self.left_out[before:] = [written(node)]
                return None
            return "(" + " OR ".join(str(part) for part in made) + ")"
        found = self.test(node)
        if found is None:
            self.left_out.append(written(node))
        return found

    def test(self, test: Test) -> str | None:
        if test.field in TIMES:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(edge(test, self.now)))
            return f"s.submitted {'>=' if test.field == 'since' else '<'} TIMESTAMP '{at}'"
        if test.field == "has":
            parts = [self.there(value) for value in test.values]
            return None if None in parts else "(" + " OR ".join(str(part) for part in parts) + ")"
        found = resolve(test.field, self.known, test.at)
        if not isinstance(found, Field):
            return _of_stored(test, _stored(found))
        if not found.sql:
            return None
        if found.kind == "many":
            return self.tags(test)
        if found.kind == "state":
            meant = {_OUTCOMES.get(state, state) for state in states(test)}
            return f"{found.sql} {'NOT ' * (test.operator == '!=')}IN ({', '.join(map(_text, sorted(meant)))})"
        if found.kind in ("number", "span", "size"):
            reading = {"number": number, "span": _span, "size": _size}[found.kind]
            return _amounts(found.sql, test, [spread(value, reading) for value in test.values])
        fits = " OR ".join(_fits(found.sql, value, test.operator, found.kind) for value in test.values)
        return f"({found.sql} <> '' AND NOT ({fits}))" if test.operator == "!=" else f"({fits})"

    def tags(self, test: Test) -> str:
        fits = " OR ".join(_fits("t.tag", value, test.operator, "name") for value in test.values)
        having = f"EXISTS (FROM tags t WHERE t.run_id = s.run_id AND ({fits}))"
        anything = "EXISTS (FROM tags t WHERE t.run_id = s.run_id)"
        return f"({anything} AND NOT {having})" if test.operator == "!=" else having

    def there(self, value: Value) -> str | None:
        found = resolve(value.text, self.known, value.at)
        if not isinstance(found, Field):
            return f"{_stored(found)} IS NOT NULL"
        if found.sql == "tags":
            return "EXISTS (FROM tags t WHERE t.run_id = s.run_id)"
        return f"coalesce(({found.sql})::VARCHAR, '') <> ''" if found.sql else None


def _stored(found: Sequence[Stored]) -> str:
    names = ", ".join(_text(one.name) for one in found)
    if found[0].of == "param":
        return f"(SELECT any_value(p.value) FROM params p WHERE p.run_id = s.run_id AND p.name IN ({names}))"
    name = found[0].name
    logged = f"(SELECT l.value FROM latest l WHERE l.run_id = s.run_id AND l.metric = {names})"
    if not name.startswith("val_"):
        return logged
    scored = (
        "(SELECT max(e.value) FROM evaluations e WHERE e.run_id = s.run_id AND e.split = 'val' AND e.symbol = '' "
        f"AND e.metric = {_text(name.removeprefix('val_'))})"
    )
    return f"coalesce({scored}, {logged})"


def _of_stored(test: Test, expression: str) -> str:
    as_number = f"TRY_CAST({expression} AS DOUBLE)"
    if test.operator in ORDERS:
        return f"{as_number} {test.operator} {_number(number(test.values[0]))}"
    fits = []
    for value in test.values:
        if is_range(value):
            low, high = spread(value, number)
            fits.append(_between(as_number, low, high))
        else:
            fits.append(_fits(expression, value, "=", "name"))
    joined = " OR ".join(f"coalesce({fit}, false)" for fit in fits)
    return f"({expression} IS NOT NULL AND NOT ({joined}))" if test.operator == "!=" else f"({joined})"


def _amounts(expression: str, test: Test, ranges: Sequence[tuple[float, float]]) -> str:
    if test.operator in ORDERS:
        return f"{expression} {test.operator} {_number(ranges[0][0])}"
    joined = " OR ".join(_between(expression, low, high) for low, high in ranges)
    return f"NOT ({joined})" if test.operator == "!=" else f"({joined})"


def _between(expression: str, low: float, high: float) -> str:
    if low == high:
        return f"{expression} = {_number(low)}"
    return f"{expression} BETWEEN {_number(low)} AND {_number(high)}"


def _fits(expression: str, value: Value, operator: str, kind: str) -> str:
    text = value.text.lower()
    if "*" in text and not value.quoted:
        shape = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
        return f"lower({expression}) LIKE {_text(shape)} ESCAPE '\\'"
    if operator == ":" and kind == "text":
        return f"contains(lower({expression}), {_text(text)})"
    if operator == ":" and kind == "begin":
        return f"starts_with(lower({expression}), {_text(text)})"
    return f"lower({expression}) = {_text(text)}"


def _span(value: Value) -> float:
    return duration(value.text)


def _size(value: Value) -> float:
    return size(value.text, "")


def _number(value: float) -> str:
    if math.isinf(value):
        return f"'{'-' if value < 0 else ''}inf'::DOUBLE"
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
