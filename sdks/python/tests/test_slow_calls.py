"""Calls that wait for a slow Jira. These tests run last, since a stopping server waits for such attempts."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from fixture import Fixture, create_in_jira, new_incident

from rhythmx_ticketing import Cancelled, Client, DeadlineExceeded, aio, connect, v1


@pytest.mark.behaviour("DEADLINE_EXCEEDED")
def test_late_response_is_deadline_exceeded(server: Fixture, client: Client) -> None:
    server.command("jira delay")
    # Too short for the server's own answer, which would be that the delivery is in progress.
    with pytest.raises(DeadlineExceeded, match=server.address):
        client.create_ticket(create_in_jira(new_incident()), deadline=0.0005)

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["admin"]) as client:
            with pytest.raises(DeadlineExceeded):
                await client.create_ticket(create_in_jira(new_incident()), deadline=0.0005)

    asyncio.run(asynchronously())


@pytest.mark.behaviour("cancellation")
def test_closing_the_client_cancels_its_calls(server: Fixture) -> None:
    server.command("jira delay")
    client = connect(server.address, token=server.tokens["admin"])
    threading.Timer(0.3, client.close).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        client.create_ticket(create_in_jira(new_incident()))
    assert time.monotonic() - started < 3
    with pytest.raises(Cancelled):
        client.get_status()


@pytest.mark.behaviour("cancellation")
def test_cancelling_the_task_cancels_its_call(server: Fixture) -> None:
    server.command("jira delay")

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["admin"]) as client:
            incident = new_incident()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.create_ticket(create_in_jira(incident)), 0.3)
            # The server continues with what it accepted.
            listed = await client.list_deliveries(
                v1.ListDeliveriesRequest(filter=v1.DeliveryFilter(incident_id=incident.id))
            )
            assert len(listed.deliveries) == 1
            await client.close()
            with pytest.raises(Cancelled):
                await client.get_status()

    asyncio.run(asynchronously())
