"""The client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import grpc

from . import _retry, v1
from ._channel import DEFAULT_DEADLINE, OPTIONS, Tls, metadata
from ._errors import Cancelled, from_rpc
from ._events import Call, Events

if TYPE_CHECKING:
    Request = TypeVar("Request")
    Response = TypeVar("Response")


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> Client:
    """A client of the server at `address`, for example "ticketing.acme.example:50051".

    It connects when it is first used, and again by itself when the connection is lost; so a server that is away shows as
    `Unavailable` from the first call.

    Args:
        address: HOST:PORT, or unix:PATH.
        tls: How to trust the server. None: plaintext, for loopback and Unix sockets.
        token: A bearer token that goes with each call: one of `ticketing token create`, or a JSON Web Token.
        deadline: Seconds that a call may take, its retries included, unless the call says otherwise.
    """
    if tls is None:
        channel = grpc.insecure_channel(address, OPTIONS)
    else:
        channel = grpc.secure_channel(address, tls.credentials(), OPTIONS)
    return Client(channel, address, token=token, deadline=deadline)


class Client:
    """A client of the service, for any number of threads. `connect` makes one; closing it ends its calls.

    A call that meets UNAVAILABLE, or RESOURCE_EXHAUSTED that says when to come back, is made again a few times within its
    deadline. That is safe: there is one delivery for an incident and a target, and settings merge by presence. The one
    exception is not retried: `retry_delivery` with `create_anyway`, which made twice may make two tickets. A call that fails raises a `TicketingError`.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        address: str,
        *,
        token: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> None:
        self._channel = channel
        self._address = address
        self._stub = v1.TicketingServiceStub(channel)
        self._metadata = metadata(token)
        self._deadline = deadline
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends every call that is under way, and the connection."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def configure(
        self, request: v1.ConfigureRequest, *, deadline: float | None = None
    ) -> v1.ConfigureResponse:
        """Changes settings; what is absent stays."""
        return self._call(self._stub.Configure, request, deadline)

    def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Proves authentication and access, with saved or unsaved settings."""
        return self._call(self._stub.TestConnection, request, deadline)

    def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """How every ticket system stands."""
        return self._call(self._stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """The ticket as it would be pushed."""
        return self._call(self._stub.PreviewTicket, request, deadline)

    def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one ticket system and waits for the first attempt, as long as the deadline allows."""
        return self._call(self._stub.CreateTicket, request, deadline)

    def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Offers an incident to auto-push."""
        return self._call(self._stub.SubmitIncident, request, deadline)

    def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """One delivery with its attempts."""
        return self._call(self._stub.GetDelivery, request, deadline)

    def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """A page of deliveries, the newest first."""
        return self._call(self._stub.ListDeliveries, request, deadline)

    def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Tries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return self._call(self._stub.RetryDelivery, request, deadline)

    def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Gives a delivery up."""
        return self._call(self._stub.CancelDelivery, request, deadline)

    def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Tells which ticket a delivery has."""
        return self._call(self._stub.ResolveDelivery, request, deadline)

    def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """A page of who did what, the newest first."""
        return self._call(self._stub.ListAuditEntries, request, deadline)

    def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> Events:
        """Subscribes to what happens to deliveries, and returns once the subscription stands: every event from then on is
        in it, or from where the request says. `deadline` is for that alone; a subscription has no end of its own."""
        return Events(self._open, self._address, request, self._deadline if deadline is None else deadline)

    def _open(self, request: v1.StreamTicketEventsRequest) -> Call:
        self._ensure_open()
        return self._stub.StreamTicketEvents(request, metadata=self._metadata)

    def _call(
        self,
        method: Callable[..., Response],
        request: Request,
        deadline: float | None,
    ) -> Response:
        until = time.monotonic() + (self._deadline if deadline is None else deadline)
        retries = 0
        while True:
            self._ensure_open()
            try:
                return method(request, timeout=max(0.0, until - time.monotonic()), metadata=self._metadata)
            except grpc.RpcError as failed:
                error = from_rpc(failed, self._address)
                delay = _retry.before_retry(request, error, retries, until - time.monotonic())
                if delay is None:
                    raise error from failed
            retries += 1
            self._closed.wait(delay)

    def _ensure_open(self) -> None:
        if self._closed.is_set():
            raise Cancelled(grpc.StatusCode.CANCELLED, "the client was closed", self._address)
