"""What a call can fail with."""

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
    """A rule that a field of the request breaks."""

    field: str
    """Path of the field. Example: "incident.firing_rules[3].name"."""
    description: str
    """What is wrong with it, for people. Example: "is required"."""


class TicketingError(Exception):
    """A call failed. There is a subclass for each code that a caller may want to tell apart."""

    code: grpc.StatusCode
    """The canonical code."""
    message: str
    """What happened, for people."""
    address: str
    """Where the server is."""
    reason: v1.ErrorReason.ValueType
    """The contract's reason. UNSPECIFIED when the server gave none (it was not reached, say), or one that is newer than
    this package: then `reason_name` has it."""
    reason_name: str
    """The contract's reason by its name, without the prefix. Example: "CONNECTION_NOT_ENABLED". Empty when there is none."""
    metadata: Mapping[str, str]
    """What the error is about. Example: {"connection": "jira"}."""
    violations: tuple[FieldViolation, ...]
    """Every rule that the request breaks."""
    retry_after: timedelta | None
    """When to try again, if the server says so."""

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
        # The server's message names the first violation alone.
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in self.violations)
        text = f"{code}: {text or self.message}"
        # Of the service's own refusals the address is no news.
        if not self.reason_name or isinstance(self, (Unavailable, DeadlineExceeded)):
            text += f" [ticketing service at {self.address}]"
        return text


class InvalidArgument(TicketingError):
    """The request breaks a rule; `violations` has every one."""


class NotFound(TicketingError):
    """There is no such delivery."""


class FailedPrecondition(TicketingError):
    """The settings, or the state of the delivery, do not allow it."""


class Unauthenticated(TicketingError):
    """No credential came with the call, or none that is good."""


class PermissionDenied(TicketingError):
    """The caller's role may not make this call."""


class ResourceExhausted(TicketingError):
    """The caller, or all callers together, ask for too much; `retry_after` says when to come back."""


class Unavailable(TicketingError):
    """The server is away, is stopping, or cannot reach its store."""


class DeadlineExceeded(TicketingError):
    """The deadline passed. What the server had accepted by then goes on."""


class Cancelled(TicketingError):
    """The call was taken back: its client was closed."""


class OutOfRange(TicketingError):
    """The request is larger than the server takes."""


class ResumeTokenExpired(OutOfRange):
    """Events after the resume token were dropped already, or were lost when the database was put back from a copy. Begin
    again from `oldest_token`, and read with `list_deliveries` what may have been missed."""

    @property
    def oldest_token(self) -> str:
        """Resumes with the oldest event that is kept."""
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
    """What grpc raises, for calls of both kinds."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> object: ...


def closed(address: str) -> Cancelled:
    """What calls of a closed client fail with."""
    return Cancelled(grpc.StatusCode.CANCELLED, "the client is closed", address)


def ended(address: str) -> Unavailable:
    """Why a stream is resumed that ended without an error: something between ended it, for it has no end of its own."""
    return Unavailable(grpc.StatusCode.UNAVAILABLE, "the stream was ended", address)


def silent(address: str) -> Unavailable:
    """Why a stream is resumed that nothing came from for too long."""
    return Unavailable(grpc.StatusCode.UNAVAILABLE, "the stream fell silent", address)


def not_begun(address: str) -> DeadlineExceeded:
    """Why a subscription is given up."""
    return DeadlineExceeded(
        grpc.StatusCode.DEADLINE_EXCEEDED, "the subscription did not begin in time", address
    )


def from_rpc(error: grpc.RpcError, address: str) -> TicketingError:
    """The typed error of what grpc raised, which is its cause."""
    failed = cast(_Failed, error)
    code, message = failed.code(), failed.details() or "no details were given"
    if code is grpc.StatusCode.UNAVAILABLE and re.search(
        r"^failed to connect .*(Socket closed|reset)", message
    ):
        message = f"the connection was closed at once: does only one side speak TLS? {message}"
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
