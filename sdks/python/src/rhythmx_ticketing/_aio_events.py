"""A subscription for asyncio that resumes by itself."""

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
    """A stream that is under way."""

    async def read(self) -> v1.StreamTicketEventsResponse | None:
        """The next message; None after the last one."""

    def end(self) -> object:
        """Takes it back; twice is fine."""

    def avoid(self) -> object:
        """Has the next one come by another connection."""


class Source(Protocol):
    """Where streams come from."""

    @property
    def address(self) -> str:
        """Of the server, for people."""

    def start(self, request: v1.StreamTicketEventsRequest) -> Call:
        """Starts one."""

    def add(self, events: AsyncEvents) -> object:
        """Has the subscription ended when there are no more streams."""


class AsyncEvents(AsyncIterator[v1.TicketEvent]):
    """What happens to deliveries: each event once, in order, through restarts of the server and lost connections.

    It ends, and fails, as `rhythmx_ticketing.Events` does. Cancelling a wait for the next event loses none: the next wait, for
    example after a time-out of `asyncio.wait_for`, continues at the same event.
    """

    def __init__(self, source: Source, request: v1.StreamTicketEventsRequest | None) -> None:
        self._source = source
        self._position = Position(request)
        # Set once nothing more will come; `_failure` may say why.
        self._ended = asyncio.Event()
        self._failure: TicketingError | None = None
        self._ahead: v1.StreamTicketEventsResponse | None = None
        # None, while it waits until `_start_at` to start another one.
        self._call: Call | None = None
        self._start_at = 0.0
        # Outlives who waits for it; and until when it has to find something.
        self._reading: asyncio.Future[v1.StreamTicketEventsResponse | None] | None = None
        self._heard_by = 0.0
        source.add(self)

    @property
    def resume_token(self) -> str:
        """Of the last event or bookmark that was handed over. Keep it once the event is dealt with: a later subscription
        that is given it goes on after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Ends the subscription."""
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
                self._resume(error, self._position.before_resume)
                continue
            event = self._position.take(message)
            if event is not None:
                return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _begin(self, deadline: float) -> None:
        """Waits for the first message: the bookmark that says where the stream begins."""
        begun_by = _channel.until(deadline)
        try:
            while not self._ended.is_set():
                if _channel.left(begun_by) == 0:
                    raise _errors.not_begun(self._source.address)
                try:
                    message = await self._read(begun_by)
                except TicketingError as error:
                    if _channel.left(begun_by) != 0:
                        self._resume(
                            error, lambda why: self._position.before_begin(why, _channel.left(begun_by))
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

    async def _read(self, begun_by: float) -> v1.StreamTicketEventsResponse:
        """The next message, or raises what the stream ended with."""
        call = await self._started()
        if self._reading is None:
            self._reading = asyncio.ensure_future(call.read())
            self._reading.add_done_callback(retrieve)
            self._heard_by = time.monotonic() + _position.SILENCE
        reading = self._reading
        # Unlike `wait_for` it leaves the reading alone, whatever becomes of us.
        await asyncio.wait({reading}, timeout=_channel.left(min(self._heard_by, begun_by)))
        if not reading.done():
            call.avoid()
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
    """Retrieves an exception: asyncio would complain about one that no task awaits."""
    if not done.cancelled():
        done.exception()
