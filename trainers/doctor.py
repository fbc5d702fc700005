"""Looks at a run's own numbers for what usually goes wrong, and says it once, with its evidence and one suggestion.

Pure: it is told the numbers of every metric line and validation, and returns what it finds. A finding is repeated only
after its condition has cleared. What it remembers is not saved: a resumed run is looked at afresh.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

FLAT_LINES = 20
"""Metric lines that must agree before the loss is called flat."""
FLAT_SPREAD = 1e-4
"""Largest spread of a flat loss, as a part of its size: batches differ far more than that as long as it learns."""
SPIKE = 10.0
"""A gradient norm so many times the median of late is a spike; it has cleared below SPIKE / 3."""
SPIKE_LINES = 10
RISING = 3
"""Validations in a row in which the validation loss rises and the training loss falls."""
RISEN = 0.01
"""What the validation loss must have gained on its best meanwhile, as a part of it: less is noise."""
NAIVE = 5
"""Validations in a row that are worse than naive before it is said."""
WAITING = 0.3
"""Part of the time spent waiting for data that is too much, in WAITING_LINES metric lines in a row."""
WAITING_LINES = 3


@dataclass(frozen=True)
class Finding:
    """text: what is wrong, with its numbers, in one sentence. evidence: the numbers alone."""

    code: str
    text: str
    suggestion: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """Those of the `warning` event; its text is what the engine shows, so it holds the suggestion too."""
        return {
            "code": self.code,
            "text": f"{self.text} {self.suggestion}",
            "evidence": dict(self.evidence),
            "suggestion": self.suggestion,
        }


class Doctor:
    """steps: the last step of the run. lr: its peak rate. clip: 0 if gradients are not clipped."""

    def __init__(self, steps: int, lr: float, clip: float) -> None:
        self.steps, self.peak, self.clip = steps, lr, clip
        self._sick: set[str] = set()
        self._losses: deque[float] = deque(maxlen=FLAT_LINES)
        self._norms: deque[float] = deque(maxlen=50)
        self._waiting = 0
        self._since: list[float] = []  # training losses since the last validation
        self._pairs: list[tuple[float, float]] = []  # (training loss, validation loss) at each validation
        self._worse = 0

    def line(
        self, step: int, loss: float, lr: float, grad_norm: float, data_share: float | None = None
    ) -> list[Finding]:
        """A metric line: the mean loss of its steps, the last rate, the largest gradient norm. All finite.

        data_share: part of the time spent waiting for data; None where it was not measured.
        """
        found = [
            self._rate(step, lr),
            self._flat(loss, grad_norm),
            self._spike(step, grad_norm),
            self._data_bound(data_share),
        ]
        self._since.append(loss)
        return [finding for finding in found if finding]

    def validation(self, metrics: Mapping[str, float]) -> list[Finding]:
        """A validation: val_loss, val_pct_mae and val_naive_pct_mae are looked at, where they are there."""
        return [finding for finding in (self._rising(metrics), self._naive(metrics)) if finding]

    # -- one condition each --------------------------------------------------------------------------------------------

    def _rate(self, step: int, lr: float) -> Finding | None:
        # the last update of a schedule may end at zero; before it, zero means that steps are wasted
        sick = lr <= 1e-9 * self.peak and step < self.steps
        return self._once(
            "lr-zero", sick, not sick,
            f"The learning rate is {lr:g} at step {step} of {self.steps}: the weights no longer change.",
            "Raise train.min_lr_ratio, or ask for fewer steps.", {"lr": lr, "step": step, "steps": self.steps},
        )  # fmt: skip

    def _flat(self, loss: float, grad_norm: float) -> Finding | None:
        self._losses.append(loss)
        spread = (max(self._losses) - min(self._losses)) / max(abs(loss), 1e-12)
        sick = len(self._losses) == FLAT_LINES and spread < FLAT_SPREAD
        none = grad_norm < 1e-8
        return self._once(
            "flat-loss", sick, not sick,
            f"The loss stays at {loss:.6g}: over {FLAT_LINES} metric lines it moved by {100 * spread:.2g} %, with a "
            f"gradient norm of {grad_norm:.2g}.",
            "No gradient arrives: look whether all that should train is trainable." if none
            else "Raise train.lr, or end the run here.",
            {"loss": loss, "spread": spread, "grad_norm": grad_norm},
        )  # fmt: skip

    def _spike(self, step: int, norm: float) -> Finding | None:
        usual = max(median(self._norms), 1e-12) if len(self._norms) >= SPIKE_LINES else math.inf
        sick, clear = norm > SPIKE * usual, norm < SPIKE / 3 * usual
        self._norms.append(norm)
        return self._once(
            "gradient-spike", sick, clear,
            f"The gradient norm was {norm:.3g} by step {step}, {norm / usual:.3g} times the median "
            f"of late ({usual:.3g})",
            "Lower train.lr if the loss jumps with it." if self.clip else "Set train.clip=1.",
            {"grad_norm": norm, "median": usual, "step": step, "clip": self.clip},
            f"; it was clipped at {self.clip:g}." if 0 < self.clip < norm else ".",
        )  # fmt: skip

    def _data_bound(self, share: float | None) -> Finding | None:
        if share is None:
            return None
        self._waiting = self._waiting + 1 if share > WAITING else 0
        return self._once(
            "data-bound", self._waiting >= WAITING_LINES, share < WAITING / 2,
            f"{100 * share:.0f} % of the time goes into waiting for data.",
            "Give the run more CPU threads (train.threads), or shorten data.context.", {"data_share": share},
        )  # fmt: skip

    def _rising(self, metrics: Mapping[str, float]) -> Finding | None:
        value = metrics.get("val_loss", math.nan)
        if not math.isfinite(value) or not self._since:
            return None
        self._pairs.append((sum(self._since) / len(self._since), value))
        self._since.clear()
        best = min(pair[1] for pair in self._pairs)
        late = self._pairs[-RISING - 1 :]
        steps = list(pairwise(late))
        apart = len(steps) == RISING and all(b[0] < a[0] and b[1] > a[1] for a, b in steps)
        sick = apart and value - best > RISEN * abs(best)
        cleared = bool(steps) and steps[-1][1][1] <= steps[-1][0][1]
        train, before = self._pairs[-1][0], late[0][0]
        return self._once(
            "overfitting", sick, cleared,
            f"The validation loss rose {RISING} times in a row, to {value:.5g} from its best of {best:.5g}, while the "
            f"training loss fell from {before:.5g} to {train:.5g}.",
            "Set train.patience to end such a run; the best checkpoint is kept either way.",
            {"val_loss": value, "best": best, "loss": train, "loss_before": before},
        )  # fmt: skip

    def _naive(self, metrics: Mapping[str, float]) -> Finding | None:
        ours, naive = (metrics.get(name, math.nan) for name in ("val_pct_mae", "val_naive_pct_mae"))
        if not (math.isfinite(ours) and math.isfinite(naive)):
            return None
        self._worse = self._worse + 1 if ours > naive else 0
        return self._once(
            "worse-than-naive", self._worse >= NAIVE, ours <= naive,
            f"After {self._worse} validations in a row the error is {ours:.5g} %, above the {naive:.5g} % of repeating "
            "the last price.",
            "Start from trained weights, or try a lower train.lr with more steps.",
            {"val_pct_mae": ours, "val_naive_pct_mae": naive, "validations": self._worse},
        )  # fmt: skip

    def _once(
        self, code: str, sick: bool, clear: bool, text: str, suggestion: str, evidence: Mapping[str, float | str],
        rest: str = "",
    ) -> Finding | None:  # fmt: skip
        """A finding where the condition begins. Between sick and clear nothing changes."""
        if sick and code not in self._sick:
            self._sick.add(code)
            return Finding(code, text + rest, suggestion, evidence)
        if clear and not sick:
            self._sick.discard(code)
        return None


def not_a_number(
    step: int,
    loss: float,
    norm: float,
    gradients: Iterable[tuple[str, float]],
    inputs_finite: bool,
    lr: float,
) -> Finding:
    """Where the first number that is none stood. gradients: (parameter, norm) in order of the forward pass.

    The backward pass goes from the last parameter to the first and what is no number spreads with it; so the last
    one hit is the nearest to where it began.
    """
    known = list(gradients)
    hit = [name for name, value in known if not math.isfinite(value)]
    which = "loss" if not math.isfinite(loss) else "gradient norm"
    value = loss if which == "loss" else norm
    text = f"The {which} is {value} at step {step}."
    if not inputs_finite:
        tensor, why = "batch.values", "The windows of that step hold values that are no numbers."
    elif which == "loss":
        tensor, why = "loss", "The windows of that step are numbers, so it began in the forward pass."
    elif hit:
        tensor = f"{hit[-1]}.grad"
        why = f"Nearest to the loss is {tensor} ({len(hit)} of {len(known)} gradients)."
    else:
        tensor, why = "grad_norm", "Every gradient is a number, but the sum of their squares is too large for one."
    suggestion = (
        "Look at the data with `engine data check`." if not inputs_finite
        else f"Lower train.lr ({lr:g}), warm up longer, or check the data."
    )  # fmt: skip
    evidence: dict[str, float | str] = {"step": step, "tensor": tensor, which.replace("gradient ", "grad_"): value}
    return Finding("nan", f"{text} {why}", suggestion, evidence)
