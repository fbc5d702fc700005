"""A family so small that the loop's tests are quick: a real torch module with dropout, trained by the real loop."""

from __future__ import annotations


def register() -> None:
    from trainers.family import FAMILIES, Place

    FAMILIES["toy"] = Place("tests.trainers.toy", "ToyFamily")
