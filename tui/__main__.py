"""`tui`: the workspace of the current folder, or of ENGINE_HOME, on one screen."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Textual takes most of the time until the first frame: not for --help, and nothing heavier before it.


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tui",
        description="Watch and steer the training runs of a workspace. q leaves; training goes on.",
        epilog="Inside, ? shows every key. The workspace is the current folder, or ENGINE_HOME.",
    )
    parser.add_argument("--readonly", action="store_true", help="look only: nothing can be started or stopped")
    parser.add_argument("--workspace", metavar="FOLDER", help="another folder than the current one")
    parser.add_argument("--host", metavar="USER@BOX[:/FOLDER]", help="look at a workspace there, over ssh; read only")
    options = parser.parse_args(argv)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("tui needs a terminal. `engine ls` and `engine show RUN` say the same as text.", file=sys.stderr)
        return 2
    if options.workspace:
        folder = Path(options.workspace).expanduser().absolute()
        if not folder.is_dir():
            print(f"tui: there is no folder {folder}.", file=sys.stderr)
            return 2
        os.environ["ENGINE_HOME"] = str(folder)

    gc.disable()  # until the first frame: collections among what is only being imported take a tenth of the time
    from engine import workspace
    from tui.app import PaddockApp

    if options.host:
        return _far(options.host)
    app = PaddockApp(workspace.find(), readonly=options.readonly)
    app.run()
    return app.return_code or 0


def _far(host: str) -> int:
    """Look at a workspace elsewhere; exit code of engine.errors when it is not reached."""
    from engine.errors import EngineError
    from tui.app import PaddockApp
    from tui.far import Far

    try:
        far = Far(host)
    except EngineError as error:
        print(f"tui: {error}", file=sys.stderr)
        return error.exit_code
    try:
        far.open()
        app = PaddockApp(far.workspace, far=far)
        app.run()
    except EngineError as error:
        print(f"tui: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        far.close()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
