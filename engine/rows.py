"""A run as lists show it. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from engine import ids
from engine.live import whole
from engine.records import ENDED, LIVE, RunRow
from engine.run import Run


def row(run: Run, labels: Mapping[str, str], what: str) -> RunRow:
    """Give the run as lists show it. labels: how people call each device."""
    spec, progress, exited = run.brief, run.progress, run.exited or {}
    ended = run.since if run.state in ENDED else None
    started = run.started_at
    return RunRow(
        id=spec.id,
        family=spec.family,
        state=run.state,
        since=run.since or spec.submitted,
        name=spec.name,
        submitted=spec.submitted,
        started=started,
        ended=ended,
        priority=run.priority,
        place=run.place,
        reason=f"{run.reason}; {run.sequel}" if run.sequel and run.state in ENDED else run.reason,
        cause=run.cause.kind if run.cause else "",
        what=what,
        tags=run.tags,
        note=run.note,
        gpus=spec.gpus,
        after=spec.after,
        after_any=spec.after_any,
        begin=spec.begin,
        limit=spec.limit,
        hang=spec.hang or (progress.promised if run.state in LIVE else None),
        promised=spec.hang is None and progress.promised is not None,
        paused=run.pauses[1],
        devices=run.devices,
        labels=tuple(labels.get(device, device[:12]) for device in run.devices),
        pid=run.pid,
        phase=progress.phase if run.state in LIVE else "",
        step=progress.step,
        steps=progress.steps,
        epoch=progress.epoch,
        epochs=progress.epochs,
        loss=progress.loss,
        metric=progress.metric,
        best=progress.best,
        naive=progress.naive,
        skill=progress.skill,
        steps_per_s=progress.steps_per_s,
        windows_per_s=progress.windows_per_s,
        eta=progress.eta if run.state == "running" else None,
        until=run.until,
        takes=run.expected.seconds if run.expected and run.state not in ENDED else None,
        attempt=ids.number(spec.id)[1] or 1,
        tries=1 + spec.retry.oom + spec.retry.times if spec.retry else 0,
        because=spec.because,
        share=spec.share,
        gpu_memory=spec.gpu_memory,
        claim=run.claim,
        predicted=run.prediction.bytes if run.prediction else None,
        predicted_from=run.prediction.runs if run.prediction else 0,
        device_memory=run.device_memory,
        memory=whole(exited.get("max_rss_bytes")) or run.memory,
        spark=tuple(progress.spark),
        warning=progress.warning,
        exit_code=whole(exited.get("code")),
        signal=whole(exited.get("signal")),
        resume_from=spec.resume_from,
        checkpoint=progress.checkpoint,
        archived=run.archived,
        imported=spec.imported,
        dirty=bool(spec.git and spec.git.dirty),
        commit=(spec.git.commit or "")[:9] if spec.git else "",
    )
