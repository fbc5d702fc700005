"""Keys are looked at one after the other: what the first does, such as opening a line to type in, holds for the next.

Textual gives each key to the widget in focus and goes on; the key comes back through the widgets around it, and only
then does its action. Keys that a fast line sends together would all have gone to the first widget by then.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from textual.app import App
from textual.events import Event, Key
from textual.message_pump import MessagePump

PATIENCE = 0.5
"""Seconds for which a key waits at most for the one before it: a widget on the way may be taken away."""


class InOrder(App[None]):
    """Holds a key back until the one before it has come all the way back."""

    def __init__(self) -> None:
        super().__init__()
        self._on_its_way: Key | None = None
        self._held: deque[Key] = deque()

    async def on_event(self, event: Event) -> None:
        if not isinstance(event, Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._on_its_way is None:
            await self._send(event)
        else:
            if not self._held:
                self.set_timer(PATIENCE, partial(self._came_back, self._on_its_way))
            self._held.append(event)

    async def _send(self, key: Key) -> None:
        self._on_its_way = key
        first = self.focused or self.screen
        await super().on_event(key)
        self._follow(key, first)
        if self._held:
            self.set_timer(PATIENCE, partial(self._came_back, key))

    def _follow(self, key: Key, node: MessagePump | None) -> None:
        """Go the way of a key: behind it in the messages of each widget that it passes."""
        if node is None or node is self:
            self.call_later(self._came_back, key)
        elif not node.call_later(self._follow, key, node._parent):
            self._follow(key, node._parent)

    async def _came_back(self, key: Key) -> None:
        if key is self._on_its_way:
            self._on_its_way = None
            if self._held:
                await self._send(self._held.popleft())
