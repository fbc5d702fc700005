"""Kronos in the shared loop: its windows, both phases and their resume, kept tokens, forecasts, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.conftest import ROOT, Home, environment, events, lines
from trainers import checkpoint, load_forecaster
from trainers.convert import main as convert
from trainers.data.config import DataConfig
from trainers.data.dataset import load
from trainers.errors import ConfigError
from trainers.kronos import bars, weights, windows
from trainers.kronos.config import COLUMNS
from trainers.kronos.family import KronosFamily
from trainers.lengths import Lengths
from trainers.resolve import resolve
from trainers.run import run
from trainers.schedule import beta1
from trainers.train_config import TrainConfig

TINY: dict[str, Any] = {
    "model__d_model": 16, "model__n_layers": 1, "model__n_heads": 2, "model__ff_dim": 16, "model__s1_bits": 3,
    "model__s2_bits": 3, "model__tokenizer_d_model": 8, "model__tokenizer_n_heads": 2, "model__tokenizer_ff_dim": 8,
    "model__tokenizer_n_enc_layers": 2, "model__tokenizer_n_dec_layers": 2, "model__samples": 4,
    "model__tokenizer_steps": 6, "train__steps": 6, "train__eval_every": 3, "data__stride": 4,
}  # fmt: skip
FAMILY = KronosFamily()
ORDER = ("close", "open", "high", "low", "volume", "amount")


def rows(count: int, seed: int = 0) -> torch.Tensor:
    """[count,6,20] in the order of ORDER: prices around 100, volumes around 10^6."""
    chance = torch.Generator().manual_seed(seed)
    x = 100 + torch.randn(count, 6, 20, generator=chance).cumsum(-1)
    x[:, 4:] = 1e6 + 1e5 * torch.randn(count, 2, 20, generator=chance)
    return x


def test_features_are_in_order_and_what_is_missing_follows_the_rules():
    x, mask = rows(2), torch.ones(2, 6, 20, dtype=torch.bool)
    where = windows.places(ORDER)
    assert torch.equal(windows.features(x, mask, where), x[:, [1, 2, 3, 0, 4, 5]])
    made = x[:, 4] * x[:, :4].mean(1)
    without = windows.features(x[:, :5], mask[:, :5], windows.places(ORDER[:5]))
    torch.testing.assert_close(without[:, 5], made)
    mask[0, 4, 3] = mask[1, 5, 7] = False  # no volume here, no amount there
    some = windows.features(x, mask, where)
    assert some[0, 4:, 3].tolist() == [0.0, 0.0]
    torch.testing.assert_close(some[1, 5, 7], made[1, 7])
    assert some[1, 4, 7] == x[1, 4, 7]
    none = windows.features(x[:, :4], mask[:, :4], windows.places(ORDER[:4]))
    assert none[:, 4:].abs().max() == 0
    assert not windows.normalised(none, 15)[..., 4:].any()


def test_windows_are_normalised_by_their_history_alone():
    x = rows(3)
    before = x.clone()
    ours = windows.normalised(windows.features(x, torch.ones_like(x, dtype=torch.bool), windows.places(ORDER)), 15)
    assert torch.equal(x, before)
    raw = x[:, [1, 2, 3, 0, 4, 5]].transpose(1, 2)
    exact = bars.normalise(raw, bars.measure(raw[:, :15], [15] * 3))
    torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-5)
    x[..., 15:] *= 3
    later = windows.normalised(windows.features(x, torch.ones_like(x, dtype=torch.bool), windows.places(ORDER)), 15)
    assert torch.equal(later[:, :15], ours[:, :15])
    assert not torch.equal(later[:, 15:], ours[:, 15:])


@pytest.mark.parametrize("gaps", [False, True])
def test_windows_out_of_one_table_are_those_made_one_by_one(home: Home, gaps: bool) -> None:
    """Whole and shorter ones, as bars; as values where augmentation changes these first."""
    data = load(DataConfig(context=12, horizon=4, stride=3), home.root).with_stamps()
    where = windows.places([name for name in data.variates if name != "amount"])
    if gaps:
        for variate, step in ((where[3], 5), (where[4], 7)):
            data.panel.mask[variate, ::step] = False
    source = windows.FreshWindows(data, where, augmented=False)
    plain = windows.FreshWindows(data, where, augmented=True, why="they are changed")
    assert (source.used(), plain.used()["pretokenised"]) == ({}, "no: they are changed")
    numbers = torch.tensor([5, 0, len(source) - 1])
    for lengths in ((12, 4), (8, 2), ()):
        made, batch = source.gather(numbers, *lengths), plain.gather(numbers, *lengths)
        history = lengths[0] if lengths else 12
        wanted = windows.normalised(windows.features(batch.values, batch.mask, where), history)
        assert torch.equal(made.values, wanted)
        assert torch.equal(made.stamps, batch.stamps)
        if gaps:
            assert torch.equal(made.valid, batch.mask[:, where[3]])
        else:
            assert made.valid is None


def test_tokens_that_are_kept_are_those_made_on_the_fly(home: Home) -> None:
    config = DataConfig(context=12, horizon=4, stride=3)
    data = load(config, home.root).with_stamps()
    model = FAMILY.build(resolve("kronos", None, {k.replace("__", "."): v for k, v in TINY.items()}), 5, seed=0)
    lengths = Lengths(TrainConfig(horizons=(2, 4)), config)
    kept = windows.TokenWindows(data, model.tokenizer, model.where, lengths.largest())
    assert len(kept) == len(data.starts("train")) == data.windows()["train"]
    assert kept.table.dtype == torch.int16
    assert kept.used()["pretokenised_bytes"] == len(kept) * 16 * 2 * 2
    numbers = torch.tensor([5, 0, len(kept) - 1])
    for horizon in (2, 4):
        tokens = kept.gather(numbers, 12, horizon)
        batch = data.gather(data.starts("train")[numbers], 12, horizon)
        x = windows.normalised(windows.features(batch.values, batch.mask, model.where), 12)
        s1, s2 = model.tokenizer.encode(x)
        assert torch.equal(tokens.values.long(), torch.stack([s1, s2], dim=-1))
        assert torch.equal(tokens.stamps, batch.stamps)
        losses = []
        for some in (
            tokens,
            batch,
            windows.FreshWindows(data, model.where, augmented=False).gather(numbers, 12, horizon),
        ):
            torch.manual_seed(1)
            losses.append(FAMILY.loss(model.train(), some, horizon))
        assert losses[0] == losses[1] == losses[2]
    with pytest.raises(ValueError, match="context of 12, not 8"):
        kept.gather(numbers, 8, 4)


@pytest.mark.parametrize("phase", ["tokenizer", "both"])
def test_all_that_learns_has_a_gradient_and_parts_average_to_the_whole(phase: str) -> None:
    """What several processes and train.accumulate rely on."""
    asked = {**TINY, "model__phase": phase, "model__condition": "teacher", "model__tokenizer_zeta": 0}
    asked = {k.replace("__", "."): v for k, v in asked.items()}
    if phase == "tokenizer":
        asked = {k: v for k, v in asked.items() if k not in ("model.condition", "model.tokenizer_steps")}
    model = FAMILY.build(resolve("kronos", None, {**asked, "data.covariates": "open,high,low,volume,amount"}), 6, 0)
    x = rows(6)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[2, 0, 5:9] = mask[4, 0, :3] = False
    stamps = torch.ones(6, 20, 5, dtype=torch.uint8)

    def batch(some: slice) -> Any:
        return type("Batch", (), {"values": x[some], "mask": mask[some], "stamps": stamps[some]})

    whole = FAMILY.loss(model, batch(slice(0, 6)), 5)
    parts = [FAMILY.loss(model, batch(slice(i, i + 2)), 5) for i in (0, 2, 4)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)
    whole.backward()
    for name, p in model.named_parameters():
        assert (p.grad is not None) == p.requires_grad, name
        assert p.requires_grad == name.startswith("tokenizer." if phase == "tokenizer" else "predictor.")


def losses(folder: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in lines(folder, "metrics.jsonl") if "loss" in line}


def final(folder: Path) -> dict[str, torch.Tensor]:
    found = checkpoint.newest_with_state(folder)
    assert found is not None
    return load_file(found / "state.safetensors")


def test_both_phases_in_one_run_stopped_in_each_and_resumed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**TINY, "train__ema": 0.9, "train__epochs": None, "model__resid_dropout_p": 0.1, "model__samples": 3}
    asked = {k: v for k, v in asked.items() if v is not None}
    code, whole = home.train("kronos-0001", "kronos", **asked)
    assert code == 0
    used = events(whole, "used")[0]
    assert used["pretokenised_bytes"] > 0
    assert [e["name"] for e in events(whole, "phase")][:3] == ["load", "tokenizer", "train"]
    scored = [line for line in lines(whole, "metrics.jsonl") if "val_pct_mae" in line]
    assert scored
    assert {"val_loss", "val_naive_pct_mae", "val_skill"} <= set(scored[0])
    assert list(losses(whole / "tokenizer")) == list(range(1, 7))
    assert not [line for line in lines(whole / "tokenizer", "metrics.jsonl") if "val_pct_mae" in line]
    report = json.loads((whole / "evaluation" / "val.json").read_text())
    assert set(report["symbols"]) == {"AAA", "BBB", "CCC"}

    for run_id, parent, calls in (("kronos-0002", None, 4), ("kronos-0002.2", "kronos-0002", 6)):
        asked_so_far = iter(range(10**6))
        folder = home.make(run_id, "kronos", parent, **asked)
        assert run("kronos", folder, lambda limit=calls, n=asked_so_far: next(n) > limit) == 143  # type: ignore[misc]
    stopped = [home.root / "runs" / name for name in ("kronos-0002", "kronos-0002.2")]
    assert 0 < len(losses(stopped[0] / "tokenizer")) < 6
    assert not losses(stopped[0])
    assert 0 < len(losses(stopped[1])) < 6
    code, resumed = home.train("kronos-0002.3", "kronos", resume_from="kronos-0002.2", **asked)
    assert code == 0
    assert losses(stopped[0] / "tokenizer") | losses(stopped[1] / "tokenizer") == losses(whole / "tokenizer")
    assert losses(stopped[1]) | losses(resumed) == losses(whole)
    one, other = final(whole), final(resumed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)

    exported = whole / "hf_export"
    assert set(json.loads((exported / "config.json").read_text())) == {
        "s1_bits", "s2_bits", "n_layers", "d_model", "n_heads", "ff_dim", "ffn_dropout_p", "attn_dropout_p",
        "resid_dropout_p", "token_dropout_p", "learn_te",
    }  # fmt: skip
    best = Path(events(whole, "best")[-1]["path"])
    kept = FAMILY.load(whole / best, "cpu")
    again = weights.load_predictor(exported), weights.load_tokenizer(exported / "tokenizer")
    for part, mine in zip(again, (kept.predictor, kept.tokenizer), strict=True):
        assert all(torch.equal(p, mine.state_dict()[name]) for name, p in part.state_dict().items())
    later = home.root / "later"
    assert convert(["--model", str(whole / best), "--to", "hub", "--out", str(later)]) == 0
    for path in (p for p in exported.rglob("*") if p.is_file()):
        assert (later / path.relative_to(exported)).read_bytes() == path.read_bytes()
    _forecasts(home, whole / best)


def _forecasts(home: Home, path: Path) -> None:
    """The forecaster: the data's own calendar, paths and what is made of them, in prices."""
    forecaster = load_forecaster(path, "cpu")
    frame = pd.read_csv(home.root / "trainingdata" / "BBB.csv")
    made = forecaster.predict(frame, horizon=5, levels=(0.25, 0.75), seed=3)
    assert list(made.columns) == ["timestamp", "step", "mean", "up", "0.25", "0.75"]
    dates = pd.DatetimeIndex(made["timestamp"])
    assert (dates.day_of_week < 5).all()
    assert dates[0] > pd.Timestamp(frame["Date"].iloc[-1])
    assert made["up"].between(0, 1).all()
    paths = forecaster.paths(frame, horizon=5, seed=3)
    assert list(paths.columns) == ["timestamp", "step", "path", *COLUMNS]
    assert len(paths) == 5 * 3
    by_step = paths.groupby("step")["close"]
    np.testing.assert_allclose(made["mean"], by_step.mean(), rtol=1e-6)
    np.testing.assert_allclose(made["0.25"], by_step.quantile(0.25), rtol=1e-6)
    last = frame["Close"].iloc[-1]
    np.testing.assert_allclose(made["up"], by_step.agg(lambda close: (close > last).mean()))
    short = forecaster.predict(frame.tail(16), horizon=2)
    padded = forecaster.predict(frame.tail(30).tail(16), horizon=2)
    pd.testing.assert_frame_equal(short, padded)


def test_a_tokenizer_alone_is_judged_by_its_reconstruction_and_makes_no_forecast(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {k: v for k, v in TINY.items() if k != "model__tokenizer_steps"}
    code, folder = home.train("kronos-0001", "kronos", model__phase="tokenizer", **asked)
    assert code == 0
    assert not events(folder, "evaluation")
    assert not (folder / "evaluation").exists()
    told = {name for line in lines(folder, "metrics.jsonl") for name in line if name.startswith("val_")}
    assert told == {"val_loss"}
    assert "makes no forecast" in capsys.readouterr().out
    best = folder / events(folder, "best")[-1]["path"]
    with pytest.raises(ConfigError, match="makes no forecast by itself"):
        load_forecaster(best)
    weights.load_tokenizer(folder / "hf_export")
    only = {k: v for k, v in asked.items() if "tokenizer" not in k and "_bits" not in k}
    code, tuned = home.train("kronos-0002", "kronos", model__tokenizer=str(folder / "hf_export"), **only)
    assert code == 0
    spec = json.loads((tuned / "spec.json").read_text())["config"]["model"]
    assert (spec["phase"], spec["tokenizer_d_model"], spec["s1_bits"]) == ("predictor", 8, 3)
    weights_told = events(tuned, "weights")[0]
    assert weights_told["tokenizer"] == str(folder / "hf_export")
    assert "source" not in weights_told
    assert not (tuned / "tokenizer").exists()

    sets = {"model__weights": str(tuned / "hf_export"), "model__tokenizer": str(tuned / "hf_export" / "tokenizer"),
            "train__steps": 2, "train__eval_every": 0, "data__stride": 4, "model__samples": 4,
            "train__augment_noise": 0.1}  # fmt: skip
    code, again = home.train("kronos-0003", "kronos", **sets)
    assert code == 0
    assert events(again, "used")[0]["pretokenised"] == "no: windows come once"
    report = json.loads((again / "evaluation" / "val.json").read_text())
    before = json.loads((tuned / "evaluation" / "val.json").read_text())
    zero_shot = report["baselines"]["zero_shot"]["pct_mae"]
    assert zero_shot == pytest.approx(before["metrics"]["val_pct_mae"], rel=1e-6)
    assert report["metrics"]["val_zeroshot_pct_mae"] == zero_shot


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"model.phase": "predictor"}, "model.phase = predictor needs a tokenizer"),
        ({"data.covariates": "open,high"}, "lacks low"),
        ({"data.covariates": "open,high,low,vwap"}, "has vwap, which no bar has"),
        ({"model.phase": "tokenizer", "eval.metric": "val_skill"}, "eval.metric = val_skill: a tokenizer makes no"),
        ({"train.augment_scale": 0.1}, "train.augment_scale = 0.1 changes nothing"),
        ({"model.pretokenise": "yes", "train.augment_noise": 0.1}, "model.pretokenise = yes with train.augment_noise"),
        ({"model.pretokenise": "yes", "train.lookbacks": "32,64"}, "with several train.lookbacks"),
        ({"model.top_k": 5, "model.top_p": 0.5}, "model.top_p has no meaning with model.top_k=5"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(sets: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve("kronos", None, sets)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_tokenizer_run_is_judged_by_its_loss_without_being_asked() -> None:
    assert resolve("kronos", None, {"model.phase": "tokenizer"}).eval.metric == "val_loss"
    assert resolve("kronos", None, {}).eval.metric == "val_pct_mae"


def test_upstreams_recipe_moves_beta1_with_the_rate() -> None:
    fixture = ROOT / "tests" / "fixtures" / "kronos"
    sets = {"model.weights": str(fixture / "model"), "model.tokenizer": str(fixture / "tokenizer")}
    config = resolve("kronos", "upstream", sets)
    assert (config.model.phase, config.model.d_model) == ("predictor", 48)
    assert (config.train.batch, config.train.token_budget) == (50, 0)
    betas = [beta1(config.train, step, 1000) for step in range(1000)]
    assert (betas[0], min(betas), betas[-1]) == pytest.approx((0.95, 0.85, 0.95))
    assert betas.index(min(betas)) == 29


_RANKS = """
import os, sys
import torch
from torch.distributed import TCPStore
from trainers.launch import LEADER
from trainers.run import run

torch.set_num_threads(1)
ours, theirs = os.pipe()
ended, alive = os.pipe()  # closed by the end of all that hold it
if not os.fork():  # where the ranks meet: a port that nobody else can take, as torchrun keeps one
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(theirs, str(store.port).encode())
    os.close(alive)
    os.read(ended, 1)
    os._exit(0)
os.environ |= {LEADER: str(os.getpid()), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
               "MASTER_PORT": os.read(ours, 9).decode(), "TORCHELASTIC_USE_AGENT_STORE": "True"}
children = []
for rank in range(2):  # before torch has threads of its own: what costs is importing it
    child = os.fork()
    if not child:
        os.environ["RANK"] = str(rank)
        code = run("kronos", sys.argv[1])
        os._exit(code or 99 * ("torch._dynamo" in sys.modules))  # torch's compiler takes longer to load than torch
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.timeout(900)
def test_two_processes_train_both_phases_as_one_does(home: Home) -> None:
    asked = {**TINY, "model__condition": "teacher", "model__tokenizer_zeta": 0, "train__eval_every": 6}
    _, one = home.train("kronos-0001", "kronos", **asked)
    two = home.make("kronos-0002", "kronos", **asked, train__processes=2)
    done = subprocess.run(
        [sys.executable, "-c", _RANKS, str(two)], cwd=home.root, capture_output=True, text=True,
        env={**environment(home.root), "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("tokenizer", ""):
        ours, theirs = (losses(folder / part) for folder in (one, two))
        assert list(theirs) == list(range(1, 7))
        assert list(theirs.values()) == pytest.approx(list(ours.values()), rel=1e-5)
    assert events(two, "used")[0]["processes"] == 2
