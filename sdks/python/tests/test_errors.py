"""Every class of error, for both kinds of clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from fixture import Fixture, create_in_jira, new_incident
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
def test_returns_every_violation(client: Client) -> None:
    incident = new_incident(firing_rules=[v1.FiringRule(name="", count=1)])
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
def test_missing_delivery_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound) as raised:
        client.get_delivery(v1.GetDeliveryRequest(delivery_id="0197"))
    assert raised.value.reason == v1.ERROR_REASON_DELIVERY_NOT_FOUND
    assert raised.value.metadata == {"delivery_id": "0197"}


@pytest.mark.behaviour("FAILED_PRECONDITION")
def test_refuses_to_cancel_delivery_with_ticket(client: Client) -> None:
    delivery = client.create_ticket(create_in_jira(new_incident())).delivery
    with pytest.raises(FailedPrecondition) as raised:
        client.cancel_delivery(v1.CancelDeliveryRequest(delivery_id=delivery.id))
    assert raised.value.reason == v1.ERROR_REASON_DELIVERY_STATE
    assert raised.value.metadata["state"] == "DELIVERED"


@pytest.mark.behaviour("UNAUTHENTICATED")
@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, v1.ERROR_REASON_CREDENTIAL_MISSING), ("rxt_wrong", v1.ERROR_REASON_CREDENTIAL_INVALID)],
)
def test_invalid_token_is_unauthenticated(
    server: Fixture, token: str | None, reason: v1.ErrorReason.ValueType
) -> None:
    with connect(server.address, token=token) as client:
        with pytest.raises(Unauthenticated) as raised:
            client.get_status()
        assert raised.value.reason == reason
        with pytest.raises(Unauthenticated):
            client.events()


@pytest.mark.behaviour("PERMISSION_DENIED")
def test_viewer_cannot_push(server: Fixture) -> None:
    with connect(server.address, token=server.tokens["viewer"]) as client:
        client.get_status()
        with pytest.raises(PermissionDenied) as raised:
            client.create_ticket(create_in_jira(new_incident()))
        assert raised.value.reason == v1.ERROR_REASON_ROLE_INSUFFICIENT
        assert raised.value.metadata["role"] == "viewer"


@pytest.mark.behaviour("UNAVAILABLE within the deadline, naming the address")
def test_names_unreachable_server_within_the_deadline(server: Fixture, client: Client) -> None:
    client.get_status()
    with server.stopped():
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
def test_retries_until_server_is_back(server: Fixture, client: Client) -> None:
    answers: list[v1.CreateTicketResponse] = []
    with server.stopped():
        thread = threading.Thread(
            target=lambda: answers.append(client.create_ticket(create_in_jira(new_incident())))
        )
        thread.start()
        time.sleep(0.5)  # Until its first retries.
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


def test_keeps_unknown_error_reason() -> None:
    error = TicketingError(grpc.StatusCode.ABORTED, "no", "host:1", details("FUTURE_REASON", None))
    assert (error.reason, error.reason_name) == (v1.ERROR_REASON_UNSPECIFIED, "FUTURE_REASON")


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (lambda: TicketingError(grpc.StatusCode.UNAVAILABLE, "", ""), True),
        (lambda: TicketingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "", ""), False),
        (lambda: TicketingError(grpc.StatusCode.INTERNAL, "", ""), False),
    ],
)
def test_retries_only_transient_errors(error: Callable[[], TicketingError], retried: bool) -> None:
    assert (_retry.delay_before_retry(None, error(), 0, 30) is not None) == retried
    assert _retry.delay_before_retry(None, error(), _retry.ATTEMPTS - 1, 30) is None


def test_respects_server_retry_delay() -> None:
    busy = TicketingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "", details("BUSY", timedelta(seconds=3)))
    assert _retry.delay_before_retry(None, busy, 0, 30) == 3
    assert _retry.delay_before_retry(None, busy, 0, 2) is None
    assert _retry.delay_before_resume(busy, 0) == 3


def test_does_not_retry_create_anyway() -> None:
    unavailable = TicketingError(grpc.StatusCode.UNAVAILABLE, "", "")
    assert (
        _retry.delay_before_retry(v1.RetryDeliveryRequest(delivery_id="0197"), unavailable, 0, 30) is not None
    )
    anyway = v1.RetryDeliveryRequest(delivery_id="0197", create_anyway=True)
    assert _retry.delay_before_retry(anyway, unavailable, 0, 30) is None
