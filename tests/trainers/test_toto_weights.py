"""Folders in the hub's layout: keys, bytes, both spellings, and one clear line for whatever does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from trainers.errors import ConfigError
from trainers.toto import weights
from trainers.toto.config import ModelConfig
from trainers.toto.model import Toto

RELEASED = Path(__file__).parents[1] / "fixtures" / "toto1" / "model"


@pytest.fixture
def folder(tmp_path):
    """A copy of the reference model that a test may spoil."""
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(RELEASED / name, tmp_path / "model" / name)
    return tmp_path / "model"


def rewrite(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def edit_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_saving_for_the_hub_gives_the_released_bytes_back(tmp_path):
    weights.save(weights.load(RELEASED), tmp_path, hub=True)
    assert (tmp_path / "model.safetensors").read_bytes() == (RELEASED / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads((RELEASED / "config.json").read_text())


def test_both_spellings_load_to_the_same_weights(folder):
    def native(state):
        for key in [k for k in state if ".mlp.0.w" in k]:
            state[key.replace("mlp.0.w12", "mlp.0").replace("mlp.0.w3", "mlp.2")] = state.pop(key)
        state["model.transformer.rotary_emb.freqs"] = torch.zeros(4)  # older files carry it

    rewrite(folder, native)
    ours, theirs = weights.load(folder).state_dict(), weights.load(RELEASED).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_an_own_model_comes_back_bit_by_bit_with_its_settings(tmp_path):
    config = ModelConfig(components=3, loss_on="target", samples=7, dropout=0.0)
    model = Toto(config)
    weights.save(model, tmp_path)
    again = weights.load(tmp_path)
    assert again.config == config
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_qkv_rows_turn_there_and_back():
    state = {"transformer.layers.0.attention.wQKV.bias": torch.arange(24.0)}
    hub = weights.to_hub(state, heads=2)
    (bias,) = hub.values()
    assert bias[:4].tolist() == [0, 4, 1, 5]  # the head's index runs fastest in files
    assert torch.equal(weights.from_hub(hub, heads=2)[next(iter(state))], next(iter(state.values())))


def test_what_upstream_cannot_run_is_not_saved_for_it(tmp_path):
    with pytest.raises(ConfigError, match=r"model.anchor = last is not known upstream"):
        weights.save(Toto(ModelConfig()), tmp_path, hub=True)


def test_a_missing_tensor_is_named(folder):
    rewrite(folder, lambda state: state.pop("model.unembed.bias"))
    with pytest.raises(ConfigError, match=r"lacks 1 tensors, the first is 'unembed.bias'"):
        weights.load(folder)


def test_an_unknown_tensor_is_named(folder):
    rewrite(folder, lambda state: state.update({"model.final_norm.scale": torch.ones(32)}))
    with pytest.raises(ConfigError, match=r"1 unknown tensors, the first is 'final_norm.scale'"):
        weights.load(folder)


def test_a_shape_that_differs_from_the_config_is_told(folder):
    edit_config(folder, mlp_hidden_dim=48)
    with pytest.raises(ConfigError, match=r"'transformer.layers.0.mlp.w12.weight' is \(128, 32\), .* \(96, 32\)"):
        weights.load(folder)


def test_a_torn_file_is_one_line(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"^[^\n]*model.safetensors[^\n]*$"):
        weights.load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scaler_cls": "<class 'model.scaler.StdMeanScaler'>"}, "scaler .* is not supported"),
        ({"output_distribution_classes": ["<class 'model.distribution.StudentTOutput'>"]}, "not supported"),
        ({"stride": 4}, "stride 4 differs from patch_size 8"),
        ({"embed_dim": 30}, "embed_dim = 30 with heads = 4"),
    ],
)
def test_a_config_we_cannot_run_is_refused(folder, fields, message):
    edit_config(folder, **fields)
    with pytest.raises(ConfigError, match=message):
        weights.load(folder)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"No model.safetensors to read"):
        weights.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"No config.json in"):
        weights.load(folder)


def test_settings_that_contradict_the_weights_are_told():
    with pytest.raises(ConfigError, match=r"model.embed_dim = 64, but the weights in .* have 32"):
        weights.load(RELEASED, config=ModelConfig(patch=8))
