"""Where released weights lie: a folder, or a name of the Hugging Face hub in the local cache, else downloaded into it.

What the cache holds is taken as it is, without asking the network whether there is something newer; so a run finds its
weights offline, and only a first download needs huggingface_hub (extra `hub`). Standard library otherwise.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trainers.errors import ConfigError
from trainers.resolve import workspace

FILES = ("config.json", "model.safetensors")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True)
class Found:
    """revision: the hub's commit, or empty for a plain folder."""

    folder: Path
    revision: str


def locate(
    name: str,
    files: tuple[str, ...] = FILES,
    field: str = "model.weights",
    example: str = "Datadog/Toto-Open-Base-1.0",
) -> Found:
    """The folder that holds the files: `name` itself, relative to the workspace, or a name of the hub.

    name: "folder", "owner/model" or "owner/model@revision"; field: the setting that said so. Raises
    ConfigError, in one line that says what to do.
    """
    folder = workspace() / Path(name).expanduser()
    if folder.is_dir():
        return Found(folder, "")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{field} = {name!r} is no folder: give one that holds {' and '.join(files)}, or a name of the "
            f"Hugging Face hub such as {example}."
        )
    model, _, revision = name.partition("@")
    return _cached(model, revision or "main", files) or _downloaded(model, revision or "main", files, field)


def cache() -> Path:
    """The folder that the hub's own tools keep downloads in."""
    env = os.environ
    home = Path(env.get("HF_HOME") or Path(env.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE") or home / "hub").expanduser()


def _cached(model: str, revision: str, files: tuple[str, ...]) -> Found | None:
    """models--owner--name/refs/<revision> holds a commit; snapshots/<commit>/ holds its files."""
    store = cache() / f"models--{model.replace('/', '--')}"
    named = store / "refs" / revision
    commit = named.read_text().strip() if named.is_file() else revision
    snapshot = store / "snapshots" / commit
    return Found(snapshot, commit) if all((snapshot / file).is_file() for file in files) else None


def _downloaded(model: str, revision: str, files: tuple[str, ...], field: str) -> Found:
    missing = f"{field} = {model!r} is neither a folder nor in the Hugging Face cache"
    by_hand = f"or fetch it with `hf download {model}` where there is a network, and give the folder"
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise ConfigError(f"{missing}, and HF_HUB_OFFLINE forbids the network: unset it, {by_hand}.")
    try:
        from huggingface_hub import hf_hub_download, logging  # 1 s, and an extra that only a download needs
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise ConfigError(
            f"{missing}, and huggingface_hub is not installed: `pip install 'paddock[hub]'`, {by_hand}."
        ) from None
    logging.set_verbosity_error()  # its retries are lines of their own, where one line is to say what happened
    disable_progress_bars()
    try:
        paths = [Path(hf_hub_download(model, file, revision=revision, cache_dir=cache())) for file in files]
    except Exception as error:  # whatever the client or one of the HTTP libraries under it raises: all mean "not got"
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{missing}, and could not be downloaded ({why}): check name and network, {by_hand}.") from (
            error
        )
    return Found(paths[0].parent, paths[0].parent.name)
