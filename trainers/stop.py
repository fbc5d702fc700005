"""A wish to end, remembered: the loop asks once a step, saves a checkpoint, and ends."""

from __future__ import annotations

import signal
from types import TracebackType


class Stop:
    """Within its `with` block SIGTERM and Ctrl-C only set a mark; calling it tells whether one came."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def __enter__(self) -> Stop:
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True
