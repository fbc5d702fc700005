"""The same run once more, exactly: same settings, code, seed, environment and data; and what of that can't be had."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from engine import freeze, rundir
from engine.errors import EngineError
from engine.fingerprint import fingerprint
from engine.provenance import Code

if TYPE_CHECKING:
    from engine.records import Spec
    from engine.workspace import Workspace

OF_NOW = ("ENGINE_", "SLURM_", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HOSTNAME", "USER", "LOGNAME", "TMPDIR")
"""Variables that tell where we are, not what a run is: these are as they are now."""


class Missing(Struct, frozen=True):
    """Something that is not as it was, and what to do about it."""

    part: str
    text: str
    remedy: str = ""


class Rerun(Struct, frozen=True):
    """spec: what to queue, as near to the first as can be. missing: why that would not be exact; empty if it is."""

    spec: Spec
    patch: str
    environment: dict[str, str]
    missing: tuple[Missing, ...]


def prepare(workspace: Workspace, spec: Spec, patch: str, environ: Mapping[str, str]) -> Rerun:
    """Look at everything a run was made of, as it is now; lays its code out. Raises nothing for what is missing."""
    missing: list[Missing] = []
    code = _code(workspace, spec, patch, missing)
    _data(workspace, spec, missing)
    _packages(spec, missing)
    _program(spec, missing)
    if spec.resume_from and not workspace.run(spec.resume_from).is_dir():
        missing.append(Missing("checkpoint", f"{spec.resume_from}, which it went on from, is gone"))
    environment = _environment(spec, environ)
    for name in spec.env_withheld:
        if name not in environment:
            text = f"{name} was set, was not written down because it looks like a secret, and is not set now"
            missing.append(Missing("environment", text, f"set {name}"))
    made = replace(
        spec,
        id="",
        rerun_of=spec.id,
        code=code,
        after=(),
        after_any=(),
        begin=None,
        submitted=0.0,
        imported="",
        because="",
        spent=(0, 0),
    )
    return Rerun(made, patch, environment, tuple(missing))


def patch_of(folder: Path) -> str:
    """Give code.patch of a run folder, empty if it has none."""
    try:
        return rundir.contents(folder / rundir.PATCH).decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _code(workspace: Workspace, spec: Spec, patch: str, missing: list[Missing]) -> Code | None:
    """Give the code of then. A family's that was not frozen is frozen now, from the commit and patch of then."""
    code, git = spec.code, spec.git
    try:
        if code is not None and code.tree:
            freeze.restore(workspace, spec, workspace.run(spec.id) / "code.patch")
            return code
        if code is not None and code.why.startswith("installed"):
            return code  # its version is among the packages
        if git is None or not git.commit:
            missing.append(Missing("code", f"no commit was recorded ({git.why if git else 'none'})", "use git"))
            return code
        if git.left_out:
            missing.append(Missing("code", f"changed, and in no patch: {', '.join(git.left_out)}"))
        if spec.family == "exec":
            _as_it_is(workspace, spec, missing)
            return code
        from engine import freezing

        plan = freezing.for_trainers(workspace, True)
        assert plan.top is not None
        return freeze.freeze(workspace, plan.top, git, patch, plan.paths)
    except EngineError as error:
        missing.append(Missing("code", str(error)))
        return code


def _as_it_is(workspace: Workspace, spec: Spec, missing: list[Missing]) -> None:
    """A command that was not frozen may write into its folder: it must run there, and be what it was."""
    from engine.provenance import WORKSPACE_NAMES, git_state

    assert spec.git is not None
    now, _ = git_state(Path(spec.cwd), [workspace.root / name for name in WORKSPACE_NAMES])
    if (now.commit, now.patch_sha) != (spec.git.commit, spec.git.patch_sha):
        how = f"commit {now.commit[:10] or 'none'}" if now.commit != spec.git.commit else "other changes"
        text = f"{spec.cwd} was at {spec.git.commit[:10]} and has {how} now; it was not frozen"
        missing.append(Missing("code", text, f"git checkout {spec.git.commit[:10]} and apply its code.patch"))


def _data(workspace: Workspace, spec: Spec, missing: list[Missing]) -> None:
    if spec.data is None:
        return
    try:
        paths = [Path(path) for path in spec.data.path.split(os.pathsep)]
        now = fingerprint(paths, workspace.private / "fingerprints.json")
    except EngineError as error:
        missing.append(Missing("data", str(error)))
        return
    if now.fingerprint != spec.data.fingerprint:
        text = f"{spec.data.path} has changed: {spec.data.fingerprint[:12]} then, {now.fingerprint[:12]} now"
        missing.append(Missing("data", text, "bring the data of then back"))


def _packages(spec: Spec, missing: list[Missing]) -> None:
    import sys

    from engine.provenance import package_versions

    now = package_versions(spec.packages)
    for name, version in spec.packages.items():
        if name not in now:
            missing.append(Missing("packages", f"{name} {version} is gone", f"pip install {name}=={version}"))
        elif now[name] != version:
            text = f"{name} is {now[name]}, it was {version}"
            missing.append(Missing("packages", text, f"pip install {name}=={version}"))
    python = ".".join(map(str, sys.version_info[:3]))
    if spec.python and spec.python != python:
        missing.append(Missing("packages", f"Python is {python}, it was {spec.python}"))


def _program(spec: Spec, missing: list[Missing]) -> None:
    program = spec.command[0]
    place = Path(spec.cwd)
    if not place.is_dir():
        missing.append(Missing("program", f"the folder {place} is gone"))
    elif shutil.which(str(place / program) if "/" in program else program, path=spec.env.get("PATH")) is None:
        missing.append(Missing("program", f"{program} is gone"))


def _environment(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of then, and of now what was never written down: secrets, and what bears on no run."""
    from engine.withhold import filter_environment

    recorded, _ = filter_environment(environ)
    env = {name: value for name, value in environ.items() if name not in recorded or name.startswith(OF_NOW)}
    env |= {name: value for name, value in spec.env.items() if not name.startswith(OF_NOW)}
    env.pop("ENGINE_RUN", None)
    return env
