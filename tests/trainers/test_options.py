"""What the loop can be told, each in the path of real steps: schedules, fp16, compile, checkpointing, augmentation."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from engine import runlog
from tests.conftest import wait_for
from tests.trainers.conftest import Home, events, lines
from tests.trainers.test_loop import losses, newest, scores
from trainers import checkpoint, evaluate
from trainers import family as families
from trainers.data.dataset import load
from trainers.device import Placement, place
from trainers.errors import ConfigError, LossError
from trainers.loop import Loop
from trainers.resolve import from_dict, resolve
from trainers.toto.config import ModelConfig
from trainers.toto.family import TotoFamily
from trainers.train_config import TrainConfig


def loop_of(home: Home, run_id: str, precision: str = "fp32", **sets: Any) -> Loop:
    """A loop as run.py makes it, but on the CPU whatever the options ask for."""
    folder = home.make(run_id, **sets)
    config = from_dict("toy", json.loads((folder / "spec.json").read_text())["config"])
    runlog.open(folder)
    family, dataset = families.load("toy"), load(config.data, home.root)
    placement = Placement(torch.device("cpu"), precision)
    model = family.build(config, len(dataset.variates), config.train.seed)
    score = evaluate.Scorer(family, config, dataset, placement)
    about = {"family": "toy", "config": config.as_dict(), "variates": list(dataset.variates), "target": "close"}
    torch.manual_seed(0)
    return Loop(family, model, config, evaluate.TrainWindows(dataset), score, folder, about, placement, say=lambda _: 0)


def toto(dropout: float, layers: int = 4) -> tuple[TotoFamily, Any, Any]:
    """The family, a config with every other layer over variates, and a batch of random walks."""
    config = SimpleNamespace(
        model=ModelConfig(patch=8, embed_dim=16, layers=layers, heads=2, mlp_dim=24, space_every=2, dropout=dropout),
        data=SimpleNamespace(context=40, horizon=8),
    )
    values = 50 + torch.randn(3, 2, 48, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    return TotoFamily(), config, SimpleNamespace(values=values, mask=torch.ones_like(values, dtype=torch.bool))


def rates(folder: Path) -> list[float]:
    return [line["lr"] for line in lines(folder, "metrics.jsonl") if "lr" in line]


@pytest.mark.parametrize("schedule", ["cosine", "restarts", "onecycle", "plateau", "wsd"])
def test_the_first_update_runs_at_the_first_rate_of_the_rise(home: Home, schedule: str) -> None:
    rise = {"train__start_ratio": 0.2} if schedule == "onecycle" else {"train__warmup": 0.25}
    code, folder = home.train("toy-0001", train__steps=20, train__lr=1e-2, train__schedule=schedule, **rise)
    assert code == 0
    assert rates(folder)[0] == pytest.approx(2e-3)
    assert max(rates(folder)) == pytest.approx(1e-2)
    assert events(folder, "used")[0]["schedule"] == schedule


def test_a_plateau_cuts_the_rate_when_the_metric_no_longer_gains(home: Home) -> None:
    code, folder = home.train(
        "toy-0001", train__steps=60, train__eval_every=2, train__schedule="plateau", train__plateau_patience=2,
        train__plateau_factor=0.5, train__lr=0.3, train__warmup=0.0, train__min_lr_ratio=0.01,
    )  # fmt: skip
    assert code == 0
    flat, cuts, best = 0, 0, math.inf
    wanted = {}
    found = dict(zip(sorted(losses(folder)), rates(folder), strict=True))
    for step in range(1, 61):
        wanted[step] = 0.3 * max(0.01, 0.5**cuts)
        if step % 2 == 0:
            score = scores(folder)[step]
            flat = 0 if score < best else flat + 1
            best = min(best, score)
            if flat == 2:
                flat, cuts = 0, cuts + 1
    assert cuts >= 3
    assert found == pytest.approx(wanted)
    state = json.loads((newest(folder) / "state.json").read_text())
    assert (state["cuts"], state["flat"]) == (cuts, flat)


EVERYTHING: dict[str, Any] = {
    "train__steps": 28, "train__eval_every": 3, "train__save_every": 5, "train__ema": 0.9, "train__accumulate": 2,
    "train__optimizer": "muon", "train__schedule": "plateau", "train__plateau_patience": 1, "train__lr": 0.1,
    "train__checkpointing": True, "train__augment_noise": 0.5, "train__augment_scale": 0.2,
    "train__augment_time_mask": 0.3, "train__precision": "bf16",
}  # fmt: skip


def test_with_everything_on_a_killed_and_resumed_run_equals_an_uninterrupted_one(home: Home) -> None:
    _, whole = home.train("toy-0001", **EVERYTHING)
    used = events(whole, "used")[0]
    assert used["optimizer"] == "Muon(match_rms_adamw) of 1 matrices, AdamW(fused) of 4 other tensors"
    assert used["augment"] == ["noise", "scale", "time_mask"]
    assert used["checkpointing"] is True
    killed = home.make("toy-0002", **EVERYTHING, model__pause=0.1)
    process = home.start(killed)
    wait_for(lambda: len(scores(killed)) >= 4 and max(losses(killed)) > 16, "for step 17", 250)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    for path in checkpoint.all_in(killed):  # the pause is part of the model's config, which a resume must not change
        text = (path / "config.json").read_text()
        (path / "config.json").write_text(text.replace('"pause": 0.1', '"pause": 0.0'))
    code, resumed = home.train("toy-0002.2", resume_from="toy-0002", **EVERYTHING)
    assert code == 0
    assert losses(killed) | losses(resumed) == losses(whole)
    assert scores(killed) | scores(resumed) == scores(whole)
    assert rates(resumed) == rates(whole)[-len(rates(resumed)) :]
    one, other = (load_file(newest(f) / "state.safetensors") for f in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    read = [json.loads((newest(f) / "state.json").read_text()) for f in (whole, resumed)]
    assert read[0]["cuts"] > 1
    assert {**read[0], "seconds": 0} == {**read[1], "seconds": 0}


def test_another_optimizer_cannot_go_on_from_a_run(home: Home) -> None:
    home.train("toy-0001", train__steps=3)
    code, folder = home.train("toy-0001.2", train__steps=6, train__optimizer="muon", resume_from="toy-0001")
    assert code == 2
    assert "train.optimizer = muon cannot go on from toy-0001" in events(folder, "failed")[0]["cause"]


def test_augmentations_change_what_is_learned_from_and_never_what_is_scored(home: Home) -> None:
    still = {"train__steps": 4, "train__eval_every": 2, "train__lr": 1e-8, "model__dropout": 0.0}
    _, plain = home.train("toy-0001", **still)
    _, noisy = home.train("toy-0002", train__augment_noise=2.0, **still)
    assert list(scores(noisy).values()) == pytest.approx(list(scores(plain).values()), rel=1e-5)
    assert all(abs(losses(noisy)[step] / loss - 1) > 1e-2 for step, loss in losses(plain).items())


def test_a_change_of_level_is_refused_where_the_network_sees_every_level_alike() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.augment_scale = 0\.5 changes nothing with model\.units=basis_points"
    ):
        resolve("toto", "tiny", {"train.augment_scale": 0.5})
    made = resolve("toto", "tiny", {"train.augment_scale": 0.5, "model.units": "raw"})
    assert made.train.augment_scale == 0.5


# -- precision -----------------------------------------------------------------------------------------------------


def test_fp16_steps_through_the_loss_scale_and_leaves_an_overflow_out(home: Home) -> None:
    loop = loop_of(home, "toy-0001", "fp16", train__steps=9, model__dropout=0.0, train__clip=0.0, train__log_every=3)
    plain = loop_of(home, "toy-0002", "fp32", train__steps=9, model__dropout=0.0, train__clip=0.0)
    assert loop.scaler is not None
    loop.scaler.load_state_dict({**loop.scaler.state_dict(), "scale": 2.0**60})
    before = [p.detach().clone() for p in loop.parameters]
    loop.take_step()
    assert all(torch.equal(a, b) for a, b in zip(before, loop.parameters, strict=True))
    assert loop.scaler.get_scale() == 2.0**59

    loop.scaler.load_state_dict({**loop.scaler.state_dict(), "scale": 2.0**10})
    loop.progress.step, loop.sampler.position = 0, 0
    for _ in range(3):
        loop.take_step()
        plain.take_step()
    for p, q in zip(loop.parameters, plain.parameters, strict=True):
        torch.testing.assert_close(p, q, rtol=2e-2, atol=2e-3)
    runlog.open(loop.folder)
    loop.flush()
    line = lines(loop.folder, "metrics.jsonl")[-1]
    assert (line["skipped_steps"], line["loss_scale"]) == (1, 1024.0)
    assert math.isfinite(line["grad_norm"])


def test_the_loss_scale_goes_on_from_a_checkpoint(home: Home) -> None:
    loop = loop_of(home, "toy-0001", "fp16", train__steps=9)
    assert loop.scaler is not None
    loop.scaler.load_state_dict({**loop.scaler.state_dict(), "scale": 2.0**60})
    loop.take_step()
    loop.take_step()
    loop.save()
    again = loop_of(home, "toy-0002", "fp16", train__steps=9)
    again.resume(newest(loop.folder))
    assert again.scaler is not None
    assert again.scaler.state_dict() == loop.scaler.state_dict()
    loop.take_step()
    again.take_step()
    assert all(torch.equal(p, q) for p, q in zip(loop.parameters, again.parameters, strict=True))


def test_gradients_that_no_loss_scale_saves_stop_the_run(home: Home) -> None:
    loop = loop_of(home, "toy-0001", "fp16", train__steps=9, train__log_every=1)
    assert loop.scaler is not None
    loop.scaler.load_state_dict({**loop.scaler.state_dict(), "scale": 0.5})
    assert loop._overflows([1.0, math.inf]) == {1}
    with pytest.raises(LossError, match=r"overflow fp16 at step 0 even with a loss scale of 0\.5\."):
        loop._overflows([math.inf, math.inf])


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"train__precision": "fp16"}, "train.precision = fp16: this run computes on cpu"),
        ({"train__compile": "reduce-overhead"}, "train.compile = reduce-overhead: this run computes on cpu"),
        ({"train__offload": "optimizer"}, "train.offload = optimizer: this run computes on cpu"),
    ],
)
def test_what_the_cpu_cannot_do_is_refused(home: Home, sets: dict[str, Any], said: str) -> None:
    code, folder = home.train("toy-0001", train__steps=3, **sets)
    assert code == 2
    assert events(folder, "failed")[0]["cause"].startswith(said)


def test_offloading_averages_needs_averages() -> None:
    with pytest.raises(ValueError, match="there are no averages to offload"):
        TrainConfig(offload="both")
    with pytest.raises(ConfigError, match=r"train.device = cuda"):
        place("cuda", "fp16")


def test_offloaded_state_trains_and_resumes_as_state_on_the_device_does(home: Home) -> None:
    plain = loop_of(home, "toy-0001", train__ema=0.9, train__steps=9)
    loop = loop_of(home, "toy-0002", train__ema=0.9, train__offload="both", train__steps=9)
    assert loop.used()["optimizer"] == "AdamW(fused) on the CPU"
    for i in range(6):
        torch.manual_seed(i)
        plain.take_step()
        torch.manual_seed(i)
        loop.take_step()
        if i == 2:
            loop.save()
            path = newest(loop.folder)
            loop = loop_of(home, "toy-0003", train__ema=0.9, train__offload="both", train__steps=9)
            loop.resume(path)
    assert all(torch.equal(p, q) for p, q in zip(loop.parameters, plain.parameters, strict=True))
    assert loop.ema is not None
    assert plain.ema is not None
    for name, mean in plain.ema.tensors().items():
        assert torch.equal(mean, loop.ema.tensors()[name])


# -- compile and checkpointing -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # inductor's own import
def test_the_compiled_network_is_what_the_loss_calls(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inductor would build kernels for half a minute here: its graphs are traced, counted and run as they are."""
    from torch._inductor import compile_fx

    graphs, calls = [], []

    def as_traced(graph: torch.fx.GraphModule, _: object, **__: object) -> Any:
        graphs.append(graph)

        def run(*args: torch.Tensor) -> Any:
            calls.append(len(args))
            return graph.forward(*args)

        return run

    monkeypatch.setattr(compile_fx, "compile_fx", as_traced)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    torch._dynamo.reset()
    same = {"train__steps": 4, "train__batch": 32, "model__dropout": 0.0, "train__accumulate": 2}
    plain = loop_of(home, "toy-0001", **same)
    loop = loop_of(home, "toy-0002", train__compile="default", **same)
    assert loop.used()["compile"] == "default"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(home.root / "runs" / ".engine" / "inductor")
    for _ in range(4):
        plain.take_step()
        loop.take_step()
    assert len(graphs) == 1  # every part has one shape
    assert len(calls) == 4 * 2
    assert sum(node.op.startswith("call") for node in graphs[0].graph.nodes) >= 3
    assert all(torch.equal(p, q) for p, q in zip(loop.parameters, plain.parameters, strict=True))
    loop.save()
    assert load_file(newest(loop.folder) / "model.safetensors").keys() == dict(loop.model.named_parameters()).keys()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_toto_is_one_graph_under_compile_and_its_gradients_agree() -> None:
    """With a graph for every piece, CUDA graphs and fusion would have little to work on. With checkpointing."""
    family, config, batch = toto(dropout=0.0, layers=2)
    plain, model = (family.build(config, 2, seed=0).train() for _ in range(2))
    family.checkpoint_layers(model)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)
    for network in (plain, compiled):
        family.loss(network, batch, 8).backward()
    for (name, p), q in zip(plain.named_parameters(), model.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None, name
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_gradients_with_and_without_checkpointing_agree_for_every_parameter() -> None:
    family, config, batch = toto(dropout=0.2)
    found: list[dict[str, torch.Tensor]] = []
    passes = []
    for again in (False, True):
        model = family.build(config, 2, seed=0).train()
        if again:
            family.checkpoint_layers(model)
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        for layer in model.transformer.layers:
            layer.register_forward_pre_hook(counted)
        torch.manual_seed(7)
        family.loss(model, batch, 8).backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
        passes.append(count)
    assert passes == [4, 8]
    for name, gradient in found[0].items():
        assert gradient is not None, name
        assert gradient.any(), name
        assert torch.equal(gradient, found[1][name]), name


def test_checkpointing_is_for_training_only() -> None:
    family = TotoFamily()
    model = family.build(SimpleNamespace(model=ModelConfig(), data=SimpleNamespace(context=32, horizon=8)), 1, seed=0)
    family.checkpoint_layers(model)
    seen: list[nn.Module] = []
    for layer in model.transformer.layers:
        layer.register_forward_pre_hook(lambda layer, _: seen.append(layer))
    family.forecast(model, torch.ones(1, 1, 32), torch.ones(1, 1, 32, dtype=torch.bool), 8, (0.5,), 0)
    assert len(seen) == len(model.transformer.layers)
