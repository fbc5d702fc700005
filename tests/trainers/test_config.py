"""Fields: what is parsed, what is refused, and that a resolved configuration resolves to itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.toy.config import ModelConfig
from trainers import config
from trainers.config import as_dict, build, describe, param
from trainers.data.config import DataConfig
from trainers.errors import ConfigError
from trainers.resolve import classes, from_dict, resolve
from trainers.train_config import EvalConfig, TrainConfig


@dataclass(frozen=True)
class Sample:
    rate: float = param(3e-4, help="a rate", low=1e-6, high=1.0, log=True)
    count: int = param(4, help="a count", low=0, unit="steps")
    flag: bool = param(False, help="a flag")
    name: str = param("mse", help="a name", choices=("mse", "huber"))
    delta: float = param(0.1, help="a part of huber", when=("name", "huber"))
    levels: tuple[float, ...] = param((0.1, 0.5), help="levels", low=0.0, high=1.0)
    names: tuple[str, ...] = param((), help="names")

    def __post_init__(self) -> None:
        if self.count > 100 and self.flag:
            raise ValueError(f"count = {self.count} with flag: choose at most 100.")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "3e-4", 3e-4), ("rate", " 1 ", 1.0), ("rate", 1, 1.0), ("count", "12", 12), ("count", "1e3", 1000),
        ("count", 7.0, 7), ("flag", "true", True), ("flag", "No", False), ("flag", True, True),
        ("name", "huber", "huber"),
        ("levels", ".1, .5,0.9", (0.1, 0.5, 0.9)), ("levels", [0.5], (0.5,)), ("names", "A,B", ("A", "B")),
        ("names", "", ()),
        ("count", str(2**63 - 1), 2**63 - 1),
    ],
)  # fmt: skip
def test_values_are_parsed_by_type(name: str, text: Any, value: Any) -> None:
    parsed = getattr(build(Sample, {name: text}, "train"), name)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"rat": 1}, "Unknown field 'train.rat'. Did you mean 'train.rate'?"),
        ({"rate": "fast"}, "train.rate = 'fast': expected a finite number"),
        ({"rate": "nan"}, "expected a finite number"),
        ({"rate": 2.0}, "train.rate = 2.0: out of range [1e-06, 1]"),
        ({"rate": True}, "expected a finite number"),
        ({"count": "1.5"}, "train.count = '1.5': expected a whole number"),
        ({"count": -1}, "out of range [0, inf]"),
        ({"flag": "maybe"}, "expected true or false"),
        ({"name": "hubber"}, "not one of mse, huber. Did you mean 'huber'?"),
        ({"delta": 0.2}, "train.delta has no meaning with train.name=mse"),
        ({"delta": 0.1}, "has no meaning"),
        ({"levels": ".5,x"}, "train.levels = 'x'"),
        ({"levels": "0.5,1.5"}, "train.levels = 1.5: out of range"),
        ({"count": 101, "flag": True}, "train.count = 101 with flag: choose at most 100."),
    ],
)
def test_what_does_not_fit_is_one_clear_line(sets: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Sample, sets, "train")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_conditional_field_is_taken_where_it_means_something() -> None:
    made = build(Sample, {"name": "huber", "delta": "0.2"}, "train")
    assert made.delta == 0.2
    assert as_dict(made)["delta"] == 0.2
    assert "delta" not in as_dict(Sample())


def test_describe_gives_plain_json_values() -> None:
    rows = {row["name"]: row for row in describe("train", Sample)}
    assert rows["train.rate"] == {
        "name": "train.rate", "type": "float", "default": 3e-4, "help": "a rate", "low": 1e-6, "high": 1.0,
        "log": True, "choices": None, "unit": None,
    }  # fmt: skip
    assert rows["train.levels"]["type"] == "floats"
    assert rows["train.delta"]["when"] == {"field": "train.name", "in": ["huber"]}


@pytest.mark.parametrize("cls", [TrainConfig, EvalConfig, DataConfig, ModelConfig, classes("toto")["model"]])
def test_every_default_passes_its_own_checks(cls: type) -> None:
    given_all = {f.name: f.default for f in fields(cls) if f.metadata.get("when") is None}
    assert build(cls, given_all, "x") == cls()
    assert all(f.metadata["help"] for f in fields(cls))


@pytest.mark.parametrize(
    "cls", [TrainConfig, EvalConfig, DataConfig, classes("toto")["model"], classes("kronos")["model"]]
)
def test_every_whole_number_has_an_end_that_a_database_can_hold(cls: type) -> None:
    rows = [row for row in describe("x", cls) if row["type"] in ("int", "ints")]
    assert all(row["high"] is not None and row["high"] < 1 << 63 for row in rows), rows


def test_an_unknown_annotation_is_our_own_mistake() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: complex = param(1j, help="?")

    with pytest.raises(TypeError, match="complex"):
        describe("model", Odd)


settings = st.fixed_dictionaries(
    {},
    optional={
        "train.lr": st.floats(1e-8, 1.0),
        "train.batch": st.sampled_from([8, 16, 64]),
        "train.accumulate": st.sampled_from([1, 2, 8]),
        "train.steps": st.integers(0, 10**9),
        "train.seed": st.integers(0, 2**63 - 1),
        "train.betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
        "train.ema": st.floats(0, 0.9999),
        "data.unseen": st.lists(st.text("ABC", min_size=1, max_size=4), max_size=3),
        "data.context": st.integers(2, 4096),
        "eval.levels": st.just((0.2, 0.5, 0.8)),
        "model.loss": st.sampled_from(["mse", "huber"]),
    },
)


@given(settings, st.sampled_from([None, "plain", "wide"]), st.booleans())
def test_a_resolved_configuration_resolves_to_itself(sets: dict[str, Any], preset: str | None, as_text: bool) -> None:
    if as_text:
        sets = {name: ",".join(map(str, v)) if isinstance(v, (tuple, list)) else str(v) for name, v in sets.items()}
    first = resolve("toy", preset, sets)
    assert from_dict("toy", first.as_dict()) == first
    flat = {f"{section}.{name}": v for section, part in first.as_dict().items() for name, v in part.items()}
    assert resolve("toy", None, flat) == first


def test_settings_win_over_the_preset_which_wins_over_defaults() -> None:
    assert resolve("toy", "wide").train.epochs == 3
    assert resolve("toy", "wide", {"model.width": 9}).model.width == 9
    assert resolve("toy", "wide", {"train.steps": 7}).train.steps == 7  # the preset's epochs give way


@pytest.mark.parametrize(
    ("family", "preset", "sets", "said"),
    [
        ("totp", None, {}, "Unknown family 'totp'. Did you mean 'toto'?"),
        ("toy", "wid", {}, "Unknown preset 'wid' of toy. Did you mean 'wide'?"),
        ("toy", None, {"lr": 1}, "Unknown field 'lr'. Did you mean 'train.lr'?"),
        ("toy", None, {"trian.lr": 1}, "Unknown field 'trian.lr'. Did you mean 'train.lr'?"),
        ("toy", None, {"train.lrr": 1}, "Unknown field 'train.lrr'. Did you mean 'train.lr'?"),
        ("toy", None, {"train.epochs": 2, "train.steps": 5}, "train.epochs has no meaning with train.steps=5"),
        ("toy", None, {"train.batch": 9, "train.accumulate": 2}, "train.batch = 9 cannot be cut"),
        ("toy", None, {"train.betas": "0.9"}, "train.betas = 0.9: expected two numbers"),
        ("toy", None, {"eval.levels": "0.9,0.1"}, "eval.levels = 0.9,0.1"),
    ],
)
def test_what_cannot_be_resolved_says_so(family: str, preset: str | None, sets: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(family, preset, sets)
    assert said in str(caught.value)


def test_parse_names_the_field() -> None:
    field = next(f for f in fields(Sample) if f.name == "count")
    with pytest.raises(ConfigError, match=r"--count = 'x'"):
        config.parse(field, "x", "--count")
