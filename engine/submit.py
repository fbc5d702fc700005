"""From what a person asked to a queued run: the spec is filled in, what can be checked cheaply is checked, then sent.

Used by the CLI, the TUI and sweeps. A `Client` is any connection of engine.client.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine import limits
from engine.errors import BadField, DataError, EngineError, UsageError
from engine.messages import Queued, Submit
from engine.records import RunRow, Spec

if TYPE_CHECKING:
    from engine.adopt import Adopt
    from engine.client import Client
    from engine.families import Resolved
    from engine.freezing import Plan
    from engine.provenance import Code, Provenance
    from engine.retry import Policy
    from engine.workspace import Workspace

DATA_SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq", ".json", ".jsonl", ".ndjson"})
"""What the trainers read; only looked for here, so that a run without any data is refused before it is queued."""
MARKER = "SYNTHETIC.json"
GET_DATA = "Bring some with `engine data import FOLDER`, or make sample data with `engine data synth`."
NAME_LIMIT, NOTE_LIMIT = 200, 10_000


@dataclass(frozen=True)
class Wishes:
    """What any run may be given: see Spec for the meaning of each."""

    name: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    gpus: int | None = None
    share: bool = False
    gpu_memory: int | None = None
    retry: Policy | None = None
    priority: int = 0
    after: tuple[str, ...] = ()
    after_any: tuple[str, ...] = ()
    begin: float | None = None
    limit: float | None = None
    hang: float | None = None
    on_finish: str = ""
    hold: bool = False
    needed: bool = False
    """Give a run that is the same and ended well rather than queue this one."""
    freeze: bool | None = None
    """Whether to execute the code as it is now; None is yes for our trainers if the workspace's repository has them."""
    adopt: Adopt | None = None
    """Where the numbers of a program are that does not write ours."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def submit_family(
    client: Client,
    workspace: Workspace,
    family: str,
    *,
    preset: str | None = None,
    sets: Mapping[str, object] | None = None,
    wishes: Wishes | None = None,
) -> RunRow:
    """Queue a training run. sets: settings by field, text as typed or JSON scalars.

    Raises UnknownFamily, BadField, DataError and whatever the engine says (BadDependency, WorkspaceError).
    """
    from engine import families, freezing

    wishes = check(wishes or Wishes())
    sets = dict(sets or {})
    families.find(workspace.root, family)
    resolved = families.resolve(workspace.root, family, preset, sets)
    check_data(resolved.data_paths)
    plan = freezing.for_trainers(workspace, wishes.freeze)
    came_from = provenance_of(plan.look, workspace, wishes, [Path(path) for path in resolved.data_paths])
    seed = resolved.config.get("train", {}).get("seed")
    spec = Spec(
        family=family,
        command=(sys.executable, "-m", "trainers", family, "{run}"),
        cwd=str(workspace.root),
        code=_code(client, workspace, plan, came_from),
        config=resolved.config,
        preset=resolved.preset,
        changed=changed(resolved, sets),
        seed=seed if isinstance(seed, int) else None,
    )
    return send(client, spec, came_from, wishes)


def submit_command(
    client: Client,
    workspace: Workspace,
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    wishes: Wishes | None = None,
) -> RunRow:
    """Queue any command, to run in cwd (else the current folder). Raises UsageError if there is no such program."""
    from engine import freezing

    wishes = check(wishes or Wishes())
    where = (cwd or Path.cwd()).absolute()
    check_command(command, where, wishes.environ)
    plan = freezing.for_command(where, command, wishes.freeze)
    came_from = provenance_of(where, workspace, wishes, [])
    code = _code(client, workspace, plan, came_from)
    inside = freezing.frozen_cwd(workspace, plan, code) if code.tree else str(where)
    spec = Spec(family="exec", command=tuple(command), cwd=inside, code=code, adopt=wishes.adopt)
    return send(client, spec, came_from, wishes)


def parse_sets(pairs: Sequence[str]) -> dict[str, str]:
    """Read `--set field=value` arguments. Raises BadField for one without "=", or a field given twice."""
    sets: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise BadField(f"--set {pair}: expected field=value, such as --set train.lr=3e-4.")
        if name in sets:
            raise BadField(f"--set {name} is given twice: {sets[name]} and {value}. Leave one out.")
        sets[name] = value
    return sets


def changed(resolved: Resolved, sets: Mapping[str, object]) -> dict[str, object]:
    """The settings of a person with the values that the family made of them."""
    found: dict[str, object] = {}
    for name, value in sets.items():
        section, _, key = name.partition(".")
        found[name] = resolved.config.get(section, {}).get(key, value)
    return found


def check(wishes: Wishes) -> Wishes:
    """Give the wishes back, tags without blanks around and without doubles; UsageError for what can't be."""
    for what, value, limit in (("--name", wishes.name, NAME_LIMIT), ("--note", wishes.note, NOTE_LIMIT)):
        if len(value) > limit:
            raise UsageError(f"{what} has {len(value)} characters; {limit} is the most.")
    if not wishes.name.isprintable():
        raise UsageError(f"--name {wishes.name!r}: a name is one line of characters that can be shown.")
    tags = tuple(dict.fromkeys(tag.strip() for tag in wishes.tags))
    for tag in tags:
        if not limits.is_tag(tag):
            raise UsageError(f"--tag {tag!r}: a tag is {limits.TAG}.")
    if wishes.gpus is not None and wishes.gpus < 0:
        raise UsageError(f"--gpus {wishes.gpus} is out of range: 0 (a CPU slot) or more.")
    if wishes.share and wishes.gpus not in (None, 1):
        raise UsageError(f"--share with --gpus {wishes.gpus}: only a run on one GPU shares it.")
    if wishes.gpu_memory is not None and wishes.gpus == 0:
        raise UsageError("--gpu-memory with --gpus 0: a run on a CPU slot needs none.")
    return Wishes(**{**wishes.__dict__, "tags": tags})


def check_data(paths: Sequence[str]) -> None:
    """Raise DataError where a run would find no data file."""
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"No data: {path} does not exist. {GET_DATA}")
        if not has_data(path):
            raise DataError(f"No data: {path} holds no CSV, Parquet or JSON file. {GET_DATA}")


def has_data(path: Path) -> bool:
    """Whether this is a data file, or a folder with one anywhere below; an unreadable folder has none."""
    if path.is_file():
        return path.suffix.lower() in DATA_SUFFIXES
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(_is_data(name) for name in names):
            return True
    return False


def _is_data(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in DATA_SUFFIXES and name != MARKER and not name.startswith(".")


def check_command(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
    """Raise UsageError where the system would find no program to start."""
    import shutil

    if not command or not command[0]:
        raise UsageError("The command is empty. Write it after `--`: engine exec -- python train.py")
    program = command[0]
    if not cwd.is_dir():
        raise UsageError(f"The folder {cwd} to run in does not exist.")
    found = shutil.which(str(cwd / program) if "/" in program else program, path=environ.get("PATH"))
    if found is None:
        where = f"in {cwd}" if "/" in program else "on PATH"
        raise UsageError(f"No program '{program}' {where} that may be executed.")


def provenance_of(cwd: Path, workspace: Workspace, wishes: Wishes, data: Sequence[Path]) -> Provenance:
    """What a run submitted from cwd comes from: code, packages, environment, data."""
    from engine.provenance import collect

    return collect(cwd, data, environ=wishes.environ, workspace=workspace.root)


def _code(client: Client, workspace: Workspace, plan: Plan, came_from: Provenance) -> Code:
    """Lay the code out, but for a rehearsal, which leaves no trace."""
    if client.rehearse is not None:
        from engine.provenance import Code

        return Code(why="a dry run")
    return plan.carry_out(workspace, came_from)


def send(client: Client, spec: Spec, came_from: Provenance, wishes: Wishes) -> RunRow:
    """Queue a spec with where it comes from and what was wished for it; the row that the engine gives it."""
    import msgspec

    whole = msgspec.structs.replace(
        spec,
        name=wishes.name,
        gpus=wishes.gpus,
        share=wishes.share,
        gpu_memory=wishes.gpu_memory,
        retry=wishes.retry,
        priority=wishes.priority,
        after=wishes.after,
        after_any=wishes.after_any,
        begin=wishes.begin,
        limit=wishes.limit,
        hang=wishes.hang,
        on_finish=wishes.on_finish,
        tags=wishes.tags,
        note=wishes.note,
        user=came_from.user,
        host=came_from.host,
        python=came_from.python,
        git=came_from.git,
        packages=came_from.packages,
        data=came_from.data,
        env=came_from.env,
        env_withheld=came_from.env_withheld,
    )
    environment = {name: value for name, value in wishes.environ.items() if name != "ENGINE_RUN"}
    wish = Submit(spec=whole, patch=came_from.patch, environment=environment, hold=wishes.hold, needed=wishes.needed)
    reply = client.call(wish)
    if not isinstance(reply, Queued):
        raise EngineError(f"The engine answered {type(reply).__name__} to a new run.")
    return reply.row
