"""What makes a training step of Kronos cheap gives what the plain formulas give: chance, attention, heads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainers.kronos import model
from trainers.kronos.block import Rotary
from trainers.kronos.chance import add_dropped, drawn, dropout, kept
from trainers.kronos.config import ModelConfig
from trainers.kronos.fused import SHORT, attend_causally, split_and_turn
from trainers.kronos.head import ROWS, head_loss

SMALL = {"n_layers": 2, "d_model": 16, "n_heads": 2, "ff_dim": 24, "tokenizer_d_model": 16, "tokenizer_ff_dim": 24}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def windows(length=20):
    x = torch.randn(3, length, 6)
    return x, torch.randint(1, 7, (3, length, 5)).float()


def learned(made, x, stamps, **more):
    """The loss and every gradient."""
    made.zero_grad()
    torch.manual_seed(1)
    loss = made(x, stamps, **more)["loss"]
    loss.backward()
    return loss.detach(), {n: p.grad.clone() for n, p in made.named_parameters() if p.grad is not None}


def test_dropout_drops_its_share_and_keeps_the_mean():
    mask, scale = kept(torch.Size((100, 1001)), 0.3)
    assert mask.float().mean().item() == pytest.approx(0.7, abs=0.01)
    assert scale == pytest.approx(1 / 0.7, rel=1e-4)
    torch.manual_seed(0)
    assert torch.equal(mask, kept(torch.Size((100, 1001)), 0.3)[0])
    x, y = torch.randn(50, 40), torch.randn(50, 40, requires_grad=True)
    out = add_dropped(x, y, 0.5, training=True)
    out.sum().backward()
    gone = out == x
    assert 0.4 < gone.float().mean() < 0.6
    assert torch.equal(y.grad == 0, gone)
    torch.testing.assert_close((out - x)[~gone], 2 * y[~gone])
    assert torch.equal(add_dropped(x, y, 0.5, training=False), x + y)
    assert torch.equal(dropout(x, 0.5, training=False), x)
    assert 0.4 < (dropout(x, 0.5, training=True) == 0).float().mean() < 0.6


def test_draws_follow_the_distribution():
    logits = torch.tensor([0.1, 0.6, 0.0, 0.3]).log().expand(40_000, 4)
    share = drawn(logits).bincount(minlength=4) / 40_000
    torch.testing.assert_close(share, torch.tensor([0.1, 0.6, 0.0, 0.3]), atol=0.01, rtol=0)
    assert share[2] == 0


def plain_attention(x, turns, masks=None):
    q, k, v = split_and_turn(x, *turns)
    s = (q @ k.mT) * q.shape[-1] ** -0.5
    p = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
    return ((p if masks is None else p * masks) @ v).transpose(1, 2)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("length", [7, SHORT + 30])
def test_attention_is_the_formula(dropout, length):
    """With dropout too, which draws its masks a few heads at a time."""
    x = torch.randn(2, length, 3, 2, 8, requires_grad=True)
    turns = Rotary(8)(0, length)
    state = torch.get_rng_state()
    out = attend_causally(x, *turns, dropout)
    masks = None
    if dropout:
        torch.set_rng_state(state)
        parts = [kept(torch.Size((n, length, length)), dropout) for n in part_sizes(4, length)]
        masks = torch.cat([mask * scale for mask, scale in parts]).view(2, 2, length, length)
    expected = plain_attention(x, turns, masks)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn_like(out)
    found, wanted = (torch.autograd.grad(o, x, upstream)[0] for o in (out, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def part_sizes(count, length):
    size = max(1, (1 << 18) // length**2)
    return [min(size, count - i) for i in range(0, count, size)]


@pytest.mark.parametrize(("ragged", "spread"), [(False, 1), (True, 1), (False, 300)])
def test_a_head_s_loss_is_the_cross_entropy(ragged, spread):
    """Also where the probabilities of targets are too small for a float."""
    T = ROWS // 2 + 5
    head, h = nn.Linear(12, 40), torch.randn(3, T, 12, requires_grad=True)
    with torch.no_grad():
        head.weight *= spread
    ids = torch.randint(40, (3, T))
    valid = torch.arange(T) < torch.tensor([[T], [3], [50]]) if ragged else None
    loss, drew = head_loss(head, h, ids, valid, draw=True)
    each = F.cross_entropy(head(h).mT, ids, reduction="none")
    expected = each.mean() if valid is None else ((each * valid).sum(-1) / valid.sum(-1)).mean()
    torch.testing.assert_close(loss, expected)
    of = [h, head.weight, head.bias]
    for found, wanted in zip(torch.autograd.grad(loss, of), torch.autograd.grad(expected, of), strict=True):
        torch.testing.assert_close(found, wanted)
    assert drew.shape == ids.shape
    torch.testing.assert_close(
        drew.float().mean(), head(h).softmax(-1).matmul(torch.arange(40.0)).mean(), rtol=0.1, atol=0
    )


@pytest.mark.parametrize("phase", ["predictor", "tokenizer"])
def test_checkpointed_blocks_give_the_same_gradients(phase):
    made = model.build(ModelConfig(**SMALL, phase=phase, condition="teacher") if phase == "predictor" else
                       ModelConfig(**SMALL, phase=phase), 0)  # fmt: skip
    x, stamps = windows()
    loss, gradients = learned(made, x, stamps)
    made.checkpoint_blocks()
    again, recomputed = learned(made, x, stamps)
    assert torch.equal(loss, again)
    assert gradients.keys() == recomputed.keys()
    for name in gradients:
        torch.testing.assert_close(recomputed[name], gradients[name], msg=name)
    assert {n.split(".")[0] for n in gradients} == {phase}


@pytest.mark.parametrize("phase", ["predictor", "tokenizer"])
def test_mixed_precision_learns_much_the_same(phase):
    made = model.build(ModelConfig(**SMALL, phase=phase), 0)
    x, stamps = windows()
    loss, gradients = learned(made, x, stamps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, coarse = learned(made, x, stamps)
    assert half.item() == pytest.approx(loss.item(), rel=0.05)
    assert gradients.keys() == coarse.keys()
    assert all(g.dtype == torch.float32 for g in coarse.values())


def test_no_state_has_seen_its_target_in_training_or_validation():
    """And with upstream's validation it has, which is what the switch is for."""
    x, stamps = windows()
    for switch, leaks in (("causal", False), ("upstream", True)):
        made = model.build(ModelConfig(**SMALL, condition="teacher", validation=switch), 0).eval()
        s1, s2 = made.tokenizer.encode(x)
        other = s2.clone()
        other[:, -2] ^= 1
        inputs = [made.predictor(s1[:, :-1], s[:, :-1], stamps[:, :-1], s1[:, 1:], causal=switch == "causal")[1][:, :-1]
                  for s in (s2, other)]  # fmt: skip
        assert torch.equal(*inputs) != leaks
        inputs, targets = (s1[:, :-1], s2[:, :-1], stamps[:, :-1]), (s1[:, 1:], s2[:, 1:])
        wanted = made.predictor.losses(*inputs, *targets, given=targets[0], causal=switch == "causal")[1]
        assert torch.equal(made(None, stamps, (s1, s2))["s2"], wanted)


def test_valid_bars_alone_are_learned():
    made = model.build(ModelConfig(**SMALL, condition="teacher"), 0)
    x, stamps = windows()
    tokens = made.tokenizer.encode(x)
    valid = torch.ones(3, 20, dtype=torch.bool)
    whole, _ = learned(made, None, stamps, tokens=tokens)
    same, _ = learned(made, None, stamps, tokens=tokens, valid_BT=valid)
    torch.testing.assert_close(same, whole)
    valid[:, 12:] = False
    short, _ = learned(made, None, stamps, tokens=tokens, valid_BT=valid)
    cut, _ = learned(made, None, stamps[:, :12], tokens=tuple(t[:, :12] for t in tokens))
    torch.testing.assert_close(short, cut)
