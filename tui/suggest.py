"""How a query that is being typed may go on: names of fields, states, families and tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from textual.suggester import Suggester

from engine.query_fields import ALIASES, FIELDS, GROUPS, STATES, TIMES, Known
from engine.records import RunRow

_LAST = re.compile(r"(?:^|[\s(]|(?<=[\s(])-|^-)([A-Za-z_][\w.]*)(?:(:|=|!=)([^\s()\"]*))?$")


def complete(text: str, known: Known, values: Mapping[str, Iterable[str]]) -> str | None:
    """The whole text with its last word gone on, or None. values: field -> values that runs have there."""
    found = _LAST.search(text)
    if found is None:
        return None
    name, operator, value = found.groups()
    if operator is None:
        names = [*FIELDS, *TIMES, "has", *known.names()]
        other = next((one for one in names if one.startswith(name) and one != name), None)
        return None if other is None else f"{text}{other[len(name) :]}:"
    begun = value.rpartition(",")[2]
    choices = values.get(ALIASES.get(name, name), ())
    other = next((one for one in sorted(choices) if begun and one.startswith(begun) and one != begun), None)
    return None if other is None else text + other[len(begun) :]


class QuerySuggester(Suggester):
    """Shows how the query may go on in grey; the right arrow takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.known = Known()
        self._values: dict[str, set[str]] = {}

    def learn(self, rows: Iterable[RunRow], known: Known) -> None:
        """Take the values there are, once when the line is opened."""
        self.known = known
        listed = list(rows)
        self._values = {
            "state": {*STATES, *GROUPS},
            "family": {row.family for row in listed},
            "tag": {tag for row in listed for tag in row.tags},
            "has": {*FIELDS, *known.names()},
        }

    async def get_suggestion(self, value: str) -> str | None:
        return complete(value, self.known, self._values)
