"""The records of a run that reach the disk or lists: what it is asked to be, what is told of it, and of the queue.

All are frozen msgspec Structs; unknown keys are ignored when reading, so formats only grow. Times are unix seconds,
sizes bytes, durations seconds.
"""

from __future__ import annotations

import msgspec

from engine.adopt import Adopt
from engine.provenance import Code, DataPrint, Git
from engine.retry import Policy

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


class RunRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run as lists show it: derived from its folder, never stored.

    gc: it holds texts and numbers alone, so that the collector need not go through 10,000 of them: 20 ms each time.
    """

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
    """The loss from the first line to the last, as at most 40 means; of an ended run 10."""
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
    trouble: str = ""
    """What went wrong in a late round of the engine, as on a full disk; the rest of that round was done."""
    store_backlog: int = 0
    """Bytes of run folders not yet in runs.duckdb."""
    store_holder: str = ""
    """Who holds runs.duckdb, when somebody does."""
    store_error: str = ""
    store_at: float | None = None
    """When the database was last brought up to date."""
    database: int = 0
    """Bytes."""


_encoder = msgspec.json.Encoder()
_specs = msgspec.json.Decoder(Spec)


def encode(record: msgspec.Struct) -> bytes:
    """One line with its newline."""
    return _encoder.encode(record) + b"\n"


def decode_spec(data: bytes) -> Spec:
    """Raises msgspec.DecodeError for what is not a spec."""
    return _specs.decode(data)
