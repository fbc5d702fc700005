"""The lines of the new-run form, edited in place: typing replaces the value, left and right step through values."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.form import Form, Item
from tui.present import Part
from tui.theme import palette_of
from tui.widgets.pane import Scrolled
from tui.widgets.strips import cut, fill, strip

LONGEST = 40
"""Cells that names of fields get at most."""


class FieldTable(Scrolled, can_focus=True):
    """Shows a Form; every edit is posted as a whole new Form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,shift+tab", "move(-1)", "up", show=False),
        Binding("down,tab,enter", "move(1)", "down", show=False),
        Binding("pageup", "move(-10)", "page up", show=False),
        Binding("pagedown", "move(10)", "page down", show=False),
        Binding("home", "move(-9999)", "first", show=False),
        Binding("end", "move(9999)", "last", show=False),
        Binding("left", "step(-1)", "previous value", show=False),
        Binding("right", "step(1)", "next value", show=False),
        Binding("backspace", "rub", "rub out", show=False),
        Binding("ctrl+u", "empty", "empty", show=False),
    ]

    class Edited(Message):
        """Something was typed; the form has it."""

    class Went(Message):
        """Another field is under the cursor, or all are drawn anew."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._form: Form | None = None
        self._items: list[Item] = []
        self._words = ""
        self._changed = False
        self._place = 0
        self._longest = 0
        """Cells of the longest name of a field, up to LONGEST."""

    @property
    def form(self) -> Form | None:
        """What was typed so far; always newer than any Edited message."""
        return self._form

    @property
    def item(self) -> Item | None:
        """The line under the cursor."""
        return self._items[self._place] if self._items else None

    @property
    def shown_items(self) -> list[Item]:
        return self._items

    @property
    def changed_only(self) -> bool:
        return self._changed

    def show(self, form: Form, words: str | None = None, *, changed: bool | None = None) -> None:
        """Take a form; the cursor stays on its line. changed: show only what is not as the preset has it."""
        here = self.item.name if self.item else None
        new_words = words is not None and words != self._words
        self._words = self._words if words is None else words
        self._changed = self._changed if changed is None else changed
        self._form, self._items = form, form.items(self._words, changed=self._changed)
        names = [item.name for item in self._items]
        self._longest = min(LONGEST, max(map(len, names), default=0))
        if new_words and self._words:
            self._place = min(len(names) - 1, 2)  # the first field that the filter found
        else:
            self._place = names.index(here) if here in names else min(self._place, len(names) - 1)
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._items))
        self._reveal()
        self.refresh()
        self.post_message(self.Went())

    def go(self, name: str) -> None:
        self._place = next((i for i, item in enumerate(self._items) if item.name == name), self._place)
        self._reveal()
        self.refresh()
        self.post_message(self.Went())

    def action_move(self, way: int) -> None:
        self._place = min(max(0, self._place + way), len(self._items) - 1)
        self._reveal()
        self.refresh()
        self.post_message(self.Went())

    def _reveal(self) -> None:
        top, seen = self.scroll_offset.y, max(1, self.size.height)
        if self._place < top:
            self.scroll_to(y=self._place, animate=False)
        elif self._place >= top + seen:
            self.scroll_to(y=self._place - seen + 1, animate=False)

    def _edit(self, form: Form) -> None:
        if form is not self._form:
            self.show(form)
            self.post_message(self.Edited())

    def action_step(self, way: int) -> None:
        if way and self._form is not None and self.item is not None:
            self._edit(self._form.stepped(self.item, way))

    def action_rub(self) -> None:
        if self._form is not None and self.item is not None and self.item.kind != "choice":
            self._edit(self._form.typed(self.item.name, self._form.text(self.item)[:-1]))

    def action_empty(self) -> None:
        if self._form is not None and self.item is not None and self.item.kind != "choice":
            self._edit(self._form.typed(self.item.name, ""))

    def reset(self) -> None:
        """Give the line under the cursor its default again."""
        if self._form is not None and self.item is not None:
            self._edit(self._form.cleared(self.item.name))

    def _type(self, text: str) -> None:
        if self._form is None or self.item is None or not text:
            return
        if self.item.kind == "choice":  # the next choice that begins with the letter
            near = [choice for choice in self.item.choices if choice.startswith(text)]
            if near:
                self._edit(self._form.typed(self.item.name, near[0]))
            return
        before = self._form.texts.get(self.item.name, "")
        self._edit(self._form.typed(self.item.name, before + text))

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        """Letters are for the field: no binding of the screen may take them."""
        return character is not None and character.isprintable()

    async def on_key(self, event: events.Key) -> None:
        if event.character is not None and event.is_printable:
            event.stop()
            event.prevent_default()
            self._type(event.character)

    async def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._type("".join(c for c in event.text if c.isprintable()))

    async def on_click(self, event: events.Click) -> None:
        content = event.get_content_offset(self)
        if content is not None and content.y + self.scroll_offset.y < len(self._items):
            place = content.y + self.scroll_offset.y
            again, self._place = place == self._place, place
            self.refresh()
            if again and self.item is not None and self.item.choices:
                self.action_step(self._way_at(content.x))

    def _way_at(self, x: int) -> int:
        """Where in the line under the cursor `‹ value ›` steps when it is clicked: 0 beside it."""
        name, value = self._widths
        start = 3 + name
        return 0 if not start <= x < start + value else -1 if x < start + 2 else 1

    @property
    def _widths(self) -> tuple[int, int]:
        """Cells of a name and of a value."""
        return (max(24, self._longest), 26) if self.scrollable_content_region.width >= 100 else (20, 18)

    def on_resize(self, _: events.Resize) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._items))
        self._reveal()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, place = self.scrollable_content_region.width, self.scroll_offset.y + y
        palette = palette_of(self)
        if self._form is None or place >= len(self._items):
            return Strip.blank(width, self.base)
        here = place == self._place
        base = self.base
        if here:
            base += palette.cursor if self.has_focus else palette.cursor_faint
        return strip(self._line(self._items[place], self._form, width, here), palette, width, base)

    def _line(self, item: Item, form: Form, width: int, here: bool) -> list[Part]:
        problem = form.problem(item)
        typed = item.name in form.texts or (item.name == "preset" and form.preset != "")
        changed = form.changed(item)
        text = form.text(item)
        editing = here and self.has_focus
        name_width, value_width = self._widths
        own = "text" if typed or item.kind == "choice" else "rest"
        role = "trouble" if problem else "ours bold" if changed else own
        value: list[Part] = [(text, role)]
        if item.choices and editing:
            value = [("‹ ", "key"), (text, role if role != "rest" else "text"), (" ›", "key")]
        elif editing:
            seen = text if cell_len(text) < value_width else f"…{text[2 - value_width :]}"  # its end is where one types
            value = [(seen, role), ("▏", "ours")]
        parts: list[Part] = [("● " if changed else "  ", "ours"), *fill(((item.name, "text"),), name_width)]
        parts += [(" ", "text"), *fill(tuple(value), value_width), ("  ", "text")]
        room = self._room
        if problem:
            allowed = f" (allowed: {item.range})" if item.range and not problem.startswith("expected") else ""
            return [*parts, *cut(((f"✗ {problem}{allowed}", "trouble"),), room)]
        return [*parts, *cut(((self._about(item), "text" if here else "rest"),), room)]

    @staticmethod
    def _about(item: Item) -> str:
        """What it may be, and what it is for."""
        return f"{item.range}   {item.help}" if item.range and not item.choices else item.help

    @property
    def _room(self) -> int:
        """Cells for what is told of a field."""
        return self.scrollable_content_region.width - sum(self._widths) - 5

    @property
    def told_elsewhere(self) -> str:
        """What is told of the field under the cursor, where its line has no room for all of it; else ""."""
        text = self._about(self.item) if self.item is not None else ""
        return text if cell_len(text) > self._room else ""
