"""Which calls are retried, and after what delay. The callers wait."""

from __future__ import annotations

import random

import grpc

from . import v1
from ._errors import TicketingError

ATTEMPTS = 6
"""Attempts of a unary call, and of starting a subscription: with the delays below about 6 s, longer than a restart takes."""
FIRST_DELAY = 0.2
"""Delay before the second attempt in seconds; it doubles with each further one."""
MAX_DELAY = 5.0
"""Maximum delay between two attempts in seconds."""

# Permanent errors, which end a subscription. Others may be from a proxy.
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


def delay_before_retry(
    request: object, error: TicketingError, failures: int, left: float | None
) -> float | None:
    """The delay in seconds before a failed unary call is retried, after `failures` earlier failures and with `left` seconds
    until the deadline. None: it is not retried."""
    if failures + 1 >= ATTEMPTS or not _is_transient(error) or not _is_idempotent(request):
        return None
    delay = _delay(error, failures)
    # Return this error rather than DEADLINE_EXCEEDED later.
    return delay if left is None or delay < left else None


def delay_before_resume(error: TicketingError, failures: int) -> float | None:
    """The delay in seconds before a stream is resumed, after `failures` earlier consecutive failures. None: it is not
    resumed."""
    if error.code in _FINAL:
        return None
    if error.reason == v1.ERROR_REASON_SUBSCRIBER_TOO_SLOW and failures == 0:
        return 0.0
    return _delay(error, failures)


def _is_transient(error: TicketingError) -> bool:
    busy = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after is not None
    return busy or error.code is grpc.StatusCode.UNAVAILABLE


def _is_idempotent(request: object) -> bool:
    # There is one delivery for an incident and a connection, and settings merge by presence. Only `create_anyway` ignores an
    # unknown outcome: sent twice, it may create two tickets.
    return not (isinstance(request, v1.RetryDeliveryRequest) and request.create_anyway)


def _delay(error: TicketingError, failures: int) -> float:
    asked = error.retry_after.total_seconds() if error.retry_after is not None else 0.0
    return max(asked, _backoff(failures))


def _backoff(failures: int) -> float:
    # Jitter keeps clients from reconnecting simultaneously.
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10)) * random.uniform(0.8, 1.2)
