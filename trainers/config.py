"""A configuration field is declared once, as a dataclass field; flags, forms, checks and search spaces read it.

    @dataclass(frozen=True)
    class TrainConfig:
        lr: float = param(3e-4, help="peak learning rate", low=1e-7, high=1.0, log=True)
        delta: float = param(0.1, help="Huber delta", low=1e-6, when=("loss", "huber"))

Annotations may be int, float, bool, str, and tuple[int, ...], tuple[float, ...], tuple[str, ...].
Checks over several fields live in `__post_init__` and raise ValueError, starting with a field's name.
Standard library only: `python -m trainers describe` has to answer at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from typing import Any

from trainers.errors import ConfigError, did_you_mean

_KINDS = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "str",
    "tuple[int, ...]": "ints",
    "tuple[float, ...]": "floats",
    "tuple[str, ...]": "strs",
}
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def param(
    default: Any,
    *,
    help: str,  # noqa: A002 - reads well at every field
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] | list[Any] | None = None,
    unit: str | None = None,
    when: tuple[str, Any] | None = None,
) -> Any:
    """A dataclass field with what every reader of it needs.

    low, high: inclusive bounds (of each element, for tuples). log: a search should move on a log scale.
    unit: shown beside the value ("steps", "minutes"). when: (sibling field, value or tuple of values) outside
    of which the field means nothing; giving it then is an error, and it is left out of the resolved config.
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "log": log,
        "choices": None if choices is None else list(choices),
        "unit": unit,
        "when": None if when is None else (when[0], when[1] if isinstance(when[1], tuple) else (when[1],)),
    }
    return field(default=tuple(default) if isinstance(default, list) else default, metadata=metadata)


def kind(f: Any) -> str:
    """The field's type as a word: int, float, bool, str, ints, floats or strs."""
    name = f.type if isinstance(f.type, str) else getattr(f.type, "__name__", str(f.type))
    if name not in _KINDS:
        raise TypeError(f"field '{f.name}' is annotated {name}; known are {', '.join(_KINDS)}")
    return _KINDS[name]


def names(config: type) -> list[str]:
    return [f.name for f in fields(config)]


def describe(section: str, config: type) -> list[dict[str, Any]]:
    """The fields of one config class as plain JSON values, in order of declaration."""
    rows = []
    for f in fields(config):
        if f.default is MISSING:
            raise TypeError(f"{config.__name__}.{f.name} has no default: declare it with param()")
        about = dict(f.metadata)
        when = about.pop("when", None)
        row = {
            "name": f"{section}.{f.name}",
            "type": kind(f),
            "default": list(f.default) if isinstance(f.default, tuple) else f.default,
            **about,
        }
        if when is not None:
            row["when"] = {"field": f"{section}.{when[0]}", "in": list(when[1])}
        rows.append(row)
    return rows


def parse(f: Any, value: Any, name: str) -> Any:
    """The value, text or JSON, as the field's type, within its range and choices; ConfigError otherwise."""
    word = kind(f)
    if word in ("ints", "floats", "strs"):
        parts = [p.strip() for p in value.split(",")] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            raise ConfigError(f"{name} = {value!r}: expected a comma-separated list.")
        parsed: Any = tuple(_scalar(word[:-1], p, name) for p in parts if p != "")
        elements = parsed
    else:
        parsed = _scalar(word, value, name)
        elements = (parsed,)
    for element in elements:
        _check(f.metadata, element, name)
    return parsed


def build(config: type, values: Mapping[str, Any], section: str) -> Any:
    """An instance of the config class from text or JSON values; what is not given keeps its default.

    Raises ConfigError for an unknown field (naming the nearest), a value that does not fit, or a field
    given where it has no meaning.
    """
    known = {f.name: f for f in fields(config)}
    for name in values:
        if name not in known:
            near = did_you_mean(name, known).replace("'", f"'{section}.", 1)
            raise ConfigError(f"Unknown field '{section}.{name}'.{near} `engine config` shows all.")
    parsed = {name: parse(known[name], value, f"{section}.{name}") for name, value in values.items()}
    for name in without_meaning(config, parsed):
        other, wanted = known[name].metadata["when"]
        is_now = parsed.get(other, known[other].default)
        raise ConfigError(
            f"{section}.{name} has no meaning with {section}.{other}={_text(is_now)}: "
            f"leave it out, or set {section}.{other}={' or '.join(_text(v) for v in wanted)}."
        )
    try:
        return config(**parsed)
    except ValueError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(f"{section}.") else f"{section}.{text}") from error


def without_meaning(config: type, values: Mapping[str, Any]) -> list[str]:
    """The given fields whose `when` does not hold among the given values and the defaults."""
    known = {f.name: f for f in fields(config)}
    out = []
    for name in values:
        when = known[name].metadata.get("when") if name in known else None
        if when is not None:
            other = known[when[0]]
            value = parse(other, values[other.name], other.name) if other.name in values else other.default
            if value not in when[1]:
                out.append(name)
    return out


def as_dict(config: Any) -> dict[str, Any]:
    """The fields that have a meaning in this config, as JSON values; `build` gives the config back."""
    out = {}
    for f in fields(config):
        when = f.metadata.get("when")
        if when is None or getattr(config, when[0]) in when[1]:
            value = getattr(config, f.name)
            out[f.name] = list(value) if isinstance(value, tuple) else value
    return out


def _scalar(word: str, value: Any, name: str) -> Any:
    text = value.strip() if isinstance(value, str) else value
    if word == "str":
        if not isinstance(value, str):
            raise ConfigError(f"{name} = {value!r}: expected text.")
        return text
    if word == "bool":
        if isinstance(text, bool):
            return text
        if isinstance(text, str) and text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"{name} = {value!r}: expected true or false.")
    try:
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise ValueError
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        if word == "float":
            return number
        if isinstance(text, str):
            try:
                return int(text)  # exact for large seeds, which a float would round
            except ValueError:
                pass
        if number != int(number):
            raise ValueError
        return int(text) if isinstance(text, int) else int(number)
    except (ValueError, OverflowError):
        wanted = "a whole number" if word == "int" else "a finite number such as 3e-4"
        raise ConfigError(f"{name} = {value!r}: expected {wanted}.") from None


def _check(about: Mapping[str, Any], value: Any, name: str) -> None:
    choices, low, high = about.get("choices"), about.get("low"), about.get("high")
    if choices and value not in choices:
        near = did_you_mean(value, choices) if isinstance(value, str) else ""
        raise ConfigError(f"{name} = {value!r}: not one of {', '.join(map(str, choices))}.{near}")
    if (low is not None and value < low) or (high is not None and value > high):
        left = "-inf" if low is None else f"{low:g}"
        right = "inf" if high is None else f"{high:g}"
        raise ConfigError(f"{name} = {value!r}: out of range [{left}, {right}].")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
