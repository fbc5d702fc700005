"""Families as the real trainers tell them, and as other trainers might."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import families
from engine.errors import BadField, DataError, EngineError, UnknownFamily
from engine.families import Family, Field, When


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "runs" / ".engine").mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    families._memory.clear()
    yield
    families._memory.clear()


@pytest.fixture
def other(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of trainers that says how often it was asked, and fails as told."""
    package = workspace / "elsewhere" / "trainers"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import os, sys\n"
        "open('asked', 'a').write('x')\n"
        "if 'describe' in sys.argv:\n"
        """    print('{"families": {"one": {"title": "One", "later": 1}}}')\n"""
        "else:\n"
        "    code, _, text = open('says').read().partition(' ')\n"
        "    print(text, file=sys.stderr if code != '0' else sys.stdout)\n"
        "    sys.exit(int(code))\n"
    )
    monkeypatch.setattr(families, "package", lambda: package)
    return package


def test_the_families_of_our_trainers(workspace: Path) -> None:
    told = families.describe(workspace)
    toto = told["toto"]
    assert toto.default_preset in toto.presets
    lr = next(field for field in toto.fields if field.name == "train.lr")
    assert (lr.type, lr.log) == ("float", True)
    for row in families.rows(toto):
        assert all(isinstance(cell, str) for cell in row)
        assert row.help


def test_every_default_can_be_typed_and_gives_the_default_config(workspace: Path) -> None:
    toto = families.describe(workspace)["toto"]
    plain = families.resolve(workspace, "toto")
    assert plain.preset == toto.default_preset
    assert plain.data_paths == (str(workspace / "trainingdata"),)
    known = {f"{section}.{name}": value for section, fields in plain.config.items() for name, value in fields.items()}
    typed = {name: families.shown(value) for name, value in known.items()}
    assert families.resolve(workspace, "toto", None, typed).config == plain.config
    # a field that has a meaning only beside another's value may be missing
    assert {field.name for field in toto.fields if field.when is None} <= set(known)


def test_settings_and_presets_are_resolved(workspace: Path) -> None:
    resolved = families.resolve(workspace, "toto", None, {"train.lr": "3e-4", "data.context": 64, "data.path": "/d"})
    assert resolved.config["train"]["lr"] == 3e-4
    assert resolved.config["data"]["context"] == 64
    assert resolved.data_paths == ("/d",)


def test_bad_input_gives_the_trainer_s_line(workspace: Path) -> None:
    with pytest.raises(UnknownFamily, match=r"Unknown family 'totp'\. Did you mean toto\?"):
        families.resolve(workspace, "totp")
    with pytest.raises(BadField, match=r"Unknown field 'train\.lrr'\. Did you mean 'train\.lr'\?"):
        families.resolve(workspace, "toto", None, {"train.lrr": "1"})
    with pytest.raises(BadField, match="preset 'huge-one'"):
        families.resolve(workspace, "toto", "huge-one")
    with pytest.raises(BadField, match="out of range"):
        families.resolve(workspace, "toto", None, {"train.lr": "1e9"})
    with pytest.raises(UnknownFamily, match="`engine families` shows all"):
        families.find(workspace, "nothing-like-it")


def test_they_are_asked_again_only_when_a_file_changed(workspace: Path, other: Path) -> None:
    asked = workspace / "asked"
    for _ in range(2):
        assert families.describe(workspace) == {"one": Family(title="One")}
        families._memory.clear()
    assert asked.read_text() == "x"
    families.describe(workspace)
    (workspace / "runs" / ".engine" / "families.json").unlink()
    families.describe(workspace)  # from memory
    assert asked.read_text() == "x"
    os.utime(other / "__init__.py", (1, 1))
    families.describe(workspace)
    assert asked.read_text() == "xx"
    (other / "new.py").touch()
    families.describe(workspace)
    assert asked.read_text() == "xxx"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"families": 3, "key": "x"}'])
def test_a_damaged_memory_on_disk_is_passed_over(workspace: Path, other: Path, content: bytes) -> None:
    (workspace / "runs" / ".engine" / "families.json").write_bytes(content)
    assert "one" in families.describe(workspace)


def test_a_folder_that_no_engine_has_used_is_left_as_it_is(tmp_path: Path) -> None:
    families.describe(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_cannot_shadow_the_trainers(workspace: Path) -> None:
    (workspace / "trainers.py").write_text("raise SystemExit('shadowed')\n")
    (workspace / "json.py").write_text("raise SystemExit('shadowed')\n")
    assert "toto" in families.describe(workspace)


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        ("2 No such field.", BadField, "No such field."),
        ("3 The file a.csv is empty.", DataError, "The file a.csv is empty."),
        ("1 Traceback\n  somewhere\nKeyError: 'x'", EngineError, "exit code 1.*KeyError: 'x'"),
        ("0 nonsense", EngineError, "something else than a config"),
        ("9 ", EngineError, "exit code 9 without a word"),
    ],
)
def test_how_trainers_fail(workspace: Path, other: Path, says: str, error: type[EngineError], text: str) -> None:
    (workspace / "says").write_text(says)
    with pytest.raises(error, match=text):
        families.resolve(workspace, "one")


def test_trainers_that_cannot_describe_themselves(workspace: Path, other: Path) -> None:
    (other / "__main__.py").write_text("raise ImportError('no such thing')\n")
    with pytest.raises(EngineError, match="ImportError: no such thing"):
        families.describe(workspace)
    (other / "__main__.py").write_text("print('hello')\n")
    with pytest.raises(EngineError, match="something else than families"):
        families.describe(workspace)


def test_a_workspace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="can't be started"):
        families.describe(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (Field(name="a", type="int", low=1, high=1024, unit="steps"), "1 .. 1024 steps"),
        (Field(name="a", type="float", low=1e-8, high=1.0), "1e-08 .. 1"),
        (Field(name="a", type="int", low=0), ">= 0"),
        (Field(name="a", type="int", high=2**63 - 1), "<= 9223372036854775807"),
        (Field(name="a", type="int", low=0, high=2**63 - 1), ">= 0"),
        (Field(name="a", type="str", choices=("auto", "cpu")), "auto | cpu"),
        (Field(name="a", type="str"), ""),
    ],
)
def test_ranges_as_people_read_them(field: Field, text: str) -> None:
    assert families.bounds(field) == text


def test_when_a_field_has_a_meaning_is_said() -> None:
    field = Field(name="a", type="float", help="passes", when=When("train.steps", (0,)))
    assert families.explained(field) == "passes (only with train.steps = 0)"
    assert [families.shown(v) for v in (True, 1e-4, [0.9, 0.95], "x", None, "")] == [
        "true",
        "0.0001",
        "0.9,0.95",
        "x",
        "",
        "",
    ]


def test_a_place_that_takes_no_file_costs_the_cache_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    assert "toto" in families.describe(tmp_path)
