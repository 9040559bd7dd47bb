"""An asyncio subscription that resumes automatically."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Protocol

import grpc

from . import _channel, _errors, _position, v1
from ._errors import TicketingError
from ._position import Position


class Call(Protocol):
    """An open stream."""

    async def read(self) -> v1.StreamTicketEventsResponse | None:
        """Returns the next message; None at the end of the stream."""

    def end(self) -> object:
        """Cancels the stream. Calling it twice has no effect."""

    def replace_connection(self) -> object:
        """Makes the next stream use another connection."""


class Source(Protocol):
    """Opens streams."""

    @property
    def address(self) -> str:
        """The server's address, for messages."""

    def start(self, request: v1.StreamTicketEventsRequest) -> Call:
        """Opens a stream."""

    def add(self, events: AsyncEvents) -> object:
        """Registers a subscription, which is closed with the client."""


class AsyncEvents(AsyncIterator[v1.TicketEvent]):
    """The events of deliveries, each once and in order, across restarts of the server and lost connections.

    It ends and fails as `rhythmx_ticketing.Events` does. Waiting for the next event is cancel safe, for example with
    `asyncio.wait_for`: no event is lost.
    """

    def __init__(self, source: Source, request: v1.StreamTicketEventsRequest | None) -> None:
        self._source = source
        self._position = Position(request)
        # Set when the subscription has ended; `_failure` is the reason, if it failed.
        self._ended = asyncio.Event()
        self._failure: TicketingError | None = None
        self._ahead: v1.StreamTicketEventsResponse | None = None
        # None while waiting until `_start_at` to open the next stream.
        self._call: Call | None = None
        self._start_at = 0.0
        # Kept when its waiter is cancelled, with the time at which the stream counts as silent.
        self._reading: asyncio.Future[v1.StreamTicketEventsResponse | None] | None = None
        self._silent_at = 0.0
        source.add(self)

    @property
    def resume_token(self) -> str:
        """The token of the last event or bookmark returned. Store it once the event is processed: a later subscription
        with this token resumes after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Closes the subscription."""
        self._end(None)

    async def __aenter__(self) -> AsyncEvents:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> v1.TicketEvent:
        while not self._ended.is_set():
            try:
                message, self._ahead = self._ahead or await self._read(float("inf")), None
            except TicketingError as error:
                self._resume(error, self._position.delay_before_resume)
                continue
            event = self._position.take(message)
            if event is not None:
                return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _wait_for_start(self, deadline: float) -> None:
        """Waits for the first message: the bookmark with the start position."""
        start_deadline = _channel.until(deadline)
        try:
            while not self._ended.is_set():
                if _channel.left(start_deadline) == 0:
                    raise _errors.not_started(self._source.address)
                try:
                    message = await self._read(start_deadline)
                except TicketingError as error:
                    if _channel.left(start_deadline) != 0:
                        self._resume(
                            error,
                            lambda why: self._position.delay_before_start(why, _channel.left(start_deadline)),
                        )
                    continue
                if message.WhichOneof("message") == "event":
                    self._ahead = message
                else:
                    self._position.take(message)
                return
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self.close()
            raise

    async def _read(self, start_deadline: float) -> v1.StreamTicketEventsResponse:
        """Returns the next message, or raises the error of the stream."""
        call = await self._started()
        if self._reading is None:
            self._reading = asyncio.ensure_future(call.read())
            self._reading.add_done_callback(retrieve)
            self._silent_at = time.monotonic() + _position.SILENCE
        reading = self._reading
        # Unlike `wait_for` it does not cancel the reading.
        await asyncio.wait({reading}, timeout=_channel.left(min(self._silent_at, start_deadline)))
        if not reading.done():
            call.replace_connection()
            raise _errors.silent(self._source.address)
        if self._reading is reading:
            self._reading = None
        if reading.cancelled():
            raise _errors.ended(self._source.address)
        try:
            message = reading.result()
        except grpc.RpcError as failed:
            raise _errors.from_rpc(failed, self._source.address) from failed
        if message is None:
            raise _errors.ended(self._source.address)
        return message

    async def _started(self) -> Call:
        if self._call is None:
            delay = max(0.0, self._start_at - time.monotonic())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), delay)
            if self._ended.is_set():
                raise _errors.ended(self._source.address)
            self._call = self._source.start(self._position.request())
        return self._call

    def _resume(self, error: TicketingError, before: Callable[[TicketingError], float]) -> None:
        if self._ended.is_set():
            return
        try:
            self._start_at = time.monotonic() + before(error)
        except TicketingError:
            self.close()
            raise
        self._drop()

    def _end(self, failure: TicketingError | None) -> None:
        if not self._ended.is_set():
            self._failure = failure
            self._ended.set()
        self._drop()

    def _drop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._call is not None:
            self._call.end()
            self._call = None


def retrieve(done: asyncio.Future[Any]) -> None:
    """Retrieves an exception: asyncio logs those that no task awaits."""
    if not done.cancelled():
        done.exception()
