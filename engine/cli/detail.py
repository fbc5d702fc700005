"""What `engine show` tells of one run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence

from engine import when
from engine.cli import table, words
from engine.messages import RunDetail
from engine.records import WAITING, RunRow, Spec


def text(detail: RunDetail) -> str:
    """The facts, then the settings, then what happened; parts that do not exist are left out."""
    row, spec = detail.row, detail.spec
    parts = [table.pairs([*_state(row), *_score(row), *_origin(spec, row), ("folder", detail.folder)])]
    if detail.attempts:
        parts.append("attempts\n" + _attempts(detail))
    if detail.cause is not None:
        parts.append("why it ended\n" + card(detail))
    if spec.config:
        parts.append(f"settings{f' (preset {spec.preset})' if spec.preset else ''}\n" + _config(spec))
    if used := _used(detail.events):
        parts.append("used\n" + used)
    if told := _happened(detail):
        parts.append("what happened\n" + told)
    return "\n".join(parts)


SIZES = ("requested", "free", "total", "allocated", "nvml_free", "nvml_total", "nvml_others")
"""Facts of a cause that are bytes."""
SECONDS = ("limit", "hang", "silent")
FACTS = {
    "nvml_free": "free (NVML)",
    "nvml_total": "total (NVML)",
    "nvml_others": "others (NVML)",
    "oom_kills": "OOM kills",
}


def card(detail: RunDetail) -> str:
    """Why a run ended: the line, the facts, the last numbers and the last lines of its log."""
    cause = detail.cause
    if cause is None:
        return ""
    facts = [("cause", cause.text), ("kind", cause.kind)]
    for name, value in cause.facts.items():
        if name == "booted" and isinstance(value, int | float):
            shown = words.moment(float(value))
        elif name in SECONDS and isinstance(value, int | float):
            shown = when.span(value)
        else:
            shown = words.size(value) if name in SIZES and isinstance(value, int) else str(value)
        facts.append((FACTS.get(name, name), shown))
    told = table.pairs(facts)
    for line in detail.metrics:
        ordered = sorted((item for item in line.items() if item[0] != "t"), key=lambda item: item[0] != "step")
        numbers = " ".join(f"{name} {_number(value)}" for name, value in ordered)
        told += f"last numbers: {numbers[:300]}\n"
    return "".join(f"  {line}\n" for line in (*told.splitlines(), *(f"| {line}" for line in detail.log)))


def _number(value: object) -> str:
    """NaN and infinities are kept as null."""
    return "nan" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _state(row: RunRow) -> list[tuple[str, str]]:
    ran = words.span(row.ended - row.started) if row.ended and row.started else ""
    how = f"exit code {row.exit_code}" if row.exit_code else f"signal {row.signal}" if row.signal else ""
    how = "" if how and how in row.reason else how
    step = f"{row.step}" + (f" of {row.steps}" if row.steps else "") if row.step is not None else ""
    pace = row.steps_per_s or 0.0
    rate = f", {pace:,.0f} it/s" if pace >= 1000 else f", {pace:.3g} it/s" if pace else ""
    left = f", {words.span(row.eta)} left" if row.eta is not None else ""
    return [
        ("run", row.id),
        ("name", row.name),
        ("state", ", ".join(part for part in (words.state(row), row.phase, row.reason, how) if part)),
        ("place", str(row.place) if row.place else ""),
        ("priority", str(row.priority) if row.priority else ""),
        ("after", ", ".join(row.after)),
        ("after any", ", ".join(row.after_any)),
        ("begins", words.moment(row.begin)),
        ("limit", when.span(row.limit) if row.limit else ""),
        ("next line", _hang(row)),
        ("in pause", _paused(row)),
        ("what", row.what if row.family != "exec" else ""),
        ("tags", ", ".join(row.tags)),
        ("note", row.note),
        ("queued", words.moment(row.submitted)),
        ("started", words.moment(row.started)),
        ("ended", f"{words.moment(row.ended)}{f', ran {ran}' if ran else ''}" if row.ended else ""),
        ("on", ", ".join(row.labels) + (", shared" if row.claim else "")),
        ("attempt", _attempt(row)),
        ("shares", _shares(row)),
        ("process", str(row.pid) if row.pid else ""),
        ("memory", words.size(row.memory) if row.memory else ""),
        ("GPU memory", _gpu_memory(row)),
        ("step", f"{step}{rate}{left}" if step else ""),
        ("warning", row.warning),
    ]


def _left_out(spec: Spec) -> str:
    """Files that were changed or new when it was queued, and that neither its patch nor its frozen code holds."""
    files = tuple(dict.fromkeys((*(spec.code.left_out if spec.code else ()), *(spec.git.left_out if spec.git else ()))))
    return ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")


def _hang(row: RunRow) -> str:
    if not row.hang or row.ended:
        return ""
    whose = "as it promised" if row.promised else "as asked for with --hang"
    return f"within {when.span(row.hang)}, {whose}; else it has hung and is ended"


def _attempt(row: RunRow) -> str:
    if row.attempt < 2 and row.tries < 2:
        return ""
    return str(row.attempt) + (f" of {row.tries}" if row.tries >= row.attempt else "")


def _shares(row: RunRow) -> str:
    if not row.share:
        return ""
    if row.claim:
        return f"its GPU, {words.size(row.claim)} of it"
    if row.state in WAITING:
        return "a GPU" if row.predicted or row.gpu_memory else "a GPU, once it is known what it needs: --gpu-memory"
    return "nothing: nobody knew what it needs, so it had its GPU alone"


def _gpu_memory(row: RunRow) -> str:
    """What it holds, and what was thought or said that it would."""
    held = words.size(row.device_memory) if row.device_memory else ""
    given = f"given {words.size(row.gpu_memory)}" if row.gpu_memory else ""
    runs = "1 run" if row.predicted_from == 1 else f"{row.predicted_from} runs"
    guess = f"predicted {words.size(row.predicted)} from {runs}" if row.predicted else ""
    return ", ".join(part for part in (held, given or guess) if part)


def _attempts(detail: RunDetail) -> str:
    """Each attempt with its outcome; the one that is shown has a mark."""
    lines = []
    for row in detail.attempts:
        mark = ">" if row.id == detail.row.id else " "
        step = f"step {row.step}" if row.step is not None else ""
        told = ", ".join(part for part in (row.state, step, row.reason) if part)
        lines.append(f"{mark} {row.id:<{max(len(other.id) for other in detail.attempts)}}  {told}\n")
    return "".join(lines)


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
        size = f"{data.files} files, {words.size(data.bytes)}"
        used = f"{data.path or 'not recorded'} ({made_up}{size}, {data.fingerprint[:12]})"
    return [
        ("command", shlex.join(spec.command)),
        ("in", spec.cwd),
        ("code", f"{code}{_frozen(spec)}".removeprefix(", ")),
        ("not in its code", _left_out(spec)),
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


ELSEWHERE = ("t", "event", "order", "metrics", "host", "boot", "start_time", "said", "last", "kernel")
"""What a line says that stands in another part, or tells people nothing."""


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
            if name not in ELSEWHERE and value not in (None, "", [], {})
        )
        what = f"order {kind}" if "order" in entry else kind
        lines.append((float(t), f"  {words.moment(float(t))}  {what}  {rest}".rstrip()))
    return "".join(f"{line}\n" for _, line in sorted(lines, key=lambda pair: pair[0]))
