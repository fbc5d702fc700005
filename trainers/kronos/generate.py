"""Continuing series token by token: exactly what passing the whole window through the network at each step gives.

While the window only grows, every position is computed once: a history's for all samples of its series together,
each sample's as it is drawn. Once the window slides, each step forgets a bar that every layer above the first had
looked at, so that nothing above it can be kept: that step reads its own window, the part that is history still once
per series, ahead of time and several windows at once, since it hangs on no draw.
B series, S samples, N = B·S, L bars of history, H bars ahead, d width; C the window's longest, i the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.errors import LossError
from trainers.kronos.block import Turns, run
from trainers.kronos.cache import History, Reading, divided, nothing, padding, turns_after
from trainers.kronos.predictor import DEP_HEADS, Predictor
from trainers.kronos.sampling import Sampling, draw
from trainers.kronos.single import Single, serves
from trainers.kronos.step import Step, normed, step, steps, stream

ROWS = 4096
"""Positions that pass through the network at once where they can be divided; more were slower on a CPU."""


class Past(NamedTuple):
    """Histories as tokens: ids s1, s2 [B,L] and stamps [B,L,5], the first lengths[b] of a row, then padding.

    Of unequal lengths only where lengths[b] + H - 1 <= C, the window never sliding.
    """

    s1: Tensor
    s2: Tensor
    stamps: Tensor
    lengths: list[int]


class Read(NamedTuple):
    """Histories that have been read: what each block and, last, the dependency layer keeps; the last state [B,d]."""

    kept: History
    last: Tensor

    def some(self, series: slice, length: int | None = None) -> Read:
        return Read(self.kept.some(series, length), self.last[series])


def read(predictor: Predictor, x_BLd: Tensor, lengths: list[int]) -> Read:
    """x: embedded, padded on the right."""
    attends = [Reading() for _ in predictor.transformer]
    h = predictor.norm(run(predictor.transformer, x_BLd, predictor.rotary(0, x_BLd.shape[1]), list(attends)))
    kept = [(each.k, each.v) for each in attends] + [predictor.dep_layer.cross_attn.keys_values(h)]
    rows = torch.arange(len(h), device=h.device)
    last = h[rows, torch.tensor(lengths, device=h.device) - 1]
    return Read(History(kept, padding(lengths, x_BLd)), last)


class Samples:
    """S samples of each series behind a history that has been read, and what they have added to it."""

    def __init__(self, predictor: Predictor, history: Read, count: int, room: int) -> None:
        self.predictor = predictor
        self.steps: list[Step] = []
        *self.blocks, self.dependency = history.kept.continued(count, room)
        self.last = history.last.repeat_interleave(count, dim=0).unsqueeze(1)
        """State [N,1,d] of the last position."""

    def __len__(self) -> int:
        return len(self.last)

    def add(self, x_Nnd: Tensor, turns: Turns) -> None:
        """The next n positions of each sample, embedded."""
        stack, norm = self.predictor.transformer, self.predictor.norm
        if x_Nnd.shape[1] == 1:
            self.steps = self.steps or steps(stack)
            h = normed(norm, step(self.steps, x_Nnd[:, 0], turns, self.blocks)).unsqueeze(1)
        else:
            h = norm(run(stack, x_Nnd, turns, list(self.blocks)))
        self.dependency.add(*self.predictor.dep_layer.cross_attn.keys_values(h))
        self.last = h[:, -1:]

    def embedded(self, s1_N1: Tensor, s2_N1: Tensor) -> Tensor:
        """[N,1,d], without the time."""
        out: Tensor = self.predictor.embedding(s1_N1, s2_N1)
        return out

    def s1_logits(self) -> Tensor:
        """[N,V1], for the bar to come."""
        return self.predictor.s1_logits(self.last[:, 0])

    def s2_logits(self, s1_N: Tensor) -> Tensor:
        """[N,V2], given its s1. Nothing is turned by position here, as upstream generates (Predictor.s2_logits)."""
        layer = self.predictor.dep_layer
        row = F.embedding(s1_N, self.predictor.embedding.emb_s1.weight).unsqueeze(1)
        out = layer.cross_attn.joined(self.dependency.ask(layer.cross_attn.queries(row)))
        asked = normed(layer.norm, stream(out.add_(self.last)[:, 0]))
        logits: Tensor = self.predictor.head.proj_s2(asked).float()
        return logits


def generate(
    predictor: Predictor,
    past: Past,
    future_BH5: Tensor,
    samples: int,
    context: int,
    sampling: Sampling,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """The ids s1 and s2 [B,S,H] of the bars after each history, of which the last `context` bars at most are seen.

    future: their stamps. Random numbers come in upstream's order: for each step all series' samples, s1 then s2.
    """
    (B, H), S = future_BH5.shape[:2], samples
    times = predictor.time_emb(future_BH5).repeat_interleave(S, dim=0)
    history = predictor.embed(past.s1, past.s2, past.stamps)
    s1, s2 = (past.s1.new_empty(B * S, H) for _ in range(2))
    x = history.new_empty(B * S, H, history.shape[-1])
    course = _course(predictor, past, history, x, S, context)
    for i, parts in zip(range(H), course, strict=False):
        logits = torch.cat([part.s1_logits() for part in parts])
        s1[:, i] = draw(logits, sampling, generator)
        given = s1[:, i].split([len(part) for part in parts])
        logits = torch.cat([part.s2_logits(some) for part, some in zip(parts, given, strict=True)])
        s2[:, i] = draw(logits, sampling, generator)
        x[:, i] = parts[0].embedded(s1[:, i : i + 1], s2[:, i : i + 1])[:, 0] + times[:, i]
    if not bool(logits.isfinite().all()):  # once: what is none is handed on from step to step
        raise LossError("The forecast is not a number: weights or history hold NaN or infinity.")
    return s1.unflatten(0, (B, S)), s2.unflatten(0, (B, S))


def _course(
    predictor: Predictor, past: Past, history_BLd: Tensor, x_NHd: Tensor, S: int, context: int
) -> Iterator[Sequence[Samples | Single]]:
    """For step after step what its window says, in parts of the N rows. x is filled up to the step when it is due."""
    H = x_NHd.shape[1]
    growing = min(H, context - max(past.lengths) + 1)
    history = read(predictor, history_BLd, past.lengths)
    alone = len(x_NHd) == 1 < growing and serves(predictor)
    one = Single(predictor, history, growing - 1) if alone else Samples(predictor, history, S, growing - 1)
    del history
    yield [one]
    for i in range(1, growing):
        one.add(x_NHd[:, i - 1 : i], turns_after(predictor.rotary, past.lengths, i - 1, 1, S))
        yield [one]
    if growing == H:
        return
    del one
    windows = _windows(predictor, history_BLd, range(growing, H), context)
    for i in range(growing, H):
        yield _slid(predictor, next(windows, None), x_NHd[:, max(0, i - context) : i], S, context)


def _windows(predictor: Predictor, history_BLd: Tensor, steps: range, context: int) -> Iterator[Read]:
    """What is left of the histories in the window of each step, while anything is."""
    B, L, _ = history_BLd.shape
    left = [context - i for i in steps if i < context]
    at_once = max(1, ROWS // (B * context))
    for begin in range(0, len(left), at_once):
        lengths = left[begin : begin + at_once]
        x = torch.stack([F.pad(history_BLd[:, L - n :], (0, 0, 0, lengths[0] - n)) for n in lengths])
        several = read(predictor, x.flatten(0, 1), [n for n in lengths for _ in range(B)])
        for j, n in enumerate(lengths):
            yield several.some(slice(j * B, (j + 1) * B), n)


def _slid(predictor: Predictor, history: Read | None, x_Nnd: Tensor, S: int, context: int) -> list[Samples]:
    """The samples' part of one window that has slid: their n bars after what is left of the history, if anything is."""
    N, n, width = x_Nnd.shape
    if history is None:
        heads = [predictor.config.n_heads] * len(predictor.transformer) + [DEP_HEADS]
        history = Read(nothing(heads, x_Nnd, N // S), x_Nnd.new_empty(N // S, width))
    turns = predictor.rotary(context - n, n)
    parts = []
    for series, count, rows in divided(N // S, S, max(1, ROWS // n)):
        part = Samples(predictor, history.some(series), count, n)
        part.add(x_Nnd[rows], turns)
        parts.append(part)
    return parts
