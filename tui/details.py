"""What there is to say about one run, as lines: facts, why it ended, configuration, code, events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.cli.detail import FACTS, SECONDS, SIZES
from engine.messages import RunDetail
from engine.provenance import Git
from engine.query_fields import took
from engine.records import ENDED, WAITING, RunRow
from tui import nothing, present
from tui.logs import clean
from tui.present import NONE, Cell, Part
from tui.widgets.strips import width_of

if TYPE_CHECKING:
    from engine.devices import Sample
    from tui.upclose import Patch


def facts(row: RunRow, width: int, now: float, sample: Sample | None = None) -> list[list[Part]]:
    """Two or three lines: state and progress, then result, then what is wrong. sample: of the devices it is on now."""
    sign, role = present.MARKS.get(row.state, ("·", "rest"))
    first = _Line(width)
    first.add("", ((f"{sign} {row.state}", role),))
    first.add("", ((row.family, "rest"),))
    if row.name:
        first.add("", ((row.name, "strong"),))
    if row.labels:
        first.add("on", ((present.where(row), "text"),))
    if row.state in WAITING:
        first.add("", present.reason(row))
    else:
        done = present.progress(row)
        if done is not None and row.state not in ENDED:
            bar = present.bar(done, 20 if width >= 100 else 10)
            first.add("", (*bar, (f" {present.percent(row)}", "text")))
            if row.eta is not None:
                first.add("ETA", ((present.duration(row.eta), "strong"),))
        first.add("took" if row.ended else "for", ((present.duration(took(row, now)), "text"),))
        epochs = f"  {present.epochs(row)}" if row.epoch is not None and row.epochs else ""
        first.add("step", ((present.steps(row), "text"), (epochs, "rest")))
    result, end = _result(row, width, sample), _end(row)
    if not result:  # nothing is known of it but what it is
        return [first.parts, list(present.what(row)), end if row.warning or row.state in ENDED - {"ok"} else []]
    return [first.parts, result, end]


class _Line:
    """Pairs of a label and a value, as many as fit."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.parts: list[Part] = []

    def add(self, label: str, value: Cell) -> bool:
        gap: list[Part] = [("   ", "text")] if self.parts else []
        more = [*gap, (f"{label} " if label else "", "rest"), *value]
        fits = width_of(self.parts) + width_of(more) <= self._width
        self.parts += more if fits else []
        return fits


def _result(row: RunRow, width: int, sample: Sample | None) -> list[Part]:
    line = _Line(width)
    if row.loss is not None:
        line.add("loss", ((present.number(row.loss), "text"),))
    if row.metric is not None:
        line.add("val_pct_mae", ((present.metric(row.metric), "text"),))
        line.add("naive", ((present.metric(row.naive), "attention"),))
        line.add("vs naive", present.skill_cell(row.skill))
    if row.best is not None:
        line.add("best", ((present.metric(row.best), "good bold"),))
    if row.steps_per_s is not None:
        line.add("steps/s", ((present.rate(row.steps_per_s), "text"),))
    if row.windows_per_s is not None:
        line.add("windows/s", ((present.rate(row.windows_per_s), "text"),))
    if row.attempt > 1:
        line.add("attempt", ((_attempt(row), "text"),))
    if row.device_memory is not None:
        shared = f" of {present.size(row.claim)} it may share" if row.claim else ""
        used = (present.size(row.device_memory) + shared, "text")
        if not line.add("GPU memory", (used, *_room(row, sample))):
            line.add("GPU memory", (used,))
    elif row.predicted and row.state in WAITING:
        runs = "1 run" if row.predicted_from == 1 else f"{row.predicted_from} runs"
        line.add("GPU memory", ((f"predicted {present.size(row.predicted)} from {runs}", "text"),))
    if row.memory is not None:
        line.add("peak memory" if row.ended else "memory", ((present.size(row.memory), "text"),))
    if row.commit:
        line.add("commit", ((row.commit[:9] + ("*" if row.dirty else ""), "text"),))
    return line.parts


def _room(row: RunRow, sample: Sample | None) -> Cell:
    """What is free of the devices a run is on just now, as NVML tells it: what it could still ask for."""
    here = [one for one in sample.devices if one.uuid in row.devices] if sample is not None else []
    if row.state in ENDED or not here or any(one.memory_free is None or one.memory_total is None for one in here):
        return ()
    free, total = (sum(getattr(one, f"memory_{what}") for one in here) for what in ("free", "total"))
    return ((f" · {present.size(free)} of {present.size(total)} free", "attention" if free < total / 20 else "rest"),)


def _attempt(row: RunRow) -> str:
    """3, or 3 of 4 where the engine itself may make so many."""
    return f"{row.attempt} of {row.tries}" if row.tries >= row.attempt else str(row.attempt)


def _end(row: RunRow) -> list[Part]:
    if row.warning:
        return [(f"▲ {row.warning}", "attention")]
    if row.state in ENDED and row.state != "ok":
        return list(present.cause(row))
    return [(text, "rest" if role == "text" else role) for text, role in present.what(row)]


def config(detail: RunDetail) -> list[list[Part]]:
    """The whole configuration by section, what was set by hand marked; then where the run came from."""
    spec = detail.spec
    lines: list[list[Part]] = [[("● set by hand, over the preset", "ours")], []] if spec.changed else []
    size = names_of(detail)
    for section, values in spec.config.items():
        lines.append([(section, "title")])
        for name, value in values.items():
            by_hand = f"{section}.{name}" in spec.changed
            lines.append(
                [
                    ("  ● " if by_hand else "    ", "ours"),
                    (f"{name:<{size}}", "rest"),
                    (_value(value), "ours bold" if by_hand else "text"),
                ]
            )
        lines.append([])
    lines.append([("run", "title")])
    lines += [[("    ", "text"), (f"{name:<{size}}", "rest"), (text, "text")] for name, text in _about(detail) if text]
    return lines


def names_of(detail: RunDetail) -> int:
    """Cells of the longest name of a setting, and of the blanks behind it."""
    return 2 + max(20, *(len(name) for values in detail.spec.config.values() for name in values), 0)


def _about(detail: RunDetail) -> list[tuple[str, str]]:
    spec, row = detail.spec, detail.row
    git, data = spec.git, spec.data
    made_up = " (synthetic)" if data is not None and data.synthetic else ""
    return [
        ("family", spec.family + (f" ({spec.preset})" if spec.preset else "")),
        ("command", " ".join(spec.command)),
        ("folder", detail.folder),
        ("submitted", moment(spec.submitted) + (f" by {spec.user}@{spec.host}" if spec.user else "")),
        ("seed", "" if spec.seed is None else str(spec.seed)),
        ("GPUs", present.needs(row)),
        ("priority", str(row.priority)),
        ("after", ", ".join(spec.after)),
        ("attempts", ", ".join(f"{one.id} {one.state}" for one in detail.attempts)),
        ("resumed from", spec.resume_from or ""),
        ("tags", ", ".join(row.tags)),
        ("note", row.note),
        ("git", _version(git) if git else ""),
        ("data", f"{data.path}, {data.files} files, {present.size(data.bytes)}{made_up}" if data else ""),
        ("data fingerprint", data.fingerprint if data else ""),
        ("best checkpoint", row.checkpoint),
        ("packages", ", ".join(f"{k} {v}" for k, v in sorted(spec.packages.items()))),
    ]


def _version(git: Git) -> str:
    if not _recorded(git):
        return git.why
    return f"{git.commit[:12]} on {git.branch}{', with uncommitted changes' if git.dirty else ''}"


def _recorded(git: Git) -> bool:
    """Whether the code was in a repository."""
    return bool(git.commit or git.branch)


def card(detail: RunDetail | None, width: int, most: int) -> list[list[Part]]:
    """Why a run ended badly, and its attempts: at most so many lines; the last ones of its log if there is room."""
    if detail is None:
        return []
    lines: list[list[Part]] = []
    if len(detail.attempts) > 1:
        line = _Line(width)
        for one in detail.attempts:
            sign, role = present.MARKS.get(one.state, ("·", "rest"))
            why = f" {one.cause}" if one.cause else ""
            line.add("attempts" if not line.parts else "→", ((f"{sign} {one.id}{why}", role),))
        lines.append(line.parts)
    if detail.cause is not None:
        facts = _Line(width)
        for name, value in detail.cause.facts.items():
            if value not in (None, "") and name != "booted":
                label, shown = fact(name, value)
                facts.add(label, ((shown, "text"),))
        lines += [facts.parts] if facts.parts else []
        lines += [[("│ ", "trouble"), (line, "rest")] for line in detail.log[-max(0, most - len(lines)) :]]
    return lines[: max(0, most)]


def fact(name: str, value: object) -> tuple[str, str]:
    """A fact of a cause as (what it is called, what it is)."""
    if name == "booted" and isinstance(value, int | float):
        shown = moment(float(value))
    elif name in SECONDS and isinstance(value, int | float):
        shown = present.duration(value)
    else:
        shown = present.size(value) if name in SIZES and isinstance(value, int) else _value(value)
    return FACTS.get(name, name.replace("_", " ")), shown


def code(detail: RunDetail, patch: Patch | None) -> list[list[Part]]:
    """The commit, whether the code is frozen, and the uncommitted changes as a diff in its colours."""
    git, frozen, waits = detail.spec.git, detail.spec.code, detail.row.state in WAITING
    if git is None:
        return [[(nothing.code(), "rest")]]
    lines: list[list[Part]] = []

    def told(name: str, *value: Part) -> None:
        if any(text for text, _ in value):
            lines.append([(f"{name:<12}", "rest"), *value])

    if _recorded(git):
        told("commit", (git.commit or "none yet", "strong"), (f"  on {git.branch}" if git.branch else "", "rest"))
        changed = ("with changes that were not committed", "attention") if git.dirty else ("as committed", "good")
        told("changes", changed)
        told("", (git.why, "rest"))
    else:
        told("commit", ("none", "attention"), (f": {git.why}" if git.why else "", "rest"))
    if frozen is not None and frozen.tree:
        told("frozen", (frozen.tree, "good"), (f"  a copy of {frozen.top} that nobody writes to", "rest"))
    else:
        ran = "will run the code as it is when it starts" if waits else "ran the code as it was when it started"
        told("frozen", ("no", "attention"), (f": {frozen.why}" if frozen is not None and frozen.why else "", "rest"),
             (f", it {ran}", "rest"))  # fmt: skip
    for path in dict.fromkeys((*git.left_out, *(frozen.left_out if frozen is not None else ()))):
        told("left out", (path, "attention"))
    if patch is None or patch.run != detail.row.id:
        return [*lines, [], [("reading code.patch…", "rest")]]
    if patch.trouble or not patch.text:
        if not patch.trouble and not _recorded(git):
            return lines
        missing = git.dirty and git.patch_sha
        said = patch.trouble or ("code.patch is not on this machine" if missing else "no patch: nothing differs")
        return [*lines, [], [(said, "rest")]]
    lines.append([])
    lines += [[(line, _diff_role(line))] for line in map(clean, patch.text.encode().split(b"\n"))]
    if patch.left_out:
        lines.append([(f"{present.size(patch.left_out)} more in code.patch", "attention")])
    return lines


def _diff_role(line: str) -> str:
    if line.startswith(("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ")):
        return "strong" if line.startswith("diff ") else "rest"
    return {"+": "good", "-": "trouble", "@": "second"}.get(line[:1], "text")


def events(detail: RunDetail) -> list[list[Part]]:
    """Orders, lifecycle and what the trainer told, in the order it happened."""
    found: list[tuple[float, list[Part]]] = []
    for line in detail.orders:
        found.append(_event(line, "order", f"order {line.get('order', '')}", "second"))
    for line in detail.lifecycle:
        found.append(_event(line, "event", str(line.get("event", "")), "ours"))
    roles = {"best": "good", "finished": "good", "warning": "attention", "oom": "trouble", "failed": "trouble"}
    for line in detail.events:
        kind = str(line.get("event", ""))
        found.append(_event(line, "event", kind, roles.get(kind, "text")))
    lines = [parts for _, parts in sorted(found, key=lambda pair: pair[0])]
    if len(detail.events) >= 500:
        lines.insert(0, [("the last 500 events; all are in events.jsonl", "rest")])
    return lines or [[("nothing has happened yet", "rest")]]


EVENT = 33
"""Cells of its moment and its name, below which what it tells goes on."""


def _event(line: Mapping[str, object], kind: str, name: str, role: str) -> tuple[float, list[Part]]:
    t = line.get("t")
    at = float(t) if isinstance(t, int | float) else 0.0
    fields = [
        f"{key}={present.size(value) if _is_size(key) and isinstance(value, int) else _value(value)}"
        for key, value in line.items()
        if key not in ("t", kind) and value not in (None, "", [], {})
    ]
    return at, [(moment(at) + "  ", "rest"), (f"{name:<15}  ", role), ("  ".join(fields), "text")]


def _is_size(name: str) -> bool:
    return name in SIZES or name.endswith("bytes")


def moment(t: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(t)) if t else NONE


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return " ".join(f"{k}:{_value(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ",".join(_value(v) for v in value)
    return "" if value is None else str(value)
