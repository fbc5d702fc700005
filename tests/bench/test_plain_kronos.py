"""The yardstick of bench/kronos.py is itself Kronos: the reference tokens, losses, gradients and forecasts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.plain_kronos import PlainKronos, PlainTokenizer, plain_forecast, plain_loss, plain_token_loss

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kronos"
HISTORY, HORIZON = 64, 8


@pytest.fixture(scope="module")
def want():
    with np.load(FIXTURES / "tiny.npz") as data:
        return {name: torch.from_numpy(np.asarray(value)) for name, value in data.items()}


def loaded(kind, folder):
    made = kind(json.loads((FIXTURES / folder / "config.json").read_text())).eval()
    made.load_state_dict(load_file(FIXTURES / folder / "model.safetensors"))
    return made


@pytest.fixture
def tokenizer():
    return loaded(PlainTokenizer, "tokenizer")


@pytest.fixture
def model():
    return loaded(PlainKronos, "model")


def assert_gradients(module, want, prefix):
    for name, parameter in module.named_parameters():
        assert parameter.grad.double().norm().item() == pytest.approx(want[f"{prefix}/{name}"].item(), rel=1e-5), name


def test_the_plain_tokenizer_gives_the_reference_numbers(tokenizer, want):
    s1, s2 = tokenizer.encode(want["in/x"])
    assert torch.equal(s1, want["tok/s1"])
    assert torch.equal(s2, want["tok/s2"])
    torch.testing.assert_close(tokenizer.decode(s1, s2), want["tok/recon"], atol=1e-5, rtol=0)
    loss = plain_token_loss(tokenizer, want["in/x"])
    assert loss.item() == pytest.approx(want["tok/train/loss"].item(), rel=1e-6)
    loss.backward()
    assert_gradients(tokenizer, want, "tok/train/grad")


@pytest.mark.parametrize("way", ["teacher", "sampled"])
def test_the_plain_loss_gives_the_reference_numbers(model, want, way):
    model.train()
    for part in model.modules():  # the reference was taken in training mode, which the causal mask hangs on
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    torch.manual_seed(0)
    loss = plain_loss(model, want["tok/s1"], want["tok/s2"], want["in/stamp"], teacher=way == "teacher")
    assert loss.item() == pytest.approx(want[f"pred/{way}/loss"].item(), rel=1e-6)
    loss.backward()
    assert_gradients(model, want, f"pred/{way}/grad")


@pytest.mark.parametrize(("case", "context"), [("forecast", 72), ("forecast_slide", 32)])
def test_the_plain_greedy_forecast_is_the_reference_token_for_token(tokenizer, model, want, case, context):
    history = want["in/x"][:, :HISTORY]
    bars, s1, s2 = plain_forecast(tokenizer, model, history, want["in/stamp"], HORIZON, context, top_k=1)
    assert torch.equal(s1[:, 0], want[f"{case}/s1"])
    assert torch.equal(s2[:, 0], want[f"{case}/s2"])
    torch.testing.assert_close(bars[:, 0], want[f"{case}/decoded"], atol=1e-5, rtol=0)


def test_the_plain_drawn_forecast_is_the_reference_at_its_seed(tokenizer, model, want):
    torch.manual_seed(0)
    history = want["in/x"][:, :HISTORY]
    bars, _, _ = plain_forecast(
        tokenizer, model, history, want["in/stamp"], HORIZON, 72, samples=3, temperature=0.9, top_p=0.9
    )
    torch.testing.assert_close(bars.mean(1), want["forecast_sampled/decoded"], atol=1e-5, rtol=0)
