"""What can go wrong in a trainer, each with the exit code that the engine reads.

    TrainerError          1  our own mistake
    ├── ConfigError       2  a field, preset or family that does not exist, or a value that cannot be
    ├── DataError         3  data that cannot be read, or is too short for what is asked of it
    ├── OutOfMemoryError  4  the device could not hold the model and a batch
    ├── LossError         5  the loss or a gradient is not a number any more
    └── Terminated      143  told to stop by SIGTERM, after the checkpoint was saved

Every message is one line: what, the value, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable


class TrainerError(Exception):
    """Base of all errors whose message is meant for the person who started the run."""

    code = 1


class ConfigError(TrainerError):
    code = 2


class DataError(TrainerError):
    code = 3


class OutOfMemoryError(TrainerError):
    code = 4


class LossError(TrainerError):
    code = 5


class Terminated(TrainerError):
    code = 143


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` with the nearest known name, or an empty string when nothing is near."""
    from difflib import get_close_matches  # 5 ms that only a typo needs

    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""
