"""The form for a new run: made of the fields the families describe, checked while one types, with its command line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from engine.errors import EngineError
from engine.records import RunRow
from tui import form as forms
from tui.form import Form
from tui.keys import FORM, bindings
from tui.present import Part
from tui.screens.base import BaseScreen
from tui.widgets.fieldtable import FieldTable
from tui.widgets.filterline import FilterLine
from tui.widgets.lines import Lines
from tui.world import World

if TYPE_CHECKING:
    from engine.families import Family, Resolved

SETTLE = 0.35
"""Seconds without a key until the trainers are asked whether the whole makes sense."""


class NewRunScreen(BaseScreen):
    """Queues through engine.submit, the same way as `engine run`."""

    WHERE = FORM
    NAME = "new run"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(FORM)]
    AUTO_FOCUS = "#fields"

    def __init__(self) -> None:
        super().__init__()
        self._verdict: list[Part] = [("asking the trainers for their families…", "rest")]
        self._submitting = False

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield FilterLine(id="find", placeholder="part of a field's name or help: lr  dropout  epochs", compact=True)
        yield FieldTable(id="fields")
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
        fields.add_class("pane")
        fields.border_title = " New run "
        fields.border_subtitle = " type to change   ← → next value   ctrl+r default "
        self.query_one("#command").border_title = " the same as a command "
        self.query_one("#find").display = False
        self.begin()
        self._describe()

    def target(self) -> RunRow | None:
        return None

    def show(self, world: World) -> None:
        self.show_frame(world)

    def on_resize(self) -> None:
        super().on_resize()
        if self.ready:
            self._tell()

    # -- asking the trainers, in workers ---------------------------------------------------------------------------

    @work(thread=True, group="describe")
    def _describe(self) -> None:
        from engine import families

        try:
            found = families.describe(self.paddock.workspace.root)
        except EngineError as error:
            self.app.call_from_thread(self._say, [(f"✗ {error}", "trouble")])
        else:
            self.app.call_from_thread(self._begin, found)

    def _begin(self, found: dict[str, Family]) -> None:
        if not self.ready:
            return
        if not found:
            self._say([("✗ The trainers describe no family.", "trouble")])
            return
        self.fields.show(forms.begin(found))
        self._changed()

    def _changed(self) -> None:
        """After any edit: say what is wrong at once, and have the rest checked when the hands rest."""
        form = self.form
        assert form is not None
        problems = form.problems()
        if problems:
            self._say([("✗ ", "trouble")] + [(f"{name}: {problem}  ", "trouble") for name, problem in problems])
        else:
            self._say([("checking…", "rest")])
            self.set_timer(SETTLE, partial(self._settled, form))

    def _settled(self, form: Form) -> None:
        if self.ready and form is self.form:
            self._resolve(form)

    @work(thread=True, group="resolve", exclusive=True)
    def _resolve(self, form: Form) -> None:
        from engine import families

        try:
            # The preset alone gives the defaults that the form shows; the whole is what would be queued.
            root = self.paddock.workspace.root
            base = None if form.base else families.resolve(root, form.family, form.preset or None)
            whole = families.resolve(root, form.family, form.preset or None, form.sets) if form.sets else base
        except EngineError as error:
            self.app.call_from_thread(self._judged, form, None, None, str(error))
        else:
            self.app.call_from_thread(self._judged, form, base, whole, "")

    def _judged(self, form: Form, base: Resolved | None, whole: Resolved | None, problem: str) -> None:
        if not self.ready or form is not self.form:
            return
        if base is not None:
            from dataclasses import replace

            self.fields.show(replace(form, base=forms.flat(base.config)))
        if problem:
            self._say([(f"✗ {problem}", "trouble")])
            return
        amount = len(form.sets)
        said = f"{amount} field{'s' if amount > 1 else ''} set by hand" if amount else "the preset as it is"
        self._say([("✓ ", "good"), (said, "rest"), ("   ctrl+s", "key"), (" queues it", "rest")])

    # -- showing ---------------------------------------------------------------------------------------------------

    def _say(self, verdict: list[Part]) -> None:
        self._verdict = verdict
        if self.ready:
            self._tell()

    def _tell(self) -> None:
        pane = self.query_one("#command", Lines)
        width = max(20, pane.size.width)
        line = self.form.line() if self.form else ""
        rows = [line[at : at + width] for at in range(0, len(line), width)][:3] or [""]
        if len(line) > 3 * width:
            rows[-1] = rows[-1][:-1] + "…"
        shown: list[list[Part]] = [[(row, "ours")] for row in rows]
        height = len(shown) + 3
        if pane.styles.height is None or pane.styles.height.value != height:
            pane.styles.height = height
        pane.show([*shown, self._verdict])

    @on(FieldTable.Edited)
    def _edited(self) -> None:
        self._changed()

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_find(self) -> None:
        line = self.query_one("#find", FilterLine)
        line.display = True
        line.focus()

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

    @work(thread=True, group="submit")
    def _submit(self, form: Form) -> None:
        from engine.client import connect
        from engine.submit import Wishes, submit_family

        wishes = Wishes(
            name=form.texts.get("name", "").strip(),
            tags=form.words("tags"),
            gpus=form.gpus,
            priority=form.priority,
            after=form.words("after"),
        )
        workspace = self.paddock.workspace
        try:
            with connect(workspace) as client:
                row = submit_family(
                    client, workspace, form.family, preset=form.preset or None, sets=form.sets, wishes=wishes
                )
        except EngineError as error:
            self.app.call_from_thread(self._refused, str(error))
        else:
            self.app.call_from_thread(self._queued, row)

    def _refused(self, problem: str) -> None:
        self._submitting = False
        self._say([(f"✗ {problem}", "trouble")])

    def _queued(self, row: RunRow) -> None:
        self.notify(f"{row.id} is queued", timeout=3)
        if self.ready:
            self.dismiss(None)
