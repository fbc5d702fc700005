"""Imports point one way, and what must start fast imports nothing heavy: looked up in real processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "engine": {"engine"},
    "sweeps": {"engine", "sweeps"},
    "tui": {"engine", "sweeps", "tui"},
    "trainers": {"trainers"},
}
TRAINERS_MAY = {"engine", "engine.runlog"}
DUCKDB = "engine/store"
STDLIB_ONLY = tuple(
    f"engine/{name}.py" for name in ("rundir", "supervisor", "group", "lastline", "silence", "kernel", "lastwords")
)
HEAVY = {"torch", "pandas", "duckdb", "textual", "git", "rich", "pyarrow", "numpy", "psutil", "pynvml", "asyncio"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def statements(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, at its top or inside a function, and whether only for a type checker."""
    found: list[tuple[str, bool]] = []
    todo = [(node, False) for node in ast.parse(path.read_text()).body]
    while todo:
        node, types = todo.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, types) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(name, types) for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names))]
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            guard = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                todo += [(inner, types or (guard and part == "body")) for inner in getattr(node, part, ())]
    return found


def imports(path: Path, *, types: bool = True) -> set[str]:
    """Every module a file imports; types: also what only a type checker reads."""
    return {name for name, only in statements(path) if types or not only}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package):
    for path in modules(package):
        for name in imports(path):
            top = name.split(".")[0]
            if package == "trainers" and top == "engine":
                assert name in TRAINERS_MAY, f"{path}: trainers may import engine.runlog only, not {name}"
            elif top in ALLOWED:
                assert top in ALLOWED[package], f"{path}: {package} may not import {name}"


def test_only_the_store_imports_duckdb():
    for package in ALLOWED:
        for path in modules(package):
            if not str(path.relative_to(ROOT)).startswith(DUCKDB):
                assert "duckdb" not in imports(path, types=False), (
                    f"{path}: ask engine.store instead of importing duckdb"
                )


def test_engine_sweeps_and_tui_never_import_torch():
    for package in ("engine", "sweeps", "tui"):
        for path in modules(package):
            assert "torch" not in {name.split(".")[0] for name in imports(path)}, path


def test_the_supervisor_needs_the_standard_library_only():
    for name in STDLIB_ONLY:
        for module in imports(ROOT / name):
            top = module.split(".")[0]
            assert top in sys.stdlib_module_names or top in ("engine",), f"{name} imports {module}"
    loaded = loaded_by("import engine.supervisor")
    assert not {name for name in loaded if name.split(".")[0] in ("msgspec", "numpy", "asyncio", "subprocess")}


def test_a_usual_list_of_runs_needs_the_standard_library_only():
    loaded = {name.split(".")[0] for name in loaded_by("import engine.cli.main, engine.cli.swift")}
    assert not loaded & {"msgspec", "pathlib", "dataclasses", "subprocess", "typer"}


def test_the_first_frame_waits_for_nothing_that_it_does_not_show():
    """And TLS is there all the same for whoever wants it."""
    start = "from tui import __main__ as it; it.options_of([]); it.import_asyncio(); import tui.screens.dashboard"
    assert not loaded_by(start) & {"argparse", "ssl", "typer", "duckdb", "git", "numpy", "tui.runs", "tui.form"}
    assert "ssl" in loaded_by(f"{start}, ssl; ssl.create_default_context()")


def test_packages_are_empty():
    for package in ("engine", "sweeps", "tui"):
        assert (ROOT / package / "__init__.py").read_text().strip() == ""


def loaded_by(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(out.stdout.split())


@pytest.mark.parametrize(
    ("code", "may"),
    [
        ("import engine.client", set()),
        ("import engine.runlog", set()),
        ("import engine.cli.main", set()),
        ("import engine.core", {"asyncio"}),
        ("import trainers.__main__", set()),
        ("import tui.app", {"textual", "rich", "asyncio"}),
    ],
)
def test_start_up_imports_nothing_heavy(code, may):
    heavy = {name.split(".")[0] for name in loaded_by(code)} & HEAVY - may
    assert not heavy, f"{code} loads {sorted(heavy)}"
