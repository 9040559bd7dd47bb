"""When a call is made again. Pure: who waits, and how, is the business of the callers."""

from __future__ import annotations

import random

import grpc

from . import v1
from ._errors import TicketingError

ATTEMPTS = 6
"""Of one unary call, and of beginning a subscription: with the delays below about 6 s, which is longer than a restart takes."""
FIRST_DELAY = 0.2
"""Before the second attempt, in seconds; before each further one twice as long."""
MAX_DELAY = 5.0
"""Between two attempts, in seconds."""

# What ends a subscription, since waiting would not mend it. Everything else does, and is often of something between.
_FINAL = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
)


def before_retry(request: object, error: TicketingError, failures: int, left: float | None) -> float | None:
    """Seconds to wait before a failed unary call is made again, `failures` attempts having failed before and `left` seconds
    being left. None: it is not, and the error is the caller's."""
    if failures + 1 >= ATTEMPTS or not _passes(error) or not _is_idempotent(request):
        return None
    delay = _delay(error, failures)
    # Rather what is known now than that the deadline passed.
    return delay if left is None or delay < left else None


def before_resume(error: TicketingError, failures: int) -> float | None:
    """Seconds to wait before a stream that ended is resumed, `failures` attempts in a row having failed before. None: it
    is not resumed."""
    if error.code in _FINAL:
        return None
    if error.reason == v1.ERROR_REASON_SUBSCRIBER_TOO_SLOW and failures == 0:
        return 0.0
    return _delay(error, failures)


def _passes(error: TicketingError) -> bool:
    busy = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after is not None
    return busy or error.code is grpc.StatusCode.UNAVAILABLE


def _is_idempotent(request: object) -> bool:
    # There is one delivery for an incident and a connection, and settings merge by presence; only this puts a doubt aside, so
    # that made twice it may make two tickets.
    return not (isinstance(request, v1.RetryDeliveryRequest) and request.create_anyway)


def _delay(error: TicketingError, failures: int) -> float:
    asked = error.retry_after.total_seconds() if error.retry_after is not None else 0.0
    return max(asked, _backoff(failures))


def _backoff(failures: int) -> float:
    # Spread, so that clients that lost one server do not come back as one.
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10)) * random.uniform(0.8, 1.2)
