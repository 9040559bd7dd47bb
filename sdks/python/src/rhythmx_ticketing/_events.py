"""A subscription that resumes automatically."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

import grpc

from . import _channel, _errors, _position, v1
from ._errors import TicketingError
from ._position import Position


class Call(Protocol):
    """An open stream."""

    def __next__(self) -> v1.StreamTicketEventsResponse: ...

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

    def add(self, events: Events) -> object:
        """Registers a subscription, which is closed with the client."""


class Events(Iterator[v1.TicketEvent]):
    """The events of deliveries, each once and in order, across restarts of the server and lost connections.

    Iteration ends when the subscription is closed, by `close` (from any thread) or the end of its `with`. It raises a
    `TicketingError` when it cannot be resumed: `ResumeTokenExpired`, `Unauthenticated`, `PermissionDenied` or another
    permanent error of the server; and `Cancelled` when the client is closed.
    """

    _call: Call | None = None

    def __init__(self, source: Source, request: v1.StreamTicketEventsRequest | None, deadline: float) -> None:
        self._source = source
        self._position = Position(request)
        # Set when the subscription has ended; `_failure` is the reason, if it failed.
        self._ended = threading.Event()
        self._failure: TicketingError | None = None
        self._lock = threading.RLock()
        self._ahead: v1.StreamTicketEventsResponse | None = None
        # Zero once the subscription has started.
        self._start_deadline = _channel.until(deadline)
        # While reading: the time at which the stream counts as silent, and whether that time has come.
        self._silent_at: float | None = None
        self._silent = False
        source.add(self)
        try:
            self._wait_for_start()
        except BaseException:
            self.close()
            raise
        self._start_deadline = 0.0

    @property
    def resume_token(self) -> str:
        """The token of the last event or bookmark returned. Store it once the event is processed: a later subscription
        with this token resumes after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Closes the subscription."""
        self._end(None)

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._call is not None:
            self.close()

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> v1.TicketEvent:
        while not self._ended.is_set():
            try:
                message, self._ahead = self._ahead or self._read(), None
            except TicketingError as error:
                self._resume(error, self._position.delay_before_resume)
                continue
            event = self._position.take(message)
            if event is not None:
                return event
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def _wait_for_start(self) -> None:
        """Waits for the first message: the bookmark with the start position."""
        self._start()
        threading.Thread(target=_watch, args=(weakref.ref(self), self._ended), daemon=True).start()
        while not self._ended.is_set():
            if _channel.left(self._start_deadline) == 0:
                raise _errors.not_started(self._source.address)
            try:
                message = self._read()
            except TicketingError as error:
                if _channel.left(self._start_deadline) != 0:
                    self._resume(error, self._delay_before_start)
                continue
            if message.WhichOneof("message") == "event":
                self._ahead = message
            else:
                self._position.take(message)
            return
        if self._failure is not None:
            raise self._failure

    def _delay_before_start(self, error: TicketingError) -> float:
        return self._position.delay_before_start(error, _channel.left(self._start_deadline))

    def _read(self) -> v1.StreamTicketEventsResponse:
        """Returns the next message, or raises the error of the stream."""
        call = self._call
        assert call is not None
        self._silent_at = min(time.monotonic() + _position.SILENCE, self._start_deadline or float("inf"))
        try:
            return next(call)
        except StopIteration:
            error: TicketingError = _errors.ended(self._source.address)
        except grpc.RpcError as failed:
            error = _errors.from_rpc(failed, self._source.address)
        finally:
            self._silent_at = None
        if self._silent:
            call.replace_connection()
            error = _errors.silent(self._source.address)
        raise error

    def _resume(self, error: TicketingError, before: Callable[[TicketingError], float]) -> None:
        if self._ended.is_set():
            return
        try:
            delay = before(error)
            assert self._call is not None
            self._call.end()
            self._ended.wait(delay)
            self._start()
        except TicketingError:
            self.close()
            raise

    def _start(self) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._silent = False
                self._call = self._source.start(self._position.request())

    def _end(self, failure: TicketingError | None) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._failure = failure
                self._ended.set()
            if self._call is not None:
                self._call.end()

    def _cancel_if_silent(self) -> float:
        """Cancels a silent stream, since reading has no timeout. Returns the seconds until the next check is
        necessary."""
        now = time.monotonic()
        silent_at = self._silent_at
        if silent_at is not None and silent_at <= now:
            with self._lock:
                if silent_at == self._silent_at and self._call is not None:
                    self._silent = True
                    self._call.end()
        ahead = (
            moment - now
            for moment in (silent_at, self._start_deadline)
            if moment is not None and moment > now
        )
        return min(_position.SILENCE, *ahead, float("inf"))


def _watch(events: weakref.ref[Events], ended: threading.Event) -> None:
    # Holds no reference while it waits, so that an unused subscription is garbage collected.
    wait = 0.0
    while not ended.wait(wait):
        watched = events()
        if watched is None:
            return
        wait = watched._cancel_if_silent()
        del watched
