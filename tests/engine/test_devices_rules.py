"""The pure rules about devices: who uses one, and what CUDA_VISIBLE_DEVICES shows."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.devices import Devices, DeviceSample, ProcessSample, Sample, cuda_env, foreign, visible
from engine.host import Host
from tests.conftest import CHARACTERS

GIB, MIB = 1 << 30, 1 << 20


def sample(*processes: ProcessSample, used: int | None = 0, total: int | None = 80 * GIB) -> Sample:
    device = DeviceSample(
        uuid="GPU-1",
        index=0,
        name="H200",
        utilisation=0.0,
        memory_used=used,
        memory_total=total,
        memory_free=None,
        power=None,
        power_limit=None,
        temperature=None,
        processes=processes,
        mig=False,
        visible=True,
    )
    return Sample(t=0.0, devices=(device,))


def process(memory: int | None, kind: str = "compute", run: str | None = None, pid: int = 7) -> ProcessSample:
    return ProcessSample(pid, memory, "python", "ann", run, kind)


@pytest.mark.parametrize(
    ("who", "counts"),
    [
        (process(GIB), True),
        (process(None), True),
        (process(0), True),
        (process(GIB, run="toto-0001"), False),
        (process(900 * MIB, "graphics"), False),
        (process(None, "graphics"), False),
        (process(2 * GIB, "graphics"), True),
        (process(200 * MIB, "both"), False),
        (process(400 * MIB, "both"), True),
    ],
)
def test_who_makes_a_device_busy(who: ProcessSample, counts: bool) -> None:
    assert foreign(sample(who, used=who.memory or 0), "GPU-1") == ([who] if counts else [])


def test_memory_that_no_visible_process_accounts_for() -> None:
    limit = int(0.05 * 80 * GIB) + 512 * MIB
    assert foreign(sample(used=limit), "GPU-1") == []
    (hidden,) = foreign(sample(used=limit + 1), "GPU-1")
    assert (hidden.pid, hidden.memory, hidden.name) == (0, limit + 1, None)
    window = process(900 * MIB, "graphics")
    assert foreign(sample(window, used=limit), "GPU-1") == []
    assert foreign(sample(window, used=limit + GIB), "GPU-1")[0].pid == 0
    assert foreign(sample(process(GIB, run="toto-0001"), used=60 * GIB), "GPU-1") == []
    assert foreign(sample(used=None), "GPU-1") == []
    assert foreign(sample(used=GIB, total=None), "GPU-1") == []
    assert foreign(sample(), "GPU-2") == []


def test_the_environment_of_a_run_names_uuids() -> None:
    assert cuda_env(["GPU-1", "MIG-2"]) == "GPU-1,MIG-2"
    assert cuda_env([]) == ""


def test_devices_that_were_not_opened_are_none() -> None:
    devices = Devices(Path("/nonexistent/folder"), {})
    taken = devices.sample({})
    assert taken.why_none == "the devices have not been opened"
    assert taken.host is not None
    assert taken.host.disk_free is None
    devices.close()


def test_samples_survive_a_journey_through_json() -> None:
    before = msgspec.structs.replace(sample(process(GIB)), host=Host(Path(".")).sample())
    assert msgspec.json.decode(msgspec.json.encode(before), type=Sample) == before


def test_cpu_is_told_from_the_second_sample_on() -> None:
    host = Host(Path("."))
    first = host.sample()
    assert first.cpu is None
    assert first.cores >= 1
    assert first.memory_total is not None
    assert first.disk_free is not None
    deadline = time.monotonic() + 10
    while (cpu := host.sample().cpu) is None:  # the kernel counts in ticks of 10 ms
        assert time.monotonic() < deadline
    assert 0 <= cpu <= 100


UUIDS = st.lists(
    st.tuples(st.sampled_from(["GPU-", "MIG-"]), st.text("0123456789abcdef", min_size=4, max_size=6)),
    unique=True,
    max_size=6,
).map(lambda pairs: [(i // 2 if kind == "MIG-" else i, kind + rest) for i, (kind, rest) in enumerate(pairs)])
ENTRY = st.one_of(
    st.integers(-2, 8).map(str),
    st.sampled_from(["", " 1", "1 ", "+1", "1gpu", "x", "GPU-", "MIG-", "²", "9" * 5000]),
    st.text(CHARACTERS, max_size=4),
)


@given(st.one_of(st.none(), st.text(CHARACTERS), st.lists(ENTRY, max_size=5).map(",".join)), UUIDS)
def test_any_value_is_understood_or_complained_of(value: str | None, devices: list[tuple[int, str]]) -> None:
    shown, complaint = visible(value, devices)
    assert shown <= {uuid for _, uuid in devices}
    if complaint is not None:
        assert value is not None
        assert value.strip()
        assert "\n" not in complaint.replace(value, "")


@given(UUIDS, st.data())
def test_what_we_set_for_a_run_shows_just_its_devices(devices: list[tuple[int, str]], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["GPU-", "MIG-"]))
    whole = [d for d in devices if d[1].startswith(kind)]
    unique = [u for _, u in whole if not any(o != u and o.startswith(u) for _, o in devices)]
    chosen = data.draw(st.lists(st.sampled_from(unique), unique=True)) if unique else []
    assert visible(cuda_env(chosen), devices) == (frozenset(chosen), None)


@given(UUIDS, st.lists(st.integers(0, 5), unique=True), st.integers(6, 99), st.lists(ENTRY, max_size=3))
def test_an_entry_that_fits_nothing_hides_what_follows(
    devices: list[tuple[int, str]], good: list[int], bad: int, rest: list[str]
) -> None:
    known = {index for index, _ in devices}
    good = [number for number in good if number in known]
    want = frozenset(uuid for index, uuid in devices if index in good)
    shown, complaint = visible(",".join([*map(str, good), str(bad), *rest]), devices)
    assert shown == want
    assert complaint is not None
    assert repr(str(bad)) in complaint


def test_no_variable_shows_all_and_minus_one_nothing() -> None:
    devices = [(0, "GPU-1"), (1, "GPU-2")]
    assert visible(None, devices) == (frozenset({"GPU-1", "GPU-2"}), None)
    for none in ("", " ", "-1"):
        assert visible(none, devices) == (frozenset(), None)


def test_a_gpus_number_stands_for_its_slices() -> None:
    devices = [(0, "MIG-1"), (0, "MIG-2"), (1, "GPU-3")]
    assert visible("0", devices)[0] == {"MIG-1", "MIG-2"}
    assert visible("MIG-2", devices)[0] == {"MIG-2"}
    assert visible("MIG-", devices)[0] == frozenset()
