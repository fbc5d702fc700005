"""What clients and the engine say to each other: every request and reply, JSON, one a line (`engine.records.encode`).

All are frozen, tagged msgspec Structs; unknown keys are ignored when reading, so formats only grow.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.cause import Cause
from engine.devices import Sample
from engine.records import EngineStatus, Plan, RunRow, Spec, Turn

VERSION = 1
"""Of the socket protocol; grows when an old client can no longer talk to a new engine."""


# -- requests -----------------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    version: int = VERSION


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag="submit"):
    spec: Spec
    patch: str = ""
    """code.patch of the run."""
    environment: dict[str, str] = {}
    """Whole; kept in memory until the run starts, never written."""
    hold: bool = False
    needed: bool = False
    """Queue it only if no run that ended well is the same in config, data and code."""


OrderKind = Literal[
    "stop", "kill", "pause", "resume", "hold", "release", "priority", "move", "note", "tag", "untag", "promote",
    "archive", "unarchive", "gc", "begin", "limit",
]  # fmt: skip


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """A wish for a run: a line in its orders.jsonl, then whatever it asks for.

    value: the priority (int), the way to move (up, down, top, bottom), the note, the tag, for promote the path of
    the exported checkpoint, for gc the checkpoints that are deleted now, for begin a time in unix seconds, for limit
    seconds; nothing takes these two away.
    """

    run: str
    order: OrderKind
    value: str = ""
    why: str = ""


class Retry(msgspec.Struct, frozen=True, kw_only=True, tag="retry"):
    """Queue `<id>.2`: the same spec again, from the last checkpoint unless fresh."""

    run: str
    fresh: bool = False
    cascade: bool = False
    """Queue those behind it again too that ended without having run."""
    environment: dict[str, str] = {}


class QueueOrder(msgspec.Struct, frozen=True, kw_only=True, tag="queue_order"):
    """A wish for the whole queue: a line in runs/queue.jsonl."""

    order: Literal["pause", "resume", "limit"]
    why: str = ""
    group: str = ""
    """What to limit: "family:toto" or "tag:nightly"."""
    most: int | None = None
    """Runs of it that may live at a time; None takes the limit away."""


class Bring(msgspec.Struct, frozen=True, kw_only=True, tag="bring"):
    """Take in a whole run that was put together in runs/.new-NAME: its spec gets an id, the folder its name.

    spec.id is kept where no other run has that id or that number.
    """

    folder: str
    spec: Spec


class Down(msgspec.Struct, frozen=True, kw_only=True, tag="down"):
    stop_runs: bool = False


class DryRun(msgspec.Struct, frozen=True, tag="dry_run"):
    """Rehearse a wish on a copy of the world: nothing is changed. Later ones on the same connection build on it."""

    wish: Submit | Order | Retry | QueueOrder | Bring | Down
    plan: bool = False
    """Tell also when a new run would start and end, which takes the queue played forward."""


class ListRuns(msgspec.Struct, frozen=True, tag="list"):
    """All runs, or those that wait and live and the last few that ended: of ten thousand nobody reads the others."""

    ended: int | None = None
    """How many ended runs at most; None gives all runs whatever the fields below say."""
    archived: bool = False
    """Archived runs and no others."""
    attempts: bool = False
    """Each attempt by itself, not only the last one at a run."""


class ListText(msgspec.Struct, frozen=True, tag="list_text"):
    """`engine ls` with these arguments as finished text. width: of a terminal, where lines are to fit one."""

    args: tuple[str, ...] = ()
    width: int | None = None
    colour: bool = False


class ShowRun(msgspec.Struct, frozen=True, tag="show"):
    run: str


class GetPlan(msgspec.Struct, frozen=True, tag="plan"):
    """When each run that lives or waits will start and end, as far as that is known."""


class GetStatus(msgspec.Struct, frozen=True, tag="status"):
    pass


class GetSample(msgspec.Struct, frozen=True, tag="sample"):
    pass


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """From now on: one Snapshot, then Changed whenever there is news, at most every `every` seconds."""

    every: float = 0.25


class Sync(msgspec.Struct, frozen=True, tag="sync"):
    """Bring runs.duckdb up to date now and answer when that is done (or say who holds it)."""


class Rebuild(msgspec.Struct, frozen=True, tag="rebuild"):
    """Make runs.duckdb anew from the run folders."""


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note"):
    """Something typed outside a single run (an export): a line in runs/host/."""

    kind: str
    fields: dict[str, object]


Request = (
    Hello | Submit | Order | Retry | QueueOrder | DryRun | Bring | ListRuns | ListText | ShowRun | GetStatus
    | GetSample | Watch | GetPlan | Sync | Rebuild | Note | Down
)  # fmt: skip

# -- replies ------------------------------------------------------------------------------------------------------


class Ok(msgspec.Struct, frozen=True, tag="ok"):
    text: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An error of engine.errors: its class's name and its one line."""

    error: str
    text: str


class Queued(msgspec.Struct, frozen=True, tag="queued"):
    row: RunRow
    needed: bool = True
    """False: nothing was queued, the row is that of the same run."""
    more: tuple[RunRow, ...] = ()
    """Those behind it that were queued again as well."""


class Rehearsed(msgspec.Struct, frozen=True, tag="rehearsed"):
    """What would happen, and what would be answered."""

    told: tuple[str, ...]
    reply: Queued | Ok
    turn: Turn | None = None
    """When a new run would start and end, where that was asked."""


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    rows: tuple[RunRow, ...]
    queue_paused: float | None = None
    left_out: int = 0
    """Ended runs that are like those asked for and are not among the rows."""
    others: int = 0
    """Runs that are not like those asked for."""


class Listed(msgspec.Struct, frozen=True, tag="listed"):
    """The table, and what is to be said about it beside."""

    text: str
    said: tuple[str, ...] = ()


class RunDetail(msgspec.Struct, frozen=True, kw_only=True, tag="detail"):
    row: RunRow
    spec: Spec
    folder: str
    orders: list[dict[str, object]]
    lifecycle: list[dict[str, object]]
    events: list[dict[str, object]]
    """The last 500."""
    cause: Cause | None = None
    """Why it ended badly; then also the last lines of its log and of its metrics."""
    log: tuple[str, ...] = ()
    metrics: list[dict[str, object]] = []
    attempts: tuple[RunRow, ...] = ()
    """All attempts at the run, where it has several."""
    hooks: list[dict[str, object]] = []


class PlanReply(msgspec.Struct, frozen=True, tag="planned"):
    plan: Plan


class StatusReply(msgspec.Struct, frozen=True, tag="engine"):
    status: EngineStatus


class SampleReply(msgspec.Struct, frozen=True, tag="devices"):
    sample: Sample


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """Everything a screen starts from."""

    rows: tuple[RunRow, ...]
    sample: Sample
    history: tuple[Sample, ...]
    """The last two minutes, oldest first."""
    status: EngineStatus


class Changed(msgspec.Struct, frozen=True, kw_only=True, tag="changed", omit_defaults=True):
    """News since the last message: whole new rows, and a sample or status where there is a new one."""

    rows: tuple[RunRow, ...] = ()
    sample: Sample | None = None
    status: EngineStatus | None = None


Reply = (
    Ok | Failed | Queued | PlanReply | Rehearsed | Rows | Listed | RunDetail | StatusReply | SampleReply | Snapshot
    | Changed
)  # fmt: skip

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError for what is not a request."""
    return _requests.decode(line)


def decode_reply(line: bytes) -> Reply:
    """Raises msgspec.DecodeError for what is not a reply."""
    return _replies.decode(line)
