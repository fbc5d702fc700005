"""Whether a run is needed at all: a finished one that is the same in config, data and code makes it superfluous."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import UsageError
from engine.records import Spec
from engine.run import Run


def find(spec: Spec, runs: Iterable[Run]) -> Run | None:
    """Give the latest run that ended well and is the same, or None.

    Raises UsageError where the code is not known, so that nobody could tell.
    """
    if why := _unknown(spec):
        raise UsageError(f"--needed: {why}, so nobody can tell which runs are the same. Commit, or leave it out.")
    key = _key(spec)
    alike = [run for run in runs if run.state == "ok" and _quick(run.brief) == _quick(spec) and not _unknown(run.brief)]
    return max((run for run in alike if _key(run.spec) == key), key=lambda run: run.brief.submitted, default=None)


def _unknown(spec: Spec) -> str:
    if spec.git is None or not spec.git.commit:
        return "its folder has no commit"
    return f"its patch does not hold {spec.git.left_out[0]}" if spec.git.left_out else ""


def _quick(spec: Spec) -> object:
    """What must be equal first: it is at hand without reading a folder."""
    return spec.family, spec.git.commit if spec.git else "", spec.command if spec.family == "exec" else ()


def _key(spec: Spec) -> object:
    """What must be equal. The command of a family is the same but for the place of Python; a config holds its seed.

    Packages count: another torch trains another model.
    """
    what: object = (spec.command, spec.cwd) if spec.family == "exec" else spec.config
    git = spec.git
    code = (git.commit, git.patch_sha) if git else ()
    return what, spec.data.fingerprint if spec.data else "", code, spec.packages, spec.python
