"""Styles that are parsed once: Textual's own parse all there are anew for each screen that is first gone to."""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES = 512
"""More than there are classes with styles; Textual keeps 64, and nearly as many make up one screen."""


class Sheet(Stylesheet):
    """The styles of the app; what was parsed is kept until the theme, and with it the variables, changes."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse what is not parsed yet. Textual does it in a copy, lest an error leave half of it; ours have none."""
        self.parse()
