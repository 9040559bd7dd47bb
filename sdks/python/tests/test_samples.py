"""Every sample, run as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixture import SDK, Fixture, create_in_jira, new_incident
from scripted_server import ScriptedServer

from rhythmx_ticketing import Client, connect, v1


def environment(server: Fixture) -> dict[str, str]:
    return os.environ | {
        "TICKETING_ADDRESS": server.address,
        "TICKETING_TOKEN": server.tokens["admin"],
        **{f"JIRA_{name.upper()}": value for name, value in server.jira.items()},
    }


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], list[str]]:
    """Copies a sample to an empty folder and returns the command that runs it there, with the installed package."""

    def command(sample: str) -> list[str]:
        return [sys.executable, shutil.copy(str(SDK / "samples" / f"{sample}.py"), str(tmp_path))]

    return command


def run(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


Copied = Callable[[str], list[str]]


@pytest.mark.behaviour("sample configure")
def test_configure_enables_auto_push_and_prints_checks(
    server: Fixture, client: Client, copied: Copied
) -> None:
    saved, *checks = run(copied("configure"), environment(server))
    assert saved == f"Tickets go to project SEC of {server.jira['url']}"
    assert not any(check.startswith("CHECK_OUTCOME_FAILED") for check in checks)
    assert "CHECK_OUTCOME_PASSED authentication" in [check.strip() for check in checks]
    assert client.get_status().auto_push.enabled
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))


@pytest.mark.behaviour("sample preview")
def test_preview_prints_the_ticket(server: Fixture, copied: Copied) -> None:
    summary, priority, *text = run(copied("preview"), environment(server))
    assert "j.doe" in summary
    assert priority.startswith("Priority: High")
    assert any("j.doe" in line for line in text)


@pytest.mark.behaviour("sample create")
def test_create_prints_the_url_of_the_ticket(server: Fixture, copied: Copied) -> None:
    (line,) = run(copied("create"), environment(server))
    assert f" {server.jira['url']}/browse/SEC-" in line


@pytest.mark.behaviour("sample create")
def test_sample_runs_without_a_token(copied: Copied) -> None:
    without = {name: value for name, value in os.environ.items() if not name.startswith("TICKETING_")}
    command = [sys.executable, "-c", f"import runpy; runpy.run_path({copied('create')[1]!r})"]
    done = subprocess.run(command, env=without, capture_output=True, text=True, timeout=60)
    assert "Unavailable: UNAVAILABLE" in done.stderr and "127.0.0.1:50051" in done.stderr


@pytest.mark.behaviour("sample submit")
def test_submit_prints_the_decision_for_each_system(server: Fixture, client: Client, copied: Copied) -> None:
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=True)))
    jira, servicenow = run(copied("submit"), environment(server))
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))
    assert jira.startswith("jira pushed")
    assert servicenow.startswith("servicenow skipped")


@pytest.mark.behaviour("sample watch")
def test_watch_prints_events_across_a_restart(server: Fixture, client: Client, copied: Copied) -> None:
    with subprocess.Popen(
        copied("watch"), env=environment(server), stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "watching\n"
        for _ in range(2):
            incident = new_incident()
            client.create_ticket(create_in_jira(incident))
            kinds = [watch.stdout.readline().split()[1:3] for _ in range(3)]
            assert kinds == [
                [f"TICKET_EVENT_KIND_{kind}", incident.id]
                for kind in ("ACCEPTED", "ATTEMPT_STARTED", "DELIVERED")
            ]
            server.command("restart")
        watch.terminate()


@pytest.mark.behaviour("unknown fields and enum values survive")
def test_watch_prints_the_number_of_an_unknown_kind(copied: Copied) -> None:
    with ScriptedServer([0, 1, 99]) as scripted:
        settings = os.environ | {"TICKETING_ADDRESS": scripted.address}
        with subprocess.Popen(copied("watch"), env=settings, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            lines = [watch.stdout.readline().split() for _ in range(3)]
            watch.terminate()
    assert lines == [["watching"], ["1", "TICKET_EVENT_KIND_ACCEPTED"], ["99", "99"]]


@pytest.mark.behaviour("sample retry_failed")
def test_retry_failed_retries_page_by_page(copied: Copied) -> None:
    # A server of its own: on the shared one, a delivery that another test interrupted may fail here as well.
    with Fixture() as server, connect(server.address, token=server.tokens["admin"]) as client:
        server.command("jira reject")
        incidents = [new_incident() for _ in range(3)]
        for incident in incidents:
            delivery = client.create_ticket(create_in_jira(incident)).delivery
            until = time.monotonic() + 30
            while delivery.state != v1.DELIVERY_STATE_FAILED and time.monotonic() < until:
                time.sleep(0.1)
                delivery = client.get_delivery(v1.GetDeliveryRequest(delivery_id=delivery.id)).delivery
        server.command("jira ok")
        command = copied("retry_failed")
        with open(command[1]) as file:
            text = file.read()
        assert "DELIVERY_STATE_FAILED])" in text
        with open(command[1], "w") as file:
            file.write(text.replace("DELIVERY_STATE_FAILED]))", "DELIVERY_STATE_FAILED]), page_size=1)"))
        lines = run(command, environment(server))
        wanted = f"DELIVERY_STATE_DELIVERED {server.jira['url']}/browse/SEC-"
        assert all(line.split(" ", 1)[1].startswith(wanted) for line in lines), lines
        assert {line.split()[0] for line in lines} == {incident.id for incident in incidents}
