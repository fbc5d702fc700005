"""The form for a new run: made of the fields the families describe, checked while one types, with its command line."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from engine.errors import EngineDown
from engine.records import ENDED, RunRow
from tui import faults, formwork, prospects
from tui.folding import folded
from tui.form import Form
from tui.keys import FORM, bindings, named, offer
from tui.present import Part
from tui.screens.base import BaseScreen
from tui.screens.tell import TellScreen
from tui.widgets.fieldtable import FieldTable
from tui.widgets.filterline import FilterLine
from tui.widgets.lines import Lines
from tui.widgets.pane import framed
from tui.world import World

if TYPE_CHECKING:
    from engine.prospect import Prospect

SETTLE = 0.35
"""Seconds without a key until the trainers are asked whether the whole makes sense."""
LONGEST = 3
"""Lines of the command that are shown; F3 copies all of it."""


class NewRunScreen(BaseScreen):
    """Queues through engine.submit, the same way as `engine run`. like: a run that it is a clone of."""

    WHERE = FORM
    NAME = "new"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(FORM)]
    AUTO_FOCUS = "#fields"

    def __init__(self, like: str = "") -> None:
        super().__init__()
        self._like = like
        self._verdict: list[Part] = [("asking the trainers for their families…", "rest")]
        self._prospect: Prospect | None = None
        self._foretold: list[list[Part]] = []
        self._submitting = False

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield FilterLine(id="find", asks="/", placeholder="part of a field's name or help: lr  dropout  epochs")
        yield framed(FieldTable(id="fields"))
        yield Lines(id="command", classes="pane")
        yield Lines(id="foot")

    @property
    def fields(self) -> FieldTable:
        return self.query_one("#fields", FieldTable)

    @property
    def form(self) -> Form | None:
        return self.fields.form

    def on_mount(self) -> None:
        fields = self.query_one("#fields")
        fields.border_title = f"New run like {self._like}" if self._like else "New run"
        self.query_one("#command").border_title = "the same as a command"
        self.query_one("#find").display = False
        self.begin()

    def arrived(self) -> None:
        self._describe()

    def target(self) -> RunRow | None:
        return None

    def show(self, world: World) -> None:
        self.show_frame(world)

    def on_resize(self) -> None:
        super().on_resize()
        if self.ready:
            self._tell()
            self.call_after_refresh(self._went)

    # -- asking trainers and engine, in workers --------------------------------------------------------------------

    @work(thread=True, group="describe", exit_on_error=False)
    def _describe(self) -> None:
        workspace = self.paddock.workspace
        try:
            if self._like:
                form, gone = formwork.cloned(workspace, self._like)
            else:
                form, gone = formwork.begun(workspace), ()
        except Exception as error:  # the edge of a worker
            self.paddock.back(partial(self._say, [(f"✗ {faults.said(error)}", "trouble")]))
        else:
            self.paddock.back(partial(self._begin, form, " ".join(gone)))

    def _begin(self, form: Form, gone: str) -> None:
        if not self.ready:
            return
        self.fields.show(form, changed=bool(self._like))
        if gone:
            self.notify(f"no longer known, so left out: {gone}", severity="warning", timeout=8)
        self._changed()

    def _changed(self) -> None:
        """After any edit: say what is wrong at once, and have the rest checked when the hands rest."""
        form = self.form
        assert form is not None
        self._prospect, self._foretold = None, []
        everything = named("{form.changed} everything")
        subtitle = (
            everything if self.fields.changed_only else named("type to change   ← → next value   {form.reset} default")
        )
        self.fields.border_subtitle = subtitle
        problems = form.problems()
        if problems:
            self._say([("✗ ", "trouble")] + [(f"{name}: {problem}  ", "trouble") for name, problem in problems])
        else:
            self._say([("checking…", "rest")])
            self.set_timer(SETTLE, partial(self._settled, form))

    def _settled(self, form: Form) -> None:
        if self.ready and form is self.form:
            self._resolve(form)

    @work(thread=True, group="resolve", exclusive=True, exit_on_error=False)
    def _resolve(self, form: Form) -> None:
        try:
            base = formwork.resolved(self.paddock.workspace, form)
        except Exception as error:  # the edge of a worker
            self.paddock.back(partial(self._judged, form, None, faults.said(error)))
        else:
            self.paddock.back(partial(self._judged, form, base, ""))

    def _judged(self, form: Form, base: dict[str, str] | None, problem: str) -> None:
        if not self.ready or form is not self.form:
            return
        if base is not None:
            form = replace(form, base=base)
            self.fields.show(form)
        if problem:
            self._say([(f"✗ {problem}", "trouble")])
            return
        amount = sum(form.changed(item) for item in form.items())
        said = f"{amount} field{'s' if amount > 1 else ''} set by hand" if amount else "the preset as it is"
        self._say([("✓ ", "good"), (said, "rest"), ("   ", "text"), *offer("form.submit", " queues it")])
        self._foresee(form)

    @work(thread=True, group="foresee", exclusive=True, exit_on_error=False)
    def _foresee(self, form: Form) -> None:
        try:
            found = formwork.foreseen(self.paddock.workspace, form)
        except EngineDown:
            self.paddock.back(partial(self._foresaw, form, None, "no engine runs: nobody can tell when it starts"))
        except Exception as error:  # the edge of a worker
            self.paddock.back(partial(self._foresaw, form, None, f"✗ {faults.said(error)}"))
        else:
            self.paddock.back(partial(self._foresaw, form, found, ""))

    def _foresaw(self, form: Form, found: Prospect | None, problem: str) -> None:
        if not self.ready or form is not self.form:
            return
        self._prospect = found
        if problem.startswith("✗"):  # what queueing it would say
            self._verdict, self._foretold = [(problem, "trouble")], []
        else:
            self._foretold = self._lines(found) if found is not None else [[(problem, "rest")]]
        self._tell()

    def _lines(self, found: Prospect) -> list[list[Part]]:
        sample = self.paddock.world.sample
        return prospects.lines(found, time.time(), gpus=bool(sample is not None and sample.devices))

    # -- showing ---------------------------------------------------------------------------------------------------

    def _say(self, verdict: list[Part]) -> None:
        self._verdict = verdict
        if self.ready:
            self._tell()

    def _tell(self) -> None:
        """The command, the verdict, and what is foreseen; on a low screen the fields keep most of the place."""
        pane = self.query_one("#command", Lines)
        width = max(20, self.app.size.width - 4)
        line = self.form.line() if self.form else ""
        shown = folded([(line, "ours")], width, LONGEST, 4)
        for part in (self._verdict, *self._foretold):
            shown += folded(part, width, 2)
        shown = shown[: max(5, self.app.size.height // 3)]
        height = len(shown) + 2
        if pane.styles.height is None or pane.styles.height.value != height:
            pane.styles.height = height
        pane.show(shown)

    @on(FieldTable.Went)
    def _went(self) -> None:
        """On the lower edge, what the line of the field has no room for."""
        self.query_one("#command").border_subtitle = self.fields.told_elsewhere.replace("[", "\\[")

    @on(FieldTable.Edited)
    def _edited(self) -> None:
        self._changed()

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_find(self) -> None:
        line = self.query_one("#find", FilterLine)
        line.display = True
        self.set_focus(line)  # at once: focus() would let the next key that was typed go to the list

    @on(Input.Changed, "#find")
    def _typed(self, event: Input.Changed) -> None:
        if self.form is not None:
            self.fields.show(self.form, event.value.strip())

    @on(Input.Submitted, "#find")
    @on(FilterLine.Left)
    def _leave_filter(self) -> None:
        line = self.query_one("#find", FilterLine)
        line.display = bool(line.value)
        self.query_one("#fields").focus()

    def action_reset(self) -> None:
        self.fields.reset()

    def action_changed(self) -> None:
        if self.form is not None:
            self.fields.show(self.form, changed=not self.fields.changed_only)
            subtitle = named(
                "{form.changed} everything" if self.fields.changed_only else "{form.changed} only what was changed"
            )
            self.fields.border_subtitle = subtitle

    def action_copy(self) -> None:
        if self.form is not None:
            self.app.copy_to_clipboard(self.form.line())
            self.notify("the command is in the clipboard", timeout=3)

    def action_rehearse(self) -> None:
        """Everything the dry run tells."""
        if self._prospect is None:
            self.notify("nothing is foreseen yet: the lines below say why", timeout=3)
            return
        told: list[list[Part]] = [[(f"{line}.", "text")] for line in self._prospect.told]
        told += [[], *self._lines(self._prospect)]
        if self._prospect.blind:
            text = f"{self._prospect.blind}, so nobody can tell whether the same run exists."
            told.append([(text, "rest")])
        self.app.push_screen(TellScreen("dry run: nothing is queued", told))

    def action_back(self) -> None:
        line = self.query_one("#find", FilterLine)
        if line.value:
            line.value = ""
            line.display = False
        else:
            self.dismiss(None)

    def action_submit(self) -> None:
        form = self.form
        if form is None or self._submitting:
            return
        problems = form.problems()
        if problems:
            self.fields.go(problems[0][0])
            self.notify(f"{problems[0][0]}: {problems[0][1]}", severity="error")
            return
        self._submitting = True
        self._say([("queueing…", "rest")])
        self._submit(form)

    @work(thread=True, group="submit", exit_on_error=False)
    def _submit(self, form: Form) -> None:
        try:
            row = formwork.queued(self.paddock.workspace, form)
        except Exception as error:  # the edge of a worker
            self.paddock.back(partial(self._refused, faults.said(error)))
        else:
            self.paddock.back(partial(self._queued, row))

    def _refused(self, problem: str) -> None:
        self._submitting = False
        self._say([(f"✗ {problem}", "trouble")])

    def _queued(self, row: RunRow) -> None:
        not_needed = row.state in ENDED
        self.notify(
            f"not needed: {row.id} is the same and ended well" if not_needed else f"{row.id} is queued", timeout=3
        )
        if self.ready:
            self.dismiss(None)
