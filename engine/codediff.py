"""What differs between the code of two runs, line by line: their commits with their uncommitted changes laid on top."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine import freeze
from engine.errors import EngineError
from engine.rerun import patch_of

if TYPE_CHECKING:
    from engine.records import Spec
    from engine.workspace import Workspace


def code_diff(workspace: Workspace, one: Spec, other: Spec) -> str:
    """Give a unified diff from the code of one run to that of another; empty when it is the same.

    Nothing is written into the repository. Raises EngineError, in one line, where the code of one can't be had.
    """
    if one.git is None or other.git is None or not one.git.commit or not other.git.commit:
        without = one if one.git is None or not one.git.commit else other
        why = without.git.why if without.git is not None and without.git.why else "its code was in no git repository"
        raise EngineError(f"{without.id}: {why}, so there is no code to compare.")
    patches = [patch_of(workspace.run(spec.id)) for spec in (one, other)]
    if one.git.commit == other.git.commit and patches[0] == patches[1]:
        return ""
    top = _repository(workspace, one, other)
    with tempfile.TemporaryDirectory(prefix="paddock-diff-") as folder:
        trees = [
            _tree(top, Path(folder), spec.git.commit, patch)
            for spec, patch in zip((one, other), patches, strict=True)
            if spec.git is not None
        ]
        found = freeze.ask(top, "diff", "--no-color", "--no-ext-diff", *trees, env=_apart(top, Path(folder)))
    return found.decode(errors="replace")


def _repository(workspace: Workspace, *specs: Spec) -> Path:
    """The repository that has the commits of both. Raises EngineError."""
    tops = [Path(spec.code.top) for spec in specs if spec.code is not None and spec.code.top]
    for place in (*tops, *(Path(spec.cwd) for spec in specs), workspace.root):
        if not place.is_dir():
            continue
        top, _ = freeze.holder(place)
        if top is not None and all(freeze.has_commit(top, spec.git.commit) for spec in specs if spec.git is not None):
            return top
    named = " and ".join(dict.fromkeys(spec.git.commit[:12] for spec in specs if spec.git is not None))
    raise EngineError(f"No repository at hand has the code of {' and '.join(s.id for s in specs)} (commit {named}).")


def _tree(top: Path, folder: Path, commit: str, patch: str) -> str:
    """Give the name of a tree of a commit with its patch; what no text carries stays as it is in the commit."""
    env = _apart(top, folder) | {"GIT_INDEX_FILE": str(folder / "index")}
    (folder / "index").unlink(missing_ok=True)
    freeze.ask(top, "read-tree", commit, env=env)
    usable = freeze.applicable(patch).encode(errors="surrogateescape")
    if usable:
        freeze.ask(top, "apply", "--cached", "--whitespace=nowarn", "-", env=env, data=usable)
    return freeze.ask(top, "write-tree", env=env).decode().strip()


def _apart(top: Path, folder: Path) -> dict[str, str]:
    """Where git keeps what it makes: in the folder, with the repository's own objects to read from."""
    (folder / "objects").mkdir(exist_ok=True)
    common = freeze.ask(top, "rev-parse", "--git-path", "objects").decode().strip()
    objects = os.path.join(top, common)
    return {"GIT_OBJECT_DIRECTORY": str(folder / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects}
