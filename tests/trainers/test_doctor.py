"""The training doctor: every condition found once, with its numbers, and again only after it cleared."""

from __future__ import annotations

import math

import pytest

from trainers.doctor import FLAT_LINES, NAIVE, RISING, WAITING_LINES, Doctor, Finding, not_a_number


@pytest.fixture
def doctor() -> Doctor:
    return Doctor(steps=1000, lr=1e-3, clip=1.0)


def feed(doctor: Doctor, count: int, first: int = 1, lr: float = 1e-3, norm: float = 1.0) -> list[Finding]:
    """Lines of an ordinary run: a noisy, falling loss."""
    found = []
    for step in range(first, first + count):
        found += doctor.line(step, 1.0 / step + 0.01 * (step % 3), lr, norm)
    return found


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found]


def test_an_ordinary_run_is_left_alone(doctor: Doctor) -> None:
    for turn in range(20):
        assert feed(doctor, 40, first=1 + 40 * turn) == []
        assert doctor.validation({"val_loss": 1 / (turn + 1), "val_pct_mae": 1.0, "val_naive_pct_mae": 1.1}) == []


def test_a_rate_of_zero_is_told_once_and_again_after_it_was_not(doctor: Doctor) -> None:
    found = [doctor.line(step, 1 / step, 0.0 if step in (2, 3, 5) else 1e-3, 1.0) for step in range(1, 6)]
    assert [codes(f) for f in found] == [[], ["lr-zero"], [], [], ["lr-zero"]]
    assert found[1][0].text == "The learning rate is 0 at step 2 of 1000: the weights no longer change."
    assert found[1][0].fields() == {
        "code": "lr-zero",
        "text": f"{found[1][0].text} Raise train.min_lr_ratio, or ask for fewer steps.",
        "evidence": {"lr": 0.0, "step": 2, "steps": 1000},
        "suggestion": "Raise train.min_lr_ratio, or ask for fewer steps.",
    }


def test_a_schedule_may_end_at_zero() -> None:
    assert Doctor(steps=5, lr=1e-3, clip=0.0).line(5, 1.0, 0.0, 1.0) == []


def test_a_flat_loss_is_told_with_the_gradient_in_mind() -> None:
    for norm, advice in ((1.0, "Raise train.lr"), (0.0, "No gradient arrives")):
        doctor = Doctor(1000, 1e-3, 1.0)
        found = [f for step in range(1, FLAT_LINES + 5) for f in doctor.line(step, 0.7 + 1e-6 * (step % 2), 1e-3, norm)]
        assert codes(found) == ["flat-loss"]
        assert found[0].evidence["spread"] == pytest.approx(1e-6 / 0.7, rel=1e-3)
        assert found[0].suggestion.startswith(advice)


def test_a_gradient_spike_is_told_against_the_median(doctor: Doctor) -> None:
    feed(doctor, 20, norm=0.5)
    found = doctor.line(21, 0.1, 1e-3, 6.0)
    assert codes(found) == ["gradient-spike"]
    assert found[0].evidence == {"grad_norm": 6.0, "median": 0.5, "step": 21, "clip": 1.0}
    assert "12 times the median of late (0.5); it was clipped at 1." in found[0].text
    assert doctor.line(22, 0.1, 1e-3, 6.0) == []  # still high
    assert doctor.line(23, 0.11, 1e-3, 0.5) == []  # cleared
    assert codes(doctor.line(24, 0.12, 1e-3, 7.0)) == ["gradient-spike"]


def test_no_spike_is_called_before_there_is_a_usual(doctor: Doctor) -> None:
    assert feed(doctor, 3, norm=0.1) + doctor.line(4, 0.3, 1e-3, 1e6) == []


def test_waiting_for_data_is_told_after_some_lines(doctor: Doctor) -> None:
    shares = [0.9] * (WAITING_LINES - 1) + [None] + [0.9, 0.9, 0.2, 0.9, 0.9, 0.9, 0.1, 0.5, 0.5, 0.5]
    found = [codes(doctor.line(step, 1 / step, 1e-3, 1.0, share)) for step, share in enumerate(shares, 1)]
    assert [step for step, f in enumerate(found) if f] == [WAITING_LINES, len(shares) - 1]
    assert found[WAITING_LINES] == ["data-bound"]


def validate(doctor: Doctor, train: float, val: float) -> list[Finding]:
    doctor.line(1, train, 1e-3, 1.0)
    return doctor.validation({"val_loss": val})


def test_validation_rising_while_training_falls_is_told_once(doctor: Doctor) -> None:
    found = [validate(doctor, 1.0 - 0.05 * i, 1.0 + 0.1 * i) for i in range(RISING + 3)]
    assert [len(f) for f in found] == [0] * RISING + [1, 0, 0]
    (finding,) = found[RISING]
    assert finding.code == "overfitting"
    assert finding.evidence == pytest.approx({"val_loss": 1.3, "best": 1.0, "loss": 0.85, "loss_before": 1.0})
    assert validate(doctor, 0.6, 1.2) == []  # falls again
    assert [len(validate(doctor, 0.5 - 0.05 * i, 1.3 + 0.1 * i)) for i in range(RISING)] == [0] * (RISING - 1) + [1]


def test_both_losses_rising_or_mere_noise_is_no_overfitting(doctor: Doctor) -> None:
    assert not any(validate(doctor, 1 + 0.1 * i, 1 + 0.1 * i) for i in range(8))
    assert not any(validate(Doctor(10, 1e-3, 1.0), 1 - 0.1 * i, 1 + 1e-4 * i) for i in range(8))


def test_worse_than_naive_is_told_after_some_validations(doctor: Doctor) -> None:
    bad, good = {"val_pct_mae": 2.0, "val_naive_pct_mae": 1.5}, {"val_pct_mae": 1.4, "val_naive_pct_mae": 1.5}
    found = [doctor.validation(m) for m in [*[bad] * (NAIVE + 2), good, *[bad] * NAIVE]]
    assert [i for i, f in enumerate(found) if f] == [NAIVE - 1, 2 * NAIVE + 2]
    assert found[NAIVE - 1][0].evidence == {"val_pct_mae": 2.0, "val_naive_pct_mae": 1.5, "validations": NAIVE}
    assert doctor.validation({"val_loss": 1.0}) == []


@pytest.mark.parametrize(
    ("loss", "norm", "gradients", "inputs", "tensor", "said"),
    [
        (math.nan, math.nan, [math.nan] * 3, True, "loss", "The loss is nan at step 7. The windows"),
        (1.0, math.inf, [math.inf, math.nan, 1.0], True, "b.grad", "is b.grad (2 of 3 gradients)."),
        (1.0, math.inf, [1e30, 1e30, 1.0], True, "grad_norm", "Every gradient is a number"),
        (math.nan, math.nan, [math.nan] * 3, False, "batch.values", "hold values that are no numbers"),
    ],
)
def test_a_nan_is_told_with_the_tensor_it_stood_in(
    loss: float, norm: float, gradients: list[float], inputs: bool, tensor: str, said: str
) -> None:
    finding = not_a_number(7, loss, norm, zip("abc", gradients, strict=True), inputs, 1e-3)
    assert finding.code == "nan"
    assert finding.evidence["tensor"] == tensor
    assert said in finding.text
