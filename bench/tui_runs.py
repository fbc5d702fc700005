"""What a key costs in the list of all runs: cursor, marks, order and query, each until the terminal shows it.

For bench/tui.py: presses(terminal) with a Terminal that shows this list of a box of many runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.tui_terminal import Terminal, Took

CURSOR = b"48;2;35;47;68"
"""The background of the line under the cursor: what moving it brings to the screen."""
QUERY = b"exec-0"
"""Each sign of it leaves the first runs in the list, and is to be seen in the line that is typed in."""
WAYS: Mapping[str, Sequence[tuple[bytes, bytes]]] = {
    "cursor": ((b"j", CURSOR), (b"G", CURSOR), (b"g", CURSOR)),
    "mark": ((b" ", b" marked"), (b"j", CURSOR)),
    "sort": ((b">", b" by "), (b"r", b" by ")),
    "query": ((b"/", b"amily:toto"), *((QUERY[i : i + 1], QUERY[: i + 1]) for i in range(len(QUERY)))),
}
"""Each key with what the terminal writes once it is done; the first sign of the line's hint is under its cursor."""


def presses(terminal: Terminal, times: int) -> dict[str, list[Took]]:
    """Press what WAYS says so many times; how long each press took, by what it does."""
    found: dict[str, list[Took]] = {}
    for what, ways in WAYS.items():
        found[what] = []
        for _ in range(times):
            for key, mark in ways:
                found[what].append(terminal.press(key, mark))
                terminal.idle(0.05)
            if what == "query":
                terminal.press(b"\x1b")
                terminal.idle(0.5)
    return found
