"""A new run as a pure value: which fields there are, what was typed, what is wrong with it, and its command line."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.families import Family, Field, bounds, explained, shown

# What people change most, in this order; every other field comes after them, in its family's own order.
FIRST = (
    "train.lr",
    "train.epochs",
    "train.steps",
    "train.batch",
    "data.context",
    "data.horizon",
    "data.path",
    "data.unseen",
    "train.seed",
)
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True)
class Item:
    """A line of the form. kind: as Field.type. choices are walked with left and right."""

    name: str
    kind: str
    default: str
    range: str = ""
    help: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()
    section: str = "run"


RUN_ITEMS = (
    Item("name", "str", "", help="what you call it; need not be unique"),
    Item("tags", "strs", "", help="tags, separated by commas"),
    Item("gpus", "gpus", "", "0 .. 8", "GPUs; 0 is a CPU slot; empty: one GPU where there is one", low=0),
    Item("priority", "int", "0", help="higher starts earlier"),
    Item("after", "strs", "", help="ids of runs that must end well first"),
)
RUN_NAMES = frozenset(item.name for item in RUN_ITEMS)


@dataclass(frozen=True)
class Form:
    """families: what there is to choose from. texts: what was typed, by item; nothing typed is the default.

    base: the fields of the chosen preset, as text, once the trainers have resolved it.
    """

    families: Mapping[str, Family]
    family: str = ""
    preset: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)

    # -- what there is -------------------------------------------------------------------------------------------

    def items(self, words: str = "") -> list[Item]:
        """All lines, or those with every word in their name or help; family and preset always."""
        wanted = words.lower().split()
        head, rest = self._all[:2], self._all[2:]
        return head + [item for item in rest if all(w in f"{item.name} {item.help}".lower() for w in wanted)]

    @cached_property
    def _all(self) -> list[Item]:
        chosen = self.families[self.family]
        head = [
            Item("family", "choice", self.family, help=chosen.title, choices=tuple(self.families)),
            Item(
                "preset",
                "choice",
                self.preset,
                help=chosen.presets.get(self.preset, ""),
                choices=tuple(chosen.presets),
            ),
        ]
        known = {f.name: f for f in chosen.fields}
        order = [name for name in FIRST if name in known] + [name for name in known if name not in FIRST]
        rest = [*RUN_ITEMS, *(self._item(known[name]) for name in order)]
        return head + rest

    def _item(self, told: Field) -> Item:
        choices = tuple(shown(choice) for choice in told.choices or ())
        if told.type == "bool":
            choices = ("false", "true")
        return Item(
            told.name,
            told.type,
            self.base.get(told.name, shown(told.default)),
            bounds(told),
            explained(told),
            told.low,
            told.high,
            told.log,
            choices,
            told.name.partition(".")[0],
        )

    # -- typing --------------------------------------------------------------------------------------------------

    def text(self, item: Item) -> str:
        return self.texts.get(item.name, item.default)

    def typed(self, name: str, text: str) -> Form:
        """The form after a value was typed; family and preset take their fields with them."""
        if name == "family":
            kept = {key: value for key, value in self.texts.items() if key in RUN_NAMES}
            return replace(self, family=text, preset=self.families[text].default_preset, texts=kept, base={})
        if name == "preset":
            return replace(self, preset=text, base={})
        return replace(self, texts={**self.texts, name: text})

    def cleared(self, name: str) -> Form:
        return replace(self, texts={key: value for key, value in self.texts.items() if key != name})

    def stepped(self, item: Item, way: int) -> Form:
        """The next or the previous value: of the choices, or a sensible step of a number."""
        text = self.text(item)
        if item.choices:
            at = item.choices.index(text) if text in item.choices else 0
            return self.typed(item.name, item.choices[(at + way) % len(item.choices)])
        if item.kind not in ("int", "float", "gpus"):
            return self
        try:
            value = float(text or 0)
        except ValueError:
            return self
        new = _step(value, way, log=item.log, whole=item.kind != "float")
        new = max(new, item.low) if item.low is not None else new
        new = min(new, item.high) if item.high is not None else new
        return self.typed(item.name, shown(new if item.kind == "float" else int(new)))

    # -- what is wrong ---------------------------------------------------------------------------------------------

    def problem(self, item: Item) -> str:
        """What is wrong with the typed value, in a few words; empty if nothing."""
        if item.name not in self.texts:
            return ""
        return check(item, self.texts[item.name])

    def problems(self) -> list[tuple[str, str]]:
        """(item, what is wrong) for all that was typed."""
        found = ((item.name, self.problem(item)) for item in self.items())
        return [(name, problem) for name, problem in found if problem]

    # -- what it comes to ------------------------------------------------------------------------------------------

    @cached_property
    def sets(self) -> dict[str, str]:
        """The fields set by hand; one typed like its default is not among them."""
        found = {}
        for item in self.items():
            if item.section != "run" and item.name in self.texts:
                text = self.texts[item.name].strip()
                if text != item.default:
                    found[item.name] = text
        return found

    @property
    def gpus(self) -> int | None:
        text = self.texts.get("gpus", "").strip()
        return int(text) if text else None

    @property
    def priority(self) -> int:
        return int(self.texts.get("priority", "").strip() or 0)

    def words(self, name: str) -> tuple[str, ...]:
        """A list typed with commas."""
        return tuple(word.strip() for word in self.texts.get(name, "").split(",") if word.strip())

    def command(self) -> list[str]:
        """The same as arguments of the command line."""
        line = ["engine", "run", self.family]
        if self.preset != self.families[self.family].default_preset:
            line += ["--preset", self.preset]
        for name, text in self.sets.items():
            line += ["--set", f"{name}={text}"]
        if name := self.texts.get("name", "").strip():
            line += ["--name", name]
        for tag in self.words("tags"):
            line += ["--tag", tag]
        if text := self.texts.get("gpus", "").strip():
            line += ["--gpus", text]
        if (text := self.texts.get("priority", "").strip()) not in ("", "0"):
            line += ["--priority", text]
        for run in self.words("after"):
            line += ["--after", run]
        return line

    def line(self) -> str:
        return shlex.join(self.command())


def begin(families: Mapping[str, Family]) -> Form:
    """A form with the first family and its default preset."""
    first = next(iter(families))
    return Form(families, first, families[first].default_preset)


def flat(config: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """A resolved config as texts by field."""
    return {f"{section}.{key}": shown(value) for section, values in config.items() for key, value in values.items()}


def check(item: Item, text: str) -> str:
    """Check a text against type, choices and range as the trainers will; cross-field rules are theirs alone."""
    text = text.strip()
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
