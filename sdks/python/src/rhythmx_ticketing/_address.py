"""What an address is."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_SCHEME = re.compile(r"(https?)://(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_UNIX = re.compile(r"unix:(/[^\0]+)")


@dataclass(frozen=True)
class Address:
    """Where a server is."""

    text: str
    """As it was given, for people."""
    target: str
    """As grpc understands it, whatever the host is called."""
    scheme: str
    """"http", "https", or empty when none was given."""
    local: bool
    """Whether it is this machine, so that nothing travels: loopback, or a Unix socket."""
    unix: bool
    """Whether it is a Unix socket."""


def read(text: str) -> Address:
    """HOST:PORT, [IPV6]:PORT or unix:/PATH; before the first two may be http:// or https://."""
    if socket := _UNIX.fullmatch(text):
        return Address(text, f"unix:{socket[1]}", "", local=True, unix=True)
    prefixed = _SCHEME.fullmatch(text)
    scheme, place = prefixed.groups() if prefixed else ("", text)
    found = _PLACE.fullmatch(place)
    if found is None or not 0 < int(found["port"]) < 65_536 or (found["v6"] and not _is_v6(found["v6"])):
        raise ValueError(f'"{text}" is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH')
    return Address(text, f"dns:///{place}", scheme, _is_loopback(found["v6"] or found["host"]), unix=False)


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
