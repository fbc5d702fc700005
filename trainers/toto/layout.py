"""config.json in the hub's layout, read into a ModelConfig and written from one; no torch.

What upstream's constructor does not know stands under one key of our own: upstream refuses such a model instead of
running it wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from trainers.config import as_dict, parse, without_meaning
from trainers.config import build as build_config
from trainers.errors import ConfigError
from trainers.toto.config import ModelConfig

OWN = "paddock"
"""The key of config.json with the fields that upstream has no word for."""

_HUB_FIELDS = {
    "patch": "patch_size",
    "embed_dim": "embed_dim",
    "layers": "num_layers",
    "heads": "num_heads",
    "mlp_dim": "mlp_hidden_dim",
    "dropout": "dropout",
    "space_every": "spacewise_every_n_layers",
    "space_first": "spacewise_first",
    "stabilize_with_global": "stabilize_with_global",
    "scale_factor_exponent": "scale_factor_exponent",
}
OWN_FIELDS = (
    "anchor", "units", "loss", "nll_weight", "robust_delta", "huber_delta", "quantile_levels", "loss_on", "samples"
)  # fmt: skip
UPSTREAM = {"anchor": "none", "units": "raw", "loss": "nll"}
"""What upstream does where our field offers more; any other value makes a function that upstream has not."""

ARCHITECTURE = (
    "patch", "embed_dim", "layers", "heads", "mlp_dim", "components", "space_every", "space_first",
    "stabilize_with_global", "scale_factor_exponent", "anchor", "units",
)  # fmt: skip
"""The fields that decide the function of given weights, but for the loss: another one brings a head of its own."""

_SCALER = "<class 'model.scaler.CausalPatchStdMeanScaler'>"
_DISTRIBUTION = "<class 'model.distribution.MixtureOfStudentTsOutput'>"


def read_config(folder: Path) -> ModelConfig:
    """The config of a folder; what upstream's files do not say is as released (raw units, no anchor)."""
    path = folder / "config.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"No config.json in {folder}: model.weights is a folder holding config.json and model.safetensors."
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    values = dict(UPSTREAM)
    for ours, theirs in _HUB_FIELDS.items():
        if theirs in stored:
            values[ours] = stored[theirs]
        elif ours not in ("dropout", "stabilize_with_global", "scale_factor_exponent", "space_first"):
            raise ConfigError(f"{path} has no '{theirs}': it is not the config of a Toto 1.0 model.")
    kinds = stored.get("output_distribution_classes", [_DISTRIBUTION])
    if len(kinds) != 1 or "MixtureOfStudentTsOutput" not in str(kinds[0]):
        raise ConfigError(f"{path}: output distribution {kinds} is not supported, only MixtureOfStudentTsOutput.")
    if "CausalPatchStdMeanScaler" not in str(stored.get("scaler_cls", _SCALER)):
        raise ConfigError(f"{path}: scaler {stored['scaler_cls']} is not supported, only CausalPatchStdMeanScaler.")
    if stored.get("stride", values["patch"]) != values["patch"]:
        raise ConfigError(f"{path}: stride {stored['stride']} differs from patch_size {values['patch']}.")
    values["components"] = (stored.get("output_distribution_kwargs") or {}).get("k_components", 24)
    values.update({k: v for k, v in stored.get(OWN, {}).items() if k in OWN_FIELDS})
    for name in without_meaning(ModelConfig, values):
        del values[name]
    config: ModelConfig = build_config(ModelConfig, values, "model")
    return config


def read_known(folder: Path) -> int:
    """How many of the last variates the model of a folder knows ahead; 0 unless we wrote it."""
    stored = json.loads((folder / "config.json").read_text()).get(OWN, {})
    return int(stored.get("known_future", 0))


def config_json(config: ModelConfig, hub: bool, known: int = 0) -> dict[str, Any]:
    """What config.json says of a model. hub: for upstream's loader, so without our own key."""
    out: dict[str, Any] = {theirs: getattr(config, ours) for ours, theirs in _HUB_FIELDS.items()}
    out |= {
        "stride": config.patch,
        "scaler_cls": _SCALER,
        "output_distribution_classes": [_DISTRIBUTION],
        "output_distribution_kwargs": {"k_components": config.components},
        "use_memory_efficient_attention": True,
    }
    own = {k: v for k, v in as_dict(config).items() if k in OWN_FIELDS}
    return out if hub else {**out, OWN: {**own, "known_future": known} if known else own}


def not_upstream(config: ModelConfig) -> str:
    """Why upstream cannot run such a model, with what to do; empty when it can."""
    for name, released in UPSTREAM.items():
        if getattr(config, name) != released:
            return (
                f"model.{name} = {getattr(config, name)} is not known upstream: "
                f"train with --set model.{name}={released} to save in the hub's layout."
            )
    return ""


def with_architecture(
    values: Mapping[str, Any], given: Collection[str], stored: ModelConfig, source: str
) -> dict[str, Any]:
    """The model's fields with the architecture, and unless given dropout and loss, of the weights that it starts from.

    values: fields by name, text or JSON, from a preset and by hand; given: those by hand, which must not contradict.
    Raises ConfigError naming the first that does.
    """
    known = {f.name: f for f in fields(ModelConfig)}
    out = dict(values)
    for name in ARCHITECTURE:
        have = getattr(stored, name)
        if name in given:
            want = parse(known[name], values[name], f"model.{name}")
            if want != have:
                raise ConfigError(
                    f"model.{name} = {want}, but the weights {source} have {have}: leave model.{name} out."
                )
        out[name] = have
    if not stored.stabilize_with_global and "scale_factor_exponent" not in given:
        del out["scale_factor_exponent"]
    if "dropout" not in given:
        out["dropout"] = stored.dropout
    if "loss" not in given:
        out["loss"] = stored.loss
        if stored.loss == "quantile" and "quantile_levels" not in given:
            out["quantile_levels"] = list(stored.quantile_levels)
    return out
