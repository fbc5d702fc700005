"""TensorBoard's event files beside our own lines, for those who already watch one: train.tensorboard=true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainers.errors import ConfigError


class Board:
    """Writes <run folder>/tensorboard. Raises ConfigError where the package is missing."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # 0.5 s and an optional package
        except ImportError as error:
            raise ConfigError(
                f"train.tensorboard = true, but the package cannot be loaded ({error}): "
                "pip install 'paddock[tensorboard]', or leave it out."
            ) from None
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """val_pct_mae becomes val/pct_mae, all else train/<name>."""
        for name, value in scalars.items():
            group, _, rest = name.partition("_")
            self._writer.add_scalar(f"val/{rest}" if group == "val" else f"train/{name}", value, step)

    def close(self) -> None:
        self._writer.close()
