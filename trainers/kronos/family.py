"""Kronos as the shared loop and the forecaster see it.

B windows, V variates (0 is the target), T time, H horizon, S paths, Q levels.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers import optim
from trainers.family import Sampled
from trainers.kronos import decode, weights, windows
from trainers.kronos import model as whole
from trainers.kronos.config import COLUMNS, ModelConfig, not_alike
from trainers.kronos.model import Kronos
from trainers.kronos.sampling import Sampling
from trainers.lengths import Lengths
from trainers.quantiles import quantiles

RESIDENT = 1 << 30
"""Bytes of tokens that are kept without being asked for."""


class KronosFamily:
    name = "kronos"
    stamps = True

    def build(self, config: Any, variates: int, seed: int) -> Kronos:
        """A model from config.model: from the weights it names, else from the seed."""
        del variates
        made = whole.build(config.model, seed)
        made.where = windows.places([c.strip().lower() for c in config.data.variates])
        return made

    def loss(self, model: nn.Module, batch: Any, horizon: int) -> Tensor:
        """The loss of config.phase over the whole window, history and future alike, normalised by the history.

        Of the predictor, the mean over each window's observed bars, then over windows. Of the tokenizer in evaluation,
        the mean squared error of what it makes of all bits.
        """
        kronos = _kronos(model)
        if isinstance(batch, windows.Tokens):
            s1, s2 = batch.values.long().unbind(-1)
            out = model(None, batch.stamps, (s1, s2), batch.valid)
        elif isinstance(batch, windows.Bars):
            out = model(batch.values, batch.stamps, None, batch.valid)
        else:
            x = windows.features(batch.values, batch.mask, kronos.where)
            x = windows.normalised(x, x.shape[-1] - horizon)
            out = model(x, batch.stamps, None, windows.valid(batch.mask, kronos.where))
        alone = kronos.config.phase == "tokenizer" and not kronos.training
        return out["mse" if alone else "loss"]  # type: ignore[no-any-return]

    def forecast(
        self,
        model: nn.Module,
        values_BVT: Tensor,
        mask_BVT: Tensor,
        horizon: int,
        levels: tuple[float, ...],
        seed: int,
        samples: int | None = None,
        stamps: Tensor | None = None,
    ) -> Sampled:
        """The horizon after the last of T, from sampled paths of bars. point is the median.

        stamps: [B,T+H,5]. Rows before a series' first observed close are left out of it. Draws depend on the seed and
        on which series are asked for together.
        """
        paths = self.paths(model, values_BVT, mask_BVT, horizon, seed, samples, stamps)
        kronos = _kronos(model)
        target = paths[..., kronos.where.index(0)].double()  # [B,S,H]
        last = values_BVT[:, 0, -1:].double()
        asked = tuple(sorted({*levels, 0.5}))
        found = quantiles(target.transpose(1, 2), asked)
        return Sampled(
            point_BH=found[..., asked.index(0.5)],
            mean_BH=target.mean(1),
            quantiles_BHQ=found[..., [asked.index(level) for level in levels]],
            up_BH=(target > last.unsqueeze(1)).double().mean(1),
        )

    def paths(
        self,
        model: nn.Module,
        values_BVT: Tensor,
        mask_BVT: Tensor,
        horizon: int,
        seed: int,
        samples: int | None = None,
        stamps: Tensor | None = None,
    ) -> Tensor:
        """Sampled bars [B,S,H,6] in the data's units, features as COLUMNS names them. See `forecast`."""
        kronos = _kronos(model)
        config: ModelConfig = kronos.config
        T = values_BVT.shape[-1]
        if stamps is None or stamps.shape[1] != T + horizon:
            raise ValueError(f"stamps: expected those of {T} rows and of the {horizon} that follow")
        history = windows.features(values_BVT, mask_BVT, kronos.where).transpose(1, 2)
        seen = mask_BVT[:, kronos.where[3]]
        lengths = torch.where(seen.any(-1), T - seen.long().argmax(-1), T).tolist()
        return decode.forecast(
            kronos,
            history,
            stamps[:, :T],
            stamps[:, T:],
            lengths,
            samples=samples or config.samples,
            sampling=Sampling(config.temperature, config.top_k, config.top_p),
            generator=torch.Generator(values_BVT.device).manual_seed(seed),
            candles=config.candles,
        )

    columns = COLUMNS

    # -- how a run goes ------------------------------------------------------------------------------------------------

    def scores(self, config: Any) -> bool:
        return config.model.phase != "tokenizer"  # type: ignore[no-any-return]

    def before(self, config: Any) -> Any:
        """Of both phases the tokenizer's: its own steps and rate, judged by its reconstruction."""
        m: ModelConfig = config.model
        if m.phase != "both":
            return None
        alone = replace(
            config,
            model=replace(m, phase="tokenizer", weights="", tune="all"),
            train=replace(config.train, steps=m.tokenizer_steps, lr=m.tokenizer_lr, eval_every=0, patience=0),
            eval=replace(config.eval, metric="val_loss", folds=0),
        )
        return "tokenizer", alone

    def continued(self, model: nn.Module, earlier: nn.Module) -> None:
        """Take over the tokenizer that the phase before has trained."""
        _kronos(model).tokenizer.load_state_dict(_kronos(earlier).tokenizer.state_dict())

    def training_windows(self, model: nn.Module, config: Any, dataset: Any, lengths: Lengths, steps: int) -> Any:
        """Tokens kept for all training windows, where config.model.pretokenise says so or it pays; else bars.

        Never tokens while the tokenizer itself learns.
        """
        m: ModelConfig = config.model
        kronos = _kronos(model)
        augmented = bool(config.train.augment_noise or config.train.augment_time_mask)
        if m.phase == "tokenizer":
            return windows.FreshWindows(dataset, kronos.where, augmented)
        largest, count = lengths.largest(), dataset.windows()["train"]
        size = 4 * count * largest.length
        why = ""
        if m.pretokenise == "no":
            why = "model.pretokenise=no"
        elif m.pretokenise == "auto":
            why = not_alike(config.train)
            if steps * lengths.mean_windows <= count:
                why = "windows come once"
            elif size > RESIDENT:
                why = f"it would take {size / 2**20:.0f} MiB"
        if why:
            return windows.FreshWindows(dataset, kronos.where, augmented, why)
        return windows.TokenWindows(dataset, kronos.tokenizer, kronos.where, largest)

    def parameter_groups(self, model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices decay; biases and norm scales do not (upstream's fine-tuning decays all alike)."""
        hidden = "coder." if _kronos(model).config.phase == "tokenizer" else "transformer."
        return optim.default_groups(model, weight_decay, hidden=hidden)

    def checkpoint_layers(self, model: nn.Module) -> None:
        _kronos(model).checkpoint_blocks()

    # -- files ---------------------------------------------------------------------------------------------------------

    def save(self, model: nn.Module, folder: Path) -> None:
        """The predictor in the hub's layout, the tokenizer likewise in tokenizer/."""
        whole.save(_kronos(model), Path(folder))

    def export(self, model: nn.Module, folder: Path) -> str:
        """The same without our own key: upstream's classes load the folder, and its tokenizer/.

        Of a run that trained a tokenizer alone, that.
        """
        if _kronos(model).config.phase == "tokenizer":
            weights.save(_kronos(model).tokenizer, Path(folder))
            return ""
        whole.save(_kronos(model), Path(folder), hub=True)
        return ""

    def load(self, folder: Path, device: torch.device | str) -> Kronos:
        made = whole.load(Path(folder), device)
        about = json.loads((Path(folder) / "config.json").read_text())
        made.where = windows.places(about["variates"])
        return made

    def flops_per_window(self, config: Any, variates: int) -> float:
        """Of one forward pass over a training window, tokenising it included; a multiply-add is two."""
        m: ModelConfig = config.model
        T = int(config.data.context + config.data.horizon)

        def blocks(count: int, width: int, hidden: int) -> int:
            return count * (4 * width * width + 3 * width * hidden + T * width)

        t, d = m.tokenizer_d_model, m.d_model
        encoder = blocks(m.tokenizer_n_enc_layers - 1, t, m.tokenizer_ff_dim) + t * (6 + m.s1_bits + m.s2_bits)
        if m.phase == "tokenizer":
            decoder = blocks(m.tokenizer_n_dec_layers - 1, t, m.tokenizer_ff_dim) + t * (6 + m.s1_bits + m.s2_bits)
            return float(2 * T * (encoder + 2 * decoder))  # both reconstructions
        head = d * (2**m.s1_bits + 2**m.s2_bits)
        return float(2 * T * (encoder + 2 * d * d + blocks(m.n_layers, d, m.ff_dim) + 4 * d * d + T * d + head))


def _kronos(model: nn.Module) -> Kronos:
    """The network itself, also from inside a wrapper such as torch.compile's or DDP's."""
    inner = getattr(model, "module", getattr(model, "_orig_mod", model))
    if not isinstance(inner, Kronos):
        raise TypeError(f"expected a Kronos model, got {type(inner).__name__}")
    return inner
