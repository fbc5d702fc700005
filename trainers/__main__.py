"""The trainers' commands: `python -m trainers <command>`; the engine knows this package by nothing else.

    describe                 every family's presets and fields, as JSON
    resolve FAMILY           stdin {"preset", "set"} -> the full checked config, as JSON
    data synth|import|check  prepare data
    forecast                 forecast with a checkpoint
    convert                  a checkpoint for other runtimes
    evaluate RUN_FOLDER      score a finished model on data that the folder's spec.json names
    FAMILY RUN_FOLDER        train what the folder's spec.json says

Exit codes: 0 ok, 2 bad input, 3 data, 4 out of memory, 5 not a number, 143 stopped after saving, 1 our own mistake.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import NoReturn

from trainers.errors import ConfigError, TrainerError, did_you_mean
from trainers.loading import loading

COMMANDS = ("describe", "resolve", "data", "forecast", "convert", "evaluate")
AT_EXIT = {"torch._dynamo", "tensorboard"}
"""What still has something to do when Python ends: compilers to stop, a queue to write."""


def main(argv: list[str]) -> int:
    try:
        return _run(argv)
    except TrainerError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return error.code
    except BrokenPipeError:
        return 1  # whoever read our output has gone


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if argv else 2
    command, rest = argv[0], argv[1:]
    if command == "describe":
        _no_more(command, rest, 0)
        from trainers.resolve import describe

        print(json.dumps(describe()))
        return 0
    if command == "resolve":
        _no_more(command, rest, 1)
        return _resolve(rest[0])
    if command == "data":
        from trainers.data.cli import main as data_main  # pandas: 0.3 s

        return int(data_main(rest))
    if command == "forecast":
        from trainers.forecast_cli import main as forecast_main  # torch and pandas

        return forecast_main(rest)
    if command == "convert":
        from trainers.convert import main as convert_main

        return convert_main(rest)
    if command == "evaluate":
        _no_more(command, rest, 1)
        from trainers.stop import Stop

        with Stop() as stop:
            with loading(stays=True):
                from trainers.holdout import run as evaluate
            return evaluate(rest[0], stop)
    from trainers.family import FAMILIES

    if command not in FAMILIES:
        known = (*COMMANDS, *FAMILIES)
        raise ConfigError(f"Unknown command or family '{command}'.{did_you_mean(command, known)} "
                          f"Known: {', '.join(known)}.")  # fmt: skip
    _no_more(command, rest, 1)
    from trainers import launch

    launch.attend()
    count = launch.processes(rest[0])
    if count > 1:
        spec = sys.modules["__main__"].__spec__
        module = spec.name.removesuffix(".__main__") if spec else "trainers"
        return launch.launch(count, module, argv, rest[0])
    from trainers.stop import Stop

    with Stop() as stop:  # before torch is loaded, which takes a second or two
        with loading(stays=True):
            from trainers.run import run
        return run(command, rest[0], stop)


def _resolve(family: str) -> int:
    from trainers.resolve import data_paths, resolve

    try:
        asked = json.loads(sys.stdin.read() or "{}")
    except ValueError as error:
        raise ConfigError(f"stdin is not JSON ({error}).") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("set") or {}, dict):
        raise ConfigError('stdin: expected an object like {"preset": null, "set": {"train.lr": "3e-4"}}.')
    config = resolve(family, asked.get("preset"), asked.get("set"))
    from trainers.family import config_module

    preset = asked.get("preset") or config_module(family).DEFAULT_PRESET
    print(json.dumps({"preset": preset, "config": config.as_dict(), "data_paths": data_paths(config)}))
    return 0


def _no_more(command: str, rest: list[str], count: int) -> None:
    if len(rest) != count:
        wanted = {"describe": "no arguments", "resolve": "FAMILY"}.get(command, "RUN_FOLDER")
        raise ConfigError(f"`python -m trainers {command}` takes {wanted}; got {' '.join(rest) or 'nothing'}.")


def leave(code: int) -> NoReturn:
    """End this process. One that has loaded torch ends at once: taking that apart would hold its GPU for 0.5 s more."""
    if "torch" in sys.modules and not AT_EXIT & sys.modules.keys():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
