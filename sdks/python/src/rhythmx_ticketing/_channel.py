"""Channel settings: address, TLS, token, keep-alive."""

from __future__ import annotations

import math
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from . import _address

DEFAULT_DEADLINE = 30.0
"""Default deadline of a call in seconds, including retries."""
MAX_DEADLINE = 10 * 365 * 86_400.0
"""Deadlines of this many seconds or more mean no deadline."""

KEEPALIVE_TIME = 20.0
"""Seconds between two keep-alive pings of a connection with a call."""
KEEPALIVE_TIMEOUT = 10.0
"""Timeout in seconds of their acknowledgement. A silently failed connection is replaced within 30 s."""


@dataclass(frozen=True)
class Tls:
    """TLS settings. Each value is PEM, or the path of a PEM file."""

    ca: str | os.PathLike[str] | bytes | None = None
    """Certificates of the trusted authorities. None: the system's."""
    client_certificate: str | os.PathLike[str] | bytes | None = None
    """The client's certificate chain."""
    client_key: str | os.PathLike[str] | bytes | None = None
    """The key of the client's certificate."""

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("a client certificate and its key must be set together")

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials for grpc."""
        ca = _system_authorities() if self.ca is None else _pem("ca", self.ca, b"CERTIFICATE-----")
        key = _pem("client_key", self.client_key, b"PRIVATE KEY-----")
        certificate = _pem("client_certificate", self.client_certificate, b"CERTIFICATE-----")
        return grpc.ssl_channel_credentials(ca, key, certificate)


@dataclass(frozen=True)
class Route:
    """Settings of the connections to a server."""

    address: str
    """The address as given, for messages."""
    target: str
    """The target in grpc's syntax."""
    credentials: grpc.ChannelCredentials | None
    """None: plaintext."""
    metadata: tuple[tuple[str, str], ...]
    """Metadata of each call."""
    options: list[tuple[str, int | str]]
    """Options of each channel."""


def route(address: str, tls: Tls | None, token: str | None) -> Route:
    """Creates the settings for a server. Raises ValueError if they are invalid."""
    parsed = _address.parse(address)
    if parsed.scheme == "http" and tls is not None:
        raise ValueError(f'"{address}" is without TLS, but TLS is given')
    if parsed.scheme == "https" and tls is None:
        tls = Tls()
    if tls is None and token is not None and not parsed.local:
        raise ValueError("a token is not sent to another machine without TLS: set tls")
    credentials = None if tls is None else tls.credentials()
    options = _options(parsed, through_proxies=tls is not None and not parsed.local)
    return Route(address, parsed.target, credentials, _metadata(token), options)


def until(deadline: float) -> float:
    """The end of a deadline in seconds from now, for `left`; `math.inf` if there is none."""
    return time.monotonic() + deadline if deadline < MAX_DEADLINE else math.inf


def left(moment: float) -> float | None:
    """Seconds left until the moment, at least 0.0; None if there is no deadline."""
    return None if moment == math.inf else max(0.0, moment - time.monotonic())


def _options(parsed: _address.Address, through_proxies: bool) -> list[tuple[str, int | str]]:
    made: list[tuple[str, int | str]] = [
        # This package retries itself, since grpc ignores `RetryInfo`.
        ("grpc.enable_retries", 0),
        # Reconnect soon after a restart of the server: the default maximum is two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # In spite of its name, the timeout of one connection attempt.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_TIME * 1000)),
        # grpc uses the longer one of the two, and the second one is a minute by default.
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT * 1000)),
        ("grpc.http2.ping_timeout_ms", round(KEEPALIVE_TIMEOUT * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
        # Each channel has its own connection instead of sharing one.
        ("grpc.use_local_subchannel_pool", 1),
        # The environment's proxy is only for other machines, and must not see plaintext.
        ("grpc.enable_http_proxy", int(through_proxies)),
        # A page of deliveries with all their attempts may exceed grpc's default of 4 MiB.
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ]
    if parsed.unix:
        # The default authority would be the path, which is not a host name.
        made.append(("grpc.default_authority", "localhost"))
    return made


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    if token is None:
        return ()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty or has invalid characters")
    return (("authorization", f"Bearer {token}"),)


def _pem(name: str, source: str | os.PathLike[str] | bytes | None, mark: bytes) -> bytes | None:
    if source is None:
        return None
    if isinstance(source, bytes):
        found, where = source, "it"
    elif isinstance(source, str) and "-----BEGIN" in source:
        found, where = source.encode(), "it"
    else:
        found, where = Path(source).read_bytes(), f'"{os.fspath(source)}"'
    # grpc would only log this, and fail to connect.
    if b"-----BEGIN " not in found or mark not in found:
        raise ValueError(f"{name}: there is no PEM with {mark.decode().rstrip('-')} in {where}")
    return found


def _system_authorities() -> bytes | None:
    """The system's authorities: grpc would use its own list, without authorities that were added to the system."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None
