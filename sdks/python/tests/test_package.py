"""The content of the package."""

from __future__ import annotations

from importlib.metadata import distribution

from fixture import SDK


def test_package_includes_the_license() -> None:
    assert (SDK / "LICENSE").read_bytes() == (SDK / "../../LICENSE").read_bytes()
    assert any(file.name == "LICENSE" for file in distribution("rhythmx-ticketing").files or [])
