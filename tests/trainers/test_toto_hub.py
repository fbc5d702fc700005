"""Released weights by name: found in the Hugging Face cache without a network, refused clearly without either."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch

from tests.trainers.conftest import SMALL, Home, call, events, lines
from trainers import hub
from trainers.data.dataset import load as load_data
from trainers.errors import ConfigError
from trainers.evaluate import forecasts
from trainers.resolve import resolve
from trainers.toto import weights
from trainers.toto.family import TotoFamily

RELEASED = Path(__file__).parents[1] / "fixtures" / "toto1" / "model"
NAME = "Datadog/Toto-Open-Base-1.0"
COMMIT = "0411ceb27bdf0411ceb27bdf0411ceb27bdf0411"
QUICK = {
    "model__weights": NAME, "data__context": 32, "data__horizon": 8, "train__steps": 3, "train__lr": 1e-3,
    "data__covariates": "",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache as its own tools leave it, with the reference model under the released name; and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ENGINE_HOME", str(tmp_path))
    store = tmp_path / "cache" / "models--Datadog--Toto-Open-Base-1.0"
    (store / "refs").mkdir(parents=True)
    (store / "refs" / "main").write_text(COMMIT)
    (store / "snapshots" / COMMIT).mkdir(parents=True)
    (store / "blobs").mkdir()
    for name in hub.FILES:
        shutil.copyfile(RELEASED / name, store / "blobs" / name)
        (store / "snapshots" / COMMIT / name).symlink_to(f"../../blobs/{name}")
    return store


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_name_is_found_in_the_cache_without_the_network(cache, no_network, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in (NAME, f"{NAME}@main", f"{NAME}@{COMMIT}"):
        found = hub.locate(name)
        assert found == hub.Found(cache / "snapshots" / COMMIT, COMMIT)
    assert weights.load(found.folder).config.embed_dim == 32


@pytest.mark.parametrize(
    ("variable", "below"), [("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")]
)
def test_the_cache_is_where_the_hubs_tools_keep_it(tmp_path, monkeypatch, variable, below):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert hub.cache() == tmp_path / below


def test_offline_and_not_cached_is_one_line_that_says_what_to_do(cache):
    with pytest.raises(
        ConfigError, match=r"HF_HUB_OFFLINE forbids .*: unset it, or fetch it with `hf download no/one`"
    ):
        hub.locate("no/one")
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE"):
        hub.locate(f"{NAME}@other")
    (cache / "blobs" / "model.safetensors").unlink()  # what an interrupted download leaves
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE"):
        hub.locate(NAME)


def test_without_the_extra_the_error_names_it(cache, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"huggingface_hub is not installed: `pip install 'paddock\[hub\]'`"):
        hub.locate("no/one")


def test_a_download_that_fails_is_one_line(cache, monkeypatch):
    """The real client, against an address where nothing listens."""
    import huggingface_hub

    monkeypatch.delenv("HF_HUB_OFFLINE")

    def download(*args, **kwargs):
        return original(*args, endpoint="http://127.0.0.1:1", local_files_only=True, **kwargs)

    original = huggingface_hub.hf_hub_download
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ConfigError, match=r"^[^\n]*could not be downloaded \([^\n]*check name and network[^\n]*$"):
        hub.locate("no/one")


def test_the_architecture_is_read_from_the_weights(cache):
    config = resolve("toto", "finetune", {"data.context": "32"})
    assert config.model.weights == NAME
    assert (config.model.patch, config.model.embed_dim, config.model.layers, config.model.components) == (8, 32, 4, 3)
    assert (config.model.anchor, config.model.units, config.model.dropout) == ("none", "raw", 0.0)
    assert config.train.lr < 1e-4
    other = resolve("toto", "base", {"model.weights": NAME, "model.embed_dim": 32, "model.dropout": "0.2"})
    assert other.model.dropout == 0.2
    assert other.model.mlp_dim == 64
    assert resolve("toto", "tiny", {}).model.patch == 16


@pytest.mark.parametrize(
    ("name", "value", "has"), [("embed_dim", 64, 32), ("patch", "16", 8), ("units", "basis_points", "raw")]
)
def test_architecture_by_hand_that_contradicts_the_weights_is_an_error(cache, name, value, has):
    message = rf"model.{name} = {value}, but the weights {NAME} have {has}: leave model.{name} out"
    with pytest.raises(ConfigError, match=message):
        resolve("toto", "finetune", {f"model.{name}": value})


def test_resolving_needs_neither_torch_nor_the_hubs_client(cache, tmp_path):
    program = (
        "import sys; from trainers.resolve import resolve; resolve('toto', 'finetune'); "
        "print([m for m in ('torch', 'huggingface_hub') if m in sys.modules])"
    )
    import os
    import subprocess

    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_missing_model_is_one_line_of_the_command(cache, tmp_path):
    done = call(tmp_path, "resolve", "toto", stdin='{"preset": "finetune", "set": {"model.weights": "no/one"}}')
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "model.weights = 'no/one' is neither a folder nor in the Hugging Face cache" in done.stderr


def test_a_fine_tuned_run_leaves_an_export_that_upstream_can_read(home: Home, cache):
    code, folder = home.train("toto-0001", "toto", **QUICK)
    assert code == 0
    (told,) = events(folder, "weights")
    assert (told["source"], told["revision"]) == (NAME, COMMIT)
    export = folder / "hf_export"
    assert sorted(p.name for p in export.iterdir()) == ["config.json", "model.safetensors"]
    # upstream's constructor takes exactly these keys, and finds scaler and distribution by these literal names
    assert json.loads((export / "config.json").read_text()) == json.loads((RELEASED / "config.json").read_text())
    ours, theirs = header(export), header(RELEASED)
    assert ours == theirs  # names, dtypes, shapes and places in the file; no metadata block
    best = folder / events(folder, "best")[-1]["path"]
    trained, exported = weights.load(best).state_dict(), weights.load(export).state_dict()
    assert all(torch.equal(trained[k], exported[k]) for k in trained)
    assert not torch.equal(exported["unembed.weight"], weights.load(RELEASED).state_dict()["unembed.weight"])


def test_the_loaded_weights_are_scored_before_the_first_step(home: Home, cache):
    code, folder = home.train("toto-0001", "toto", **{**QUICK, "train__lr": 0.02, "data__unseen": "CCC"})
    assert code == 0
    config = resolve(
        "toto", None, {k.replace("__", "."): v for k, v in {**SMALL, **QUICK}.items()} | {"data.unseen": "CCC"}
    )
    dataset = load_data(config.data, home.root)
    released = weights.load(RELEASED)
    metric_lines = [line for line in lines(folder, "metrics.jsonl") if "val_zeroshot_pct_mae" in line]
    assert [line["step"] for line in metric_lines] == [0, 3]
    for split in ("val", "test", "unseen"):
        made = json.loads((folder / "evaluation" / f"{split}.json").read_text())
        zero = made["baselines"]["zero_shot"]
        errors = []
        for batch, _, forecast in forecasts(TotoFamily(), released, config, dataset, split):
            last = batch.values[:, 0, 31:32]
            errors.append(((forecast.point_BH - batch.values[:, 0, 32:]) / last).abs())
        assert zero["pct_mae"] == pytest.approx(100 * torch.cat(errors).mean().item(), rel=1e-4)
        assert made["metrics"][f"{split}_zeroshot_pct_mae"] == zero["pct_mae"]
        assert made["metrics"][f"{split}_pct_mae"] != zero["pct_mae"]
        assert {"drift", "seasonal_naive", "zero_shot"} <= made["baselines"].keys()
    assert {line["val_zeroshot_pct_mae"] for line in metric_lines} == {
        json.loads((folder / "evaluation" / "val.json").read_text())["baselines"]["zero_shot"]["pct_mae"]
    }


def test_a_model_from_a_seed_has_no_zero_shot(home: Home):
    code, folder = home.train("toto-0001", "toto", data__context=32, train__steps=1)
    assert code == 0
    assert "zero_shot" not in json.loads((folder / "evaluation" / "val.json").read_text())["baselines"]
    assert not [line for line in lines(folder, "metrics.jsonl") if "val_zeroshot_pct_mae" in line]


def test_an_own_architecture_says_why_it_has_no_export(home: Home, capsys):
    code, folder = home.train("toto-0001", "toto", data__context=32, train__steps=1)
    assert code == 0
    assert not (folder / "hf_export").exists()
    assert "no hf_export: model.anchor = last is not known upstream" in capsys.readouterr().out


def header(folder):
    raw = (folder / "model.safetensors").read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
