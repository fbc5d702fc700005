"""What differs between two runs: what they are, their settings, code, packages, environment and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.records import Spec

PARTS = ("run", "settings", "code", "packages", "environment", "data")


class Difference(msgspec.Struct, frozen=True):
    """a, b: the value in each run; None where one has none."""

    part: str
    name: str
    a: object
    b: object


def differences(a: Spec, b: Spec, patch_a: str = "", patch_b: str = "") -> list[Difference]:
    """Give everything that differs, by part and name. patch_a, patch_b: their code.patch."""
    found = _differ("run", _what(a), _what(b))
    found += _differ("settings", _flat(a), _flat(b))
    found += _differ("code", _code(a), _code(b))
    found += _files(a, b, patch_a, patch_b)
    found += _differ("packages", {"python": a.python, **a.packages}, {"python": b.python, **b.packages})
    found += _differ(
        "environment", {**a.env, "host": a.host, "user": a.user}, {**b.env, "host": b.host, "user": b.user}
    )
    found += _differ("data", _data(a), _data(b))
    return found


def _differ(part: str, a: Mapping[str, object], b: Mapping[str, object]) -> list[Difference]:
    names = [*a, *(name for name in b if name not in a)]
    return [Difference(part, name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]


def _what(spec: Spec) -> dict[str, object]:
    command = None if spec.config else " ".join(spec.command)
    cwd = spec.code.cwd if spec.code and spec.code.cwd else spec.cwd
    return {
        "family": spec.family, "preset": spec.preset, "command": command, "cwd": cwd, "seed": spec.seed,
        "gpus": spec.gpus, "resume_from": spec.resume_from, "name": spec.name, "tags": list(spec.tags),
    }  # fmt: skip


def _flat(spec: Spec) -> dict[str, object]:
    return {f"{section}.{name}": value for section, fields in spec.config.items() for name, value in fields.items()}


def _code(spec: Spec) -> dict[str, object]:
    git, code = spec.git, spec.code
    return {
        "commit": git.commit if git else "",
        "branch": git.branch if git else "",
        "frozen": bool(code and code.tree),
    }


def _data(spec: Spec) -> dict[str, object]:
    data = spec.data
    if data is None:
        return {}
    return {"path": data.path, "fingerprint": data.fingerprint, "files": data.files, "bytes": data.bytes}


# -- code -------------------------------------------------------------------------------------------------------------


def _files(a: Spec, b: Spec, patch_a: str, patch_b: str) -> list[Difference]:
    """Files whose content differs: by commit where the repository has both, and by what each patch does to them."""
    of_a, of_b = sections(patch_a), sections(patch_b)
    found = {
        name: (_does(of_a.get(name)), _does(of_b.get(name))) for name in of_a | of_b if of_a.get(name) != of_b.get(name)
    }
    for name, how in _between(a, b):
        found[name] = (found.get(name, ("", ""))[0] or "in the commit", found.get(name, ("", ""))[1] or how)
    return [Difference("code", name, one, other) for name, (one, other) in sorted(found.items())]


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
