"""What is in the package."""

from __future__ import annotations

from importlib.metadata import distribution

from fixture import SDK


def test_the_licence_is_the_product_s_and_comes_along() -> None:
    assert (SDK / "LICENSE").read_bytes() == (SDK / "../../LICENSE").read_bytes()
    assert any(file.name == "LICENSE" for file in distribution("rhythmx-ticketing").files or [])
