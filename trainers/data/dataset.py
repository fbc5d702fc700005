"""What a trainer works with: the panel of a workspace's series, cut into splits, with a word on what was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from trainers.data.config import DataConfig
from trainers.data.errors import DataError, plain
from trainers.data.panel import Batch, Panel
from trainers.data.read import Reading, fingerprint, read
from trainers.data.series import key
from trainers.data.split import SPLITS, Split, Splits, cut
from trainers.errors import did_you_mean


@dataclass(frozen=True)
class Dataset:
    """notes: lines that a person should see (what was fixed, left out, or is made up)."""

    config: DataConfig
    panel: Panel
    splits: Splits
    reading: Reading
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.panel.symbols

    @property
    def variates(self) -> tuple[str, ...]:
        return self.panel.variates

    @property
    def synthetic(self) -> bool:
        return self.reading.synthetic

    @property
    def length(self) -> int:
        """Steps of a window: context + horizon."""
        return self.config.context + self.config.horizon

    def windows(self) -> dict[str, int]:
        """Number of windows in each split."""
        return {name: len(self.splits[name]) for name in SPLITS}

    def starts(self, split: str) -> torch.Tensor:
        """[W] int64 on the panel's device: the starts of a split's windows, by symbol then time."""
        return torch.from_numpy(self.splits[split].starts).to(self.panel.values.device)

    def groups(self, split: str) -> torch.Tensor:
        """[W] int64: windows with the same number have the same origin date, see `split`."""
        return torch.from_numpy(self.splits[split].groups)

    def folds(self, count: int) -> list[Dataset]:
        """The validation windows in `count` parts by origin date, each with all training windows from before it.

        A part's training targets end a purge before its first validation target, by the rules of `split.cut`. Parts
        have neither test nor unseen windows. Raises DataError when there are fewer origin dates than parts.
        """
        val, panel = self.splits.val, self.panel
        dates = int(val.groups.max()) + 1
        edges = [round(i * dates / count) for i in range(count + 1)]
        calendar = np.unique(panel.times.numpy())
        begin = int(np.searchsorted(calendar, self.splits.val_from))
        parts = []
        for first, last in pairwise(edges):
            inside = (val.groups >= first) & (val.groups < last)
            if not inside.any():
                raise DataError(
                    f"eval.folds = {count}: validation has {dates} origin dates, so a fold would be empty; lower "
                    "eval.folds, data.horizon or eval.stride, or raise data.val_fraction"
                )
            at = begin + first * self.splits.step
            times, seen = panel.times.numpy(), panel.mask[0].cpu().numpy()
            past = cut(panel.symbols, panel.offsets.numpy(), times, seen, self.config, self.splits.step, at)
            none = np.empty(0, np.int64)
            splits = replace(
                past,
                val=Split("val", val.starts[inside], val.groups[inside]),
                test=Split("test", none, none),
                unseen=Split("unseen", none, none),
            )
            parts.append(replace(self, splits=splits))
        return parts

    def gather(self, starts: torch.Tensor, context: int | None = None, horizon: int | None = None) -> Batch:
        """The windows (context + horizon steps) at `starts`; with shorter ones asked for, around the same origin."""
        if context is None or horizon is None:
            return self.panel.gather(starts, self.length)
        return self.panel.gather(starts + (self.config.context - context), context + horizon)

    def batches(self, split: str, size: int) -> Iterator[tuple[Batch, torch.Tensor]]:
        """All windows of a split in order, with their groups; the last batch may be smaller."""
        starts, groups = self.starts(split), self.groups(split)
        for at in range(0, len(starts), size):
            yield self.gather(starts[at : at + size]), groups[at : at + size]

    def origins(self, starts: torch.Tensor) -> torch.Tensor:
        """[B] int64 ns: time of the last context row of each window."""
        return self.panel.times[starts.cpu() + self.config.context - 1]

    def to(self, device: torch.device | str) -> Dataset:
        """The dataset with its panel on the device."""
        return replace(self, panel=self.panel.to(device))

    def with_stamps(self) -> Dataset:
        """The dataset whose windows bring the calendar of their rows along."""
        return replace(self, panel=self.panel.with_stamps())


def load(config: DataConfig, root: Path, step: int = 0) -> Dataset:
    """Read, check and cut the series that the configuration names. Raises DataError.

    root: the workspace, which a relative data.path starts from. step: rows between the origins of evaluation
    windows (eval.stride); 0 means the horizon.
    """
    path = Path(root) / config.path
    variates = config.variates
    reading = read(path, variates, skip_bad=config.skip_bad)
    series = [
        s for s in reading.series if not config.symbols or s.symbol in config.symbols or s.symbol in config.unseen
    ]
    names = [s.symbol for s in reading.series]
    for name in (*config.symbols, *config.unseen):
        if name not in names:
            raise DataError(f"no symbol '{plain(name, 40)}' here.{did_you_mean(name, names)}", file=config.path)
    notes = ["the data are synthetic"] if reading.synthetic else []
    notes += [f"left out: {error}" for error in reading.bad]
    notes += [f"{plain(s.symbol)}: {', '.join(s.fixes)}" for s in series if s.fixes]
    panel = Panel.build(series, variates)
    missing = (~panel.mask).sum(1)
    notes += [
        f"{int(count)} missing values of {name} filled and masked"
        for name, count in zip(panel.variates, missing, strict=True)
        if count
    ]
    splits = cut(panel.symbols, panel.offsets.numpy(), panel.times.numpy(), panel.mask[0].numpy(), config, step)
    assert panel.variates[0] == key(config.target)
    return Dataset(config, panel, splits, reading, fingerprint([path]), (*notes, *splits.notes))
