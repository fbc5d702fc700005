"""The records that cross the socket or reach the disk: what a run is asked to be, what is told of it, every message.

All are frozen msgspec Structs; unknown keys are ignored when reading, so formats only grow. Times are unix seconds,
sizes bytes, durations seconds. Messages are JSON, one a line (`encode`, `decode_request`, `decode_reply`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.adopt import Adopt
from engine.cause import Cause
from engine.devices import Sample
from engine.provenance import Code, DataPrint, Git
from engine.retry import Policy

VERSION = 1
"""Of the socket protocol; grows when an old client can no longer talk to a new engine."""

WAITING = frozenset({"queued", "held"})
LIVE = frozenset({"starting", "running", "paused", "stopping", "finishing", "orphaned"})
ENDED = frozenset({"ok", "failed", "stopped", "lost"})


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """spec.json: everything a run was asked to be, written once before "queued" is answered."""

    id: str = ""
    family: str
    """A trainer's family, or "exec" for any other command."""
    command: tuple[str, ...]
    """"{run}" stands for the run folder in the command of a family."""
    cwd: str
    name: str = ""
    config: dict[str, dict[str, object]] = {}
    """The resolved config by section; empty for exec."""
    preset: str = ""
    changed: dict[str, object] = {}
    """What was set by hand, over the preset."""
    seed: int | None = None
    gpus: int | None = None
    """Devices asked; None is one GPU where the box has one, else a CPU slot; 0 is a CPU slot."""
    share: bool = False
    """Others that share may run on its GPU, as far as its memory reaches."""
    gpu_memory: int | None = None
    """Bytes it needs on each GPU, given by hand; else what earlier runs of its shape needed counts."""
    retry: Policy | None = None
    """When the engine itself queues its next attempt."""
    because: str = ""
    """Why this attempt exists: oom, hang, failed or lost where the engine queued it; empty for a first or by hand."""
    spent: tuple[int, int] = (0, 0)
    """How many attempts of retry.oom and of retry.times were used up with this one."""
    priority: int = 0
    after: tuple[str, ...] = ()
    """Runs that must have ended well before it starts."""
    after_any: tuple[str, ...] = ()
    """Runs that must have ended, whatever their end."""
    begin: float | None = None
    """It does not start before this time."""
    limit: float | None = None
    """Seconds it may run; time in pause does not count. Its supervisor then ends it as a stop does."""
    hang: float | None = None
    """Seconds it may write nothing, neither lines nor log; time in pause does not count. Then it is ended as hung."""
    on_finish: str = ""
    """A shell command that gets its row as JSON on stdin once it has ended."""
    tags: tuple[str, ...] = ()
    note: str = ""
    submitted: float = 0.0
    user: str = ""
    host: str = ""
    python: str = ""
    git: Git | None = None
    code: Code | None = None
    """The frozen code it executes, or why it executes what is there when it starts."""
    packages: dict[str, str] = {}
    data: DataPrint | None = None
    env: dict[str, str] = {}
    """The environment less anything that looks like a secret."""
    env_withheld: tuple[str, ...] = ()
    """Names of variables that were not written down; the run gets them while this engine lives."""
    resume_from: str | None = None
    rerun_of: str = ""
    """The run that this one repeats exactly."""
    adopt: Adopt | None = None
    """Where else than in metrics.jsonl its numbers are found."""
    imported: str = ""
    """Where a run that this engine did not execute was brought in from."""
    grace: float = 30.0
    """Seconds between SIGTERM and SIGKILL when the run is stopped."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run as lists show it: derived from its folder, never stored."""

    id: str
    family: str
    state: str
    """One of WAITING, LIVE or ENDED."""
    since: float
    """When this state began."""
    name: str = ""
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    priority: int = 0
    place: int | None = None
    """Place in the queue, 1 is next."""
    reason: str = ""
    """Why it waits, or the cause of its end."""
    cause: str = ""
    """The kind of its bad end (engine.cause.KINDS)."""
    what: str = ""
    """The settings that differ from the preset, or the command."""
    tags: tuple[str, ...] = ()
    note: str = ""
    gpus: int | None = None
    after: tuple[str, ...] = ()
    after_any: tuple[str, ...] = ()
    begin: float | None = None
    limit: float | None = None
    hang: float | None = None
    """Seconds of silence after which it counts as hung, as asked for or as it promised itself last."""
    promised: bool = False
    """It did so itself."""
    paused: float = 0.0
    """Seconds it has been in pause so far; a pause that goes on began at `since`."""
    devices: tuple[str, ...] = ()
    """UUIDs, or "cpu"."""
    labels: tuple[str, ...] = ()
    """The devices as people say them: GPU0, CPU."""
    pid: int | None = None
    phase: str = ""
    step: int | None = None
    steps: int | None = None
    epoch: float | None = None
    epochs: float | None = None
    loss: float | None = None
    metric: float | None = None
    """Latest val_pct_mae."""
    best: float | None = None
    """Best val_pct_mae so far."""
    naive: float | None = None
    """val_naive_pct_mae, the naive forecast's on the same windows."""
    skill: float | None = None
    """1 - metric/naive; positive is better than naive."""
    steps_per_s: float | None = None
    windows_per_s: float | None = None
    eta: float | None = None
    """Seconds left, from the rate of late."""
    until: float | None = None
    """When it is thought to end, unix seconds: by its own rate, else by what runs like it took."""
    takes: float | None = None
    """Seconds that runs like it took."""
    attempt: int = 1
    later: str = ""
    """The next attempt, where there is one: lists then show that instead."""
    because: str = ""
    """The bad end after which the engine itself made this attempt: oom, hang, failed or lost."""
    tries: int = 0
    """Attempts the engine itself may make of it, the first included; 0 where it was not asked to."""
    share: bool = False
    gpu_memory: int | None = None
    """Bytes it needs on each GPU, given by hand."""
    claim: int | None = None
    """Bytes of its GPU that it was given to share; None has its devices alone."""
    predicted: int | None = None
    """Bytes it is thought to need on its GPU, from earlier runs of its shape, with a margin."""
    predicted_from: int = 0
    """How many runs that rests on."""
    device_memory: int | None = None
    memory: int | None = None
    """Resident bytes of its processes; peak once it ended."""
    spark: tuple[float, ...] = ()
    """Loss of late, oldest first, at most 40."""
    warning: str = ""
    exit_code: int | None = None
    signal: int | None = None
    resume_from: str | None = None
    checkpoint: str = ""
    """The best checkpoint, relative to the run folder."""
    dirty: bool = False
    commit: str = ""
    archived: bool = False
    """Hidden from lists, by an order; `engine unarchive` takes that back."""
    imported: str = ""
    """Where it was brought in from, when this engine did not execute it."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the plan of the queue. start, end: unix seconds, None where nobody knows."""

    run: str
    name: str
    family: str
    state: str
    place: int | None
    gpus: int | None
    labels: tuple[str, ...]
    """The devices it is on, or would be given."""
    start: float | None
    end: float | None
    takes: float | None
    """Seconds that runs like it took."""
    how: str
    """What that rests on."""
    reason: str
    """Why it waits now."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The queue played forward. until: when all is done; None where an end is unknown."""

    now: float
    lanes: tuple[str, ...]
    """The GPUs."""
    cpu_slots: int
    turns: tuple[Turn, ...]
    until: float | None
    unknown: int
    """Runs whose end nobody knows."""
    beyond: int
    """Waiting runs behind those that are planned."""
    cut: bool = False
    """It took too long to play all of it: later starts are left out."""
    paused: float | None = None


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    started: float
    version: str
    workspace: str
    socket: str
    cpu_slots: int
    counts: dict[str, int]
    """Runs by state."""
    limits: dict[str, int] = {}
    """How many runs of a family or with a tag may live at a time."""
    limited: dict[str, int] = {}
    """How many of each of those live."""
    queue_paused: float | None = None
    """Since when nothing is started, by order."""
    hook_trouble: str = ""
    """What is wrong with hooks.json, or how the last hook that failed did."""
    store_backlog: int = 0
    """Bytes of run folders not yet in runs.duckdb."""
    store_holder: str = ""
    """Who holds runs.duckdb, when somebody does."""
    store_error: str = ""
    store_at: float | None = None
    """When the database was last brought up to date."""
    database: int = 0
    """Bytes."""


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
    Hello | Submit | Order | Retry | QueueOrder | DryRun | Bring | ListRuns | ShowRun | GetStatus | GetSample | Watch
    | GetPlan | Sync | Rebuild | Note | Down
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


Reply = Ok | Failed | Queued | PlanReply | Rehearsed | Rows | RunDetail | StatusReply | SampleReply | Snapshot | Changed

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_specs = msgspec.json.Decoder(Spec)


def encode(message: Request | Reply | Spec) -> bytes:
    """One line with its newline."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError for what is not a request."""
    return _requests.decode(line)


def decode_reply(line: bytes) -> Reply:
    """Raises msgspec.DecodeError for what is not a reply."""
    return _replies.decode(line)


def decode_spec(data: bytes) -> Spec:
    """Raises msgspec.DecodeError for what is not a spec."""
    return _specs.decode(data)
