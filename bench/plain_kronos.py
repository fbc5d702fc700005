"""Kronos written in the ordinary way, as the yardstick of bench/kronos.py: one module per formula, nothing shared.

Separate q, k, v and gate products, rotary tables computed in every layer whenever the length changes, each series
copied once per sample before it is encoded, the whole window through the network for every step, the whole window
decoded for every sample, logits sorted twice a step, the decoder run twice in training, nothing remembered.
B series (times samples), T bars, d width, V words. Keys are those of released files. Checked against
tests/fixtures/kronos, in training and in its forecasts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class PlainRMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * self.weight


class PlainRotary(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.register_buffer("inv_freq", 10000.0 ** -(torch.arange(0, size, 2).float() / size))
        self.length, self.tables = None, None

    def forward(self, q, k):
        """The tables are as long as q, and broadcast over k: with one query there is no rotation at all."""
        if self.length != q.shape[-2]:
            self.length = q.shape[-2]
            angle = torch.outer(torch.arange(self.length).float(), self.inv_freq)
            angle = torch.cat([angle, angle], dim=-1)
            self.tables = angle.cos(), angle.sin()
        return self.turned(q), self.turned(k)

    def turned(self, x):
        cos, sin = self.tables
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat([-second, first], dim=-1) * sin


class PlainAttention(nn.Module):
    def __init__(self, width, heads, attn_dropout, resid_dropout):
        super().__init__()
        self.heads, self.dropout = heads, attn_dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.rotary = PlainRotary(width // heads)
        self.resid_dropout = nn.Dropout(resid_dropout)

    def forward(self, query, memory, causal):
        q = self.split(self.q_proj(query))
        k, v = self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        q, k = self.rotary(q, k)
        p = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=causal)
        return self.resid_dropout(self.out_proj(out.transpose(1, 2).flatten(2)))

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class PlainSwiGLU(nn.Module):
    def __init__(self, width, inner, dropout):
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.w2(F.silu(self.w1(x)) * self.w3(x)))


class PlainBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, dropouts = config["d_model"], (config["attn_dropout_p"], config["resid_dropout_p"])
        self.norm1 = PlainRMSNorm(width)
        self.self_attn = PlainAttention(width, config["n_heads"], *dropouts)
        self.norm2 = PlainRMSNorm(width)
        self.ffn = PlainSwiGLU(width, config["ff_dim"], config["ffn_dropout_p"])

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.self_attn(y, y, causal=True)
        return x + self.ffn(self.norm2(x))


class PlainTokenizer(nn.Module):
    """config: the dict of a released tokenizer's config.json."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        width, self.half = config["d_model"], config["s1_bits"]
        self.bits = config["s1_bits"] + config["s2_bits"]
        self.embed = nn.Linear(config["d_in"], width)
        self.encoder = nn.ModuleList(PlainBlock(config) for _ in range(config["n_enc_layers"] - 1))
        self.quant_embed = nn.Linear(width, self.bits)
        self.post_quant_embed_pre = nn.Linear(self.half, width)
        self.post_quant_embed = nn.Linear(self.bits, width)
        self.decoder = nn.ModuleList(PlainBlock(config) for _ in range(config["n_dec_layers"] - 1))
        self.head = nn.Linear(width, config["d_in"])
        bsq = nn.Module()
        bsq.register_buffer("basis", 2 ** torch.arange(self.bits - 1, -1, -1))
        bsq.register_buffer("group_basis", 2 ** torch.arange(config["group_size"] - 1, -1, -1))
        self.tokenizer = nn.ModuleDict({"bsq": bsq})

    def directions(self, x):
        h = self.embed(x)
        for block in self.encoder:
            h = block(h)
        return F.normalize(self.quant_embed(h), dim=-1)

    def encode(self, x):
        """Normalised bars [B,T,6] -> s1 and s2 ids [B,T], the first bit of each the lowest."""
        bits = (self.directions(x) > 0).long()
        value = 2 ** torch.arange(self.half)
        return (bits[..., : self.half] * value).sum(-1), (bits[..., self.half :] * value).sum(-1)

    def decode(self, s1, s2):
        value = 2 ** torch.arange(self.half)
        bits = torch.cat([(s1.unsqueeze(-1) & value) != 0, (s2.unsqueeze(-1) & value) != 0], dim=-1)
        return self.rebuilt(self.post_quant_embed((bits.float() * 2 - 1) / self.bits**0.5))

    def rebuilt(self, h):
        for block in self.decoder:
            h = block(h)
        return self.head(h)

    def forward(self, x):
        """The rebuilding from s1 alone, that from all bits, and the quantiser's loss."""
        u = self.directions(x)
        sign = torch.where(u > 0, 1.0, -1.0)
        quantised = (u + (sign - u).detach()) / self.bits**0.5
        pre = self.rebuilt(self.post_quant_embed_pre(quantised[..., : self.half]))
        return pre, self.rebuilt(self.post_quant_embed(quantised)), self.quantiser_loss(u, quantised.detach())

    def quantiser_loss(self, u, quantised):
        def entropy(p):
            return -(p * (p + 1e-8).log() + (1 - p) * (1 - p + 1e-8).log())

        commitment = self.config["beta"] * (quantised - u).pow(2).sum(-1).mean()
        p = torch.sigmoid(-4 * u / self.bits**0.5)
        each, whole = entropy(p).sum(-1).mean(), entropy(p.mean((0, 1))).sum()
        return commitment + self.config["zeta"] * (self.config["gamma0"] * each - self.config["gamma"] * whole)


class PlainEmbedding(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["d_model"]
        self.emb_s1 = nn.Embedding(2 ** config["s1_bits"], width)
        self.emb_s2 = nn.Embedding(2 ** config["s2_bits"], width)
        self.fusion_proj = nn.Linear(2 * width, width)
        self.scale = width**0.5

    def forward(self, s1, s2):
        return self.fusion_proj(torch.cat([self.emb_s1(s1) * self.scale, self.emb_s2(s2) * self.scale], dim=-1))


class PlainTimes(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.minute_embed = nn.Embedding(60, width)
        self.hour_embed = nn.Embedding(24, width)
        self.weekday_embed = nn.Embedding(7, width)
        self.day_embed = nn.Embedding(32, width)
        self.month_embed = nn.Embedding(13, width)

    def forward(self, stamps):
        minute, hour, weekday, day, month = stamps.long().unbind(-1)
        rows = self.hour_embed(hour) + self.weekday_embed(weekday) + self.day_embed(day)
        return rows + self.month_embed(month) + self.minute_embed(minute)


class PlainDependency(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.cross_attn = PlainAttention(width, 4, 0.0, 0.0)
        self.norm = PlainRMSNorm(width)

    def forward(self, h, sibling):
        return self.norm(h + self.cross_attn(sibling, h, causal=self.training))


class PlainHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.proj_s1 = nn.Linear(config["d_model"], 2 ** config["s1_bits"])
        self.proj_s2 = nn.Linear(config["d_model"], 2 ** config["s2_bits"])


class PlainKronos(nn.Module):
    """config: the dict of a released predictor's config.json. Learned time embeddings only."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config["d_model"]
        self.embedding = PlainEmbedding(config)
        self.time_emb = PlainTimes(width)
        self.token_drop = nn.Dropout(config["token_dropout_p"])
        self.transformer = nn.ModuleList(PlainBlock(config) for _ in range(config["n_layers"]))
        self.norm = PlainRMSNorm(width)
        self.dep_layer = PlainDependency(width)
        self.head = PlainHead(config)

    def read(self, s1, s2, stamps):
        """Hidden states [B,T,d] and the logits of the next s1 [B,T,V]."""
        h = self.token_drop(self.embedding(s1, s2) + self.time_emb(stamps))
        for block in self.transformer:
            h = block(h)
        h = self.norm(h)
        return h, self.head.proj_s1(h)

    def s2_logits(self, h, s1):
        """Of the next s2, given the s1 [B,T] beside it; with s1 [B,1], of each of the T states plus that one query."""
        return self.head.proj_s2(self.dep_layer(h, self.embedding.emb_s1(s1)))

    def forward(self, s1, s2, stamps, targets=None):
        """Both logits; s2 given `targets`, or else given a draw of s1."""
        h, logits = self.read(s1, s2, stamps)
        if targets is None:
            drawn = torch.multinomial(logits.detach().softmax(-1).flatten(0, 1), 1)
            targets = drawn.view(s1.shape)
        return logits, self.s2_logits(h, targets)


def plain_token_loss(tokenizer, x):
    pre, whole, quantiser = tokenizer(x)
    return (F.mse_loss(pre, x) + F.mse_loss(whole, x) + quantiser) / 2


def plain_loss(model, s1, s2, stamps, teacher):
    """Next-token loss of windows of ids [B,T] and stamps [B,T,5]; teacher: s2 given the true s1, not a drawn one."""
    a, b = model(s1[:, :-1], s2[:, :-1], stamps[:, :-1], s1[:, 1:] if teacher else None)
    first = F.cross_entropy(a.flatten(0, 1), s1[:, 1:].flatten())
    return (first + F.cross_entropy(b.flatten(0, 1), s2[:, 1:].flatten())) / 2


def plain_draw(logits, temperature, top_k, top_p):
    """One id for each row [B,V], as [B,1]; top_k wins over top_p."""
    logits = logits / temperature
    if top_k > 0:
        least = logits.topk(min(top_k, logits.shape[-1])).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    elif top_p < 1:
        ordered, place = logits.sort(descending=True)
        beyond = ordered.softmax(-1).cumsum(-1) > top_p
        beyond = torch.cat([torch.zeros_like(beyond[:, :1]), beyond[:, :-1]], dim=-1)
        logits = logits.masked_fill(beyond.scatter(1, place, beyond), -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1)


def plain_step(model, s1, s2, stamps, temperature=1.0, top_k=0, top_p=0.9):
    """The ids [B,1] of the bar after a window: all of it goes through the network, for its last position."""
    h, logits = model.read(s1, s2, stamps)
    first = plain_draw(logits[:, -1], temperature, top_k, top_p)
    second = plain_draw(model.s2_logits(h, first)[:, -1], temperature, top_k, top_p)
    return first, second


def plain_copies(x, samples):
    """[B,...] -> [B*samples,...], the copies of one series side by side."""
    return x.unsqueeze(1).repeat(1, samples, *([1] * (x.dim() - 1))).flatten(0, 1)


@torch.no_grad()
def plain_forecast(
    tokenizer, model, x, stamps, horizon, context, samples=1, temperature=1.0, top_k=0, top_p=0.9, clip=5.0
):
    """Bars decoded from history and forecast [B,samples,min(T + H, context),6], normalised as x [B,T,6] is.

    stamps [B,T + H,5]. Also the drawn ids [B,samples,H] of both kinds. Both modules must be in evaluation mode.
    """
    x, stamps = plain_copies(x.clamp(-clip, clip), samples), plain_copies(stamps, samples)
    s1, s2 = tokenizer.encode(x)
    for end in range(x.shape[1], x.shape[1] + horizon):
        begin = max(0, end - context)
        a, b = plain_step(model, s1[:, begin:], s2[:, begin:], stamps[:, begin:end], temperature, top_k, top_p)
        s1, s2 = torch.cat([s1, a], dim=1), torch.cat([s2, b], dim=1)
    bars = tokenizer.decode(s1[:, -context:], s2[:, -context:])
    return tuple(y.unflatten(0, (-1, samples)) for y in (bars, s1[:, -horizon:], s2[:, -horizon:]))
