"""All symbols in one contiguous tensor, so that a batch of windows is one gather.

Shapes: V variates (0 is the target), N rows of all symbols one after the other, B windows, T steps of a window.

A missing value is filled with the symbol's last observed one before it, which never looks ahead. Missing values
at the start of a symbol have nothing before them: they take its first observed one (0 for a column that is wholly
empty). Every filled point is False in the mask, so a model or a metric can leave it out; the leading fill is the
only one that comes from later rows, and it is always masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from trainers.calendar import stamps
from trainers.data.series import Series, key


@dataclass(frozen=True)
class Batch:
    """Windows in original units; the last steps are the future where a window has one.

    values: [B, V, T] float32, gaps filled (see the module). mask: [B, V, T], True where observed.
    symbols: [B] int64, number of the symbol in the panel. starts: [B] int64, row of each first step.
    stamps: [B, T, 5] uint8, see `trainers.calendar.stamps`; None where the model does not ask for them.
    """

    values: torch.Tensor
    mask: torch.Tensor
    symbols: torch.Tensor
    starts: torch.Tensor
    stamps: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def to(self, device: torch.device | str) -> Batch:
        parts = (t.to(device, non_blocking=True) for t in (self.values, self.mask, self.symbols, self.starts))
        return Batch(*parts, None if self.stamps is None else self.stamps.to(device, non_blocking=True))


@dataclass(frozen=True)
class Panel:
    """symbols: names, in the order of offsets. variates: lower-case names, the target first.

    values: [V, N] float32. mask: [V, N] bool. offsets: [S + 1] int64, row of each symbol's first step, then N.
    times: [N] int64 ns, always on the CPU as are the offsets. row_symbol: [N] int64.
    stamps: [N, 5] uint8, the calendar of every row, once `with_stamps` has made it.
    """

    symbols: tuple[str, ...]
    variates: tuple[str, ...]
    values: torch.Tensor
    mask: torch.Tensor
    offsets: torch.Tensor
    times: torch.Tensor
    row_symbol: torch.Tensor
    stamps: torch.Tensor | None = None

    @staticmethod
    def build(series: Sequence[Series], variates: Sequence[str]) -> Panel:
        """A panel of the series' columns named in `variates`, the target first."""
        names = tuple(key(v) for v in variates)
        lengths = [len(s) for s in series]
        raw = np.empty((len(names), sum(lengths)), np.float64)
        mask = np.empty(raw.shape, bool)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        for s, first, last in zip(series, offsets, offsets[1:], strict=False):
            for v, name in enumerate(names):
                raw[v, first:last], mask[v, first:last] = fill(s.columns[name])
        return Panel(
            symbols=tuple(s.symbol for s in series),
            variates=names,
            values=torch.from_numpy(raw.astype(np.float32)),
            mask=torch.from_numpy(mask),
            offsets=torch.from_numpy(offsets),
            times=torch.from_numpy(np.concatenate([s.times for s in series])),
            row_symbol=torch.repeat_interleave(torch.arange(len(series)), torch.tensor(lengths)),
        )

    @property
    def rows(self) -> int:
        return self.values.shape[1]

    def gather(self, starts: torch.Tensor, length: int) -> Batch:
        """The windows of `length` steps at `starts` ([B] int64, on the panel's device): one gather per tensor.

        The starts come from `split.cut`, which never lets a window cross a symbol; here only the ends of the
        panel are checked (IndexError).
        """
        return Batch(
            values=windows_of(self.values, starts, length),
            mask=windows_of(self.mask, starts, length),
            symbols=self.row_symbol.index_select(0, starts),
            starts=starts,
            stamps=None if self.stamps is None else self.stamps_of(starts, length),
        )

    def stamps_of(self, starts: torch.Tensor, length: int) -> torch.Tensor:
        """[B, T, 5] uint8: a window's rows lie in one run of the table."""
        assert self.stamps is not None
        width = self.stamps.shape[1]
        runs = self.stamps.as_strided((self.rows - length + 1, length * width), (width, 1))
        return runs.index_select(0, starts).view(-1, length, width)

    def with_stamps(self) -> Panel:
        """The panel with the calendar of its rows, which every window then brings along."""
        return replace(self, stamps=torch.from_numpy(stamps(self.times.numpy())).to(self.values.device))

    def tail(self, length: int) -> Batch:
        """The last `length` rows of every symbol: the contexts of a forecast into the unknown.

        A shorter symbol raises ValueError naming it.
        """
        sizes = self.offsets.diff()
        for name, size in zip(self.symbols, sizes.tolist(), strict=True):
            if size < length:
                raise ValueError(f"{name} has {size} rows; {length} are needed")
        return self.gather((self.offsets[1:] - length).to(self.values.device), length)

    def to(self, device: torch.device | str) -> Panel:
        """The panel with what windows are made of on the device; then gather works there."""
        return replace(
            self,
            values=self.values.to(device),
            mask=self.mask.to(device),
            row_symbol=self.row_symbol.to(device),
            stamps=None if self.stamps is None else self.stamps.to(device),
        )


def windows_of(table_VN: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
    """[B, V, T]: the `length` columns of the table from each start on. IndexError where it is not that long."""
    variates, rows = table_VN.shape
    if rows < length:
        raise IndexError(f"a window of {length} steps is longer than the panel's {rows} rows")
    # a strided view [N - T + 1, V, T] of the table: index_select copies 2 kB runs out of it and nothing else
    return table_VN.as_strided((rows - length + 1, variates, length), (1, rows, 1)).index_select(0, starts)


def fill(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The column without NaN, and where it was observed. See the module for the rule."""
    seen = ~np.isnan(column)
    if seen.all():
        return column, seen
    if not seen.any():
        return np.zeros_like(column), seen
    last = np.maximum.accumulate(np.where(seen, np.arange(len(column)), -1))
    last[last < 0] = int(np.argmax(seen))
    return column[last], seen
