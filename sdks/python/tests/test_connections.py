"""Addresses, tokens, failed connections and closing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fixture import Fixture, create_in_jira, new_incident
from scripted_server import ScriptedServer

from rhythmx_ticketing import Cancelled, Tls, _address, _channel, _position, aio, connect, v1


@pytest.fixture(scope="module")
def relayed() -> Iterator[Fixture]:
    with Fixture("--", "--subscriber-timeout=1s", "--bookmark-interval=200ms") as fixture:
        yield fixture


@pytest.fixture
def short_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_channel, "KEEPALIVE_TIME", 0.5)
    monkeypatch.setattr(_channel, "KEEPALIVE_TIMEOUT", 0.5)


@pytest.mark.behaviour("unix socket")
def test_connects_over_unix_socket() -> None:
    with Fixture("--unix") as server:
        token = server.tokens["admin"]
        with connect(server.address, token=token) as client, client.events() as events:
            client.create_ticket(create_in_jira(new_incident()))
            server.command("restart")
            client.create_ticket(create_in_jira(new_incident()))
            sequences = [next(events).sequence for _ in range(6)]
            assert sequences == list(range(sequences[0], sequences[0] + 6))

        async def asynchronously() -> None:
            async with aio.connect(server.address, token=token) as client:
                await client.get_status()

        asyncio.run(asynchronously())


INVALID_ADDRESSES = [
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
INVALID_ADDRESSES += [
    "https://host:1/",
    "unix:relative",
    "unix:",
    "::1:1",
    "[::g]:1",
    "[127.0.0.1]:1",
    "a host:1",
    "x@host:1",
]


@pytest.mark.behaviour("invalid addresses are refused")
@pytest.mark.parametrize("address", INVALID_ADDRESSES)
def test_refuses_invalid_addresses(address: str) -> None:
    for way in (connect, aio.connect):
        with pytest.raises(ValueError) as raised:
            way(address)
        expected = f'"{address}" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH'
        assert str(raised.value) == expected


@pytest.mark.behaviour("invalid addresses are refused")
def test_address_scheme_decides_tls(server: Fixture) -> None:
    with connect(f"http://{server.address}", token=server.tokens["viewer"]) as client:
        client.get_status()
    with pytest.raises(ValueError, match="TLS is given"):
        connect("http://ticketing.example:50051", tls=Tls())
    connect("https://ticketing.example:50051", token="rxt_1").close()
    assert _channel.route("https://[::1]:443", None, None).credentials is not None
    assert _address.parse("[::1]:50051").local


@pytest.mark.behaviour("tokens are sent in plaintext only to the local machine")
def test_refuses_plaintext_token_for_another_machine() -> None:
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


@pytest.mark.behaviour("tokens are sent in plaintext only to the local machine")
@pytest.mark.parametrize("token", ["", "two words", "no\nheader", "ключ"])
def test_refuses_invalid_tokens(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        connect("127.0.0.1:1", token=token)


@pytest.mark.behaviour("tokens are sent in plaintext only to the local machine")
def test_uses_no_proxy_for_local_machine(server: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with connect(server.address, token=server.tokens["viewer"]) as client:
        client.get_status(deadline=2)

    async def asynchronously() -> None:
        async with aio.connect(server.address, token=server.tokens["viewer"]) as client:
            await client.get_status(deadline=2)

    asyncio.run(asynchronously())


@pytest.mark.behaviour("silently failed connections are replaced")
@pytest.mark.usefixtures("short_keepalive")
def test_replaces_silently_failed_connection(relayed: Fixture) -> None:
    token = relayed.tokens["admin"]
    with connect(relayed.relay, token=token) as client, client.events() as events:
        relayed.command("relay drop-bytes")
        started = time.monotonic()
        client.create_ticket(create_in_jira(new_incident()))
        assert next(events).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        assert time.monotonic() - started < 6

    async def asynchronously() -> None:
        async with aio.connect(relayed.relay, token=token) as client, await client.events() as events:
            relayed.command("relay drop-bytes")
            await asyncio.wait_for(client.create_ticket(create_in_jira(new_incident())), 6)
            event = await asyncio.wait_for(anext_of(events), 6)
            assert event.kind == v1.TICKET_EVENT_KIND_ACCEPTED

    asyncio.run(asynchronously())


async def anext_of(events: aio.AsyncEvents) -> v1.TicketEvent:
    return await events.__anext__()


@pytest.mark.behaviour("silent streams are resumed")
def test_resumes_silent_stream_over_a_new_connection(
    relayed: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_position, "SILENCE", 1.0)
    token = relayed.tokens["admin"]
    with connect(relayed.relay, token=token) as client, client.events() as events:
        relayed.command("relay drop-messages")
        with connect(relayed.address, token=token) as other:
            other.create_ticket(create_in_jira(new_incident()))
        started = time.monotonic()
        assert next(events).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        assert 0.5 < time.monotonic() - started < 4
        # Calls use the new connection too.
        client.get_status(deadline=1)
        assert len(client._pool._open) == 1

    async def asynchronously() -> None:
        async with aio.connect(relayed.relay, token=token) as client, await client.events() as events:
            relayed.command("relay drop-messages")
            async with aio.connect(relayed.address, token=token) as other:
                await other.create_ticket(create_in_jira(new_incident()))
            # Canceled waits do not restart the timeout.
            event, tries = None, 0
            while event is None and tries < 40:
                tries += 1
                with contextlib.suppress(asyncio.TimeoutError):
                    event = await asyncio.wait_for(anext_of(events), 0.1)
            assert event is not None and event.kind == v1.TICKET_EVENT_KIND_ACCEPTED
            assert tries > 5
            await client.get_status(deadline=1)
            assert len(client._pool._open) == 1

    asyncio.run(asynchronously())


@pytest.mark.behaviour("streams ended for a slow subscriber are resumed")
def test_resumes_stream_ended_for_a_slow_subscriber(relayed: Fixture) -> None:
    relayed.command("relay slow-reader")
    try:
        with connect(relayed.relay, token=relayed.tokens["admin"]) as client, client.events() as events:
            # More than the relay's reader reads before its pause.
            for _ in range(12):
                client.create_ticket(create_in_jira(new_incident()))
            guard = threading.Timer(20, events.close)
            guard.start()
            seen = list(itertools.islice(events, 36))
            guard.cancel()
            assert [event.sequence for event in seen] == list(range(seen[0].sequence, seen[0].sequence + 36))
            assert sum(event.ByteSize() for event in seen) > 8_192
    finally:
        relayed.command("relay ok")


@pytest.mark.behaviour("closing")
def test_closing_ends_calls_and_subscriptions_immediately(relayed: Fixture) -> None:
    before = threading.active_count()
    relayed.command("jira delay")
    try:
        client = connect(relayed.address, token=relayed.tokens["admin"])
        events = client.events()
        kept = client.events()
        closing = threading.Timer(0.3, client.close)
        closing.start()
        failures: list[BaseException] = []

        def push() -> None:
            try:
                client.create_ticket(create_in_jira(new_incident()))
            except Cancelled as error:
                failures.append(error)

        pushing = threading.Thread(target=push)
        pushing.start()
        started = time.monotonic()
        with pytest.raises(Cancelled, match="the client is closed"):
            list(events)
        pushing.join(5)
        assert time.monotonic() - started < 2
        assert [str(error) for error in failures] == [str(client._pool.error())]
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
        relayed.command("jira ok")


@pytest.mark.behaviour("closing")
def test_closing_ends_calls_that_wait_for_a_retry() -> None:
    for events in (False, True):
        client = connect("127.0.0.1:1")
        threading.Timer(1.0, client.close).start()
        started = time.monotonic()
        with pytest.raises(Cancelled, match="the client is closed"):
            client.events() if events else client.get_status()
        assert time.monotonic() - started < 1.4


@pytest.mark.behaviour("closing")
def test_closing_the_asyncio_client_cancels_no_task(relayed: Fixture) -> None:
    relayed.command("jira delay")

    async def asynchronously() -> None:
        client = aio.connect(relayed.address, token=relayed.tokens["admin"])
        unreachable = aio.connect("127.0.0.1:1")
        events = await client.events()
        waiting: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(waited)
            for waited in (
                anext_of(events),
                client.create_ticket(create_in_jira(new_incident())),
                unreachable.get_status(),
                unreachable.events(),
            )
        ]
        # After the first events of the push there is none for seconds.
        assert (await waiting[0]).kind == v1.TICKET_EVENT_KIND_ACCEPTED
        await anext_of(events)
        waiting[0] = asyncio.ensure_future(anext_of(events))
        await asyncio.sleep(0.5)  # Until the others wait for a retry.
        started = time.monotonic()
        await client.close()
        await unreachable.close()
        await client.close()
        for failed in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(failed, Cancelled) and "the client is closed" in str(failed), repr(failed)
        assert time.monotonic() - started < 1
        for use in (client.get_status(), client.events(), anext_of(events)):
            with pytest.raises(Cancelled, match="the client is closed"):
                await use
        # Tasks of grpc end a moment later.
        until = time.monotonic() + 5
        while len(asyncio.all_tasks()) > 1 and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    try:
        asyncio.run(asynchronously())
    finally:
        relayed.command("jira ok")


@pytest.mark.behaviour("cancellation")
def test_timeout_of_a_waiting_caller_keeps_the_subscription() -> None:
    async def asynchronously(server: ScriptedServer) -> None:
        async with aio.connect(server.address) as client, await client.events() as events:
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext_of(events), 0.02)
            event, until = None, time.monotonic() + 5
            while event is None and time.monotonic() < until:
                with contextlib.suppress(asyncio.TimeoutError):
                    event = await asyncio.wait_for(anext_of(events), 0.02)
            assert event is not None and event.sequence == 1

    # Nor while it waits to resume.
    with ScriptedServer([0], [1]) as server:
        asyncio.run(asynchronously(server))
        assert server.resume_tokens == ["", "after 0"]


@pytest.mark.behaviour("cancellation")
def test_timeouts_lose_no_event(relayed: Fixture) -> None:
    async def asynchronously() -> None:
        async with aio.connect(relayed.address, token=relayed.tokens["admin"]) as client:
            async with await client.events() as events:
                pushes = asyncio.gather(
                    *(client.create_ticket(create_in_jira(new_incident())) for _ in range(10))
                )
                seen: list[int] = []
                until = time.monotonic() + 20
                while len(seen) < 30 and time.monotonic() < until:
                    with contextlib.suppress(asyncio.TimeoutError):
                        seen.append((await asyncio.wait_for(anext_of(events), 0.002)).sequence)
                await pushes
                assert seen == list(range(seen[0], seen[0] + 30))

    asyncio.run(asynchronously())


def test_creates_asyncio_client_before_the_loop_runs(server: Fixture) -> None:
    client = aio.connect(server.address, token=server.tokens["viewer"])

    async def asynchronously() -> None:
        async with client:
            await client.get_status()

    asyncio.run(asynchronously())


def test_garbage_collected_subscription_ends() -> None:
    with ScriptedServer([0, 1, 2]) as server, connect(server.address) as client:
        client.events()
        channel = client._pool._current
        assert channel is not None
        assert channel.users == 0
