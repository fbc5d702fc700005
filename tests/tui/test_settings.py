"""What the TUI remembers: kept over a start, and never in the way of one."""

from __future__ import annotations

from pathlib import Path

from tui.settings import NAME, Settings, folder


def test_what_was_put_is_there_the_next_time(home: Path):
    assert folder() == home / "state" / "paddock"
    first = Settings()
    assert first.get("theme", "paddock") == "paddock"
    assert first.put("theme", "paddock-light") == ""
    assert Settings().get("theme", "paddock") == "paddock-light"
    assert Settings().get("theme", 3) == 3  # a value of another type is none
    assert [path.name for path in folder().iterdir()] == [NAME]


def test_a_broken_file_is_told_and_begun_anew(home: Path):
    folder().mkdir(parents=True)
    for text in ("{", "[1]"):
        (folder() / NAME).write_text(text)
        settings = Settings()
        assert str(folder() / NAME) in settings.trouble
        assert settings.get("x", 1) == 1
    assert settings.put("x", 2) == ""
    assert Settings().get("x", 1) == 2


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    settings = Settings(tmp_path / "file" / NAME)
    assert "can't be written" in settings.put("x", 1)
    assert settings.get("x", 0) == 1, "it holds until the program ends"
