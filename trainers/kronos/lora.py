"""Which of the predictor's weights are trained: all of them, the heads alone, or adapters beside frozen ones."""

from __future__ import annotations

from torch import nn

from trainers.kronos.config import ModelConfig
from trainers.kronos.predictor import Predictor
from trainers.lora import inject

HEADS = ("dep_layer.", "head.")


def prepare(predictor: Predictor, config: ModelConfig) -> None:
    """Freeze what config.tune leaves alone and, for lora, put adapters beside every linear map of the targets.

    Adapters are drawn from torch's generator. ConfigError when peft is needed and missing.
    """
    if config.tune == "all":
        return
    if config.tune == "lora":
        maps = [name for name, module in predictor.named_modules() if isinstance(module, nn.Linear)]
        targets = [name for name in maps if f"{name}.".startswith(tuple(f"{part}." for part in config.lora_targets))]
        inject(predictor, config.lora_rank, config.lora_alpha, config.lora_dropout, targets)
    for name, parameter in predictor.named_parameters():
        parameter.requires_grad_(name.startswith(HEADS) if config.tune == "heads" else ".lora_" in name)
