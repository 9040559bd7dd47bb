"""Client of RhythmX Ticketing, which turns incidents into tickets in Jira and ServiceNow, effectively once.

    from rhythmx_ticketing import connect, v1

    with connect("127.0.0.1:50051") as client:
        status = client.get_status()

`v1` has the messages of the contract, which the methods of `Client` take and return. `rhythmx_ticketing.aio` has the same
client for asyncio.
"""

from . import v1
from ._channel import Tls
from ._client import Client, connect, connect_from_env
from ._errors import (
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    ResumeTokenExpired,
    TicketingError,
    Unauthenticated,
    Unavailable,
)
from ._events import Events
from ._names import enum_name

__all__ = [
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "Events",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "ResumeTokenExpired",
    "TicketingError",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "connect",
    "connect_from_env",
    "enum_name",
    "v1",
]
