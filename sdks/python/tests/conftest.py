"""The real server with simulated ticket systems, and the results for the table of sdks/README.md."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fixture import Fixture

from rhythmx_ticketing import Client, connect

# Whether all tests of a behaviour passed.
_behaviours: dict[str, bool] = {}


@pytest.fixture(scope="session")
def shared() -> Iterator[Fixture]:
    with Fixture() as fixture:
        yield fixture


@pytest.fixture
def server(shared: Fixture) -> Iterator[Fixture]:
    """The shared server, whose Jira accepts tickets again after each test."""
    yield shared
    shared.command("jira ok")


@pytest.fixture
def client(server: Fixture) -> Iterator[Client]:
    with connect(server.address, token=server.tokens["admin"]) as client:
        yield client


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    for mark in item.iter_markers("behaviour"):
        name = mark.args[0]
        _behaviours[name] = _behaviours.get(name, True) and bool(report.passed)


def pytest_sessionfinish() -> None:
    if path := os.environ.get("SDK_RESULTS"):
        with open(path, "w") as results:
            for name, passed in _behaviours.items():
                results.write(f"{name}\t{'passed' if passed else 'failed'}\n")
