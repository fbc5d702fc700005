"""What a key costs in the list of all runs: cursor, marks, order and query, each until the terminal shows it.

For bench/tui.py: presses(terminal) with a Terminal that shows a box of many runs; the figures are its Took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.tui_terminal import Terminal, Took

CURSOR = b"48;2;"
"""The background of the line under the cursor."""
TITLE = b" of "
"""Of the title while a query is asked: 312 of 10,000."""
WAYS: Mapping[str, Sequence[tuple[bytes, bytes]]] = {
    "cursor": ((b"j", CURSOR), (b"G", CURSOR), (b"g", CURSOR)),
    "mark": ((b" ", b"marked"),),
    "sort": ((b">", b"by "),),
    "reverse": ((b"r", b"by "),),
    "query": ((b"/", b"family:toto"), *((bytes([sign]), TITLE) for sign in b"toto"), (b"\x1b", b"Runs")),
}
"""Each key with what the terminal writes once it is done."""


def presses(terminal: Terminal, times: int = 9) -> dict[str, list[Took]]:
    """Go to the list and press what WAYS says; how long each press took, by what it does."""
    terminal.press(b"2", b"STATE")
    terminal.idle(1)
    found: dict[str, list[Took]] = {}
    for what, ways in WAYS.items():
        found[what] = []
        for _ in range(times):
            for key, mark in ways:
                found[what].append(terminal.press(key, mark))
                terminal.idle(0.05)
    return found
