"""Where a run comes from: code, packages, data, people and surroundings, as they are when it is queued."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from engine.fingerprint import DataPrint, fingerprint

# records imports this module, so what only collecting needs is imported there: git (GitPython) 100-190 ms,
# importlib.metadata 20 ms, the patterns of withhold 5 ms.

__all__ = ["PACKAGES", "Code", "DataPrint", "Git", "Provenance", "collect", "git_state", "package_versions"]

PACKAGES = (
    "paddock", "torch", "numpy", "pandas", "pyarrow", "safetensors", "duckdb", "msgspec", "textual", "typer",
    "psutil", "nvidia-ml-py", "chronos-forecasting", "transformers", "peft", "ray", "triton",
    "scipy", "scikit-learn", "lightning", "jax", "tensorflow",
)  # fmt: skip
"""The packages whose version can change a result, and our own."""

FILE_LIMIT = 1 << 20
UNTRACKED_LIMIT = 8 << 20
PATCH_LIMIT = 32 << 20
WORKSPACE_NAMES = (
    "runs",
    "runs.duckdb",
    "runs.duckdb.wal",
    "runs.duckdb.new",
    "trainingdata",
    "hooks.json",
)


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a run. Whatever does not exist is empty, and `why` tells the reason.

    commit: empty before the first one. branch: empty on a detached HEAD. patch_sha: SHA-256 of the run's
    code.patch, empty when that is. left_out: changed or untracked files that the patch does not hold, each
    with the reason; a submodule's own changes are not in it either, only that there are some.
    """

    commit: str = ""
    branch: str = ""
    dirty: bool = False
    patch_sha: str = ""
    left_out: tuple[str, ...] = ()
    why: str = ""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What code a run executes. tree: name of its folder, empty when it runs the code as it then is (why says why).

    top: the repository it was taken from. paths: folders inside the tree that Python looks for modules in. cwd: where
    a frozen command was queued. left_out: changed files that the folder does not hold, with the reason.
    """

    tree: str = ""
    top: str = ""
    paths: tuple[str, ...] = ()
    cwd: str = ""
    left_out: tuple[str, ...] = ()
    why: str = ""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """patch: text for code.patch. env, env_withheld: see engine.withhold."""

    git: Git
    patch: str
    packages: dict[str, str]
    data: DataPrint | None
    python: str
    user: str
    host: str
    env: dict[str, str]
    env_withheld: tuple[str, ...]


def collect(
    cwd: Path,
    data_paths: Sequence[Path] = (),
    packages: Iterable[str] = PACKAGES,
    *,
    environ: Mapping[str, str] | None = None,
    workspace: Path | None = None,
) -> Provenance:
    """Look at everything once. workspace: its runs and data are no part of the code, even in a git folder.

    Raises DataError for a data path that does not exist or can't be read. Packages are those of this Python;
    a command that runs another one has its own.
    """
    import socket

    from engine.withhold import filter_environment

    root = cwd if workspace is None else workspace
    exports = root.glob(".best_model_path*")  # aliases, their twins, and the ones before
    git, patch = git_state(cwd, [*(root / name for name in WORKSPACE_NAMES), *exports, *data_paths])
    env, withheld = filter_environment(os.environ if environ is None else environ)
    cache = root / "runs" / ".engine" / "fingerprints.json"
    return Provenance(
        git=git,
        patch=patch,
        packages=package_versions(packages),
        data=fingerprint(data_paths, cache) if data_paths else None,
        python=".".join(map(str, sys.version_info[:3])),
        user=_user(),
        host=socket.gethostname(),
        env=env,
        env_withheld=withheld,
    )


def package_versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Give the versions of those that are installed, from their metadata; nothing is imported."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name) or "unknown"
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path, apart: Iterable[Path] = ()) -> tuple[Git, str]:
    """Give the state of the repository around a folder and the patch from its commit to the files of now.

    apart: untracked files at or below these are not looked at. The patch is what `git apply` takes: git's
    diff against HEAD, then every untracked text file up to 1 MiB, 8 MiB in all.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else importing it fails where git is not installed
    try:
        import git
    except ImportError as error:
        return Git(why=f"GitPython can't be used: {error}".splitlines()[0]), ""
    try:
        repo = git.Repo(folder, search_parent_directories=True)
    except git.NoSuchPathError:
        return Git(why=f"{folder} does not exist"), ""
    except git.InvalidGitRepositoryError:
        return Git(why="not in a git repository"), ""
    except (git.GitError, OSError, ValueError) as error:
        return Git(why=_line(error)), ""
    with repo:
        if repo.working_tree_dir is None:
            return Git(why="a bare git repository"), ""
        top = Path(repo.working_tree_dir)
        try:
            return _state(repo.git, top, [path.resolve() for path in apart])
        except git.GitCommandNotFound:
            return Git(why="git is not installed"), ""
        except (git.GitError, OSError, ValueError) as error:
            return Git(why=_line(error)), ""


def _state(run: object, top: Path, apart: Sequence[Path]) -> tuple[Git, str]:
    commit = _answer(run, "rev-parse", "--verify", "--quiet", "HEAD")
    branch = _answer(run, "symbolic-ref", "--quiet", "--short", "HEAD")
    left_out: list[str] = []
    patch = ""
    if commit:
        # Each option undoes something that a person's own configuration may do to a diff.
        raw = _bytes(run, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index",
                     "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "HEAD")  # fmt: skip
        for line in raw.splitlines():
            if line.startswith(b"Binary files "):
                left_out.append(f"{line.decode(errors='replace')} (binary)")
        if len(raw) > PATCH_LIMIT:
            left_out.append(f"the diff of tracked files ({len(raw)} bytes, more than {PATCH_LIMIT})")
        else:
            patch = raw.decode(errors="replace")
            if "\ufffd" in patch and patch.encode() != raw:
                left_out.append("bytes that are no UTF-8 (replaced in the patch)")
    # Before the first commit what was added is as new as what was not.
    which = ["--others"] if commit else ["--cached", "--others"]
    names = _bytes(run, "ls-files", "-z", *which, "--exclude-standard", "--", str(top)).split(b"\0")
    room = UNTRACKED_LIMIT
    for name in sorted(set(names) - {b""}):
        path = top / os.fsdecode(name)
        if any(path == other or other in path.parents for other in apart):
            continue
        text, reason = _new_file(path, os.fsdecode(name), room)
        if reason:
            left_out.append(f"{os.fsdecode(name).encode(errors='replace').decode()} ({reason})")
        patch += text
        room -= len(text)
    sha = hashlib.sha256(patch.encode()).hexdigest() if patch else ""
    dirty = bool(patch or left_out)
    return Git(commit=commit, branch=branch, dirty=dirty, patch_sha=sha, left_out=tuple(left_out)), patch


def _new_file(path: Path, name: str, room: int) -> tuple[str, str]:
    """Give the diff that makes an untracked file, or the reason why there is none."""
    from engine.withhold import looks_secret_file

    try:
        if path.is_symlink():
            return "", "a link"
        if path.is_dir():
            return "", "a repository of its own"
        if not path.is_file():
            return "", "no file" if path.exists() else "gone"
        if looks_secret_file(path.name):
            return "", "its name looks like that of a secret"
        if (size := path.stat().st_size) > FILE_LIMIT:
            return "", f"{size} bytes, more than 1 MiB"
        if size > room:
            return "", "the untracked files are more than 8 MiB together"
        data = path.read_bytes()
        mode = 0o100755 if path.stat().st_mode & 0o100 else 0o100644
    except OSError as error:
        return "", error.strerror or "unreadable"
    if b"\0" in data:
        return "", "binary"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "", "not UTF-8"
    old, new = _quoted("a/" + name), _quoted("b/" + name)
    head = f"diff --git {old} {new}\nnew file mode {mode:o}\n"
    if not text:
        return head + "index " + "0" * 40 + "..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n", ""
    lines = text.split("\n")
    end = "" if lines[-1] == "" else "\\ No newline at end of file\n"
    if not end:
        lines.pop()
    tab = "\t" if " " in name else ""  # as git does, or patch(1) would end the name at the blank
    body = "".join(f"+{line}\n" for line in lines)
    return f"{head}--- /dev/null\n+++ {new}{tab}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}", ""


def _quoted(name: str) -> str:
    """Write a path as git does: within quotes, in C's manner, where it has anything unusual."""
    raw = os.fsencode(name)
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in raw):
        return name
    known = {ord('"'): '\\"', ord("\\"): "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"}
    return '"' + "".join(known.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in raw) + '"'


def _bytes(run: object, *command: str) -> bytes:
    done = run.execute(["git", *command], stdout_as_string=False, strip_newline_in_stdout=False)  # type: ignore[attr-defined]
    assert isinstance(done, bytes)
    return done


def _answer(run: object, *command: str) -> str:
    """Run a question whose "no" is exit code 1 without a word."""
    code, out, error = run.execute(["git", *command], with_extended_output=True, with_exceptions=False)  # type: ignore[attr-defined]
    if code not in (0, 1):
        raise ValueError(error or f"git {command[0]} ended with {code}")
    return str(out).strip() if code == 0 else ""


def _line(error: Exception) -> str:
    """Give the one line of an error that says most: what git wrote, without GitPython's frame around it."""
    text = str(getattr(error, "stderr", "") or error)
    lines = [line.strip().removeprefix("stderr: ").strip("'\" ") for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without a line for this user
        return str(os.getuid())
