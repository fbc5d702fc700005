"""`python -m trainers data synth|import|check`: stdout is data, stderr is talk.

Exit codes: 0 fine (oddities are told, not judged), 2 usage or a folder that cannot be written, 3 data that cannot be
used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from trainers.data.errors import DataError, plain


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message} (see `{self.prog} --help`)\n")


def main(argv: list[str]) -> int:
    try:
        args = _parser().parse_args(argv)
    except SystemExit as end:  # argparse has said what is wrong, or shown its help
        return int(end.code or 0)
    try:
        return int(args.run(args))
    except DataError as error:
        print(error, file=sys.stderr)
        return error.code
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{error.filename or 'data'}: cannot be written: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="engine data", description="Prepare the series that models are trained on.")
    commands = parser.add_subparsers(required=True, metavar="synth|import|check")
    synth = commands.add_parser("synth", help="write invented, stock-like series")
    synth.add_argument("--out", type=Path, default=Path("trainingdata"), help="folder (default: trainingdata)")
    synth.add_argument("--symbols", type=_between(1, 1000), default=12, help="how many (default: 12)")
    synth.add_argument("--days", type=_between(2, 20_000), default=1500, help="business days each (default: 1500)")
    synth.add_argument("--seed", type=_between(0, 2**63 - 1), default=7, help="decides every number (default: 7)")
    synth.add_argument("--force", action="store_true", help="replace synthetic data that are there")
    synth.add_argument("--dry-run", action="store_true", help="tell what would be written, and change nothing")
    synth.set_defaults(run=_synth)
    bring = commands.add_parser("import", help="check files and bring them into the workspace")
    bring.add_argument("source", type=Path, metavar="SRC", help="file or folder of CSV, Parquet or JSON")
    bring.add_argument("--to", type=Path, default=Path("trainingdata"), help="folder (default: trainingdata)")
    bring.add_argument("--skip-bad", action="store_true", help="leave out files that cannot be used")
    bring.add_argument("--replace", action="store_true", help="remove synthetic data that are there")
    bring.add_argument("--dry-run", action="store_true", help="tell what would be written, and change nothing")
    bring.set_defaults(run=_import)
    check = commands.add_parser("check", help="report on every symbol")
    check.add_argument("path", type=Path, nargs="?", default=Path("trainingdata"), metavar="PATH")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.add_argument("--skip-bad", action="store_true", help="leave out files that cannot be used")
    check.set_defaults(run=_check)
    return parser


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return number


def _synth(args: argparse.Namespace) -> int:
    from trainers.data.synth import write

    print(write(args.out, args.symbols, args.days, args.seed, args.force, rehearse=args.dry_run).said)
    return 0


def _import(args: argparse.Namespace) -> int:
    from trainers.data.importer import bring

    done = bring(args.source, args.to, skip_bad=args.skip_bad, replace=args.replace, rehearse=args.dry_run)
    for line in done.bad:
        print(f"left out: {line}", file=sys.stderr)
    for line in done.fixes:
        print(f"put right: {line}", file=sys.stderr)
    if done.ignored:
        print(f"not data: {', '.join(done.ignored[:8])}{' …' if len(done.ignored) > 8 else ''}", file=sys.stderr)
    total = len(done.new) + len(done.updated) + len(done.unchanged)
    removed = f"; removed {done.removed} synthetic files" if done.removed else ""
    print(
        f"{'Dry run: it would be ' if args.dry_run else ''}{_count(total, 'symbol')} in {args.to}: "
        f"{len(done.new)} new, {len(done.updated)} updated, {len(done.unchanged)} unchanged; "
        f"{_count(len(done.bad), 'file')} left out{removed}."
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    from trainers.data.check import check
    from trainers.data.read import read

    reading = read(args.path, skip_bad=args.skip_bad)
    reports = check(reading.series)
    if args.json:
        value = {
            "path": str(args.path),
            "synthetic": reading.synthetic,
            "files": len(reading.files),
            "symbols": [{**r.as_dict(), "problems": r.problems} for r in reports],
            "left_out": [{"file": e.file, "line": e.line, "column": e.column, "reason": e.reason} for e in reading.bad],
            "ignored": [str(f) for f in reading.ignored],
        }
        print(json.dumps(value, indent=1))
        return 0
    from tabulate import tabulate

    heads = ("symbol", "rows", "first", "last", "dup", "gaps", "missing", "price≤0", "bad bars", "vol 0", "splits?")
    rows = [
        (plain(r.symbol, 30), r.rows, r.first, r.last, r.duplicates, r.gaps, r.missing, r.nonpositive, r.bad_bars,
         r.zero_volume, len(r.splits))
        for r in reports
    ]  # fmt: skip
    print(tabulate(rows, heads, disable_numparse=True, colalign=("left", "right", "left", "left", *["right"] * 7)))
    odd = [(r, r.problems) for r in reports]
    for r, problems in odd:
        for line in (*problems, *(f"put right while reading: {f}" for f in r.fixes)):
            print(f"{plain(r.symbol, 30)}: {line}")
    for error in reading.bad:
        print(f"left out: {error}")
    kind = "synthetic " if reading.synthetic else ""
    count = sum(1 for _, problems in odd if problems)
    print(
        f"{_count(len(reports), kind + 'symbol')} in {_count(len(reading.files), 'file')}; "
        f"{count} with something to look at."
    )
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
