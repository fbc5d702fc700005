"""Numbers of programs that do not know us: where they are found, and the lines that are made of them.

The engine reads them while a run lives and writes `adopted.jsonl` into its folder: lines like those of metrics.jsonl,
each with the source and the place in it behind what it was made of ("from"), so that a restart goes on exactly there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

Line = dict[str, object]
STEPS = ("step", "global_step", "_step", "iteration", "iter", "epoch")
"""Keys that tell the step of a record, the first that is there counting."""
TIMES = ("t", "time", "timestamp", "_timestamp", "wall_time")
SANE_TIME = (1e9, 4102444800.0)
"""Unix seconds of 2001 and 2100: what a time of training lies between."""
NAME_LIMIT = 200


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's numbers are found. Paths are relative to its folder; {run} in them stands for the run folder."""

    stdout: bool = False
    """Lines of its log, by the usual patterns or by those given."""
    patterns: tuple[str, ...] = ()
    file: str = ""
    """A file of JSON lines."""
    tensorboard: str = ""
    """A folder of event files."""
    trainer_state: str = ""
    """A trainer_state.json, or the output folder of a Hugging Face Trainer."""

    def __bool__(self) -> bool:
        return bool(self.stdout or self.file or self.tensorboard or self.trainer_state)


def asked(
    stdout: bool, patterns: Sequence[str] = (), file: str = "", tensorboard: str = "", trainer_state: str = ""
) -> Adopt | None:
    """Make what was asked of `engine exec`; None for nothing. Raises UsageError for a pattern that is none."""
    if patterns:
        from engine.adopt_text import compile_pattern

        for pattern in patterns:
            compile_pattern(pattern)
    found = Adopt(
        stdout=stdout or bool(patterns),
        patterns=tuple(patterns),
        file=file,
        tensorboard=tensorboard,
        trainer_state=trainer_state,
    )
    return found or None


def record(found: Mapping[str, object], t: float, step: int | None = None) -> Line | None:
    """Make a line of any object: its step, its numbers, those one level down as outer/inner; None if it has neither.

    t: its time where it tells none. step: where it tells none.
    """
    key = next((name for name in STEPS if whole(found.get(name)) is not None), None)
    at = step if key is None else whole(found[key])
    if at is None:
        return None
    line: Line = {"t": t, "step": at}
    named = next((name for name in TIMES if name in found), None)
    if named is not None and (told := number(found[named])) is not None and SANE_TIME[0] < told < SANE_TIME[1]:
        line["t"] = told
    for name, value in found.items():
        if name == key and key != "epoch":
            continue
        if name in TIMES or not isinstance(name, str):
            continue
        if isinstance(value, Mapping):
            line |= {f"{name}/{inner}"[:NAME_LIMIT]: n for inner, v in value.items() if (n := number(v)) is not None}
        elif (n := number(value)) is not None:
            line[name[:NAME_LIMIT]] = n
    return line if line.keys() - {"t", "step", "epoch"} else None


def number(value: object) -> float | int | None:
    """A number as JSON or numpy prints it; NaN and infinities are kept, to become gaps; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def whole(value: object) -> int | None:
    n = number(value)
    return int(n) if n is not None and math.isfinite(n) and n == int(n) and abs(n) < 1 << 53 else None


def name_of(words: str) -> str:
    """Write a name as metrics have them: `Val Loss` is val_loss."""
    return "_".join(words.strip().strip("'\"").lower().replace("-", " ").split())[:NAME_LIMIT]


def encode(line: Line) -> bytes:
    """One line with its newline; what is not finite becomes null, a gap in every chart."""
    return msgspec.json.encode(line) + b"\n"
