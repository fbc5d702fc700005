"""`tui`: the workspace of the current folder, or of ENGINE_HOME, on one screen."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Textual takes most of the time until the first frame: not for --help, and nothing heavier before it.


class Options:
    """What the command line asks for."""

    readonly = False
    workspace = ""
    host = ""
    theme = ""
    slow = False
    keys = ""
    serve = False
    port: int | None = None


def options_of(argv: Sequence[str]) -> Options:
    """Read a command line; leaves the program where that asks for help or can't be read."""
    if not argv:
        return Options()  # most often: argparse takes as long as a tenth of our own modules
    import argparse

    parser = argparse.ArgumentParser(
        prog="tui",
        description="Watch and steer the training runs of a workspace. q leaves; training goes on.",
        epilog="Inside, ? shows every key. The workspace is the current folder, or ENGINE_HOME.",
    )
    parser.add_argument("--readonly", action="store_true", help="look only: nothing can be started or stopped")
    parser.add_argument("--workspace", metavar="FOLDER", help="another folder than the current one")
    parser.add_argument("--host", metavar="USER@BOX[:/FOLDER]", help="look at a workspace there, over ssh; read only")
    parser.add_argument(
        "--theme",
        choices=("dark", "light", "safe", "plain"),
        help="safe: for the colour-blind; plain: the terminal's own 16 colours; else as last time",
    )
    parser.add_argument(
        "--slow",
        action="store_true",
        help="for a slow line: numbers every 5 s, no little curves, 256 colours, 10 frames a second (or TEXTUAL_FPS)",
    )
    parser.add_argument(
        "--keys",
        nargs="?",
        const="toml",
        choices=("toml", "markdown"),
        help="print every key by name, as the file that changes them, and leave",
    )
    parser.add_argument("--serve", action="store_true", help="show it in a browser on this machine instead")
    parser.add_argument("--port", type=int, metavar="N", help="of --serve, 8000 if not told")
    options = parser.parse_args(argv, Options())
    if options.port is not None and not options.serve:
        parser.error("--port is for --serve")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    options = options_of(sys.argv[1:] if argv is None else argv)
    if options.keys:
        return _print_keys(options.keys)
    if options.serve:
        return _serve(options)
    # A browser's terminal is none: textual-serve names its driver and talks through pipes.
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and "TEXTUAL_DRIVER" not in os.environ:
        print("tui needs a terminal. `engine ls` and `engine show RUN` say the same as text.", file=sys.stderr)
        return 2
    if "TEXTUAL_DRIVER" in os.environ:
        end_with(os.getppid())
    if options.workspace:
        folder = Path(options.workspace).expanduser().absolute()
        if not folder.is_dir():
            print(f"tui: there is no folder {folder}.", file=sys.stderr)
            return 2
        os.environ["ENGINE_HOME"] = str(folder)

    # Read when Textual is imported. Its own 60 would let a key wait 16 ms for the second frame that it brings.
    os.environ.setdefault("TEXTUAL_FPS", "10" if options.slow else "120")
    sys.setswitchinterval(0.001)  # a key waits no longer for threads that read; Python's own is 5 ms, some times a key
    import_asyncio()
    gc.disable()  # until the first frame: collections among what is only being imported take a tenth of the time
    from engine import workspace
    from engine.errors import UsageError
    from tui import hangup, keymap
    from tui.app import PaddockApp

    try:
        looks: dict[str, Any] = {"theme": options.theme, "keys": keymap.load(), "slow": options.slow, "fit": True}
    except UsageError as error:
        print(f"tui: {error}", file=sys.stderr)
        return error.exit_code
    if options.host:
        return _far(options.host, looks)
    app = PaddockApp(workspace.find(), readonly=options.readonly, tour=True, **looks)
    if "TEXTUAL_DRIVER" not in os.environ:
        hangup.watch(app)
    app.run()
    return app.return_code or 0


def import_asyncio() -> None:
    """Before Textual does it, and without OpenSSL."""
    from engine import tls

    with tls.left_out():
        import asyncio  # noqa: F401


def _print_keys(form: str) -> int:
    """The table of keys: with a person's own the file says which those are, markdown is of the program."""
    from tui import keymap

    print(keymap.default() if form == "toml" else keymap.markdown(), end="")
    return 0


def _serve(options: Options) -> int:
    """The same program in a browser, through textual-serve: whoever reaches the port can do all that you can."""
    try:
        from tui.serving import LocalServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual_serve", "aiohttp"):
            raise
        print("tui: --serve needs textual-serve: pip install 'paddock[serve]'.", file=sys.stderr)
        return 2
    if options.host:
        print("tui: --serve shows workspaces of this machine; on the other one: tui --serve.", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "tui"]
    command += [f"--{name}" for name in ("readonly", "slow") if getattr(options, name)]
    command += ["--theme", options.theme] if options.theme else []
    command += ["--workspace", str(Path(options.workspace).expanduser().absolute())] if options.workspace else []
    port = options.port or 8000
    try:
        LocalServer(command, port).serve()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "ports are from 1 to 65535"
        other = port + 1 if 1024 <= port < 65535 else 8001
        print(f"tui: port {port} can't be used: {why}. Another one: --port {other}.", file=sys.stderr)
        return 1
    return 0


def end_with(parent: int) -> None:
    """End soon after the server that shows this in a browser: where that was killed nobody else would."""
    import threading
    import time

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _far(host: str, looks: dict[str, Any]) -> int:
    """Look at a workspace elsewhere; exit code of engine.errors when it is not reached."""
    from engine.errors import EngineError
    from tui import hangup
    from tui.app import PaddockApp
    from tui.far import Far

    try:
        far = Far(host)
    except EngineError as error:
        print(f"tui: {error}", file=sys.stderr)
        return error.exit_code
    try:
        far.open()
        app = PaddockApp(far.workspace, far=far, **looks)
        hangup.watch(app)
        app.run()
    except EngineError as error:
        print(f"tui: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        far.close()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
