"""The engine's own attempts at a run that ended badly: what the next one is, and that it is queued exactly once.

What is decided follows from the ended run's folder alone, and the next attempt's folder is its record: an engine that
is killed at any moment in between comes to the same next attempt, or finds that it is there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import ids
from engine.errors import EngineError
from engine.records import Spec
from engine.run import Run
from engine.schedule import CPU

if TYPE_CHECKING:
    from engine.core import Daemon

HOPELESS = {
    2: "its settings can't work",
    3: "its data can't be used",
    5: "the loss was no number",
}
"""Exit codes of our trainers after which the same again would end the same."""
HOPELESS_KINDS = {
    "import": "a module is missing",
    "not found": "its command is not there",
    "permission": "its command may not be executed",
}
"""Causes after which it would for any command."""
MOST_PARTS = 4096
log = logging.getLogger("engine")


def following(run: Run) -> Spec | str | None:
    """Give the spec of the attempt after a bad end, why there is none, or None where none was asked for.

    Its id, and when it was submitted, are the caller's to fill in.
    """
    policy, hung = run.brief.retry, _kind(run) == "hang"
    if policy is None or not (run.state in ("failed", "lost") or hung):
        return None
    for_memory, for_else = run.brief.spent
    oom = ran_out(run)
    if oom and policy.oom:
        if for_memory >= policy.oom:
            return f"not tried again: it was {for_memory} of {policy.oom} times"
        smaller = _smaller(run)
        if isinstance(smaller, str):
            return f"not tried again: {smaller}"
        return replace(smaller, because="oom", spent=(for_memory + 1, for_else), begin=None)
    if not policy.times:
        return None
    if why := _hopeless(run):
        return f"not tried again: {why}"
    if for_else >= policy.times:
        return f"not tried again: it was {for_else} of {policy.times} times"
    spec = replace(run.spec, because="hang" if hung else run.state, spent=(for_memory, for_else + 1))
    return replace(spec, begin=run.since + policy.delay(for_else + 1))


def ran_out(run: Run) -> bool:
    """Whether it failed because its device could not hold it; for a run on the CPU that is the machine's memory."""
    return run.out_of_memory or (run.state == "failed" and _kind(run) == "host memory" and CPU in run.devices)


def _kind(run: Run) -> str:
    return run.cause.kind if run.cause is not None else ""


def _hopeless(run: Run) -> str:
    if why := HOPELESS_KINDS.get(_kind(run)):
        return why
    code = (run.exited or {}).get("code")
    return HOPELESS.get(code, "") if run.brief.family != "exec" and isinstance(code, int) else ""


def _smaller(run: Run) -> Spec | str:
    """Give a spec that needs less memory for the same steps: half the micro-batch, twice the accumulation.

    If it was forecasting when memory ran out, half the forecasting batch. A command has nothing of this to change: it
    is tried as it was, and may read ENGINE_ATTEMPT.
    """
    spec = run.spec
    train, scoring = spec.config.get("train", {}), spec.config.get("eval", {})
    batch, parts = train.get("batch"), train.get("accumulate")
    if not isinstance(batch, int) or not isinstance(parts, int):
        return spec
    if run.progress.phase == "load":
        return "memory ran out before the first batch, so smaller ones do not help"
    if run.progress.phase == "evaluate" and isinstance(at_once := scoring.get("batch"), int):
        if at_once < 2:
            return "it forecasts one window at a time already"
        return _with(spec, "eval", "batch", at_once // 2)
    given = train.get("processes") or spec.gpus or 1
    ranks = given if isinstance(given, int) else 1
    for more in range(2 * parts, MOST_PARTS + 1):
        if batch % (more * ranks) == 0:
            return _with(spec, "train", "accumulate", more)
    return f"its {max(1, batch // parts // ranks)} windows at a time can't be halved: choose a smaller model"


def _with(spec: Spec, section: str, name: str, value: int) -> Spec:
    config = {**spec.config, section: {**spec.config[section], name: value}}
    return replace(spec, config=config, changed={**spec.changed, f"{section}.{name}": value})


def told(before: Spec, after: Spec) -> str:
    """Say what is different about an attempt."""
    for section, values in after.config.items():
        for name, value in values.items():
            if (was := before.config.get(section, {}).get(name)) != value:
                return f"with {section}.{name} {value} instead of {was}"
    return "from its last checkpoint" if after.family != "exec" else "as it was"


class Attempts:
    """One per daemon: asked about every run that has ended, at once and again after a restart."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.due: set[str] = set()
        """Runs to look at once all folders are read, or again because nothing could be written."""
        self.ready = False

    def consider(self, run: Run) -> None:
        """Queue the next attempt of an ended run, if one was asked for and there is none."""
        if run.brief.retry is None:
            return
        if not self.ready:
            self.due.add(run.id)
            return
        base, number = ids.base(run.id), max(1, ids.number(run.id)[1])
        later = f"{base}.{number + 1}"
        if later in self.daemon.world.runs:
            run.sequel = f"went on as {later}"
            return
        if run.followed_by:
            return  # it was queued once, and its folder has been removed since
        try:
            found = following(run)
        except EngineError as error:  # its spec can't be read at the moment
            log.warning("%s: its next attempt is not queued: %s", run.id, error)
            self.due.add(run.id)
            return
        if found is None:
            return
        if isinstance(found, str):
            run.sequel = found
            return
        self._queue(run, found)

    def _queue(self, run: Run, spec: Spec) -> None:
        """Make the folder of the attempt, then say so in the orders of the run it follows."""
        wishes, lifelines = self.daemon.wishes, self.daemon.lifelines
        different = told(run.spec, spec)
        spec = replace(
            spec, resume_from=run.id, after=(), after_any=(), priority=run.priority, tags=run.tags, note=run.note
        )
        run_id = self.daemon.world.next_attempt(run.id)
        environment = lifelines.environments.get(run.id, {})
        try:
            wishes.queue(spec, run_id, wishes.hands.patch(run), environment, run.held)
            run.sequel = f"goes on as {run_id} {different}"
            wishes.write_order(run, {"order": "retry", "value": run_id, "why": f"{spec.because}: {different}"})
        except (OSError, EngineError) as error:
            log.warning("%s: its next attempt is not queued: %s", run.id, error)
            self.due.add(run.id)
            return
        log.info("%s: %s", run.id, run.sequel)
        self.daemon.changed(run)

    def catch_up(self) -> None:
        """Look at what has become due: after the folders were read, and each second."""
        self.ready = True
        due, self.due = self.due, set()
        for run_id in sorted(due & self.daemon.world.runs.keys()):
            self.consider(self.daemon.world.runs[run_id])
