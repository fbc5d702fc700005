"""Forecasts against the reference numbers, and against recomputing every step, for shapes and lengths of many kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.plain_kronos import PlainKronos, PlainTokenizer, plain_forecast
from trainers.errors import ConfigError, LossError
from trainers.kronos import bars, generate, model, weights
from trainers.kronos.config import ModelConfig
from trainers.kronos.decode import decoded, forecast
from trainers.kronos.sampling import Sampling, draw

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kronos"
HISTORY, HORIZON = 64, 8
GREEDY = Sampling(top_k=1)


@pytest.fixture(scope="module")
def wanted():
    return {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(FIXTURES / "tiny.npz").items()}


@pytest.fixture(scope="module")
def released():
    parts = weights.load_tokenizer(FIXTURES / "tokenizer"), weights.load_predictor(FIXTURES / "model")
    return model.Kronos(ModelConfig(s1_bits=6, s2_bits=6, n_heads=6, d_model=48), *parts)


def parts(wanted):
    """Raw history, its stamps, stamps ahead."""
    return wanted["in/raw"][:, :HISTORY], wanted["in/stamp"][:, :HISTORY], wanted["in/stamp"][:, HISTORY:]


def past_of(kronos, wanted, context):
    s1, s2 = kronos.tokenizer.encode(wanted["in/x"][:, :HISTORY])
    kept = min(HISTORY, context)
    return generate.Past(s1[:, -kept:], s2[:, -kept:], wanted["in/stamp"][:, HISTORY - kept : HISTORY], [kept] * 2)


@pytest.mark.parametrize("case", ["forecast", "forecast_slide"])
def test_greedy_forecast_is_the_reference_token_for_token(released, wanted, case):
    context = int(wanted[f"{case}/max_context"])
    past = past_of(released, wanted, context)
    with torch.no_grad():
        s1, s2 = generate.generate(released.predictor, past, wanted["in/stamp"][:, HISTORY:], 1, context, GREEDY, None)
        made = decoded(released.tokenizer, past, s1, s2, context)
    assert torch.equal(s1[:, 0], wanted[f"{case}/s1"])
    assert torch.equal(s2[:, 0], wanted[f"{case}/s2"])
    torch.testing.assert_close(made[:, 0], wanted[f"{case}/decoded"][:, -HORIZON:], rtol=0, atol=1e-5)
    raw = forecast(released, *parts(wanted), sampling=GREEDY, context=context)
    off = (raw[:, 0] - wanted[f"{case}/denormalised"]) / wanted["in/std"].unsqueeze(1)
    assert off.abs().max() < 1e-4  # of a deviation: prices are some hundreds of deviations from 0, in float32


def test_drawn_forecast_is_the_reference_at_its_seed(released, wanted):
    past, seeded = past_of(released, wanted, 72), torch.Generator().manual_seed(int(wanted["in/seed"]))
    sampling = Sampling(temperature=0.9, top_p=0.9)
    with torch.no_grad():
        ids = generate.generate(released.predictor, past, wanted["in/stamp"][:, HISTORY:], 3, 72, sampling, seeded)
        made = decoded(released.tokenizer, past, *ids, 72)
    torch.testing.assert_close(made.mean(1), wanted["forecast_sampled/decoded"][:, -HORIZON:], rtol=0, atol=1e-5)


def kronos_of(seed, layers=2, heads=2, width=16, bits=3):
    config = ModelConfig(
        s1_bits=bits, s2_bits=bits, n_layers=layers, n_heads=heads, d_model=width, ff_dim=24,
        tokenizer_d_model=8, tokenizer_n_heads=2, tokenizer_ff_dim=8,
    )  # fmt: skip
    made = model.build(config, seed).eval()
    with torch.no_grad():  # fresh weights give nearly flat logits, whose order rounding could decide
        made.predictor.head.proj_s1.weight *= 20
        made.predictor.head.proj_s2.weight *= 20
    return made


def plain_of(kronos):
    """The yardstick with the same weights: recomputes every step for every sample."""
    out = []
    for kind, part in ((PlainTokenizer, kronos.tokenizer), (PlainKronos, kronos.predictor)):
        with torch.device("meta"):
            made = kind(vars(part.config)).eval()
        made.load_state_dict(weights.to_hub(part.state_dict(), part.config), assign=True)
        out.append(made)
    return out


def walks(seed, series, length):
    """Bars [B,L,6] and stamps [B,L,5]."""
    draws = torch.Generator().manual_seed(seed)
    x = 100 + torch.randn(series, length, 6, generator=draws).cumsum(1)
    columns = [torch.randint(low, high, (series, length), generator=draws)
               for low, high in ((0, 60), (0, 24), (0, 7), (1, 32), (1, 13))]  # fmt: skip
    return x, torch.stack(columns, dim=-1).float()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 12)),
    horizon=st.integers(1, 14),
    context=st.integers(2, 16),
    sampling=st.sampled_from([GREEDY, Sampling(0.8, 3, 0.5), Sampling(1.3, 0, 0.7), Sampling(1.0, 0, 1.0)]),
    sizes=st.sampled_from([(1, 1, 8), (2, 2, 16), (3, 4, 24)]),
)
def test_forecast_is_that_of_recomputing_every_step(seed, shape, horizon, context, sampling, sizes):
    """Every sample at its seed, also when the window slides, past all of the history, and when a step is divided."""
    series, samples, length = shape
    kronos = kronos_of(seed % 7, *sizes)
    x, stamps = walks(seed, series, length + horizon)
    generate.ROWS, usual = 8, generate.ROWS  # sizes of tests take every way
    try:
        made = forecast(
            kronos, x[:, :length], stamps[:, :length], stamps[:, length:], samples=samples, sampling=sampling,
            context=context, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
    finally:
        generate.ROWS = usual
    scale = bars.measure(x[:, :length], [length] * series)
    history, (tokenizer, predictor) = bars.normalise(x[:, :length], scale), plain_of(kronos)
    told = sampling.temperature, sampling.top_k, sampling.top_p
    torch.manual_seed(seed)
    whole, *ids = plain_forecast(tokenizer, predictor, history, stamps, horizon, context, samples, *told)
    if horizon <= context:
        wanted = whole[:, :, -horizon:]
    else:  # upstream refuses; ours moves a whole window by half of itself
        before = (a.unsqueeze(1).expand(-1, samples, -1) for a in tokenizer.encode(history))
        lines = [torch.cat(both, dim=2).flatten(0, 1) for both in zip(before, ids, strict=True)]
        ends = [*range(length + context // 2, length + horizon, context // 2), length + horizon]
        starts = [max(0, end - context) for end in ends]
        windows = [tokenizer.decode(*(a[:, i:j] for a in lines)) for i, j in zip(starts, ends, strict=True)]
        new = [end - begin for begin, end in zip([length, *ends], ends, strict=False)]
        wanted = torch.cat([w[:, -n:] for w, n in zip(windows, new, strict=True)], dim=1).unflatten(0, (-1, samples))
    torch.testing.assert_close(made, bars.restore(wanted.detach(), scale), rtol=1e-4, atol=1e-3)


def test_a_long_forecast_of_one_series_is_that_of_recomputing_every_step():
    kronos, (x, stamps) = kronos_of(1), walks(1, 1, 60)
    made = forecast(kronos, x[:, :12], stamps[:, :12], stamps[:, 12:], sampling=GREEDY, context=60)
    scale = bars.measure(x[:, :12], [12])
    wanted, *_ = plain_forecast(*plain_of(kronos), bars.normalise(x[:, :12], scale), stamps, 48, 60, top_k=1)
    torch.testing.assert_close(made, bars.restore(wanted[:, :, 12:].detach(), scale), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("context", [24, 12])
def test_series_of_unequal_length_are_forecast_as_each_alone(context):
    """Padded together while no window slides (24); of the others, those equally long together (12)."""
    kronos = kronos_of(0)
    x, stamps = walks(0, 4, 23)
    history, lengths = slice(0, 17), [17, 3, 11, 3]
    made = forecast(
        kronos, x[:, history], stamps[:, history], stamps[:, 17:], lengths, samples=2, sampling=GREEDY, context=context
    )
    for b, length in enumerate(lengths):
        alone = (a[[b], 17 - length : 17] for a in (x, stamps))
        wanted = forecast(kronos, *alone, stamps[[b], 17:], sampling=GREEDY, context=context)
        torch.testing.assert_close(made[b, 0], wanted[0, 0], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(made[b, 1], made[b, 0])


def test_what_lies_before_a_series_reaches_no_forecast():
    kronos, (x, stamps) = kronos_of(0), walks(0, 2, 20)
    ahead, lengths = stamps[:, 14:], [14, 5]
    made = forecast(kronos, x[:, :14], stamps[:, :14], ahead, lengths, sampling=GREEDY)
    x[1, :9], stamps[1, :9] = float("nan"), 0
    again = forecast(kronos, x[:, :14], stamps[:, :14], ahead, lengths, sampling=GREEDY)
    assert torch.equal(made, again)


def test_the_model_forecasts_as_in_evaluation_and_keeps_its_mode():
    kronos, (x, stamps) = kronos_of(0), walks(0, 2, 20)
    told = (x[:, :14], stamps[:, :14], stamps[:, 14:])
    for block in kronos.predictor.transformer:
        block.ffn.dropout = 0.5
    made = forecast(kronos, *told, sampling=GREEDY)
    kronos.train()
    modes = [m.training for m in kronos.modules()]
    assert torch.equal(forecast(kronos, *told, sampling=GREEDY), made)
    assert [m.training for m in kronos.modules()] == modes
    assert not made.requires_grad
    made += 1.0  # no inference tensor: what comes of it may be changed


def test_a_seed_decides_the_paths_and_they_differ():
    kronos, (x, stamps) = kronos_of(0), walks(0, 2, 20)
    one, same, other = (
        forecast(kronos, x[:, :14], stamps[:, :14], stamps[:, 14:], samples=5, sampling=Sampling(4.0, 0, 1.0),
                 generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )  # fmt: skip
    assert one.shape == (2, 5, 6, 6)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert (one.std(dim=1).amax(dim=1) > 0).all()


def test_valid_candles_hold_open_and_close_and_have_volume():
    kronos, (x, stamps) = kronos_of(3), walks(0, 3, 40)
    x[..., 4:] -= 100  # around zero
    told = (x[:, :14], stamps[:, :14], stamps[:, 14:])
    raw, made = (
        forecast(kronos, *told, samples=8, candles=candles, generator=torch.Generator().manual_seed(0))
        for candles in (False, True)
    )
    open_, high, low, close, volume, amount = made.unbind(-1)
    assert (high >= torch.maximum(open_, close)).all()
    assert (low <= torch.minimum(open_, close)).all()
    assert volume.min() >= 0
    assert amount.min() >= 0
    assert torch.equal(made[..., [0, 3]], raw[..., [0, 3]])
    assert (raw[..., 1] < torch.maximum(raw[..., 0], raw[..., 3])).any()  # there was something to mend
    assert raw[..., 4:].min() < 0
    fine = (raw[..., 1] >= torch.maximum(open_, close)) & (raw[..., 2] <= torch.minimum(open_, close))
    assert torch.equal(made[fine][:, :4], raw[fine][:, :4])


@settings(max_examples=25, deadline=None)
@given(
    logits=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=9),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    top_k=st.integers(0, 10),
    top_p=st.floats(0.05, 1.0),
)
def test_draws_come_only_from_what_the_limits_leave(logits, temperature, top_k, top_p):
    made = draw(torch.tensor([logits]).expand(400, -1), Sampling(temperature, top_k, top_p), None)
    scaled = np.array(logits, np.float64) / temperature
    share = np.exp(scaled - scaled.max())
    share /= share.sum()
    order = np.argsort(-share)
    if top_k:
        allowed = {i for i, value in enumerate(logits) if value >= sorted(logits)[-min(top_k, len(logits))]}
    else:
        ahead = np.concatenate([[0.0], np.cumsum(share[order])[:-1]])
        allowed = set(order[ahead <= top_p + 1e-6].tolist())
        allowed |= {
            i for i, value in enumerate(logits) if value in {logits[j] for j in allowed}
        }  # equals, in any order
    assert set(made.tolist()) <= allowed
    assert int(order[0]) in allowed


def test_weights_that_are_no_numbers_forecast_nothing():
    kronos, (x, stamps) = kronos_of(0), walks(0, 1, 20)
    with torch.no_grad():
        kronos.predictor.norm.weight[0] = float("nan")
    with pytest.raises(LossError, match="not a number"):
        forecast(kronos, x[:, :14], stamps[:, :14], stamps[:, 14:])


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_impossible_sampling_is_one_clear_line(wrong):
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} = "):
        Sampling(**wrong)
