"""A server with scripted streams, for errors that the real server does not produce on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from rhythmx_ticketing import v1

METHOD = "/rhythmx.ticketing.v1.TicketingService/"


@dataclass
class Broken:
    """How a stream ends. Without a reason, the error is not from the service."""

    code: grpc.StatusCode
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class ScriptedServer(grpc.GenericRpcHandler):
    """Each stream follows the next list: 0 is a bookmark, another number an event of that kind. Without a list it sends nothing.
    All other calls fail with UNAVAILABLE."""

    def __init__(self, *streams: list[int | Broken]) -> None:
        self.resume_tokens: list[str] = []
        self.calls = 0
        self._streams = list(streams)
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method == METHOD + "StreamTicketEvents":
            return grpc.unary_stream_rpc_method_handler(
                self._stream,
                v1.StreamTicketEventsRequest.FromString,
                v1.StreamTicketEventsResponse.SerializeToString,
            )
        return grpc.unary_unary_rpc_method_handler(self._unary)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None).wait(5)

    def _unary(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "scripted")

    def _stream(
        self, request: v1.StreamTicketEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[v1.StreamTicketEventsResponse]:
        self.resume_tokens.append(request.resume_token)
        if not self._streams:
            over = threading.Event()
            if context.add_callback(over.set):
                over.wait(30)
            return
        for step in self._streams.pop(0):
            if isinstance(step, Broken):
                context.set_trailing_metadata(_details(step))
                context.abort(step.code, "scripted")
            token = f"after {step}"
            if step == 0:
                yield v1.StreamTicketEventsResponse(bookmark=v1.Bookmark(resume_token=token))
            else:
                event = v1.TicketEvent(resume_token=token, sequence=step)
                event.MergeFromString(b"\x20" + bytes([step]))  # Its kind.
                yield v1.StreamTicketEventsResponse(event=event)


def _details(broken: Broken) -> tuple[tuple[str, bytes], ...]:
    if not broken.reason:
        return ()
    status = Status()
    status.details.add().Pack(
        ErrorInfo(domain="ticketing.rhythmx", reason=broken.reason, metadata=broken.metadata)
    )
    return (("grpc-status-details-bin", status.SerializeToString()),)
