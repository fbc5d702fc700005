"""The README tells of every command, family, benchmark and exit code there is, and of none that is not."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys

from engine import errors
from engine.cli.main import COMMANDS
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def commands() -> set[str]:
    """Every command of the CLI's own table; those without a heading are hidden and not promised to anybody."""
    found: set[str] = set()
    for heading, table in COMMANDS.items():
        for name, (_, help_) in table.items() if heading else ():
            below = re.findall(r"\w+", help_.partition(": ")[2]) if name in ("data", "db", "hook") else []
            found |= {f"engine {name} {word}" for word in below} or {f"engine {name}"}
    return found


def test_every_command_is_told_and_no_other():
    table = README[README.index("## All commands") : README.index("## Families")]
    told = set(re.findall(r"`(engine [a-z ]+)`", table))
    assert told == commands()


def test_every_family_and_preset_is_told():
    out = subprocess.run([sys.executable, "-m", "trainers", "describe"], capture_output=True, text=True, check=True)
    table = README[README.index("## Families") : README.index("## Figures")]
    for name, family in json.loads(out.stdout)["families"].items():
        assert f"| `{name}` |" in table
        for preset in family["presets"]:
            assert f"`{preset}`" in table


def test_every_exit_code_is_told():
    codes = {errors.EngineError.exit_code}
    kinds = [errors.EngineError]
    for kind in kinds:
        codes.add(kind.exit_code)
        kinds += kind.__subclasses__()
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert codes <= told


def test_every_benchmark_is_in_the_readme_and_in_make_bench():
    makefile = (ROOT / "Makefile").read_text()
    for path in (ROOT / "bench").glob("*.py"):
        if '__name__ == "__main__"' in path.read_text():
            assert f"bench/{path.name}" in README, path
            assert re.search(rf"\bfor part in [a-z_ ]*\b{path.stem}\b", makefile), path


def test_programs_of_the_docs_compile_and_use_what_there_is():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "inference.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainers"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_the_picture_is_there():
    assert (ROOT / "docs" / "dashboard.svg").stat().st_size > 10_000
