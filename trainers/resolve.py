"""From a family, a preset and what a person set to one frozen, checked configuration of a run.

Order: the fields' defaults, then the preset, then the settings. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainers import config as fields
from trainers import family as families
from trainers.data.config import DataConfig
from trainers.errors import ConfigError, did_you_mean
from trainers.train_config import EvalConfig, TrainConfig

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = ("model", "data", "train", "eval")


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run. model is the family's own ModelConfig."""

    family: str
    model: Any
    data: DataConfig
    train: TrainConfig
    eval: EvalConfig

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """The nested config of spec.json; fields without a meaning here are left out."""
        return {section: fields.as_dict(getattr(self, section)) for section in SECTIONS}


def classes(family: str) -> dict[str, type]:
    return {
        "model": families.config_module(family).ModelConfig,
        "data": DataConfig,
        "train": TrainConfig,
        "eval": EvalConfig,
    }


def resolve(family: str, preset: str | None = None, sets: Mapping[str, Any] | None = None) -> RunConfig:
    """The configuration of a run; ConfigError, in one line, for whatever does not fit.

    sets: {"train.lr": "3e-4", ...}, values as text or JSON scalars. preset: None for the family's default.
    """
    known = classes(family)
    nested: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, value in _preset(family, preset).items():
        section, _, field = name.partition(".")
        nested[section][field] = value
    for name, value in (sets or {}).items():
        section, _, field = name.partition(".")
        if section not in known or not field:
            every = [f"{s}.{f}" for s, cls in known.items() for f in fields.names(cls)]
            by_field = [full for full in every if full.partition(".")[2] == name]
            near = f" Did you mean '{by_field[0]}'?" if by_field else did_you_mean(name, every)
            raise ConfigError(f"Unknown field '{name}'.{near} `engine config {family}` shows all.")
        nested[section][field] = value
    complete = getattr(families.config_module(family), "complete", None)
    if complete is not None:
        nested["model"] = complete(nested["model"], {f.removeprefix("model.") for f in sets or {} if f[:6] == "model."})
    follows = getattr(families.config_module(family), "follows", None)
    if follows is not None:
        for name, value in follows(nested).items():
            section, _, field = name.partition(".")
            if name not in (sets or {}):
                nested[section][field] = value
    for section, cls in known.items():  # a preset's field may lose its meaning by what is set, as epochs by steps
        for field in fields.without_meaning(cls, nested[section]):
            if f"{section}.{field}" not in (sets or {}):
                del nested[section][field]
    return from_dict(family, nested)


def from_dict(family: str, nested: Mapping[str, Any]) -> RunConfig:
    """The configuration written by `RunConfig.as_dict`, checked again."""
    known = classes(family)
    for section in nested:
        if section not in known:
            raise ConfigError(f"Unknown section '{section}'.{did_you_mean(section, known)}")
    parts = {section: fields.build(cls, nested.get(section) or {}, section) for section, cls in known.items()}
    config = RunConfig(family, **parts)
    check = getattr(families.config_module(family), "check", None)
    if check is not None:
        check(config)
    return config


def describe() -> dict[str, Any]:
    """Every family with presets and fields, as `python -m trainers describe` prints it."""
    out = {}
    for name in families.FAMILIES:
        about = families.config_module(name)
        rows = [row for section, cls in classes(name).items() for row in fields.describe(section, cls)]
        out[name] = {
            "title": about.TITLE,
            "help": about.HELP,
            "presets": {preset: _first_line(make) for preset, make in about.PRESETS.items()},
            "default_preset": about.DEFAULT_PRESET,
            "fields": rows,
        }
    return {"families": out}


def workspace() -> Path:
    """Where relative paths of a config start: ENGINE_HOME, else the current directory."""
    from pathlib import Path  # 10 ms that `describe` does without

    return Path(os.environ.get("ENGINE_HOME") or os.getcwd())


def data_paths(config: RunConfig) -> list[str]:
    return [os.path.abspath(workspace() / config.data.path)]


def _preset(family: str, preset: str | None) -> Mapping[str, Any]:
    about = families.config_module(family)
    name = preset or about.DEFAULT_PRESET
    if name not in about.PRESETS:
        near = did_you_mean(name, about.PRESETS)
        raise ConfigError(f"Unknown preset '{name}' of {family}.{near} Known: {', '.join(about.PRESETS)}.")
    made: Mapping[str, Any] = about.PRESETS[name]()
    return made


def _first_line(make: Any) -> str:
    return (make.__doc__ or "").strip().split("\n")[0]
