"""The pieces of a layer with gradients written out: against the formulas, and by gradcheck."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from trainers.fused import gated_silu, rms_norm
from trainers.toto.attention import rotary_table
from trainers.toto.fused import split_and_turn


def some(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_rms_norm():
    x, scale = some(2, 3, 4), some(4)
    torch.testing.assert_close(rms_norm(x, scale, 1e-8), F.rms_norm(x, (4,), scale, 1e-8))
    assert torch.autograd.gradcheck(lambda x, scale: rms_norm(x, scale, 1e-8), (x, scale))


def test_gated_silu():
    x = some(3, 8)
    torch.testing.assert_close(gated_silu(x), F.silu(x[:, :4]) * x[:, 4:])
    assert torch.autograd.gradcheck(gated_silu, x)


def test_q_k_and_v_are_split_and_turned():
    x = some(2, 3, 3, 2, 4)
    table = rotary_table(5, 3, 4, torch.device("cpu"))
    tables = [t.double() for t in (table.q_cos, table.q_sin, table.k_cos, table.k_sin)]
    q, _, v = split_and_turn(x, *tables)
    assert torch.equal(v, x[:, :, 2].transpose(1, 2))
    pairs = torch.view_as_complex(x[:, :, 0].transpose(1, 2).unflatten(-1, (-1, 2)))
    speed = 10000.0 ** (-torch.arange(0, 4, 2) / 4)
    turned = torch.view_as_real(pairs * torch.exp(1j * torch.arange(5, 8)[:, None] * speed)).flatten(-2)
    base = (torch.tensor([0.0, 2.0]) + 1.6) / 5.6
    decay = (base ** ((torch.arange(5, 8)[:, None] - 3) / 512)).repeat(1, 2)
    torch.testing.assert_close(q, turned * decay, rtol=1e-5, atol=1e-6)
    assert torch.autograd.gradcheck(lambda x: split_and_turn(x, *tables), x)


def test_the_centre_of_the_decay_changes_no_score():
    x = torch.randn(1, 4, 3, 1, 8)

    def scores(centre):
        table = rotary_table(10, 4, 8, torch.device("cpu"), centre)
        q, k, _ = split_and_turn(x, table.q_cos, table.q_sin, table.k_cos, table.k_sin)
        return q @ k.transpose(-1, -2)

    torch.testing.assert_close(scores(0), scores(300), rtol=1e-4, atol=1e-4)
