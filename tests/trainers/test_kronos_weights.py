"""Kronos from and to folders in the hub's layout, adapters among them: strictly read, written byte for byte."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from trainers.errors import ConfigError
from trainers.kronos import layout, model, weights
from trainers.kronos.config import PRESETS, ModelConfig, TokenizerConfig, complete
from trainers.kronos.generate import Past, generate
from trainers.kronos.sampling import Sampling
from trainers.kronos.single import serves

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kronos"
NAMED = {"weights": str(FIXTURES / "model"), "tokenizer": str(FIXTURES / "tokenizer")}


def config(**given):
    return ModelConfig(**complete({**NAMED, **given}, given))


def inputs(seed=0, vocabulary=64):
    made = torch.Generator().manual_seed(seed)
    s1, s2 = (torch.randint(vocabulary, (3, 40), generator=made) for _ in range(2))
    return s1, s2, torch.randint(1, 7, (3, 40, 5), generator=made).float()


@pytest.mark.parametrize(("preset", "predictor"), [("mini", 4_108_032), ("small", 24_741_376), ("base", 102_310_592)])
def test_released_sizes(preset, predictor):
    values = {k.removeprefix("model."): v for k, v in PRESETS[preset]().items() if k.startswith("model.")}
    made = ModelConfig(**values)
    with torch.device("meta"):
        parts = model.Predictor(made.for_predictor), model.Tokenizer(made.for_tokenizer)
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [predictor, 3_958_042]
    assert len(weights.to_hub(parts[0].state_dict(), parts[0].config)) == 24 + 14 * made.n_layers
    assert len(weights.to_hub(parts[1].state_dict(), parts[1].config)) == 96


@pytest.mark.parametrize("part", ["model", "tokenizer"])
def test_what_was_read_is_written_byte_for_byte(part, tmp_path):
    read = weights.load_predictor if part == "model" else weights.load_tokenizer
    weights.save(read(FIXTURES / part), tmp_path)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (FIXTURES / part / name).read_bytes()


def test_a_run_s_folder_is_read_back_and_its_export_is_the_release_s(tmp_path):
    made = model.build(config(condition="teacher"), 0)
    model.save(made, tmp_path / "run")
    again = model.load(tmp_path / "run")
    assert again.config == made.config
    assert not again.training
    for name, tensor in made.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    model.save(made, tmp_path / "export", hub=True)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "export" / name).read_bytes() == (FIXTURES / "model" / name).read_bytes()
        below = tmp_path / "export" / "tokenizer" / name
        assert below.read_bytes() == (FIXTURES / "tokenizer" / name).read_bytes()
    found = layout.tokenizer_in(tmp_path / "run")
    assert layout.read_config(TokenizerConfig, found) == made.tokenizer.config


def test_the_seed_alone_decides_new_weights():
    torch.manual_seed(5)
    states = [model.build(ModelConfig(), seed).state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["predictor.head.proj_s1.weight"], states[2]["predictor.head.proj_s1.weight"])


def spoil(folder, change):
    shutil.copytree(FIXTURES / "model", folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop("norm.weight"), "lacks 1 tensors, the first is 'norm.weight'"),
        (lambda t: t.update(more=torch.zeros(1)), "1 unknown tensors, the first is 'more'"),
        (lambda t: t.update({"norm.weight": torch.ones(47)}), r"'norm.weight' is \(47,\), config.json says \(48,\)"),
        (lambda t: t["transformer.1.self_attn.rotary.inv_freq"].mul_(2), "other rotary frequencies"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, text):
    spoil(tmp_path / "model", change)
    with pytest.raises(ConfigError, match=text):
        weights.load_predictor(tmp_path / "model")


def test_another_order_of_bits_is_refused(tmp_path):
    shutil.copytree(FIXTURES / "tokenizer", tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "tokenizer.bsq.basis": tensors["tokenizer.bsq.basis"].flip(0).contiguous()}, path)
    with pytest.raises(ConfigError, match="order of bits"):
        weights.load_tokenizer(path.parent)


def test_the_architecture_comes_from_the_weights():
    made = config()
    assert (made.d_model, made.n_layers, made.tokenizer_d_model, made.s1_bits) == (48, 3, 32, 6)
    assert made.resid_dropout_p == 0.2
    assert config(resid_dropout_p=0.5).resid_dropout_p == 0.5
    with pytest.raises(ConfigError, match=r"model.d_model = 64, but .* has 48: leave model.d_model out"):
        config(d_model=64)
    with pytest.raises(ConfigError, match=r"model.n_layers = 2, but .* has 3"):
        model.build(replace(made, n_layers=2), 0)


def test_a_tokenizer_of_other_bits_than_the_weights_is_refused(tmp_path):
    shutil.copytree(FIXTURES / "tokenizer", tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "s2_bits": 7}))
    with pytest.raises(ConfigError, match=r"model.s2_bits = 6, but .* has 7"):
        config(tokenizer=str(path.parent))


def test_the_tokenizer_of_a_larger_group_is_read_too(tmp_path):
    """group_size decides the shape of one tensor of the file, and nothing else."""
    original = weights.load_tokenizer(FIXTURES / "tokenizer")
    original.config = replace(original.config, group_size=5)
    weights.save(original, tmp_path)
    assert load_file(tmp_path / "model.safetensors")["tokenizer.bsq.group_basis"].tolist() == [16, 8, 4, 2, 1]
    made = model.build(config(tokenizer=str(tmp_path), tokenizer_beta=0.5), 0)
    assert (made.tokenizer.config.group_size, made.tokenizer.config.beta) == (5, 0.5)


def test_adapters_begin_at_the_weights_and_are_merged_when_written(tmp_path):
    parts = ("embedding.fusion_proj", "transformer", "dep_layer", "head")
    made = model.build(config(tune="lora", lora_rank=2, lora_targets=parts), 0)
    s1, s2, stamps = inputs()
    plain = weights.load_predictor(FIXTURES / "model")
    made.eval()
    torch.testing.assert_close(made.predictor(s1, s2, stamps, s1), plain(s1, s2, stamps, s1))
    adapted = {n.split(".lora_")[0] for n, p in made.named_parameters() if p.requires_grad}
    assert len(adapted) == 1 + 3 * 4 + 3 + 2
    assert all(".lora_" in n for n, p in made.named_parameters() if p.requires_grad)
    for name, parameter in made.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    wanted = made.predictor(s1, s2, stamps, s1)
    assert not torch.allclose(wanted[1], plain(s1, s2, stamps, s1)[1])
    model.save(made, tmp_path, hub=True)
    merged = weights.load_predictor(tmp_path)
    torch.testing.assert_close(merged(s1, s2, stamps, s1), wanted, rtol=1e-4, atol=1e-4)
    # a forecast of one series reads matrices as they lie, which would pass adapters by
    assert (serves(made.predictor), serves(merged)) == (False, True)
    L = s1.shape[1] - 6
    past = Past(s1[:1, :L], s2[:1, :L], stamps[:1, :L], [L])
    told = stamps[:1, L:], 1, 512, Sampling(top_k=1), None
    with torch.no_grad():
        assert all(map(torch.equal, generate(made.predictor, past, *told), generate(merged, past, *told)))


def test_frozen_backbone_and_frozen_tokenizer():
    made = model.build(config(tune="heads"), 0)
    trained = {n.split(".")[1] for n, p in made.named_parameters() if p.requires_grad}
    assert trained == {"dep_layer", "head"}
    assert made.training
    assert not made.tokenizer.training
    other = model.build(config(phase="tokenizer"), 0)
    assert {n.split(".")[0] for n, p in other.named_parameters() if p.requires_grad} == {"tokenizer"}


def test_fixed_time_embeddings_are_read_written_and_not_trained(tmp_path):
    made = model.build(ModelConfig(learn_te=False), 0).predictor
    assert not any(p.requires_grad for n, p in made.named_parameters() if "time_emb" in n)
    weights.save(made, tmp_path)
    assert "time_emb.hour_embed.emb.weight" in load_file(tmp_path / "model.safetensors")
    again = weights.load_predictor(tmp_path)
    assert torch.equal(again.time_emb.hour_embed.weight, made.time_emb.hour_embed.weight)
    assert not again.time_emb.hour_embed.weight.requires_grad
