"""What the first start tells, a few lines at a time; the keys are those of the table, also a person's own."""

from __future__ import annotations

from tui.keys import label
from tui.present import Part

Step = tuple[str, list[list[Part]]]


def steps() -> list[Step]:
    """(title, lines) of each step."""
    return [
        (
            "One line says it all",
            [
                _line("The line on top answers: is anything wrong, what is next, when is the queue empty."),
                _line(("dashboard.alert", " goes to the run that wants you; below are devices, runs and the queue.")),
            ],
        ),
        (
            "The run under the cursor",
            [
                _line(("dashboard.open", " opens it, "), ("chosen.log", " shows its log, "), ("chosen.stop", " stops"),
                      (" it and asks first.",)),
                _line(("chosen.new-run", " queues a new one; training goes on when you leave with "),
                      ("everywhere.leave", ".")),
            ],
        ),
        (
            "Everything has a key and a name",
            [
                _line(("everywhere.keys", " shows all keys, "), ("everywhere.command-palette", " finds a command by"),
                      (" its name, digits change the screen.",)),
                _line(("everywhere.switch-theme", " changes the colours; `tui --keys` prints the file of keys.")),
            ],
        ),
    ]  # fmt: skip


def _line(*parts: str | tuple[str, str] | tuple[str]) -> list[Part]:
    made: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            made.append((part, "text"))
        elif len(part) == 1:
            made.append((part[0], "text"))
        else:
            made += [(label(part[0]), "key"), (part[1], "text")]
    return made
