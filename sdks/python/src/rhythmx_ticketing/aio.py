"""The client for asyncio. It has the methods of `rhythmx_ticketing.Client`, each to be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import grpc
from grpc import aio

from . import _retry, v1
from ._aio_events import AsyncEvents
from ._channel import DEFAULT_DEADLINE, OPTIONS, Tls, metadata
from ._errors import Cancelled, from_rpc

if TYPE_CHECKING:
    from .v1.service_pb2_grpc import TicketingServiceAsyncStub

    Request = TypeVar("Request")
    Response = TypeVar("Response")

__all__ = ["AsyncClient", "AsyncEvents", "connect"]


def connect(
    address: str, *, tls: Tls | None = None, token: str | None = None, deadline: float = DEFAULT_DEADLINE
) -> AsyncClient:
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
        channel = aio.insecure_channel(address, OPTIONS)
    else:
        channel = aio.secure_channel(address, tls.credentials(), OPTIONS)
    return AsyncClient(channel, address, token=token, deadline=deadline)


class AsyncClient:
    """A client of the service, for the tasks of one event loop. `connect` makes one; closing it ends its calls.

    Retries and errors are those of `rhythmx_ticketing.Client`. Cancelling the task that awaits a call cancels the call;
    what the server had accepted by then goes on.
    """

    def __init__(
        self,
        channel: aio.Channel,
        address: str,
        *,
        token: str | None = None,
        deadline: float = DEFAULT_DEADLINE,
    ) -> None:
        self._channel = channel
        self._address = address
        self._stub: TicketingServiceAsyncStub = v1.TicketingServiceStub(channel)
        self._metadata = metadata(token)
        self._deadline = deadline
        self._closed = False

    async def close(self) -> None:
        """Ends every call that is under way, and the connection."""
        self._closed = True
        await self._channel.close()

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
        return await self._call(self._stub.Configure, request, deadline)

    async def test_connection(
        self, request: v1.TestConnectionRequest, *, deadline: float | None = None
    ) -> v1.TestConnectionResponse:
        """Proves authentication and access, with saved or unsaved settings."""
        return await self._call(self._stub.TestConnection, request, deadline)

    async def get_status(
        self, request: v1.GetStatusRequest | None = None, *, deadline: float | None = None
    ) -> v1.GetStatusResponse:
        """How every ticket system stands."""
        return await self._call(self._stub.GetStatus, request or v1.GetStatusRequest(), deadline)

    async def preview_ticket(
        self, request: v1.PreviewTicketRequest, *, deadline: float | None = None
    ) -> v1.PreviewTicketResponse:
        """The ticket as it would be pushed."""
        return await self._call(self._stub.PreviewTicket, request, deadline)

    async def create_ticket(
        self, request: v1.CreateTicketRequest, *, deadline: float | None = None
    ) -> v1.CreateTicketResponse:
        """Pushes an incident to one ticket system and waits for the first attempt, as long as the deadline allows."""
        return await self._call(self._stub.CreateTicket, request, deadline)

    async def submit_incident(
        self, request: v1.SubmitIncidentRequest, *, deadline: float | None = None
    ) -> v1.SubmitIncidentResponse:
        """Offers an incident to auto-push."""
        return await self._call(self._stub.SubmitIncident, request, deadline)

    async def get_delivery(
        self, request: v1.GetDeliveryRequest, *, deadline: float | None = None
    ) -> v1.GetDeliveryResponse:
        """One delivery with its attempts."""
        return await self._call(self._stub.GetDelivery, request, deadline)

    async def list_deliveries(
        self, request: v1.ListDeliveriesRequest, *, deadline: float | None = None
    ) -> v1.ListDeliveriesResponse:
        """A page of deliveries, the newest first."""
        return await self._call(self._stub.ListDeliveries, request, deadline)

    async def retry_delivery(
        self, request: v1.RetryDeliveryRequest, *, deadline: float | None = None
    ) -> v1.RetryDeliveryResponse:
        """Tries a waiting, failed or cancelled delivery now and waits for the attempt."""
        return await self._call(self._stub.RetryDelivery, request, deadline)

    async def cancel_delivery(
        self, request: v1.CancelDeliveryRequest, *, deadline: float | None = None
    ) -> v1.CancelDeliveryResponse:
        """Gives a delivery up."""
        return await self._call(self._stub.CancelDelivery, request, deadline)

    async def resolve_delivery(
        self, request: v1.ResolveDeliveryRequest, *, deadline: float | None = None
    ) -> v1.ResolveDeliveryResponse:
        """Tells which ticket a delivery has."""
        return await self._call(self._stub.ResolveDelivery, request, deadline)

    async def list_audit_entries(
        self, request: v1.ListAuditEntriesRequest, *, deadline: float | None = None
    ) -> v1.ListAuditEntriesResponse:
        """A page of who did what, the newest first."""
        return await self._call(self._stub.ListAuditEntries, request, deadline)

    async def events(
        self, request: v1.StreamTicketEventsRequest | None = None, *, deadline: float | None = None
    ) -> AsyncEvents:
        """Subscribes to what happens to deliveries, and returns once the subscription stands: every event from then on is
        in it, or from where the request says. `deadline` is for that alone; a subscription has no end of its own."""
        events = AsyncEvents(self._open, self._address, request)
        await events._begin(self._deadline if deadline is None else deadline)
        return events

    def _open(
        self, request: v1.StreamTicketEventsRequest
    ) -> aio.UnaryStreamCall[v1.StreamTicketEventsRequest, v1.StreamTicketEventsResponse]:
        self._ensure_open()
        return self._stub.StreamTicketEvents(request, metadata=self._metadata)

    async def _call(
        self, method: Callable[..., Awaitable[Response]], request: Request, deadline: float | None
    ) -> Response:
        until = time.monotonic() + (self._deadline if deadline is None else deadline)
        retries = 0
        while True:
            self._ensure_open()
            try:
                return await method(
                    request, timeout=max(0.0, until - time.monotonic()), metadata=self._metadata
                )
            except grpc.RpcError as failed:
                error = from_rpc(failed, self._address)
                delay = _retry.before_retry(request, error, retries, until - time.monotonic())
                if delay is None:
                    raise error from failed
            retries += 1
            await asyncio.sleep(delay)

    def _ensure_open(self) -> None:
        if self._closed:
            raise Cancelled(grpc.StatusCode.CANCELLED, "the client was closed", self._address)
