"""Where a subscription stands. Pure: shared by the subscriptions of both kinds."""

from __future__ import annotations

from . import _retry, v1
from ._errors import TicketingError

SILENCE = 35.0
"""Seconds without any message after which a stream is lost: the server sends a bookmark every 10 s."""


class Position:
    """What has been handed over, and so what a stream is to be resumed with."""

    def __init__(self, request: v1.StreamTicketEventsRequest | None) -> None:
        self._request = v1.StreamTicketEventsRequest()
        if request is not None:
            self._request.CopyFrom(request)
        self._failures = 0

    @property
    def resume_token(self) -> str:
        """Of the last event or bookmark. Empty: neither has come."""
        return self._request.resume_token

    def request(self) -> v1.StreamTicketEventsRequest:
        """What to ask for next."""
        request = v1.StreamTicketEventsRequest()
        request.CopyFrom(self._request)
        return request

    def take(self, message: v1.StreamTicketEventsResponse) -> v1.TicketEvent | None:
        """Moves past a message; its event is the caller's. A message of a kind that is newer than this package is
        passed over."""
        self._failures = 0
        kind = message.WhichOneof("message")
        if kind == "event":
            self._request.resume_token = message.event.resume_token
            return message.event
        if kind == "bookmark":
            self._request.resume_token = message.bookmark.resume_token
        return None

    def before_begin(self, error: TicketingError, left: float | None) -> float:
        """Seconds to wait after a stream ended that had not begun, `left` seconds being left; or the error is raised."""
        delay = self.before_resume(error)
        # Rather what is known now than that the deadline passed.
        if self._failures >= _retry.ATTEMPTS or (left is not None and delay >= left):
            raise error
        return delay

    def before_resume(self, error: TicketingError) -> float:
        """Seconds to wait after the stream ended; or the error is raised, since it is over."""
        delay = _retry.before_resume(error, self._failures)
        if delay is None:
            raise error
        self._failures += 1
        if not self._request.WhichOneof("start"):
            # Ended before its first bookmark: the server may have said where.
            token = error.metadata.get("resume_token")
            if token:
                self._request.resume_token = token
        return delay
