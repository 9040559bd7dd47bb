"""The errors of calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from . import v1

DOMAIN = "ticketing.rhythmx"


@dataclass(frozen=True)
class FieldViolation:
    """A rule that a field of the request violates."""

    field: str
    """Path of the field. Example: "incident.firing_rules[3].name"."""
    description: str
    """What is wrong with it, for people. Example: "is required"."""


class TicketingError(Exception):
    """A call failed. Common codes have a subclass."""

    code: grpc.StatusCode
    """The canonical gRPC code."""
    message: str
    """The message, for people."""
    address: str
    """The address of the server."""
    reason: v1.ErrorReason.ValueType
    """The reason in the contract. UNSPECIFIED if there is none (for example, the server was not reached), or if this package
    does not know it: `reason_name` still has it."""
    reason_name: str
    """The name of the reason without its prefix. Example: "CONNECTION_NOT_ENABLED". Empty if there is none."""
    metadata: Mapping[str, str]
    """Details of the error, by name. Example: {"connection": "jira"}."""
    violations: tuple[FieldViolation, ...]
    """Every rule that the request violates."""
    retry_after: timedelta | None
    """Delay before a retry, if the server sent one."""

    def __init__(
        self, code: grpc.StatusCode, message: str, address: str, details: Status | None = None
    ) -> None:
        super().__init__(code, message, address)
        self.code = code
        self.message = message
        self.address = address
        self.reason = v1.ERROR_REASON_UNSPECIFIED
        self.reason_name = ""
        self.metadata = {}
        self.violations = ()
        self.retry_after = None
        if details is not None:
            self._read(details)

    def _read(self, details: Status) -> None:
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        for detail in details.details:
            if detail.Unpack(info) and info.domain == DOMAIN:
                self.reason_name = info.reason
                known = f"ERROR_REASON_{info.reason}"
                if known in v1.ErrorReason.keys():  # noqa: SIM118 (no mapping)
                    self.reason = v1.ErrorReason.Value(known)
                self.metadata = dict(info.metadata)
            elif detail.Unpack(bad):
                self.violations = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
            elif detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta()

    def __str__(self) -> str:
        code = f"{self.code.name} ({self.reason_name})" if self.reason_name else self.code.name
        # The server's message has only the first violation.
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in self.violations)
        text = f"{code}: {text or self.message}"
        # For errors from the service itself the address adds nothing.
        if not self.reason_name or isinstance(self, (Unavailable, DeadlineExceeded)):
            text += f" [ticketing service at {self.address}]"
        return text


class InvalidArgument(TicketingError):
    """The request violates rules; `violations` has each of them."""


class NotFound(TicketingError):
    """The delivery does not exist."""


class FailedPrecondition(TicketingError):
    """The settings or the state of the delivery do not allow the call."""


class Unauthenticated(TicketingError):
    """The credential is missing or invalid."""


class PermissionDenied(TicketingError):
    """The role of the caller does not permit the call."""


class ResourceExhausted(TicketingError):
    """A rate or resource limit was exceeded; `retry_after` is the delay before a retry."""


class Unavailable(TicketingError):
    """The server is unreachable, is shutting down, or cannot reach its database."""


class DeadlineExceeded(TicketingError):
    """The deadline expired. The server continues with what it accepted."""


class Cancelled(TicketingError):
    """The call was canceled because its client was closed."""


class OutOfRange(TicketingError):
    """The request exceeds the maximum size."""


class ResumeTokenExpired(OutOfRange):
    """Events after the resume token are no longer stored, or were lost when the database was restored from a backup. Read
    the missed deliveries with `list_deliveries`, then subscribe again from `oldest_token`."""

    @property
    def oldest_token(self) -> str:
        """The resume token of the oldest stored event."""
        return self.metadata.get("oldest_token", "")


_CLASSES: dict[grpc.StatusCode, type[TicketingError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
}


class _Failed(Protocol):
    """The errors of grpc, for both kinds of clients."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> object: ...


def closed(address: str) -> Cancelled:
    """The error of calls of a closed client."""
    return Cancelled(grpc.StatusCode.CANCELLED, "the client is closed", address)


def ended(address: str) -> Unavailable:
    """The error for a stream that a proxy or the server ended without a status."""
    return Unavailable(grpc.StatusCode.UNAVAILABLE, "the stream ended without a status", address)


def silent(address: str) -> Unavailable:
    """The error for a stream without a message within the timeout."""
    return Unavailable(grpc.StatusCode.UNAVAILABLE, "no message arrived in time", address)


def not_started(address: str) -> DeadlineExceeded:
    """The error for a subscription that does not start within its deadline."""
    return DeadlineExceeded(
        grpc.StatusCode.DEADLINE_EXCEEDED, "the subscription did not start in time", address
    )


def from_rpc(error: grpc.RpcError, address: str) -> TicketingError:
    """Converts an error of grpc, which becomes the cause."""
    failed = cast(_Failed, error)
    code, message = failed.code(), failed.details() or "no details"
    if code is grpc.StatusCode.UNAVAILABLE and re.search(
        r"^failed to connect .*(Socket closed|reset)", message
    ):
        message = f"the connection was closed immediately: does only one side use TLS? {message}"
    details = _details(failed.trailing_metadata())
    made = _CLASSES.get(code, TicketingError)(code, message, address, details)
    if type(made) is OutOfRange and made.reason == v1.ERROR_REASON_RESUME_TOKEN_EXPIRED:
        made = ResumeTokenExpired(code, message, address, details)
    made.__cause__ = error
    return made


def _details(metadata: object) -> Status | None:
    for key, value in cast("tuple[tuple[str, bytes], ...]", metadata or ()):
        if key == "grpc-status-details-bin":
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None
