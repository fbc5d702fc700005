"""The families of the trainers as their own commands tell them: `python -m trainers describe` and `resolve`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.errors import BadField, DataError, EngineError, UnknownFamily, did_you_mean
from engine.workspace import Workspace

TIMEOUT_S = 60.0


class When(msgspec.Struct, frozen=True):
    """A field has a meaning only while another one has one of these values."""

    field: str
    values: tuple[object, ...] = msgspec.field(name="in")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a config: `train.lr`. low, high: bounds, inclusive. log: spread evenly over orders of magnitude."""

    name: str
    type: str
    default: object = None
    help: str = ""
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[object, ...] | None = None
    unit: str | None = None
    when: When | None = None


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """presets: help of each by name."""

    title: str
    help: str = ""
    presets: dict[str, str] = {}
    default_preset: str = ""
    fields: tuple[Field, ...] = ()


class Resolved(msgspec.Struct, frozen=True):
    """A checked config, by section, and the absolute paths of the data it asks for."""

    preset: str
    config: dict[str, dict[str, object]]
    data_paths: tuple[str, ...] = ()


class Row(NamedTuple):
    """A field as `engine config` shows it."""

    field: str
    type: str
    default: str
    range: str
    help: str


class _Described(msgspec.Struct, frozen=True):
    families: dict[str, Family]
    key: str = ""


_memory: dict[tuple[Path, str], dict[str, Family]] = {}


def describe(workspace: Path) -> dict[str, Family]:
    """Give all families by name; asked anew only when a file of the trainers or the interpreter changed.

    About 2 ms when remembered on disk (looking at the files' times), 0.1-0.2 s when not. Raises EngineError
    if the trainers are not installed or can't be asked.
    """
    place = package()
    key = _key(place)
    known = _memory.get((workspace, key))
    if known is not None:
        return known
    cache = Workspace(workspace).private / "families.json"
    try:
        stored = msgspec.json.decode(cache.read_bytes(), type=_Described)
    except (OSError, msgspec.DecodeError):  # none yet, torn, or of another version of this program
        stored = None
    if stored is None or stored.key != key:
        done = _ask(workspace, place, ["describe"])
        if done.returncode != 0:
            raise EngineError(f"The trainers can't be asked for their families: {_last_line(done)}")
        try:
            told = msgspec.json.decode(done.stdout, type=_Described)
        except msgspec.DecodeError as error:
            raise EngineError(f"`python -m trainers describe` printed something else than families: {error}.") from None
        stored = _Described(told.families, key)
        _save(cache, stored)
    _memory.clear()
    _memory[workspace, key] = stored.families
    return stored.families


def find(workspace: Path, name: str) -> Family:
    """Give one family. Raises UnknownFamily with the nearest name."""
    families = describe(workspace)
    if name not in families:
        raise UnknownFamily(f"Unknown family '{name}'.{did_you_mean(name, families)} `engine families` shows all.")
    return families[name]


def resolve(
    workspace: Path, family: str, preset: str | None = None, sets: Mapping[str, object] | None = None
) -> Resolved:
    """Give the full config that a family makes of a preset (None: its default) and settings by field.

    Values may be text, as typed, or JSON scalars. Raises UnknownFamily, BadField (a preset, field or value
    that can't be) or DataError with the trainer's own line.
    """
    question = msgspec.json.encode({"preset": preset, "set": dict(sets or {})})
    done = _ask(workspace, package(), ["resolve", family], question)
    if done.returncode == 0:
        try:
            return msgspec.json.decode(done.stdout, type=Resolved)
        except msgspec.DecodeError as error:
            raise EngineError(
                f"`python -m trainers resolve {family}` printed something else than a config: {error}."
            ) from None
    line = _last_line(done)
    if done.returncode == 2:
        find(workspace, family)
        raise BadField(line)
    if done.returncode == 3:
        raise DataError(line)
    raise EngineError(f"The trainers failed to resolve {family} (exit code {done.returncode}): {line}")


def rows(family: Family) -> list[Row]:
    """Give what `engine config FAMILY` prints; defaults are those of the fields, before any preset."""
    return [Row(f.name, f.type, shown(f.default), bounds(f), explained(f)) for f in family.fields]


def shown(value: object) -> str:
    """Write a value as it can be typed after --set field=."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(shown(one) for one in value)
    return "" if value is None else str(value)


LIMITLESS = 2**53
"""An upper bound from here on is what a number can hold, and nothing that anybody has to know."""


def bounds(field: Field) -> str:
    """Write what a field may be: `last | none`, `1 .. 1024 steps`, `>= 0`; empty if anything."""
    unit = f" {field.unit}" if field.unit else ""
    if field.choices:
        return " | ".join(map(shown, field.choices)) + unit
    low, high = (shown(_whole(bound)) for bound in (field.low, field.high))
    if low and high and not (field.high is not None and field.high >= LIMITLESS):
        return f"{low} .. {high}{unit}"
    if low or high:
        return (f">= {low}" if low else f"<= {high}") + unit
    return unit.strip()


def explained(field: Field) -> str:
    """Give the help, and when the field has a meaning at all."""
    if field.when is None:
        return field.help
    return f"{field.help} (only with {field.when.field} = {' or '.join(map(shown, field.when.values))})"


def _whole(bound: int | float | None) -> int | float | None:
    return int(bound) if isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e9 else bound


def package() -> Path:
    """Find the trainers' folder without importing them. Raises EngineError if they are not installed."""
    from importlib.util import find_spec

    spec = find_spec("trainers")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise EngineError("The package 'trainers' is not installed for this Python; install paddock with pip.")
    return Path(places[0])


def _key(package: Path) -> str:
    """What a description depends on: the interpreter, and the times and sizes of the trainers' files."""
    import hashlib

    digest = hashlib.blake2b(
        f"{sys.executable}\0{sys.version}\0{package}\0".encode(errors="surrogateescape"), digest_size=16
    )
    for folder, folders, names in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                state = os.stat(path)
                digest.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _ask(
    workspace: Path, package: Path, command: list[str], question: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    env = dict(os.environ)
    env["ENGINE_HOME"] = str(workspace)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package.parent), env.get("PYTHONPATH", "")]))
    # -P: a file of the workspace that is called like a module must not be taken for one.
    whole = [sys.executable, "-P", "-m", "trainers", *command]
    try:
        return subprocess.run(whole, input=question, capture_output=True, cwd=workspace, env=env, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise EngineError(f"`python -m trainers {' '.join(command)}` did not answer in {TIMEOUT_S:.0f} s.") from None
    except OSError as error:
        raise EngineError(f"`python -m trainers {' '.join(command)}` can't be started: {error}.") from None


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode} without a word"


def _save(cache: Path, described: _Described) -> None:
    beside = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        beside.write_bytes(msgspec.json.encode(described))
        beside.rename(cache)
    except OSError:  # no engine was here yet, or the disk is full or read-only: the cache only saves time
        with contextlib.suppress(OSError):
            beside.unlink()
