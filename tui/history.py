"""The queries that were asked, one JSON string a line in the user's state folder: appended, read when first wanted."""

from __future__ import annotations

import json
from pathlib import Path

from tui.settings import folder

KEPT = 500
"""Queries that are remembered; the file is cut to them when it holds twice as many."""


class History:
    """Newest first. Losing it loses nothing but memories: what can't be read or written is left."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or folder() / "sql-history.jsonl"
        self._queries: list[str] | None = None

    @property
    def queries(self) -> list[str]:
        if self._queries is None:
            self._queries = self._read()
        return self._queries

    def add(self, query: str) -> None:
        """Remember a query as the newest; one that was asked before moves up."""
        query = query.strip()
        queries = self.queries
        if not query or queries[:1] == [query]:
            return
        if query in queries:
            queries.remove(query)
        queries.insert(0, query)
        del queries[KEPT:]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(query) + "\n")
        except OSError:
            pass

    def _read(self) -> list[str]:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []
        found: dict[str, None] = {}
        for line in reversed(lines):
            try:
                query = json.loads(line)
            except ValueError:  # torn, or not ours
                continue
            if isinstance(query, str):
                found.setdefault(query)
        kept = list(found)[:KEPT]
        if len(lines) > 2 * KEPT:
            self._cut(kept)
        return kept

    def _cut(self, kept: list[str]) -> None:
        beside = self.path.with_suffix(".new")
        try:
            beside.write_text("".join(json.dumps(query) + "\n" for query in reversed(kept)), encoding="utf-8")
            beside.replace(self.path)
        except OSError:
            beside.unlink(missing_ok=True)
