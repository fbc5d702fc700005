"""What `engine show` tells of one run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence

from engine import when
from engine.cli import table, words
from engine.records import RunDetail, RunRow, Spec


def text(detail: RunDetail) -> str:
    """The facts, then the settings, then what happened; parts that do not exist are left out."""
    row, spec = detail.row, detail.spec
    parts = [table.pairs([*_state(row), *_score(row), *_origin(spec, row), ("folder", detail.folder)])]
    if spec.config:
        parts.append(f"settings{f' (preset {spec.preset})' if spec.preset else ''}\n" + _config(spec))
    if used := _used(detail.events):
        parts.append("used\n" + used)
    if told := _happened(detail):
        parts.append("what happened\n" + told)
    return "\n".join(parts)


def _state(row: RunRow) -> list[tuple[str, str]]:
    ran = words.span(row.ended - row.started) if row.ended and row.started else ""
    how = f"exit code {row.exit_code}" if row.exit_code else f"signal {row.signal}" if row.signal else ""
    step = f"{row.step}" + (f" of {row.steps}" if row.steps else "") if row.step is not None else ""
    rate = f", {row.steps_per_s:.3g} it/s" if row.steps_per_s else ""
    left = f", {words.span(row.eta)} left" if row.eta is not None else ""
    return [
        ("run", row.id),
        ("name", row.name),
        ("state", ", ".join(part for part in (row.state, row.phase, row.reason, how) if part)),
        ("place", str(row.place) if row.place else ""),
        ("priority", str(row.priority) if row.priority else ""),
        ("after", ", ".join(row.after)),
        ("after any", ", ".join(row.after_any)),
        ("begins", words.moment(row.begin)),
        ("limit", when.span(row.limit) if row.limit else ""),
        ("in pause", _paused(row)),
        ("what", row.what if row.family != "exec" else ""),
        ("tags", ", ".join(row.tags)),
        ("note", row.note),
        ("queued", words.moment(row.submitted)),
        ("started", words.moment(row.started)),
        ("ended", f"{words.moment(row.ended)}{f', ran {ran}' if ran else ''}" if row.ended else ""),
        ("on", ", ".join(row.labels)),
        ("process", str(row.pid) if row.pid else ""),
        ("memory", words.size(row.memory) if row.memory else ""),
        ("GPU memory", words.size(row.device_memory) if row.device_memory else ""),
        ("step", f"{step}{rate}{left}" if step else ""),
        ("warning", row.warning),
    ]


def _paused(row: RunRow) -> str:
    """How long it was in pause in all, with the pause that goes on."""
    now = time.time() - row.since if row.state == "paused" else 0.0
    return words.span(row.paused + now) if row.paused + now > 0 else ""


def _score(row: RunRow) -> list[tuple[str, str]]:
    return [
        ("loss", words.number(row.loss)),
        ("val_pct_mae", f"{row.best:.4g}% best{_last(row)}" if row.best is not None else ""),
        ("naive", f"{row.naive:.4g}%" if row.naive is not None else ""),
        ("skill", f"{row.skill:+.4f}" if row.skill is not None else ""),
        ("checkpoint", row.checkpoint),
        ("resumes", row.resume_from or ""),
    ]


def _last(row: RunRow) -> str:
    return f", {row.metric:.4g}% last" if row.metric is not None and row.metric != row.best else ""


def _origin(spec: Spec, row: RunRow) -> list[tuple[str, str]]:
    git, data = spec.git, spec.data
    code = ""
    if git is not None and git.commit:
        code = f"{git.commit[:12]} {git.branch}{', with changes (code.patch)' if git.dirty else ''}"
    used = ""
    if data is not None:
        made_up = "SYNTHETIC, " if data.synthetic else ""
        used = f"{data.path} ({made_up}{data.files} files, {words.size(data.bytes)}, {data.fingerprint[:12]})"
    return [
        ("command", shlex.join(spec.command)),
        ("in", spec.cwd),
        ("code", f"{code}{_frozen(spec)}"),
        ("data", used),
        ("on finish", spec.on_finish),
        ("seed", "" if spec.seed is None else str(spec.seed)),
        ("by", f"{spec.user}@{spec.host}" if spec.user else ""),
        ("repeats", spec.rerun_of),
        ("imported", spec.imported.partition("#")[0]),
    ]


def _frozen(spec: Spec) -> str:
    """Whether it executes the code of when it was queued."""
    if spec.code is None or not (spec.code.tree or spec.code.why):
        return ""
    return ", frozen" if spec.code.tree else f", not frozen: {spec.code.why}"


def _config(spec: Spec) -> str:
    lines = []
    for section, values in spec.config.items():
        for name, value in values.items():
            full = f"{section}.{name}"
            lines.append((full, _value(value), full in spec.changed))
    size = max(len(name) for name, _, _ in lines) if lines else 0
    return "".join(f"  {name:<{size}}  {value}{'  (set)' if mine else ''}\n" for name, value, mine in lines)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(_value, value))
    return str(value)


def _used(events: Sequence[Mapping[str, object]]) -> str:
    for event in reversed(events):
        if event.get("event") == "used":
            facts = {name: value for name, value in event.items() if name not in ("t", "event")}
            return "".join(f"  {name}  {_value(value)}\n" for name, value in facts.items())
    return ""


def _happened(detail: RunDetail) -> str:
    """Orders, lifecycle and events in the order of their times."""
    lines = []
    for entry in (*detail.orders, *detail.lifecycle, *detail.events, *detail.hooks):
        t = entry.get("t")
        kind = entry.get("order") or entry.get("event")
        if not isinstance(t, int | float) or kind in ("used", None):
            continue
        rest = " ".join(
            f"{name}={_value(value)}"
            for name, value in entry.items()
            if name not in ("t", "event", "order", "metrics", "host") and value not in (None, "", [])
        )
        what = f"order {kind}" if "order" in entry else kind
        lines.append((float(t), f"  {words.moment(float(t))}  {what}  {rest}".rstrip()))
    return "".join(f"{line}\n" for _, line in sorted(lines, key=lambda pair: pair[0]))
