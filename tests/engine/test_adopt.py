"""Numbers of programs that do not know us: what printed lines, JSON, event files and trainer_state.json tell."""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import adopt_text, rundir
from engine.adopt import Adopt, record
from engine.adopt_events import Damaged, masked_crc, records, scalars
from engine.adopter import Adopter
from engine.errors import UsageError
from engine.records import Spec
from tests.conftest import CHARACTERS

LINES = [
    ("loss: 0.12 (step 40)", {"step": 40, "loss": 0.12}),
    ("step 41/1000 loss=0.11 lr: 1e-4 eta: 0:03:21 mem: 12GB", {"step": 41, "loss": 0.11, "lr": 1e-4}),
    ("Epoch 3 - Train Loss: 0.123456, Val Loss: 0.2", {"step": 3, "epoch": 3, "train_loss": 0.123456, "val_loss": 0.2}),
    ("[k] Epoch 1/5 step 20/100 loss=3.1234", {"step": 20, "epoch": 1, "loss": 3.1234}),
    (
        "{'loss': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1}",
        {"step": 1, "epoch": 0.1, "loss": 0.5, "learning_rate": 1e-5},
    ),
    ("{'eval_loss': '0.25', 'epoch': '2.0'}", {"step": 2, "epoch": 2, "eval_loss": 0.25}),
    (" 40%|████      | 40/100 [00:03<00:05, 11.2it/s, loss=0.12]", {"step": 40, "loss": 0.12}),
    ("iter 100: loss 2.3, time 30ms", {"step": 100, "loss": 2.3}),
    ("Epoch: [0][ 10/196]  Time  0.1 ( 0.5)  Loss 6.9e+00", {"step": 0, "epoch": 0, "loss": 6.9}),
    ("Step 10 | loss 3.2 | grad_norm 1.5", {"step": 10, "loss": 3.2, "grad_norm": 1.5}),
    ("epoch=1.5 step=30 val/loss=-2e3", {"step": 30, "epoch": 1.5, "val/loss": -2000}),
    ("Downloading: 45%", None),
    ("access: 3 step 4", None),
    ("version: 1.2.3", None),
    ("step 7: copied 30 files", None),
    ("INFO:root:loss of connection 3", None),
]


@pytest.mark.parametrize(("text", "wanted"), LINES)
def test_printed_lines(text: str, wanted: dict[str, float] | None):
    found = adopt_text.Reader().read(text, 5.0)
    assert found == (None if wanted is None else {"t": 5.0, **wanted})


def test_a_line_without_a_step_has_the_last_one_told_and_the_time_it_begins_with():
    reader = adopt_text.Reader()
    assert reader.read("val_loss: 0.5", 1.0) == {"t": 1.0, "step": 1, "val_loss": 0.5}
    assert reader.read("val_loss: 0.4", 1.0) == {"t": 1.0, "step": 2, "val_loss": 0.4}
    reader.read("step 40/200 loss: 1", 1.0)
    assert reader.read("2026-01-02T03:04:05.5Z val_loss: 0.3 epoch 2", 1.0) == {
        "t": 1767323045.5, "step": 40, "epoch": 2, "val_loss": 0.3,
    }  # fmt: skip
    assert reader.steps == 200
    assert math.isnan(reader.read("loss: nan", 1.0)["loss"])


def test_patterns_of_a_person():
    reader = adopt_text.Reader([r"n=(?P<step>\d+) .*L(?P<my_loss>[\d.]+)", r"(?P<name>[a-z]+)~(?P<value>\S+)"])
    assert reader.read("n=7 whatever L0.25 and mae~3.5, rmse~4", 1.0) == {
        "t": 1.0, "step": 7, "my_loss": 0.25, "mae": 3.5, "rmse": 4.0,
    }  # fmt: skip
    assert reader.read("loss: 3", 1.0) is None
    for bad, why in (
        (r"(", "no regular expression"),
        (r"\d+", "names no metric"),
        (r"(?P<step>\d+)", "names no metric"),
    ):
        with pytest.raises(UsageError, match=why):
            adopt_text.compile_pattern(bad)


def test_a_pattern_that_would_not_end_is_stopped():
    reader = adopt_text.Reader([r"(a+)+$(?P<loss>x)"])
    with pytest.raises(adopt_text.TooSlow):
        reader.read("a" * 100, 1.0)


@given(st.text(alphabet="loss: =0.12e-step[]/'\" \tnaif", max_size=400) | st.text(CHARACTERS, max_size=200))
def test_no_text_upsets_it(text: str):
    found = adopt_text.Reader().read(text, 1.0)
    assert found is None or (isinstance(found["step"], int) and len(found) > 2)


def test_records_of_any_shape():
    assert record({"step": 3, "train": {"loss": 1.0}, "name": "x", "flag": True}, 9.0) == {
        "t": 9.0, "step": 3, "train/loss": 1.0,
    }  # fmt: skip
    assert record({"epoch": 2, "loss": 1.0, "timestamp": 1.7e9}, 9.0) == {
        "t": 1.7e9,
        "step": 2,
        "epoch": 2,
        "loss": 1.0,
    }
    assert record({"step": 1.5, "loss": 1.0}, 9.0) is None
    assert record({"loss": 1.0}, 9.0, 4) == {"t": 9.0, "step": 4, "loss": 1.0}


# -- event files ------------------------------------------------------------------------------------------------------


def event_file(folder: Path, points: list[tuple[int, dict[str, float]]]) -> Path:
    """What TensorBoard's own writer makes of scalars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        writer = EventFileWriter(str(folder))
        for step, values in points:
            found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=found)))
        writer.close()
    return max(folder.glob("*tfevents*"), key=lambda path: path.stat().st_mtime_ns)


def test_scalars_of_a_real_event_file(tmp_path: Path):
    data = event_file(
        tmp_path, [(1, {"loss": 0.5, "lr": 0.25}), (2, {"loss": 0.25}), (1 << 40, {"x": -1.5})]
    ).read_bytes()
    found = [*scalars(data)]
    assert [(one.t, one.step, one.tag, one.value) for one in found] == [
        (1.7e9 + 1, 1, "loss", 0.5), (1.7e9 + 1, 1, "lr", 0.25), (1.7e9 + 2, 2, "loss", 0.25),
        (1.7e9 + (1 << 40), 1 << 40, "x", -1.5),
    ]  # fmt: skip
    assert found[-1].end == len(data)
    for cut in range(len(data)):  # a writer may be anywhere in a record
        assert all(one.end <= cut for one in scalars(data[:cut]))
    with pytest.raises(Damaged):
        [*records(b"\1" + data[1:])]


def test_a_scalar_of_tensorflow_2_and_what_is_none():
    def field(number: int, kind: int, value: bytes) -> bytes:
        return bytes([number << 3 | kind]) + (bytes([len(value)]) if kind == 2 else b"") + value

    def event(tensor: bytes) -> bytes:
        value = field(1, 2, b"loss") + field(8, 2, tensor)
        body = field(1, 1, struct.pack("<d", 1.7e9)) + field(2, 0, b"\x07") + field(5, 2, field(1, 2, value))
        size = struct.pack("<Q", len(body))
        return size + struct.pack("<I", masked_crc(size)) + body + b"\0\0\0\0"

    one = event(field(1, 0, b"\x01") + field(4, 2, struct.pack("<f", 0.5)))
    listed = event(field(1, 0, b"\x02") + field(6, 1, struct.pack("<d", 0.25)))
    several = event(field(1, 0, b"\x01") + field(4, 2, struct.pack("<2f", 1, 2)))
    junk = event(b"\xff\xff")
    assert [(s.step, s.value) for s in scalars(one + several + junk + listed)] == [(7, 0.5), (7, 0.25)]


# -- the follower -----------------------------------------------------------------------------------------------------


def adopter(folder: Path, **sources: object) -> Adopter:
    spec = Spec(family="exec", command=("true",), cwd=str(folder / "cwd"), adopt=Adopt(**sources))
    return Adopter(folder, spec)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cwd").mkdir()
    return tmp_path


def told(folder: Path) -> list[dict[str, object]]:
    lines = rundir.read(folder / rundir.ADOPTED)
    return [{k: v for k, v in line.items() if k not in ("t", "from")} for line in lines if "event" not in line]


def test_what_is_older_than_the_run_is_not_its(folder: Path):
    out = folder / "cwd" / "out.jsonl"
    out.write_text('{"step": 1, "loss": 9}\n')
    state = folder / "cwd" / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [{"step": 1, "loss": 9}]}))
    event_file(folder / "cwd" / "tb", [(1, {"loss": 9.0})])
    one = adopter(folder, file="out.jsonl", tensorboard="tb", trainer_state="trainer_state.json")
    one.begin()
    one.pull(5.0)
    assert told(folder) == []
    with out.open("a") as file:
        file.write('{"step": 2, "loss": NaN}\n{"step": 3, "lo')
    state.write_text(json.dumps({"log_history": [{"step": 1, "loss": 9}, {"step": 4, "eval_loss": 8, "epoch": 1.0}]}))
    event_file(folder / "cwd" / "tb" / "sub", [(5, {"acc": 0.5, "mae": 0.25})])
    again = adopter(folder, file="out.jsonl", tensorboard="tb", trainer_state="trainer_state.json")
    again.pull(5.0)
    assert told(folder) == [
        {"step": 2, "loss": None},
        {"step": 5, "sub/acc": 0.5, "sub/mae": 0.25},
        {"step": 4, "eval_loss": 8, "epoch": 1.0},
    ]
    again.pull(5.0)
    assert len(told(folder)) == 3


def test_a_source_that_begins_anew_is_read_from_its_beginning(folder: Path):
    one = adopter(folder, file="out.jsonl", trainer_state=".")
    out = folder / "cwd" / "out.jsonl"
    out.write_text('{"step": 1, "loss": 1}\n{"step": 2, "loss": 2}\n')
    (folder / "cwd" / "checkpoint-10").mkdir()
    state = folder / "cwd" / "checkpoint-10" / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [{"step": 5, "loss": 5}]}))
    one.pull(5.0)
    out.write_text('{"step": 3, "loss": 3}\n')
    state.write_text(json.dumps({"log_history": [{"step": 6, "loss": 6}, {"step": 7, "loss": 7}]}))
    one.pull(5.0)
    assert [line["step"] for line in told(folder)] == [1, 2, 5, 3, 6, 7]


@pytest.mark.parametrize("cut", range(0, 260, 29))
def test_wherever_an_engine_dies_each_number_is_there_once(folder: Path, cut: int):
    """The file is cut at a byte, as by a death while writing; the next engine goes on behind the last whole line."""
    log = folder / rundir.LOG
    log.write_text("".join(f"step {n}/20 loss: {n}\nval_loss: {n}\n" for n in range(1, 8)))
    adopter(folder, stdout=True).pull(5.0)
    whole = told(folder)
    assert [line["step"] for line in whole] == [n for n in range(1, 8) for _ in range(2)]
    with (folder / rundir.ADOPTED).open("r+b") as file:
        file.truncate(min(cut, os.fstat(file.fileno()).st_size))
    second = adopter(folder, stdout=True)
    second.pull(5.0)
    with log.open("a") as file:
        file.write("step 8 loss: 8\r")
    second.pull(5.0)
    second.end()
    assert told(folder) == [*whole, {"step": 8, "loss": 8}]
    assert rundir.read(folder / rundir.ADOPTED)[-1] == rundir.ADOPTED_WHOLE


def test_a_disk_that_is_full_delays_but_loses_nothing(folder: Path):
    (folder / rundir.LOG).write_text("step 1 loss: 1\nstep 2 loss: 2\n")
    (folder / rundir.ADOPTED).mkdir()  # it can't be written at all
    one = adopter(folder, stdout=True)
    one.pull(5.0)
    assert one.behind
    (folder / rundir.ADOPTED).rmdir()
    one.pull(5.0)
    assert [line["step"] for line in told(folder)] == [1, 2]
