"""Columns known ahead: they run one patch early, they help, nothing is learned of them, and no target leaks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.trainers.conftest import Home
from trainers.data.dataset import load as load_data
from trainers.errors import ConfigError, DataError
from trainers.evaluate import forecasts
from trainers.forecast import Forecaster
from trainers.resolve import resolve
from trainers.toto.config import ModelConfig
from trainers.toto.family import TotoFamily
from trainers.toto.loss import next_patch_loss

FAMILY = TotoFamily()
P, T = 8, 32
LEVELS = (0.1, 0.5, 0.9)
SMALL = {"patch": P, "embed_dim": 32, "layers": 2, "heads": 2, "mlp_dim": 48, "components": 2, "space_every": 2}


def model(known=1, **fields):
    names = tuple(f"k{i}" for i in range(known))
    config = ModelConfig(**{**SMALL, **fields})
    return FAMILY.build(SimpleNamespace(model=config, data=SimpleNamespace(context=T, known_future=names)), 3, seed=2)


def windows(count=3, horizon=24, seed=0):
    """Target, covariate, and a flag known ahead."""
    generator = torch.Generator().manual_seed(seed)
    x = 100 + torch.randn(count, 3, T + horizon, generator=generator).cumsum(-1)
    x[:, 2] = 1.0 + torch.randint(0, 2, (count, T + horizon), generator=generator)
    return x


def seen(x):
    return torch.ones_like(x, dtype=torch.bool)


def ask(net, x, horizon, known=None):
    known = x[:, -net.known :, T : T + horizon] if known is None else known
    context = x[..., :T]
    return FAMILY.forecast(net, context, seen(context), horizon, LEVELS, 1, 16, known=(known, seen(known)))


@pytest.mark.parametrize("loss_on", ["all", "target"])
def test_the_loss_sees_them_one_patch_early_and_learns_the_others_only(loss_on):
    net, x = model(units="raw", loss_on=loss_on), windows(horizon=P)
    inputs = torch.cat([x[:, :2, :-P], x[:, 2:, P:]], dim=1)
    targets = 2 if loss_on == "all" else 1
    prediction = net(inputs, seen(inputs), None, targets)
    assert prediction.loc.shape[1] == targets
    wanted = next_patch_loss(prediction, x[:, :targets, P:], seen(x[:, :targets, P:]), per_series=True)
    assert torch.equal(FAMILY.loss(net, SimpleNamespace(values=x, mask=seen(x)), P), wanted)


@pytest.mark.parametrize("units", ["raw", "basis_points"])
def test_a_forecast_is_made_from_what_the_loss_was_made_from(units):
    """The last prediction of a training window is the forecast of its last patch."""
    net, x = model(units=units), windows(horizon=P)
    taken = []
    hook = net.register_forward_hook(lambda module, args, out: taken.append(args[0]))
    FAMILY.loss(net, SimpleNamespace(values=x, mask=seen(x)), P)
    hook.remove()
    with torch.no_grad():
        prediction = net.eval()(taken[0], seen(taken[0])).of(1)
    median = prediction.outcome.quantile(0.5)[:, 0, -1]
    made = median * prediction.scale[:, 0, -1:] + prediction.loc[:, 0, -1:]
    level = x[:, 0, :P].double().abs().mean(-1, keepdim=True) * 1e-4 if units == "basis_points" else 1.0
    torch.testing.assert_close(ask(net, x, P).point_BH, made * level, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("context", [T, T - 3])
def test_each_patch_of_a_forecast_knows_its_own_future_and_no_later_one(context):
    net, x = model(), windows()
    x = x[..., T - context :]

    def forecast(known):
        past = x[..., :context]
        return FAMILY.forecast(net, past, seen(past), 20, LEVELS, 1, 16, known=(known, seen(known))).quantiles_BHQ

    known = x[:, 2:, context : context + 20].clone()
    before = forecast(known)
    for patch in range(3):
        other = known.clone()
        other[..., patch * P : (patch + 1) * P] += 3.0
        after = forecast(other)
        assert torch.equal(after[:, : patch * P], before[:, : patch * P])
        assert not torch.equal(after[:, patch * P : (patch + 1) * P], before[:, patch * P : (patch + 1) * P])


def test_what_is_masked_ahead_reaches_no_forecast():
    net, x = model(), windows()
    known = x[:, 2:, T : T + P]
    mask = seen(known)
    mask[..., 3:5] = False
    past = x[..., :T]
    made = [
        FAMILY.forecast(net, past, seen(past), P, LEVELS, 1, 16, known=(torch.where(mask, known, junk), mask)).point_BH
        for junk in (0.0, float("nan"), 1e30)
    ]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_a_model_learns_to_use_what_is_known():
    """The target is a noisy level that a flag, fair coins all along, lifts: only the flag ahead tells the moves."""
    net = model(units="raw", anchor="none", loss_on="target").train()

    def sample(seed):
        x = windows(16, P, seed)
        noise = torch.randn(x.shape[0], T + P, generator=torch.Generator().manual_seed(seed + 10_000))
        x[:, 0] = 50 + 6 * x[:, 2] + 0.3 * noise
        x[:, 1] = 1.0
        return x

    optimizer = torch.optim.AdamW(net.parameters(), lr=6e-3, fused=True)
    for step in range(90):
        x = sample(step)
        loss = FAMILY.loss(net, SimpleNamespace(values=x, mask=seen(x)), P)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = sample(999)
    error = (ask(net, x, P).point_BH - x[:, 0, T:]).abs().mean()
    blind = (ask(net, x, P, known=3.0 - x[:, 2:, T:]).point_BH - x[:, 0, T:]).abs().mean()
    assert error < 1.0  # without the flag nobody can be nearer than 3 on average
    assert blind > 4.0


def test_the_number_of_known_variates_is_saved_with_the_model(tmp_path):
    net, x = model(), windows()
    FAMILY.save(net, tmp_path)
    again = FAMILY.load(tmp_path, "cpu")
    assert again.known == 1
    assert torch.equal(ask(net, x, 20).point_BH, ask(again, x, 20).point_BH)


@pytest.fixture
def known_home(home: Home):
    """Every symbol with a column of weekdays, known ahead."""
    for path in (home.root / "trainingdata").glob("*.csv"):
        frame = pd.read_csv(path)
        frame["Weekday"] = pd.to_datetime(frame["Date"]).dt.day_of_week + 1.0
        frame.to_csv(path, index=False)
    return home


SETS = {"data.context": T, "data.horizon": 10, "data.covariates": "volume", "data.known_future": "weekday",
        **{f"model.{k}": v for k, v in SMALL.items()}}  # fmt: skip


def test_no_evaluation_sees_its_targets_but_what_is_known_of_them(known_home):
    config = resolve("toto", None, SETS)
    dataset = load_data(config.data, known_home.root)
    assert dataset.variates == ("close", "volume", "weekday")
    net = FAMILY.build(config, 3, seed=0)

    def made(change):
        panel = dataset.panel
        (batch, _, before), *_ = forecasts(FAMILY, net, config, dataset, "val")
        values = panel.values.clone()
        for start in batch.starts.tolist()[:1]:
            change(values, slice(start + T, start + T + 10))
        (_, _, after), *_ = forecasts(FAMILY, net, config, replace(dataset, panel=replace(panel, values=values)), "val")
        return before.quantiles_BHQ[0], after.quantiles_BHQ[0]

    def targets(values, rows):
        values[:2, rows] *= 3.0

    def known(values, rows):
        values[2, rows] += 2.0

    assert torch.equal(*made(targets))
    assert not torch.equal(*made(known))


def test_forecasts_ask_for_what_must_be_known(known_home):
    code, folder = known_home.train("toto-0001", "toto", **{k.replace(".", "__"): v for k, v in SETS.items()},
                                    train__steps=3)  # fmt: skip
    assert code == 0
    forecaster = Forecaster(folder / "checkpoints" / "step-000003", "cpu")
    frame = pd.read_csv(known_home.root / "trainingdata" / "BBB.csv")
    table = pd.read_parquet(folder / "evaluation" / "val_forecasts.parquet").query("symbol == 'BBB'")
    recorded = table[table["origin"] == table["origin"].iloc[-1]]
    now = int((pd.to_datetime(frame["Date"]) <= recorded["origin"].iloc[0]).sum())
    ahead = frame.iloc[: now + 10].copy()
    ahead.loc[ahead.index[now:], ["Open", "High", "Low", "Close", "Volume"]] = np.nan
    out = forecaster.predict(ahead, horizon=10)
    np.testing.assert_allclose(out["0.5"][:P], recorded["p50"][:P], rtol=1e-5)  # later patches are drawn
    assert out["timestamp"].tolist() == pd.to_datetime(ahead["Date"].iloc[now:]).tolist()
    other = ahead.assign(Weekday=np.where(np.arange(now + 10) < now, ahead["Weekday"], 9.0))
    assert not np.allclose(forecaster.predict(other, horizon=10)["0.5"][:P], out["0.5"][:P], rtol=1e-7)
    with pytest.raises(DataError, match=r"column 'weekday' must be known for the 12 steps .* and is for 10: append"):
        forecaster.predict(ahead, horizon=12)
    with pytest.raises(DataError, match=r"known for the 5 steps after .*, and is for 0"):
        forecaster.predict(frame, horizon=5)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"data.known_future": "volume"}, r"data.known_future = volume names a column twice, or the target or a cov"),
        ({"data.known_future": "Close"}, r"data.known_future = Close names a column twice"),
    ],
)
def test_a_column_has_one_role(sets, message):
    with pytest.raises(ConfigError, match=message):
        resolve("toto", None, sets)


def test_what_cannot_reach_a_forecast_is_refused(known_home, capsys):
    with pytest.raises(ConfigError, match=r"without a layer over variates reaches no forecast: set model.space_every"):
        model(space_every=-1)
    code, _ = known_home.train("toy-0001", data__known_future="weekday")
    assert code == 2
    assert "data.known_future: toy cannot use what is known ahead" in capsys.readouterr().err
