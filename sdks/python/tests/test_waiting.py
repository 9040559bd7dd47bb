"""Calls that wait for a Jira that hangs: of the tests the last, since the server waits for such an attempt before it stops."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from fixture import Fixture, an_incident, create_in_jira

from rhythmx_ticketing import Cancelled, Client, DeadlineExceeded, aio, connect, v1


@pytest.mark.behaviour("DEADLINE_EXCEEDED")
def test_a_call_that_can_not_be_answered_in_time_exceeds_its_deadline(
    server: Fixture, client: Client
) -> None:
    server.order("jira hangs")
    # Too little for the server to answer by: it would say that the delivery is under way.
    with pytest.raises(DeadlineExceeded, match=server.address):
        client.create_ticket(create_in_jira(an_incident()), deadline=0.0005)

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["admin"]) as client:
            with pytest.raises(DeadlineExceeded):
                await client.create_ticket(create_in_jira(an_incident()), deadline=0.0005)

    asyncio.run(asynchronously())


@pytest.mark.behaviour("cancellation")
def test_closing_the_client_takes_its_calls_back(server: Fixture) -> None:
    server.order("jira hangs")
    client = connect(server.address, token=server.tokens["admin"])
    threading.Timer(0.3, client.close).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        client.create_ticket(create_in_jira(an_incident()))
    assert time.monotonic() - started < 3
    with pytest.raises(Cancelled):
        client.get_status()


@pytest.mark.behaviour("cancellation")
def test_cancelling_the_task_takes_its_call_back(server: Fixture) -> None:
    server.order("jira hangs")

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["admin"]) as client:
            incident = an_incident()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.create_ticket(create_in_jira(incident)), 0.3)
            # What the server had accepted goes on.
            listed = await client.list_deliveries(
                v1.ListDeliveriesRequest(filter=v1.DeliveryFilter(incident_id=incident.id))
            )
            assert len(listed.deliveries) == 1
            await client.close()
            with pytest.raises(Cancelled):
                await client.get_status()

    asyncio.run(asynchronously())
