"""Subscriptions, through everything that ends a stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from fixture import Fixture, an_incident, create_in_jira

from rhythmx_ticketing import (
    Client,
    InvalidArgument,
    aio,
    v1,
)

PUSHES = 30


class Pushes:
    """Pushes one incident after the other, from a thread of its own, while the server comes and goes twice. The last one is
    pushed when all is quiet again."""

    def __init__(self, server: Fixture, client: Client, order: str) -> None:
        self.incidents = [an_incident() for _ in range(PUSHES)]
        self.last = an_incident()
        self._server = server
        self._client = client
        self._order = order
        self._midst = threading.Event()
        self._threads = [threading.Thread(target=self._push), threading.Thread(target=self._break)]
        for thread in self._threads:
            thread.start()

    def are_over(self, events: list[v1.TicketEvent]) -> bool:
        """Whether the events reach to the very last one."""
        return any(
            event.incident_id == self.last.id and event.kind == v1.TICKET_EVENT_KIND_DELIVERED
            for event in events[-1:]
        )

    def prove_complete(self, events: list[v1.TicketEvent]) -> None:
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
                self._midst.set()
        self._threads[1].join(timeout=60)
        self._client.create_ticket(create_in_jira(self.last))

    def _break(self) -> None:
        self._midst.wait(timeout=60)
        self._server.order(self._order)
        self._server.order(self._order)


@pytest.fixture
def pushed_by_itself(client: Client) -> Iterator[None]:
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=True)))
    yield
    client.configure(v1.ConfigureRequest(auto_push=v1.AutoPushSettings(enabled=False)))


RESTARTS = [
    pytest.param("restart", marks=pytest.mark.behaviour("events resumed across a restart")),
    pytest.param("kill", marks=pytest.mark.behaviour("events resumed across a kill")),
]


@pytest.mark.usefixtures("pushed_by_itself")
@pytest.mark.parametrize("order", RESTARTS)
def test_each_event_is_seen_once_and_in_order_while_the_server_comes_and_goes(
    server: Fixture, client: Client, order: str
) -> None:
    seen: list[v1.TicketEvent] = []
    with client.events() as events:
        pushes = Pushes(server, client, order)
        # Ends the loop, and so the test, if events are missed.
        guard = threading.Timer(60, events.close)
        guard.start()
        for event in events:
            seen.append(event)
            if pushes.are_over(seen):
                break
        guard.cancel()
    pushes.prove_complete(seen)


@pytest.mark.usefixtures("pushed_by_itself")
@pytest.mark.parametrize("order", RESTARTS)
def test_each_event_is_seen_once_and_in_order_by_asyncio_too(
    server: Fixture, client: Client, order: str
) -> None:
    async def asynchronously() -> None:
        seen: list[v1.TicketEvent] = []
        async with aio.connect(server.address, token=server.tokens["viewer"]) as watcher:
            async with await watcher.events() as events:
                pushes = Pushes(server, client, order)
                async for event in events:
                    seen.append(event)
                    if pushes.are_over(seen):
                        break
        await asyncio.to_thread(pushes.prove_complete, seen)

    asyncio.run(asyncio.wait_for(asynchronously(), 60))


def test_a_kept_token_goes_on_after_its_event(client: Client) -> None:
    with client.events() as events:
        client.create_ticket(create_in_jira(an_incident()))
        first = next(events)
        assert events.resume_token == first.resume_token
        second = next(events)
    with client.events(v1.StreamTicketEventsRequest(resume_token=first.resume_token)) as events:
        assert next(events) == second


def test_a_subscription_stands_when_it_is_handed_over(client: Client) -> None:
    with client.events() as events:
        assert events.resume_token
        incident = an_incident()
        client.create_ticket(create_in_jira(incident))
        assert next(events).incident_id == incident.id


@pytest.mark.behaviour("cancellation")
def test_closing_a_subscription_ends_its_loop(client: Client) -> None:
    events = client.events()
    threading.Timer(0.3, events.close).start()
    assert list(events) == []


@pytest.mark.behaviour("cancellation")
def test_closing_a_subscription_of_asyncio_ends_its_loop(server: Fixture) -> None:
    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            events = await client.events()
            asyncio.get_running_loop().call_later(0.3, events.close)
            assert [event async for event in events] == []
            events = await client.events()
            task = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0.1)  # Until it reads.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asynchronously())


@pytest.mark.behaviour("events end with a typed error when the token is refused")
def test_a_token_that_is_refused_ends_the_subscription(server: Fixture, client: Client) -> None:
    request = v1.StreamTicketEventsRequest(resume_token="yesterday")
    with pytest.raises(InvalidArgument) as raised:
        client.events(request)
    assert raised.value.reason == v1.ERROR_REASON_RESUME_TOKEN_INVALID

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            with pytest.raises(InvalidArgument):
                await client.events(request)

    asyncio.run(asynchronously())
