"""Folders in the hub's layout: config.json and model.safetensors, with the keys, shapes and bytes of the release.

Two spellings of the feed-forward exist, `mlp.0.w12`/`mlp.0.w3` (the released file) and `mlp.0`/`mlp.2`; both are
read, the first is written. wQKV's rows are (qkv, dim, head) in files and (qkv, head, dim) here, so that no layer has
to copy q, k and v into place. See layout.py for config.json.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainers import tensors
from trainers.errors import ConfigError
from trainers.lora import merged_state
from trainers.toto.config import ModelConfig
from trainers.toto.layout import ARCHITECTURE, config_json, not_upstream, read_config, read_known
from trainers.toto.model import Toto, head_for


def to_hub(state: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """Our state dict under the released keys, QKV rows as released."""
    out = {}
    for name, tensor in state.items():
        name = re.sub(r"\.mlp\.(w12|w3)\.", r".mlp.0.\1.", name)
        out[f"model.{name}"] = _rows(tensor, "head_first", heads) if ".wQKV." in name else tensor
    return out


def from_hub(state: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """Released keys in either spelling -> our state dict. Unknown keys pass through, for the caller to refuse."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("rotary_emb.freqs"):  # older files carry a table that is computed here
            continue
        name = name.removeprefix("model.")
        name = re.sub(r"\.mlp\.(0\.w12|0\.w3|0|2)\.", lambda m: _FFN[m[1]], name)
        out[name] = _rows(tensor, "dim_first", heads) if ".wQKV." in name else tensor
    return out


_FFN = {"0.w12": ".mlp.w12.", "0": ".mlp.w12.", "0.w3": ".mlp.w3.", "2": ".mlp.w3."}


def _rows(tensor: Tensor, now: str, heads: int) -> Tensor:
    split = (3, heads, -1) if now == "head_first" else (3, -1, heads)
    return tensor.unflatten(0, split).transpose(1, 2).flatten(0, 2).contiguous()


def save(model: Toto, folder: Path, *, hub: bool = False) -> None:
    """Write config.json and model.safetensors, adapters merged, into `folder`.

    hub: for upstream's loader, so without our own key. Raises ConfigError for a model upstream cannot run.
    """
    config = model.config
    if hub and (why := not_upstream(config)):
        raise ConfigError(why)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps(config_json(config, hub, model.known), indent=2, sort_keys=True) + "\n"
    )
    state = {k: v.detach().cpu().contiguous() for k, v in to_hub(merged_state(model), config.heads).items()}
    save_file(state, folder / "model.safetensors")


def load(folder: Path, device: torch.device | str = "cpu", config: ModelConfig | None = None) -> Toto:
    """The model of a folder, in evaluation mode; with a config, its settings, whose shape must be the folder's.

    A loss with another head than the folder's begins with a new head, drawn from torch's generator; unembed and what
    is below it come from the folder.
    Raises ConfigError in one line for a missing file, a key too many or too few, or a shape that differs.
    """
    stored, new_head = read_config(folder), False
    if config is not None:
        for name in ARCHITECTURE:
            if name == "components" and config.head != stored.head:
                continue
            want, have = getattr(config, name), getattr(stored, name)
            if want != have:
                raise ConfigError(
                    f"model.{name} = {want}, but the weights in {folder} have {have}: --set model.{name}={have}, "
                    "or choose the preset of that size."
                )
        new_head = config.head != stored.head
        stored = config
    state = from_hub(tensors.read(folder), stored.heads)
    with torch.device("meta"):
        model = Toto(stored)
    if new_head:
        state = {k: v for k, v in state.items() if not k.startswith("output_distribution.")}
        state |= {f"output_distribution.{k}": v for k, v in head_for(stored).state_dict().items()}
    tensors.check(model.state_dict(), state, folder)
    model.load_state_dict({k: v.to(device=device, dtype=torch.float32) for k, v in state.items()}, assign=True)
    model.known = read_known(folder)
    return model.requires_grad_(True).eval()
