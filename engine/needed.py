"""Whether a run is needed at all: a finished one that is the same in config, data and code makes it superfluous."""

from __future__ import annotations

from collections.abc import Iterable

from engine.records import Spec
from engine.run import Run


def find(spec: Spec, runs: Iterable[Run]) -> Run | None:
    """Give the latest run that ended well and is the same, or None."""
    key = _key(spec)
    if key is None:
        return None
    same = [run for run in runs if run.state == "ok" and run.spec.family == spec.family and _key(run.spec) == key]
    return max(same, key=lambda run: run.spec.submitted, default=None)


def unknown(spec: Spec) -> str:
    """Say why nobody can tell whether another run is the same, or nothing."""
    if spec.git is None or not spec.git.commit:
        return "its folder has no commit, so no other run is known to have had the same code"
    if spec.git.left_out:
        return f"{spec.git.left_out[0]} is no part of its patch, so no other run is known to have had the same code"
    return ""


def _key(spec: Spec) -> object | None:
    """What must be equal; None where the code is not known.

    The command of a family is the same but for the place of Python; a config holds its seed. Packages count: another
    torch trains another model.
    """
    if unknown(spec) or spec.git is None:
        return None
    what: object = (spec.command, spec.cwd) if spec.family == "exec" else spec.config
    return what, spec.data and spec.data.fingerprint, spec.git.commit, spec.git.patch_sha, spec.packages, spec.python
