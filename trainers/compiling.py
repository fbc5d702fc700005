"""torch.compile of a network for training: for one shape, its compiled code shared by all runs of a workspace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn


def compiled(model: nn.Module, mode: str, home: Path) -> Any:
    """A module on the same parameters whose forward pass is compiled at its first call.

    home: the workspace. The second run of a kind starts in seconds where the first took a minute; a cache folder that
    the environment names already is used instead. Every training batch has the same shape, so shapes are compiled in
    and another one would be compiled anew.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home / "runs" / ".engine" / "inductor"))
    return torch.compile(model, dynamic=False, mode=mode)
