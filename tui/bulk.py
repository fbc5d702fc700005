"""An order to several runs: whom it is for, who is left out and why, and what is asked before it is given."""

from __future__ import annotations

import os
from collections.abc import Sequence

from msgspec import Struct

from engine.messages import Order, OrderKind, Request, Retry
from engine.records import ENDED, LIVE, WAITING, RunRow
from tui.keys import named

WHY = "asked in the TUI"


class Bulk(Struct, frozen=True):
    """take: the runs it is for. leave: the others, with why. requests: what is sent, in their order."""

    verb: str
    detail: str
    take: tuple[RunRow, ...]
    leave: tuple[tuple[RunRow, str], ...]
    requests: tuple[Request, ...]
    said: str
    trouble: bool = False

    @property
    def question(self) -> str:
        return f"{self.verb} {runs(len(self.take))}?"


class Kind(Struct, frozen=True):
    """states: those a run has to be in for it. Keys stand by name in braces, see keys.named."""

    verb: str
    detail: str
    states: frozenset[str]
    only: str
    said: str
    trouble: bool = False


KINDS: dict[str, Kind] = {
    "stop": Kind("Stop", "What runs gets SIGTERM and saves a checkpoint; what waits leaves the queue.", LIVE | WAITING,
                 "it has ended", "asked to stop"),
    "kill": Kind("Kill", "SIGKILL: what they learned since their last checkpoints is lost.", LIVE,
                 "it does not run", "killed", True),
    "retry": Kind("Queue again", "Each from its last checkpoint.", ENDED, "it has not ended", "queued again"),
    "hold": Kind("Hold back", "They keep their places; {chosen.hold} releases them.", frozenset({"queued"}),
                 "it does not wait", "held back"),
    "release": Kind("Release", "They start when it is their turn.", frozenset({"held"}), "it is not held back",
                    "released"),
    "archive": Kind("Archive", "They leave the lists; nothing is deleted, and {runs.unarchive} brings them back.",
                    ENDED, "it has not ended", "archived; {runs.unarchive} brings them back"),
}  # fmt: skip


def runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def plan(name: str, rows: Sequence[RunRow]) -> Bulk:
    """What an order of KINDS would do to these runs."""
    kind = KINDS[name]
    take = tuple(row for row in rows if row.state in kind.states)
    leave = tuple((row, f"{row.state}: {kind.only}") for row in rows if row.state not in kind.states)
    requests: tuple[Request, ...]
    if name == "retry":
        environment = {key: value for key, value in os.environ.items() if key != "ENGINE_RUN"}
        requests = tuple(Retry(run=row.id, environment=environment) for row in take)
    else:
        order: dict[str, OrderKind] = {
            "stop": "stop", "kill": "kill", "hold": "hold", "release": "release", "archive": "archive",
        }  # fmt: skip
        requests = tuple(Order(run=row.id, order=order[name], why=WHY) for row in take)
    said = f"{runs(len(take))} {named(kind.said)}"
    return Bulk(kind.verb, named(kind.detail), take, leave, requests, said, kind.trouble)


def hold_or_release(rows: Sequence[RunRow]) -> str:
    """Hold back whatever waits; when all of that is held already, release it."""
    waiting = [row for row in rows if row.state in WAITING]
    return "release" if waiting and all(row.state == "held" for row in waiting) else "hold"


def tagging(text: str, rows: Sequence[RunRow]) -> Bulk:
    """Tags that are typed: `paper -old` adds one and takes one off. Raises UsageError for what is no tag."""
    from engine.submit import Wishes, check  # it knows what a tag may be

    words = dict.fromkeys(text.replace(",", " ").replace("#", "").split())
    off = [word[1:] for word in words if word.startswith("-") and len(word) > 1]
    on = check(Wishes(tags=tuple(word for word in words if not word.startswith("-")))).tags
    ways: tuple[tuple[OrderKind, Sequence[str]], ...] = (("tag", on), ("untag", off))
    requests = [
        Order(run=row.id, order=order, value=tag, why=WHY)
        for row in rows
        for order, tags in ways
        for tag in tags
        if (tag in row.tags) == (order == "untag")
    ]
    touched = {request.run for request in requests}
    take = tuple(row for row in rows if row.id in touched)
    leave = tuple((row, "it is so already") for row in rows if row.id not in touched)
    signs = " ".join([*(f"+{tag}" for tag in on), *(f"−{tag}" for tag in off)])
    detail = f"Tags {signs}"
    return Bulk("Tag", detail, take, leave, tuple(requests), f"{runs(len(take))} tagged {signs}")


def noting(text: str, rows: Sequence[RunRow]) -> Bulk:
    """A note that is typed; it takes the place of the one before, an empty one takes it away."""
    take = tuple(row for row in rows if row.note != text)
    leave = tuple((row, "it is so already") for row in rows if row.note == text)
    requests = tuple(Order(run=row.id, order="note", value=text, why=WHY) for row in take)
    detail = f"“{text}” takes the place of the notes there are." if text else "Their notes are taken away."
    return Bulk("Note", detail, take, leave, requests, f"{runs(len(take))} noted")
