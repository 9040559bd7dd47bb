"""When a call is made again. Pure: who waits, and how, is the business of the callers."""

from __future__ import annotations

import random

import grpc

from . import v1
from ._errors import TicketingError

RETRIES = 6
"""Of one unary call: with the delays below about 11 s, which is longer than a restart takes."""
FIRST_DELAY = 0.2
"""Before the first retry, in seconds; each further one waits twice as long."""
LONGEST_DELAY = 5.0
"""Between two attempts, in seconds."""

# What passes by itself.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def before_retry(request: object, error: TicketingError, retries: int, left: float) -> float | None:
    """Seconds to wait before a failed unary call is made again, `retries` having been made and `left` seconds being left.
    None: it is not, and the error is the caller's."""
    if error.code not in _PASSING or retries >= RETRIES or not _is_idempotent(request):
        return None
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after is None:
        return None
    delay = _delay(error, retries)
    # Rather what is known now than that the deadline passed.
    return delay if delay < left else None


def before_resume(error: TicketingError | None, failures: int) -> float | None:
    """Seconds to wait before a stream that ended is resumed, `failures` attempts in a row having failed before. None: it
    is not resumed. A stream that ends without an error was ended by something between, for it has no end of its own."""
    if error is None:
        return _backoff(failures)
    if error.code not in _PASSING:
        return None
    if error.reason == v1.ERROR_REASON_SUBSCRIBER_TOO_SLOW:
        return 0.0
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after is None:
        return None
    return _delay(error, failures)


def _is_idempotent(request: object) -> bool:
    # There is one delivery for an incident and a target, and settings merge by presence; only this puts a doubt aside, so
    # that made twice it may make two tickets.
    return not (isinstance(request, v1.RetryDeliveryRequest) and request.create_anyway)


def _delay(error: TicketingError, failures: int) -> float:
    asked = error.retry_after.total_seconds() if error.retry_after is not None else 0.0
    return max(asked, _backoff(failures))


def _backoff(failures: int) -> float:
    # Spread, so that clients that lost one server do not come back as one.
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10)) * random.uniform(0.8, 1.2)
