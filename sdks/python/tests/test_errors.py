"""Every class of error, for both kinds of client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from fixture import Fixture, an_incident, create_in_jira
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from rhythmx_ticketing import (
    Client,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TicketingError,
    Unauthenticated,
    Unavailable,
    _retry,
    aio,
    connect,
    v1,
)


@pytest.mark.behaviour("INVALID_ARGUMENT with field violations")
def test_a_request_that_breaks_rules_is_told_every_one(client: Client) -> None:
    incident = an_incident(firing_rules=[v1.FiringRule(name="", count=1)])
    incident.risk.score = 120
    with pytest.raises(InvalidArgument) as raised:
        client.create_ticket(create_in_jira(incident))
    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.reason == v1.ERROR_REASON_INCIDENT_INVALID
    assert {violation.field for violation in raised.value.violations} == {
        "incident.risk.score",
        "incident.firing_rules[0].name",
    }
    assert FieldViolation("incident.risk.score", "must be a number from 0 to 100") in raised.value.violations
    assert "incident.risk.score: must be a number from 0 to 100; incident.firing_rules[0].name: must" in str(
        raised.value
    )


@pytest.mark.behaviour("NOT_FOUND")
def test_a_delivery_that_is_not_there_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound) as raised:
        client.get_delivery(v1.GetDeliveryRequest(delivery_id="0197"))
    assert raised.value.reason == v1.ERROR_REASON_DELIVERY_NOT_FOUND
    assert raised.value.metadata == {"delivery_id": "0197"}


@pytest.mark.behaviour("FAILED_PRECONDITION")
def test_a_delivery_whose_ticket_exists_can_not_be_cancelled(client: Client) -> None:
    delivery = client.create_ticket(create_in_jira(an_incident())).delivery
    with pytest.raises(FailedPrecondition) as raised:
        client.cancel_delivery(v1.CancelDeliveryRequest(delivery_id=delivery.id))
    assert raised.value.reason == v1.ERROR_REASON_DELIVERY_STATE
    assert raised.value.metadata["state"] == "DELIVERED"


@pytest.mark.behaviour("UNAUTHENTICATED")
@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, v1.ERROR_REASON_CREDENTIAL_MISSING), ("rxt_wrong", v1.ERROR_REASON_CREDENTIAL_INVALID)],
)
def test_a_call_without_a_good_token_is_unauthenticated(
    server: Fixture, token: str | None, reason: v1.ErrorReason.ValueType
) -> None:
    with connect(server.address, token=token) as client:
        with pytest.raises(Unauthenticated) as raised:
            client.get_status()
        assert raised.value.reason == reason
        with pytest.raises(Unauthenticated):
            client.events()


@pytest.mark.behaviour("PERMISSION_DENIED")
def test_a_viewer_may_not_push(server: Fixture) -> None:
    with connect(server.address, token=server.tokens["viewer"]) as client:
        client.get_status()
        with pytest.raises(PermissionDenied) as raised:
            client.create_ticket(create_in_jira(an_incident()))
        assert raised.value.reason == v1.ERROR_REASON_ROLE_INSUFFICIENT
        assert raised.value.metadata["role"] == "viewer"


@pytest.mark.behaviour("UNAVAILABLE within the deadline, naming the address")
def test_a_server_that_is_away_is_told_within_the_deadline_by_its_address(
    server: Fixture, client: Client
) -> None:
    client.get_status()
    with server.away():
        started = time.monotonic()
        with pytest.raises(Unavailable, match=server.address):
            client.get_status(deadline=2)
        with pytest.raises(Unavailable, match=server.address):
            client.events(deadline=1)
        assert time.monotonic() - started < 4

        async def asynchronously() -> None:
            async with aio.connect(server.address) as client:
                with pytest.raises(Unavailable, match=server.address):
                    await client.get_status(deadline=1)
                with pytest.raises(Unavailable, match=server.address):
                    await client.events(deadline=1)

        asyncio.run(asynchronously())


@pytest.mark.behaviour("UNAVAILABLE retried until the server is back")
def test_a_call_outlasts_a_restart(server: Fixture, client: Client) -> None:
    answers: list[v1.CreateTicketResponse] = []
    with server.away():
        thread = threading.Thread(
            target=lambda: answers.append(client.create_ticket(create_in_jira(an_incident())))
        )
        thread.start()
        time.sleep(0.5)  # Into its first retries.
    thread.join(timeout=30)
    assert [answer.delivery.state for answer in answers] == [v1.DELIVERY_STATE_DELIVERED]


def details(reason: str, wait: timedelta | None) -> Status:
    made = Status()
    made.details.add().Pack(ErrorInfo(domain="ticketing.rhythmx", reason=reason))
    if wait is not None:
        info = RetryInfo()
        info.retry_delay.FromTimedelta(wait)
        made.details.add().Pack(info)
    return made


def test_a_reason_that_is_newer_than_this_package_is_told_by_its_name() -> None:
    error = TicketingError(grpc.StatusCode.ABORTED, "no", "host:1", details("FULL_MOON", None))
    assert (error.reason, error.reason_name) == (v1.ERROR_REASON_UNSPECIFIED, "FULL_MOON")


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (lambda: TicketingError(grpc.StatusCode.UNAVAILABLE, "", ""), True),
        (lambda: TicketingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "", ""), False),
        (lambda: TicketingError(grpc.StatusCode.INTERNAL, "", ""), False),
    ],
)
def test_only_what_passes_by_itself_is_retried(error: Callable[[], TicketingError], retried: bool) -> None:
    assert (_retry.before_retry(None, error(), 0, 30) is not None) == retried
    assert _retry.before_retry(None, error(), _retry.ATTEMPTS - 1, 30) is None


def test_a_retry_waits_as_long_as_the_server_asks_or_is_not_made() -> None:
    busy = TicketingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "", details("BUSY", timedelta(seconds=3)))
    assert _retry.before_retry(None, busy, 0, 30) == 3
    assert _retry.before_retry(None, busy, 0, 2) is None
    assert _retry.before_resume(busy, 0) == 3


def test_what_puts_a_doubt_aside_is_not_retried() -> None:
    away = TicketingError(grpc.StatusCode.UNAVAILABLE, "", "")
    assert _retry.before_retry(v1.RetryDeliveryRequest(delivery_id="0197"), away, 0, 30) is not None
    anyway = v1.RetryDeliveryRequest(delivery_id="0197", create_anyway=True)
    assert _retry.before_retry(anyway, away, 0, 30) is None
