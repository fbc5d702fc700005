"""The lines of the new-run form that are the engine's own, and how any line is checked and stepped. Pure."""

from __future__ import annotations

import math
import time

from msgspec import Struct

from engine import when
from engine.errors import UsageError
from engine.families import shown
from engine.retry import MOST
from engine.sizes import size

RUN, EXEC = "run", "exec"
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


class Item(Struct, frozen=True):
    """A line of the form. kind: as Field.type, or choice, gpus, size, span, moment. choices: left and right walk them.

    when: it has a meaning only while another field has one of these values, as texts.
    """

    name: str
    kind: str
    default: str
    range: str = ""
    help: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()
    section: str = RUN
    when: tuple[str, tuple[str, ...]] | None = None

    @property
    def option(self) -> str:
        """Of the command line; fields of a family have --set."""
        return f"--{self.name}" if self.name != "tags" else "--tag"


def _bool(name: str, help_: str, when_: tuple[str, tuple[str, ...]] | None = None, section: str = RUN) -> Item:
    return Item(name, "bool", "false", help=help_, choices=("false", "true"), section=section, when=when_)


_ON_GPUS = ("", *map(str, range(1, 1025)))
_TIMES = tuple(map(str, range(1, MOST + 1)))
MAIN = (
    Item("name", "str", "", help="what you call it; need not be unique"),
    Item("tags", "strs", "", help="tags, separated by commas"),
    Item("gpus", "gpus", "", "0 .. 8", "GPUs; 0 is a CPU slot; empty: one GPU where there is one", low=0),
    Item("priority", "int", "0", help="higher starts earlier"),
    Item("after", "strs", "", help="ids of runs that must end well first"),
)
"""What people give most runs: at the top of the form."""
MORE = (
    Item("note", "str", "", help="a note"),
    _bool("share", "let others that share run on its GPU, as far as memory reaches", ("gpus", ("", "1"))),
    Item("gpu-memory", "size", "", "such as 6GiB", "what it needs on each GPU; empty: as earlier runs like it needed",
         when=("gpus", _ON_GPUS)),
    Item("after-any", "strs", "", help="ids of runs that must end first, whatever their end"),
    Item("begin", "moment", "", "22:00, +2h, fri 18:30", "not before this time"),
    Item("limit", "span", "", "90m, 8h, 2d", "end it as a stop does after so long"),
    Item("hang", "span", "", "10m, 2h", "end it when it writes nothing for so long"),
    Item("retry-oom", "int", "0", f"0 .. {MOST}", "attempts after out of memory, each with half the micro-batch",
         low=0, high=MOST),
    Item("retry", "int", "0", f"0 .. {MOST}", "attempts after any other bad end", low=0, high=MOST),
    Item("retry-wait", "span", "30s", "30s, 5m", "before the first of those; doubles each time",
         when=("retry", _TIMES)),
    _bool("hold", "queue it held back, until somebody releases it"),
    _bool("needed", "not if a run of the same config, data and code ended well"),
    Item("freeze", "choice", "", help="execute the code as it is now; empty: yes if the workspace holds the trainers",
         choices=("", "yes", "no")),
    Item("on-finish", "str", "", help="shell command for its end; gets its row as JSON on stdin"),
)  # fmt: skip
EXEC_ITEMS = (
    Item("command", "command", "", "python train.py --lr 3e-4", "the command and its arguments", section=EXEC),
    Item("folder", "str", ".", help="the folder to run it in", section=EXEC),
    _bool("metrics", "read numbers from what it prints: loss: 0.12 (step 40)", section=EXEC),
    Item("metrics-pattern", "pattern", "", help="read them by this pattern: groups named step, loss...", section=EXEC),
    Item("metrics-file", "str", "", help="read numbers from the JSON lines that it writes there", section=EXEC),
    Item("tensorboard", "str", "", help="read scalars from TensorBoard's event files in this folder", section=EXEC),
    Item("trainer-state", "str", "", help="read a Hugging Face trainer_state.json, or a folder with it", section=EXEC),
)  # fmt: skip
RUN_NAMES = frozenset(item.name for item in (*MAIN, *MORE))


def true(text: str) -> bool:
    return text.strip().lower() in _TRUE


def check(item: Item, text: str) -> str:
    """Check a text against type, choices and range as engine and trainers will; cross-field rules are theirs alone."""
    text = text.strip()
    if item.kind in ("size", "span", "moment", "pattern", "command"):
        return _read(item, text)
    if item.kind == "strs" and item.choices:
        strange = [part for part in map(str.strip, text.split(",")) if part and part not in item.choices]
        return f"{strange[0]} is not one of {', '.join(item.choices)}" if strange else ""
    if item.kind in ("str", "strs", "choice"):
        return "" if not item.choices or text in item.choices else f"not one of {', '.join(item.choices)}"
    if item.kind == "gpus" and not text:
        return ""
    if item.kind == "bool":
        return "" if text.lower() in _TRUE | _FALSE else "expected true or false"
    many = item.kind in ("ints", "floats")
    parts = [part.strip() for part in text.split(",") if part.strip()] if many else [text]
    for part in parts:
        problem = _number(item, part, whole=item.kind in ("int", "ints", "gpus"))
        if problem:
            return problem
        if item.choices and part not in item.choices:
            return f"not one of {', '.join(item.choices)}"
    return ""


def _read(item: Item, text: str) -> str:
    """What the engine's own readers say, without the text they repeat."""
    if not text:
        return "type a command" if item.kind == "command" else ""
    try:
        match item.kind:
            case "size":
                size(text, "")
            case "span":
                when.duration(text)
            case "moment":
                when.moment(text, time.time())
            case "pattern":
                from engine.adopt_text import compile_pattern

                compile_pattern(text)
            case _:
                import shlex

                shlex.split(text)
    except UsageError as error:
        return str(error).strip().removeprefix(text).lstrip(": ").rstrip(".")
    except ValueError as error:  # a quotation that does not end
        return str(error).lower()
    return ""


def _number(item: Item, text: str, *, whole: bool) -> str:
    try:
        value = float(text)
    except ValueError:
        return "expected a whole number" if whole else "expected a number such as 3e-4"
    if not math.isfinite(value):
        return "expected a finite number"
    if whole and value != int(value):
        return "expected a whole number"
    if item.low is not None and value < item.low:
        return f"below {shown(item.low)}"
    if item.high is not None and value > item.high:
        return f"above {shown(item.high)}"
    return ""


def stepped(item: Item, text: str, way: int) -> str | None:
    """The next or the previous value: of the choices, or a sensible step of a number; None where there is none."""
    if item.choices:
        at = item.choices.index(text) if text in item.choices else 0
        return item.choices[(at + way) % len(item.choices)]
    if item.kind not in ("int", "float", "gpus"):
        return None
    try:
        value = float(text or 0)
    except ValueError:
        return None
    new = _step(value, way, log=item.log, whole=item.kind != "float")
    new = max(new, item.low) if item.low is not None else new
    new = min(new, item.high) if item.high is not None else new
    return shown(new if item.kind == "float" else int(new))


def _step(value: float, way: int, *, log: bool, whole: bool) -> float:
    """1-2-5 steps where orders of magnitude count, doubling for whole numbers there, else one last place."""
    if log and whole:
        return value * 2 if way > 0 else math.floor(value / 2)
    if log and value > 0:
        power = 10.0 ** math.floor(math.log10(value) + 1e-9)
        lead = value / power
        up = next((step for step in (1, 2, 5, 10) if step > lead + 1e-9), 10)
        down = next((step for step in (5, 2, 1, 0.5) if step < lead - 1e-9), 0.5)
        return float(f"{(up if way > 0 else down) * power:.6g}")
    if whole:
        return value + way
    places = 10.0 ** (math.floor(math.log10(abs(value)) + 1e-9)) if value else 0.1
    step = places / 10 if abs(value) < 2 * places - 1e-12 and way < 0 else places
    return float(f"{value + way * step:.6g}")
