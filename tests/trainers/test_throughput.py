"""Rates: what is counted, what is left out, and the peak they are compared with."""

from __future__ import annotations

import pytest

from trainers.throughput import Meter, peak_flops


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_warm_up_waits_for_the_device_once_and_is_not_counted() -> None:
    clock, waits = Clock(), []
    meter = Meter(windows=8, flops=300.0, peak=1000.0, warm=2, clock=clock)
    meter.points = 20
    for seconds in (50.0, 30.0, 1.0, 3.0):
        clock.now += seconds
        meter.step(lambda: waits.append(clock.now))
    assert waits == [80.0]
    assert meter.read() == pytest.approx(
        {"steps_per_s": 0.5, "windows_per_s": 4.0, "points_per_s": 80.0, "data_share": 0.0, "mfu": 1.2}
    )


def test_nothing_is_told_while_nothing_was_counted() -> None:
    meter = Meter(8, 1.0, None, warm=3)
    for _ in range(3):
        meter.step(lambda: None)
        assert meter.read() == {}


def test_a_pause_is_left_out_and_waiting_is_told_as_a_share() -> None:
    clock = Clock()
    meter = Meter(4, 1.0, None, warm=0, clock=clock)
    clock.now += 100.0
    meter.restart()
    with meter.waiting():
        clock.now += 1.0
    clock.now += 3.0
    meter.step(lambda: None)
    rates = meter.read()
    assert (rates["data_share"], rates["steps_per_s"]) == (0.25, 0.25)
    assert "mfu" not in rates


@pytest.mark.parametrize(
    ("device", "precision", "tf32", "peak"),
    [
        ("NVIDIA H200", "bf16", False, 989.4e12),
        ("NVIDIA H100 80GB HBM3", "fp16", False, 989.4e12),
        ("NVIDIA H100 PCIe", "bf16", False, 756e12),
        ("NVIDIA A100-SXM4-80GB", "fp32", False, 19.5e12),
        ("NVIDIA A100-SXM4-80GB", "fp32", True, 156e12),
        ("NVIDIA GeForce RTX 4090", "bf16", False, 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", False, None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16", False, None),
        ("Tesla V100-SXM2-16GB", "bf16", False, None),
        ("cpu", "fp32", False, None),
    ],
)
def test_the_peak_is_that_of_exactly_this_device(device: str, precision: str, tf32: bool, peak: float | None) -> None:
    assert peak_flops(device, precision, tf32) == peak
