"""What ends a subscription, and what does not, by a server that plays it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
import pytest
from played import Broken, Played

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


def both(address: str, until: Callable[[list[int]], bool]) -> list[list[int]]:
    """What a subscription of each kind of client sees."""
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
def test_whatever_may_be_of_something_between_is_resumed(code: grpc.StatusCode) -> None:
    streams: list[list[int | Broken]] = [[0, 1, Broken(code)], [2, Broken(code)], [3]]
    with Played(*streams, *streams) as server:
        assert both(server.address, lambda seen: len(seen) == 3) == [[1, 2, 3]] * 2
        assert server.asked == ["", "after 1", "after 2"] * 2


def test_an_end_without_a_word_is_resumed_and_a_first_message_that_is_an_event_is_not_lost() -> None:
    with Played([1], [2], [1], [2]) as server:
        assert both(server.address, lambda seen: len(seen) == 2) == [[1, 2]] * 2


def test_a_token_is_told_once_its_event_is_handed_over() -> None:
    with Played([1, 2]) as server, connect(server.address) as client, client.events() as events:
        assert events.resume_token == ""
        next(events)
        assert events.resume_token == "after 1"


@pytest.mark.behaviour("events end with a typed error when the token is refused")
def test_an_expired_token_is_handed_to_the_caller_with_the_oldest_one() -> None:
    expired = Broken(CODE.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", {"oldest_token": "oldest"})
    with Played([0, 1, Broken(CODE.UNAVAILABLE, "SHUTTING_DOWN")], [expired]) as server:
        with connect(server.address) as client:
            events = client.events()
            assert next(events).sequence == 1
            with pytest.raises(ResumeTokenExpired) as raised:
                next(events)
            assert raised.value.oldest_token == "oldest"
            assert list(events) == []
        assert server.asked == ["", "after 1"]


def test_slowness_is_resumed_and_a_revoked_credential_is_not() -> None:
    slow = Broken(CODE.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW", {"resume_token": "elsewhere"})
    revoked = Broken(CODE.UNAUTHENTICATED, "CREDENTIAL_INVALID")
    with Played([0, 1, slow], [0, 2, revoked]) as server, connect(server.address) as client:
        events = client.events()
        assert [next(events).sequence, next(events).sequence] == [1, 2]
        with pytest.raises(Unauthenticated):
            next(events)
        assert server.asked == ["", "after 1"]


def test_a_slow_subscriber_comes_back_at_once_but_not_again_and_again() -> None:
    slow = TicketingError(CODE.RESOURCE_EXHAUSTED, "", "")
    slow.reason = v1.ERROR_REASON_SUBSCRIBER_TOO_SLOW
    assert _retry.before_resume(slow, 0) == 0
    assert (_retry.before_resume(slow, 1) or 0) > 0


def test_calls_and_beginnings_are_attempted_six_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "MAX_DELAY", 0.01)
    broken: list[list[int | Broken]] = [[Broken(CODE.UNAVAILABLE)] for _ in range(24)]
    with Played(*broken) as server, connect(server.address) as client:
        with pytest.raises(Unavailable):
            client.get_status()
        assert server.calls == 6
        with pytest.raises(Unavailable):
            client.events()
        assert len(server.asked) == 6

        async def asynchronously() -> None:
            async with aio.connect(server.address) as client:
                with pytest.raises(Unavailable):
                    await client.get_status()
                with pytest.raises(Unavailable):
                    await client.events()

        asyncio.run(asynchronously())
        assert (server.calls, len(server.asked)) == (12, 12)


@pytest.mark.behaviour("DEADLINE_EXCEEDED")
@pytest.mark.parametrize("deadline", [0.2, 0, -1])
def test_a_subscription_that_does_not_begin_exceeds_its_deadline(deadline: float) -> None:
    with Played() as server, connect(server.address) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=server.address):
            client.events(deadline=deadline)

        async def asynchronously() -> None:
            async with aio.connect(server.address) as client:
                with pytest.raises(DeadlineExceeded, match=server.address):
                    await client.events(deadline=deadline)

        asyncio.run(asynchronously())
        assert time.monotonic() - started < 3


@pytest.mark.behaviour("a deadline that is endless")
@pytest.mark.parametrize("deadline", [float("inf"), 1e300])
def test_a_deadline_that_is_endless_is_none(deadline: float) -> None:
    with Played([0], [0]) as server, connect(server.address, deadline=deadline) as client:
        client.events().close()

        async def asynchronously() -> None:
            async with aio.connect(server.address, deadline=deadline) as client:
                (await client.events()).close()

        asyncio.run(asynchronously())


def test_a_stream_that_falls_silent_before_it_begins_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_position, "SILENCE", 0.3)
    with Played() as server, connect(server.address) as client:
        # The latter is what it says when there is no time for another attempt.
        with pytest.raises((DeadlineExceeded, Unavailable)):
            client.events(deadline=1.5)
        assert len(server.asked) >= 2
