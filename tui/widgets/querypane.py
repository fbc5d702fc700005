"""The editor of a query with what belongs to it: offers while one types, and the queries asked before."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from tui.completion import Catalogue, complete
from tui.history import History
from tui.widgets.editor import SqlEditor
from tui.widgets.offers import Offers

PAGE = 8


class QueryPane(Vertical):
    """catalogue: what names are offered from; history: what up in the first line and down in the last go through."""

    DEFAULT_CSS = """
    QueryPane { height: auto; }
    QueryPane #editor { height: 100%; border: none; padding: 0; background: $background; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.catalogue = Catalogue()
        self.history = History()
        self._place = -1
        """In the history; -1 is what is being typed."""
        self._typed = ""

    def compose(self) -> ComposeResult:
        yield SqlEditor(id="editor")
        yield Offers(id="offers")

    @property
    def editor(self) -> SqlEditor:
        return self.query_one("#editor", SqlEditor)

    @property
    def offers(self) -> Offers:
        return self.query_one("#offers", Offers)

    @property
    def wanted(self) -> str:
        """What is selected, or all."""
        return self.editor.selected_text or self.editor.text

    def take(self, text: str) -> None:
        """Put a whole query in place of what is there."""
        with self.prevent(SqlEditor.Changed):
            self.editor.text = text
            self.editor.move_cursor(self.editor.document.end)
        self._place = -1

    def asked(self, query: str) -> None:
        """Remember a query as the newest."""
        self.close()
        self.editor.mark(None)
        self.history.add(query)
        self._place = -1

    # -- offers ----------------------------------------------------------------------------------------------------

    @on(SqlEditor.Changed, "#editor")
    def _edited(self) -> None:
        self._offer(asked=False)

    @on(SqlEditor.Asked)
    def _asked_for(self) -> None:
        self._offer(asked=True)

    def _offer(self, *, asked: bool) -> None:
        editor = self.editor
        if not editor.has_focus:
            return
        found = complete(editor.text, editor.at, self.catalogue, asked=asked)
        if not found.offers:
            self.close()
        elif asked and len(found.offers) == 1:
            editor.put(found.offers[0].text, found.start)
            self.close()
        else:
            editor.offering = True
            self.offers.show_offers(found.offers, editor.below_cursor)

    def close(self) -> None:
        """Take the offers away."""
        self.editor.offering = False
        self.offers.hide()

    @on(SqlEditor.Steered)
    def _steered(self, event: SqlEditor.Steered) -> None:
        way = {"up": -1, "down": 1, "pageup": -PAGE, "pagedown": PAGE}.get(event.key)
        if way is not None:
            self.offers.steer(way)
        elif event.key == "escape":
            self.close()
        else:
            self._take_offer()

    @on(Offers.Picked)
    def _picked(self, event: Offers.Picked) -> None:
        self.offers.choose(event.offer)
        self._take_offer()

    def _take_offer(self) -> None:
        editor, offer = self.editor, self.offers.chosen
        if offer is not None:
            start = complete(editor.text, editor.at, self.catalogue, asked=True).start
            with editor.prevent(SqlEditor.Changed):
                editor.put(offer.text, start)
        self.close()

    # -- earlier queries -------------------------------------------------------------------------------------------

    @on(SqlEditor.Past)
    def _past(self, event: SqlEditor.Past) -> None:
        queries = self.history.queries
        if self._place == -1:
            self._typed = self.editor.text
        place = self._place - event.way
        if not -1 <= place < len(queries):
            return
        with self.editor.prevent(SqlEditor.Changed):
            self.editor.text = self._typed if place == -1 else queries[place]
            self.editor.move_cursor(self.editor.document.end if event.way > 0 else (0, 0))
        self._place = place
        where = f"{place + 1} of {len(queries)} earlier" if place >= 0 else "read only"
        self.border_subtitle = where
