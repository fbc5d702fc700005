"""Toto 1.0 written in the ordinary way, as the yardstick of bench/toto.py: one module per formula, nothing shared.

Separate linear maps for the four parameters of the mixture, torch.distributions for its density, rotary positions
computed anew in every layer for queries and keys, masks always built, normalisation step by step, an optimizer
without fused kernels, and a forecast that runs the whole context through the network for every path.
B series, V variates, T time, P steps in a patch, S patches, E width, N heads of D dimensions, k components.
Keys are those of released files in the `mlp.0`, `mlp.2` spelling. Checked against tests/fixtures/toto1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import AffineTransform, Categorical, MixtureSameFamily, StudentT, TransformedDistribution


class PlainRMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return x / torch.sqrt(variance + 1e-8) * self.scale


class SwiGLU(nn.Module):
    def forward(self, x):
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value


def turned(x, sign):
    """x [R,N,S,D] with rotary positions and xPos: times the decay for queries (sign 1), over it for keys (-1)."""
    S, D = x.shape[-2:]
    position = torch.arange(S, device=x.device, dtype=x.dtype)
    half = torch.arange(0, D, 2, device=x.device, dtype=x.dtype)
    angle = (position[:, None] * 10000.0 ** (-half / D)).repeat_interleave(2, dim=-1)
    power = (position - (S - 1) // 2) / 512
    decay = (((half + 0.4 * D) / (1.4 * D)) ** power[:, None]).repeat(1, 2) ** sign
    pairs = x.reshape(*x.shape[:-1], D // 2, 2)
    other = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).reshape(x.shape)
    return (x * angle.cos() + other * angle.sin()) * decay


class PlainAttention(nn.Module):
    def __init__(self, width, heads, dropout, space):
        super().__init__()
        self.heads, self.dropout, self.space = heads, dropout, space
        self.wQKV = nn.Linear(width, 3 * width)
        self.wO = nn.Linear(width, width)

    def forward(self, h_BVSE, same_BSVV):
        B, V, S, E = h_BVSE.shape
        rows = h_BVSE.transpose(1, 2).reshape(B * S, V, E) if self.space else h_BVSE.reshape(B * V, S, E)
        qkv = self.wQKV(rows).reshape(*rows.shape[:2], 3, E // self.heads, self.heads)
        q, k, v = (x.contiguous() for x in qkv.permute(2, 0, 4, 1, 3))
        p = self.dropout if self.training else 0.0
        if self.space:
            mask = same_BSVV.reshape(B * S, 1, V, V).expand(-1, self.heads, -1, -1).contiguous()
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        else:
            out = F.scaled_dot_product_attention(turned(q, 1), turned(k, -1), v, is_causal=True, dropout_p=p)
        out = self.wO(out.transpose(1, 2).reshape(rows.shape))
        return out.reshape(B, S, V, E).transpose(1, 2) if self.space else out.reshape(B, V, S, E)


class PlainLayer(nn.Module):
    def __init__(self, config, space):
        super().__init__()
        E, M = config.embed_dim, config.mlp_dim
        self.norm1 = PlainRMSNorm(E)
        self.attention = PlainAttention(E, config.heads, config.dropout, space)
        self.norm2 = PlainRMSNorm(E)
        self.mlp = nn.Sequential(nn.Linear(E, 2 * M), SwiGLU(), nn.Linear(M, E), nn.Dropout(config.dropout))

    def forward(self, h, same_BSVV):
        h = h + self.attention(self.norm1(h), same_BSVV)
        return h + self.mlp(self.norm2(h))


class PlainHead(nn.Module):
    def __init__(self, width, components):
        super().__init__()
        self.df = nn.Linear(width, components)
        self.loc_proj = nn.Linear(width, components)
        self.scale_proj = nn.Linear(width, components)
        self.mixture_weights = nn.Linear(width, components)

    def forward(self, h):
        eps = torch.finfo(h.dtype).eps
        df = 2.0 + F.softplus(self.df(h)).clamp_min(eps)
        scale = F.softplus(self.scale_proj(h)).clamp_min(eps)
        weights = torch.softmax(self.mixture_weights(h), dim=-1)
        return MixtureSameFamily(Categorical(probs=weights), StudentT(df, self.loc_proj(h), scale))


def causal_statistics(x, mask, patch, exponent):
    """loc and scale [B,V,T] at the end of every step's patch, from all observed points up to there, in float64."""
    x, w = x.double(), mask.double()
    count = w.cumsum(-1).clamp_min(1.0)
    mean = (x * w).cumsum(-1) / count
    before = torch.cat([torch.zeros_like(mean[..., :1]), mean[..., :-1]], dim=-1)
    scale = torch.sqrt(((x - before) * (x - mean) * w).cumsum(-1) / (count - 1.0).clamp_min(1.0) + 0.1)
    if exponent is not None:
        total = w.sum(-1, keepdim=True).clamp_min(1.0)
        middle = (x * w).sum(-1, keepdim=True) / total
        whole = torch.sqrt((((x - middle) * w) ** 2).sum(-1, keepdim=True) / total + 0.1)
        scale = torch.maximum(scale, (whole * 10.0**-exponent).clamp_min(0.1))
        scale = torch.minimum(scale, whole * 10.0**exponent)
    return mean[..., patch - 1 :: patch], scale[..., patch - 1 :: patch]


class PlainToto(nn.Module):
    """config: a trainers.toto ModelConfig, whose sizes count (and stabilize_with_global, scale_factor_exponent)."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        E = config.embed_dim
        self.patch_embed = nn.ModuleDict({"projection": nn.Linear(config.patch, E)})
        layers = nn.ModuleList(PlainLayer(config, space) for space in config.space_layers)
        self.transformer = nn.ModuleDict({"layers": layers})
        self.unembed = nn.Linear(E, config.patch * E)
        self.output_distribution = PlainHead(E, config.components)

    def forward(self, x, mask, ids):
        """Raw values, mask and group ids [B,V,T] -> mixture, loc and scale, each over [B,V,T], of the next patch."""
        P = self.config.patch
        exponent = self.config.scale_factor_exponent if self.config.stabilize_with_global else None
        with torch.no_grad():
            loc, scale = (s.to(x.dtype).repeat_interleave(P, dim=-1) for s in causal_statistics(x, mask, P, exponent))
        h = self.patch_embed["projection"](((x - loc) / scale).unflatten(-1, (-1, P)))
        group = ids.unflatten(-1, (-1, P)).amin(-1).transpose(1, 2)
        same_BSVV = group[..., :, None] == group[..., None, :]
        for layer in self.transformer["layers"]:
            h = layer(h, same_BSVV)
        steps = self.unembed(h).unflatten(-1, (P, -1)).flatten(2, 3)
        return self.output_distribution(steps), loc, scale


def plain_loss(model, x, mask, ids):
    """The released training loss of windows [B,V,C+P]: 0.575 likelihood and 0.425 robust loss on the mean."""
    P = model.config.patch
    mixture, loc, scale = model(x[..., :-P], mask[..., :-P], ids[..., :-P])
    eps = torch.finfo(x.dtype).eps
    target = (x[..., P:] - loc) / (scale + eps)
    robust = torch.log1p(0.5 * ((mixture.mean - target) / 0.1) ** 2)
    each = 0.575 * -mixture.log_prob(target) + 0.425 * robust
    valid = mask[..., P:].to(x.dtype)
    return (each * valid).sum() / (valid.sum() + eps)


def plain_step(model, optimizer, x, mask, ids) -> Tensor:
    loss = plain_loss(model, x, mask, ids)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def plain_optimizer(model, lr=1e-4):
    return torch.optim.AdamW(model.parameters(), lr=lr, eps=1e-7, weight_decay=0.01)


@torch.no_grad()
def plain_forecast(model, x, mask, ids, horizon, samples, at_once=32):
    """Draws [samples,B,V,horizon] in raw units. Every path goes through the network with its own copy of the context.

    No path shares work with another, nor a patch with the one before it: what one writes first.
    """
    model.eval()
    P = model.config.patch
    out = []
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        series, seen, group = (a.repeat(count, 1, 1) for a in (x, mask, ids))
        for _ in range(-(-horizon // P)):
            mixture, loc, scale = model(series, seen, group)
            draw = TransformedDistribution(mixture, [AffineTransform(loc, scale)]).sample()[..., -P:]
            series = torch.cat([series, draw], dim=-1)
            seen = torch.cat([seen, torch.ones_like(draw, dtype=torch.bool)], dim=-1)
            group = torch.cat([group, group[..., -1:].expand(draw.shape)], dim=-1)
        out.append(series[..., x.shape[-1] :][..., :horizon].unflatten(0, (count, -1)))
    return torch.cat(out)
