"""The form of a new run: checked like the trainers do, and the same as a command line."""

from __future__ import annotations

import pytest

from engine import families
from engine.errors import BadField
from engine.families import Family, Field
from tests.conftest import ROOT
from tui import form as forms
from tui.form import Form, Item, begin, check

FAMILIES = {
    "toto": Family(
        title="Toto", presets={"tiny": "small", "base": "big"}, default_preset="tiny",
        fields=(
            Field(name="model.layers", type="int", default=3, low=1, high=96),
            Field(name="model.anchor", type="str", default="last", choices=("last", "none")),
            Field(name="train.lr", type="float", default=1e-3, low=1e-8, high=1.0, log=True),
            Field(name="train.betas", type="floats", default=[0.9, 0.95], low=0.0, high=0.99999),
            Field(name="train.fast", type="bool", default=False),
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
    assert form.gpus == 0
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
