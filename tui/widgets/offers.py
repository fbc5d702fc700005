"""The small list under the cursor of an editor: what may be put in, with its type and what the database says of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Click
from textual.geometry import Offset
from textual.message import Message

from tui.completion import Offer
from tui.present import Part
from tui.widgets.lines import Lines

SEEN = 8
"""Offers shown at a time."""
WIDE = 72
ROLES = {"table": "ours", "view": "ours", "yours": "good", "alias": "second", "with": "second", "function": "attention",
         "keyword": "rest"}  # fmt: skip


class Offers(Lines):
    """Shown by show_offers(), hidden by hide(); steer() moves in it."""

    DEFAULT_CSS = """
    Offers { overlay: screen; constrain: inside inflect; display: none; background: $panel; color: $foreground; }
    """

    class Picked(Message):
        """A person clicked on an offer."""

        def __init__(self, offer: Offer) -> None:
            self.offer = offer
            super().__init__()

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._offers: tuple[Offer, ...] = ()
        self._place = 0
        self._top = 0

    @property
    def open(self) -> bool:
        return bool(self.display)

    @property
    def offers(self) -> tuple[Offer, ...]:
        return self._offers

    @property
    def chosen(self) -> Offer | None:
        return self._offers[self._place] if self._offers else None

    def show_offers(self, offers: Sequence[Offer], at: Offset) -> None:
        """Show under a cell of the screen, the first one chosen."""
        self._offers, self._place, self._top = tuple(offers), 0, 0
        self.absolute_offset = at
        self.display = bool(offers)
        self._draw()

    def hide(self) -> None:
        self._offers = ()
        self.display = False

    def choose(self, offer: Offer) -> None:
        self._place = self._offers.index(offer)

    def steer(self, way: int) -> None:
        if self._offers:
            last = len(self._offers) - 1
            self._place = (self._place + way) % (last + 1) if abs(way) == 1 else min(max(0, self._place + way), last)
            self._top = min(max(self._top, self._place - SEEN + 1), self._place)
            self._draw()

    def _draw(self) -> None:
        names = min(34, max((len(offer.text) for offer in self._offers), default=0))
        about = min(14, max((len(offer.about) for offer in self._offers), default=0))
        width = min(WIDE, max(24, self.app.size.width - 4))
        if not any(offer.comment for offer in self._offers):
            width = min(width, names + about + 4)
        shown = self._offers[self._top : self._top + SEEN]
        lines = []
        for place, offer in enumerate(shown, self._top):
            here = place == self._place
            line: list[Part] = [
                (f" {_cut(offer.text, names):<{names}}", "badge" if here else ROLES.get(offer.about, "text")),
                (f"  {_cut(offer.about, about):<{about}}", "badge" if here else "rest"),
            ]
            room = width - names - about - 5
            if room > 4:
                line.append((f"  {_cut(offer.comment, room):<{room}}", "badge" if here else "rest"))
            lines.append(line)
        if len(self._offers) > SEEN:
            lines.append([(f" {self._place + 1} of {len(self._offers)}", "faint")])
        self.styles.width, self.styles.height = width, len(lines)
        self.show(lines)

    async def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and (place := self._top + offset.y) < min(len(self._offers), self._top + SEEN):
            self.post_message(self.Picked(self._offers[place]))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
