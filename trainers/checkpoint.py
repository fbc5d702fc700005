"""A checkpoint is a folder that appears whole: the model as it was scored, and the state to go on from it.

    step-000500/model.safetensors   the weights (averaged ones if the run averages), written by the family
                config.json         family, run config, variates, target, scores: all that forecasting needs
                state.safetensors   optimizer, training weights, averages, random state } only in the newest;
                state.json          step, sampler position, early stopping, best        } older ones shed them

Written beside and renamed. Only safetensors and JSON: loading one never runs code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from trainers.errors import ConfigError, DataError
from trainers.tensors import whole

STATE = ("state.json", "state.safetensors")


def save(
    folder: Path,
    step: int,
    write_model: Callable[[Path], object],
    about: dict[str, Any],
    state: dict[str, Any],
    tensors: dict[str, Tensor],
) -> Path:
    """Write checkpoints/step-<step> under the run folder and return its path.

    about: merged into config.json, over what the family may have written there. state, tensors: what `load_state` gives
    back. An older checkpoint of the same step is replaced.
    """
    final = folder / "checkpoints" / f"step-{step:06d}"
    beside = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _fill(beside, write_model, about, state, tensors)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)  # on a full disk the half that fitted would stay in the way
        raise
    if final.exists():
        old = final.with_name(f".{final.name}.old.{os.getpid()}")
        final.rename(old)
        beside.rename(final)
        shutil.rmtree(old)
    else:
        beside.rename(final)
    return final


def _fill(
    beside: Path,
    write_model: Callable[[Path], object],
    about: dict[str, Any],
    state: dict[str, Any],
    tensors: dict[str, Tensor],
) -> None:
    write_model(beside)
    config = beside / "config.json"
    known = json.loads(config.read_text()) if config.exists() else {}
    config.write_text(json.dumps({**known, **about}, indent=1))
    # safetensors refuses tensors that share memory, as tied weights do: each is written on its own
    save_file({k: v.detach().cpu().clone() for k, v in tensors.items()}, beside / STATE[1])
    (beside / STATE[0]).write_text(json.dumps(state))
    for path in _files(beside):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # the rename must not reach the disk before the contents


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> list[Path]:
    """A family may write folders of its own into a checkpoint."""
    return [file for file in path.rglob("*") if file.is_file()]


def all_in(run: Path) -> list[Path]:
    """The finished checkpoints of a run folder, oldest first."""
    return sorted(p for p in (run / "checkpoints").glob("step-*") if (p / "config.json").exists())


def newest_with_state(run: Path) -> Path | None:
    whole = [p for p in all_in(run) if all((p / name).exists() for name in STATE)]
    return whole[-1] if whole else None


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `save` was given as state and tensors, on the CPU."""
    return json.loads((path / STATE[0]).read_text()), whole(path / STATE[1])


def about(path: Path) -> dict[str, Any]:
    """The config.json of a checkpoint; ConfigError or DataError with one line when it is not one of ours."""
    config = path / "config.json"
    if not path.is_dir() or not config.exists():
        raise DataError(f"{path}: no checkpoint there (a folder with config.json and model.safetensors).")
    try:
        read: dict[str, Any] = json.loads(config.read_text())
    except ValueError as error:
        raise DataError(f"{config}: not valid JSON ({error}).") from None
    missing = [key for key in ("family", "config", "variates", "target") if key not in read]
    if missing:
        raise ConfigError(f"{config}: lacks {', '.join(missing)}; not a checkpoint of these trainers.")
    return read


def retain(run: Path, best: Iterable[str], newest: Path) -> None:
    """Remove what is neither among the best (folder names) nor the newest; all but the newest shed their state."""
    keep = set(best)
    for path in all_in(run):
        if path == newest:
            continue
        if path.name not in keep:
            doomed = path.with_name(f".{path.name}.doomed")
            path.rename(doomed)  # so that no reader finds half a checkpoint under a good name
            shutil.rmtree(doomed)
            continue
        for name in STATE:
            (path / name).unlink(missing_ok=True)


def adopt(old_run: Path, run: Path) -> None:
    """Bring an earlier attempt's checkpoints into this run folder as hard links (copies across file systems).

    So a run folder is complete by itself: its best may have been reached in an earlier attempt, and it can be resumed
    before it has saved anything of its own.
    """
    for source in all_in(old_run):
        beside = run / "checkpoints" / f".{source.name}.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(source, beside, copy_function=_link)
        beside.rename(run / "checkpoints" / source.name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
