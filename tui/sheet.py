"""Styles that are parsed once: Textual's own parse all there are anew for each screen that is first gone to."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen

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


class Styled(App[None]):
    """An app with such styles; a screen's are taken up for that alone, where Textual works out all others anew."""

    def __init__(self) -> None:
        super().__init__()
        self.stylesheet = Sheet(variables=self.get_css_variables())

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """What is on a screen gets its styles as it is mounted; anew where another theme came since."""
        assert screen.SCOPED_CSS
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path), ""):
                self.stylesheet.read(path)
        where = type(screen).__module__, f"{type(screen).__name__}.CSS"
        if screen.CSS and not self.stylesheet.has_source(*where):
            self.stylesheet.add_source(screen.CSS, read_from=where, scope=screen._css_type_name)
        if screen._css_update_count in (-1, self._css_update_count):
            self.stylesheet.apply(screen)
        else:
            self.stylesheet.update(screen)
        screen._css_update_count = self._css_update_count
