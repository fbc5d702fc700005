"""`engine ls`: the runs, one a line. It is asked for all the time, so a usual call does without typer as well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from engine import when
from engine.cli import table, talk, words
from engine.errors import UsageError
from engine.messages import Listed, ListRuns, ListText, Rows
from engine.records import ENDED, LIVE, WAITING, RunRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.query_rows import Query

WHAT = 24
"""Characters of a line that what a run is, or why it waits, gets before other columns."""
RECENT = 20
"""Ended runs that are listed unless --all or --limit says otherwise."""
STATES = tuple(sorted(WAITING | LIVE | ENDED))
COLOURS = {
    "running": "32",
    "failed": "31",
    "lost": "31",
    "orphaned": "33",
    "stopping": "33",
    "paused": "33",
    "held": "33",
    "ok": "36",
}


class Asked(NamedTuple):
    """What to list. state: states or the words waiting, live, ended; a run that has any of them is listed."""

    every: bool = False
    state: tuple[str, ...] = ()
    family: str = ""
    tag: tuple[str, ...] = ()
    limit: int | None = None
    json: bool = False
    archived: bool = False
    """Only archived runs, which are else left out."""
    attempts: bool = False
    """Each attempt by itself; else only the last one at a run."""
    query: str = ""
    """What runs have to be besides, in the language of engine.query."""
    sql: bool = False
    """Give the SQL of the query instead."""


def quick(args: Sequence[str]) -> Asked | None:
    """Read the options of a usual call; None for anything else, which typer then reads or explains."""
    every = as_json = archived = attempts = False
    family = ""
    limit: int | None = None
    lists: dict[str, list[str]] = {"--state": [], "--tag": []}
    query: list[str] = []
    words_ = iter(args)
    for word in words_:
        name, equals, value = word.partition("=")
        if word in ("--all", "-a"):
            every = True
        elif word == "--json":
            as_json = True
        elif word == "--archived":
            archived = True
        elif word == "--attempts":
            attempts = True
        elif name in ("--state", "--tag", "--family", "--limit"):
            value = value if equals else next(words_, "")
            if not value or value.startswith("-"):
                return None
            if name == "--family":
                family = value
            elif name == "--limit":
                if not value.isdecimal():
                    return None
                limit = int(value)
            else:
                lists[name].append(value)
        elif word.startswith("-"):
            return None
        else:
            query.append(word)
    states, tags = tuple(lists["--state"]), tuple(lists["--tag"])
    return Asked(every, states, family, tags, limit, as_json, archived, attempts, " ".join(query))


def show(asked: Asked) -> None:
    """List the runs that are asked for, in the order: what ended, what lives, what waits."""
    if asked.sql:
        talk.out(behind(asked.query))
        return
    shown, said = found(asked, talk.ask(wish(asked), Rows))
    if asked.json:
        talk.json_out(shown)
    elif shown:
        talk.table(columns(time.time()), shown)
    for line in said:
        talk.say(line)


def listed(asked: ListText, ask: Callable[[ListRuns], Rows]) -> Listed:
    """Answer a usual call in the engine, which has all this needs at hand. Raises UsageError for any other call."""
    read = quick(asked.args)
    if read is None or read.json or read.query:
        raise UsageError("That is no list of runs as text.")
    shown, said = found(read, ask(wish(read)))
    if not shown:
        return Listed("", tuple(said))
    text, beside = table.fitted(columns(time.time()), shown, asked.width, colour=asked.colour)
    return Listed(text, (*beside, *said))


def wish(asked: Asked) -> ListRuns:
    """What to ask the engine for: it knows the last few without looking at each run."""
    by_row = asked.state or asked.family or asked.tag or asked.query
    return ListRuns(ended=None if by_row else _limit(asked), archived=asked.archived, attempts=asked.attempts)


def _limit(asked: Asked) -> int | None:
    all_of_them = asked.every or asked.state or asked.query
    return asked.limit if asked.limit is not None else None if all_of_them else RECENT


def found(asked: Asked, reply: Rows) -> tuple[list[RunRow], list[str]]:
    """Give the rows to show, and what to say about them."""
    limit, said = _limit(asked), []
    chosen = choose(reply.rows, asked)
    if asked.query:
        chosen = meant(chosen, asked.query)
    ended = [row for row in chosen if row.state in ENDED]
    more = 0 if limit is None else max(0, len(ended) - limit)
    left_out = more + reply.left_out
    kept = {row.id for row in ended[more:]}
    shown = [row for row in chosen if row.state not in ENDED or row.id in kept]
    if reply.queue_paused is not None:
        at = when.clock(reply.queue_paused, time.time())
        said.append(f"the queue is paused since {at}; `engine resume` lets it go on.")
    if left_out:
        said.append(f"{left_out} older runs are not listed; `engine ls --all` lists them.")
    elif not shown and not asked.json:
        known = len(reply.rows) + reply.left_out + reply.others
        said.append(f"none of {known} runs is like that." if known else "no runs yet: `engine run toto` queues one.")
    return shown, said


def choose(rows: Sequence[RunRow], asked: Asked) -> list[RunRow]:
    """Filter, then order: ended by their end, live by their start, waiting by their place in the queue."""
    states = _states(asked.state)
    if asked.family and asked.family not in (families := {row.family for row in rows}):
        from engine.errors import UnknownFamily, did_you_mean

        raise UnknownFamily(f"No run of a family '{asked.family}'.{did_you_mean(asked.family, families)}")
    chosen = [
        row
        for row in rows
        if row.archived == asked.archived
        and (asked.attempts or not row.later)
        and (not states or row.state in states)
        and (not asked.family or row.family == asked.family)
        and all(tag in row.tags for tag in asked.tag)
    ]
    return sorted(chosen, key=_order)


def meant(rows: Sequence[RunRow], text: str) -> list[RunRow]:
    """The rows that a query means. The database is opened only for what the rows do not tell: 0.1 s."""
    from engine.errors import BadFilter
    from engine.query_rows import keep, read

    now = time.time()
    try:
        query = read(text, now=now)
    except BadFilter:
        query = _read(text, now)
    if not query.needs:
        return keep(rows, query, {}, now)
    from engine import store_fields

    _, columns = store_fields.read(talk.workspace().database, query.needs)
    return keep(rows, query, columns, now)


def behind(text: str) -> str:
    """The SQL that asks runs.duckdb for what a query means."""
    from engine.query_sql import sql

    now = time.time()
    return sql(_read(text, now), [("submitted", False)], (), now) + "\n"


def _read(text: str, now: float) -> Query:
    """Understand a query that may name settings and metrics."""
    from engine import store_fields
    from engine.query_rows import read

    known, _ = store_fields.read(talk.workspace().database, ())
    return read(text, known, now)


def _states(asked: Sequence[str]) -> set[str]:
    groups = {"waiting": WAITING, "live": LIVE, "ended": ENDED}
    found: set[str] = set()
    for word in ",".join(asked).split(",") if asked else ():
        if word in groups:
            found |= groups[word]
        elif word in STATES:
            found.add(word)
        else:
            from engine.errors import did_you_mean

            known = (*STATES, *groups)
            raise UsageError(f"No state '{word}'.{did_you_mean(word, known)} States: {', '.join(known)}.")
    return found


def _order(row: RunRow) -> tuple[int, float, float]:
    if row.state in ENDED:
        return 0, row.ended or row.since, row.submitted
    if row.state in LIVE:
        return 1, row.started or row.since, row.submitted
    return 2, row.place if row.place is not None else 1e9, row.submitted


def columns(now: float) -> tuple[table.Column, ...]:
    column = table.Column
    return (
        column("RUN", lambda r: r.id, keep=True),
        column("STATE", lambda r: r.state, style=lambda r: COLOURS.get(r.state, ""), keep=True),
        column("NAME", lambda r: r.name, shrink=True),
        column("ON", lambda r: ",".join(r.labels) if r.state in LIVE else ""),
        column("DONE", done, right=True, spare=1),
        column("LOSS", lambda r: words.number(r.loss), right=True, spare=3),
        column("MAE%", lambda r: words.number(r.best if r.best is not None else r.metric), right=True),
        column("SKILL", lambda r: "" if r.skill is None else f"{r.skill:+.3f}", right=True),
        column("ETA", lambda r: eta(r, now), right=True),
        column("TIME", lambda r: taken(r, now), right=True, spare=2),
        column("TAGS", lambda r: ",".join(r.tags), shrink=True, spare=4),
        column("WHAT", told, shrink=True, least=WHAT),
    )


def done(row: RunRow) -> str:
    if row.step is None:
        return row.phase
    if not row.steps:
        return f"step {row.step}"
    return f"{100 * row.step / row.steps:.0f}%"


def eta(row: RunRow, now: float) -> str:
    """How long it still takes: by its own rate, or by what runs like it took (~)."""
    if row.state not in LIVE:
        return ""
    if row.eta is not None or row.until is None:
        return words.span(row.eta)
    return f"~{words.span(row.until - now)}" if row.until > now else ""


def taken(row: RunRow, now: float) -> str:
    """How long it ran, or has been waiting."""
    if row.state in WAITING:
        return words.span(now - row.submitted)
    return words.span((row.ended or now) - row.started) if row.started else ""


def told(row: RunRow) -> str:
    """Why it waits or failed, else what it is."""
    if row.state in WAITING:
        place = f"{row.place}. " if row.place else ""
        return f"{place}{row.reason}" or row.what
    return " · ".join(part for part in (row.reason, attempt(row), row.what, row.warning) if part)


def attempt(row: RunRow) -> str:
    """Which attempt at the run it is, and of how many; nothing for a run that ended at its first."""
    if row.attempt < 2 and (row.state in ENDED or row.tries < 2):
        return ""
    return f"attempt {row.attempt}" + (f" of {row.tries}" if row.tries >= row.attempt else "")
