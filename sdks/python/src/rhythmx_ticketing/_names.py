"""Names of enum values."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.descriptor import EnumDescriptor


class Enum(Protocol):
    """An enum of the contract, for example `v1.TicketEventKind`."""

    @property
    def DESCRIPTOR(self) -> EnumDescriptor:
        """The descriptor of the enum."""


def enum_name(enum: Enum, value: int) -> str:
    """The name of a value, for example "TICKET_EVENT_KIND_DELIVERED". For a value that this package does not know it is the
    number, where `enum.Name` raises a ValueError."""
    known = enum.DESCRIPTOR.values_by_number.get(value)
    return str(value) if known is None else known.name
