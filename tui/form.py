"""A new run as a pure value: which fields there are, what was typed, what is wrong with it, and its command line."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from engine import when
from engine.families import Family, Field, bounds, explained, shown
from engine.records import Spec
from engine.retry import policy
from engine.sizes import size
from tui.fields import EXEC, EXEC_ITEMS, MAIN, MORE, RUN, RUN_NAMES, Item, check, stepped, true

if TYPE_CHECKING:
    from engine.submit import Wishes

__all__ = ["Form", "Item", "begin", "check", "clone", "flat"]

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
COMMAND = Family(title="any command", help="a program that is not one of ours", presets={"": ""})
"""`engine exec` as one more family."""


class Form(Struct, frozen=True, dict=True):
    """families: what there is to choose from. texts: what was typed, by item; nothing typed is the default.

    base: the fields of the chosen preset, as text, once the trainers have resolved it.
    """

    families: Mapping[str, Family]
    family: str = ""
    preset: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)

    # -- what there is -------------------------------------------------------------------------------------------

    def items(self, words: str = "", *, changed: bool = False) -> list[Item]:
        """The lines that have a meaning now, or were typed: all, those with every word, those that were changed.

        Family and preset always.
        """
        wanted = words.lower().split()
        head = [item for item in self._all if item.name in ("family", "preset")]
        rest = [item for item in self._all[len(head) :] if item.name in self.texts or self.means(item)]
        return head + [
            item
            for item in rest
            if all(word in f"{item.name} {item.help}".lower() for word in wanted)
            and (not changed or self.changed(item))
        ]

    @cached_property
    def _all(self) -> list[Item]:
        chosen = self.families[self.family]
        head = [Item("family", "choice", self.family, help=chosen.title, choices=tuple(self.families))]
        if self.family == EXEC:
            return [*head, EXEC_ITEMS[0], *MAIN, *EXEC_ITEMS[1:], *MORE]
        about = chosen.presets.get(self.preset, "")
        head.append(Item("preset", "choice", self.preset, help=about, choices=tuple(chosen.presets)))
        known = {told.name: told for told in chosen.fields}
        first = [self._item(known[name]) for name in FIRST if name in known]
        return [*head, *MAIN, *first, *MORE, *(self._item(known[name]) for name in known if name not in FIRST)]

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self._all}

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
            (told.when.field, tuple(map(shown, told.when.values))) if told.when is not None else None,
        )

    def means(self, item: Item) -> bool:
        """Whether it has a meaning with what the other fields are now."""
        if item.when is None or (other := self._by_name.get(item.when[0])) is None:
            return True
        return self.text(other).strip() in item.when[1] and self.means(other)

    # -- typing --------------------------------------------------------------------------------------------------

    def text(self, item: Item) -> str:
        return self.texts.get(item.name, item.default)

    def changed(self, item: Item) -> bool:
        """Whether it was typed and is not its default."""
        return item.name in self.texts and self.texts[item.name].strip() != item.default

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
        """With the next or the previous value of a line, where it has one."""
        text = stepped(item, self.text(item), way)
        return self if text is None else self.typed(item.name, text)

    # -- what is wrong ---------------------------------------------------------------------------------------------

    def problem(self, item: Item) -> str:
        """What is wrong with the typed value, in a few words; empty if nothing."""
        if item.name not in self.texts:
            return "type a command" if item.kind == "command" else ""
        if wrong := check(item, self.texts[item.name]):
            return wrong
        if self.changed(item) and not self.means(item) and item.when is not None:
            other = self._by_name[item.when[0]]
            return f"means nothing with {other.name} = {self.text(other) or 'none'}"
        return ""

    def problems(self) -> list[tuple[str, str]]:
        """(item, what is wrong) for all that was typed."""
        found = ((item.name, self.problem(item)) for item in self.items())
        return [(name, problem) for name, problem in found if problem]

    # -- what it comes to ------------------------------------------------------------------------------------------

    @cached_property
    def sets(self) -> dict[str, str]:
        """The fields set by hand; one typed like its default is not among them."""
        return {
            item.name: self.texts[item.name].strip()
            for item in self._all
            if item.section not in (RUN, EXEC) and self.changed(item)
        }

    def words(self, name: str) -> tuple[str, ...]:
        """A list typed with commas."""
        return tuple(word.strip() for word in self.texts.get(name, "").split(",") if word.strip())

    def told(self, name: str) -> str:
        """What was typed for one of the engine's own lines; empty where it is as it would be without."""
        item = self._by_name.get(name)
        return self.texts[name].strip() if item is not None and self.changed(item) else ""

    def wishes(self) -> Wishes:
        """What `engine run` would make of its options. Raises UsageError for what can't be."""
        from engine.adopt import asked
        from engine.submit import Wishes

        given = {"oom": self.told("retry-oom"), "times": self.told("retry"), "wait": self.told("retry-wait")}
        pattern = self.told("metrics-pattern")
        return Wishes(
            name=self.told("name"),
            tags=self.words("tags"),
            note=self.told("note"),
            gpus=int(text) if (text := self.told("gpus")) else None,
            share=true(self.told("share")),
            gpu_memory=size(text, "--gpu-memory") if (text := self.told("gpu-memory")) else None,
            retry=policy({key: value for key, value in given.items() if value}),
            priority=int(self.told("priority") or 0),
            after=self.words("after"),
            after_any=self.words("after-any"),
            begin=when.moment(text, time.time(), "--begin") if (text := self.told("begin")) else None,
            limit=when.duration(text, "--limit") if (text := self.told("limit")) else None,
            hang=when.duration(text, "--hang") if (text := self.told("hang")) else None,
            on_finish=self.told("on-finish"),
            hold=true(self.told("hold")),
            needed=true(self.told("needed")),
            freeze={"yes": True, "no": False}.get(self.told("freeze")),
            adopt=asked(
                true(self.told("metrics")),
                [pattern] if pattern else [],
                self.told("metrics-file"),
                self.told("tensorboard"),
                self.told("trainer-state"),
            ),
        )

    @property
    def program(self) -> list[str]:
        """The command of exec; what can't be parted into words is one word."""
        text = self.texts.get("command", "")
        try:
            return shlex.split(text)
        except ValueError:
            return [text]

    def command(self) -> list[str]:
        """The same as arguments of the command line."""
        line = ["engine", EXEC] if self.family == EXEC else ["engine", "run", self.family]
        if self.preset != self.families[self.family].default_preset:
            line += ["--preset", self.preset]
        for name, text in self.sets.items():
            line += ["--set", f"{name}={text}"]
        for item in self._all:
            if item.section in (RUN, EXEC) and item.name not in ("family", "preset", "command", "folder"):
                line += self._option(item)
        return [*line, "--", *self.program] if self.family == EXEC else line

    def _option(self, item: Item) -> list[str]:
        text = self.told(item.name)
        if not text:
            return []
        if item.kind == "strs":
            return [part for word in self.words(item.name) for part in (item.option, word)]
        if item.kind == "bool":
            return [item.option] if true(text) else []
        if item.name == "freeze":
            return ["--freeze" if text == "yes" else "--no-freeze"]
        return [item.option, text]

    def line(self) -> str:
        folder = self.told("folder")
        return (f"cd {shlex.quote(folder)} && " if folder else "") + shlex.join(self.command())


def begin(families: Mapping[str, Family]) -> Form:
    """A form with the first family and its default preset; any command is the last family."""
    known = {**families, EXEC: COMMAND}
    first = next(iter(known))
    return Form(known, first, known[first].default_preset)


def clone(families: Mapping[str, Family], spec: Spec, base: Mapping[str, str]) -> tuple[Form, Sequence[str]]:
    """A form that makes the same run again, and the settings of it that its family no longer knows.

    base: the fields of its preset as they are now. What belongs to that one run only (name, note, begin, what it was
    to wait for) is not taken along.
    """
    known = {**families, EXEC: COMMAND}
    texts: dict[str, str] = {"tags": ",".join(spec.tags), "gpus": shown(spec.gpus), "priority": str(spec.priority)}
    texts |= {"share": shown(spec.share), "on-finish": spec.on_finish}
    texts["gpu-memory"] = f"{spec.gpu_memory / (1 << 20):.10g}MiB" if spec.gpu_memory else ""
    for name, seconds in (("limit", spec.limit), ("hang", spec.hang)):
        texts[name] = _spelled(seconds) if seconds else ""
    if spec.retry is not None:
        texts |= {"retry-oom": str(spec.retry.oom), "retry": str(spec.retry.times)}
        texts["retry-wait"] = _spelled(spec.retry.wait) if spec.retry.times else "30s"
    gone: list[str] = []
    if spec.family == EXEC:
        form = Form(known, EXEC, "")
        texts |= {"command": shlex.join(spec.command), "folder": spec.cwd}
        if spec.adopt is not None:
            texts |= {"metrics": shown(spec.adopt.stdout and not spec.adopt.patterns)}
            texts |= {"metrics-pattern": next(iter(spec.adopt.patterns), ""), "metrics-file": spec.adopt.file}
            texts |= {"tensorboard": spec.adopt.tensorboard, "trainer-state": spec.adopt.trainer_state}
    else:
        chosen = known[spec.family]
        preset = spec.preset if spec.preset in chosen.presets else chosen.default_preset
        form = Form(known, spec.family, preset, base=base)
        fields = {told.name for told in chosen.fields}
        was = flat(spec.config)
        gone = sorted(name for name in spec.changed if name not in fields)
        texts |= {name: text for name, text in was.items() if name in fields and base.get(name, text) != text}
    items = {item.name: item for item in form._all}
    return replace(form, texts={k: v for k, v in texts.items() if k in items and v != items[k].default}), gone


def _spelled(seconds: float) -> str:
    """A duration as it can be typed: 8h, 90m, 45s."""
    for unit, size_ in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size_ and seconds % size_ == 0:
            return f"{seconds // size_:g}{unit}"
    return f"{seconds:.10g}s"


def flat(config: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """A resolved config as texts by field."""
    return {f"{section}.{key}": shown(value) for section, values in config.items() for key, value in values.items()}
