"""What the toy can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainers.config import param

TITLE = "Toy"
HELP = "Two linear layers, for tests."
DEFAULT_PRESET = "plain"


@dataclass(frozen=True)
class ModelConfig:
    width: int = param(8, help="hidden width", low=1, high=64)
    dropout: float = param(0.2, help="on the hidden layer", low=0.0, high=0.9)
    loss: str = param("mse", help="what is minimised", choices=("mse", "huber"))
    delta: float = param(0.1, help="of the Huber loss", low=1e-3, high=10.0, log=True, when=("loss", "huber"))
    explode: int = param(0, help="make the loss NaN from this call on; 0: never", low=0)
    hog: int = param(0, help="bytes every loss asks for", low=0, unit="bytes")
    pause: float = param(0.0, help="seconds every loss takes", low=0.0, high=10.0, unit="s")


def plain() -> dict[str, Any]:
    """As it is."""
    return {}


def wide() -> dict[str, Any]:
    """More hidden width, three epochs."""
    return {"model.width": 16, "train.epochs": 3}


PRESETS = {"plain": plain, "wide": wide}
