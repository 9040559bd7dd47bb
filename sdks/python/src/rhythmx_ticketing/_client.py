"""The synchronous client."""

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
from ._pool import Pool

Request = TypeVar("Request")
Response = TypeVar("Response")
SyncPool = Pool[grpc.Channel, v1.TicketingServiceStub]


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> Client:
    """Creates a client of the server at `address`, for example "ticketing.acme.example:50051".

    The first call opens the connection, which reconnects automatically. If the server is unreachable, calls fail with
    `Unavailable`.

    Args:
        address: HOST:PORT, [IPV6]:PORT or unix:/PATH. The first two may begin with https:// (TLS) or http://.
        tls: TLS settings. None: plaintext, for loopback and Unix sockets, or `Tls()` with https://.
        token: A bearer token for each call: one of `ticketing token create`, or a JSON Web Token. It is not sent to
            another machine without TLS.
        deadline: Default deadline of a call in seconds, including retries. `math.inf`: no deadline.

    Raises:
        ValueError: if an argument is invalid or contradicts another one.
    """
    return Client(_channel.route(address, tls, token), deadline)


def connect_from_env(*, deadline: float = DEFAULT_DEADLINE) -> Client:
    """Creates a client from environment variables, for example in a container.

    TICKETING_ADDRESS is the address, by default 127.0.0.1:50051; TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file
    with the authorities to trust, and TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key:
    any of them enables TLS. Empty variables count as unset.

    Raises:
        ValueError: if an argument is invalid or contradicts another one.
    """
    address, tls, token = from_environment()
    return connect(address, tls=tls, token=token, deadline=deadline)


class Client:
    """A client of the service, safe for use by several threads. `connect` creates it; closing it cancels its calls.

    A call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, is retried a few times within its
    deadline. That is safe: there is one delivery for an incident and a connection, and settings merge by presence. The
    exception is `retry_delivery` with `create_anyway`: sent twice, it may create two tickets, so it is never retried. A call
    that fails raises a `TicketingError`.
    """

    def __init__(self, route: Route, deadline: float) -> None:
        """Use `connect` instead."""
        self._route = route
        self._deadline = deadline
        self._pool: SyncPool = Pool(route.address, lambda: _connected(route), lambda channel: channel.close())
        self._closed = threading.Event()
        self._subscriptions: weakref.WeakSet[Events] = weakref.WeakSet()
        self._lock = threading.RLock()

    def close(self) -> None:
        """Cancels all calls and subscriptions, which fail with `Cancelled`, and closes the connection. Calling it twice has no effect."""
        with self._lock:
            channels = self._pool.close()
            self._closed.set()
            subscriptions = list(self._subscriptions)
        for events in subscriptions:
            events._end(self._pool.error())
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
        """Changes settings; absent fields keep their values."""
        return self._call(lambda stub: stub.Configure, request, deadline)

    def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Checks authentication and access, with saved or unsaved settings."""
        return self._call(lambda stub: stub.TestConnection, request, deadline)

    def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """Returns the status of every connection."""
        return self._call(lambda stub: stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """Renders the ticket of an incident without creating it."""
        return self._call(lambda stub: stub.PreviewTicket, request, deadline)

    def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one connection and waits for the first attempt, as long as the deadline allows."""
        return self._call(lambda stub: stub.CreateTicket, request, deadline)

    def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Submits an incident to auto-push."""
        return self._call(lambda stub: stub.SubmitIncident, request, deadline)

    def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """Returns a delivery with its attempts."""
        return self._call(lambda stub: stub.GetDelivery, request, deadline)

    def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """Returns a page of deliveries, the newest first."""
        return self._call(lambda stub: stub.ListDeliveries, request, deadline)

    def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Retries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return self._call(lambda stub: stub.RetryDelivery, request, deadline)

    def retry_deliveries(
        self, request: v1.RetryDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveriesResponse:
        """Retries one page of the deliveries that match a filter, without waiting for their attempts."""
        return self._call(lambda stub: stub.RetryDeliveries, request, deadline)

    def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Cancels a delivery."""
        return self._call(lambda stub: stub.CancelDelivery, request, deadline)

    def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Records which ticket a delivery has, or that it has none."""
        return self._call(lambda stub: stub.ResolveDelivery, request, deadline)

    def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """Returns a page of the audit log, the newest entry first."""
        return self._call(lambda stub: stub.ListAuditEntries, request, deadline)

    def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> Events:
        """Subscribes to the events of deliveries, and returns once the subscription is established: it has every
        later event, or every event after the start of the request. `deadline` limits only the start."""
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
            channel = self._pool.acquire()
            try:
                call = method(channel.stub)
                return call(request, timeout=_channel.left(until), metadata=self._route.metadata)
            except (grpc.RpcError, ValueError) as failed:
                if self._closed.is_set():
                    raise self._pool.error() from failed
                if not isinstance(failed, grpc.RpcError):
                    raise
                error = from_rpc(failed, self._route.address)
                delay = _retry.delay_before_retry(request, error, failures, _channel.left(until))
                if delay is None:
                    raise error from failed
            finally:
                self._pool.release(channel)
            failures += 1
            self._closed.wait(delay)


class _Source:
    """Opens the streams of a client's subscriptions."""

    def __init__(self, client: Client) -> None:
        self.address = client._route.address
        self._client = client

    def start(self, request: v1.StreamTicketEventsRequest) -> _Stream:
        return _Stream(self._client._pool, request, self._client._route)

    def add(self, events: Events) -> None:
        with self._client._lock:
            if self._client._pool.closed:
                raise self._client._pool.error()
            self._client._subscriptions.add(events)


class _Stream:
    """A stream and its channel."""

    def __init__(self, pool: SyncPool, request: v1.StreamTicketEventsRequest, route: Route) -> None:
        self._pool = pool
        self._channel = pool.acquire()
        # Runs once: explicitly, or when the stream is garbage collected.
        self._release = weakref.finalize(self, pool.release, self._channel)
        self._release.atexit = False
        try:
            self._call = self._channel.stub.StreamTicketEvents(request, metadata=route.metadata)
        except ValueError as failed:
            raise (pool.error() if pool.closed else failed) from failed

    def __next__(self) -> v1.StreamTicketEventsResponse:
        return next(self._call)

    def end(self) -> None:
        self._call.cancel()
        self._release()

    def replace_connection(self) -> None:
        self._pool.replace(self._channel)


def _connected(route: Route) -> tuple[grpc.Channel, v1.TicketingServiceStub]:
    if route.credentials is None:
        channel = grpc.insecure_channel(route.target, route.options)
    else:
        channel = grpc.secure_channel(route.target, route.credentials, route.options)
    return channel, v1.TicketingServiceStub(channel)
