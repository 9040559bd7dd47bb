"""A subscription that resumes by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

import grpc

from . import v1
from ._errors import DeadlineExceeded, TicketingError, from_rpc
from ._position import Position


class Call(Protocol):
    """A stream that is under way."""

    def __next__(self) -> v1.StreamTicketEventsResponse: ...
    def cancel(self) -> object: ...


class Events(Iterator[v1.TicketEvent]):
    """What happens to deliveries: each event once, in order, through restarts of the server and lost connections.

    Iteration ends when the subscription is closed, by `close` (from any thread) or the end of its `with`. It raises a
    `TicketingError` when it can not be resumed: `ResumeTokenExpired`, `Unauthenticated`, `PermissionDenied` and whatever
    else the server says that waiting would not mend.
    """

    def __init__(
        self,
        start: Callable[[v1.StreamTicketEventsRequest], Call],
        address: str,
        request: v1.StreamTicketEventsRequest | None,
        deadline: float,
    ) -> None:
        self._start = start
        self._address = address
        self._position = Position(request)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._ahead: v1.TicketEvent | None = None
        self._call: Call = self._started()
        self._begin(deadline)

    @property
    def resume_token(self) -> str:
        """Of the last event or bookmark that was handed over. Keep it once the event is dealt with: a later subscription
        that is given it goes on after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Ends the subscription."""
        with self._lock:
            self._closed.set()
            self._call.cancel()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> v1.TicketEvent:
        if self._ahead is not None:
            event, self._ahead = self._ahead, None
            return event
        while not self._closed.is_set():
            message, error = self._read()
            if message is not None:
                event_or_none = self._position.take(message)
                if event_or_none is not None:
                    return event_or_none
            elif not self._closed.is_set():
                self._resume(error, None)
        raise StopIteration

    def _begin(self, deadline: float) -> None:
        """Waits for the first message: the bookmark that says where the stream begins."""
        until = time.monotonic() + deadline
        while True:
            # Reading has no time-out of its own.
            timer = threading.Timer(max(0.0, until - time.monotonic()), self._call.cancel)
            timer.daemon = True
            timer.start()
            try:
                message, error = self._read()
            except BaseException:
                self.close()
                raise
            finally:
                timer.cancel()
            if message is not None:
                self._ahead = self._position.take(message)
                return
            if time.monotonic() >= until:
                raise DeadlineExceeded(
                    grpc.StatusCode.DEADLINE_EXCEEDED, "the subscription did not begin in time", self._address
                )
            self._resume(error, until)

    def _read(self) -> tuple[v1.StreamTicketEventsResponse | None, TicketingError | None]:
        try:
            return next(self._call), None
        except StopIteration:
            return None, None
        except grpc.RpcError as failed:
            error = from_rpc(failed, self._address)
            error.__cause__ = failed
            return None, error

    def _resume(self, error: TicketingError | None, until: float | None) -> None:
        delay = self._position.before_resume(error)
        if error is not None and (delay is None or (until is not None and time.monotonic() + delay >= until)):
            self._closed.set()
            raise error
        self._closed.wait(delay)
        with self._lock:
            if not self._closed.is_set():
                self._call = self._started()

    def _started(self) -> Call:
        return self._start(self._position.request())
