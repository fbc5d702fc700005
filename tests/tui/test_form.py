"""The form of a new run: checked like the trainers do, and the same as a command line."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from msgspec import structs

from engine import families
from engine.errors import BadField
from engine.families import Family, Field, When
from engine.prospect import Prospect
from engine.records import RunRow, Spec, Turn
from engine.retry import Policy
from tests.conftest import ROOT
from tui import fields, prospects
from tui import form as forms
from tui.form import Form, Item, begin, check
from tui.present import plain

FAMILIES = {
    "toto": Family(
        title="Toto", presets={"tiny": "small", "base": "big"}, default_preset="tiny",
        fields=(
            Field(name="model.layers", type="int", default=3, low=1, high=96),
            Field(name="model.anchor", type="str", default="last", choices=("last", "none")),
            Field(name="train.lr", type="float", default=1e-3, low=1e-8, high=1.0, log=True),
            Field(name="train.betas", type="floats", default=[0.9, 0.95], low=0.0, high=0.99999),
            Field(name="train.fast", type="bool", default=False),
            Field(name="train.fuse", type="int", default=1, low=1, when=When(field="train.fast", values=(True,))),
            Field(name="train.batch", type="int", default=32, low=1, high=1 << 20, log=True),
        ),
    ),
    "kronos": Family(title="Kronos", presets={"mini": ""}, default_preset="mini"),
}  # fmt: skip


def item(form: Form, name: str) -> Item:
    return next(item for item in form.items() if item.name == name)


def test_most_used_fields_come_first_and_a_filter_finds_the_rest():
    form = begin(FAMILIES)
    names = [one.name for one in form.items()]
    assert names[:2] == ["family", "preset"]
    assert names.index("train.lr") < names.index("model.layers")
    assert [one.name for one in form.items("layers")] == ["family", "preset", "model.layers"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [("train.lr", "3e-4", ""), ("train.lr", "2", "above 1"), ("train.lr", "x", "expected a number such as 3e-4"),
     ("train.lr", "nan", "expected a finite number"), ("model.layers", "2.5", "expected a whole number"),
     ("model.layers", "0", "below 1"), ("model.anchor", "first", "not one of last, none"), ("train.fast", "maybe",
     "expected true or false"), ("train.betas", "0.9,0.99", ""), ("train.betas", "0.9,2", "above 0.99999"),
     ("gpus", "", ""), ("gpus", "-1", "below 0"), ("priority", "1.5", "expected a whole number")],
)  # fmt: skip
def test_ranges_are_checked_as_one_types(name, text, problem):
    form = begin(FAMILIES).typed(name, text)
    assert form.problem(item(form, name)) == problem
    assert check(item(form, name), text) == problem


def test_the_command_line_says_the_same():
    form = begin(FAMILIES).typed("train.lr", "3e-4").typed("name", "my run").typed("tags", "a, b").typed("gpus", "0")
    form = form.typed("after", "toto-0001").typed("priority", "2").typed("preset", "base")
    assert form.line() == (
        "engine run toto --preset base --set train.lr=3e-4 --name 'my run' --tag a --tag b --gpus 0 --priority 2 "
        "--after toto-0001"
    )
    assert form.wishes().gpus == 0
    assert form.words("tags") == ("a", "b")


def test_a_value_typed_like_its_default_is_not_set():
    form = begin(FAMILIES).typed("train.batch", "32")
    assert form.sets == {}
    assert form.typed("train.batch", "64").sets == {"train.batch": "64"}
    assert form.typed("train.batch", "64").cleared("train.batch").sets == {}


def test_a_preset_brings_its_own_defaults():
    form = begin(FAMILIES)
    with_base = Form(FAMILIES, "toto", "base", {}, forms.flat({"model": {"layers": 12}}))
    assert form.text(item(form, "model.layers")) == "3"
    assert with_base.text(item(with_base, "model.layers")) == "12"


def test_another_family_keeps_name_and_tags_only():
    form = begin(FAMILIES).typed("train.lr", "3e-4").typed("name", "x").typed("family", "kronos")
    assert form.preset == "mini"
    assert dict(form.texts) == {"name": "x"}


@pytest.mark.parametrize(
    ("name", "start", "way", "after"),
    [("train.lr", "0.001", 1, "0.002"), ("train.lr", "0.002", 1, "0.005"), ("train.lr", "0.001", -1, "0.0005"),
     ("train.lr", "1", 1, "1"), ("train.batch", "32", 1, "64"), ("train.batch", "32", -1, "16"),
     ("model.layers", "3", 1, "4"), ("model.layers", "1", -1, "1"), ("model.anchor", "last", 1, "none"),
     ("train.fast", "false", 1, "true"), ("preset", "tiny", 1, "base")],
)  # fmt: skip
def test_left_and_right_step_through_sensible_values(name, start, way, after):
    form = begin(FAMILIES)
    form = form if name == "preset" else form.typed(name, start)
    stepped = form.stepped(item(form, name), way)
    assert stepped.text(item(stepped, name)) == after


def test_the_form_judges_like_the_trainers_themselves(workspace):
    """What the form lets pass the trainers take, and what it refuses they refuse: for every number's bounds."""
    described = families.describe(workspace.root)
    form = begin(described)
    assert ROOT.joinpath("trainers").is_dir()
    low_lr = form.typed("train.lr", "7")
    assert low_lr.problems()
    with pytest.raises(BadField, match=r"train\.lr"):
        families.resolve(workspace.root, low_lr.family, low_lr.preset, low_lr.sets)
    fine = form.typed("train.lr", "3e-4")
    assert not fine.problems()
    resolved = families.resolve(workspace.root, fine.family, fine.preset, fine.sets)
    assert resolved.config["train"]["lr"] == 3e-4
    based = Form(described, form.family, form.preset, {}, forms.flat(resolved.config))
    for one in based.items():
        assert check(one, based.text(one)) == "", one.name


def names(form: Form, **options: bool) -> list[str]:
    return [one.name for one in form.items(**options)]


def test_a_field_is_there_only_while_it_means_something():
    form = begin(FAMILIES)
    assert "train.fuse" not in names(form)
    fast = form.typed("train.fast", "true")
    assert "train.fuse" in names(fast)
    left = fast.typed("train.fuse", "4").typed("train.fast", "false")
    assert left.problems() == [("train.fuse", "means nothing with train.fast = false")]
    assert "train.fuse" in names(left), "what was typed is not hidden, so that it can be taken back"
    assert "retry-wait" not in names(form)
    assert "retry-wait" in names(form.typed("retry", "2"))
    assert not {"share", "gpu-memory"} & set(names(form.typed("gpus", "0")))
    assert "gpu-memory" in names(form.typed("gpus", "4"))
    assert "share" not in names(form.typed("gpus", "4"))


ENGINES_OWN = (
    ("gpu-memory", "6GiB", "--gpu-memory 6GiB", "gpu_memory", 6 << 30, "6", "expected an amount of memory"),
    ("begin", "+2h", "--begin +2h", "begin", None, "half past", "expected"),
    ("limit", "8h", "--limit 8h", "limit", 28800.0, "8", "expected"),
    ("hang", "10m", "--hang 10m", "hang", 600.0, "soon", "expected"),
    ("share", "true", "--share", "share", True, "maybe", "expected true or false"),
    ("freeze", "no", "--no-freeze", "freeze", False, "perhaps", "not one of"),
    ("after-any", "a-1,b-2", "--after-any a-1 --after-any b-2", "after_any", ("a-1", "b-2"), "", ""),
    ("needed", "true", "--needed", "needed", True, "2", "expected true or false"),
    ("hold", "true", "--hold", "hold", True, "2", "expected true or false"),
    ("on-finish", "cat", "--on-finish cat", "on_finish", "cat", "", ""),
    ("note", "a b", "--note 'a b'", "note", "a b", "", ""),
    ("retry-oom", "2", "--retry-oom 2", "retry", Policy(oom=2), "21", "above 20"),
)


@pytest.mark.parametrize(("name", "text", "said", "wish", "value", "wrong", "why"), ENGINES_OWN)
def test_what_engine_run_takes_the_form_takes(name, text, said, wish, value, wrong, why):
    form = begin(FAMILIES).typed(name, text)
    assert form.problems() == []
    assert form.line() == f"engine run toto {said}"
    found = getattr(form.wishes(), wish)
    assert found == value if value is not None else found > 0
    assert why in form.typed(name, wrong).problem(item(form, name))


def test_every_option_of_engine_run_is_a_line_of_the_form():
    from engine.cli import new

    options = set(inspect.signature(new.run).parameters) | set(inspect.signature(new.exec_).parameters)
    lines = {one.name.replace("-", "_") for one in (*fields.MAIN, *fields.MORE, *fields.EXEC_ITEMS)}
    elsewhere = {"family", "preset", "sets", "follow", "as_json", "dry_run", "tag", "command"}
    assert options - elsewhere == lines - {"tags", "command", "folder"}


def test_any_command_is_one_more_family():
    form = begin(FAMILIES).typed("family", "exec")
    assert form.problems() == [("command", "type a command")]
    assert form.typed("command", "echo 'x").problems() == [("command", "no closing quotation")]
    form = form.typed("command", "python train.py --lr '3e-4 x'").typed("name", "one").typed("metrics", "true")
    assert form.line() == "engine exec --name one --metrics -- python train.py --lr '3e-4 x'"
    assert form.program == ["python", "train.py", "--lr", "3e-4 x"]
    assert form.typed("folder", "/a b").line().startswith("cd '/a b' && engine exec")
    assert form.wishes().adopt.stdout
    assert "(" in form.typed("metrics-pattern", "loss (").problems()[0][1]


def test_a_clone_shows_only_what_its_run_changed():
    config = {"train": {"lr": 5e-4, "batch": 32, "fast": False, "gone": 1}, "model": {"layers": 3, "anchor": "last"}}
    spec = Spec(family="toto", command=("x",), cwd="/w", config=config, preset="base", changed={"train.gone": 1},
                tags=("a", "b"), gpus=2, limit=5400.0, retry=Policy(oom=1, times=2, wait=60.0), name="old",
                after=("toto-0001",), gpu_memory=6 << 30)  # fmt: skip
    base = {"train.lr": "0.001", "train.batch": "32", "train.fast": "false", "model.layers": "3"}
    form, gone = forms.clone(FAMILIES, spec, base)
    assert list(gone) == ["train.gone"]
    assert names(form, changed=True) == [
        "family", "preset", "tags", "gpus", "train.lr", "gpu-memory", "limit", "retry-oom", "retry", "retry-wait",
    ]  # fmt: skip
    assert form.problems() == []
    assert form.line() == (
        "engine run toto --preset base --set train.lr=0.0005 --tag a --tag b --gpus 2 --gpu-memory 6144MiB --limit 90m "
        "--retry-oom 1 --retry 2 --retry-wait 1m"
    )
    wishes = form.wishes()
    assert (wishes.retry, wishes.limit, wishes.gpu_memory) == (spec.retry, spec.limit, spec.gpu_memory)
    program, _ = forms.clone(FAMILIES, Spec(family="exec", command=("a", "b c"), cwd="/w"), {})
    assert program.line() == "cd /w && engine exec -- a 'b c'"
    assert program.program == ["a", "b c"]


def row(**more: Any) -> RunRow:
    return RunRow(id="toto-0009", family="toto", state="queued", since=0.0, **more)


def test_what_is_foreseen_in_words():
    turn = Turn(run="toto-0009", name="", family="toto", state="queued", place=1, gpus=None, labels=(), start=3600.0,
                end=None, takes=5400.0, how="4 runs like it", reason="")  # fmt: skip

    def said(prospect: Prospect, gpus: bool = True) -> str:
        return "\n".join(plain(line) for line in prospects.lines(prospect, 0.0, gpus=gpus))

    waits = said(Prospect(row(reason="GPU0 busy", predicted=6 << 30, predicted_from=4), turn=turn, same="toto-0001"))
    assert "(in 1h 00m): GPU0 busy   takes ~1h 30m (4 runs like it)" in waits
    assert "needs ~6.0 GiB of GPU memory, from 4 runs like it" in waits
    assert "the same run exists: toto-0001 ended well" in waits
    now = said(Prospect(structs.replace(row(gpu_memory=1 << 30), state="starting", labels=("GPU1",))))
    assert "starts at once on GPU1" in now
    assert "as you say" in now
    assert "start not known: x" in said(Prospect(row(reason="x")))
    assert "not known, no run like it" in said(Prospect(row()))
    assert "needs no GPU memory" in said(Prospect(row()), gpus=False)
    assert "held back" in said(Prospect(structs.replace(row(), state="held")))
