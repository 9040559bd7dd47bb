"""Every sample, as a user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import pytest
from fixture import SDK, Fixture, an_incident, create_in_jira

from rhythmx_ticketing import Client, v1


def environment(server: Fixture) -> dict[str, str]:
    return os.environ | {
        "TICKETING_ADDRESS": server.address,
        "TICKETING_TOKEN": server.tokens["admin"],
        **{f"JIRA_{name.upper()}": value for name, value in server.jira.items()},
    }


def run(server: Fixture, sample: str, *arguments: str) -> list[str]:
    command = [sys.executable, str(SDK / "samples" / f"{sample}.py"), *arguments]
    done = subprocess.run(command, env=environment(server), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.behaviour("sample configure")
def test_configure_shows_every_check(server: Fixture) -> None:
    lines = run(server, "configure")
    assert [line.split()[0] for line in lines] == ["passed"] * len(lines)
    assert "passed authentication" in [line.strip() for line in lines]


@pytest.mark.behaviour("sample preview")
def test_preview_shows_the_ticket_and_the_verdict(server: Fixture) -> None:
    ticket, verdict = run(server, "preview", "INC-2031")
    assert ticket.startswith("Highest ") and "j.doe" in ticket
    assert "auto-push is off" in verdict


@pytest.mark.behaviour("sample create")
def test_create_prints_the_ticket_s_address(server: Fixture) -> None:
    first, message = run(server, "create", f"INC-{uuid.uuid4()}")
    assert first.startswith(f"DELIVERY_STATE_DELIVERED {server.jira['url']}/browse/SEC-")
    assert message


@pytest.mark.behaviour("sample submit")
def test_submit_explains_the_decision_for_each_system(server: Fixture, client: Client) -> None:
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=True)))
    jira, servicenow = run(server, "submit", f"INC-{uuid.uuid4()}")
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))
    assert jira.startswith("jira pushed")
    assert servicenow.startswith("servicenow skipped")


@pytest.mark.behaviour("sample watch")
def test_watch_prints_each_event_of_a_push_through_a_restart(server: Fixture, client: Client) -> None:
    command = [sys.executable, str(SDK / "samples" / "watch.py")]
    with subprocess.Popen(command, env=environment(server), stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "watching\n"
        for _ in range(2):
            incident = an_incident()
            client.create_ticket(create_in_jira(incident))
            kinds = [watch.stdout.readline().split()[1:] for _ in range(3)]
            assert kinds == [
                [f"TICKET_EVENT_KIND_{kind}", incident.id]
                for kind in ("ACCEPTED", "ATTEMPT_STARTED", "DELIVERED")
            ]
            server.order("restart")
        watch.terminate()


@pytest.mark.behaviour("sample retry_failed")
def test_retry_failed_tries_what_was_given_up(server: Fixture, client: Client) -> None:
    server.order("jira refuses")
    incident = an_incident()
    delivery = client.create_ticket(create_in_jira(incident)).delivery
    until = time.monotonic() + 30
    while delivery.state != v1.DELIVERY_STATE_FAILED and time.monotonic() < until:
        time.sleep(0.1)
        delivery = client.get_delivery(v1.GetDeliveryRequest(delivery_id=delivery.id)).delivery
    server.order("jira fair")
    (line,) = run(server, "retry_failed")
    assert line.startswith(f"{incident.id} DELIVERY_STATE_DELIVERED {server.jira['url']}/browse/SEC-")
