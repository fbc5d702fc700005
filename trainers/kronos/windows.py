"""Training windows as Kronos takes them: six features normalised by the history, or the tokens made of these, kept.

B windows, V variates, T rows of context + horizon, of which the first L are the history, W training windows.
A gap in a price is filled with the price before it, as everywhere; in volume and amount it is filled by rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.data.dataset import Dataset
from trainers.data.panel import Panel, windows_of
from trainers.evaluate import TrainWindows
from trainers.kronos.bars import CLIP
from trainers.kronos.config import COLUMNS
from trainers.kronos.tokenizer import Tokenizer
from trainers.lengths import Size

_AT_ONCE = 1 << 15
"""Bars that are tokenised together when all windows are."""


def places(variates: Sequence[str]) -> tuple[int, ...]:
    """Where open, high, low, close, volume and amount stand among the variates; -1 for what is not there."""
    return tuple(variates.index(name) if name in variates else -1 for name in COLUMNS)


def features(values_BVT: Tensor, mask_BVT: Tensor, where: Sequence[int]) -> Tensor:
    """Open, high, low, close, volume, amount [B,6,T] in original units; memory of its own.

    A bar without a volume has neither volume nor amount, even if it has an amount, as upstream has it for whole series;
    one without an amount takes volume times the mean of its four prices.
    """
    *prices, volume, amount = where
    order = torch.tensor([*prices, max(volume, 0), max(amount, 0)], device=values_BVT.device)
    x = values_BVT.index_select(1, order)  # a third of what a list as index costs
    if volume < 0:
        x[:, 4:] = 0.0
        return x
    traded = mask_BVT[:, volume]
    if x.is_cuda or not bool(traded.all()):
        x[:, 4].masked_fill_(~traded, 0.0)
    if amount < 0:
        torch.mul(x[:, :4].mean(1), x[:, 4], out=x[:, 5])
    elif x.is_cuda or not bool(mask_BVT[:, amount].all()):
        x[:, 5] = torch.where(mask_BVT[:, amount] & traded, x[:, 5], x[:, :4].mean(1) * x[:, 4])
    return x


def normalised(x_B6T: Tensor, history: int) -> Tensor:
    """[B,T,6]: less the mean of the first `history` rows, over their population deviation + 1e-5, clipped. In place.

    Whatever stands after the history changes nothing in it. Within rounding of bars.measure, ten times as fast.
    """
    past = x_B6T[..., :history]
    x_B6T.sub_(past.mean(-1, keepdim=True))
    spread = torch.linalg.vector_norm(past, dim=-1, keepdim=True).mul_(history**-0.5).add_(1e-5)
    return x_B6T.div_(spread).clamp_(-CLIP, CLIP).transpose(1, 2)


def valid(mask_BVT: Tensor, where: Sequence[int]) -> Tensor | None:
    """[B,T], where a close was observed: only such bars are learned; None for everywhere, found out on a CPU only."""
    seen = mask_BVT[:, where[3]]
    return seen if seen.is_cuda or not bool(seen.all()) else None


@dataclass(frozen=True)
class Tokens:
    """A batch of windows as tokens. values: [B,T,2] ids; stamps, valid: as of other batches."""

    values: Tensor
    stamps: Tensor
    valid: Tensor | None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Bars:
    """Windows as the tokenizer reads them. values: [B,T,6] normalised; stamps, valid: as of other batches."""

    values: Tensor
    stamps: Tensor
    valid: Tensor | None

    def __len__(self) -> int:
        return len(self.values)


class BarSource:
    """The six features of a panel's every row, made once: a window is then one gather and its normalisation.

    Nothing of a window's values and mask is left to look at, which took as long as both together.
    """

    def __init__(self, panel: Panel, where: Sequence[int]) -> None:
        self.panel = panel
        self.table = features(panel.values.unsqueeze(0), panel.mask.unsqueeze(0), where)[0]
        seen = panel.mask[where[3]]
        self.seen = None if bool(seen.all()) else seen.unsqueeze(0)

    def gather(self, starts: Tensor, context: int, length: int) -> Bars:
        """Windows of `length` rows at starts [B], the first `context` of which are the history."""
        values = normalised(windows_of(self.table, starts, length), context)
        valid_BT = None if self.seen is None else windows_of(self.seen, starts, length)[:, 0]
        return Bars(values, self.panel.stamps_of(starts, length), valid_BT)


class FreshWindows(TrainWindows):
    """Windows whose tokens, if any are wanted, are made each time they are taken. why: they are not kept.

    As bars out of a BarSource, or as values where those are changed first (augmented).
    """

    def __init__(self, dataset: Dataset, where: Sequence[int], augmented: bool, why: str = "") -> None:
        super().__init__(dataset)
        self.source = None if augmented else BarSource(dataset.panel, where)
        self.why = why

    def gather(self, numbers: Tensor, context: int | None = None, horizon: int | None = None) -> Any:
        if self.source is None:
            return super().gather(numbers, context, horizon)
        whole = self.dataset.config
        context, horizon = context or whole.context, horizon or whole.horizon
        starts = self.placed(numbers) + (whole.context - context)
        return self.source.gather(starts, context, context + horizon)

    def used(self) -> dict[str, Any]:
        return {"pretokenised": f"no: {self.why}", "pretokenised_bytes": 0} if self.why else {}


class TokenWindows:
    """The tokens of every training window, made once in a fixed order, so that a resumed run has the same.

    A token hangs on where its window begins and on the window's own statistics, so windows that overlap share none:
    each keeps its own. A shorter horizon cuts tokens off, as none depends on what follows it.
    """

    def __init__(self, dataset: Dataset, tokenizer: Tokenizer, where: Sequence[int], largest: Size) -> None:
        self.dataset, self.largest = dataset, largest
        self.starts = dataset.starts("train") + (dataset.config.context - largest.context)
        bits = max(tokenizer.config.s1_bits, tokenizer.config.s2_bits)
        self.table = torch.empty(
            (len(self.starts), largest.length, 2),
            dtype=torch.int16 if bits < 16 else torch.int32, device=self.starts.device,
        )  # fmt: skip
        source = BarSource(dataset.panel, where)
        self.seen = source.seen
        at_once = max(1, _AT_ONCE // largest.length)
        for first in range(0, len(self.starts), at_once):
            part = slice(first, first + at_once)
            s1, s2 = tokenizer.encode(source.gather(self.starts[part], largest.context, largest.length).values)
            self.table[part, :, 0], self.table[part, :, 1] = s1.to(self.table.dtype), s2.to(self.table.dtype)

    def __len__(self) -> int:
        return len(self.starts)

    def gather(self, numbers: Tensor, context: int, horizon: int) -> Tokens:
        if context != self.largest.context:
            raise ValueError(f"tokens are of windows with a context of {self.largest.context}, not {context}")
        numbers = numbers.to(self.table.device, non_blocking=True)
        length = context + horizon
        starts = self.starts[numbers]
        seen = None if self.seen is None else windows_of(self.seen, starts, length)[:, 0]
        return Tokens(self.table[numbers, :length], self.dataset.panel.stamps_of(starts, length), seen)

    def used(self) -> dict[str, Any]:
        """For the `used` event."""
        count, length, _ = self.table.shape
        return {"pretokenised": f"{count} windows of {length} bars, {self.table.nbytes / 2**20:.1f} MiB",
                "pretokenised_bytes": self.table.nbytes}  # fmt: skip
