"""What differs between runs: what they are, their settings, code, packages, environment and data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from engine.records import Spec


class Difference(msgspec.Struct, frozen=True):
    """values: one for each run; None where it has none."""

    part: str
    name: str
    values: tuple[object, ...]


def differences(specs: Sequence[Spec], patches: Sequence[str] = ()) -> list[Difference]:
    """Give everything that is not the same in all specs, by part and in the order of the first.

    patches: the code.patch of each; files whose content differs from the first one's are told where they are given.
    """
    found: list[Difference] = []
    for part, fields in PARTS.items():
        tables = [fields(spec) for spec in specs]
        for name in dict.fromkeys(name for table in tables for name in table):
            values = tuple(table.get(name) for table in tables)
            if any(value != values[0] for value in values):
                found.append(Difference(part, name, values))
        if part == "code" and patches:
            found += _files(specs, patches)
    return found


def terminal(one: Difference) -> bool:
    """Whether it only tells of the terminal that a run was queued from."""
    return one.part == "environment" and one.name in _TERMINAL


_TERMINAL = frozenset({"PATH", "SHELL", "USER", "LOGNAME", "HOSTNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ"})


def shown(value: object) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def short(value: object) -> str:
    """A value for a table: commits and fingerprints by their first digits, "-" for none."""
    if value is None or value == "":
        return "-"
    text = shown(value)
    return text[:12] if re.fullmatch("[0-9a-f]{32,64}", text) else text


def _what(spec: Spec) -> dict[str, object]:
    command = None if spec.config else shlex.join(spec.command)
    cwd = spec.code.cwd if spec.code and spec.code.cwd else spec.cwd
    return {
        "family": spec.family, "preset": spec.preset, "command": command, "cwd": cwd, "seed": spec.seed,
        "gpus": spec.gpus, "resume_from": spec.resume_from, "name": spec.name, "tags": list(spec.tags),
    }  # fmt: skip


def _settings(spec: Spec) -> dict[str, object]:
    return {f"{section}.{name}": value for section, fields in spec.config.items() for name, value in fields.items()}


def _code(spec: Spec) -> dict[str, object]:
    git, code = spec.git, spec.code
    dirty = bool(git and git.dirty)
    return {
        "commit": git.commit if git else "",
        "branch": git.branch if git else "",
        "uncommitted changes": (f"patch {git.patch_sha[:12]}" if git and git.patch_sha else "yes") if dirty else "no",
        "frozen": bool(code and code.tree),
    }


def _packages(spec: Spec) -> dict[str, object]:
    return {"python": spec.python, **spec.packages}


def _environment(spec: Spec) -> dict[str, object]:
    return {**spec.env, "host": spec.host, "user": spec.user}


def _data(spec: Spec) -> dict[str, object]:
    data = spec.data
    if data is None:
        return {}
    return {
        "path": data.path, "fingerprint": data.fingerprint, "files": data.files, "bytes": data.bytes,
        "synthetic": data.synthetic,
    }  # fmt: skip


PARTS: Mapping[str, Callable[[Spec], dict[str, object]]] = {
    "run": _what,
    "settings": _settings,
    "code": _code,
    "packages": _packages,
    "environment": _environment,
    "data": _data,
}


# -- code -------------------------------------------------------------------------------------------------------------


def _files(specs: Sequence[Spec], patches: Sequence[str]) -> list[Difference]:
    """Files whose content differs: by commit where the repository has both, and by what each patch does to them."""
    split = [sections(patch) for patch in patches]
    found: dict[str, list[str | None]] = {}
    for name in sorted({name for one in split for name in one}):
        parts = [one.get(name) for one in split]
        if any(part != parts[0] for part in parts):
            found[name] = [_does(part) for part in parts]
    for number, other in enumerate(specs[1:], 1):
        for name, how in _between(specs[0], other):
            told = found.setdefault(name, [None] * len(specs))
            told[0] = told[0] or "in the commit"
            told[number] = told[number] or how
    return [Difference("code", name, tuple(told)) for name, told in sorted(found.items())]


def sections(patch: str) -> dict[str, str]:
    """Split a patch by file."""
    found = {}
    for part in f"\n{patch}".split("\ndiff --git ")[1:]:
        head = part.split("\n", 1)[0]
        found[head.rpartition(" b/")[2] or head] = part
    return found


def _does(section: str | None) -> str | None:
    if section is None:
        return None
    lines = section.split("\n")
    plus = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    minus = sum(line.startswith("-") and not line.startswith("---") for line in lines)
    return f"+{plus} -{minus}"


def _between(a: Spec, b: Spec) -> list[tuple[str, str]]:
    """Files that two commits differ in, with what happened to each; nothing where no repository has both."""
    one, other = (spec.git.commit if spec.git else "" for spec in (a, b))
    if not one or not other or one == other:
        return []
    from engine.errors import EngineError
    from engine.freeze import ask, has_commit

    words = {"A": "added", "D": "deleted", "M": "changed", "T": "another kind"}
    for place in dict.fromkeys(spec.code.top if spec.code and spec.code.top else spec.cwd for spec in (a, b)):
        top = Path(place)
        if not top.is_dir() or not (has_commit(top, one) and has_commit(top, other)):
            continue
        try:
            told = (
                ask(top, "diff", "--name-status", "--no-renames", "-z", one, other).decode(errors="replace").split("\0")
            )
        except EngineError:
            continue
        return [(name, words.get(how[:1], how)) for how, name in zip(told[::2], told[1::2], strict=False)]
    return []
