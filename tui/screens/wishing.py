"""What the leaderboard ranks: by which metric, runs of which family, on which data."""

from __future__ import annotations

from msgspec.structs import replace

from tui import behind
from tui.answers import Wish
from tui.screens.choose import Choice, ChooseScreen
from tui.screens.promoting import Promoting

METRIC = "best.metric"
"""The setting under which it is kept."""


class Wishing(Promoting):
    """Asks anew once something else is wished for; the metric is kept for the next start."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = Wish()

    def recall(self) -> None:
        """Wish for the metric of the last time."""
        self.wanted = Wish(str(self.paddock.settings.get(METRIC, self.wanted.metric)))

    def action_metric(self) -> None:
        from engine.board import direction_of

        found = self.found
        if found is None or not found.metrics:
            self.notify("There is no metric yet.", timeout=3)
            return
        senseless = ("naive_", "dm_", "windows", "coverage")  # more is neither better nor worse
        choices = [
            Choice(name, told="lower is better" if direction_of(name) == "min" else "higher is better")
            for name in found.metrics
            if not name.removeprefix("val_").startswith(senseless)
        ]
        self._choose("Rank on which metric?", choices, self.wanted.metric, "metric")

    def action_family(self) -> None:
        if self.found is not None:
            choices = [Choice("", "all"), *(Choice(name) for name in self.found.families)]
            self._choose("Rank runs of which family?", choices, self.wanted.family, "family")

    def action_dataset(self) -> None:
        found = self.found
        if found is None or len(found.boards) < 2:
            self.notify("All runs with a result are on one data set.", timeout=3)
            return
        choices = [
            Choice(one.fingerprint, f"{one.data or 'unknown data'} {one.fingerprint[:12]}",
                   f"{one.runs} run{'' if one.runs == 1 else 's'}")
            for one in found.boards
        ]  # fmt: skip
        chosen = found.board.fingerprint if found.board is not None else ""
        detail = "Results on different data can't be ranked together."
        self._choose("Rank runs on which data?", choices, chosen, "dataset", detail)

    def _choose(self, title: str, choices: list[Choice], chosen: str, field: str, detail: str = "") -> None:
        def answered(name: str | None) -> None:
            if name is None or name == getattr(self.wanted, field):
                return
            self.wanted = replace(self.wanted, **{field: name})
            if field == "metric":
                self.paddock.settings.put(METRIC, name)
            self.ask_again()

        self.ask_person(ChooseScreen(title, choices, chosen, detail), answered)

    def action_sql(self) -> None:
        if self.found is None or self.found.board is None or not self.found.board.rows:
            self.notify("There is no ranking yet, so no SQL behind it.", timeout=3)
        else:
            self.paddock.open_sql(behind.of_board(self.found.board, self.wanted.family))
