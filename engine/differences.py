"""Where the specs of several runs differ: config, code, environment and data, field by field."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.records import Spec

Kind = Literal["config", "code", "environment", "data"]


@dataclass(frozen=True)
class Difference:
    kind: Kind
    name: str
    values: tuple[str, ...]
    """As text, one for each run; "-" where it has none."""


def differences(specs: Sequence[Spec]) -> list[Difference]:
    """Give the fields whose values are not the same in all specs, by kind and in the order of the first spec."""
    found: list[Difference] = []
    for kind, fields in _KINDS.items():
        tables = [fields(spec) for spec in specs]
        for name in dict.fromkeys(name for table in tables for name in table):
            values = tuple(table.get(name) or "-" for table in tables)
            if len(set(values)) > 1:
                found.append(Difference(kind, name, values))
    return found


def shown(value: object) -> str:
    """A value of a config as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _config(spec: Spec) -> dict[str, str]:
    fields = {"family": spec.family, "preset": spec.preset}
    fields |= {f"{s}.{name}": shown(value) for s, values in spec.config.items() for name, value in values.items()}
    if not spec.config:
        fields["command"] = shlex.join(spec.command)
    if spec.seed is not None and "train.seed" not in fields:
        fields["seed"] = str(spec.seed)
    return fields


def _code(spec: Spec) -> dict[str, str]:
    git = spec.git
    if git is None:
        return {}
    changes = f"yes, patch {git.patch_sha[:12]}" if git.dirty and git.patch_sha else "yes" if git.dirty else "no"
    return {"commit": git.commit[:12], "branch": git.branch, "uncommitted changes": changes}


def _environment(spec: Spec) -> dict[str, str]:
    asked = {"python": spec.python, "host": spec.host, "user": spec.user, "gpus": _gpus(spec)}
    return asked | spec.packages | {name: value for name, value in spec.env.items() if name not in _SHELL}


def _gpus(spec: Spec) -> str:
    return "" if spec.gpus is None else str(spec.gpus)


_SHELL = frozenset({"PATH", "SHELL", "USER", "LOGNAME", "HOSTNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ"})
"""Variables that tell of the terminal a run was queued from."""


def _data(spec: Spec) -> dict[str, str]:
    data = spec.data
    if data is None:
        return {}
    made_up = "yes" if data.synthetic else "no"
    return {
        "path": data.path, "fingerprint": data.fingerprint[:12], "files": str(data.files), "bytes": f"{data.bytes:,}",
        "synthetic": made_up,
    }  # fmt: skip


_KINDS: dict[Kind, Callable[[Spec], dict[str, str]]] = {
    "config": _config,
    "code": _code,
    "environment": _environment,
    "data": _data,
}
