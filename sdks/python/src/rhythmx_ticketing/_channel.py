"""How the server is reached."""

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
"""Seconds that a call may take, its retries included, unless the caller says otherwise."""
MAX_DEADLINE = 10 * 365 * 86_400.0
"""From here on, in seconds, a deadline is none."""

KEEPALIVE_TIME = 20.0
"""Seconds between two questions whether the connection still lives, while there is a call."""
KEEPALIVE_TIMEOUT = 10.0
"""Seconds that the answer may take. A connection that dies without a word is thus replaced within 30 s."""


@dataclass(frozen=True)
class Tls:
    """How to trust the server, and how to be trusted by it. Each is PEM, or the path of a file that holds it."""

    ca: str | os.PathLike[str] | bytes | None = None
    """Certificates of the authorities that are trusted. None: those that the system trusts."""
    client_certificate: str | os.PathLike[str] | bytes | None = None
    """The client's certificate, and those that lead to its authority."""
    client_key: str | os.PathLike[str] | bytes | None = None
    """The key of the client's certificate."""

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("a client certificate and its key go together")

    def credentials(self) -> grpc.ChannelCredentials:
        """As grpc wants it."""
        ca = _system_authorities() if self.ca is None else _pem("ca", self.ca, b"CERTIFICATE-----")
        key = _pem("client_key", self.client_key, b"PRIVATE KEY-----")
        certificate = _pem("client_certificate", self.client_certificate, b"CERTIFICATE-----")
        return grpc.ssl_channel_credentials(ca, key, certificate)


@dataclass(frozen=True)
class Route:
    """All that connections to one server have in common."""

    address: str
    """As it was given, for people."""
    target: str
    """As grpc understands it."""
    credentials: grpc.ChannelCredentials | None
    """None: plaintext."""
    metadata: tuple[tuple[str, str], ...]
    """What goes with each call."""
    options: list[tuple[str, int | str]]
    """Of each channel."""


def route(address: str, tls: Tls | None, token: str | None) -> Route:
    """The way to a server, or a ValueError that says what is wrong with it."""
    place = _address.read(address)
    if place.scheme == "http" and tls is not None:
        raise ValueError(f'"{address}" says that there is no TLS, and yet TLS is given')
    if place.scheme == "https" and tls is None:
        tls = Tls()
    if tls is None and token is not None and not place.local:
        raise ValueError("a token is not sent to another machine without TLS: give tls")
    credentials = None if tls is None else tls.credentials()
    options = _options(place, through_proxies=tls is not None and not place.local)
    return Route(address, place.target, credentials, _metadata(token), options)


def until(deadline: float) -> float:
    """The moment at which so many seconds are over, by the clock of `left`."""
    return time.monotonic() + deadline if deadline < MAX_DEADLINE else math.inf


def left(moment: float) -> float | None:
    """Seconds until then, or 0.0 when it is over; None when it never comes."""
    return None if moment == math.inf else max(0.0, moment - time.monotonic())


def _options(place: _address.Address, through_proxies: bool) -> list[tuple[str, int | str]]:
    made: list[tuple[str, int | str]] = [
        # Retries are ours: only we read `RetryInfo`.
        ("grpc.enable_retries", 0),
        # Come back soon after a restart: as often as calls are retried, and not after two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # How long one attempt to connect may take, in spite of its name.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_TIME * 1000)),
        # The longer one of the two would count; the second one is a minute by default.
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT * 1000)),
        ("grpc.http2.ping_timeout_ms", round(KEEPALIVE_TIMEOUT * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
        # A new channel is a new connection, and not one that another channel has.
        ("grpc.use_local_subchannel_pool", 1),
        # A proxy of the environment is for what leaves the machine, and must not read along.
        ("grpc.enable_http_proxy", int(through_proxies)),
        # A page of deliveries with all their attempts may be larger than the 4 MiB that grpc takes by default.
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ]
    if place.unix:
        # It would be the path, which is no name of a host.
        made.append(("grpc.default_authority", "localhost"))
    return made


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    if token is None:
        return ()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token is empty, or has characters that no token has")
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
    # grpc would say so only in a log, and fail to connect.
    if b"-----BEGIN " not in found or mark not in found:
        raise ValueError(f"{name}: there is no PEM with {mark.decode().rstrip('-')} in {where}")
    return found


def _system_authorities() -> bytes | None:
    """grpc would trust a list that came with it, and know nothing of an authority that was added to the machine."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None
