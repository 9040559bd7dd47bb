"""Prints what happens to deliveries, until it is interrupted, through restarts of the server."""

import os

from rhythmx_ticketing import connect, enum_name, v1

address = os.environ.get("TICKETING_ADDRESS", "127.0.0.1:50051")
with connect(address, token=os.environ.get("TICKETING_TOKEN")) as client:
    with client.events() as events:
        print("watching", flush=True)
        for event in events:
            kind = enum_name(v1.TicketEventKind, event.kind)
            print(event.sequence, kind, event.incident_id, event.delivery.ticket.key, flush=True)
