"""How the server is reached."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

DEFAULT_DEADLINE = 30.0
"""Seconds that a call may take, its retries included, unless the caller says otherwise."""

OPTIONS: list[tuple[str, int]] = [
    # Retries are ours: only we read `RetryInfo`.
    ("grpc.enable_retries", 0),
    # Come back soon after a restart: as often as calls are retried, and not after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # How long one attempt to connect may take, in spite of its name.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # A server that is gone without a word is noticed within 30 s, by streams too.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A page of deliveries with all their attempts may be larger than the 4 MiB that grpc takes by default.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
]


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
        ca = _system_authorities() if self.ca is None else _pem(self.ca)
        return grpc.ssl_channel_credentials(ca, _pem(self.client_key), _pem(self.client_certificate))


def metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """What goes with each call."""
    if token is None:
        return ()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token has characters that no token has")
    return (("authorization", f"Bearer {token}"),)


def _pem(source: str | os.PathLike[str] | bytes | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    if isinstance(source, str) and "-----BEGIN" in source:
        return source.encode()
    return Path(source).read_bytes()


def _system_authorities() -> bytes | None:
    """grpc would trust a list that came with it, and know nothing of an authority that was added to the machine."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None
