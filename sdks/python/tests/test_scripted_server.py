"""Which errors end a subscription, with a scripted server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
import pytest
from scripted_server import Broken, ScriptedServer

from rhythmx_ticketing import (
    DeadlineExceeded,
    ResumeTokenExpired,
    TicketingError,
    Unauthenticated,
    Unavailable,
    _position,
    _retry,
    aio,
    connect,
    v1,
)

CODE = grpc.StatusCode


def sequences_of_both(address: str, until: Callable[[list[int]], bool]) -> list[list[int]]:
    """The events of a subscription of each kind of client."""
    seen: list[list[int]] = [[], []]
    with connect(address) as client, client.events() as events:
        for event in events:
            seen[0].append(event.sequence)
            if until(seen[0]):
                break

    async def asynchronously() -> None:
        async with aio.connect(address) as client, await client.events() as events:
            async for event in events:
                seen[1].append(event.sequence)
                if until(seen[1]):
                    break

    asyncio.run(asynchronously())
    return seen


@pytest.mark.parametrize(
    "code", [CODE.INTERNAL, CODE.UNKNOWN, CODE.CANCELLED, CODE.ABORTED, CODE.RESOURCE_EXHAUSTED]
)
def test_resumes_after_errors_of_a_proxy(code: grpc.StatusCode) -> None:
    streams: list[list[int | Broken]] = [[0, 1, Broken(code)], [2, Broken(code)], [3]]
    with ScriptedServer(*streams, *streams) as server:
        assert sequences_of_both(server.address, lambda seen: len(seen) == 3) == [[1, 2, 3]] * 2
        assert server.resume_tokens == ["", "after 1", "after 2"] * 2


def test_resumes_after_an_end_without_a_status() -> None:
    with ScriptedServer([1], [2], [1], [2]) as server:
        assert sequences_of_both(server.address, lambda seen: len(seen) == 2) == [[1, 2]] * 2


def test_resume_token_is_that_of_the_last_event() -> None:
    with ScriptedServer([1, 2]) as server, connect(server.address) as client, client.events() as events:
        assert events.resume_token == ""
        next(events)
        assert events.resume_token == "after 1"


@pytest.mark.behaviour("events end with a typed error when the token is refused")
def test_expired_token_has_the_oldest_token() -> None:
    expired = Broken(CODE.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", {"oldest_token": "oldest"})
    with ScriptedServer([0, 1, Broken(CODE.UNAVAILABLE, "SHUTTING_DOWN")], [expired]) as server:
        with connect(server.address) as client:
            events = client.events()
            assert next(events).sequence == 1
            with pytest.raises(ResumeTokenExpired) as raised:
                next(events)
            assert raised.value.oldest_token == "oldest"
            assert list(events) == []
        assert server.resume_tokens == ["", "after 1"]


def test_revoked_credential_ends_the_subscription() -> None:
    slow = Broken(CODE.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW", {"resume_token": "elsewhere"})
    revoked = Broken(CODE.UNAUTHENTICATED, "CREDENTIAL_INVALID")
    with ScriptedServer([0, 1, slow], [0, 2, revoked]) as server, connect(server.address) as client:
        events = client.events()
        assert [next(events).sequence, next(events).sequence] == [1, 2]
        with pytest.raises(Unauthenticated):
            next(events)
        assert server.resume_tokens == ["", "after 1"]


def test_slow_subscriber_resumes_immediately_only_once() -> None:
    slow = TicketingError(CODE.RESOURCE_EXHAUSTED, "", "")
    slow.reason = v1.ERROR_REASON_SUBSCRIBER_TOO_SLOW
    assert _retry.delay_before_resume(slow, 0) == 0
    assert (_retry.delay_before_resume(slow, 1) or 0) > 0


def test_calls_and_subscriptions_are_tried_six_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "MAX_DELAY", 0.01)
    broken: list[list[int | Broken]] = [[Broken(CODE.UNAVAILABLE)] for _ in range(24)]
    with ScriptedServer(*broken) as server, connect(server.address) as client:
        with pytest.raises(Unavailable):
            client.get_status()
        assert server.calls == 6
        with pytest.raises(Unavailable):
            client.events()
        assert len(server.resume_tokens) == 6

        async def asynchronously() -> None:
            async with aio.connect(server.address) as client:
                with pytest.raises(Unavailable):
                    await client.get_status()
                with pytest.raises(Unavailable):
                    await client.events()

        asyncio.run(asynchronously())
        assert (server.calls, len(server.resume_tokens)) == (12, 12)


@pytest.mark.behaviour("DEADLINE_EXCEEDED")
@pytest.mark.parametrize("deadline", [0.2, 0, -1])
def test_subscription_that_does_not_start_exceeds_its_deadline(deadline: float) -> None:
    with ScriptedServer() as server, connect(server.address) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=server.address):
            client.events(deadline=deadline)

        async def asynchronously() -> None:
            async with aio.connect(server.address) as client:
                with pytest.raises(DeadlineExceeded, match=server.address):
                    await client.events(deadline=deadline)

        asyncio.run(asynchronously())
        assert time.monotonic() - started < 3


@pytest.mark.behaviour("infinite deadlines")
@pytest.mark.parametrize("deadline", [float("inf"), 1e300])
def test_accepts_infinite_deadlines(deadline: float) -> None:
    with ScriptedServer([0], [0]) as server, connect(server.address, deadline=deadline) as client:
        client.events().close()

        async def asynchronously() -> None:
            async with aio.connect(server.address, deadline=deadline) as client:
                (await client.events()).close()

        asyncio.run(asynchronously())


def test_reopens_stream_that_is_silent_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_position, "SILENCE", 0.3)
    with ScriptedServer() as server, connect(server.address) as client:
        # UNAVAILABLE if there is no time for another attempt.
        with pytest.raises((DeadlineExceeded, Unavailable)):
            client.events(deadline=1.5)
        assert len(server.resume_tokens) >= 2
