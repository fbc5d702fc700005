"""Whether a checkpoint is all there: its files, the length that its weights' own header tells, and their hash."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import msgspec

from engine import writable
from engine.errors import EngineError, UsageError, WorkspaceError

NEEDED = ("config.json", "model.safetensors")
RESUMING = ("state.json", "state.safetensors")
"""What only a training that goes on needs."""
_HEADER_LIMIT = 100 << 20
"""As the safetensors library has it."""


def present(checkpoint: Path, run: str) -> None:
    """Raises EngineError when a file that forecasting needs is missing."""
    missing = [name for name in NEEDED if not (checkpoint / name).is_file()]
    if missing:
        what = f"{' and '.join(missing)} in {checkpoint}" if checkpoint.is_dir() else f"the folder {checkpoint}"
        raise EngineError(
            f"{run}: its best checkpoint is not there: {what} is missing. Export another run, or train again."
        )


def check(checkpoint: Path, run: str, sha256: str = "") -> str:
    """Give the SHA-256 of the weights. sha256: what it has to be, if that is known.

    Raises EngineError when a file is missing, cut short or not what it was.
    """
    present(checkpoint, run)
    try:
        msgspec.json.decode((checkpoint / "config.json").read_bytes())
        told = _told_size(checkpoint / "model.safetensors")
        size = (checkpoint / "model.safetensors").stat().st_size
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise EngineError(f"{run}: {checkpoint} is damaged: {str(error).splitlines()[0]}.") from None
    if told != size:
        raise EngineError(
            f"{run}: {checkpoint / 'model.safetensors'} is damaged: {size} bytes, its header tells of {told}."
        )
    found = digest(checkpoint / "model.safetensors")
    if sha256 and found != sha256:
        raise EngineError(
            f"{run}: the weights in {checkpoint} have changed since they were exported (SHA-256 {found[:12]}, "
            f"not {sha256[:12]}). Nothing was changed."
        )
    return found


def copy(checkpoint: Path, folder: Path, more: dict[str, bytes], sha256: str) -> None:
    """Copy what forecasting needs into a new folder, beside and renamed, and check the copy's hash.

    more: further files. Raises UsageError when the folder is taken, WorkspaceError when it can't be written.
    """
    check_copy(folder)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(checkpoint, beside, ignore=shutil.ignore_patterns(*RESUMING))
        for name, data in more.items():
            (beside / name).write_bytes(data)
        if digest(beside / "model.safetensors") != sha256:
            raise WorkspaceError(f"{folder}: the copy of the weights differs from them; is the disk sound?")
        beside.rename(folder)
    except OSError as error:
        raise WorkspaceError(f"{folder} can't be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_copy(folder: Path) -> None:
    """Raise UsageError when the folder for a copy is taken, WorkspaceError when it could not be made."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--to {folder}: it is there already and not empty. Name a new folder.")
    try:
        writable.check(folder, parents=True)
    except OSError as error:
        raise WorkspaceError(f"{folder} can't be written: {error.strerror}.") from None


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told_size(path: Path) -> int:
    """The length a safetensors file has to have: 8 bytes, the header, the end of the last tensor."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _HEADER_LIMIT:
            raise ValueError(f"{path.name} is not a safetensors file")
        header = msgspec.json.decode(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path.name} is not a safetensors file")
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)
