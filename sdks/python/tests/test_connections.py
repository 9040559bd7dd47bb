"""Which ways lead to a server, and connections that go bad without a word."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fixture import Fixture, an_incident, create_in_jira
from played import Played

from rhythmx_ticketing import Cancelled, Tls, _address, _channel, _position, aio, connect, v1


@pytest.fixture(scope="module")
def relayed() -> Iterator[Fixture]:
    with Fixture("--", "--subscriber-timeout=1s", "--bookmark-interval=200ms") as fixture:
        yield fixture


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_channel, "KEEPALIVE_TIME", 0.5)
    monkeypatch.setattr(_channel, "KEEPALIVE_TIMEOUT", 0.5)


@pytest.mark.behaviour("unix socket")
def test_a_unix_socket_is_as_good_as_a_port() -> None:
    with Fixture("--unix") as server:
        token = server.tokens["admin"]
        with connect(server.address, token=token) as client, client.events() as events:
            client.create_ticket(create_in_jira(an_incident()))
            server.order("restart")
            client.create_ticket(create_in_jira(an_incident()))
            sequences = [next(events).sequence for _ in range(6)]
            assert sequences == list(range(sequences[0], sequences[0] + 6))

        async def asynchronously() -> None:
            async with aio.connect(server.address, token=token) as client:
                await client.get_status()

        asyncio.run(asynchronously())


NO_ADDRESSES = [
    "",
    "127.0.0.1",
    "host:",
    ":1",
    "host:0",
    "host:65536",
    "host:1/path",
    "ftp://host:1",
    "http://host",
]
NO_ADDRESSES += [
    "https://host:1/",
    "unix:relative",
    "unix:",
    "::1:1",
    "[::g]:1",
    "[127.0.0.1]:1",
    "a host:1",
    "x@host:1",
]


@pytest.mark.behaviour("addresses that are none are refused")
@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    for way in (connect, aio.connect):
        with pytest.raises(ValueError) as raised:
            way(address)
        expected = f'"{address}" is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH'
        assert str(raised.value) == expected


@pytest.mark.behaviour("addresses that are none are refused")
def test_an_address_may_say_whether_there_is_tls(server: Fixture) -> None:
    with connect(f"http://{server.address}", token=server.tokens["viewer"]) as client:
        client.get_status()
    with pytest.raises(ValueError, match="TLS is given"):
        connect("http://ticketing.example:50051", tls=Tls())
    connect("https://ticketing.example:50051", token="rxt_1").close()
    assert _channel.route("https://[::1]:443", None, None).credentials is not None
    assert _address.read("[::1]:50051").local


@pytest.mark.behaviour("a token goes in plaintext to this machine alone")
def test_a_token_is_not_sent_in_plaintext_to_another_machine() -> None:
    for way in (connect, aio.connect):
        for address in (
            "ticketing.example:50051",
            "10.1.2.3:50051",
            "http://[2001:db8::1]:50051",
            "localhost.example:1",
        ):
            with pytest.raises(ValueError, match="without TLS"):
                way(address, token="rxt_1")
    for address in ("localhost:1", "127.1.2.3:1", "[::1]:1", "unix:/run/ticketing.sock"):
        connect(address, token="rxt_1").close()
    connect("ticketing.example:50051").close()


@pytest.mark.behaviour("a token goes in plaintext to this machine alone")
@pytest.mark.parametrize("token", ["", "two words", "no\nheader", "ключ"])
def test_what_can_not_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        connect("127.0.0.1:1", token=token)


@pytest.mark.behaviour("a token goes in plaintext to this machine alone")
def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    server: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with connect(server.address, token=server.tokens["viewer"]) as client:
        client.get_status(deadline=2)

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            await client.get_status(deadline=2)

    asyncio.run(asynchronously())


@pytest.mark.behaviour("a connection that dies silently")
@pytest.mark.usefixtures("impatient")
def test_a_connection_that_dies_without_a_word_is_replaced(relayed: Fixture) -> None:
    token = relayed.tokens["admin"]
    with connect(relayed.relay, token=token) as client, client.events() as events:
        relayed.order("relay swallows")
        started = time.monotonic()
        client.create_ticket(create_in_jira(an_incident()))
        assert next(events).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        assert time.monotonic() - started < 6

    async def asynchronously() -> None:
        async with aio.connect(relayed.relay, token=token) as client, await client.events() as events:
            relayed.order("relay swallows")
            await asyncio.wait_for(client.create_ticket(create_in_jira(an_incident())), 6)
            event = await asyncio.wait_for(anext_of(events), 6)
            assert event.kind == v1.TICKET_EVENT_KIND_ACCEPTED

    asyncio.run(asynchronously())


async def anext_of(events: aio.AsyncEvents) -> v1.TicketEvent:
    return await events.__anext__()


@pytest.mark.behaviour("a stream that falls silent")
def test_a_stream_that_falls_silent_is_opened_again_by_another_connection(
    relayed: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_position, "SILENCE", 1.0)
    token = relayed.tokens["admin"]
    with connect(relayed.relay, token=token) as client, client.events() as events:
        relayed.order("relay mutes")
        with connect(relayed.address, token=token) as other:
            other.create_ticket(create_in_jira(an_incident()))
        started = time.monotonic()
        assert next(events).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        assert 0.5 < time.monotonic() - started < 4
        # Calls take the new connection too.
        client.get_status(deadline=1)
        assert len(client._lines._open) == 1

    async def asynchronously() -> None:
        async with aio.connect(relayed.relay, token=token) as client, await client.events() as events:
            relayed.order("relay mutes")
            async with aio.connect(relayed.address, token=token) as other:
                await other.create_ticket(create_in_jira(an_incident()))
            # However often one asks meanwhile.
            event, tries = None, 0
            while event is None and tries < 40:
                tries += 1
                with contextlib.suppress(asyncio.TimeoutError):
                    event = await asyncio.wait_for(anext_of(events), 0.1)
            assert event is not None and event.kind == v1.TICKET_EVENT_KIND_ACCEPTED
            assert tries > 5
            await client.get_status(deadline=1)
            assert len(client._lines._open) == 1

    asyncio.run(asynchronously())


@pytest.mark.behaviour("a stream ended for slowness")
def test_a_stream_that_was_ended_for_slowness_goes_on(relayed: Fixture) -> None:
    relayed.order("relay narrows")
    try:
        with connect(relayed.relay, token=relayed.tokens["admin"]) as client, client.events() as events:
            # More than the server takes this subscriber to have read.
            for _ in range(12):
                client.create_ticket(create_in_jira(an_incident()))
            guard = threading.Timer(20, events.close)
            guard.start()
            seen = list(itertools.islice(events, 36))
            guard.cancel()
            assert [event.sequence for event in seen] == list(range(seen[0].sequence, seen[0].sequence + 36))
            assert sum(event.ByteSize() for event in seen) > 8_192
    finally:
        relayed.order("relay fair")


@pytest.mark.behaviour("closing")
def test_closing_the_client_ends_calls_and_subscriptions_at_once(relayed: Fixture) -> None:
    before = threading.active_count()
    relayed.order("jira hangs")
    try:
        client = connect(relayed.address, token=relayed.tokens["admin"])
        events = client.events()
        kept = client.events()
        closing = threading.Timer(0.3, client.close)
        closing.start()
        failures: list[BaseException] = []

        def push() -> None:
            try:
                client.create_ticket(create_in_jira(an_incident()))
            except Cancelled as error:
                failures.append(error)

        pushing = threading.Thread(target=push)
        pushing.start()
        started = time.monotonic()
        with pytest.raises(Cancelled, match="the client is closed"):
            list(events)
        pushing.join(5)
        assert time.monotonic() - started < 2
        assert [str(error) for error in failures] == [str(client._lines.error())]
        for use in (client.get_status, client.events, lambda: next(kept)):
            with pytest.raises(Cancelled, match="the client is closed"):
                use()
        client.close()
        closing.join()
        until = time.monotonic() + 5
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.05)
        assert threading.active_count() == before
    finally:
        relayed.order("jira fair")


@pytest.mark.behaviour("closing")
def test_closing_ends_what_waits_to_try_again() -> None:
    for events in (False, True):
        client = connect("127.0.0.1:1")
        threading.Timer(1.0, client.close).start()
        started = time.monotonic()
        with pytest.raises(Cancelled, match="the client is closed"):
            client.events() if events else client.get_status()
        assert time.monotonic() - started < 1.4


@pytest.mark.behaviour("closing")
def test_closing_the_client_of_asyncio_cancels_no_task(relayed: Fixture) -> None:
    relayed.order("jira hangs")

    async def asynchronously() -> None:
        client = aio.connect(relayed.address, token=relayed.tokens["admin"])
        away = aio.connect("127.0.0.1:1")
        events = await client.events()
        waiting: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(waited)
            for waited in (
                anext_of(events),
                client.create_ticket(create_in_jira(an_incident())),
                away.get_status(),
                away.events(),
            )
        ]
        # The first event of the push; then there is none for seconds.
        assert (await waiting[0]).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        await anext_of(events)
        waiting[0] = asyncio.ensure_future(anext_of(events))
        await asyncio.sleep(0.5)  # Until the others wait to try again.
        started = time.monotonic()
        await client.close()
        await away.close()
        await client.close()
        for failed in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(failed, Cancelled) and "the client is closed" in str(failed), repr(failed)
        assert time.monotonic() - started < 1
        for use in (client.get_status(), client.events(), anext_of(events)):
            with pytest.raises(Cancelled, match="the client is closed"):
                await use
        # grpc's own end a moment later.
        until = time.monotonic() + 5
        while len(asyncio.all_tasks()) > 1 and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    try:
        asyncio.run(asynchronously())
    finally:
        relayed.order("jira fair")


@pytest.mark.behaviour("cancellation")
def test_a_time_out_of_who_waits_for_an_event_does_not_end_the_subscription() -> None:
    async def asynchronously(server: Played) -> None:
        async with aio.connect(server.address) as client, await client.events() as events:
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext_of(events), 0.02)
            event, until = None, time.monotonic() + 5
            while event is None and time.monotonic() < until:
                with contextlib.suppress(asyncio.TimeoutError):
                    event = await asyncio.wait_for(anext_of(events), 0.02)
            assert event is not None and event.sequence == 1

    # Neither while it waits to come back.
    with Played([0], [1]) as server:
        asyncio.run(asynchronously(server))
        assert server.asked == ["", "after 0"]


@pytest.mark.behaviour("cancellation")
def test_no_event_is_lost_to_time_outs(relayed: Fixture) -> None:
    async def asynchronously() -> None:
        async with aio.connect(relayed.address, token=relayed.tokens["admin"]) as client:
            async with await client.events() as events:
                pushes = asyncio.gather(
                    *(client.create_ticket(create_in_jira(an_incident())) for _ in range(10))
                )
                seen: list[int] = []
                until = time.monotonic() + 20
                while len(seen) < 30 and time.monotonic() < until:
                    with contextlib.suppress(asyncio.TimeoutError):
                        seen.append((await asyncio.wait_for(anext_of(events), 0.002)).sequence)
                await pushes
                assert seen == list(range(seen[0], seen[0] + 30))

    asyncio.run(asynchronously())


def test_a_client_of_asyncio_may_be_made_before_the_loop_runs(server: Fixture) -> None:
    client = aio.connect(server.address, token=server.tokens["viewer"])

    async def asynchronously() -> None:
        async with client:
            await client.get_status()

    asyncio.run(asynchronously())


def test_a_subscription_that_is_forgotten_ends() -> None:
    with Played([0, 1, 2]) as server, connect(server.address) as client:
        client.events()
        line = client._lines._current
        assert line is not None
        assert line.users == 0
