"""Subscriptions across restarts of the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from fixture import Fixture, create_in_jira, new_incident

from rhythmx_ticketing import (
    Client,
    InvalidArgument,
    aio,
    v1,
)

PUSHES = 30


class Pushes:
    """Pushes incidents from a thread while the server restarts twice. The last one is pushed after the restarts."""

    def __init__(self, server: Fixture, client: Client, command: str) -> None:
        self.incidents = [new_incident() for _ in range(PUSHES)]
        self.last = new_incident()
        self._server = server
        self._client = client
        self._command = command
        self._is_halfway = threading.Event()
        self._threads = [threading.Thread(target=self._push), threading.Thread(target=self._break)]
        for thread in self._threads:
            thread.start()

    def are_complete(self, events: list[v1.TicketEvent]) -> bool:
        """Whether the last incident is delivered."""
        return any(
            event.incident_id == self.last.id and event.kind == v1.TICKET_EVENT_KIND_DELIVERED
            for event in events[-1:]
        )

    def assert_complete(self, events: list[v1.TicketEvent]) -> None:
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        sequences = [event.sequence for event in events]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        accepted = [event.incident_id for event in events if event.kind == v1.TICKET_EVENT_KIND_ACCEPTED]
        assert accepted == [incident.id for incident in [*self.incidents, self.last]]

    def _push(self) -> None:
        for number, incident in enumerate(self.incidents):
            self._client.submit_incident(v1.SubmitIncidentRequest(incident=incident))
            if number == PUSHES // 3:
                self._is_halfway.set()
        self._threads[1].join(timeout=60)
        self._client.create_ticket(create_in_jira(self.last))

    def _break(self) -> None:
        self._is_halfway.wait(timeout=60)
        self._server.command(self._command)
        self._server.command(self._command)


@pytest.fixture
def auto_push(client: Client) -> Iterator[None]:
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=True)))
    yield
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))


RESTARTS = [
    pytest.param("restart", marks=pytest.mark.behaviour("events resumed across a restart")),
    pytest.param("kill", marks=pytest.mark.behaviour("events resumed across a kill")),
]


@pytest.mark.usefixtures("auto_push")
@pytest.mark.parametrize("command", RESTARTS)
def test_events_arrive_once_and_in_order_across_restarts(
    server: Fixture, client: Client, command: str
) -> None:
    seen: list[v1.TicketEvent] = []
    with client.events() as events:
        pushes = Pushes(server, client, command)
        # Ends the loop, and so the test, if events are missing.
        guard = threading.Timer(60, events.close)
        guard.start()
        for event in events:
            seen.append(event)
            if pushes.are_complete(seen):
                break
        guard.cancel()
    pushes.assert_complete(seen)


@pytest.mark.usefixtures("auto_push")
@pytest.mark.parametrize("command", RESTARTS)
def test_asyncio_events_arrive_once_and_in_order(server: Fixture, client: Client, command: str) -> None:
    async def asynchronously() -> None:
        seen: list[v1.TicketEvent] = []
        async with aio.connect(server.address, token=server.tokens["viewer"]) as watcher:
            async with await watcher.events() as events:
                pushes = Pushes(server, client, command)
                async for event in events:
                    seen.append(event)
                    if pushes.are_complete(seen):
                        break
        await asyncio.to_thread(pushes.assert_complete, seen)

    asyncio.run(asyncio.wait_for(asynchronously(), 60))


def test_resumes_after_a_stored_token(client: Client) -> None:
    with client.events() as events:
        client.create_ticket(create_in_jira(new_incident()))
        first = next(events)
        assert events.resume_token == first.resume_token
        second = next(events)
    with client.events(v1.StreamTicketEventsRequest(resume_token=first.resume_token)) as events:
        assert next(events) == second


def test_subscription_is_established_when_returned(client: Client) -> None:
    with client.events() as events:
        assert events.resume_token
        incident = new_incident()
        client.create_ticket(create_in_jira(incident))
        assert next(events).incident_id == incident.id


@pytest.mark.behaviour("cancellation")
def test_closing_a_subscription_ends_its_loop(client: Client) -> None:
    events = client.events()
    threading.Timer(0.3, events.close).start()
    assert list(events) == []


@pytest.mark.behaviour("cancellation")
def test_closing_an_asyncio_subscription_ends_its_loop(server: Fixture) -> None:
    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            events = await client.events()
            asyncio.get_running_loop().call_later(0.3, events.close)
            assert [event async for event in events] == []
            events = await client.events()
            task = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0.1)  # Until it waits.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asynchronously())


@pytest.mark.behaviour("events end with a typed error when the token is refused")
def test_refused_token_ends_the_subscription(server: Fixture, client: Client) -> None:
    request = v1.StreamTicketEventsRequest(resume_token="yesterday")
    with pytest.raises(InvalidArgument) as raised:
        client.events(request)
    assert raised.value.reason == v1.ERROR_REASON_RESUME_TOKEN_INVALID

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            with pytest.raises(InvalidArgument):
                await client.events(request)

    asyncio.run(asynchronously())
