"""Folders in the hub's layout: config.json and model.safetensors, with the keys, shapes and bytes of the release.

Files hold q, k, v and the feed-forward's w1, w3 apart, which are one matrix each here; q's and k's rows by halves of a
head where here the two that turn together are neighbours; and constants: the frequencies
of rotary positions in every attention, and in a tokenizer two tables of powers of two.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainers import tensors
from trainers.errors import ConfigError
from trainers.kronos.config import PredictorConfig, TokenizerConfig
from trainers.kronos.layout import config_json, read_config
from trainers.kronos.predictor import DEP_HEADS, Predictor
from trainers.kronos.tokenizer import Tokenizer
from trainers.lora import merged_state

Part = TypeVar("Part", Predictor, Tokenizer)

_APART = {
    "qkv": ("q_proj", "k_proj", "v_proj"), "kv": ("k_proj", "v_proj"), "q_proj": ("q_proj",), "w13": ("w1", "w3"),
}  # fmt: skip
_TURNED = ("q_proj", "k_proj")
_STACKS = ("transformer", "encoder", "decoder")


def to_hub(state: dict[str, Tensor], config: PredictorConfig | TokenizerConfig) -> dict[str, Tensor]:
    """A state dict of ours, of predictor or tokenizer, under the released keys."""
    out = {}
    blocks = sorted({match[0] for name in state if (match := re.match(rf"({'|'.join(_STACKS)})\.\d+", name))})
    for name, tensor in state.items():
        *above, fused, kind = name.split(".")
        if fused in _APART:
            parts = _APART[fused]
            for part, rows in zip(parts, tensor.chunk(len(parts)), strict=True):
                out[".".join([*above, part, kind])] = _halves(rows, name, config) if part in _TURNED else rows
        elif name == "rotary.inv_freq":
            out |= {f"{block}.self_attn.{name}": tensor.clone() for block in blocks}
        elif name.startswith("time_emb.") and not getattr(config, "learn_te", True):
            out[name.replace("_embed.", "_embed.emb.")] = tensor
        else:
            out[name] = tensor
    if isinstance(config, TokenizerConfig):
        out["tokenizer.bsq.basis"] = _powers(config.s1_bits + config.s2_bits)
        out["tokenizer.bsq.group_basis"] = _powers(config.group_size)
    return out


def from_hub(
    state: dict[str, Tensor], like: dict[str, Tensor], config: PredictorConfig | TokenizerConfig
) -> dict[str, Tensor]:
    """Released keys -> a state dict of ours with the keys of `like`. All that `to_hub` gives must be there."""
    out = {}
    for name in like:
        *above, fused, kind = name.split(".")
        if fused in _APART:
            rows = {part: state[".".join([*above, part, kind])] for part in _APART[fused]}
            out[name] = torch.cat([_pairs(r, name, config) if part in _TURNED else r for part, r in rows.items()])
        elif name == "rotary.inv_freq":
            out[name] = next(t for key, t in state.items() if key.endswith(f"self_attn.{name}"))
        else:
            out[name] = state[name] if name in state else state[name.replace("_embed.", "_embed.emb.")]
    return out


def _pairs(rows: Tensor, name: str, config: PredictorConfig | TokenizerConfig) -> Tensor:
    """Rows of q or k, in a file the first halves of all pairs that turn together and then the second, pair by pair."""
    return rows.unflatten(0, (_heads(name, config), 2, -1)).transpose(1, 2).flatten(0, 2)


def _halves(rows: Tensor, name: str, config: PredictorConfig | TokenizerConfig) -> Tensor:
    return rows.unflatten(0, (_heads(name, config), -1, 2)).transpose(1, 2).flatten(0, 2)


def _heads(name: str, config: PredictorConfig | TokenizerConfig) -> int:
    return DEP_HEADS if name.startswith("dep_layer.") else config.n_heads


def save(model: Predictor | Tokenizer, folder: Path) -> None:
    """Write config.json and model.safetensors, adapters merged, as upstream's own classes write and read them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config_json(model.config))
    state = to_hub(merged_state(model), model.config)
    save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, folder / "model.safetensors")


def load_tokenizer(
    folder: Path, device: torch.device | str = "cpu", config: TokenizerConfig | None = None
) -> Tokenizer:
    """The tokenizer of a folder in evaluation mode; see `load_predictor`."""
    return _load(Tokenizer, config or read_config(TokenizerConfig, folder), folder, device)


def load_predictor(
    folder: Path, device: torch.device | str = "cpu", config: PredictorConfig | None = None
) -> Predictor:
    """The predictor of a folder in evaluation mode; with a config, its dropouts, and its shape must be the folder's.

    Raises ConfigError in one line for a missing file, a key too many or too few, a shape that differs, or constants
    that mean another order of bits or other positions.
    """
    return _load(Predictor, config or read_config(PredictorConfig, folder), folder, device)


def _load(
    kind: type[Part], config: PredictorConfig | TokenizerConfig, folder: Path, device: torch.device | str
) -> Part:
    path = folder / tensors.FILE
    found = tensors.read(folder)
    with torch.device("meta"):
        model = kind(config)  # type: ignore[arg-type]
    expected = to_hub(model.state_dict(), config)
    tensors.check(expected, found, folder)
    _check_constants(found, path)
    state = from_hub(found, model.state_dict(), config)
    model.load_state_dict({k: v.to(device=device, dtype=torch.float32) for k, v in state.items()}, assign=True)
    fixed = set() if getattr(config, "learn_te", True) else {n for n, _ in model.named_parameters() if "time_emb" in n}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in fixed)
    return model.eval()


def _check_constants(found: dict[str, Tensor], path: Path) -> None:
    """Tensors that the model computes with but does not hold one by one must be what it takes them for."""
    for name, tensor in found.items():
        if name.endswith("rotary.inv_freq"):
            count = len(tensor)
            if not torch.allclose(tensor.float(), 10000.0 ** (-torch.arange(count) / count), rtol=1e-2):
                raise ConfigError(f"{path}: '{name}' holds other rotary frequencies than base 10000 gives.")
        elif name.startswith("tokenizer.bsq.") and not torch.equal(tensor, _powers(len(tensor))):
            raise ConfigError(f"{path}: '{name}' is not the falling powers of two that the order of bits stands for.")


def _powers(count: int) -> Tensor:
    return 2 ** torch.arange(count - 1, -1, -1)
