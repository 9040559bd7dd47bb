"""Connections, and which one calls go over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ._errors import Cancelled, closed

Channel = TypeVar("Channel")
Stub = TypeVar("Stub")


class Line(Generic[Channel, Stub]):
    """One channel."""

    def __init__(self, channel: Channel, stub: Stub) -> None:
        self.channel = channel
        self.stub = stub
        self.users = 0


class Lines(Generic[Channel, Stub]):
    """The line that calls go over now, and those that were given up and have calls yet.

    A channel replaces a connection that it knows to be broken. One that is merely silent it would keep, so that only another
    channel comes by another connection.
    """

    def __init__(
        self, address: str, make: Callable[[], tuple[Channel, Stub]], end: Callable[[Channel], object]
    ) -> None:
        self.closed = False
        self._address = address
        self._make = make
        self._end = end
        self._current: Line[Channel, Stub] | None = None
        self._open: set[Line[Channel, Stub]] = set()
        # A finalizer may give back, in the midst of whatever its thread does.
        self._lock = threading.RLock()

    def take(self) -> Line[Channel, Stub]:
        """For one call; to be given back after it."""
        with self._lock:
            if self.closed:
                raise self.error()
            if self._current is None:
                self._current = Line(*self._make())
                self._open.add(self._current)
            self._current.users += 1
            return self._current

    def give_back(self, line: Line[Channel, Stub]) -> None:
        """After the call."""
        with self._lock:
            line.users -= 1
        self._end_unused(line)

    def avoid(self, line: Line[Channel, Stub]) -> None:
        """Calls that take a line from now on get another one."""
        with self._lock:
            if self._current is line:
                self._current = None
        self._end_unused(line)

    def close(self) -> list[Channel]:
        """There is no line any more. Answers with what is to be ended."""
        with self._lock:
            rest, self._open, self._current = self._open, set(), None
            self.closed = True
            return [line.channel for line in rest]

    def error(self) -> Cancelled:
        """What calls fail with since `close`."""
        return closed(self._address)

    def _end_unused(self, line: Line[Channel, Stub]) -> None:
        with self._lock:
            unused = line in self._open and line is not self._current and line.users == 0
            if unused:
                self._open.remove(line)
        if unused:
            self._end(line.channel)
