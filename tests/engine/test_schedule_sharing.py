"""Sharing a device, keeping devices for who waits, going ahead of him, and limits: known answers, then laws."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import reasons
from engine.places import GIB, HEADROOM
from engine.schedule import CPU, Decision, Holder, Slot, Want, _Round, decide

NOON = time.mktime((2026, 3, 2, 12, 0, 0, 0, 0, -1))


def gpu(label: str, *holders: Holder, free: int = 24, total: int = 24, stranger: str = "") -> Slot:
    return Slot(label, label, free * GIB, total * GIB, holders, stranger)


def small(name: str, memory: float, **more: object) -> Want:
    return replace(Want(name, 1, memory=int(memory * GIB), share=True), **more)


def test_sharing_where_there_is_no_gpu_is_told():
    assert decide([small("x", 10)], [], 1, []).reasons == {"x": "needs 1 GPU, this box has 0"}


def test_of_many_that_share_each_has_its_own_reason_and_a_smaller_one_goes_ahead():
    wants = [small(f"r{n}", 20 + n) for n in range(9)] + [small("given", 99, given=True), small("little", 5)]
    made = decide(wants, [gpu("GPU0", free=80, total=80), gpu("GPU1", free=80, total=80, stranger="used by x")], 1, [])
    assert [run for run, _ in made.starts] == ["r0", "r1", "r2"]
    first = "r0, r1, r2 go first"
    assert made.reasons["r3"] == f"needs 23 GiB while 13 GiB are free on GPU0, GPU1 is used by x, {first}"
    assert made.reasons["r8"] == f"needs 28 GiB while 13 GiB are free on GPU0, GPU1 is used by x, {first}"
    assert made.reasons["given"] == "needs 99 GiB, the largest GPU here has 80 GiB"
    assert "kept for r3" in made.reasons["little"]


def test_two_that_share_get_one_gpu_and_the_third_is_told_what_is_missing():
    made = decide([small("x", 10), small("y", 10), small("z", 10)], [gpu("GPU0")], 1, [])
    assert made.starts == [("x", ("GPU0",)), ("y", ("GPU0",))]
    assert made.reasons["z"] == "needs 10 GiB while 2.8 GiB are free on GPU0, x, y go first"


def test_an_idle_gpu_is_taken_before_one_that_must_be_shared():
    made = decide([small("x", 4)], [gpu("GPU0", Holder("a", 4 * GIB, 4 * GIB), free=20), gpu("GPU1", free=16)], 1, [])
    assert made.starts == [("x", ("GPU1",))]


def test_who_does_not_share_is_never_joined_and_never_joins():
    alone, shared = gpu("GPU0", Holder("a")), gpu("GPU1", Holder("b", GIB, GIB), free=23)
    made = decide([Want("x", 1)], [alone, shared], 1, [])
    assert made.reasons["x"] == "GPU0 has a, GPU1 has b"
    assert decide([small("y", 2)], [alone], 1, []).reasons["y"] == "GPU0 has a"
    assert decide([small("y", 2)], [alone, shared], 1, []).starts == [("y", ("GPU1",))]


@pytest.mark.parametrize(
    ("holder", "free", "starts"),
    [
        (Holder("a", 10 * GIB, 10 * GIB), 14, True),
        (Holder("a", 10 * GIB, 2 * GIB), 22, True),  # what is promised and not taken yet is not free
        (Holder("a", 10 * GIB, 2 * GIB), 18, False),  # and somebody who can't be seen has 4 GiB
        (Holder("a", 2 * GIB, 14 * GIB), 10, False),  # it holds more than it was promised
        (Holder("a", 10 * GIB, None), 22, True),
    ],
)
def test_room_counts_promises_and_what_nvml_says(holder: Holder, free: int, starts: bool):
    assert bool(decide([small("x", 10)], [gpu("GPU0", holder, free=free)], 1, []).starts) is starts


def test_memory_given_by_hand_decides_alone_too():
    slots = [gpu("GPU0", free=8), gpu("GPU1", Holder("a"), total=80)]
    made = decide([Want("x", 1, memory=62 * GIB, given=True)], slots, 1, [])
    assert made.reasons["x"] == "needs 62 GiB while 8 GiB are free on GPU0, GPU1 has a"
    made = decide([Want("x", 1, memory=90 * GIB, given=True)], slots, 1, [])
    assert made.reasons["x"] == "needs 90 GiB, the largest GPU here has 80 GiB"
    made = decide([Want("x", 2, memory=62 * GIB, given=True)], slots, 1, [])
    assert made.reasons["x"] == "needs 2 GPUs of 62 GiB each, 1 of this box have that much"
    untold = Slot("u", "GPU0", 0, 0)  # NVML does not tell its memory
    assert decide([Want("x", 1, memory=62 * GIB, given=True)], [untold], 1, []).starts == [("x", ("u",))]
    # a prediction may be wrong: it never keeps a run from an idle GPU
    assert decide([Want("x", 1, memory=62 * GIB)], slots, 1, []).starts == [("x", ("GPU0",))]


def test_a_shorter_run_goes_ahead_only_if_it_has_ended_by_then():
    slots = [gpu("GPU0"), gpu("GPU1", Holder("a", until=NOON + 3600))]
    wants = [Want("two", 2), Want("unknown", 1), Want("long", 1, seconds=3000), Want("short", 1, seconds=2800)]
    made = decide(wants, slots, 1, [], now=NOON)
    assert made.starts == [("short", ("GPU0",))]
    assert made.reasons["two"] == "needs 2 GPUs, 1 idle: GPU1 has a until about 13:00"
    assert made.reasons["long"] == made.reasons["unknown"] == "GPU0 is kept for two, which can start about 13:00"
    ended_by_force = Want("limited", 1, seconds=9000, limit=3600)
    assert decide([wants[0], ended_by_force], slots, 1, [], now=NOON).starts == [("limited", ("GPU0",))]


def test_runs_that_share_do_not_starve_one_that_does_not():
    slots = [gpu("GPU0", Holder("a", GIB, GIB, until=NOON + 600), free=23)]
    made = decide([Want("alone", 1), small("b", 1), small("c", 1, seconds=60)], slots, 1, [], now=NOON)
    assert made.starts == [("c", ("GPU0",))]
    assert made.reasons["alone"] == "GPU0 has a until about 12:10"
    assert made.reasons["b"] == "GPU0 is kept for alone, which can start about 12:10"


def test_no_gpu_lies_idle_for_one_that_a_stranger_has():
    slots = [gpu("GPU0"), gpu("GPU1", stranger="used by python (pid 8812, ann, 4 GiB)")]
    made = decide([Want("two", 2), Want("one", 1)], slots, 1, [])
    assert made.starts == [("one", ("GPU0",))]
    assert made.reasons["two"] == "needs 2 GPUs, 1 idle: GPU1 is used by python (pid 8812, ann, 4 GiB)"


def test_limits_count_what_runs_and_what_starts():
    wants = [Want(name, 0, groups=("family:kronos",)) for name in ("x", "y")] + [Want("z", 0)]
    made = decide(wants, [], 4, [], limits={"family:kronos": 2}, running={"family:kronos": ["k"]})
    assert [run for run, _ in made.starts] == ["x", "z"]
    assert made.reasons == {"y": "limit family:kronos 2: k, x"}
    assert decide(wants, [], 4, [], limits={"family:kronos": 0}).reasons["x"] == "limit family:kronos 0"


# -- laws over a whole queue, played from beginning to end --------------------------------------------------------

FREE = 24 * GIB
jobs = st.lists(
    st.builds(
        dict,
        gpus=st.integers(1, 4),
        share=st.booleans(),
        memory=st.none() | st.integers(1, 24),
        seconds=st.integers(1, 50),
        told=st.booleans(),
        arrives=st.integers(0, 40),
    ),
    min_size=1,
    max_size=14,
)


def claim(want: Want) -> int | None:
    return want.memory if want.share else None


@dataclass
class Played:
    """A box on which runs take as long as they say; `decide` is asked whenever something ends or arrives."""

    cards: int
    now: float = NOON
    live: dict[str, tuple[Want, tuple[str, ...], float]] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)

    def slots(self, known: set[str]) -> list[Slot]:
        found = []
        for number in range(self.cards):
            name = f"GPU{number}"
            holders = tuple(
                Holder(run, claim(want), claim(want) or FREE, end if run in known else None)
                for run, (want, devices, end) in self.live.items()
                if name in devices
            )
            used = sum(holder.used or 0 for holder in holders)
            found.append(Slot(name, name, FREE - min(used, FREE), FREE, holders))
        return found

    def check(self) -> None:
        """No device twice but by runs that share it within its memory, less the head-room, or alone."""
        for slot in self.slots(set()):
            claims = [holder.claim for holder in slot.holders]
            if len(claims) > 1:
                assert None not in claims
                assert sum(claim or 0 for claim in claims) <= FREE * (1 - HEADROOM) + 1


@given(jobs, st.integers(1, 4))
def test_a_whole_queue(asked: list[dict[str, int]], cards: int):
    asked = sorted(asked, key=lambda job: job["arrives"])
    box = Played(cards)
    takes = {f"r{i:02d}": float(job["seconds"]) for i, job in enumerate(asked)}
    known = {run for run, job in zip(takes, asked, strict=True) if job["told"]}
    wants = {}
    for run, job in zip(takes, asked, strict=True):
        memory = job["memory"] * GIB if job["memory"] else None
        share = bool(job["share"] and memory and job["gpus"] == 1)
        wants[run] = Want(run, job["gpus"], memory=memory, share=share, seconds=takes[run] if run in known else None)
    arrives = {run: NOON + job["arrives"] for run, job in zip(takes, asked, strict=True)}
    impossible = {run for run, want in wants.items() if (want.gpus or 0) > cards}
    promised: dict[str, float] = {}
    while True:
        queue = [wants[run] for run in wants if run not in box.began and arrives[run] <= box.now]
        made = decide(queue, box.slots(known), 1, [], now=box.now)
        assert {run for run, _ in made.starts} | set(made.reasons) == {want.id for want in queue}
        for run, devices in made.starts:
            assert len(devices) == len(set(devices)) == wants[run].gpus
            box.live[run] = wants[run], devices, box.now + takes[run]
            box.began[run] = box.now
        box.check()
        # the first that can run at all starts, at the latest, when all that live now have ended
        head = next((want.id for want in queue if want.id not in box.began and want.id not in impossible), None)
        if head is not None:
            assert box.live, f"{head} waits on an idle box: {made.reasons[head]}"
            promised.setdefault(head, max(end for _, _, end in box.live.values()))
            assert box.now <= promised[head]
        moments = [end for _, _, end in box.live.values()] + [t for t in arrives.values() if t > box.now]
        if not moments:
            break
        box.now = min(moments)
        box.live = {run: kept for run, kept in box.live.items() if kept[2] > box.now}
    assert set(box.began) == set(wants) - impossible


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(1, 90)), max_size=12), st.integers(0, 3))
def test_limits_are_never_passed(asked: list[tuple[int, int | None]], most: int):
    wants = [Want(f"r{i}", 0, groups=(f"tag:{tag}",), limit=limit) for i, (tag, limit) in enumerate(asked)]
    limits = {"tag:1": most, "tag:2": 1}
    made = decide(wants, [], 12, [], limits=limits)
    tags = {want.id: want.groups[0] for want in wants}
    for name, allowed in limits.items():
        started = [run for run, devices in made.starts if tags[run] == name and devices == (CPU,)]
        assert started == [want.id for want in wants if tags[want.id] == name][:allowed]


# -- what is found out once for many is what would be found out for each ---------------------------------------------


class LongWay(_Round):
    """Every run asks all devices anew, and its words are put together anew."""

    def serve(self, wants: Sequence[Want]) -> Decision:
        for want in wants:
            self.refused.clear()
            self.busy = reasons.Busy(self.places, self.on_gpus, self.now)
            need = want.gpus if want.gpus is not None else min(1, len(self.places))
            if over := next(filter(self._is_full, want.groups), ""):
                reason = reasons.limited(over, self.limits[over], self.group[over])
            else:
                reason = self._on_gpus(want, need) if need else self._on_cpu(want)
            if reason:
                self.made.reasons[want.id] = reason
        return self.made


asked_for = st.builds(
    dict,
    gpus=st.sampled_from([None, 0, 1, 1, 1, 2, 4]),
    memory=st.sampled_from([None, *(GIB * third // 3 for third in (1, 4, 10, 25, 35, 50, 70, 80))]),
    given=st.booleans(),
    share=st.sampled_from([True, True, False]),
    seconds=st.none() | st.integers(1, 9000),
    groups=st.sampled_from([(), ("tag:1",)]),
)
held = st.builds(
    Holder,
    run=st.sampled_from("abc"),
    claim=st.sampled_from([GIB, 4 * GIB, 12 * GIB, None]),
    used=st.sampled_from([None, GIB, 14 * GIB]),
    until=st.none() | st.integers(1, 9000).map(lambda seconds: NOON + seconds),
)
cards = st.builds(
    dict,
    holders=st.lists(held, max_size=2).map(tuple),
    free=st.sampled_from([24, 23, 12, 0]),
    total=st.sampled_from([24, 24, 12, 0]),
    stranger=st.sampled_from(["", "", "", "used by somebody"]),
)


@settings(max_examples=60)
@given(st.lists(asked_for, max_size=30), st.lists(cards, max_size=4), st.integers(0, 3))
def test_every_run_is_served_and_told_as_if_it_were_asked_for_alone(asked, found, most):
    wants = [
        Want(f"r{number}", **{**job, "share": job["share"] and job["memory"] is not None and job["gpus"] in (None, 1)})
        for number, job in enumerate(asked)
    ]
    slots = [gpu(f"GPU{number}", *card.pop("holders"), **card) for number, card in enumerate(map(dict, found))]
    limits = {"tag:1": most} if most else {}
    made = decide(wants, slots, 2, ["c"], now=NOON, limits=limits)
    long = LongWay(slots, 2, ["c"], NOON, limits, {}).serve(wants)
    assert made == long
    assert {run for run, _ in made.starts} | set(made.reasons) == {want.id for want in wants}
