"""The decision who starts where: known answers, and laws that hold for any queue."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.schedule import CPU, Holder, Slot, Want, decide

GPUS = [Slot("a", "GPU0", 10), Slot("b", "GPU1", 20)]


def test_most_free_memory_first():
    made = decide([Want("x", 1)], GPUS, 1, [])
    assert made.starts == [("x", ("b",))]


def test_no_gpu_means_cpu_slots():
    made = decide([Want("x", None), Want("y", None)], [], 1, [])
    assert made.starts == [("x", (CPU,))]
    assert made.reasons == {"y": "CPU slot busy: x"}


def test_a_gpu_that_others_use_is_busy_and_says_by_whom():
    slots = [
        Slot("a", "GPU0", 10, stranger="used by python (pid 8812, ann, 4.2 GiB)"),
        Slot("b", "GPU1", 5, holders=(Holder("toto-0001"),)),
    ]
    made = decide([Want("x", 1)], slots, 1, [])
    assert made.starts == []
    assert made.reasons["x"] == "GPU0 is used by python (pid 8812, ann, 4.2 GiB), GPU1 has toto-0001"


def test_a_run_of_two_gpus_keeps_the_idle_one_and_does_not_starve():
    slots = [Slot("a", "GPU0", 10), Slot("b", "GPU1", 20, holders=(Holder("toto-0001"),))]
    made = decide([Want("two", 2), Want("one", 1), Want("cpu", 0)], slots, 1, [])
    assert made.starts == [("cpu", (CPU,))]
    assert made.reasons["two"] == "needs 2 GPUs, 1 idle: GPU1 has toto-0001"
    assert made.reasons["one"] == "GPU0 is kept for two"


def test_more_gpus_than_there_are_is_said_and_holds_up_nobody():
    made = decide([Want("big", 3), Want("one", 1)], GPUS, 1, [])
    assert made.reasons == {"big": "needs 3 GPUs, this box has 2"}
    assert made.starts == [("one", ("b",))]


slots = st.lists(
    st.builds(
        Slot,
        uuid=st.uuids().map(str),
        label=st.just("GPU"),
        free=st.integers(0, 80),
        holders=st.sampled_from([(), (), (Holder("run"),)]),
        stranger=st.sampled_from(["", "", "somebody"]),
    ),
    max_size=8,
    unique_by=lambda slot: slot.uuid,
)
gpus = st.none() | st.integers(0, 9)


@given(st.lists(gpus, max_size=20), slots, st.integers(1, 4), st.integers(0, 4))
def test_laws(asked, slots, cpu_slots, cpu_busy):
    wants = [Want(f"r{index}", count) for index, count in enumerate(asked)]
    made = decide(wants, slots, cpu_slots, [f"c{index}" for index in range(cpu_busy)])
    started = dict(made.starts)
    assert {want.id for want in wants} == set(started) | set(made.reasons)
    assert not set(started) & set(made.reasons)
    assert all(made.reasons.values())
    given_out = [device for devices in started.values() for device in devices if device != CPU]
    assert len(given_out) == len(set(given_out))
    idle = {slot.uuid for slot in slots if slot.idle}
    assert set(given_out) <= idle
    on_cpu = [run for run, devices in started.items() if devices == (CPU,)]
    assert len(on_cpu) <= max(0, cpu_slots - cpu_busy)
    for want in wants:
        need = want.gpus if want.gpus is not None else min(1, len(slots))
        if want.id in started:
            assert len([device for device in started[want.id] if device != CPU]) == need
    # first come, first served: nobody of the same need is overtaken
    for earlier, later in itertools.pairwise(wants):
        if earlier.gpus == later.gpus and later.id in started:
            assert earlier.id in started
