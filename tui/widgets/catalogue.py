"""Tables and views with their columns, and recipes: enter opens, or puts a name or a query into the editor."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from engine.recipes import RECIPES
from tui import sql as sqls
from tui.completion import Catalogue
from tui.present import cell
from tui.sql import NODES, Node
from tui.widgets.lines import Lines
from tui.widgets.pane import framed
from tui.widgets.table import Table


class CataloguePane(Vertical):
    """Shows a catalogue, and what the database says of the chosen line."""

    DEFAULT_CSS = """
    CataloguePane { width: 36; height: 100%; }
    CataloguePane #tables { height: 1fr; }
    CataloguePane #about { height: 6; }
    """

    class Put(Message):
        """A person wants this text in the editor; whole: in place of all that is there."""

        def __init__(self, text: str, *, whole: bool) -> None:
            self.text, self.whole = text, whole
            super().__init__()

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._catalogue = Catalogue()
        self._opened = {"recipes"}

    def compose(self) -> ComposeResult:
        yield framed(Table[Node](NODES, cell("reading…", "rest"), key=lambda node: node.key, id="tables"))
        yield Lines(id="about", classes="pane")

    @property
    def table(self) -> Table[Node]:
        return self.query_one("#tables", Table)

    def on_mount(self) -> None:
        self.table.border_title, self.table.border_subtitle = "Tables", "enter opens, puts in"

    def show(self, catalogue: Catalogue, empty: str = "") -> None:
        """empty: what to say where there is nothing."""
        self._catalogue = catalogue
        recipes = [(recipe.name, recipe.sql) for recipe in RECIPES] if catalogue.relations else []
        self.table.show(sqls.nodes(catalogue, recipes, self._opened), empty=cell(empty or "reading…", "rest"))

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        node, about = self.table.chosen_row, self.query_one("#about", Lines)
        if node is None:
            about.show([])
            return
        comment = node.comment
        if node.kind == "recipe":
            comment = next((recipe.about for recipe in RECIPES if recipe.name == node.text), "")
        about.show(sqls.wrapped(node.text, node.about, comment, about.size.width, about.size.height))

    @on(Table.Opened)
    def _entered(self, event: Table.Opened) -> None:
        event.stop()
        node = self.table.chosen_row
        if node is None:
            return
        if node.kind in ("recipe", "column"):
            self.post_message(self.Put(node.puts, whole=node.kind == "recipe"))
        else:
            self._opened ^= {node.key}
            self.show(self._catalogue)
