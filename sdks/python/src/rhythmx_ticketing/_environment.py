"""Connection settings from the environment."""

from __future__ import annotations

import os

from ._channel import Tls

DEFAULT_ADDRESS = "127.0.0.1:50051"


def from_environment() -> tuple[str, Tls | None, str | None]:
    """Address, TLS settings and token from the variables that every SDK reads."""
    address = _variable("TICKETING_ADDRESS") or DEFAULT_ADDRESS
    ca = _variable("TICKETING_TLS_CA")
    certificate, key = _variable("TICKETING_TLS_CLIENT_CERT"), _variable("TICKETING_TLS_CLIENT_KEY")
    tls = Tls(ca=ca, client_certificate=certificate, client_key=key) if ca or certificate or key else None
    return address, tls, _variable("TICKETING_TOKEN")


def _variable(name: str) -> str | None:
    """None if the variable is unset or empty."""
    return os.environ.get(name) or None
