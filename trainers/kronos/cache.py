"""Keys and values that generation keeps: a history's once for all samples of a series, and each sample's own.

B series, S samples, h heads, D per head, T positions of history, n new positions. The history is never copied to the
samples: their queries meet it in one product, and softmax spans both parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.kronos.block import Rotary, Turns


class Reading:
    """An Attend (block.py) for the history: causal attention, keeping keys and values [B,h,T,D].

    Series shorter than the longest are padded on the right, where causality keeps the padding from being seen.
    """

    def __init__(self) -> None:
        self.k = self.v = torch.empty(0)

    def __call__(self, q_BhTD: Tensor, k_BhTD: Tensor, v_BhTD: Tensor) -> Tensor:
        self.k, self.v = k_BhTD, v_BhTD
        return F.scaled_dot_product_attention(q_BhTD, k_BhTD, v_BhTD, is_causal=True)


class Alone:
    """An Attend for what one sample of each series adds to its history, in one run of memory with that.

    k, v: of the history [B,h,T,D]. room: how many positions will be added. hidden: -inf at positions of the history
    that are padding, else 0 [B,1,1,1,T]; None when there is none.
    """

    def __init__(self, k_BhTD: Tensor, v_BhTD: Tensor, room: int, hidden: Tensor | None = None) -> None:
        B, h, T, D = k_BhTD.shape
        self.used, self.heads, self.scale = T, h, D**-0.5
        # as products with one query take them soonest
        self.both = k_BhTD.new_empty(2, B * h, D, T + room)
        self.k, self.v = self.both
        self.k[..., :T], self.v[..., :T] = k_BhTD.flatten(0, 1).mT, v_BhTD.flatten(0, 1).mT
        self.none = k_BhTD.new_zeros(())
        self.hidden = None
        if hidden is not None:
            self.hidden = F.pad(hidden[:, 0, 0], (0, room)).repeat_interleave(h, dim=0)

    def add(self, k: Tensor, v: Tensor) -> None:
        """Of the next positions, each [B,h,n,D]."""
        new = slice(self.used, self.used + k.shape[2])
        self.k[..., new] = k.flatten(0, 1).mT
        self.v[..., new] = v.flatten(0, 1).mT
        self.used = new.stop

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v [B,h,n,D] of the next positions, which see the history and each other causally."""
        self.add(k, v)
        return self.ask(q)

    def ask(self, q: Tensor) -> Tensor:
        """What the last positions, as many as q has [B,h,n,D], attend to."""
        share = torch.baddbmm(self.none, q.flatten(0, 1), self.k[..., : self.used], beta=0, alpha=self.scale)
        if q.shape[2] > 1:
            share.masked_fill_(_later(q.shape[2], self.used, q.device), -torch.inf)
        if self.hidden is not None:
            share += self.hidden[..., : self.used]
        return torch.bmm(share.softmax(-1), self.v[..., : self.used].mT).unflatten(0, (-1, self.heads))


class Sharing:
    """The same for S samples of each series; add, call and ask take [B*S,h,n,D]."""

    def __init__(self, k_BhTD: Tensor, v_BhTD: Tensor, samples: int, room: int, hidden: Tensor | None = None) -> None:
        B, h, _, D = k_BhTD.shape
        self.past_k, self.past_v, self.hidden = k_BhTD, v_BhTD, hidden
        self.samples, self.used = samples, 0
        self.k = k_BhTD.new_empty(B, h, samples, D, room)
        self.v = v_BhTD.new_empty(B, h, samples, room, D)

    def add(self, k: Tensor, v: Tensor) -> None:
        new = slice(self.used, self.used + k.shape[2])
        self.k[..., new] = self._by_series(k).mT
        self.v[..., new, :] = self._by_series(v)
        self.used = new.stop

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.add(k, v)
        return self.ask(q)

    def ask(self, q: Tensor) -> Tensor:
        n, T = q.shape[2], self.past_k.shape[2]
        q = self._by_series(q) * q.shape[-1] ** -0.5  # [B,h,S,n,D]
        past = (q.flatten(2, 3) @ self.past_k.mT).unflatten(2, (self.samples, n))
        if self.hidden is not None:
            past += self.hidden
        own = q @ self.k[..., : self.used]
        if n > 1:
            own.masked_fill_(_later(n, self.used, q.device), -torch.inf)
        share = torch.cat([past, own], dim=-1).softmax(-1)
        out = (share[..., :T].flatten(2, 3) @ self.past_v).unflatten(2, (self.samples, n))
        out += share[..., T:] @ self.v[..., : self.used, :]
        return out.transpose(1, 2).flatten(0, 1)

    def _by_series(self, x: Tensor) -> Tensor:
        """[B*S,h,n,D] -> [B,h,S,n,D]."""
        return x.unflatten(0, (-1, self.samples)).transpose(1, 2)


def _later(n: int, used: int, device: torch.device) -> Tensor:
    """What the last n of `used` positions do not see of them [n,used]."""
    return torch.ones(n, used, dtype=torch.bool, device=device).triu(used - n + 1)


class History(NamedTuple):
    """Keys and values [B,h,T,D] that several attentions keep of histories; `hidden` as in Alone."""

    kept: list[tuple[Tensor, Tensor]]
    hidden: Tensor | None

    def some(self, series: slice, length: int | None = None) -> History:
        """Of some series, all positions, or the first `length`, of which none may be padding."""
        hidden = None if self.hidden is None or length is not None else self.hidden[series]
        return History([(k[series, :, :length], v[series, :, :length]) for k, v in self.kept], hidden)

    def continued(self, samples: int, room: int) -> list[Alone | Sharing]:
        """An Attend for each attention, for so many samples of each series, which add up to `room` positions."""
        if samples == 1:
            return [Alone(k, v, room, self.hidden) for k, v in self.kept]
        return [Sharing(k, v, samples, room, self.hidden) for k, v in self.kept]


def nothing(heads: Sequence[int], x_BTd: Tensor, B: int) -> History:
    """The history of B series that have none, for attentions of so many heads."""
    width = x_BTd.shape[-1]
    return History([(x_BTd.new_empty(B, h, 0, width // h),) * 2 for h in heads], None)


def padding(lengths: Sequence[int], x_BTd: Tensor) -> Tensor | None:
    """`hidden` of series of which the first lengths[b] positions are real; None where all are."""
    if min(lengths) == x_BTd.shape[1]:
        return None
    ends = torch.tensor(lengths, device=x_BTd.device).unsqueeze(1)
    beyond = torch.arange(x_BTd.shape[1], device=x_BTd.device) >= ends
    return torch.zeros_like(beyond, dtype=torch.float32).masked_fill_(beyond, -torch.inf)[:, None, None, None]


def turns_after(rotary: Rotary, lengths: Sequence[int], first: int, count: int, samples: int) -> Turns:
    """Of the positions first .. first+count-1 behind each history, for the rows of all its samples."""
    if min(lengths) == max(lengths):
        return rotary(lengths[0] + first, count)
    table = rotary(0, max(lengths) + first + count)
    starts = torch.tensor(lengths, device=table.cos.device).repeat_interleave(samples) + first
    places = starts.unsqueeze(1) + torch.arange(count, device=starts.device)
    return Turns(*(x[places].unsqueeze(1) for x in table))


def divided(B: int, S: int, most: int) -> Iterator[tuple[slice, int, slice]]:
    """B series of S samples in parts of about `most` rows, in order: (series, samples of each, rows).

    A part is some series with all their samples, or some samples of one.
    """
    several = max(1, most // S)
    for b in range(0, B, several):
        end = min(B, b + several)
        for s in range(0, S, most):
            count = min(most, S - s)
            yield slice(b, end), count, slice(b * S + s, (end - 1) * S + s + count)
