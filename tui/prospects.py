"""What the engine foresees of a new run, as lines of a form: when it starts, what memory it needs, its twin. Pure."""

from __future__ import annotations

from engine import when
from engine.prospect import Prospect
from tui import present
from tui.keys import label
from tui.present import Part


def lines(prospect: Prospect, now: float, *, gpus: bool) -> list[list[Part]]:
    """Two lines, and a third one where the same run exists. gpus: whether the machine has any."""
    found = [_start(prospect, now), _memory(prospect, gpus=gpus)]
    if prospect.same:
        found.append([("▲ ", "attention"), (f"the same run exists: {prospect.same} ended well", "attention")])
    return found


def _start(prospect: Prospect, now: float) -> list[Part]:
    row, turn = prospect.row, prospect.turn
    if prospect.starts_now:
        on = " ".join(row.labels) or "this machine"
        line: list[Part] = [("starts ", "rest"), ("at once", "good bold"), (f" on {on}", "rest")]
    elif row.state == "held":
        line = [("is held back", "attention bold"), (f" until {label('chosen.hold')} releases it", "rest")]
    else:
        start = turn.start if turn is not None else None
        line = [("starts ", "rest")]
        if start is not None:
            line += [
                (f"about {when.clock(start, now)}", "ours bold"),
                (f" (in {present.duration(start - now)})", "rest"),
            ]
        else:
            line = [("start ", "rest"), ("not known", "attention bold")]
        line += [(f": {row.reason}" if row.reason else "", "rest")]
    if turn is not None and turn.takes is not None:
        line += [("   takes ", "rest"), (f"~{present.duration(turn.takes)}", "strong"), (f" ({turn.how})", "rest")]
    return line


def _memory(prospect: Prospect, *, gpus: bool) -> list[Part]:
    row = prospect.row
    if row.gpus == 0 or (not gpus and not row.gpus):
        return [("runs on the CPU: needs no GPU memory", "rest")]
    if row.gpu_memory is not None:
        return [("needs ", "rest"), (present.size(row.gpu_memory), "strong"), (" on each GPU, as you say", "rest")]
    if row.predicted is not None:
        runs = f"{row.predicted_from} run{'s' if row.predicted_from != 1 else ''} like it"
        return [
            ("needs ", "rest"),
            (f"~{present.size(row.predicted)}", "strong"),
            (f" of GPU memory, from {runs}", "rest"),
        ]
    return [("GPU memory: ", "rest"), ("not known", "text"), (", no run like it has ended on a GPU yet", "rest")]
