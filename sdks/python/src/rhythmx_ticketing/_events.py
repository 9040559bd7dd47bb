"""A subscription that resumes by itself."""

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
    """A stream that is under way."""

    def __next__(self) -> v1.StreamTicketEventsResponse: ...

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

    def add(self, events: Events) -> object:
        """Has the subscription ended when there are no more streams."""


class Events(Iterator[v1.TicketEvent]):
    """What happens to deliveries: each event once, in order, through restarts of the server and lost connections.

    Iteration ends when the subscription is closed, by `close` (from any thread) or the end of its `with`. It raises a
    `TicketingError` when it cannot be resumed: `ResumeTokenExpired`, `Unauthenticated`, `PermissionDenied` and whatever
    else the server says that waiting would not mend; and `Cancelled` when the client is closed.
    """

    _call: Call | None = None

    def __init__(self, source: Source, request: v1.StreamTicketEventsRequest | None, deadline: float) -> None:
        self._source = source
        self._position = Position(request)
        # Set once nothing more will come; `_failure` may say why.
        self._ended = threading.Event()
        self._failure: TicketingError | None = None
        self._lock = threading.RLock()
        self._ahead: v1.StreamTicketEventsResponse | None = None
        # Over once it has begun.
        self._begun_by = _channel.until(deadline)
        # While it reads: until when something has to come. And whether nothing did.
        self._heard_by: float | None = None
        self._silent = False
        source.add(self)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._begun_by = 0.0

    @property
    def resume_token(self) -> str:
        """Of the last event or bookmark that was handed over. Keep it once the event is dealt with: a later subscription
        that is given it goes on after that event."""
        return self._position.resume_token

    def close(self) -> None:
        """Ends the subscription."""
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
                self._resume(error, self._position.before_resume)
                continue
            event = self._position.take(message)
            if event is not None:
                return event
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def _begin(self) -> None:
        """Waits for the first message: the bookmark that says where the stream begins."""
        self._start()
        threading.Thread(target=_watch, args=(weakref.ref(self), self._ended), daemon=True).start()
        while not self._ended.is_set():
            if _channel.left(self._begun_by) == 0:
                raise _errors.not_begun(self._source.address)
            try:
                message = self._read()
            except TicketingError as error:
                if _channel.left(self._begun_by) != 0:
                    self._resume(error, self._before_begin)
                continue
            if message.WhichOneof("message") == "event":
                self._ahead = message
            else:
                self._position.take(message)
            return
        if self._failure is not None:
            raise self._failure

    def _before_begin(self, error: TicketingError) -> float:
        return self._position.before_begin(error, _channel.left(self._begun_by))

    def _read(self) -> v1.StreamTicketEventsResponse:
        """The next message, or raises what the stream ended with."""
        call = self._call
        assert call is not None
        self._heard_by = min(time.monotonic() + _position.SILENCE, self._begun_by or float("inf"))
        try:
            return next(call)
        except StopIteration:
            error: TicketingError = _errors.ended(self._source.address)
        except grpc.RpcError as failed:
            error = _errors.from_rpc(failed, self._source.address)
        finally:
            self._heard_by = None
        if self._silent:
            call.avoid()
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

    def _look(self) -> float:
        """Ends a stream that nothing came from for too long, since reading has no time-out of its own. Answers with how
        many seconds nothing can be too long."""
        now = time.monotonic()
        heard_by = self._heard_by
        if heard_by is not None and heard_by <= now:
            with self._lock:
                if heard_by == self._heard_by and self._call is not None:
                    self._silent = True
                    self._call.end()
        ahead = (moment - now for moment in (heard_by, self._begun_by) if moment is not None and moment > now)
        return min(_position.SILENCE, *ahead, float("inf"))


def _watch(events: weakref.ref[Events], ended: threading.Event) -> None:
    # Holds no subscription while it waits: one that is forgotten ends.
    wait = 0.0
    while not ended.wait(wait):
        watched = events()
        if watched is None:
            return
        wait = watched._look()
        del watched
