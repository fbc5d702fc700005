"""config.json in the hub's layout: exactly the constructor's arguments of upstream, sorted; no torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from trainers.config import parse
from trainers.errors import ConfigError, did_you_mean
from trainers.kronos.config import ModelConfig, PredictorConfig, TokenizerConfig

Config = TypeVar("Config", PredictorConfig, TokenizerConfig)

ARCHITECTURE = {
    "s1_bits", "s2_bits", "n_layers", "d_model", "n_heads", "ff_dim", "learn_te", "n_enc_layers", "n_dec_layers",
}  # fmt: skip
"""The arguments that decide the function of given weights; the others may be chosen anew."""

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
    values: Mapping[str, Any], given: Collection[str], stored: PredictorConfig | TokenizerConfig, source: str
) -> dict[str, Any]:
    """The model's fields with the architecture, and unless given dropouts and weights of the loss, of a folder.

    values: fields of ModelConfig by name, text or JSON, from a preset and by hand; given: those by hand, which must
    not contradict. Raises ConfigError naming the first that does.
    """
    known = {f.name: f for f in fields(ModelConfig)}
    prefix = "tokenizer_" if isinstance(stored, TokenizerConfig) else ""
    out = dict(values)
    for f in fields(stored):
        name = f.name if f.name in ("s1_bits", "s2_bits") else f"{prefix}{f.name}"
        have = getattr(stored, f.name)
        if name not in known:
            continue
        if name not in given:
            out[name] = have
        elif f.name in ARCHITECTURE:
            want = parse(known[name], values[name], f"model.{name}")
            if want != have:
                raise ConfigError(
                    f"model.{name} = {want}, but the weights {source} have {have}: leave model.{name} out."
                )
            out[name] = have
    return out
