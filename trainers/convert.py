"""A checkpoint for other programs, checked by numbers: `python -m trainers convert --to hub|onnx|torch|int8`.

hub is the layout that the family was released in, for upstream's own classes. onnx and torch (torch.export) hold the
network's forward pass; int8 is the ONNX file with weights of 8 bits and activations quantised as they come, with what
that costs in accuracy and gains in speed, measured on data of its kind.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import io
import json
import logging
import os
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trainers.errors import ConfigError, DataError, TrainerError

if TYPE_CHECKING:
    from torch import Tensor

    from trainers.forecast import Forecaster

FILES = {"onnx": "model.onnx", "torch": "model.pt2", "int8": "model.int8.onnx"}
KINDS = ("hub", *FILES)
WEIGHTS = "model.safetensors"
CLOSE = 1e-4
"""The most that a converted model may differ from the original, relative to the values' own size."""
WINDOWS = 256
ROUNDS = 9


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"convert: {message}. See `python -m trainers convert --help`.")


def main(argv: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m trainers convert", description="A checkpoint for other programs.", allow_abbrev=False
    )
    parser.add_argument("--model", default=None, help="checkpoint folder, or a .best_model_path file (default: ours)")
    parser.add_argument("--to", required=True, choices=KINDS, help="hub, onnx, torch (torch.export) or int8 (ONNX)")
    parser.add_argument("--out", required=True, help="folder to make; must not be there yet")
    parser.add_argument("--data", default=None, help="file or folder to check with (default: what it was trained on)")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--dry-run", action="store_true", help="convert and check it, and leave nothing behind")
    asked = parser.parse_args(argv)
    out = Path(asked.out)
    if out.exists():
        raise ConfigError(f"--out {out}: is there already; name a folder that is not.")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}.")
    needs(asked.to)
    from trainers.forecast import load_forecaster

    forecaster = load_forecaster(asked.model, "cpu")
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    beside.mkdir()
    try:
        if asked.to == "hub":
            report = hub(forecaster, beside)
        else:
            report = convert(forecaster, asked.to, beside, Path(asked.data) if asked.data else None)
        (beside / "conversion.json").write_text(json.dumps(report, indent=1))
        if not asked.dry_run:
            beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if asked.dry_run:
        print(f"engine: dry run: {out} would be written; what was made to check it is gone.", file=sys.stderr)
    print(json.dumps({"path": str(out), **report}) if asked.json else _told(out, report))
    return 0


def needs(kind: str) -> None:
    """Raise ConfigError, with what to install, where a package is missing."""
    from importlib.util import find_spec

    onnx = ("onnx", "onnxscript", "onnxruntime") if kind in ("onnx", "int8") else ()
    missing = [name for name in onnx if find_spec(name) is None]
    if missing:
        raise ConfigError(f"--to {kind} needs {', '.join(missing)}: pip install 'paddock[onnx]'.")


def hub(forecaster: Forecaster, folder: Path) -> dict[str, Any]:
    """Write the layout of the release into the folder; its weights must be the checkpoint's, byte for byte.

    Raises ConfigError for a family without one, and for a model that upstream's classes could not run.
    """
    export = getattr(forecaster.family, "export", None)
    if export is None:
        raise ConfigError(f"{forecaster.family.name}: this family has no layout on the hub; use load_forecaster.")
    if why := export(forecaster.model, folder):
        raise ConfigError(f"No hub layout: {why}")
    weights = sorted(path.relative_to(folder) for path in folder.rglob(WEIGHTS))
    for path in weights:
        if not filecmp.cmp(folder / path, forecaster.path / path, shallow=False):
            raise TrainerError(f"{path} read back is not what {forecaster.path} holds; nothing was written.")
    return {
        "format": "hub",
        "family": forecaster.family.name,
        "checkpoint": str(forecaster.path),
        "weights": [str(path) for path in weights],
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def convert(forecaster: Forecaster, kind: str, folder: Path, data: Path | None = None) -> dict[str, Any]:
    """Write FILES[kind] into the folder and give what was checked.

    Raises ConfigError for a family that has no portable form, TrainerError when the numbers do not agree.
    """
    import torch

    portable = getattr(forecaster.family, "portable", None)
    if portable is None:
        raise ConfigError(
            f"{forecaster.family.name}: this family's forward pass can't be exported; use load_forecaster."
        )
    module = portable(forecaster.model).eval()
    windows = list(_windows(forecaster, data))
    values, observed = windows[0][0][:3], windows[0][1][:3]
    with torch.no_grad(), _quiet():
        shape = {0: torch.export.Dim("batch", min=1, max=4096)}
        exported = torch.export.export(module, (values, observed), dynamic_shapes={"values": shape, "observed": shape})
        report: dict[str, Any] = {
            "format": kind,
            "family": forecaster.family.name,
            "checkpoint": str(forecaster.path),
            "inputs": {"values": "float32 [B, V, T]", "observed": "bool [B, V, T]"},
            "variates": list(forecaster.variates),
            "length": values.shape[2],
            "steps": forecaster.config.model.patch,
            "loss": forecaster.config.model.loss,
            "outputs": list(module.outputs),
        }
        if kind == "torch":
            torch.export.save(exported, folder / FILES[kind])
            loaded = torch.export.load(folder / FILES[kind]).module()
            report |= _checked(module, lambda v, m: loaded(v, m), windows)
        else:
            plain = folder / FILES["onnx"]
            names = {"input_names": ["values", "observed"], "output_names": list(module.outputs)}
            torch.onnx.export(exported, dynamo=True, verbose=False, **names).save(str(plain))
            report |= _checked(module, _session(plain), windows)
            if kind == "int8":
                report |= _quantised(module, plain, folder / FILES["int8"], windows)
                plain.unlink()
    report["bytes"] = sum(path.stat().st_size for path in folder.iterdir())
    return report


def _windows(forecaster: Forecaster, data: Path | None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Up to WINDOWS windows of the data in batches: values and observed [B,V,T], the context in whole patches, and
    target [B,P]."""
    import torch

    from trainers.data.panel import Panel
    from trainers.data.read import read
    from trainers.resolve import workspace

    config, patch = forecaster.config.data, forecaster.config.model.patch
    path = data or workspace() / config.path
    if not path.exists():
        raise DataError(f"{path}: not there; --data names data to check the conversion with.")
    panel = Panel.build(read(path, forecaster.variates, skip_bad=True).series, forecaster.variates)
    context = -(-config.context // patch) * patch
    length = context + patch
    first, last = panel.offsets[:-1], panel.offsets[1:] - length
    rooms = [torch.arange(int(a), int(b) + 1, patch) for a, b in zip(first, last, strict=True) if b >= a]
    if not rooms:
        raise DataError(f"{path}: no symbol has the {length} rows that a check needs.")
    starts = torch.cat(rooms)
    starts = starts[torch.linspace(0, len(starts) - 1, min(WINDOWS, len(starts))).long()]
    for at in range(0, len(starts), 64):
        found = panel.gather(starts[at : at + 64], length)
        yield found.values[..., :context], found.mask[..., :context], found.values[:, 0, context:]


Run = Callable[["Tensor", "Tensor"], Sequence["Tensor"]]


def _checked(module: Any, run: Run, windows: list[Any]) -> dict[str, Any]:
    """The largest relative difference of any output; TrainerError where it is more than CLOSE."""
    worst = 0.0
    for values, observed, _ in windows:
        for ours, theirs in zip(module(values, observed), run(values, observed), strict=True):
            worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max().clamp_min(1e-12)))
    if not worst <= CLOSE:
        raise TrainerError(
            f"The converted model differs by {worst:.2g} of its values; more than {CLOSE:g} is no conversion."
        )
    return {"windows": sum(len(values) for values, _, _ in windows), "largest_difference": worst}


def _quantised(module: Any, plain: Path, path: Path, windows: list[Any]) -> dict[str, Any]:
    """Write the int8 file; what it costs (pct_mae of the first patch) and what it gains (time, size)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(plain, path, weight_type=QuantType.QInt8)
    before, after = _session(plain), _session(path)
    errors = {"pct_mae": _pct_mae(module, before, windows), "int8_pct_mae": _pct_mae(module, after, windows)}
    values, observed, _ = windows[0]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for run, spent in zip((before, after), times, strict=True):
            begun = time.process_time()
            run(values, observed)
            spent.append(time.process_time() - begun)
    plain_s, int8_s = map(statistics.median, times)
    return {
        **errors,
        "loss_of_accuracy": errors["int8_pct_mae"] / errors["pct_mae"] - 1,
        "speed": plain_s / int8_s,
        "onnx_bytes": plain.stat().st_size,
        "int8_bytes": path.stat().st_size,
    }


def _pct_mae(module: Any, run: Run, windows: list[Any]) -> float:
    """Of the median forecast of the next patch, on original prices."""
    total, count = 0.0, 0
    for values, observed, target in windows:
        last = values[:, 0, -1:].double()
        error = (module.read(tuple(run(values, observed))).quantile(0.5) - target.double()).abs() / last.abs()
        total, count = total + float(error.sum()), count + error.numel()
    return 100 * total / count


def _session(path: Path) -> Run:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(values: Tensor, observed: Tensor) -> list[Tensor]:
        return [
            torch.from_numpy(x) for x in session.run(None, {"values": values.numpy(), "observed": observed.numpy()})
        ]

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters talk of things nobody here can change."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _told(out: Path, report: dict[str, Any]) -> str:
    if report["format"] == "hub":
        same = " and ".join(report["weights"])
        return f"{out}: {report['bytes'] / 2**20:.1f} MiB; {same} byte for byte as in the checkpoint."
    said = [
        f"{out / FILES[report['format']]}: {report['bytes'] / 2**20:.1f} MiB; on {report['windows']} windows it "
        f"differs by at most {report['largest_difference']:.1g} of its values."
    ]
    if report["format"] == "int8":
        said.append(
            f"int8: pct_mae {report['int8_pct_mae']:.4g} instead of {report['pct_mae']:.4g} "
            f"({100 * report['loss_of_accuracy']:+.2f} %), {report['speed']:.2f}x the speed, "
            f"{report['int8_bytes'] / report['onnx_bytes']:.2f} of the size."
        )
    return "\n".join(said)
