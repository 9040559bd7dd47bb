"""A subscription for asyncio that resumes by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from . import v1
from ._errors import DeadlineExceeded, TicketingError, from_rpc
from ._position import Position

if TYPE_CHECKING:
    Call = aio.UnaryStreamCall[v1.StreamTicketEventsRequest, v1.StreamTicketEventsResponse]


class AsyncEvents(AsyncIterator[v1.TicketEvent]):
    """What happens to deliveries: each event once, in order, through restarts of the server and lost connections.

    It ends, and fails, as `rhythmx_ticketing.Events` does. Cancelling the task that iterates ends it too.
    """

    def __init__(
        self,
        start: Callable[[v1.StreamTicketEventsRequest], Call],
        address: str,
        request: v1.StreamTicketEventsRequest | None,
    ) -> None:
        self._start = start
        self._address = address
        self._position = Position(request)
        self._closed = asyncio.Event()
        self._ahead: v1.TicketEvent | None = None
        self._call: Call = self._started()

    @property
    def resume_token(self) -> str:
        """Of the last event or bookmark that was handed over. Keep it once the event is dealt with: a later subscription
        that is given it goes on after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Ends the subscription."""
        self._closed.set()
        self._call.cancel()

    async def __aenter__(self) -> AsyncEvents:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> v1.TicketEvent:
        if self._ahead is not None:
            event, self._ahead = self._ahead, None
            return event
        while not self._closed.is_set():
            message, error = await self._read()
            if message is not None:
                event_or_none = self._position.take(message)
                if event_or_none is not None:
                    return event_or_none
            elif not self._closed.is_set():
                await self._resume(error, None)
        raise StopAsyncIteration

    async def _begin(self, deadline: float) -> None:
        """Waits for the first message: the bookmark that says where the stream begins."""
        until = time.monotonic() + deadline
        while True:
            try:
                message, error = await asyncio.wait_for(self._read(), max(0.0, until - time.monotonic()))
            except asyncio.TimeoutError:
                self.close()
                raise DeadlineExceeded(
                    grpc.StatusCode.DEADLINE_EXCEEDED, "the subscription did not begin in time", self._address
                ) from None
            except BaseException:
                self.close()
                raise
            if message is not None:
                self._ahead = self._position.take(message)
                return
            await self._resume(error, until)

    async def _read(self) -> tuple[v1.StreamTicketEventsResponse | None, TicketingError | None]:
        try:
            message = await self._call.read()
        except grpc.RpcError as failed:
            error = from_rpc(failed, self._address)
            error.__cause__ = failed
            return None, error
        except asyncio.CancelledError:
            # Also what grpc raises when `close` cancelled the call: that ends the iteration, and no task.
            if self._closed.is_set():
                return None, None
            raise
        return (message, None) if isinstance(message, v1.StreamTicketEventsResponse) else (None, None)

    async def _resume(self, error: TicketingError | None, until: float | None) -> None:
        delay = self._position.before_resume(error)
        if error is not None and (delay is None or (until is not None and time.monotonic() + delay >= until)):
            self._closed.set()
            raise error
        try:
            await asyncio.wait_for(self._closed.wait(), delay)
        except asyncio.TimeoutError:
            self._call = self._started()

    def _started(self) -> Call:
        return self._start(self._position.request())
