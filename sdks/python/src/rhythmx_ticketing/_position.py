"""The position of a subscription, without I/O: shared by the synchronous and the asyncio one."""

from __future__ import annotations

from . import _retry, v1
from ._errors import TicketingError

SILENCE = 35.0
"""Seconds without a message after which a stream is considered dead: the server sends a bookmark every 10 s."""


class Position:
    """The last event returned, and so the start of the next stream."""

    def __init__(self, request: v1.StreamTicketEventsRequest | None) -> None:
        self._request = v1.StreamTicketEventsRequest()
        if request is not None:
            self._request.CopyFrom(request)
        self._failures = 0

    @property
    def resume_token(self) -> str:
        """The token of the last event or bookmark. Empty before the first one."""
        return self._request.resume_token

    def request(self) -> v1.StreamTicketEventsRequest:
        """The request of the next stream."""
        request = v1.StreamTicketEventsRequest()
        request.CopyFrom(self._request)
        return request

    def take(self, message: v1.StreamTicketEventsResponse) -> v1.TicketEvent | None:
        """Advances past a message and returns its event. A message of a kind that this package does not know is
        skipped."""
        self._failures = 0
        kind = message.WhichOneof("message")
        if kind == "event":
            self._request.resume_token = message.event.resume_token
            return message.event
        if kind == "bookmark":
            self._request.resume_token = message.bookmark.resume_token
        return None

    def delay_before_start(self, error: TicketingError, left: float | None) -> float:
        """The delay in seconds before retrying a stream that did not start, with `left` seconds until the deadline. Raises
        the error if it is not retried."""
        delay = self.delay_before_resume(error)
        # Return this error rather than DEADLINE_EXCEEDED later.
        if self._failures >= _retry.ATTEMPTS or (left is not None and delay >= left):
            raise error
        return delay

    def delay_before_resume(self, error: TicketingError) -> float:
        """The delay in seconds before resuming the stream. Raises the error if it is permanent."""
        delay = _retry.delay_before_resume(error, self._failures)
        if delay is None:
            raise error
        self._failures += 1
        if not self._request.WhichOneof("start"):
            # Without a bookmark, the error may have the position.
            token = error.metadata.get("resume_token")
            if token:
                self._request.resume_token = token
        return delay
