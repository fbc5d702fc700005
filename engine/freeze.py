"""The code of a run as it stood when it was queued: a commit and its patch, laid out once in a folder nobody writes to.

Folders are named by content, so a hundred runs of one state share one; only `engine gc` removes them, and one that was
removed is laid out again from the repository when a run needs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError, WorkspaceError
from engine.provenance import Code

if TYPE_CHECKING:
    from engine.provenance import Git
    from engine.records import Spec
    from engine.workspace import Workspace

TIMEOUT_S = 120.0
LEAVE = "`--no-freeze` queues it with the code as it is when it starts."


def folder(workspace: Workspace, code: Code) -> Path:
    return workspace.code / code.tree


def holder(place: Path) -> tuple[Path | None, str]:
    """Give the top of the git repository that holds the files of a folder, or None and why there is none."""
    if shutil.which("git") is None:
        return None, "git is not installed"
    try:
        top = Path(os.fsdecode(ask(place, "rev-parse", "--show-toplevel").strip()))
    except EngineError:
        return None, "not in a git repository"
    # A virtual environment may lie inside a repository that ignores it: what is installed there is not its code.
    if not ask(place, "ls-files", "--cached", "--others", "--exclude-standard", "--", "."):
        return None, f"ignored by the git repository {top}"
    return top, ""


def freeze(workspace: Workspace, top: Path, git: Git, patch: str, paths: tuple[str, ...] = (), cwd: str = "") -> Code:
    """Lay out commit and patch, if no folder of this content is there yet. Raises EngineError and leaves nothing.

    patch: as in code.patch. What it can't carry (binary files, submodules) stays as it is in the commit and is told.
    """
    if not git.commit:
        raise EngineError(f"The code can't be frozen: {git.why or 'the repository has no commit yet'}. {LEAVE}")
    code = Code(tree=lay_out(workspace, top, git.commit, patch), top=str(top), paths=paths, cwd=cwd)
    return msgspec.structs.replace(code, left_out=git.left_out)


def restore(workspace: Workspace, spec: Spec, patch: Path) -> None:
    """Make sure that the folder of a run's frozen code is there and whole; patch: code.patch. Raises EngineError."""
    code = spec.code
    if code is None or not code.tree or whole(workspace.code / code.tree):
        return
    commit = spec.git.commit if spec.git else ""
    if not Path(code.top).is_dir():
        raise EngineError(f"{spec.id}: its frozen code is gone, and so is the repository {code.top} it came from.")
    try:
        text = patch.read_text(errors="surrogateescape") if patch.exists() else ""
        found = lay_out(workspace, Path(code.top), commit, text)
    except EngineError as error:
        raise EngineError(f"{spec.id}: its frozen code is gone and can't be laid out again: {error}") from None
    if found != code.tree:
        raise EngineError(f"{spec.id}: its code can't be laid out again as it was: code.patch has changed since.")


def lay_out(workspace: Workspace, top: Path, commit: str, patch: str) -> str:
    """Give the name of the folder that holds commit and patch, made if it is not there. Raises EngineError."""
    if not has_commit(top, commit):
        raise EngineError(f"commit {commit[:12]} is not in {top} any more")
    usable = applicable(patch).encode(errors="surrogateescape")
    tree = ask(top, "rev-parse", "--verify", f"{commit}^{{tree}}").strip()
    name = hashlib.blake2b(tree + b"\0" + usable, digest_size=16).hexdigest()
    final = workspace.code / name
    if whole(final):
        return name
    beside = workspace.code / f".new-{name}-{os.getpid()}"
    try:
        workspace.code.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove(final)
        remove(beside)
        beside.mkdir(mode=0o700)
        _fill(top, commit, usable, beside)
        _close(beside, final)
    except OSError as error:
        raise WorkspaceError(
            f"The code can't be frozen: {error.strerror}: {error.filename}. Free some space."
        ) from None
    finally:
        remove(beside)
    return name


def has_commit(top: Path, commit: str) -> bool:
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):  # an option of git, in a spec from elsewhere
        return False
    try:
        ask(top, "cat-file", "-e", f"{commit}^{{commit}}")
    except EngineError:
        return False
    return True


def _fill(top: Path, commit: str, patch: bytes, beside: Path) -> None:
    index = {"GIT_INDEX_FILE": f"{beside}.index"}
    try:
        # Not `git archive`, which leaves out what .gitattributes says, nor a worktree, which others prune.
        ask(top, "read-tree", commit, env=index)
        ask(top, "checkout-index", "--all", f"--prefix={beside}/", env=index)
    finally:
        Path(f"{beside}.index").unlink(missing_ok=True)
    if patch:
        # Outside of any repository, or git would pass over what lies elsewhere in the one around us.
        apart = {"GIT_CEILING_DIRECTORIES": os.path.realpath(beside.parent)}
        try:
            ask(beside, "apply", "--whitespace=nowarn", "-", env=apart, data=patch)
        except EngineError as error:
            raise EngineError(
                f"The code can't be frozen: its changes do not fit its commit ({error}). {LEAVE}"
            ) from None


def _close(beside: Path, final: Path) -> None:
    """Take away the right to write, note what is there, and rename."""
    count = size = 0
    for path in _files(beside):
        state = path.lstat()
        count, size = count + 1, size + state.st_size
        if not path.is_symlink():
            path.chmod(state.st_mode & 0o555 | 0o400)
    for place, _, _ in os.walk(beside, topdown=False):
        os.chmod(place, 0o500)
    note = note_of(final)
    Path(f"{beside}.json").write_bytes(msgspec.json.encode([count, size]))
    os.rename(f"{beside}.json", note)
    try:
        os.rename(beside, final)
    except OSError:
        if not whole(final):  # somebody else was as quick as we: theirs is as good
            raise


def note_of(tree: Path) -> Path:
    """The file beside a folder of frozen code that says how much is in it."""
    return tree.with_name(f"{tree.name}.json")


def whole(tree: Path) -> bool:
    """Tell whether a folder of frozen code holds as many files and bytes as it did when it was made."""
    try:
        noted = msgspec.json.decode(note_of(tree).read_bytes(), type=list[int])
        sizes = [path.lstat().st_size for path in _files(tree)]
    except (OSError, msgspec.DecodeError):
        return False
    return tree.is_dir() and noted == [len(sizes), sum(sizes)]


def remove(tree: Path) -> None:
    """Delete a folder of frozen code, which is read-only, and its note; nothing happens if there is none."""
    if tree.is_symlink() or not tree.is_dir():
        return
    for place, folders, _ in os.walk(tree):
        os.chmod(place, 0o700)
        for name in folders:
            if not os.path.islink(os.path.join(place, name)):
                os.chmod(os.path.join(place, name), 0o700)
    shutil.rmtree(tree)
    note_of(tree).unlink(missing_ok=True)


def applicable(patch: str) -> str:
    """Give a patch without what no text can carry: binary files and submodules."""
    if "\nBinary files " not in patch and "160000" not in patch:
        return patch
    parts = patch.split("\ndiff --git ")
    kept = [part for part in parts if not _bare(part)]
    text = "\ndiff --git ".join(kept)
    if kept and kept[0] is not parts[0]:
        text = f"diff --git {text}"
    return text if not text or text.endswith("\n") else f"{text}\n"


def _bare(part: str) -> bool:
    head = part.split("\n@@ ", 1)[0]
    return "\nBinary files " in head or " 160000" in head


def environment(workspace: Workspace, spec: Spec, base: Mapping[str, str]) -> Mapping[str, str]:
    """Give the environment in which a run finds its frozen code before anything else; base if it has none."""
    code = spec.code
    if code is None or not code.tree:
        return base
    tree = folder(workspace, code)
    env = dict(base)
    wanted = [str(tree / path) for path in code.paths]
    for entry in env.get("PYTHONPATH", "").split(os.pathsep):
        moved = inside(entry, code.top, tree)
        if moved and moved not in wanted:
            wanted.append(moved)
    env["PYTHONPATH"] = os.pathsep.join(wanted)
    # Nothing can be written beside the sources.
    env.setdefault("PYTHONPYCACHEPREFIX", str(workspace.private / "pycache"))
    if spec.family != "exec":
        env["PYTHONSAFEPATH"] = "1"  # or `python -m` would take the workspace's own trainers/ first
    else:
        env["ENGINE_CWD"] = code.cwd
    return env


def inside(path: str, top: str, tree: Path) -> str:
    """Give the place in the tree of a path in the repository; any other path is given back."""
    if not path or not os.path.isabs(path):
        return path
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(top))
    return path if relative.startswith("..") else os.path.normpath(str(tree / relative))


def _files(tree: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(tree):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in [*names, *links]:
            yield Path(place, name)


def ask(where: Path, *command: str, env: Mapping[str, str] | None = None, data: bytes = b"") -> bytes:
    """Ask git. Raises EngineError with git's own last line."""
    # GIT_DIR and its like are set where we are called from a hook, and mean another repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
    try:
        done = subprocess.run(
            ["git", *command], cwd=where, env=clean, input=data, capture_output=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"git {command[0]} failed: {error}.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise EngineError((said[0] if said else f"git {command[0]} ended with {done.returncode}").rstrip("."))
    return done.stdout
