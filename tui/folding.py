"""A line of parts folded into several, broken between words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tui.present import Part


def folded(line: Sequence[Part], width: int, most: int, under: int = 0) -> list[list[Part]]:
    """Fold to a width in cells; what needs more than `most` lines ends in an ellipsis.

    under: blanks before each line but the first, which then go on below its words and not below its label.
    """
    found: list[list[Part]] = [[]]
    used = 0
    for text, role in line:
        for word in re.split(r"(?<= )(?=\S)", text):
            if used and used + len(word.rstrip()) > width:
                if len(found) == most:
                    found[-1].append(("…", role))
                    return found
                found.append([(" " * under, "text")] if under else [])
                used = under
            kept = word if used + len(word) <= width else word.rstrip()  # blanks past the edge would cut the line
            if kept:
                found[-1].append((kept, role))
            used += len(word)
    return found
