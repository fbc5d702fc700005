"""Limits on how many runs of a family, or with a tag, may live at a time: lines of runs/queue.jsonl, folded. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.errors import UsageError

MOST = 1000
KINDS = "family:NAME or tag:NAME"
TAG = "one word of 1 to 60 letters, digits and . _ - # @ + /"
_WORD = re.compile(r"[\w.#@+/-]{1,60}")


def is_tag(text: str) -> bool:
    """Whether a run may be given this tag: what no limit, query or table could take for something else."""
    return _WORD.fullmatch(text) is not None


def order(group: str, most: int | None, known: Mapping[str, int]) -> dict[str, object]:
    """Check a wish and give the line to append; most None takes the limit away. Raises UsageError."""
    kind, _, name = group.partition(":")
    if kind not in ("family", "tag") or not name:
        raise UsageError(f"No group {group!r}: a limit is for {KINDS}, such as family:kronos.")
    if not is_tag(name):
        raise UsageError(f"{kind} {name!r}: {TAG} is expected.")
    if most is None and group not in known:
        some = f" Limited are: {', '.join(sorted(known))}." if known else " Nothing is limited."
        raise UsageError(f"There is no limit for {group}.{some}")
    if most is not None and not 0 <= most <= MOST:
        raise UsageError(f"A limit of {most} is out of range: 0 to {MOST}.")
    return {"order": "limit", "group": group, "most": most}


def take(line: Mapping[str, object], known: dict[str, int]) -> None:
    """Fold one line; what is not understood is passed over."""
    group, most = line.get("group"), line.get("most")
    if line.get("order") != "limit" or not isinstance(group, str):
        return
    if most is None:
        known.pop(group, None)
    elif isinstance(most, int) and not isinstance(most, bool) and most >= 0:
        known[group] = most


def told(group: str, known: Mapping[str, int]) -> str:
    """Say how it is with a group now."""
    if group not in known:
        return f"{group} is not limited any more"
    return f"at most {known[group]} of {group} run at a time"
