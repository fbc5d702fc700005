"""Which of a model's weights are trained: all of them, the heads alone, or low-rank adapters beside frozen ones."""

from __future__ import annotations

from trainers.lora import inject
from trainers.toto.model import Toto


def prepare(model: Toto, new_head: bool = False) -> Toto:
    """Freeze what config.tune leaves alone and, for lora, put adapters beside the targets; the same object.

    new_head: the head did not come with the weights, so it is trained in any case. Adapters are drawn from torch's
    generator. ConfigError when peft is needed and missing.
    """
    config = model.config
    if config.tune == "all":
        return model
    heads: tuple[str, ...] = ("unembed.", "output_distribution.")
    if config.tune == "lora":
        inject(model, config.lora_rank, config.lora_alpha, config.lora_dropout, list(config.lora_targets))
        heads = ("output_distribution.",) if new_head else ()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(heads) or ".lora_" in name)
    return model
