"""The channels of a client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ._errors import Cancelled, closed

Channel = TypeVar("Channel")
Stub = TypeVar("Stub")


class PooledChannel(Generic[Channel, Stub]):
    """A channel with the number of its calls."""

    def __init__(self, channel: Channel, stub: Stub) -> None:
        self.channel = channel
        self.stub = stub
        self.users = 0


class Pool(Generic[Channel, Stub]):
    """The current channel, and replaced channels that still have calls.

    A channel replaces a connection that it knows to be broken, but keeps one that is only silent. A new connection then
    requires a new channel.
    """

    def __init__(
        self, address: str, make: Callable[[], tuple[Channel, Stub]], end: Callable[[Channel], object]
    ) -> None:
        self.closed = False
        self._address = address
        self._make = make
        self._end = end
        self._current: PooledChannel[Channel, Stub] | None = None
        self._open: set[PooledChannel[Channel, Stub]] = set()
        # Reentrant, since a finalizer may call `release` while its thread holds the lock.
        self._lock = threading.RLock()

    def acquire(self) -> PooledChannel[Channel, Stub]:
        """Returns the current channel for a call, which releases it afterwards."""
        with self._lock:
            if self.closed:
                raise self.error()
            if self._current is None:
                self._current = PooledChannel(*self._make())
                self._open.add(self._current)
            self._current.users += 1
            return self._current

    def release(self, pooled: PooledChannel[Channel, Stub]) -> None:
        """Ends the use by a call."""
        with self._lock:
            pooled.users -= 1
        self._end_unused(pooled)

    def replace(self, pooled: PooledChannel[Channel, Stub]) -> None:
        """Makes later calls use another channel."""
        with self._lock:
            if self._current is pooled:
                self._current = None
        self._end_unused(pooled)

    def close(self) -> list[Channel]:
        """Closes the pool, and returns the channels that the caller must close."""
        with self._lock:
            rest, self._open, self._current = self._open, set(), None
            self.closed = True
            return [pooled.channel for pooled in rest]

    def error(self) -> Cancelled:
        """The error of calls after `close`."""
        return closed(self._address)

    def _end_unused(self, pooled: PooledChannel[Channel, Stub]) -> None:
        with self._lock:
            unused = pooled in self._open and pooled is not self._current and pooled.users == 0
            if unused:
                self._open.remove(pooled)
        if unused:
            self._end(pooled.channel)
