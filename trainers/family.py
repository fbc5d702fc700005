"""What a model family supplies to the shared loop, and the table that finds one by name.

Shapes: B windows, V variates (0 is the target), T time, H horizon, Q quantile levels.
Nothing here imports torch; a family's modules are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trainers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


class Forecast(NamedTuple):
    """A forecast of variate 0 in its original units. point is what errors are measured on (the median)."""

    point_BH: Tensor
    mean_BH: Tensor
    quantiles_BHQ: Tensor


class Sampled(NamedTuple):
    """The same from a family that samples paths. up: the share of them above the last value of the context."""

    point_BH: Tensor
    mean_BH: Tensor
    quantiles_BHQ: Tensor
    up_BH: Tensor


class Family(Protocol):
    """One kind of model. The loop knows models through these methods only.

    A family may also have `export(model, folder) -> str`: write the model as its upstream's loader reads it, or give
    the reason why that cannot be; and a model may have `origin`, what to tell of the weights it started from.
    A family with `knows_future = True` takes data.known_future: those are the last variates, and its `forecast` gets
    known=(values [B,n,H], mask [B,n,H]), what they are over the horizon.
    A family with `stamps = True` finds the calendar of its rows in every batch, and its `forecast` gets
    stamps=[B,T+H,5], see `trainers.calendar.stamps`.
    A family that samples paths gives `Sampled`, and may have `paths`, as forecast but without levels and for
    [B,S,H,F], with `columns`, the names of the F.
    A family may have `scores(config) -> bool`, whether a run makes forecasts to be scored (else it is judged by
    val_loss alone); `training_windows(model, config, dataset, lengths, steps)`, the loop's Windows in place of the
    usual ones, or None; and `before(config)`, name and config of another training that comes first, or None, with
    `continued(model, earlier)`, which takes over what it learned.
    """

    name: str

    def build(self, config: Any, variates: int, seed: int) -> nn.Module:
        """A new model; the seed alone decides its weights."""
        ...

    def loss(self, model: nn.Module, batch: Any, horizon: int) -> Tensor:
        """A scalar on the model's device: the mean over the windows of the batch, each counting the same.

        Batches cut into parts (train.accumulate, several processes) rely on that; and several processes on every
        trainable parameter having a gradient from it.
        """
        ...

    def forecast(
        self,
        model: nn.Module,
        values_BVT: Tensor,
        mask_BVT: Tensor,
        horizon: int,
        levels: tuple[float, ...],
        seed: int,
        samples: int | None = None,
    ) -> Forecast | Sampled:
        """The `horizon` steps after the last of T. mask is True where a value was observed."""
        ...

    def parameter_groups(self, model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """See `trainers.optim.Group`."""
        ...

    def checkpoint_layers(self, model: nn.Module) -> None:
        """From now on, while training, every layer's activations are computed again in the backward pass."""
        ...

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write model.safetensors, and what else the family wants; config.json gets the run's keys added."""
        ...

    def load(self, folder: Path, device: torch.device | str) -> nn.Module:
        """The model of a checkpoint folder, in eval mode."""
        ...

    def flops_per_window(self, config: Any, variates: int) -> float:
        """Floating-point operations of one forward pass over one window."""
        ...


class Place(NamedTuple):
    """Where a family lives.

    <package>.config imports no torch and holds TITLE, HELP, ModelConfig, PRESETS (name -> function giving settings
    by full field name) and DEFAULT_PRESET. If need be also complete(values, given): the model's fields and what follows
    from them, such as the architecture of the weights they name; check(config): ConfigError for what does not go
    together across sections; and follows(nested): settings by full name that others bring along. <package>.family
    holds the class.
    """

    package: str
    cls: str


FAMILIES: dict[str, Place] = {
    "toto": Place("trainers.toto", "TotoFamily"),
    "kronos": Place("trainers.kronos", "KronosFamily"),
}


def place(name: str) -> Place:
    if name not in FAMILIES:
        raise ConfigError(f"Unknown family '{name}'.{did_you_mean(name, FAMILIES)} Known: {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def config_module(name: str) -> Any:
    """The family's torch-free module."""
    return import_module(f"{place(name).package}.config")


def load(name: str) -> Family:
    """The family itself; imports torch."""
    found = place(name)
    family: Family = getattr(import_module(f"{found.package}.family"), found.cls)()
    return family
