"""Low-rank adapters beside frozen weights (peft), put in and merged out again, for any network.

An adapter adds scaling·B·A to the matrix of a linear map. B begins at zero, so training begins at the loaded weights.
What is written anywhere for a forecast or for upstream is merged: whoever reads it needs no peft.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainers.errors import ConfigError

_ADAPTER = "default"  # peft's own name for the only one


def inject(model: nn.Module, rank: int, alpha: float, dropout: float, targets: list[str]) -> None:
    """Put adapters, drawn from torch's generator, beside the linear maps whose names are or end in one of `targets`.

    Raises ConfigError when peft is missing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model  # several seconds, and an extra that only lora needs
    except ImportError:
        raise ConfigError(
            "model.tune = lora needs peft: `pip install 'paddock[lora]'`, or --set model.tune=all or heads."
        ) from None
    adapters = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, bias="none")
    inject_adapter_in_model(adapters, model, adapter_name=_ADAPTER)


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state dict as if it had been trained without adapters; the model itself stays as it is."""
    state = {k.replace(".base_layer.", "."): v for k, v in model.state_dict().items() if ".lora_" not in k}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A"):
            state[f"{name}.weight"] = (module.base_layer.weight + module.get_delta_weight(_ADAPTER)).detach()  # type: ignore[operator,union-attr]
    return state
