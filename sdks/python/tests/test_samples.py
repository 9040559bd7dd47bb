"""Every sample, as a user would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture import SDK, Fixture, an_incident, create_in_jira
from played import Played

from rhythmx_ticketing import Client, v1


def environment(server: Fixture) -> dict[str, str]:
    return os.environ | {
        "TICKETING_ADDRESS": server.address,
        "TICKETING_TOKEN": server.tokens["admin"],
        **{f"JIRA_{name.upper()}": value for name, value in server.jira.items()},
    }


@pytest.fixture
def pasted(tmp_path: Path) -> Callable[[str], list[str]]:
    """Puts a sample where there is nothing but the package that is installed. The command that runs it there."""

    def command(sample: str) -> list[str]:
        return [sys.executable, shutil.copy(str(SDK / "samples" / f"{sample}.py"), str(tmp_path))]

    return command


def run(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


Pasted = Callable[[str], list[str]]


@pytest.mark.behaviour("sample configure")
def test_configure_switches_auto_push_on_and_shows_every_check(
    server: Fixture, client: Client, pasted: Pasted
) -> None:
    saved, *checks = run(pasted("configure"), environment(server))
    assert saved == f"Tickets go to project SEC of {server.jira['url']}"
    assert not any(check.startswith("CHECK_OUTCOME_FAILED") for check in checks)
    assert "CHECK_OUTCOME_PASSED authentication" in [check.strip() for check in checks]
    assert client.get_status().auto_push.enabled
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))


@pytest.mark.behaviour("sample preview")
def test_preview_shows_the_ticket(server: Fixture, pasted: Pasted) -> None:
    summary, priority, *text = run(pasted("preview"), environment(server))
    assert "j.doe" in summary
    assert priority.startswith("Priority: High")
    assert any("j.doe" in line for line in text)


@pytest.mark.behaviour("sample create")
def test_create_prints_the_ticket_s_address(server: Fixture, pasted: Pasted) -> None:
    (line,) = run(pasted("create"), environment(server))
    assert f" {server.jira['url']}/browse/SEC-" in line


@pytest.mark.behaviour("sample create")
def test_a_sample_needs_no_token_where_the_server_needs_none(pasted: Pasted) -> None:
    without = {name: value for name, value in os.environ.items() if not name.startswith("TICKETING_")}
    command = [sys.executable, "-c", f"import runpy; runpy.run_path({pasted('create')[1]!r})"]
    done = subprocess.run(command, env=without, capture_output=True, text=True, timeout=60)
    assert "Unavailable: UNAVAILABLE" in done.stderr and "127.0.0.1:50051" in done.stderr


@pytest.mark.behaviour("sample submit")
def test_submit_explains_the_decision_for_each_system(
    server: Fixture, client: Client, pasted: Pasted
) -> None:
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=True)))
    jira, servicenow = run(pasted("submit"), environment(server))
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))
    assert jira.startswith("jira pushed")
    assert servicenow.startswith("servicenow skipped")


@pytest.mark.behaviour("sample watch")
def test_watch_prints_each_event_of_a_push_through_a_restart(
    server: Fixture, client: Client, pasted: Pasted
) -> None:
    with subprocess.Popen(
        pasted("watch"), env=environment(server), stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "watching\n"
        for _ in range(2):
            incident = an_incident()
            client.create_ticket(create_in_jira(incident))
            kinds = [watch.stdout.readline().split()[1:3] for _ in range(3)]
            assert kinds == [
                [f"TICKET_EVENT_KIND_{kind}", incident.id]
                for kind in ("ACCEPTED", "ATTEMPT_STARTED", "DELIVERED")
            ]
            server.order("restart")
        watch.terminate()


@pytest.mark.behaviour("unknown fields and enum values survive")
def test_watch_prints_the_number_of_a_kind_that_is_newer_than_the_package(pasted: Pasted) -> None:
    with Played([0, 1, 99]) as played:
        settings = os.environ | {"TICKETING_ADDRESS": played.address}
        with subprocess.Popen(pasted("watch"), env=settings, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            lines = [watch.stdout.readline().split() for _ in range(3)]
            watch.terminate()
    assert lines == [["watching"], ["1", "TICKET_EVENT_KIND_ACCEPTED"], ["99", "99"]]


@pytest.mark.behaviour("sample retry_failed")
def test_retry_failed_tries_what_was_given_up_page_by_page(
    server: Fixture, client: Client, pasted: Pasted
) -> None:
    server.order("jira refuses")
    incidents = [an_incident() for _ in range(3)]
    for incident in incidents:
        delivery = client.create_ticket(create_in_jira(incident)).delivery
        until = time.monotonic() + 30
        while delivery.state != v1.DELIVERY_STATE_FAILED and time.monotonic() < until:
            time.sleep(0.1)
            delivery = client.get_delivery(v1.GetDeliveryRequest(delivery_id=delivery.id)).delivery
    server.order("jira fair")
    command = pasted("retry_failed")
    with open(command[1]) as file:
        text = file.read()
    assert "DELIVERY_STATE_FAILED])" in text
    with open(command[1], "w") as file:
        file.write(text.replace("DELIVERY_STATE_FAILED]))", "DELIVERY_STATE_FAILED]), page_size=1)"))
    lines = run(command, environment(server))
    wanted = f"DELIVERY_STATE_DELIVERED {server.jira['url']}/browse/SEC-"
    assert all(line.split(" ", 1)[1].startswith(wanted) for line in lines), lines
    assert {line.split()[0] for line in lines} == {incident.id for incident in incidents}
