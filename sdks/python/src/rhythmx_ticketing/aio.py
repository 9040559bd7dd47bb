"""The client for asyncio. It has the methods of `rhythmx_ticketing.Client`, each to be awaited."""

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
from ._lines import Lines

if TYPE_CHECKING:
    from .v1.service_pb2_grpc import TicketingServiceAsyncStub

    AsyncLines = Lines[aio.Channel, TicketingServiceAsyncStub]

Request = TypeVar("Request")
Response = TypeVar("Response")

__all__ = ["AsyncClient", "AsyncEvents", "connect", "connect_from_env"]


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> AsyncClient:
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
    return AsyncClient(_channel.route(address, tls, token), deadline)


def connect_from_env(*, deadline: float = DEFAULT_DEADLINE) -> AsyncClient:
    """A client by the environment, for example in a container.

    TICKETING_ADDRESS is the address, by default 127.0.0.1:50051; TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file
    with the authorities to trust, and TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key:
    any of them means TLS. What is empty or not set is left out.

    Raises:
        ValueError: if one of these is invalid, or cannot be combined with another one.
    """
    address, tls, token = from_environment()
    return connect(address, tls=tls, token=token, deadline=deadline)


class AsyncClient:
    """A client of the service, for the tasks of one event loop: the one that its first call is made in. `connect` makes one,
    anywhere; closing it ends its calls.

    Retries and errors are those of `rhythmx_ticketing.Client`. Cancelling the task that awaits a call cancels the call;
    what the server had accepted by then goes on.
    """

    def __init__(self, route: Route, deadline: float) -> None:
        """`connect` is there for this."""
        self._route = route
        self._deadline = deadline
        self._lines: AsyncLines = Lines(route.address, lambda: _connected(route), self._end)
        self._closed = asyncio.Event()
        self._subscriptions: weakref.WeakSet[AsyncEvents] = weakref.WeakSet()
        # No other reference keeps them alive while they run.
        self._calls: set[asyncio.Future[Any]] = set()
        self._endings: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Ends every call and every subscription, which fail with `Cancelled`, and the connection. Twice is fine."""
        channels = self._lines.close()
        self._closed.set()
        for events in list(self._subscriptions):
            events._end(self._lines.error())
        for call in self._calls:
            call.cancel()
        # grpc cancels every task that it finds waiting for one of its calls: first they are to have ended by themselves.
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
        """Changes settings; what is absent stays."""
        return await self._call(lambda stub: stub.Configure, request, deadline)

    async def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Proves authentication and access, with saved or unsaved settings."""
        return await self._call(lambda stub: stub.TestConnection, request, deadline)

    async def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """Returns the status of every connection."""
        return await self._call(lambda stub: stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    async def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """The ticket as it would be pushed."""
        return await self._call(lambda stub: stub.PreviewTicket, request, deadline)

    async def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one connection and waits for the first attempt, as long as the deadline allows."""
        return await self._call(lambda stub: stub.CreateTicket, request, deadline)

    async def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Offers an incident to auto-push."""
        return await self._call(lambda stub: stub.SubmitIncident, request, deadline)

    async def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """One delivery with its attempts."""
        return await self._call(lambda stub: stub.GetDelivery, request, deadline)

    async def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """A page of deliveries, the newest first."""
        return await self._call(lambda stub: stub.ListDeliveries, request, deadline)

    async def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Tries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return await self._call(lambda stub: stub.RetryDelivery, request, deadline)

    async def retry_deliveries(
        self, request: v1.RetryDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveriesResponse:
        """Tries one page of the deliveries that fit a filter now, without waiting for their attempts."""
        return await self._call(lambda stub: stub.RetryDeliveries, request, deadline)

    async def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Gives a delivery up."""
        return await self._call(lambda stub: stub.CancelDelivery, request, deadline)

    async def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Tells which ticket a delivery has."""
        return await self._call(lambda stub: stub.ResolveDelivery, request, deadline)

    async def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """A page of who did what, the newest first."""
        return await self._call(lambda stub: stub.ListAuditEntries, request, deadline)

    async def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> AsyncEvents:
        """Subscribes to what happens to deliveries, and returns once the subscription stands: every event from then on is
        in it, or from where the request says. `deadline` is for that alone; a subscription has no end of its own."""
        events = AsyncEvents(_Source(self), request)
        await events._begin(self._deadline if deadline is None else deadline)
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
            line = self._lines.take()
            try:
                return await self._once(method(line.stub), request, _channel.left(until))
            except grpc.RpcError as failed:
                if self._lines.closed:
                    raise self._lines.error() from failed
                error = from_rpc(failed, self._route.address)
                delay = _retry.before_retry(request, error, failures, _channel.left(until))
                if delay is None:
                    raise error from failed
            finally:
                self._lines.give_back(line)
            failures += 1
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closed.wait(), delay)

    async def _once(
        self, method: Callable[..., Awaitable[Response]], request: Request, timeout: float | None
    ) -> Response:
        # In a task of its own, so that it shows whether the call was cancelled, by `close`, or who waits for it.
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
            raise self._lines.error()
        return call.result()

    def _end(self, channel: aio.Channel) -> None:
        # A forgotten stream may end outside of the loop: then the channel is forgotten too, which closes it.
        with contextlib.suppress(RuntimeError):
            ending = asyncio.get_running_loop().create_task(channel.close())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


class _Source:
    """Where the subscriptions of a client get their streams."""

    def __init__(self, client: AsyncClient) -> None:
        self.address = client._route.address
        self._client = client

    def start(self, request: v1.StreamTicketEventsRequest) -> _Stream:
        return _Stream(self._client._lines, request, self._client._route)

    def add(self, events: AsyncEvents) -> None:
        if self._client._lines.closed:
            raise self._client._lines.error()
        self._client._subscriptions.add(events)


class _Stream:
    """One stream, and the line that it goes over."""

    def __init__(self, lines: AsyncLines, request: v1.StreamTicketEventsRequest, route: Route) -> None:
        self._lines = lines
        self._line = lines.take()
        # Once, and be it because the stream was forgotten.
        self._give_back = weakref.finalize(self, lines.give_back, self._line)
        self._give_back.atexit = False
        self._call = self._line.stub.StreamTicketEvents(request, metadata=route.metadata)

    async def read(self) -> v1.StreamTicketEventsResponse | None:
        message = await self._call.read()
        return message if isinstance(message, v1.StreamTicketEventsResponse) else None

    def end(self) -> None:
        self._call.cancel()
        self._give_back()

    def avoid(self) -> None:
        self._lines.avoid(self._line)


def _connected(route: Route) -> tuple[aio.Channel, TicketingServiceAsyncStub]:
    if route.credentials is None:
        channel = aio.insecure_channel(route.target, route.options)
    else:
        channel = aio.secure_channel(route.target, route.credentials, route.options)
    return channel, v1.TicketingServiceStub(channel)
