"""The yardstick of bench/toto.py is itself Toto: the reference numbers, and our model's loss and gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.plain_toto import PlainToto, plain_forecast, plain_loss
from trainers.toto import weights

FIXTURES = Path(__file__).parents[1] / "fixtures" / "toto1"


@pytest.fixture
def model():
    made = PlainToto(weights.read_config(FIXTURES / "model")).eval()
    stored = load_file(FIXTURES / "model" / "model.safetensors")
    names = {k: k.removeprefix("model.").replace("mlp.0.w12", "mlp.0").replace("mlp.0.w3", "mlp.2") for k in stored}
    made.load_state_dict({names[k]: v for k, v in stored.items()})
    return made


@pytest.mark.parametrize("case", ["plain", "padded", "groups"])
def test_the_plain_model_gives_the_reference_numbers(model, case):
    with np.load(FIXTURES / f"{case}.npz") as data:
        want = {k: torch.from_numpy(np.asarray(v)) for k, v in data.items() if v.dtype.kind != "U"}
    window = int(want["in/input_stop"]) + int(want["in/target_start"])
    x, mask, ids = (want[f"in/{name}"][..., :window] for name in ("series", "padding_mask", "id_mask"))
    loss = plain_loss(model, x, mask, ids.expand(x.shape))
    assert loss.item() == pytest.approx(want["loss"].item(), rel=1e-6)
    loss.backward()
    # a third of "padded" lies under the mask and is fed in as raw zeros: states and their rounding are large there
    tolerance = 1e-4 if case == "padded" else 1e-5
    for name, parameter in model.named_parameters():
        gradient = want[f"grad/model.{name}"]
        assert (parameter.grad - gradient).norm() <= tolerance * gradient.norm(), name


def test_the_plain_forecast_draws_the_asked_number_of_paths(model):
    x = torch.randn(1, 2, 32).cumsum(-1)
    draws = plain_forecast(model, x, torch.ones_like(x, dtype=torch.bool), torch.zeros_like(x), 12, 10, at_once=4)
    assert draws.shape == (10, 1, 2, 12)
    assert draws.isfinite().all()
    assert draws.std(0).min() > 0
