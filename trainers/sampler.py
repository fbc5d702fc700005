"""The endless order in which training windows are taken: a pure function of seed and position.

Window number p lies in epoch p // windows, whose order is one seeded permutation; so every window is taken once per
epoch, batches run on over the seam, and the whole state of the sampler is one integer.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Sampler:
    def __init__(self, windows: int, seed: int, position: int = 0) -> None:
        self.windows = windows
        self.seed = seed
        self.position = position
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def take(self, count: int) -> Tensor:
        """The next `count` window numbers, int64 [count] on the CPU; moves the position on."""
        parts = []
        while count:
            epoch, at = divmod(self.position, self.windows)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
                self._order = torch.randperm(self.windows, generator=generator)
                self._epoch = epoch
            part = self._order[at : at + count]
            parts.append(part)
            self.position += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class Windows(Protocol):
    """Training windows by number."""

    def __len__(self) -> int: ...

    def gather(self, numbers: Tensor, context: int, horizon: int) -> Any:
        """The Batch of these windows, on the device of training. numbers: int64 [B] on the CPU.

        context, horizon: rows of each, at most those of the data section, around the same origin.
        """
        ...
