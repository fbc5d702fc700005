"""config.json in the hub's layout: exactly the constructor's arguments of upstream, sorted; no torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from trainers.config import as_dict, parse
from trainers.config import build as build_config
from trainers.errors import ConfigError, did_you_mean
from trainers.kronos.config import ModelConfig, PredictorConfig, TokenizerConfig

Config = TypeVar("Config", PredictorConfig, TokenizerConfig)

ARCHITECTURE = {
    "s1_bits", "s2_bits", "n_layers", "d_model", "n_heads", "ff_dim", "learn_te", "n_enc_layers", "n_dec_layers",
}  # fmt: skip
"""The arguments that decide the function of given weights; the others may be chosen anew."""

OWN = "paddock"
"""The key of a run's checkpoint that holds what upstream's constructor does not know."""

EXAMPLES = {"weights": "NeoQuasar/Kronos-small", "tokenizer": "NeoQuasar/Kronos-Tokenizer-base"}
"""Released names, for messages."""


def config_json(config: PredictorConfig | TokenizerConfig) -> str:
    return json.dumps(asdict(config), indent=2, sort_keys=True)


def read_config(kind: type[Config], folder: Path) -> Config:
    """The config of a folder. All of upstream's keys are required, as upstream's constructors have no defaults."""
    path = folder / "config.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"No config.json in {folder}: weights are a folder holding config.json and model.safetensors."
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    what = "tokenizer" if kind is TokenizerConfig else "predictor"
    values = {}
    for f in fields(kind):
        if f.name not in stored:
            raise ConfigError(
                f"{path} has no '{f.name}': it is not the config of a Kronos {what}.{did_you_mean(f.name, stored)}"
            )
        value = stored[f.name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {"bool": isinstance(value, bool), "int": isinstance(value, int) and number, "float": number}
        if not fits[str(f.type)]:
            raise ConfigError(f"{path}: '{f.name}' is {value!r}, expected {f.type}.")
        values[f.name] = value
    return kind(**values)


def with_architecture(
    values: Mapping[str, Any], decided: Collection[str], stored: PredictorConfig | TokenizerConfig, source: str
) -> dict[str, Any]:
    """The model's fields with the architecture, and unless decided dropouts and weights of the loss, of a folder.

    values: fields of ModelConfig by name, text or JSON; decided: those that must not be overruled. Raises ConfigError
    naming the first of these that contradicts.
    """
    known = {f.name: f for f in fields(ModelConfig)}
    out = dict(values)
    for name, have in _named(stored).items():
        if name not in decided:
            out[name] = have
        elif name.removeprefix("tokenizer_") in ARCHITECTURE:
            want = parse(known[name], values[name], f"model.{name}")
            if want != have:
                raise ConfigError(f"model.{name} = {want}, but {source} has {have}: leave model.{name} out.")
            out[name] = have
    return out


def settled(stored: Config, config: ModelConfig, source: str) -> Config:
    """A folder's config with the dropouts or weights of the loss wanted. ConfigError where the architecture differs."""
    for name, have in _named(stored).items():
        want = getattr(config, name)
        if want != have and name.removeprefix("tokenizer_") in ARCHITECTURE:
            raise ConfigError(f"model.{name} = {want}, but {source} has {have}: set model.{name}={have}.")
    wanted = config.for_tokenizer if isinstance(stored, TokenizerConfig) else config.for_predictor
    named = _named(wanted).keys()
    return replace(
        stored, **{f.name: getattr(wanted, f.name) for f in fields(stored) if _name(stored, f.name) in named}
    )


def _named(config: PredictorConfig | TokenizerConfig) -> dict[str, Any]:
    """What ModelConfig has a field for, under that field's name."""
    known = {f.name for f in fields(ModelConfig)}
    return {n: getattr(config, f.name) for f in fields(config) if (n := _name(config, f.name)) in known}


def _name(config: PredictorConfig | TokenizerConfig, argument: str) -> str:
    shared = argument in ("s1_bits", "s2_bits") or isinstance(config, PredictorConfig)
    return argument if shared else f"tokenizer_{argument}"


def tokenizer_in(folder: Path) -> Path:
    """Where a folder has its tokenizer: a run's checkpoint in a folder of its own, a released tokenizer at the top."""
    below = folder / "tokenizer"
    return below if (below / "config.json").is_file() else folder


def own(config: ModelConfig) -> dict[str, Any]:
    return as_dict(config)


def read_own(folder: Path) -> ModelConfig:
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    if OWN not in stored:
        raise ConfigError(f"{path} has no '{OWN}': it is not the checkpoint of a Kronos run.")
    config: ModelConfig = build_config(ModelConfig, stored[OWN], "model")
    return config
