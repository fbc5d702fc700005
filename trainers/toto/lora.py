"""Which of a model's weights are trained: all of them, the heads alone, or low-rank adapters beside frozen ones (peft).

An adapter adds scaling·B·A to the matrix of a linear map. B begins at zero, so training begins at the loaded weights.
What is written anywhere for a forecast or for upstream is merged: whoever reads it needs no peft.
"""

from __future__ import annotations

from torch import Tensor

from trainers.errors import ConfigError
from trainers.toto.model import Toto

_ADAPTER = "default"  # peft's own name for the only one


def prepare(model: Toto, new_head: bool = False) -> Toto:
    """Freeze what config.tune leaves alone and, for lora, put adapters beside the targets; the same object.

    new_head: the head did not come with the weights, so it is trained in any case. Adapters are drawn from torch's
    generator. ConfigError when peft is needed and missing.
    """
    tune = model.config.tune
    if tune == "all":
        return model
    heads: tuple[str, ...] = ("unembed.", "output_distribution.")
    if tune == "lora":
        _inject(model)
        heads = ("output_distribution.",) if new_head else ()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(heads) or ".lora_" in name)
    return model


def _inject(model: Toto) -> None:
    config = model.config
    try:
        from peft import LoraConfig, inject_adapter_in_model  # several seconds, and an extra that only lora needs
    except ImportError:
        raise ConfigError(
            "model.tune = lora needs peft: `pip install 'paddock[lora]'`, or --set model.tune=all or heads."
        ) from None
    adapters = LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_targets), bias="none",
    )  # fmt: skip
    inject_adapter_in_model(adapters, model, adapter_name=_ADAPTER)


def merged_state(model: Toto) -> dict[str, Tensor]:
    """The model's state dict as if it had been trained without adapters; the model itself stays as it is."""
    state = {k.replace(".base_layer.", "."): v for k, v in model.state_dict().items() if ".lora_" not in k}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A"):
            state[f"{name}.weight"] = (module.base_layer.weight + module.get_delta_weight(_ADAPTER)).detach()  # type: ignore[operator,union-attr]
    return state
