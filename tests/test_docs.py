"""The README tells of every command, family, benchmark and exit code there is, and of none that is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from engine import errors
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def commands() -> set[str]:
    """Every command of the CLI, read from typer itself; hidden ones are not promised to anybody."""
    import typer.main

    from engine.cli.main import app

    found: set[str] = set()

    def walk(command, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            if child.hidden:
                continue
            if getattr(child, "commands", None):
                walk(child, f"{path} {name}")
            else:
                found.add(f"{path} {name}")

    walk(typer.main.get_command(app), "engine")
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
            assert re.search(rf"\bfor part in [a-z ]*\b{path.stem}\b", makefile), path


def test_the_picture_is_there():
    assert (ROOT / "docs" / "dashboard.svg").stat().st_size > 10_000
