"""Tensors as they lie in files: read whole, and held against what the model expects, whatever the family."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from trainers.errors import ConfigError, did_you_mean

FILE = "model.safetensors"


def whole(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, each in memory of its own.

    load_file gives views of the file mapped into memory. Products of matrices round by where in memory these begin, so
    a model would not forecast what it did before it was saved; and a file deleted meanwhile keeps its place on disk.
    """
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def read(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors; ConfigError in one line where it is missing or torn."""
    path = folder / FILE
    try:
        return whole(path)
    except OSError as error:
        raise ConfigError(f"No {FILE} to read in {folder}: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise ConfigError(f"{path} is torn or no safetensors file: {error}.") from error


def check(expected: dict[str, Tensor], found: dict[str, Tensor], folder: Path) -> None:
    """Raise ConfigError for the first tensor too many, too few, or of another shape."""
    path = folder / FILE
    unknown, missing = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    if unknown:
        near = did_you_mean(unknown[0], missing)
        raise ConfigError(f"{path} has {len(unknown)} unknown tensors, the first is '{unknown[0]}'.{near}")
    if missing:
        raise ConfigError(f"{path} lacks {len(missing)} tensors, the first is '{missing[0]}'.")
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise ConfigError(
                f"{path}: '{name}' is {tuple(found[name].shape)}, config.json says {tuple(tensor.shape)}."
            )
