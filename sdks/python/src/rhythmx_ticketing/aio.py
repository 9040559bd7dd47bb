"""The asyncio client. It has the methods of `rhythmx_ticketing.Client` as coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from grpc import aio

from . import _channel, _retry, v1
from ._aio_events import AsyncEvents, retrieve
from ._channel import DEFAULT_DEADLINE, Route, Tls
from ._environment import from_environment
from ._errors import from_rpc
from ._pool import Pool

if TYPE_CHECKING:
    from .v1.service_pb2_grpc import TicketingServiceAsyncStub

    AsyncPool = Pool[aio.Channel, TicketingServiceAsyncStub]

Request = TypeVar("Request")
Response = TypeVar("Response")

__all__ = ["AsyncClient", "AsyncEvents", "connect", "connect_from_env"]


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> AsyncClient:
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
    return AsyncClient(_channel.route(address, tls, token), deadline)


def connect_from_env(*, deadline: float = DEFAULT_DEADLINE) -> AsyncClient:
    """Creates a client from environment variables, for example in a container.

    TICKETING_ADDRESS is the address, by default 127.0.0.1:50051; TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file
    with the authorities to trust, and TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key:
    any of them enables TLS. Empty variables count as unset.

    Raises:
        ValueError: if an argument is invalid or contradicts another one.
    """
    address, tls, token = from_environment()
    return connect(address, tls=tls, token=token, deadline=deadline)


class AsyncClient:
    """A client of the service for one event loop, that of its first call. `connect` creates it, also outside of a loop; closing
    it cancels its calls.

    Retries and errors are those of `rhythmx_ticketing.Client`. Cancelling the task that awaits a call cancels the call;
    the server continues with what it accepted.
    """

    def __init__(self, route: Route, deadline: float) -> None:
        """Use `connect` instead."""
        self._route = route
        self._deadline = deadline
        self._pool: AsyncPool = Pool(route.address, lambda: _connected(route), self._end)
        self._closed = asyncio.Event()
        self._subscriptions: weakref.WeakSet[AsyncEvents] = weakref.WeakSet()
        # Keeps tasks from being garbage collected while they run.
        self._calls: set[asyncio.Future[Any]] = set()
        self._endings: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Cancels all calls and subscriptions, which fail with `Cancelled`, and closes the connection. Calling it twice has no effect."""
        channels = self._pool.close()
        self._closed.set()
        for events in list(self._subscriptions):
            events._end(self._pool.error())
        for call in self._calls:
            call.cancel()
        # grpc cancels the tasks that await its calls, so these must end first.
        if self._calls:
            await asyncio.wait(self._calls)
        await asyncio.gather(*(channel.close() for channel in channels), *self._endings)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def configure(
        self, request: v1.ConfigureRequest, *, deadline: float | None = None
    ) -> v1.ConfigureResponse:
        """Changes settings; absent fields keep their values."""
        return await self._call(lambda stub: stub.Configure, request, deadline)

    async def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Checks authentication and access, with saved or unsaved settings."""
        return await self._call(lambda stub: stub.TestConnection, request, deadline)

    async def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """Returns the status of every connection."""
        return await self._call(lambda stub: stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    async def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """Renders the ticket of an incident without creating it."""
        return await self._call(lambda stub: stub.PreviewTicket, request, deadline)

    async def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one connection and waits for the first attempt, as long as the deadline allows."""
        return await self._call(lambda stub: stub.CreateTicket, request, deadline)

    async def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Submits an incident to auto-push."""
        return await self._call(lambda stub: stub.SubmitIncident, request, deadline)

    async def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """Returns a delivery with its attempts."""
        return await self._call(lambda stub: stub.GetDelivery, request, deadline)

    async def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """Returns a page of deliveries, the newest first."""
        return await self._call(lambda stub: stub.ListDeliveries, request, deadline)

    async def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Retries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return await self._call(lambda stub: stub.RetryDelivery, request, deadline)

    async def retry_deliveries(
        self, request: v1.RetryDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveriesResponse:
        """Retries one page of the deliveries that match a filter, without waiting for their attempts."""
        return await self._call(lambda stub: stub.RetryDeliveries, request, deadline)

    async def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Cancels a delivery."""
        return await self._call(lambda stub: stub.CancelDelivery, request, deadline)

    async def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Records which ticket a delivery has, or that it has none."""
        return await self._call(lambda stub: stub.ResolveDelivery, request, deadline)

    async def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """Returns a page of the audit log, the newest entry first."""
        return await self._call(lambda stub: stub.ListAuditEntries, request, deadline)

    async def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> AsyncEvents:
        """Subscribes to the events of deliveries, and returns once the subscription is established: it has every
        later event, or every event after the start of the request. `deadline` limits only the start."""
        events = AsyncEvents(_Source(self), request)
        await events._wait_for_start(self._deadline if deadline is None else deadline)
        return events

    async def _call(
        self,
        method: Callable[[TicketingServiceAsyncStub], Callable[..., Awaitable[Response]]],
        request: Request,
        deadline: float | None,
    ) -> Response:
        until = _channel.until(self._deadline if deadline is None else deadline)
        failures = 0
        while True:
            channel = self._pool.acquire()
            try:
                return await self._once(method(channel.stub), request, _channel.left(until))
            except grpc.RpcError as failed:
                if self._pool.closed:
                    raise self._pool.error() from failed
                error = from_rpc(failed, self._route.address)
                delay = _retry.delay_before_retry(request, error, failures, _channel.left(until))
                if delay is None:
                    raise error from failed
            finally:
                self._pool.release(channel)
            failures += 1
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closed.wait(), delay)

    async def _once(
        self, method: Callable[..., Awaitable[Response]], request: Request, timeout: float | None
    ) -> Response:
        # A task of its own distinguishes a call cancelled by `close` from a cancelled caller.
        call: asyncio.Future[Response] = asyncio.ensure_future(
            method(request, timeout=timeout, metadata=self._route.metadata)
        )
        call.add_done_callback(retrieve)
        self._calls.add(call)
        try:
            await asyncio.wait({call})
        finally:
            self._calls.discard(call)
            call.cancel()
        if call.cancelled():
            raise self._pool.error()
        return call.result()

    def _end(self, channel: aio.Channel) -> None:
        # A garbage-collected stream may end outside of the loop: then its channel is collected, and so closed, as well.
        with contextlib.suppress(RuntimeError):
            ending = asyncio.get_running_loop().create_task(channel.close())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


class _Source:
    """Opens the streams of a client's subscriptions."""

    def __init__(self, client: AsyncClient) -> None:
        self.address = client._route.address
        self._client = client

    def start(self, request: v1.StreamTicketEventsRequest) -> _Stream:
        return _Stream(self._client._pool, request, self._client._route)

    def add(self, events: AsyncEvents) -> None:
        if self._client._pool.closed:
            raise self._client._pool.error()
        self._client._subscriptions.add(events)


class _Stream:
    """A stream and its channel."""

    def __init__(self, pool: AsyncPool, request: v1.StreamTicketEventsRequest, route: Route) -> None:
        self._pool = pool
        self._channel = pool.acquire()
        # Runs once: explicitly, or when the stream is garbage collected.
        self._release = weakref.finalize(self, pool.release, self._channel)
        self._release.atexit = False
        self._call = self._channel.stub.StreamTicketEvents(request, metadata=route.metadata)

    async def read(self) -> v1.StreamTicketEventsResponse | None:
        message = await self._call.read()
        return message if isinstance(message, v1.StreamTicketEventsResponse) else None

    def end(self) -> None:
        self._call.cancel()
        self._release()

    def replace_connection(self) -> None:
        self._pool.replace(self._channel)


def _connected(route: Route) -> tuple[aio.Channel, TicketingServiceAsyncStub]:
    if route.credentials is None:
        channel = aio.insecure_channel(route.target, route.options)
    else:
        channel = aio.secure_channel(route.target, route.credentials, route.options)
    return channel, v1.TicketingServiceStub(channel)
