"""The `engine` command: its list of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from engine.cli import talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.cli.lazy import Table

HELP = """Queue, watch and compare training runs of this workspace (the current folder, or ENGINE_HOME).

A run can be named by its id (toto-0007), any beginning of it that fits one run only, or its number (7). Every command
that reads takes --json. Data goes to stdout, talk to stderr.

engine --host user@box[:/folder] COMMAND does the same there, over ssh."""

EPILOG = """Exit codes: 0 done · 1 an error without a code of its own, or a followed run that failed · 2 a wrong
argument, an unknown run, family or field · 3 data that can't be used · 4 no engine answers, or another one holds the
workspace · 5 the workspace can't be written · 6 runs.duckdb is damaged, newer or held by somebody · 7 nothing to show ·
8 a followed run was stopped or lost · 124 `wait --timeout` gave up · 130 Ctrl-C. `run` and `exec` end with 0 once the
run is queued, but for --follow.
"""

COMMANDS: Table = {
    "Runs": {
        "run": ("engine.cli.new:run", "Queue a training run of a family."),
        "exec": ("engine.cli.new:exec_", "Queue any command as a run."),
        "ls": ("engine.cli.runs:ls", "List runs: ended, running, waiting."),
        "queue": ("engine.cli.queue:queue", "List what waits, and when it starts; --plan draws it."),
        "show": ("engine.cli.runs:show", "Tell everything about a run."),
        "diff": ("engine.cli.again:diff", "Show what differs between two runs."),
        "logs": ("engine.cli.runs:logs", "Print what a run wrote; -f goes on until it ends."),
        "follow": ("engine.cli.runs:follow", "Watch runs until they end, with progress."),
        "wait": ("engine.cli.runs:wait", "Wait in silence until runs have ended."),
    },
    "Change a run": {
        "stop": ("engine.cli.orders:stop", "Stop runs; ours save a checkpoint first."),
        "kill": ("engine.cli.orders:kill", "End runs at once."),
        "pause": ("engine.cli.orders:pause", "Pause the queue, or single runs."),
        "resume": ("engine.cli.orders:resume", "Let the queue go on, or single runs."),
        "archive": ("engine.cli.orders:archive", "Hide ended runs from lists; nothing is deleted."),
        "unarchive": ("engine.cli.orders:unarchive", "Show archived runs again."),
        "retry": ("engine.cli.orders:retry", "Queue an ended run again, from its last checkpoint."),
        "rerun": ("engine.cli.again:rerun", "Run it again exactly, or tell what can't be had."),
        "hold": ("engine.cli.orders:hold", "Keep waiting runs from starting."),
        "release": ("engine.cli.orders:release", "Let held runs start."),
        "limit": ("engine.cli.limits:limit", "Limit how many runs of a family or tag live at a time."),
        "priority": ("engine.cli.orders:priority", "Set a run's place: higher starts earlier."),
        "change": ("engine.cli.orders:change", "Change a waiting run's begin, time limit, priority."),
        "move": ("engine.cli.orders:move", "Move a waiting run up, down, to the top or bottom."),
        "tag": ("engine.cli.orders:tag", "Add tags to a run."),
        "untag": ("engine.cli.orders:untag", "Take tags off a run."),
        "note": ("engine.cli.orders:note", "Write a note on a run."),
    },
    "Models": {
        "families": ("engine.cli.models:families", "List the model families and their presets."),
        "config": ("engine.cli.models:config", "List every field of a family."),
        "best": ("engine.cli.best:best", "Show the leaderboard, beside the naive forecast."),
        "compare": ("engine.cli.compare:compare", "Put runs side by side: differences, results, tests."),
        "report": ("engine.cli.report:report", "Write one file to mail about many runs."),
        "export": ("engine.cli.exports:export", "Export a run's best checkpoint to .best_model_path."),
        "aliases": ("engine.cli.exports:aliases", "List the models that names such as prod stand for."),
        "evaluate": ("engine.cli.evaluate:evaluate", "Score a finished model on any data."),
        "predict": ("engine.cli.predict:predict", "Forecast with the exported model."),
    },
    "Data": {
        "data": ("engine.cli.data:data", "Make, import or check data: synth, import, check."),
        "sql": ("engine.cli.database:sql", "Ask runs.duckdb in SQL."),
        "db": ("engine.cli.database:db", "Look after runs.duckdb: rebuild, export, view, views, recipes."),
    },
    "Keep": {
        "du": ("engine.cli.keep:du", "Show what runs take on the disk."),
        "gc": ("engine.cli.keep:gc", "Show what may be deleted; --yes deletes it."),
        "pack": ("engine.cli.keep:pack", "Write a run into one file."),
        "unpack": ("engine.cli.keep:unpack", "Take in packed runs."),
        "import": ("engine.cli.keep:import_", "Bring in checkpoint folders of other trainers as history."),
    },
    "Engine": {
        "up": ("engine.cli.box:up", "Start the engine, which takes up again what runs."),
        "down": ("engine.cli.box:down", "End the engine; runs go on unless --stop-runs."),
        "status": ("engine.cli.box:status", "Tell how the engine and its database are."),
        "gpus": ("engine.cli.box:gpus", "Show GPUs and the machine as they are now."),
        "hook": ("engine.cli.hook:hook", "Commands told of finished runs: add, ls, rm."),
        "doctor": ("engine.cli.box:doctor", "Check what training needs on this machine."),
    },
    "": {"demo": ("engine.cli.demo:demo", "From sample data to a forecast, in a few minutes.")},
}


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run a command line; give the exit code of engine.errors, with one line on stderr where it is not 0."""
    from engine.errors import EngineError

    talk.rehearse(False)
    try:
        return _run(args)
    except EngineError as error:
        talk.complain(_one_line(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        talk.quiet_end()
    except Exception as error:  # the edge of the process: whatever it is, a person gets one line
        return _unexpected(error)


def _run(args: Sequence[str]) -> int:
    if args and args[0].startswith("--host"):
        from engine import remote

        there, rest = remote.split(args)
        if there is not None:
            return remote.run(there, rest)
    if args and args[0] == "ls":
        from engine.cli import swift

        if swift.ls(args[1:]):
            return 0
        from engine.cli import ls

        asked = ls.quick(args[1:])
        if asked is not None:
            ls.show(asked)
            return 0
    from engine.cli import lazy

    return lazy.run(lazy.group(COMMANDS, HELP, epilog=EPILOG), args)


def _unexpected(error: Exception) -> int:
    message = getattr(error, "format_message", None)
    if message is not None:
        return _usage(error, message())
    if os.environ.get("ENGINE_DEBUG") == "1":
        raise error
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        talk.complain(f"{error.strerror}{where}")
        return 1
    talk.complain(
        f"{type(error).__name__}: {_one_line(str(error))}. This is a fault of the program: ENGINE_DEBUG=1 shows where; "
        f"the engine's own log is {talk.workspace().log}."
    )
    return 1


def _usage(error: Exception, message: str) -> int:
    """Tell a wrong command line, as typer found it."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
        return 2
    if hasattr(error, "possibilities"):
        from engine.errors import did_you_mean

        known = [name for param in context.command.params for name in param.opts] if context else []
        message = f"{getattr(error, 'message', message)}.{did_you_mean(getattr(error, 'option_name', ''), known)}"
    hint = f" `{context.command_path} --help` tells more." if context is not None else ""
    talk.complain(f"{_one_line(message)}{hint}")
    return 2


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
