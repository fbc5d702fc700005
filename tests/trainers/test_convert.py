"""Checkpoints for other runtimes: what the graph says, and what is refused.

The files themselves are held against the model by `convert` each time, and in bench/export.py: the exporters take half
a minute of imports.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainers.conftest import Home
from trainers.convert import main
from trainers.errors import ConfigError, DataError
from trainers.family import load
from trainers.resolve import resolve

SMALL = {"model.embed_dim": 16, "model.layers": 1, "model.heads": 2, "model.mlp_dim": 16, "model.space_every": 1,
         "model.patch": 8, "data.context": 16, "data.horizon": 8, "train.steps": 1}  # fmt: skip


@pytest.fixture
def model(home: Home) -> Path:
    code, folder = home.train("toto-0001", "toto", **{name.replace(".", "__"): value for name, value in SMALL.items()})
    assert code == 0
    return next((folder / "checkpoints").iterdir())


@pytest.mark.parametrize("loss", ["gaussian", "quantile", "mae"])
def test_every_loss_has_its_outputs(loss: str) -> None:
    config = resolve("toto", "tiny", {"model.loss": loss, "model.layers": 1, "model.space_every": -1})
    family = load("toto")
    model = family.build(config, 1, 0).eval()
    portable = family.portable(model)
    values, observed = torch.rand(2, 1, 64) + 10, torch.ones(2, 1, 64, dtype=torch.bool)
    with torch.no_grad():
        found = portable(values, observed)
        ours = family.forecast(model, values, observed, 4, (0.5,), 0).point_BH
    assert len(found) == len(portable.outputs)
    torch.testing.assert_close(portable.read(found).quantile(0.5)[:, :4], ours.double(), rtol=1e-5, atol=1e-5)


def test_what_cannot_be_converted_is_said_and_leaves_nothing(home: Home, model: Path) -> None:
    code, toy = home.train("toy-0002", train__steps=1)
    assert code == 0
    other = next((toy / "checkpoints").iterdir())
    before = sorted(home.root.iterdir())
    for asked, error, said in (
        (["--to", "onnx", "--out", str(home.root)], ConfigError, "is there already"),
        (["--to", "onnx", "--out", str(home.root / "a" / "b")], ConfigError, "there is no folder"),
        (["--to", "torch", "--out", str(home.root / "x"), "--model", str(other)], ConfigError, "toy: this family"),
        (["--to", "torch", "--out", str(home.root / "x"), "--data", "nowhere"], DataError, "nowhere: not there"),
        (["--to", "hub", "--out", str(home.root / "x"), "--model", str(other)], ConfigError, "toy: this family"),
        (["--to", "hub", "--out", str(home.root / "x")], ConfigError, "model.anchor = last is not known upstream"),
        (["--to", "tflite", "--out", "x"], ConfigError, "invalid choice"),
    ):
        with pytest.raises(error, match=said):
            main(["--model", str(model), *asked])
    assert sorted(home.root.iterdir()) == before
