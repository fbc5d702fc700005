"""The program: keeps the World, hands it to the screen on top, and sends what people ask for to the engine."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.screen import ModalScreen

from engine.notice import notice
from engine.records import RunRow
from engine.workspace import Workspace
from tui.asking import Asking
from tui.beat import BEAT, SLOW_BEAT, news
from tui.clipboard import Copying
from tui.feed import Feed
from tui.keys import EVERYWHERE, bindings, named, use
from tui.offered import Offering
from tui.painting import Sparing
from tui.places import FIRST, modes
from tui.reader import Reader, Reading
from tui.screens.base import BaseScreen
from tui.settings import Settings
from tui.sheet import Styled
from tui.status import leaving
from tui.theme import DARK, Palette
from tui.themes import PLAIN, THEMES, of_256
from tui.world import World

if TYPE_CHECKING:
    from tui.far import Far


PATIENCE = 0.5
"""Seconds for which nothing is drawn while a screen is being made, at most."""


class PaddockApp(Asking, Copying, Sparing, Styled, Offering):
    """tui: starts drawing at once; feed and reader come in from their threads as messages."""

    TITLE = "paddock"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(EVERYWHERE)]
    MODES = modes()
    DEFAULT_MODE = FIRST

    class Told(Message):
        """The engine told something, or the connection changed."""

        bubble = False

        def __init__(self, world: World) -> None:
            self.world = world
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PaddockApp.Told)

    class Read(Message):
        """Curves or log lines of the run that is looked at were read."""

        bubble = False

        def __init__(self, reading: Reading) -> None:
            self.reading = reading
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PaddockApp.Read)

    def __init__(
        self,
        workspace: Workspace,
        *,
        readonly: bool = False,
        far: Far | None = None,
        theme: str = "",
        keys: Mapping[str, str] | None = None,
        slow: bool = False,
        fit: bool = False,
        tour: bool = False,
    ) -> None:
        """far: the way to a workspace elsewhere; nothing can be changed there. theme: one of THEMES, for this time.

        keys: a person's own, by name (tui/keymap.py). slow: draw seldom and little, for a line of few bytes. fit: have
        themes in the colours of a terminal of 256, and on one of 16 the plain theme as the usual one.
        tour: show around whoever has not been shown around yet.
        """
        super().__init__()
        use(keys or {}, readonly=readonly or far is not None)
        self.set_keymap(dict(keys or {}))
        self.slow, self._tour_due = slow, tour
        if slow:
            self.animation_level = "none"
            self.add_class("-slow")
        readonly = readonly or far is not None
        self.workspace = workspace
        self.far = far
        self.readonly = readonly
        self.settings = Settings()
        self.marked: frozenset[str] = frozenset()
        """Ids of the runs that are marked, on whatever screen; the engine may have forgotten some by now."""
        self.sql_wanted = ""
        """A query that the SQL screen is to take up and ask when it comes on top."""
        self.world = World()
        self._shown: World | None = None
        self._read_shown: Reading | None = None
        self.reading: Reading | None = None
        self.x_axis, self.smooth, self.log_scale = "step", False, False
        self.feed = Feed(workspace, lambda world: self._post(self.Told(world)), may_start=not readonly)
        self.reader = self._new_reader(far)
        colors = self.console.color_system if fit else None
        self._few_colors = slow or colors == "256"
        for known in THEMES.values():
            self.register_theme(known)
        remembered = self.settings.get("theme", "")
        usual = PLAIN.name if colors == "standard" else DARK.name
        first = THEMES[theme].name if theme else remembered if remembered in self.available_themes else usual
        self._fit_themes(first)
        self.theme = first
        self._palette: Palette | None = None

    def _fit_themes(self, *names: str) -> None:
        """Give themes colours that there are; to find those of all takes longer than a first frame should wait."""
        for known in THEMES.values() if self._few_colors else ():
            if known.name in names:
                self.register_theme(of_256(known))

    def _new_reader(self, far: Far | None) -> Reader:
        def publish(reading: Reading) -> None:
            self._post(self.Read(reading))

        if far is None:
            return Reader(self.workspace.runs, publish)
        from tui.far import FarReader

        return FarReader(far, publish)

    def _post(self, message: Message) -> None:
        if self.is_running:
            self.post_message(message)

    @property
    def palette(self) -> Palette:
        if self._palette is None:
            # Not theme_variables: those are of the theme before until the styles are worked out anew.
            self._palette = Palette(self.get_css_variables())
        return self._palette

    def _watch_theme(self, theme_name: str) -> None:
        self._palette = None
        super()._watch_theme(theme_name)
        if self.is_running:
            self.remember("theme", theme_name)

    def on_load(self) -> None:
        # A fault of this thread and of the reader's is one of ours: it ends the program with its traceback instead of
        # a dead screen.
        self.run_worker(self.feed.run, name="feed", group="feed", thread=True)

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)
        self.set_interval(SLOW_BEAT if self.slow else BEAT, self._tick)
        # After `fg` the terminal shows nothing of ours, and only what changes would be drawn.
        self.app_resume_signal.subscribe(self, lambda _: self._paint_anew())
        if self.settings.trouble:
            self.notify(self.settings.trouble, severity="warning", timeout=10)

    def _paint_anew(self) -> None:
        self.forget_painted()
        self.refresh(layout=True)

    def _begin(self) -> None:
        if not gc.isenabled():  # switched off in __main__
            self.collect_at_rest()
        self.feed.shown()
        self._fit_themes(*(known.name for known in THEMES.values() if known.name != self.theme))
        self.run_worker(self.reader.run, name="reader", group="reader", thread=True)

    def on_unmount(self) -> None:
        self.feed.stop()
        self.reader.stop()

    def on_paddock_app_told(self, event: Told) -> None:
        if ended := event.world.ended_since(self.world):
            self._notice(ended)
        self.world = event.world
        # What only counts on is shown at the next beat: eight runs at 20 lines a second would draw all the time.
        if news(self._shown, self.world):
            self._show_news()

    def _notice(self, ended: Sequence[RunRow]) -> None:
        """Let the terminal show a desktop notice of what has ended; the driver is how Textual itself sends such."""
        if self._driver is None:
            return
        row = ended[-1]
        title = row.name or row.id if len(ended) == 1 else f"{len(ended)} runs ended"
        body = f"{row.id} {row.state} {row.reason}".strip() if len(ended) == 1 else ", ".join(row.id for row in ended)
        self._driver.write(notice(title, body, os.environ, ring=False))
        self._driver.flush()

    def on_paddock_app_read(self, event: Read) -> None:
        self.reading = event.reading
        if self._read_shown is None or self._read_shown.wish != event.reading.wish:
            self._show_news()

    def _show_news(self) -> None:
        """Hand the screen on top what came since it was handed something."""
        if (screen := self._ready_screen()) is None:
            return
        if self._shown is not self.world:
            self._shown = self.world
            screen.show(self.world)
            if self.world.known:
                self.make_ahead()
            if self._tour_due and self.world.known:
                self._tour_due = False
                if not self.settings.get("tour", False):
                    self.call_after_refresh(self.action_tour)  # what it speaks of is then on the screen
        if self.reading is not None and self._read_shown is not self.reading:
            self._read_shown = self.reading
            screen.read(self.reading)

    def _tick(self) -> None:
        self._show_news()
        if (screen := self._ready_screen()) is not None:
            screen.tick()

    def _ready_screen(self) -> BaseScreen | None:
        """The screen on top, or below the windows there, if it has its widgets already."""
        screen = next((one for one in reversed(self.screen_stack) if isinstance(one, BaseScreen)), None)
        return screen if screen is not None and screen.ready else None

    # -- places --------------------------------------------------------------------------------------------------

    def delay_update(self, delay: float = PATIENCE) -> None:
        """Hold frames back until the screen that is gone to shows what is new: Textual would wait 50 ms each time."""
        held = ExitStack()
        held.enter_context(self.batch_update())

        def end() -> None:
            held.close()
            self.screen.refresh()

        # Behind the messages that bring the screen on top, or mount it.
        self.call_later(lambda: self.screen.call_later(end))
        self.set_timer(max(delay, PATIENCE), held.close)

    def push_screen(self, screen: Any, *args: Any, **more: Any) -> Any:
        if isinstance(screen, ModalScreen):
            self.delay_update()
        return super().push_screen(screen, *args, **more)

    def open_run(self, run: str, tab: str = "charts") -> None:
        from tui.screens.run import RunScreen

        if isinstance(self.screen, RunScreen) and self.screen.run_id == run:
            self.screen.call_later(self.screen.action_go, tab)
            return
        made = self.opened("run", RunScreen)
        made.look_at(run, tab)
        if isinstance(self.screen, RunScreen):
            self.switch_screen(made)
        else:
            self.push_screen(made)

    def open_sql(self, text: str) -> None:
        """Go to the SQL screen with a query, and ask it there: `s` on a table shows the SQL behind it."""
        self.sql_wanted = text
        self.action_go("sql")
        from tui.screens.sql import SqlScreen

        if isinstance(self.screen, SqlScreen) and self.screen.ready:
            self.screen.take()

    def action_open_chosen(self) -> None:
        if isinstance(self.screen, BaseScreen) and (row := self.screen.target()) is not None:
            self.open_run(row.id)
        else:
            self.notify(
                named("No run is chosen yet: {everywhere.go-runs} lists them, {everywhere.new-run} makes one."),
                timeout=5,
            )

    def action_go(self, place: str) -> None:
        """To the screen of a digit, as it was left; pressed there, back to its own first page."""
        if self.current_mode != place:
            self.switch_mode(place)
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def action_new_run(self, like: str = "") -> None:
        """The form of a new run; like: a run that it is a clone of."""
        if self.refuse():
            return
        from tui.screens.new import NewRunScreen

        if not isinstance(self.screen, NewRunScreen):
            self.push_screen(NewRunScreen(like) if like else self.opened("new", NewRunScreen))

    def action_start_engine(self) -> None:
        if not self.refuse():
            self.feed.start_engine()

    def action_switch_theme(self) -> None:
        """To the next of ours."""
        names = [theme.name for theme in THEMES.values()]
        here = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(here + 1) % len(names)]
        self.notify(f"theme: {list(THEMES)[names.index(self.theme)]}", timeout=2)

    def action_tour(self) -> None:
        from tui.screens.tour import TourScreen

        self.push_screen(TourScreen(), lambda _: self.remember("tour", True))

    def action_picture(self) -> None:
        """Save the screen as SVG in the workspace; in the current folder where that is another machine's."""
        folder = Path.cwd() if self.readonly else self.workspace.root
        name = f"paddock-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        try:
            path = self.save_screenshot(name, str(folder))
        except OSError as error:
            self.notify(f"{folder / name} can't be written: {error.strerror}", severity="error", timeout=8)
        else:
            self.notify(f"the screen is in {path}", timeout=6)

    def remember(self, name: str, value: Any) -> None:
        """Keep a choice of looks for the next time; say so where that fails."""
        if trouble := self.settings.put(name, value):
            self.notify(trouble, severity="warning", timeout=8)

    def action_leave(self) -> None:
        self.exit(message=leaving(self.world) if self.world.known else None)

    async def action_quit(self) -> None:
        self.action_leave()
