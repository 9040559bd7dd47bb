"""Parses server addresses."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_SCHEME = re.compile(r"(https?)://(.*)", re.DOTALL)
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_UNIX = re.compile(r"unix:(/[^\0]+)")


@dataclass(frozen=True)
class Address:
    """A parsed server address."""

    text: str
    """The address as given, for messages."""
    target: str
    """The target in grpc's syntax."""
    scheme: str
    """"http", "https", or empty when none was given."""
    local: bool
    """Whether the server is on this machine: loopback, or a Unix socket."""
    unix: bool
    """Whether it is a Unix socket."""


def parse(text: str) -> Address:
    """Parses HOST:PORT, [IPV6]:PORT or unix:/PATH, the first two with an optional http:// or https://."""
    if socket := _UNIX.fullmatch(text):
        return Address(text, f"unix:{socket[1]}", "", local=True, unix=True)
    prefixed = _SCHEME.fullmatch(text)
    scheme, authority = prefixed.groups() if prefixed else ("", text)
    found = _HOST_PORT.fullmatch(authority)
    if found is None or not 0 < int(found["port"]) < 65_536 or (found["v6"] and not _is_v6(found["v6"])):
        raise ValueError(
            f'"{text}" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH'
        )
    return Address(
        text, f"dns:///{authority}", scheme, _is_loopback(found["v6"] or found["host"]), unix=False
    )


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
