"""Forecasts of raw bars: histories to tokens, tokens continued, and the new ones back to bars in the data's own units.

B series, S samples, L bars of history, H bars ahead, T bars of history in a window, d width; 6 features: open, high,
low, close, volume, amount. Stamps have 5 columns: minute, hour, weekday (0 is Monday), day, month.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainers.kronos import bars
from trainers.kronos.block import Turns, run
from trainers.kronos.cache import History, Reading, divided, nothing, padding, turns_after
from trainers.kronos.generate import ROWS, Past, generate
from trainers.kronos.model import Kronos
from trainers.kronos.sampling import Sampling
from trainers.kronos.tokenizer import Tokenizer

_AT_ONCE = 1 << 16
"""Positions of all samples of the series that are forecast together, unless one series has more."""


def forecast(
    model: Kronos,
    history_BL6: Tensor,
    stamps_BL5: Tensor,
    future_BH5: Tensor,
    lengths: Sequence[int] | None = None,
    *,
    samples: int = 1,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    context: int | None = None,
    generator: torch.Generator | None = None,
    candles: bool = False,
) -> Tensor:
    """Sample paths [B,S,H,6] of the bars at `future`, float32, in the units of the history.

    lengths: how many of the last rows of each series are its history, without NaN; all by default. context: bars that
    the predictor sees at once, the model's max_context by default; statistics and tokens come from the whole history,
    and the horizon may be longer. Draws depend on the generator (torch's own by default) and on which series are asked
    for together; where all are equally long and fit at once they are upstream's. candles: see bars.valid.
    The model runs in evaluation mode, whatever mode it is in, and is left in that.
    """
    context = context or model.config.max_context
    lengths = [history_BL6.shape[1]] * len(history_BL6) if lengths is None else [int(n) for n in lengths]
    B, H = future_BH5.shape[:2]
    out = history_BL6.new_empty((B, samples, H, 6), dtype=torch.float32)
    with torch.inference_mode(), _evaluating(model):
        for group in _together(lengths, H, samples, context):
            longest = max(lengths[b] for b in group)
            raw, stamps = (x[group, x.shape[1] - longest :] for x in (history_BL6, stamps_BL5))
            some = [lengths[b] for b in group]
            scale = bars.measure(raw, some)
            past = _tokens(model.tokenizer, bars.normalise(raw, scale), stamps, some, context)
            s1, s2 = generate(model.predictor, past, future_BH5[group], samples, context, sampling, generator)
            made = bars.restore(decoded(model.tokenizer, past, s1, s2, context), scale)
            out[group] = bars.valid(made) if candles else made
    return out


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    learning = [module for module in model.modules() if module.training]
    try:
        model.eval()
        yield
    finally:
        for module in learning:
            module.training = True


def _together(lengths: list[int], H: int, samples: int, context: int) -> Iterator[list[int]]:
    """Which series to forecast at once: those whose window never slides, and those equally long in it."""
    groups: dict[int, list[int]] = {}
    for b, length in enumerate(lengths):
        kept = min(length, context)
        groups.setdefault(kept if kept + H - 1 > context else 0, []).append(b)
    for group in groups.values():
        longest = max(lengths[b] for b in group)
        at_once = max(1, _AT_ONCE // max(longest, samples * min(H, context)))
        yield from (group[i : i + at_once] for i in range(0, len(group), at_once))


def _tokens(tokenizer: Tokenizer, x_BL6: Tensor, stamps_BL5: Tensor, lengths: list[int], context: int) -> Past:
    """The last `context` of each series' tokens, which are made of its whole history."""
    L = x_BL6.shape[1]
    kept = [min(n, context) for n in lengths]
    x, stamps = (_leading(a, lengths, L) for a in (x_BL6, stamps_BL5))
    s1, s2 = tokenizer.encode(x)
    return Past(*(_until(a, lengths, kept) for a in (s1, s2, stamps)), kept)


def _until(x_BL: Tensor, ends: list[int], counts: list[int]) -> Tensor:
    """Of each row the `count` entries that end at `end`, then what is padding."""
    width = max(counts)
    if len(set(ends)) == len(set(counts)) == 1:
        return x_BL[:, ends[0] - width : ends[0]]
    begin = torch.tensor(ends, device=x_BL.device) - torch.tensor(counts, device=x_BL.device)
    place = (begin.unsqueeze(1) + torch.arange(width, device=x_BL.device)).clamp_max(x_BL.shape[1] - 1)
    return x_BL[torch.arange(len(x_BL), device=x_BL.device).unsqueeze(1), place]


def _leading(x_BL: Tensor, lengths: list[int], L: int) -> Tensor:
    """Padding on the left moved to the right."""
    return _until(x_BL, [L] * len(lengths), lengths)


def decoded(tokenizer: Tokenizer, past: Past, s1_BSH: Tensor, s2_BSH: Tensor, context: int) -> Tensor:
    """Normalised bars [B,S,H,6] of drawn ids, from a window of the last `context` tokens that ends with them.

    A horizon beyond the context, which upstream refuses, is decoded in windows that move by half of it.
    """
    H = s1_BSH.shape[2]
    stride = H if context >= H else max(1, context // 2)
    parts = []
    for begin in range(0, H, stride):
        end = min(H, begin + stride)
        first = max(0, end - context)
        ids = (x[:, :, first:end] for x in (s1_BSH, s2_BSH))
        kept = [min(n, context - end) for n in past.lengths] if end < context else []
        parts.append(_window(tokenizer, past, kept, *ids, end - begin))
    return torch.cat(parts, dim=2)


def _window(tokenizer: Tokenizer, past: Past, kept: list[int], s1: Tensor, s2: Tensor, rows: int) -> Tensor:
    """The last rows of one window [B,S,rows,6]: `kept` bars of each history, then those of each sample."""
    B, S, n = s1.shape
    x = tokenizer.embedded(s1.flatten(0, 1), s2.flatten(0, 1))
    if kept:
        ids = (_until(a, past.lengths, kept) for a in (past.s1, past.s2))
        read = tokenizer.embedded(*ids)
        attends = [Reading() for _ in tokenizer.decoder]
        run(tokenizer.decoder, read, tokenizer.rotary(0, read.shape[1]), list(attends))
        history = History([(each.k, each.v) for each in attends], padding(kept, read))
    else:
        kept, history = [0], nothing([tokenizer.config.n_heads] * len(tokenizer.decoder), x, B)
    turns = turns_after(tokenizer.rotary, kept, 0, n, S)
    out = x.new_empty(B * S, rows, 6)
    for series, count, some in divided(B, S, max(1, ROWS // n)):
        its = turns if turns.cos.dim() == 2 else Turns(*(a[some] for a in turns))
        h = run(tokenizer.decoder, x[some], its, list(history.some(series).continued(count, n)))
        out[some] = tokenizer.head(h[:, n - rows :]).float()
    return out.unflatten(0, (B, S))
