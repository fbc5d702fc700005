"""Our Kronos against reference numbers: tokens, logits, reconstructions, losses and every gradient's norm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainers.kronos import weights

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kronos"
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def wanted():
    return {k: torch.from_numpy(v) for k, v in np.load(FIXTURES / "tiny.npz").items()}


@pytest.fixture
def tokenizer():
    return weights.load_tokenizer(FIXTURES / "tokenizer")


@pytest.fixture
def predictor():
    return weights.load_predictor(FIXTURES / "model")


def check_gradients(model, wanted, prefix):
    """Every parameter's, in the released spelling, by norm; and the norm of all."""
    gradients = weights.to_hub({n: p.grad for n, p in model.named_parameters()}, model.config)
    gradients = {n: g for n, g in gradients.items() if not n.startswith("tokenizer.bsq.")}
    norms = {k.removeprefix(f"{prefix}/grad/"): v for k, v in wanted.items() if k.startswith(f"{prefix}/grad/")}
    assert gradients.keys() == norms.keys()
    for name, norm in norms.items():
        torch.testing.assert_close(gradients[name].double().norm(), norm, rtol=1e-5, atol=1e-9, msg=name)
    total = torch.stack([g.double().norm() for g in gradients.values()]).norm()
    torch.testing.assert_close(total, wanted[f"{prefix}/grad_norm"], rtol=1e-5, atol=0)


def test_tokens_and_reconstruction(tokenizer, wanted):
    with torch.no_grad():
        u = tokenizer.directions(wanted["in/x"])
        s1, s2 = tokenizer.encode(wanted["in/x"])
        bars = tokenizer.decode(s1, s2)
    assert torch.equal(s1, wanted["tok/s1"])
    assert torch.equal(s2, wanted["tok/s2"])
    torch.testing.assert_close(u, wanted["tok/z_normalised"], **CLOSE)
    torch.testing.assert_close(bars, wanted["tok/recon"], **CLOSE)


def test_tokenizer_loss_and_gradients(tokenizer, wanted):
    loss, parts = tokenizer.train().training_loss(wanted["in/x"])
    for ours, theirs in {"mse_s1": "mse_pre", "mse": "mse_all", "bsq": "bsq_loss"}.items():
        torch.testing.assert_close(parts[ours], wanted[f"tok/train/{theirs}"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss, wanted["tok/train/loss"], rtol=1e-5, atol=0)
    loss.backward()
    check_gradients(tokenizer, wanted, "tok/train")


def next_bars(wanted):
    s1, s2, stamps = wanted["tok/s1"], wanted["tok/s2"], wanted["in/stamp"]
    return (s1[:, :-1], s2[:, :-1], stamps[:, :-1]), (s1[:, 1:], s2[:, 1:])


@pytest.mark.parametrize("case", ["teacher", "sampled"])
def test_predictor_loss_and_gradients(predictor, wanted, case):
    inputs, targets = next_bars(wanted)
    given = targets[0]
    if case == "sampled":  # as upstream draws them; our own draws are faster, and other ones
        logits, _ = predictor(*inputs, given)
        torch.manual_seed(int(wanted["in/seed"]))
        given = torch.multinomial(logits.detach().softmax(-1).flatten(0, 1), 1).view_as(given)
    logits = predictor(*inputs, given)
    s1, s2 = predictor.losses(*inputs, *targets, given=given)
    for name, value in {"s1_logits": logits[0], "s2_logits": logits[1]}.items():
        torch.testing.assert_close(value, wanted[f"pred/{case}/{name}"], **CLOSE)
    for name, value in {"ce_s1": s1, "ce_s2": s2, "loss": (s1 + s2) / 2}.items():
        torch.testing.assert_close(value, wanted[f"pred/{case}/{name}"], rtol=1e-5, atol=0)
    ((s1 + s2) / 2).backward()
    check_gradients(predictor, wanted, f"pred/{case}")


def test_the_leaking_validation_of_upstream(predictor, wanted):
    inputs, targets = next_bars(wanted)
    with torch.no_grad():
        s1, s2 = predictor(*inputs, targets[0], causal=False)
    torch.testing.assert_close(s1, wanted["pred/eval/s1_logits"], **CLOSE)
    torch.testing.assert_close(s2, wanted["pred/eval/s2_logits"], **CLOSE)
