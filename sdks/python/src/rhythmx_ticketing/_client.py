"""The client."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import grpc

from . import _channel, _retry, v1
from ._channel import DEFAULT_DEADLINE, Route, Tls
from ._environment import from_environment
from ._errors import from_rpc
from ._events import Events
from ._lines import Lines

Request = TypeVar("Request")
Response = TypeVar("Response")
SyncLines = Lines[grpc.Channel, v1.TicketingServiceStub]


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> Client:
    """A client of the server at `address`, for example "ticketing.acme.example:50051".

    It connects when it is first used, and again by itself when the connection is lost; so a server that is away shows as
    `Unavailable` from the first call.

    Args:
        address: HOST:PORT, [IPV6]:PORT or unix:/PATH. Before the first two may be https://, which is TLS, or http://.
        tls: How to trust the server. None: plaintext, for loopback and Unix sockets; after https://, `Tls()`.
        token: A bearer token that goes with each call: one of `ticketing token create`, or a JSON Web Token. It is not sent
            to another machine without TLS.
        deadline: Seconds that a call may take, its retries included, unless the call says otherwise. `math.inf`: no limit.

    Raises:
        ValueError: if one of these is invalid, or cannot be combined with another one.
    """
    return Client(_channel.route(address, tls, token), deadline)


def connect_from_env(*, deadline: float = DEFAULT_DEADLINE) -> Client:
    """A client by the environment, for example in a container.

    TICKETING_ADDRESS is the address, by default 127.0.0.1:50051; TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file
    with the authorities to trust, and TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key:
    any of them means TLS. What is empty or not set is left out.

    Raises:
        ValueError: if one of these is invalid, or cannot be combined with another one.
    """
    address, tls, token = from_environment()
    return connect(address, tls=tls, token=token, deadline=deadline)


class Client:
    """A client of the service, for any number of threads. `connect` makes one; closing it ends its calls.

    A call that meets UNAVAILABLE, or RESOURCE_EXHAUSTED that says when to come back, is made again a few times within its
    deadline. That is safe: there is one delivery for an incident and a connection, and settings merge by presence. The one
    exception is not retried: `retry_delivery` with `create_anyway`, which made twice may make two tickets. A call that fails raises a `TicketingError`.
    """

    def __init__(self, route: Route, deadline: float) -> None:
        """`connect` is there for this."""
        self._route = route
        self._deadline = deadline
        self._lines: SyncLines = Lines(
            route.address, lambda: _connected(route), lambda channel: channel.close()
        )
        self._closed = threading.Event()
        self._subscriptions: weakref.WeakSet[Events] = weakref.WeakSet()
        self._lock = threading.RLock()

    def close(self) -> None:
        """Ends every call and every subscription, which fail with `Cancelled`, and the connection. Twice is fine."""
        with self._lock:
            channels = self._lines.close()
            self._closed.set()
            subscriptions = list(self._subscriptions)
        for events in subscriptions:
            events._end(self._lines.error())
        for channel in channels:
            channel.close()

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
        return self._call(lambda stub: stub.Configure, request, deadline)

    def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Proves authentication and access, with saved or unsaved settings."""
        return self._call(lambda stub: stub.TestConnection, request, deadline)

    def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """Returns the status of every connection."""
        return self._call(lambda stub: stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """The ticket as it would be pushed."""
        return self._call(lambda stub: stub.PreviewTicket, request, deadline)

    def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one connection and waits for the first attempt, as long as the deadline allows."""
        return self._call(lambda stub: stub.CreateTicket, request, deadline)

    def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Offers an incident to auto-push."""
        return self._call(lambda stub: stub.SubmitIncident, request, deadline)

    def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """One delivery with its attempts."""
        return self._call(lambda stub: stub.GetDelivery, request, deadline)

    def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """A page of deliveries, the newest first."""
        return self._call(lambda stub: stub.ListDeliveries, request, deadline)

    def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Tries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return self._call(lambda stub: stub.RetryDelivery, request, deadline)

    def retry_deliveries(
        self, request: v1.RetryDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveriesResponse:
        """Tries one page of the deliveries that fit a filter now, without waiting for their attempts."""
        return self._call(lambda stub: stub.RetryDeliveries, request, deadline)

    def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Gives a delivery up."""
        return self._call(lambda stub: stub.CancelDelivery, request, deadline)

    def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Tells which ticket a delivery has."""
        return self._call(lambda stub: stub.ResolveDelivery, request, deadline)

    def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """A page of who did what, the newest first."""
        return self._call(lambda stub: stub.ListAuditEntries, request, deadline)

    def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> Events:
        """Subscribes to what happens to deliveries, and returns once the subscription stands: every event from then on is
        in it, or from where the request says. `deadline` is for that alone; a subscription has no end of its own."""
        return Events(_Source(self), request, self._deadline if deadline is None else deadline)

    def _call(
        self,
        method: Callable[[v1.TicketingServiceStub], Callable[..., Response]],
        request: Request,
        deadline: float | None,
    ) -> Response:
        until = _channel.until(self._deadline if deadline is None else deadline)
        failures = 0
        while True:
            line = self._lines.take()
            try:
                call = method(line.stub)
                return call(request, timeout=_channel.left(until), metadata=self._route.metadata)
            except (grpc.RpcError, ValueError) as failed:
                if self._closed.is_set():
                    raise self._lines.error() from failed
                if not isinstance(failed, grpc.RpcError):
                    raise
                error = from_rpc(failed, self._route.address)
                delay = _retry.before_retry(request, error, failures, _channel.left(until))
                if delay is None:
                    raise error from failed
            finally:
                self._lines.give_back(line)
            failures += 1
            self._closed.wait(delay)


class _Source:
    """Where the subscriptions of a client get their streams."""

    def __init__(self, client: Client) -> None:
        self.address = client._route.address
        self._client = client

    def start(self, request: v1.StreamTicketEventsRequest) -> _Stream:
        return _Stream(self._client._lines, request, self._client._route)

    def add(self, events: Events) -> None:
        with self._client._lock:
            if self._client._lines.closed:
                raise self._client._lines.error()
            self._client._subscriptions.add(events)


class _Stream:
    """One stream, and the line that it goes over."""

    def __init__(self, lines: SyncLines, request: v1.StreamTicketEventsRequest, route: Route) -> None:
        self._lines = lines
        self._line = lines.take()
        # Once, and be it because the stream was forgotten.
        self._give_back = weakref.finalize(self, lines.give_back, self._line)
        self._give_back.atexit = False
        try:
            self._call = self._line.stub.StreamTicketEvents(request, metadata=route.metadata)
        except ValueError as failed:
            raise (lines.error() if lines.closed else failed) from failed

    def __next__(self) -> v1.StreamTicketEventsResponse:
        return next(self._call)

    def end(self) -> None:
        self._call.cancel()
        self._give_back()

    def avoid(self) -> None:
        self._lines.avoid(self._line)


def _connected(route: Route) -> tuple[grpc.Channel, v1.TicketingServiceStub]:
    if route.credentials is None:
        channel = grpc.insecure_channel(route.target, route.options)
    else:
        channel = grpc.secure_channel(route.target, route.credentials, route.options)
    return channel, v1.TicketingServiceStub(channel)
